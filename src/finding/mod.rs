//! What is open, what is closed, and what proves it.

mod blind;
mod book;
mod brokers;
pub mod budget;
pub mod canary;
mod draft;
mod groups;
mod judge;
pub mod kind;
mod partitions;
mod placement;
mod readers;
mod shell;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use book::{FindingBook, Options as BookOptions};
pub use draft::{Draft, Judged, Unknown};
pub use judge::{Options as JudgeOptions, judge};
pub use kind::{Grade, Kind, Nature, Severity};
pub use placement::{COVERAGE, CanaryNeeds, Placement, placement};
pub use readers::{BlindReaders, ReaderSights};

use crate::model::{BrokerId, ClusterName, GroupId, MemberId, PartitionId, Timestamp, TopicId, TopicName};

/// How to read [`Finding::count`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountIs {
    /// Exactly so many.
    Exact,
    /// So many or more.
    AtLeast,
    /// So many or fewer.
    AtMost,
}

/// Open or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingState {
    /// It holds, or happened less than the hold ago.
    Open,
    /// It is over.
    Closed,
}

/// Whom a finding is about. What does not apply is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The group.
    pub group: Option<GroupId>,
    /// The topic.
    pub topic: Option<TopicName>,
    /// The topic's id.
    pub topic_id: Option<TopicId>,
    /// The partition.
    pub partition: Option<PartitionId>,
    /// The broker.
    pub broker: Option<BrokerId>,
    /// The member.
    pub member_id: Option<MemberId>,
    /// The transactional id.
    pub transactional_id: Option<String>,
    /// The canary class, by its word.
    pub canary_class: Option<String>,
}

/// A finding of the contract; its JSON is this struct's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Unique over all time; safe in a URL.
    pub id: String,
    /// Stable over re-openings: cluster, kind and subject.
    pub key: String,
    /// What was found.
    pub kind: Kind,
    /// How sure.
    pub grade: Grade,
    /// How urgent.
    pub severity: Severity,
    /// Whether it holds or happened.
    pub nature: Nature,
    /// Open or closed.
    pub state: FindingState,
    /// The cluster.
    pub cluster: ClusterName,
    /// Whom it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// How many records, offsets or things; absent where there is nothing to count.
    pub count: Option<u64>,
    /// How to read the count.
    pub count_is: CountIs,
    /// When it was first seen.
    pub opened_at: Timestamp,
    /// When it was last seen.
    pub last_seen_at: Timestamp,
    /// When it closed.
    pub closed_at: Option<Timestamp>,
    /// One sentence, with the numbers.
    pub summary: String,
    /// What to do.
    pub advice: String,
    /// Offsets, epochs, in-sync replicas, times: an object.
    pub evidence: serde_json::Value,
    /// Commands of Kafka's own tools that show it.
    pub verify: Vec<String>,
}
