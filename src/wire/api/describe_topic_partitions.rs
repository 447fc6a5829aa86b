//! DescribeTopicPartitions: eligible leader replicas (KIP-966), page by page.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for the partitions of topics, from a place on. Topics come in the order of their names, whatever the order here.
#[derive(Clone, Debug)]
pub(crate) struct DescribeTopicPartitions {
    pub(crate) topics: Vec<String>,
    /// The most partitions wanted in one answer; a broker has its own limit as well.
    pub(crate) limit: i32,
    pub(crate) cursor: Option<Cursor>,
}

/// Where the next page begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cursor {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) topics: Vec<TopicReplicas>,
    /// None on the last page.
    pub(crate) next: Option<Cursor>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicReplicas {
    pub(crate) error_code: i16,
    pub(crate) name: Option<String>,
    pub(crate) partitions: Vec<PartitionReplicas>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionReplicas {
    pub(crate) error_code: i16,
    pub(crate) index: i32,
    /// -1 for none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) in_sync: Vec<i32>,
    /// Null where the cluster does not keep them.
    pub(crate) eligible: Option<Vec<i32>>,
    /// Null where the cluster does not keep them.
    pub(crate) last_known_eligible: Option<Vec<i32>>,
}

impl Request for DescribeTopicPartitions {
    const KEY: i16 = 75;
    const NAME: &'static str = "DescribeTopicPartitions";
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Page;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.array(&self.topics, |to, topic| {
            to.string(topic);
            to.tags();
        });
        to.i32(self.limit);
        to.nullable(self.cursor.as_ref(), |to, cursor| {
            to.string(&cursor.topic);
            to.i32(cursor.partition);
            to.tags();
        });
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Page, Malformed> {
        from.i32()?; // throttle_time_ms
        let topics = from.array(26, topic)?;
        let next = from.nullable(|from| {
            let cursor = Cursor { topic: from.string()?, partition: from.i32()? };
            from.tags()?;
            Ok(cursor)
        })?;
        from.tags()?;
        Ok(Page { topics, next })
    }
}

fn topic(from: &mut Reader<'_>) -> Result<TopicReplicas, Malformed> {
    let (error_code, name) = (from.i16()?, from.nullable_string()?);
    from.uuid()?; // topic_id
    from.bool()?; // is_internal
    let partitions = from.array(20, partition)?;
    from.i32()?; // topic_authorized_operations
    from.tags()?;
    Ok(TopicReplicas { error_code, name, partitions })
}

fn partition(from: &mut Reader<'_>) -> Result<PartitionReplicas, Malformed> {
    let (error_code, index, leader, leader_epoch) = (from.i16()?, from.i32()?, from.i32()?, from.i32()?);
    from.array(4, |from| from.i32().map(drop))?; // replica_nodes
    let partition = PartitionReplicas {
        error_code,
        index,
        leader,
        leader_epoch,
        in_sync: from.i32s()?,
        eligible: from.nullable_i32s()?,
        last_known_eligible: from.nullable_i32s()?,
    };
    from.array(4, |from| from.i32().map(drop))?; // offline_replicas
    from.tags()?;
    Ok(partition)
}
