//! The canary record: who it is, and how it travels.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{PartitionId, Timestamp, TopicId};

/// What a class of canaries is a statement on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryClass {
    /// acks=0.
    Acks0,
    /// acks=1.
    Acks1,
    /// acks=all without idempotence, several requests in flight.
    All,
    /// acks=all with idempotence.
    Idempotent,
    /// Transactions, read with `read_committed`.
    Transactional,
}

impl CanaryClass {
    /// All of the contract.
    pub const ALL: &'static [Self] = &[Self::Acks0, Self::Acks1, Self::All, Self::Idempotent, Self::Transactional];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acks0 => "acks0",
            Self::Acks1 => "acks1",
            Self::All => "all",
            Self::Idempotent => "idempotent",
            Self::Transactional => "transactional",
        }
    }

    /// The class the word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == word)
    }
}

impl fmt::Display for CanaryClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a reader may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Every record up to the high watermark.
    #[default]
    ReadUncommitted,
    /// Records of committed transactions, up to the last stable offset.
    ReadCommitted,
}

impl Isolation {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::ReadUncommitted, Self::ReadCommitted];

    /// How the records of a class are read.
    #[must_use]
    pub fn of(class: CanaryClass) -> Self {
        match class {
            CanaryClass::Acks0 | CanaryClass::Acks1 | CanaryClass::All | CanaryClass::Idempotent => {
                Self::ReadUncommitted
            }
            CanaryClass::Transactional => Self::ReadCommitted,
        }
    }

    /// Kafka's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// 128 random bits drawn once per installation and cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lineage(pub [u8; 16]);

/// 64 random bits drawn at every start. A counter would repeat after a restored database and make false duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// A record within one incarnation: dense by class and partition, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// Which start of the daemon sent it.
    pub incarnation: Incarnation,
    /// Its class.
    pub class: CanaryClass,
    /// The partition it was sent to.
    pub partition: PartitionId,
    /// Its number, from 0.
    pub sequence: u64,
}

/// What a canary record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryRecord {
    /// The life of the topic it was sent to.
    pub topic_id: TopicId,
    /// The installation that sent it.
    pub lineage: Lineage,
    /// Which record it is.
    pub key: RecordKey,
    /// The wall clock at send time, for display only.
    pub sent_at: Timestamp,
}
