//! DescribeProducers: who writes to a partition with sequences, and since where a transaction is open.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks a leader for the producers it keeps state of. It needs READ on the topic, so nothing asks it unbidden.
#[derive(Clone, Debug)]
pub(crate) struct DescribeProducers {
    pub(crate) topics: ByTopic<i32>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionProducers {
    pub(crate) partition: i32,
    pub(crate) error_code: i16,
    pub(crate) producers: Vec<Producer>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i32,
    /// -1 for none.
    pub(crate) last_sequence: i32,
    /// Unix milliseconds; -1 for none.
    pub(crate) last_timestamp: i64,
    /// -1 when no transaction is open.
    pub(crate) transaction_start: i64,
}

impl Request for DescribeProducers {
    const KEY: i16 = 61;
    const NAME: &'static str = "DescribeProducers";
    const VERSIONS: RangeInclusive<i16> = 0..=0;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = ByTopic<PartitionProducers>;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.array(&self.topics, |to, (topic, partitions)| {
            to.string(topic);
            to.i32s(partitions);
            to.tags();
        });
        to.tags();
    }

    fn read(_version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed> {
        from.i32()?; // throttle_time_ms
        let topics = from.array(3, |from| {
            let topic = from.string()?;
            let partitions = from.array(9, partition)?;
            from.tags()?;
            Ok((topic, partitions))
        })?;
        from.tags()?;
        Ok(topics)
    }
}

fn partition(from: &mut Reader<'_>) -> Result<PartitionProducers, Malformed> {
    let (partition, error_code) = (from.i32()?, from.i16()?);
    from.skip_string()?; // error_message
    let producers = from.array(37, |from| {
        let (id, epoch, last_sequence, last_timestamp) = (from.i64()?, from.i32()?, from.i32()?, from.i64()?);
        from.i32()?; // coordinator_epoch
        let transaction_start = from.i64()?;
        from.tags()?;
        Ok(Producer { id, epoch, last_sequence, last_timestamp, transaction_start })
    })?;
    from.tags()?;
    Ok(PartitionProducers { partition, error_code, producers })
}
