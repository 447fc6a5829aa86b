//! ListGroups: the groups one broker coordinates, or believes it does.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for all groups, of every state and type.
#[derive(Debug)]
pub(crate) struct ListGroups;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) error_code: i16,
    pub(crate) groups: Vec<Listed>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    pub(crate) protocol_type: String,
    /// From version 4.
    pub(crate) state: Option<String>,
    /// From version 5.
    pub(crate) group_type: Option<String>,
}

impl Request for ListGroups {
    const KEY: i16 = 16;
    const NAME: &'static str = "ListGroups";
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const FLEXIBLE_FROM: i16 = 3;
    const THROTTLE_FROM: Option<i16> = Some(1);
    type Response = Listing;

    fn write(&self, version: i16, to: &mut Writer) {
        let all: [&str; 0] = [];
        if version >= 4 {
            to.array(&all, |to, state| to.string(state));
        }
        if version >= 5 {
            to.array(&all, |to, group_type| to.string(group_type));
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Listing, Malformed> {
        if version >= 1 {
            from.i32()?; // throttle_time_ms
        }
        let error_code = from.i16()?;
        let groups = from.array(2, |from| {
            let listed = Listed {
                id: from.string()?,
                protocol_type: from.string()?,
                state: if version >= 4 { Some(from.string()?) } else { None },
                group_type: if version >= 5 { Some(from.string()?) } else { None },
            };
            from.tags()?;
            Ok(listed)
        })?;
        from.tags()?;
        Ok(Listing { error_code, groups })
    }
}
