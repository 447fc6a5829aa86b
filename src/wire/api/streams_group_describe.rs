//! StreamsGroupDescribe: state, members and tasks of streams groups (KIP-1071).
//!
//! A member owns tasks of subtopologies, not partitions. They are kept as they come: a subtopology of many topics times
//! a member of many tasks would make more of a message than it says.

use std::ops::RangeInclusive;

use super::consumer_group_describe::write_ids;
use super::describe_groups::DescribedMember;
use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for groups by id.
#[derive(Clone, Debug)]
pub(crate) struct StreamsGroupDescribe {
    pub(crate) ids: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamsDescribed {
    pub(crate) error_code: i16,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) subtopologies: Vec<Subtopology>,
    pub(crate) members: Vec<StreamsMember>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subtopology {
    pub(crate) id: String,
    pub(crate) source_topics: Vec<String>,
    /// Those of the group's own repartition topics that it reads.
    pub(crate) repartition_topics: Vec<String>,
}

/// A member without its assignment, and its active tasks by subtopology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamsMember {
    pub(crate) member: DescribedMember,
    pub(crate) tasks: ByTopic<i32>,
}

impl Request for StreamsGroupDescribe {
    const KEY: i16 = 89;
    const NAME: &'static str = "StreamsGroupDescribe";
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Vec<StreamsDescribed>;

    fn write(&self, _version: i16, to: &mut Writer) {
        write_ids(&self.ids, to);
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed> {
        from.i32()?; // throttle_time_ms
        let groups = from.array(20, |from| {
            let error_code = from.i16()?;
            from.skip_string()?; // error_message
            let (id, state) = (from.string()?, from.string()?);
            from.i32()?; // group_epoch
            from.i32()?; // assignment_epoch
            let subtopologies = from.nullable(topology)?.unwrap_or_default();
            let members = from.array(28, member)?;
            from.i32()?; // authorized_operations
            from.tags()?;
            Ok(StreamsDescribed { error_code, id, state, subtopologies, members })
        })?;
        from.tags()?;
        Ok(groups)
    }
}

fn topology(from: &mut Reader<'_>) -> Result<Vec<Subtopology>, Malformed> {
    from.i32()?; // epoch
    let subtopologies = from.nullable_array(6, |from| {
        let id = from.string()?;
        let source_topics = from.array(1, Reader::string)?;
        from.array(1, Reader::skip_string)?; // repartition_sink_topics
        from.array(9, |from| topic_info(from).map(drop))?; // state_changelog_topics
        let repartition_topics = from.array(9, topic_info)?; // repartition_source_topics
        from.tags()?;
        Ok(Subtopology { id, source_topics, repartition_topics })
    })?;
    from.tags()?;
    Ok(subtopologies.unwrap_or_default())
}

fn topic_info(from: &mut Reader<'_>) -> Result<String, Malformed> {
    let name = from.string()?;
    from.i32()?; // partitions
    from.i16()?; // replication_factor
    from.array(3, key_value)?; // topic_configs
    from.tags()?;
    Ok(name)
}

fn key_value(from: &mut Reader<'_>) -> Result<(), Malformed> {
    from.skip_string()?;
    from.skip_string()?;
    from.tags()
}

fn member(from: &mut Reader<'_>) -> Result<StreamsMember, Malformed> {
    let id = from.string()?;
    from.i32()?; // member_epoch
    from.skip_string()?; // instance_id
    from.skip_string()?; // rack_id
    let (client_id, host) = (from.string()?, from.string()?);
    from.i32()?; // topology_epoch
    from.skip_string()?; // process_id
    from.nullable(|from| {
        from.skip_string()?; // host
        from.i16()?; // port
        from.tags()
    })?; // user_endpoint
    from.array(3, key_value)?; // client_tags
    from.array(14, task_offset)?; // task_offsets
    from.array(14, task_offset)?; // task_end_offsets
    let tasks = tasks(from)?; // assignment
    self::tasks(from)?; // target_assignment
    from.bool()?; // is_classic
    from.tags()?;
    let member = DescribedMember { id, client_id, host, assignment: Vec::new() };
    Ok(StreamsMember { member, tasks })
}

fn task_offset(from: &mut Reader<'_>) -> Result<(), Malformed> {
    from.skip_string()?; // subtopology_id
    from.i32()?; // partition
    from.i64()?; // offset
    from.tags()
}

/// The active tasks of an assignment; standby and warm-up tasks read nothing of the group's.
fn tasks(from: &mut Reader<'_>) -> Result<ByTopic<i32>, Malformed> {
    let mut read = || {
        from.array(3, |from| {
            let tasks = (from.string()?, from.i32s()?);
            from.tags()?;
            Ok(tasks)
        })
    };
    let active = read()?;
    read()?; // standby_tasks
    read()?; // warmup_tasks
    from.tags()?;
    Ok(active)
}
