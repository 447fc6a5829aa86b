//! What a cluster says of itself beyond what each turn reads: disks, controllers, transactions, moves of replicas.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ids::{BrokerId, PartitionId, TopicPartition};
use super::offset::{LeaderEpoch, Offset};
use super::reading::Reading;
use super::time::Timestamp;
use super::topology::Broker;

/// A log directory of one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogDirectory {
    /// Its absolute path on the broker's machine: any string.
    pub path: String,
    /// The replicas in it; missing where the directory is offline.
    pub replicas: Reading<Vec<StoredReplica>>,
    /// Bytes of the volume it is on; none where the broker does not say (before Kafka 3.3).
    pub total_bytes: Option<u64>,
    /// Bytes of that volume that are free; none where the broker does not say.
    pub usable_bytes: Option<u64>,
    /// True when it takes no new replicas (KIP-1066).
    pub cordoned: bool,
}

/// One replica in a log directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReplica {
    /// Its partition.
    pub at: TopicPartition,
    /// Bytes of its segments; none where the broker does not know.
    pub bytes: Option<u64>,
    /// How many offsets its log end is behind the high watermark or, for a future replica, behind the one it replaces.
    pub offset_lag: i64,
    /// True while it is copied here from another directory of the broker.
    pub future: bool,
}

/// A broker as the controller has it registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredBroker {
    /// Who and where it is.
    pub broker: Broker,
    /// True when the controller lets it lead and serve nothing; none where the cluster does not say, and then fenced
    /// brokers are not listed at all (before Kafka 4.0).
    pub fenced: Option<bool>,
}

/// The controllers' own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// The active controller; none while there is none.
    pub leader: Option<BrokerId>,
    /// Its term.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The high watermark of the metadata log.
    pub high_watermark: Option<Offset>,
    /// The controllers that vote.
    pub voters: Vec<QuorumReplica>,
    /// Brokers, and controllers that do not vote.
    pub observers: Vec<QuorumReplica>,
}

/// One replica of the controllers' log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumReplica {
    /// Whose it is.
    pub id: BrokerId,
    /// Its log end offset; none when the leader does not know it.
    pub log_end: Option<Offset>,
    /// When it last fetched, by the leader's clock; none for the leader itself and when not known.
    pub last_fetch: Option<Timestamp>,
    /// When what it last had was the leader's log end; none when not known.
    pub last_caught_up: Option<Timestamp>,
}

/// A producer that a leader keeps the state of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveProducer {
    /// Kafka's id of it.
    pub producer_id: i64,
    /// Its epoch: the higher one fences the lower.
    pub producer_epoch: i32,
    /// The sequence of its last record in the partition; none for a producer that wrote only markers.
    pub last_sequence: Option<i32>,
    /// When it last wrote, by its own clock or the broker's.
    pub last_write: Option<Timestamp>,
    /// Where its open transaction begins in the partition: the last stable offset cannot pass it.
    pub transaction_start: Option<Offset>,
}

/// A transactional id as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTransaction {
    /// The transactional id: any string.
    pub id: String,
    /// The producer that has it.
    pub producer_id: i64,
    /// Kafka's name of its state, such as `Ongoing`.
    pub state: String,
}

/// A transaction as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The transactional id: any string.
    pub id: String,
    /// Kafka's name of its state.
    pub state: String,
    /// After how long the coordinator aborts it.
    pub timeout: Duration,
    /// When it began, by the coordinator's clock; none while none is open.
    pub started: Option<Timestamp>,
    /// The producer that has it.
    pub producer_id: i64,
    /// That producer's epoch.
    pub producer_epoch: i16,
    /// Its partitions; while it is being ended, those still without a marker.
    pub partitions: Vec<TopicPartition>,
}

/// A partition whose replicas are being moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassignment {
    /// The partition.
    pub at: TopicPartition,
    /// All its replicas now, those to come included.
    pub replicas: Vec<BrokerId>,
    /// Those to come.
    pub adding: Vec<BrokerId>,
    /// Those to go.
    pub removing: Vec<BrokerId>,
}

/// Who may lead a partition without losing a record (KIP-966).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EligibleLeaders {
    /// The partition of its topic.
    pub partition: PartitionId,
    /// The leader; none while there is none.
    pub leader: Option<BrokerId>,
    /// Its term.
    pub leader_epoch: Option<LeaderEpoch>,
    /// The in-sync replicas.
    pub in_sync: Vec<BrokerId>,
    /// Replicas out of sync that still have every committed record; none where the cluster does not keep them.
    pub eligible: Option<Vec<BrokerId>>,
    /// Who was eligible last, before an unclean shutdown; none where the cluster does not keep them.
    pub last_known_eligible: Option<Vec<BrokerId>>,
}
