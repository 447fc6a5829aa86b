//! ConsumerGroupDescribe: state and members of KIP-848 groups.

use std::ops::RangeInclusive;

use super::describe_groups::{Described, DescribedMember};
use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for groups by id.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroupDescribe {
    pub(crate) ids: Vec<String>,
}

impl Request for ConsumerGroupDescribe {
    const KEY: i16 = 69;
    const NAME: &'static str = "ConsumerGroupDescribe";
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Vec<Described>;

    fn write(&self, _version: i16, to: &mut Writer) {
        write_ids(&self.ids, to);
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Vec<Described>, Malformed> {
        groups(from, 14, |from| member(version, from))
    }
}

/// The request of every API that describes the groups of one type: their ids.
pub(super) fn write_ids(ids: &[String], to: &mut Writer) {
    to.array(ids, |to, id| to.string(id));
    to.bool(false); // include_authorized_operations
    to.tags();
}

/// The answer of the types whose members own partitions; a member takes `least` bytes or more.
pub(super) fn groups(
    from: &mut Reader<'_>,
    least: u64,
    member: impl Fn(&mut Reader<'_>) -> Result<DescribedMember, Malformed>,
) -> Result<Vec<Described>, Malformed> {
    from.i32()?; // throttle_time_ms
    let groups = from.array(20, |from| {
        let error_code = from.i16()?;
        from.skip_string()?; // error_message
        let (id, state) = (from.string()?, from.string()?);
        from.i32()?; // group_epoch
        from.i32()?; // assignment_epoch
        from.skip_string()?; // assignor_name
        let members = from.array(least, &member)?;
        from.i32()?; // authorized_operations
        from.tags()?;
        Ok(Described { error_code, id, state, members })
    })?;
    from.tags()?;
    Ok(groups)
}

fn member(version: i16, from: &mut Reader<'_>) -> Result<DescribedMember, Malformed> {
    let id = from.string()?;
    from.skip_string()?; // instance_id
    from.skip_string()?; // rack_id
    from.i32()?; // member_epoch
    let client_id = from.string()?;
    let host = from.string()?;
    from.array(1, Reader::skip_string)?; // subscribed_topic_names
    from.skip_string()?; // subscribed_topic_regex
    let assignment = assignment(from)?;
    self::assignment(from)?; // target_assignment
    if version >= 1 {
        from.i8()?; // member_type
    }
    from.tags()?;
    Ok(DescribedMember { id, client_id, host, assignment })
}

pub(super) fn assignment(from: &mut Reader<'_>) -> Result<ByTopic<i32>, Malformed> {
    let topics = from.array(19, |from| {
        from.uuid()?;
        let topic = (from.string()?, from.i32s()?);
        from.tags()?;
        Ok(topic)
    })?;
    from.tags()?;
    Ok(topics)
}
