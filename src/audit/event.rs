//! What the edges tell the ledger, and what the ledger asks them.

use serde::{Deserialize, Serialize};

use super::record::{CanaryClass, CanaryRecord, Isolation, RecordKey};
use crate::model::{BrokerId, EpochEnd, EpochSighting, LeaderEpoch, Moment, Offset, PartitionId, Reading, TopicId};

/// One thing that happened to the canary. The moment it happened travels beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The record was handed to the producer, and may be written from now on.
    Sent(RecordKey),
    /// The cluster acknowledged it (librdkafka: status Persisted). Of acks=0 only that it was written to a connection; of
    /// a transaction only that the record was appended: how that ended is [`Event::TransactionEnded`].
    Acked {
        /// Which record.
        key: RecordKey,
        /// Where; none for an ack without an offset.
        offset: Option<Offset>,
        /// Who acknowledged it, where the client tells.
        broker: Option<BrokerId>,
    },
    /// Every attempt was refused for sure: it is in no log.
    Rejected {
        /// Which record.
        key: RecordKey,
        /// Kafka's name of the refusal.
        error: String,
    },
    /// Timed out, disconnected, or an error that does not exclude an append.
    Indeterminate {
        /// Which record.
        key: RecordKey,
        /// What the client said.
        error: String,
    },
    /// A transaction ended, or is known to be lost sight of.
    TransactionEnded {
        /// The records that were sent in it.
        records: Vec<RecordKey>,
        /// How.
        end: TransactionEnd,
    },
    /// One look at the connection that a producer has to a partition's leader. From one look to the next that tells the
    /// same number the class's records of this partition went through one connection to one broker, in the order sent.
    LinkSighted {
        /// The producer's class.
        class: CanaryClass,
        /// The partition.
        partition: PartitionId,
        /// Which connection: the number changes with every connect, every disconnect, and every other leader; none
        /// while there is no connection, or while that is not known.
        link: Option<u64>,
    },
    /// The reader received it.
    Received {
        /// Which reader.
        isolation: Isolation,
        /// What it says of itself.
        record: CanaryRecord,
        /// The partition it was read from.
        partition: PartitionId,
        /// Its offset there.
        offset: Offset,
        /// The leader epoch of the batch, where the client tells.
        leader_epoch: Option<LeaderEpoch>,
    },
    /// The reader received something else.
    Unreadable {
        /// Which reader.
        isolation: Isolation,
        /// The partition it was read from.
        partition: PartitionId,
        /// Its offset there.
        offset: Offset,
        /// What it is.
        what: Unreadable,
    },
    /// The reader was set to another position: after a truncation, or because retention overtook it.
    ReaderMoved {
        /// Which reader.
        isolation: Isolation,
        /// The partition.
        partition: PartitionId,
        /// The next offset it will read.
        to: Offset,
    },
    /// The topic as the metadata shows it. Another id is another topic: what is pending in the old one is expired.
    TopicSighted {
        /// Its id.
        topic_id: TopicId,
        /// Its partitions.
        partitions: Vec<PartitionId>,
        /// When the request was about to be sent: an answer received before it was about this topic, not about its
        /// successor of the same name.
        begun: Moment,
    },
    /// What each answering broker says of the leaders, asked after the moment inside.
    EpochsSighted(Vec<EpochSighting>),
    /// An answer to [`Question::EpochEnds`], one per epoch asked for.
    EpochEndTold {
        /// Who answered: the leader of the term `current`.
        broker: BrokerId,
        /// The partition.
        partition: PartitionId,
        /// The epoch asked for.
        asked: LeaderEpoch,
        /// The epoch sent as CurrentLeaderEpoch, so that a fenced leader refuses to answer.
        current: LeaderEpoch,
        /// When the question was about to be sent.
        begun: Moment,
        /// The answer; `Read(None)` where Kafka said -1, which proves nothing.
        end: Reading<Option<EpochEnd>>,
        /// The log start, read after the epoch's end.
        log_start: Reading<Offset>,
    },
    /// An answer to [`Question::Reread`].
    RereadTold {
        /// How it was read.
        isolation: Isolation,
        /// The partition.
        partition: PartitionId,
        /// The offset asked for.
        offset: Offset,
        /// When the question was about to be sent.
        begun: Moment,
        /// The answer.
        outcome: Reread,
    },
}

/// How a transaction ended, as far as its producer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionEnd {
    /// Its commit was acknowledged.
    Committed,
    /// Its abort was acknowledged, on purpose, or after it had been left open on purpose and was fenced.
    Aborted,
    /// Nobody knows whether the commit took place.
    Unknown,
}

/// What is no canary of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// Our framing, but the checksum or a field is wrong.
    Corrupt,
    /// Not our framing, or another lineage.
    Foreign,
}

/// What a fresh connection found when it asked for one offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reread {
    /// A canary of our lineage at just that offset.
    Found {
        /// What it says of itself.
        record: CanaryRecord,
        /// The leader epoch of its batch.
        leader_epoch: Option<LeaderEpoch>,
    },
    /// Something else at just that offset.
    Other(Unreadable),
    /// The next record lies beyond it: there is none at that offset.
    Beyond {
        /// The offset that came back.
        next: Offset,
        /// The leader epoch of the batch there: it tells whose log this is.
        #[serde(default)]
        leader_epoch: Option<LeaderEpoch>,
    },
    /// The offset lies below the log start.
    BelowLogStart {
        /// The log start.
        log_start: Offset,
    },
    /// The offset lies at or beyond the end of what can be read. Proves nothing by itself.
    AtEnd {
        /// The high watermark as the fresh connection saw it.
        high_watermark: Offset,
    },
    /// No answer.
    Failed {
        /// Why.
        why: String,
    },
}

/// What the ledger wants to know before it states a verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// Where these epochs end, asked of the current leader with `current` as CurrentLeaderEpoch, and then the log start.
    EpochEnds {
        /// The partition.
        partition: PartitionId,
        /// The epochs to ask for.
        epochs: Vec<LeaderEpoch>,
        /// The highest epoch known.
        current: LeaderEpoch,
    },
    /// What lies at this offset, read on a fresh connection.
    Reread {
        /// How to read: an offset of a transaction only counts where a reader of committed records sees it.
        isolation: Isolation,
        /// The partition.
        partition: PartitionId,
        /// The offset.
        offset: Offset,
    },
}
