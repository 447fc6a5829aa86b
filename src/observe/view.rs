//! What one turn says of a cluster: the values that judge, store, pages and metrics share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    BrokerId, ClusterName, CommittedOffset, GroupId, GroupState, GroupType, LeaderEpoch, Member, Missing, MissingPart,
    Offset, PartitionId, Reading, Timestamp, TopicConfig, TopicId, TopicName, TopicPartition, Watermarks,
};

/// Everything derived from one snapshot.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The cluster, by our name for it.
    pub cluster: ClusterName,
    /// Kafka's own id of it.
    pub cluster_id: Reading<String>,
    /// When the turn began: the `as_of` of all that is not older.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// True when at least one broker answered Metadata.
    pub reachable: bool,
    /// True when nothing was missing.
    pub complete: bool,
    /// The brokers that are or were in the metadata.
    pub brokers: BTreeMap<BrokerId, BrokerView>,
    /// The topics; those of the last known turn when this one could not read them.
    pub topics: BTreeMap<TopicName, TopicView>,
    /// The groups.
    pub groups: BTreeMap<GroupId, GroupView>,
    /// What changed against the turn before.
    pub changes: Vec<Change>,
    /// How long the reading took.
    pub took: Duration,
    /// Requests sent, by API and outcome.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// What is missing, by part and broker.
    pub missing: Vec<MissingPart>,
    /// Readings without a value, counted by reason.
    pub unknown_readings: BTreeMap<&'static str, u64>,
}

/// Whether a broker can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokerState {
    /// It answered all it was asked in this turn.
    Answering,
    /// It is in the metadata and did not answer.
    NotAnswering(Missing),
    /// It was in the metadata once, and is not now.
    LeftMetadata,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerView {
    /// Its node id.
    pub id: BrokerId,
    /// The address it advertises.
    pub address: String,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it can be heard.
    pub state: BrokerState,
    /// Since when it answers, or does not.
    pub since: Timestamp,
    /// Partitions it leads.
    pub leads: u64,
    /// Replicas it holds.
    pub replicas: u64,
}

/// The contract's flags of a partition; several may hold together, as Kafka's own gauges do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionFlags {
    /// No leader.
    pub offline: bool,
    /// In-sync replicas below `min.insync.replicas`.
    pub under_min_isr: bool,
    /// In-sync replicas just `min.insync.replicas`, where replicas > min ISR.
    pub at_min_isr: bool,
    /// In-sync replicas fewer than replicas.
    pub under_replicated: bool,
    /// A reassignment is under way.
    pub reassigning: bool,
    /// The leader is not the first replica.
    pub leader_not_preferred: bool,
    /// The state could not be read in this turn.
    pub unknown: bool,
}

/// How many partitions have each flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionCounts {
    /// All partitions.
    pub total: u64,
    /// See [`PartitionFlags`].
    pub offline: u64,
    /// See [`PartitionFlags`].
    pub under_min_isr: u64,
    /// See [`PartitionFlags`].
    pub at_min_isr: u64,
    /// See [`PartitionFlags`].
    pub under_replicated: u64,
    /// See [`PartitionFlags`].
    pub reassigning: u64,
    /// See [`PartitionFlags`].
    pub leader_not_preferred: u64,
    /// See [`PartitionFlags`].
    pub unknown: u64,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionView {
    /// Its index.
    pub partition: PartitionId,
    /// Its leader.
    pub leader: Option<BrokerId>,
    /// The leader's term.
    pub leader_epoch: Option<LeaderEpoch>,
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub in_sync: Vec<BrokerId>,
    /// Those offline.
    pub offline_replicas: Vec<BrokerId>,
    /// Its state.
    pub flags: PartitionFlags,
    /// The ends of its log in this turn.
    pub watermarks: Watermarks,
    /// The last high watermark that was read and when: shown, with its age, while the current one is unknown.
    pub last_high_watermark: Option<(Offset, Timestamp)>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Its name.
    pub name: TopicName,
    /// Its id.
    pub id: Option<TopicId>,
    /// True for Kafka's own topics.
    pub internal: bool,
    /// Its settings.
    pub config: Reading<TopicConfig>,
    /// Its partitions.
    pub partitions: BTreeMap<PartitionId, PartitionView>,
    /// Why its partitions are not those of this turn, if so.
    pub unknown: Option<Missing>,
    /// When its metadata was read.
    pub as_of: Timestamp,
}

/// How far a group is behind on one partition (`docs/verdicts.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lag {
    /// Records between the commit and the high watermark; 0 is caught up.
    Behind(u64),
    /// The commit lies below the log start: `lost` records are gone unread, `behind` can still be read.
    Expired {
        /// Records from the log start to the high watermark.
        behind: u64,
        /// Records from the commit to the log start.
        lost: u64,
    },
    /// The commit lies so many offsets beyond the high watermark. Commits are read before high watermarks, so this
    /// is no race.
    Ahead(u64),
    /// The commit's leader epoch ends so many offsets before it: so many new records will be skipped, or read twice,
    /// once the log has regrown.
    Stranded {
        /// commit - end of its epoch.
        skip: u64,
        /// Where the commit's epoch really ends.
        epoch_end: Offset,
    },
    /// The group never committed here.
    Uncommitted,
    /// One side was not read.
    Unknown(Missing),
}

