//! What Metadata and DescribeConfigs say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{BrokerId, PartitionId, TopicId, TopicName};
use super::offset::LeaderEpoch;
use super::reading::Reading;

/// A broker as Metadata names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// Its node id.
    pub id: BrokerId,
    /// The host it advertises: any string.
    pub host: String,
    /// The port it advertises.
    pub port: u16,
    /// Its rack, where configured.
    pub rack: Option<String>,
}

/// A partition as Metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its index.
    pub id: PartitionId,
    /// Its leader; none while it is offline.
    pub leader: Option<BrokerId>,
    /// The leader's term, where the broker tells it (Metadata 7 and later).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Where its replicas are to be, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas that are in sync.
    pub in_sync: Vec<BrokerId>,
    /// Replicas on brokers or disks that are gone.
    pub offline_replicas: Vec<BrokerId>,
}

/// The settings of a topic that decide what may be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicConfig {
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<u32>,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: Option<bool>,
    /// `cleanup.policy`, as text.
    pub cleanup_policy: Option<String>,
    /// `retention.ms`; -1 is no limit by time.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` of one partition; -1 is no limit by size.
    pub retention_bytes: Option<i64>,
    /// `max.message.bytes`: the largest batch that is taken, after compression.
    pub max_message_bytes: Option<i64>,
    /// `message.timestamp.type`, as text.
    pub message_timestamp_type: Option<String>,
}

/// A topic as Metadata shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: TopicName,
    /// Its id; none from brokers before 2.8.
    pub id: Option<TopicId>,
    /// True for Kafka's own topics.
    pub internal: bool,
    /// Its partitions, or why they are not known.
    pub partitions: Reading<BTreeMap<PartitionId, Partition>>,
    /// Its settings; kept from an earlier turn when not asked for in this one.
    pub config: Reading<TopicConfig>,
}
