//! DescribeQuorum: the controllers' own log, and how far each of its replicas is.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// The topic of the controllers, and its only partition.
pub(crate) const METADATA_TOPIC: &str = "__cluster_metadata";

/// Asks for the state of the metadata quorum. A broker passes the question on to the active controller.
#[derive(Clone, Debug)]
pub(crate) struct DescribeQuorum;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quorum {
    pub(crate) error_code: i16,
    /// By topic and partition; there is one of each.
    pub(crate) partitions: Vec<QuorumPartition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuorumPartition {
    pub(crate) error_code: i16,
    /// -1 for none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) high_watermark: i64,
    pub(crate) voters: Vec<QuorumReplica>,
    pub(crate) observers: Vec<QuorumReplica>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QuorumReplica {
    pub(crate) id: i32,
    /// -1 when not known.
    pub(crate) log_end: i64,
    /// Unix milliseconds; -1 for the leader, when not known, and before version 1.
    pub(crate) last_fetch: i64,
    /// Unix milliseconds; -1 when not known, and before version 1.
    pub(crate) last_caught_up: i64,
}

impl Request for DescribeQuorum {
    const KEY: i16 = 55;
    const NAME: &'static str = "DescribeQuorum";
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FLEXIBLE_FROM: i16 = 0;
    const THROTTLE_FROM: Option<i16> = None;
    type Response = Quorum;

    fn write(&self, _version: i16, to: &mut Writer) {
        to.array(&[METADATA_TOPIC], |to, topic| {
            to.string(topic);
            to.array(&[0], |to, partition| {
                to.i32(*partition);
                to.tags();
            });
            to.tags();
        });
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Quorum, Malformed> {
        let error_code = from.i16()?;
        if version >= 2 {
            from.skip_string()?; // error_message
        }
        let topics = from.array(3, |from| {
            from.skip_string()?; // topic_name
            let partitions = from.array(25, |from| partition(version, from))?;
            from.tags()?;
            Ok(partitions)
        })?;
        if version >= 2 {
            from.array(6, node)?;
        }
        from.tags()?;
        Ok(Quorum { error_code, partitions: topics.into_iter().next().unwrap_or_default() })
    }
}

fn partition(version: i16, from: &mut Reader<'_>) -> Result<QuorumPartition, Malformed> {
    from.i32()?; // partition_index
    let error_code = from.i16()?;
    if version >= 2 {
        from.skip_string()?; // error_message
    }
    let partition = QuorumPartition {
        error_code,
        leader: from.i32()?,
        leader_epoch: from.i32()?,
        high_watermark: from.i64()?,
        voters: from.array(13, |from| replica(version, from))?,
        observers: from.array(13, |from| replica(version, from))?,
    };
    from.tags()?;
    Ok(partition)
}

fn replica(version: i16, from: &mut Reader<'_>) -> Result<QuorumReplica, Malformed> {
    let id = from.i32()?;
    if version >= 2 {
        from.uuid()?; // replica_directory_id
    }
    let log_end = from.i64()?;
    let (last_fetch, last_caught_up) = if version >= 1 { (from.i64()?, from.i64()?) } else { (-1, -1) };
    from.tags()?;
    Ok(QuorumReplica { id, log_end, last_fetch, last_caught_up })
}

fn node(from: &mut Reader<'_>) -> Result<(), Malformed> {
    from.i32()?; // node_id
    from.array(5, |from| {
        from.skip_string()?; // name
        from.skip_string()?; // host
        from.i16()?; // port
        from.tags()
    })?;
    from.tags()
}
