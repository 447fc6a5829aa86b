//! ShareGroupDescribe: state and members of share groups (KIP-932).

use std::ops::RangeInclusive;

use super::Request;
use super::consumer_group_describe::assignment;
use super::describe_groups::{Described, DescribedMember};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for groups by id.
#[derive(Clone, Debug)]
pub(crate) struct ShareGroupDescribe {
    pub(crate) ids: Vec<String>,
}

impl Request for ShareGroupDescribe {
    const KEY: i16 = 77;
    const NAME: &'static str = "ShareGroupDescribe";
    const VERSIONS: RangeInclusive<i16> = 1..=1;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Vec<Described>;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.array(&self.ids, |to, id| to.string(id));
        to.bool(false); // include_authorized_operations
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Vec<Described>, Malformed> {
        from.i32()?; // throttle_time_ms
        let groups = from.array(20, |from| {
            let error_code = from.i16()?;
            from.skip_string()?; // error_message
            let (id, state) = (from.string()?, from.string()?);
            from.i32()?; // group_epoch
            from.i32()?; // assignment_epoch
            from.skip_string()?; // assignor_name
            let members = from.array(12, member)?;
            from.i32()?; // authorized_operations
            from.tags()?;
            Ok(Described { error_code, id, state, members })
        })?;
        from.tags()?;
        Ok(groups)
    }
}

fn member(from: &mut Reader<'_>) -> Result<DescribedMember, Malformed> {
    let id = from.string()?;
    from.skip_string()?; // rack_id
    from.i32()?; // member_epoch
    let (client_id, host) = (from.string()?, from.string()?);
    from.array(1, Reader::skip_string)?; // subscribed_topic_names
    let assignment = assignment(from)?;
    from.tags()?;
    Ok(DescribedMember { id, client_id, host, assignment })
}
