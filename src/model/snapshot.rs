//! One reading of one cluster: what was read in one turn, in the order that makes a race into evidence.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::group::ConsumerGroup;
use super::ids::{BrokerId, ClusterName, GroupId, PartitionId, TopicId, TopicName, TopicPartition};
use super::offset::{EpochEnd, LeaderEpoch, Watermarks};
use super::reading::{Missing, Reading};
use super::time::{Moment, Timestamp};
use super::topology::{Broker, Topic};

/// Begin and end of one part of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadSpan {
    /// When the first request of the part was about to be sent.
    pub started: Timestamp,
    /// When its last answer was in.
    pub finished: Timestamp,
}

/// A part of the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Brokers, topics, leaders, replicas.
    Metadata,
    /// Which groups there are.
    GroupList,
    /// State and members of groups.
    GroupDescription,
    /// Committed offsets.
    Commits,
    /// Log start, last stable offset, high watermark.
    Watermarks,
    /// Ends of leader epochs.
    EpochEnds,
    /// Topic settings.
    Configs,
}

/// One part that one broker did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MissingPart {
    /// What was asked.
    pub part: Part,
    /// Who was asked; none when no broker at all could be.
    pub broker: Option<BrokerId>,
    /// Why there is no answer.
    pub why: Missing,
}

/// Who leads a partition, and in which term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedPartition {
    /// The leader; none while there is none.
    pub leader: Option<BrokerId>,
    /// Its term.
    pub leader_epoch: LeaderEpoch,
}

/// What one broker's own Metadata says of the leaders of one topic: the bound on the epoch of an acknowledgement
/// received before `begun` (`docs/verdicts.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochSighting {
    /// The broker that answered.
    pub broker: BrokerId,
    /// When the request was about to be sent.
    pub begun: Moment,
    /// The topic's id as this broker knows it: a proof is about one life of the topic.
    pub topic_id: Option<TopicId>,
    /// Its view of each partition.
    pub partitions: BTreeMap<PartitionId, LedPartition>,
}

/// One reading of one cluster. It is total: what could not be read is a [`Missing`] in its place.
///
/// The order of reads is metadata, groups, **commits, then watermarks**, then epoch ends: a commit beyond a high
/// watermark is therefore evidence and never a race.
#[derive(Clone, Debug)]
pub struct ClusterSnapshot {
    /// The cluster, by our name for it.
    pub cluster: ClusterName,
    /// Kafka's own id of it.
    pub cluster_id: Reading<String>,
    /// When the turn began and ended.
    pub span: ReadSpan,
    /// How long it took by the monotonic clock.
    pub took: Duration,
    /// The brokers in the metadata of this turn. Missing when no broker answered.
    pub brokers: Reading<BTreeMap<BrokerId, Broker>>,
    /// Every broker that was asked, and whether it answered all it was asked: those of the metadata and those that
    /// left it since the daemon started.
    pub answering: BTreeMap<BrokerId, Reading<()>>,
    /// The active controller as the metadata names it (a random broker under KRaft).
    pub controller: Option<BrokerId>,
    /// The topics. Missing when no broker answered.
    pub topics: Reading<BTreeMap<TopicName, Topic>>,
    /// The ends of each partition's log.
    pub watermarks: BTreeMap<TopicPartition, Watermarks>,
    /// The groups that were listed in this turn or that an earlier turn knew and this one could not disprove.
    pub groups: BTreeMap<GroupId, ConsumerGroup>,
    /// True when every partition of `__consumer_offsets` has a leader, each of these leaders answered the list, and
    /// none was loading: only then does an unlisted group count as absent from this reading.
    pub group_list_complete: bool,
    /// The ends of leader epochs that were asked for: those of commits behind the current epoch, and the questions.
    pub epoch_ends: BTreeMap<(TopicPartition, LeaderEpoch), Reading<EpochEnd>>,
    /// Each answering broker's own view of the leaders of the canary topic; empty without a canary.
    pub canary_sightings: Vec<EpochSighting>,
    /// What is missing, by part and broker, most general first.
    pub missing: Vec<MissingPart>,
    /// Requests sent, by API name and outcome (`answered`, `failed`).
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
}

impl ClusterSnapshot {
    /// True when nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}
