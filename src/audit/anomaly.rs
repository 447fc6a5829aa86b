//! What the ledger states beyond its sums: the material of findings, with the evidence of each record.

use serde::{Deserialize, Serialize};

use super::event::Reread;
use super::record::{CanaryClass, Isolation, RecordKey};
use super::saved::{Bracket, Copy};
use crate::model::{BrokerId, EpochEnd, LeaderEpoch, Offset, PartitionId, Timestamp, TopicId};

/// What happened to the records of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// Acknowledged, and proven to be gone unread.
    Lost,
    /// Written without acknowledgement, and not there where it would have to be, as far as can be seen without proof.
    LostObserved,
    /// Read, and later proven to be gone.
    TruncatedAfterDelivery,
    /// Read at more than one offset.
    Duplicated,
    /// Behind a later record of the same sender, in the order of offsets.
    Reordered,
    /// Refused for sure, and read.
    Phantom,
    /// Of an aborted transaction, and read as if it had been committed.
    AbortedVisible,
    /// Skipped by our own reader: a fresh connection found it.
    ConsumerSkipped,
    /// Acknowledged at an offset that its sender's earlier record, or any other, had been acknowledged at or beyond.
    AckRegression,
}

/// Which anomaly: there is one per kind, class, partition, topic id and leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AnomalyKey {
    /// What happened.
    pub kind: AnomalyKind,
    /// The class of the records.
    pub class: CanaryClass,
    /// Their partition.
    pub partition: PartitionId,
    /// The life of the topic; none where it was never sighted.
    pub topic_id: Option<TopicId>,
    /// The epoch they were written in: exact where one was read, else the highest sighted before the send.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// An answer to OffsetForLeaderEpoch, with its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochAnswer {
    /// Who answered; none in rows of earlier versions.
    #[serde(default)]
    pub broker: Option<BrokerId>,
    /// The epoch asked for.
    pub asked: LeaderEpoch,
    /// The epoch of the leader that answered (sent as CurrentLeaderEpoch, so no other answers).
    pub current: LeaderEpoch,
    /// What it answered.
    pub end: EpochEnd,
    /// The log start it told afterwards.
    pub log_start: Offset,
    /// The wall clock when the answer was in.
    pub told_at: Timestamp,
}

/// Why one record is part of the anomaly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordEvidence {
    /// Which record.
    pub key: RecordKey,
    /// Its offset: of the ack, or of the copy that is the anomaly; none where it was acknowledged without one.
    pub offset: Option<Offset>,
    /// The wall clock when it was sent.
    pub sent_at: Timestamp,
    /// The wall clock when it was acknowledged.
    pub acked_at: Option<Timestamp>,
    /// Who acknowledged it.
    pub broker: Option<BrokerId>,
    /// Between which epochs it was appended.
    pub bracket: Bracket,
    /// Who leads the partition now, by the highest epoch sighted.
    pub leader: Option<BrokerId>,
    /// What OffsetForLeaderEpoch proved.
    pub epoch_answer: Option<EpochAnswer>,
    /// What a fresh connection found at the offset.
    pub reread: Option<Reread>,
    /// All offsets it was read at.
    pub read_at: Vec<Offset>,
    /// Whose view it was judged by; rows of earlier versions know only the one of all records.
    #[serde(default)]
    pub isolation: Isolation,
    /// All places it was read at, also those in other partitions.
    #[serde(default)]
    pub copies: Vec<Copy>,
    /// The other record that makes it an anomaly: the one it came behind, or that was acknowledged first.
    #[serde(default)]
    pub beside: Option<Beside>,
    /// Where it was searched for, where it has no offset.
    #[serde(default)]
    pub searched: Option<Searched>,
}

/// Another record, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// Which.
    pub key: RecordKey,
    /// The offset it was read or acknowledged at.
    pub offset: Offset,
}

/// The search for a record whose offset nobody told: it would have to be at one of these, and is at none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Searched {
    /// What limits it.
    pub by: SearchedBy,
    /// The first offset it could be at.
    pub from: Offset,
    /// The first offset behind it that it cannot be at.
    pub to: Offset,
    /// The epochs it can have been appended in.
    pub epochs: Bracket,
    /// How many of these offsets a fresh connection was asked for; our reader had received other records at the rest.
    pub reread: u64,
}

/// What limits the offsets that a record without one can be at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchedBy {
    /// A later record went through the same connection and was read: what came before it lies before it.
    SameConnection,
    /// The leader said where the last epoch ends that it can have been appended in.
    LaterEpoch,
    /// Its connection was closed, and a record sent after that was read: no proof, but what can be seen.
    ClosedConnection,
}

/// The records of one kind, class, partition and leader epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Which.
    pub key: AnomalyKey,
    /// How many records (of `Duplicated`: extra copies).
    pub count: u64,
    /// Their offsets where they have one, sorted; at most [`Anomaly::OFFSETS_KEPT`].
    pub offsets: Vec<Offset>,
    /// The log end (or, where only that is known, the highest offset read, plus one) when it was last extended.
    pub log_end: Option<Offset>,
    /// The evidence of the first [`Anomaly::RECORDS_KEPT`] records.
    pub records: Vec<RecordEvidence>,
    /// How many of the records were read again afterwards.
    pub resurfaced: u64,
    /// When its first record was stated.
    pub first_at: Timestamp,
    /// When its latest record was stated.
    pub last_at: Timestamp,
}

impl Anomaly {
    /// So many offsets are listed; `count` goes on.
    pub const OFFSETS_KEPT: usize = 10_000;
    /// So many records keep their evidence.
    pub const RECORDS_KEPT: usize = 100;

    pub(super) fn new(key: AnomalyKey, at: Timestamp) -> Self {
        Self {
            key,
            count: 0,
            offsets: Vec::new(),
            log_end: None,
            records: Vec::new(),
            resurfaced: 0,
            first_at: at,
            last_at: at,
        }
    }

    pub(super) fn add(&mut self, evidence: RecordEvidence, log_end: Option<Offset>, at: Timestamp) {
        self.count += 1;
        self.last_at = at;
        self.log_end = log_end.or(self.log_end);
        if let Some(at) = evidence.offset.filter(|_| self.offsets.len() < Self::OFFSETS_KEPT) {
            let place = self.offsets.partition_point(|offset| *offset <= at);
            self.offsets.insert(place, at);
        }
        if self.records.len() < Self::RECORDS_KEPT {
            self.records.push(evidence);
        }
    }

    /// The evidence as the contract shows it: `offset`, `leader_epoch` and `log_end` are always there.
    #[must_use]
    pub fn evidence(&self) -> serde_json::Value {
        let list = match self.key.kind {
            AnomalyKind::Lost | AnomalyKind::LostObserved | AnomalyKind::TruncatedAfterDelivery => "lost_offsets",
            AnomalyKind::Duplicated => "duplicate_offsets",
            AnomalyKind::Reordered
            | AnomalyKind::Phantom
            | AnomalyKind::AbortedVisible
            | AnomalyKind::ConsumerSkipped
            | AnomalyKind::AckRegression => "offsets",
        };
        // Of what was acknowledged without an offset, the first one it could have been at.
        let searched = || self.records.iter().filter_map(|record| Some(record.searched?.from)).min();
        let mut object = serde_json::json!({
            "offset": self.offsets.first().copied().or_else(searched),
            "leader_epoch": self.key.leader_epoch,
            "log_end": self.log_end,
            "topic_id": self.key.topic_id,
            "resurfaced": self.resurfaced,
            "records": self.records,
        });
        object[list] = serde_json::json!(self.offsets);
        object
    }
}