impl Lag {
    /// The contract's word.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::Behind(0) => "caught_up",
            Self::Behind(_) => "behind",
            Self::Expired { .. } => "expired",
            Self::Ahead(_) => "ahead",
            Self::Stranded { .. } => "stranded",
            Self::Uncommitted => "uncommitted",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Records to be read, where that is known.
    #[must_use]
    pub fn records(&self) -> Option<u64> {
        match self {
            Self::Behind(records) | Self::Expired { behind: records, .. } => Some(*records),
            Self::Ahead(_) | Self::Stranded { .. } | Self::Uncommitted | Self::Unknown(_) => None,
        }
    }
}

/// How old the oldest unread record is: a bracket from the history of high watermarks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum TimeLag {
    /// Nothing is unread.
    CaughtUp,
    /// The first unread record was appended between two readings: so many seconds ago, at least and at most.
    Between {
        /// Seconds since the reading that first showed it.
        low: f64,
        /// Seconds since the reading before that.
        high: f64,
    },
    /// It was there at our first reading already: at least so many seconds.
    AtLeast(f64),
    /// Not known.
    Unknown,
}

/// The contract's verdict on a group; the order is from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupVerdict {
    /// A commit's epoch ends before it.
    Stranded,
    /// Retention removed records before they were read.
    LosingToRetention,
    /// A commit lies beyond the log.
    AheadOfLog,
    /// A commit went back.
    Rewound,
    /// Lag, and no commit for longer than the window.
    Stopped,
    /// Commits that do not advance, and lag.
    Stalled,
    /// Lag grows over the window.
    FallingBehind,
    /// At the last stable offset, below the high watermark.
    BlockedByTransaction,
    /// Commits left on topics no member owns.
    Abandoned,
    /// Members, but no commits: offsets are kept elsewhere, or it is a share group.
    NotMeasurable,
    /// Something was not read.
    Unknown,
    /// Nothing of the above.
    Ok,
}

impl GroupVerdict {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stranded => "stranded",
            Self::LosingToRetention => "losing_to_retention",
            Self::AheadOfLog => "ahead_of_log",
            Self::Rewound => "rewound",
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
            Self::FallingBehind => "falling_behind",
            Self::BlockedByTransaction => "blocked_by_transaction",
            Self::Abandoned => "abandoned",
            Self::NotMeasurable => "not_measurable",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

/// One partition of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupPartitionView {
    /// Which partition.
    pub at: TopicPartition,
    /// The topic's id in this turn.
    pub topic_id: Option<TopicId>,
    /// What the group committed; `None` is "never".
    pub committed: Reading<Option<CommittedOffset>>,
    /// The ends of the log.
    pub watermarks: Watermarks,
    /// How far behind.
    pub lag: Lag,
    /// How old the oldest unread record is.
    pub time_lag: TimeLag,
    /// The member that owns it.
    pub owner: Option<Arc<Member>>,
}

/// One group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupView {
    /// Its id.
    pub group: GroupId,
    /// Its protocol.
    pub group_type: GroupType,
    /// Its state, or why it is not known.
    pub state: Reading<GroupState>,
    /// Its members, or why they are not known.
    pub members: Reading<Vec<Arc<Member>>>,
    /// The verdict.
    pub verdict: GroupVerdict,
    /// The sum of lag over known partitions; none when no partition is known.
    pub lag_records: Option<u64>,
    /// True when no partition is unknown: else the sum is "at least".
    pub lag_records_exact: bool,
    /// The worst time lag.
    pub time_lag: TimeLag,
    /// Partitions whose lag is unknown.
    pub partitions_unknown: u64,
    /// Partitions that are assigned and have no commit.
    pub partitions_without_commit: u64,
    /// When we last saw a commit of it change.
    pub last_commit_seen: Option<Timestamp>,
    /// When its commits were read; of an unknown group, when they last were.
    pub as_of: Timestamp,
    /// Its partitions.
    pub partitions: Vec<GroupPartitionView>,
}

/// Something that is different from the turn before.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Another leader or term.
    LeaderMoved {
        /// The partition.
        at: TopicPartition,
        /// The topic's id.
        topic_id: Option<TopicId>,
        /// Leader before.
        from: Option<BrokerId>,
        /// Leader now.
        to: Option<BrokerId>,
        /// Term before.
        epoch_before: LeaderEpoch,
        /// Term now.
        epoch_now: LeaderEpoch,
        /// In-sync replicas before.
        in_sync_before: Vec<BrokerId>,
        /// In-sync replicas now.
        in_sync_now: Vec<BrokerId>,
    },
    /// The same name, another topic id.
    TopicRecreated {
        /// The name.
        topic: TopicName,
        /// The id before.
        id_before: TopicId,
        /// The id now.
        id_now: TopicId,
    },
    /// A commit went back, and a second read by the group's own coordinator agrees.
    CommitRewound {
        /// The group.
        group: GroupId,
        /// The partition.
        at: TopicPartition,
        /// The topic's id.
        topic_id: Option<TopicId>,
        /// The commit before.
        from: CommittedOffset,
        /// The commit now.
        to: CommittedOffset,
        /// When the commit before was read.
        from_read_at: Timestamp,
        /// When the commit now was read.
        to_read_at: Timestamp,
        /// The broker that leads the group's partition of `__consumer_offsets` and answered the second read.
        coordinator: Option<BrokerId>,
        /// True when the group had no members then: an operator's reset.
        group_was_empty: bool,
    },
}
