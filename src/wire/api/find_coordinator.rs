//! FindCoordinator: which broker coordinates a group or a transactional id.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// What is coordinated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coordinated {
    Group,
    Transaction,
}

/// Asks for coordinators. For a group it creates `__consumer_offsets` where that is not there yet, so it is put only for
/// groups that exist.
#[derive(Clone, Debug)]
pub(crate) struct FindCoordinator {
    pub(crate) of: Coordinated,
    /// One key before version 4; the first is asked for then.
    pub(crate) keys: Vec<String>,
}

/// The first version that asks for many keys in one request (KIP-699).
pub(crate) const MANY_KEYS_FROM: i16 = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Empty before version 4.
    pub(crate) key: String,
    /// -1 for none.
    pub(crate) node: i32,
    pub(crate) error_code: i16,
}

impl Request for FindCoordinator {
    const KEY: i16 = 10;
    const NAME: &'static str = "FindCoordinator";
    const VERSIONS: RangeInclusive<i16> = 1..=6;
    const FLEXIBLE_FROM: i16 = 3;
    type Response = Vec<Found>;

    fn write(&self, version: i16, to: &mut Writer) {
        if version < MANY_KEYS_FROM {
            to.string(self.keys.first().map_or("", String::as_str));
        }
        to.i8(match self.of {
            Coordinated::Group => 0,
            Coordinated::Transaction => 1,
        });
        if version >= MANY_KEYS_FROM {
            to.array(&self.keys, |to, key| to.string(key));
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Vec<Found>, Malformed> {
        from.i32()?; // throttle_time_ms
        let found = if version >= MANY_KEYS_FROM {
            from.array(14, |from| {
                let (key, node) = (from.string()?, from.i32()?);
                from.skip_string()?; // host
                from.i32()?; // port
                let error_code = from.i16()?;
                from.skip_string()?; // error_message
                from.tags()?;
                Ok(Found { key, node, error_code })
            })?
        } else {
            let error_code = from.i16()?;
            from.skip_string()?; // error_message
            let node = from.i32()?;
            from.skip_string()?; // host
            from.i32()?; // port
            from.alone(Found { key: String::new(), node, error_code })?
        };
        from.tags()?;
        Ok(found)
    }
}
