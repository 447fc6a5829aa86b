//! ShareGroupDescribe: state and members of share groups (KIP-932).

use std::ops::RangeInclusive;

use super::Request;
use super::consumer_group_describe::{assignment, groups, write_ids};
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
        write_ids(&self.ids, to);
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Vec<Described>, Malformed> {
        groups(from, 12, member)
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
