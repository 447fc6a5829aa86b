//! DescribeShareGroupOffsets: from where share groups still hand records out, and how many are left.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for all partitions of share groups.
#[derive(Clone, Debug)]
pub(crate) struct DescribeShareGroupOffsets {
    pub(crate) ids: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ShareGroupOffsets {
    pub(crate) id: String,
    pub(crate) error_code: i16,
    pub(crate) topics: ByTopic<SharePartition>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SharePartition {
    pub(crate) partition: i32,
    /// Everything below is done with; -1 until the first record was handed out.
    pub(crate) start_offset: i64,
    /// Records from the start offset on that are not done with; -1 when the broker does not know, and before version 1.
    pub(crate) lag: i64,
    pub(crate) error_code: i16,
}

impl Request for DescribeShareGroupOffsets {
    const KEY: i16 = 90;
    const NAME: &'static str = "DescribeShareGroupOffsets";
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Vec<ShareGroupOffsets>;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.array(&self.ids, |to, id| {
            to.string(id);
            to.null_array(); // all topics
            to.tags();
        });
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed> {
        from.i32()?; // throttle_time_ms
        let groups = from.array(6, |from| {
            let id = from.string()?;
            let topics = from.array(19, |from| {
                let topic = from.string()?;
                from.uuid()?; // topic_id
                let partitions = from.array(20, |from| partition(version, from))?;
                from.tags()?;
                Ok((topic, partitions))
            })?;
            let error_code = from.i16()?;
            from.skip_string()?; // error_message
            from.tags()?;
            Ok(ShareGroupOffsets { id, error_code, topics })
        })?;
        from.tags()?;
        Ok(groups)
    }
}

fn partition(version: i16, from: &mut Reader<'_>) -> Result<SharePartition, Malformed> {
    let (partition, start_offset) = (from.i32()?, from.i64()?);
    from.i32()?; // leader_epoch
    let lag = if version >= 1 { from.i64()? } else { -1 };
    let error_code = from.i16()?;
    from.skip_string()?; // error_message
    from.tags()?;
    Ok(SharePartition { partition, start_offset, lag, error_code })
}
