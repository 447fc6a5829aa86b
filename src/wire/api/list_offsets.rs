//! ListOffsets: log start, last stable offset and high watermark.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Which end of the log is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEnd {
    /// Timestamp -2.
    LogStart,
    /// Timestamp -1 as `read_committed`.
    LastStable,
    /// Timestamp -1 as `read_uncommitted`.
    HighWatermark,
}

/// The first version that tells the isolation levels apart.
pub(crate) const ISOLATION_FROM: i16 = 2;

/// Asks a leader for one end of each partition's log.
#[derive(Clone, Debug)]
pub(crate) struct ListOffsets {
    pub(crate) end: LogEnd,
    /// How long the leader may take over remote storage, in milliseconds.
    pub(crate) timeout_ms: i32,
    /// By topic: partition and its leader epoch, -1 where not known.
    pub(crate) topics: ByTopic<(i32, i32)>,
}

/// One partition's answer; an offset of -1 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListedOffset {
    pub(crate) partition: i32,
    pub(crate) error_code: i16,
    pub(crate) offset: i64,
}

impl Request for ListOffsets {
    const KEY: i16 = 2;
    const NAME: &'static str = "ListOffsets";
    const VERSIONS: RangeInclusive<i16> = 1..=11;
    const FLEXIBLE_FROM: i16 = 6;
    const THROTTLE_FROM: Option<i16> = Some(2);
    type Response = ByTopic<ListedOffset>;

    fn write(&self, version: i16, to: &mut Writer) {
        let (timestamp, isolation) = match self.end {
            LogEnd::LogStart => (-2, 0),
            LogEnd::LastStable => (-1, 1),
            LogEnd::HighWatermark => (-1, 0),
        };
        to.i32(-1); // replica_id: a consumer
        if version >= ISOLATION_FROM {
            to.i8(isolation);
        }
        to.array(&self.topics, |to, (name, partitions)| {
            to.string(name);
            to.array(partitions, |to, (partition, leader_epoch)| {
                to.i32(*partition);
                if version >= 4 {
                    to.i32(*leader_epoch);
                }
                to.i64(timestamp);
                to.tags();
            });
            to.tags();
        });
        if version >= 10 {
            to.i32(self.timeout_ms);
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Self::Response, Malformed> {
        if version >= 2 {
            from.i32()?; // throttle_time_ms
        }
        let topics = from.array(2, |from| {
            let name = from.string()?;
            let offsets = from.array(22, |from| {
                let partition = from.i32()?;
                let error_code = from.i16()?;
                from.i64()?; // timestamp
                let offset = from.i64()?;
                if version >= 4 {
                    from.i32()?; // leader_epoch of the record at the offset
                }
                from.tags()?;
                Ok(ListedOffset { partition, error_code, offset })
            })?;
            from.tags()?;
            Ok((name, offsets))
        })?;
        from.tags()?;
        Ok(topics)
    }
}
