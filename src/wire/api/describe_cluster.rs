//! DescribeCluster: the brokers, fenced ones included.

use std::ops::RangeInclusive;

use super::Request;
use super::metadata::Node;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for the brokers of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct DescribeCluster;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) error_code: i16,
    pub(crate) cluster_id: String,
    /// Some broker under KRaft, not the active controller.
    pub(crate) controller: i32,
    /// Each with whether it is fenced; version 2 says so, and only then are fenced brokers listed at all.
    pub(crate) brokers: Vec<(Node, Option<bool>)>,
}

impl Request for DescribeCluster {
    const KEY: i16 = 60;
    const NAME: &'static str = "DescribeCluster";
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const FLEXIBLE_FROM: i16 = 0;
    type Response = Described;

    fn write(&self, version: i16, to: &mut Writer) {
        to.bool(false); // include_cluster_authorized_operations
        if version >= 1 {
            to.i8(1); // endpoint_type: brokers
        }
        if version >= 2 {
            to.bool(true); // include_fenced_brokers
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Described, Malformed> {
        from.i32()?; // throttle_time_ms
        let error_code = from.i16()?;
        from.skip_string()?; // error_message
        if version >= 1 {
            from.i8()?; // endpoint_type
        }
        let cluster_id = from.string()?;
        let controller = from.i32()?;
        let brokers = from.array(11, |from| {
            let node = Node { id: from.i32()?, host: from.string()?, port: from.i32()?, rack: from.nullable_string()? };
            let fenced = if version >= 2 { Some(from.bool()?) } else { None };
            from.tags()?;
            Ok((node, fenced))
        })?;
        from.i32()?; // cluster_authorized_operations
        from.tags()?;
        Ok(Described { error_code, cluster_id, controller, brokers })
    }
}
