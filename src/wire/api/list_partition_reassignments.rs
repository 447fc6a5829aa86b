//! ListPartitionReassignments: which replicas are being moved.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for all reassignments under way. A broker passes the question on to the active controller.
#[derive(Clone, Debug)]
pub(crate) struct ListPartitionReassignments {
    /// How long the controller may take, in milliseconds.
    pub(crate) timeout_ms: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reassignments {
    pub(crate) error_code: i16,
    pub(crate) topics: ByTopic<Reassigned>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reassigned {
    pub(crate) partition: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) adding: Vec<i32>,
    pub(crate) removing: Vec<i32>,
}

impl Request for ListPartitionReassignments {
    const KEY: i16 = 46;
    const NAME: &'static str = "ListPartitionReassignments";
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Reassignments;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.i32(self.timeout_ms);
        to.null_array();
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Reassignments, Malformed> {
        from.i32()?; // throttle_time_ms
        let error_code = from.i16()?;
        from.skip_string()?; // error_message
        let topics = from.array(3, |from| {
            let topic = from.string()?;
            let partitions = from.array(8, |from| {
                let reassigned = Reassigned {
                    partition: from.i32()?,
                    replicas: from.i32s()?,
                    adding: from.i32s()?,
                    removing: from.i32s()?,
                };
                from.tags()?;
                Ok(reassigned)
            })?;
            from.tags()?;
            Ok((topic, partitions))
        })?;
        from.tags()?;
        Ok(Reassignments { error_code, topics })
    }
}
