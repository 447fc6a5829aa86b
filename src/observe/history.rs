//! What earlier turns leave behind: a bounded value per cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use super::brokers::BrokerTrack;
use super::topics::TopicTrack;
use super::watch::GroupTrack;
use crate::model::{
    BrokerId, GroupId, LeaderEpoch, Offset, PartitionId, Timestamp, TopicId, TopicName, TopicPartition,
};

/// How groups are judged, and how much is remembered for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A group that has lag and commits nothing for longer than this is stopped; trends are judged over it.
    pub window: Duration,
    /// Fewer records behind than this are never `stopped` or `stalled`: the marker of a transaction occupies an offset
    /// that no reader commits.
    pub stopped_min_lag: u64,
    /// Fewer records behind than this, or fewer gained over the window, are never `falling_behind`.
    pub falling_behind_min_lag: u64,
    /// An oldest unread record younger than this is never `falling_behind`.
    pub falling_behind_min_age: Duration,
    /// A pause between two turns counts as at most so much watching: what happened in it was not seen, and a wall
    /// clock set forward by an hour is no hour without commits.
    pub longest_gap: Duration,
    /// High watermarks kept per partition: all of the latest half, and ever fewer of what is older. With 63 the age of a
    /// record is known to a sixteenth or so of itself, and a partition takes a kibibyte and a half.
    pub high_watermark_points: usize,
    /// A broker that left the metadata and has no replica placed on it is forgotten after this.
    pub forget_brokers_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            stopped_min_lag: 2,
            falling_behind_min_lag: 100,
            falling_behind_min_age: Duration::from_secs(60),
            longest_gap: Duration::from_secs(120),
            high_watermark_points: 63,
            forget_brokers_after: Duration::from_secs(900),
        }
    }
}

impl Options {
    /// What is wrong with them, each with its key and remedy.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.window.is_zero() {
            problems.push("window: must be longer than 0 s; 5 m is the default".to_owned());
        }
        if self.stopped_min_lag == 0 {
            problems.push("stopped_min_lag: must be 1 or more, a group without lag is not stopped".to_owned());
        }
        if self.longest_gap.is_zero() {
            problems.push("longest_gap: must be longer than poll.every".to_owned());
        }
        if self.high_watermark_points < 8 {
            problems.push("high_watermark_points: must be 8 or more".to_owned());
        }
        problems
    }
}

/// A high watermark of an earlier run of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HighWatermarkPoint {
    /// The life of the topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionId,
    /// When it was read.
    pub at: Timestamp,
    /// What was read.
    pub high_watermark: Offset,
    /// The leader epoch it was read in, where kept.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A commit of an earlier run of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPoint {
    /// The group.
    pub group: GroupId,
    /// The life of the topic.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionId,
    /// When it was read.
    pub at: Timestamp,
    /// What was read.
    pub offset: Offset,
    /// The leader epoch the client committed, where it did.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// What the store kept of an earlier run; in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The last known id of each topic name: so that a re-creation while the daemon was down is told.
    pub topics: Vec<(TopicName, TopicId)>,
    /// High watermarks.
    pub high_watermarks: Vec<HighWatermarkPoint>,
    /// Commits.
    pub commits: Vec<CommitPoint>,
}

/// Points of an earlier run that wait for the first turn that names their topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seeds {
    pub(crate) high_watermarks: BTreeMap<(TopicId, PartitionId), Vec<HighWatermarkPoint>>,
    pub(crate) commits: BTreeMap<GroupId, BTreeMap<(TopicId, PartitionId), Vec<CommitPoint>>>,
}

/// What is remembered of one cluster from turn to turn.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) options: Options,
    pub(crate) topics: BTreeMap<TopicName, TopicTrack>,
    pub(crate) groups: BTreeMap<GroupId, GroupTrack>,
    pub(crate) brokers: BTreeMap<BrokerId, BrokerTrack>,
    pub(crate) questions: Vec<(TopicPartition, LeaderEpoch)>,
    pub(crate) seeds: Seeds,
}

impl History {
    /// The history of a cluster that was never read.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            brokers: BTreeMap::new(),
            questions: Vec::new(),
            seeds: Seeds::default(),
        }
    }

    /// Goes on from what an earlier run kept. To be called before the first turn.
    pub fn restore(&mut self, points: Restored) {
        for (name, id) in points.topics {
            self.topics.entry(name).or_default().id = Some(id);
        }
        let seeds = &mut self.seeds;
        for point in points.high_watermarks {
            seeds.high_watermarks.entry((point.topic_id, point.partition)).or_default().push(point);
        }
        for point in points.commits {
            let of_group = seeds.commits.entry(point.group.clone()).or_default();
            of_group.entry((point.topic_id, point.partition)).or_default().push(point);
        }
        for points in seeds.high_watermarks.values_mut() {
            points.sort_by_key(|point| point.at);
        }
        for points in seeds.commits.values_mut().flat_map(BTreeMap::values_mut) {
            points.sort_by_key(|point| point.at);
        }
    }

    /// The ends of epochs to ask for in the next turn, beside those that the commits themselves name: for commits
    /// without a leader epoch the one in which our history shows them, and what decides whether a commit that went
    /// back was truncated. Each once.
    #[must_use]
    pub fn questions(&self) -> Vec<(TopicPartition, LeaderEpoch)> {
        self.questions.clone()
    }
}
