//! What is written in one transaction, and what a restart reads back: the same rows.

use serde::{Deserialize, Serialize};

use super::anomaly::{Anomaly, AnomalyKey};
use super::rates::{BucketRow, Correction, Span};
use super::record::{CanaryClass, Incarnation, Isolation, RecordKey};
use super::state::State;
use super::summary::Counts;
use crate::model::{BrokerId, LeaderEpoch, Offset, PartitionId, Timestamp, TopicId};

/// One place where a record was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// The partition it was read from.
    pub partition: PartitionId,
    /// Its offset there.
    pub offset: Offset,
    /// The leader epoch of its batch, where the client told it.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// The epochs between which a record was appended (`docs/verdicts.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bracket {
    /// The highest epoch sighted before it was sent; none where nothing was sighted.
    pub low: Option<LeaderEpoch>,
    /// The highest epoch it can have been appended in; none while that is not known.
    pub high: Option<LeaderEpoch>,
}

/// One record that is still tracked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// Which.
    pub key: RecordKey,
    /// Where it stands.
    pub state: State,
    /// The wall clock when it was sent.
    pub sent_at: Timestamp,
    /// The wall clock when it was acknowledged.
    pub acked_at: Option<Timestamp>,
    /// Where the ack says it is.
    pub offset: Option<Offset>,
    /// Who acknowledged it.
    pub broker: Option<BrokerId>,
    /// Between which epochs it was appended.
    pub bracket: Bracket,
    /// Where it was read.
    pub copies: Vec<Copy>,
    /// The wall clock at its first receipt.
    pub received_at: Option<Timestamp>,
    /// Its first receipt was within `deliver_within`; none before it.
    pub on_time: Option<bool>,
    /// The wall clock when it reached its present state, where that is a verdict.
    pub settled_at: Option<Timestamp>,
    /// The topic was re-created after it was sent.
    pub of_former_topic: bool,
    /// It was read again after its loss was stated.
    pub resurfaced: bool,
    /// It was seen to be lost, and not proven: only where nobody told its offset.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_observed: bool,
    /// Offset and epoch of the last record read before it was sent, where nobody told its own offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<(Offset, LeaderEpoch)>,
    /// The life of the topic that it named when it was read; none in rows of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_of: Option<TopicId>,
}

/// One class's sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Which.
    pub class: CanaryClass,
    /// When its first record of this ledger was sent.
    pub since: Timestamp,
    /// Its sums (`overdue` is a gauge and always 0 here).
    pub counts: Counts,
}

/// How far one reader has read one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRow {
    /// Which reader; rows of earlier versions know only the one of all records.
    #[serde(default)]
    pub isolation: Isolation,
    /// Which partition.
    pub partition: PartitionId,
    /// The next offset to read; none before the first.
    pub frontier: Option<Offset>,
    /// The leader epoch of the last record read.
    pub leader_epoch: Option<LeaderEpoch>,
    /// When the last round was begun in which all brokers named the topic's id: what was read later may have been read in
    /// another life of it.
    #[serde(default)]
    pub confirmed_at: Option<Timestamp>,
}

/// The sequences of one incarnation, class and partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReservationRow {
    /// Whose.
    pub incarnation: Incarnation,
    /// The class.
    pub class: CanaryClass,
    /// The partition.
    pub partition: PartitionId,
    /// All sequences below it are accounted for in rows or sums.
    pub sent_below: u64,
    /// All sequences below it may have been sent: those from `sent_below` on are indeterminate after a crash.
    pub reserved_below: u64,
}

/// One start of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncarnationRow {
    /// Its id.
    pub incarnation: Incarnation,
    /// The wall clock when it started.
    pub started_at: Timestamp,
}

/// What changed since the last call: to be written in one transaction, upserts by key, then removals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LedgerChanges {
    /// Records, by key.
    pub records: Vec<RecordRow>,
    /// Records that are no longer tracked; their sums are in `classes`.
    pub removed_records: Vec<RecordKey>,
    /// Classes, by class.
    pub classes: Vec<ClassRow>,
    /// Partitions, by isolation level and partition.
    pub partitions: Vec<PartitionRow>,
    /// Reservations, by incarnation, class and partition. On disk before any of their sequences is sent.
    pub reservations: Vec<ReservationRow>,
    /// Incarnations, by id.
    pub incarnations: Vec<IncarnationRow>,
    /// Incarnations of which nothing can be read any more: their reservations go too.
    pub removed_incarnations: Vec<Incarnation>,
    /// Anomalies, by key.
    pub anomalies: Vec<Anomaly>,
    /// Anomalies that are no longer kept.
    pub removed_anomalies: Vec<AnomalyKey>,
    /// The topic's id, where it changed.
    pub topic_id: Option<TopicId>,
    /// Buckets by send time, by class and stretch of time.
    pub buckets: Vec<BucketRow>,
    /// Buckets that were summed up in others.
    pub removed_buckets: Vec<(CanaryClass, Span)>,
    /// Corrections to final buckets, by number; only ever added.
    pub corrections: Vec<Correction>,
    /// Ids that the topic turned out to have had formerly.
    pub former_topics: Vec<TopicId>,
}

impl LedgerChanges {
    /// True when there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The rows as they were read back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedLedger {
    /// All records.
    pub records: Vec<RecordRow>,
    /// All classes.
    pub classes: Vec<ClassRow>,
    /// All partitions.
    pub partitions: Vec<PartitionRow>,
    /// All reservations.
    pub reservations: Vec<ReservationRow>,
    /// All incarnations.
    pub incarnations: Vec<IncarnationRow>,
    /// All anomalies.
    pub anomalies: Vec<Anomaly>,
    /// The topic's id, as last sighted.
    pub topic_id: Option<TopicId>,
    /// All buckets by send time.
    pub buckets: Vec<BucketRow>,
    /// The latest corrections, by number.
    pub corrections: Vec<Correction>,
    /// Ids that it had formerly: a broker that names one lags.
    pub former_topics: Vec<TopicId>,
}
