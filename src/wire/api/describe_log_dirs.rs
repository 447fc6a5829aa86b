//! DescribeLogDirs: the disks of one broker and the replicas on them.

use std::ops::RangeInclusive;

use super::{ByTopic, Request};
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for all log directories and all replicas in them.
#[derive(Clone, Debug)]
pub(crate) struct DescribeLogDirs;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogDirs {
    /// 0 before version 3: without permission the list is empty then.
    pub(crate) error_code: i16,
    pub(crate) dirs: Vec<Dir>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dir {
    pub(crate) error_code: i16,
    pub(crate) path: String,
    pub(crate) topics: ByTopic<DirReplica>,
    /// -1 before version 4.
    pub(crate) total_bytes: i64,
    /// -1 before version 4.
    pub(crate) usable_bytes: i64,
    /// From version 5: it takes no new replicas (KIP-1066).
    pub(crate) cordoned: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DirReplica {
    pub(crate) partition: i32,
    pub(crate) size: i64,
    /// How far its log end is behind the high watermark, or behind the replica it is to replace.
    pub(crate) offset_lag: i64,
    /// True while it is copied here from another directory.
    pub(crate) future: bool,
}

impl Request for DescribeLogDirs {
    const KEY: i16 = 35;
    const NAME: &'static str = "DescribeLogDirs";
    const VERSIONS: RangeInclusive<i16> = 1..=5;
    const FLEXIBLE_FROM: i16 = 2;
    type Response = LogDirs;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.null_array();
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<LogDirs, Malformed> {
        from.i32()?; // throttle_time_ms
        let error_code = if version >= 3 { from.i16()? } else { 0 };
        let dirs = from.array(5, |from| dir(version, from))?;
        from.tags()?;
        Ok(LogDirs { error_code, dirs })
    }
}

fn dir(version: i16, from: &mut Reader<'_>) -> Result<Dir, Malformed> {
    let (error_code, path) = (from.i16()?, from.string()?);
    let topics = from.array(3, |from| {
        let topic = from.string()?;
        let replicas = from.array(21, |from| {
            let replica =
                DirReplica { partition: from.i32()?, size: from.i64()?, offset_lag: from.i64()?, future: from.bool()? };
            from.tags()?;
            Ok(replica)
        })?;
        from.tags()?;
        Ok((topic, replicas))
    })?;
    let (total_bytes, usable_bytes) = if version >= 4 { (from.i64()?, from.i64()?) } else { (-1, -1) };
    let cordoned = version >= 5 && from.bool()?;
    from.tags()?;
    Ok(Dir { error_code, path, topics, total_bytes, usable_bytes, cordoned })
}
