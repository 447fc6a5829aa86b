//! DescribeGroups: state and members of classic groups.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for groups by id.
#[derive(Clone, Debug)]
pub(crate) struct DescribeGroups {
    pub(crate) ids: Vec<String>,
}

/// A group as its coordinator describes it, of whichever protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) error_code: i16,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) members: Vec<DescribedMember>,
}

/// A member, and the partitions it owns by topic name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DescribedMember {
    pub(crate) id: String,
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) assignment: ByTopic<i32>,
}

impl Request for DescribeGroups {
    const KEY: i16 = 15;
    const NAME: &'static str = "DescribeGroups";
    const VERSIONS: RangeInclusive<i16> = 0..=6;
    const FLEXIBLE_FROM: i16 = 5;
    const THROTTLE_FROM: Option<i16> = Some(1);
    type Response = Vec<Described>;

    fn write(&self, version: i16, to: &mut Writer) {
        to.array(&self.ids, |to, id| to.string(id));
        if version >= 3 {
            to.bool(false); // include_authorized_operations
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Vec<Described>, Malformed> {
        if version >= 1 {
            from.i32()?; // throttle_time_ms
        }
        let groups = from.array(7, |from| group(version, from))?;
        from.tags()?;
        Ok(groups)
    }
}

fn group(version: i16, from: &mut Reader<'_>) -> Result<Described, Malformed> {
    let error_code = from.i16()?;
    if version >= 6 {
        from.skip_string()?; // error_message
    }
    let id = from.string()?;
    let state = from.string()?;
    let protocol_type = from.string()?;
    from.skip_string()?; // protocol_data: the assignor
    let members = from.array(5, |from| member(version, protocol_type == "consumer", from))?;
    if version >= 3 {
        from.i32()?; // authorized_operations
    }
    from.tags()?;
    Ok(Described { error_code, id, state, members })
}

fn member(version: i16, consumer: bool, from: &mut Reader<'_>) -> Result<DescribedMember, Malformed> {
    let id = from.string()?;
    if version >= 4 {
        from.skip_string()?; // group_instance_id
    }
    let client_id = from.string()?;
    let host = from.string()?;
    from.bytes()?; // member_metadata
    let bytes = from.bytes()?;
    from.tags()?;
    // Only the consumer protocol says partitions here; Connect and others put bytes of their own.
    let assignment = if consumer { from.within(bytes, assignment).unwrap_or_default() } else { Vec::new() };
    Ok(DescribedMember { id, client_id, host, assignment })
}

/// The partitions in a `ConsumerProtocolAssignment`. Its bytes come from another client through the broker unseen, so
/// what cannot be read is that member's own affair.
fn assignment(from: &mut Reader<'_>) -> Result<ByTopic<i32>, Malformed> {
    from.i16()?; // version: what follows has been the same in all of them
    from.array(6, |from| Ok((from.string()?, from.i32s()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_its_partitions() {
        type Case = (&'static str, &'static [u8], Option<ByTopic<i32>>);
        let cases: [Case; 4] = [
            (
                "one topic, user data null",
                &[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff],
                Some(vec![("t".to_owned(), vec![4, 7])]),
            ),
            ("nothing assigned", &[0, 0, 0, 0, 0, 0], Some(Vec::new())),
            ("no bytes: the group rebalances", &[], None),
            ("somebody's own bytes", b"\0\0\x7f\xff\xff\xffhello", None),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(assignment(&mut Reader::new(bytes, false)).ok(), want, "{name}");
        }
    }
}
