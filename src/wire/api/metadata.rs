//! Metadata: brokers, topics, leaders and replicas.

use std::ops::RangeInclusive;

use super::Request;
use crate::wire::codec::{Malformed, Reader, Writer};

/// Asks for the topology, never creating a topic by asking.
#[derive(Clone, Debug)]
pub(crate) enum Metadata {
    /// Of all topics we may see.
    AllTopics,
    /// Of one topic.
    Topic(String),
    /// Of these topics.
    Topics(Vec<String>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) brokers: Vec<Node>,
    pub(crate) cluster_id: Option<String>,
    pub(crate) controller: i32,
    pub(crate) topics: Vec<TopicLeaders>,
    pub(crate) error_code: i16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicLeaders {
    pub(crate) error_code: i16,
    /// None when a topic was asked for by an id that is not known.
    pub(crate) name: Option<String>,
    /// All zeroes before version 10.
    pub(crate) id: [u8; 16],
    pub(crate) internal: bool,
    pub(crate) partitions: Vec<PartitionLeader>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartitionLeader {
    pub(crate) error_code: i16,
    pub(crate) index: i32,
    /// -1 for none.
    pub(crate) leader: i32,
    /// -1 before version 7.
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
    pub(crate) offline: Vec<i32>,
}

impl Request for Metadata {
    const KEY: i16 = 3;
    const NAME: &'static str = "Metadata";
    const VERSIONS: RangeInclusive<i16> = 1..=13;
    const FLEXIBLE_FROM: i16 = 9;
    const THROTTLE_FROM: Option<i16> = Some(3);
    type Response = Topology;

    fn write(&self, version: i16, to: &mut Writer) {
        let by_name = |to: &mut Writer, name: &String| {
            if version >= 10 {
                to.uuid([0; 16]);
            }
            to.string(name);
            to.tags();
        };
        match self {
            Self::AllTopics => to.null_array(),
            Self::Topic(name) => to.array(std::slice::from_ref(name), by_name),
            Self::Topics(names) => to.array(names, by_name),
        }
        if version >= 4 {
            to.bool(false); // allow_auto_topic_creation
        }
        if (8..=10).contains(&version) {
            to.bool(false); // include_cluster_authorized_operations
        }
        if version >= 8 {
            to.bool(false); // include_topic_authorized_operations
        }
        to.tags();
    }

    fn read(version: i16, from: &mut Reader<'_>) -> Result<Topology, Malformed> {
        if version >= 3 {
            from.i32()?; // throttle_time_ms
        }
        let brokers = from.array(10, |from| {
            let node = Node { id: from.i32()?, host: from.string()?, port: from.i32()?, rack: from.nullable_string()? };
            from.tags()?;
            Ok(node)
        })?;
        let cluster_id = if version >= 2 { from.nullable_string()? } else { None };
        let controller = from.i32()?;
        let topics = from.array(5, |from| topic(version, from))?;
        if (8..=10).contains(&version) {
            from.i32()?; // cluster_authorized_operations
        }
        let error_code = if version >= 13 { from.i16()? } else { 0 };
        from.tags()?;
        Ok(Topology { brokers, cluster_id, controller, topics, error_code })
    }
}

fn topic(version: i16, from: &mut Reader<'_>) -> Result<TopicLeaders, Malformed> {
    let topic = TopicLeaders {
        error_code: from.i16()?,
        name: if version >= 12 { from.nullable_string()? } else { Some(from.string()?) },
        id: if version >= 10 { from.uuid()? } else { [0; 16] },
        internal: from.bool()?,
        partitions: from.array(12, |from| partition(version, from))?,
    };
    if version >= 8 {
        from.i32()?; // topic_authorized_operations
    }
    from.tags()?;
    Ok(topic)
}

fn partition(version: i16, from: &mut Reader<'_>) -> Result<PartitionLeader, Malformed> {
    let partition = PartitionLeader {
        error_code: from.i16()?,
        index: from.i32()?,
        leader: from.i32()?,
        leader_epoch: if version >= 7 { from.i32()? } else { -1 },
        replicas: from.i32s()?,
        in_sync: from.i32s()?,
        offline: if version >= 5 { from.i32s()? } else { Vec::new() },
    };
    from.tags()?;
    Ok(partition)
}
