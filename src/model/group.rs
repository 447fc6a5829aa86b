//! Groups as their coordinators describe them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{BrokerId, GroupId, MemberId, TopicPartition};
use super::offset::{CommittedOffset, Offset};
use super::reading::Reading;
use super::time::Timestamp;

/// The protocol a group speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupType {
    /// JoinGroup and SyncGroup.
    Classic,
    /// KIP-848.
    Consumer,
    /// KIP-932.
    Share,
    /// KIP-1071.
    Streams,
    /// Not told, or a type newer than this program.
    Unknown,
}

/// Kafka's group states, of all protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Members and assignment are settled.
    Stable,
    /// No members; commits may still be there.
    Empty,
    /// Classic: members are joining.
    PreparingRebalance,
    /// Classic: the leader is to assign.
    CompletingRebalance,
    /// KIP-848: the coordinator computes an assignment.
    Assigning,
    /// KIP-848: members are taking the assignment over.
    Reconciling,
    /// KIP-1071: topology not ready.
    NotReady,
    /// Being removed, or never there.
    Dead,
    /// Not told, or a state newer than this program.
    Unknown,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// What the client calls itself: any string.
    pub client_id: String,
    /// Where it connects from: any string.
    pub host: String,
    /// The partitions it owns.
    pub assignment: Vec<TopicPartition>,
}

/// From where a share group still hands out the records of a partition, and how many are left (KIP-932).
///
/// Its members take records one by one and in no order, so records behind the start offset may be done with already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareOffset {
    /// The share-partition start offset: everything below is done with. None until the first record was handed out.
    pub start: Option<Offset>,
    /// Records from there on that are not done with, as the broker counts them; none where it does not (before Kafka
    /// 4.2, KIP-1226).
    pub lag: Option<u64>,
}

/// One group, as read in one turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroup {
    /// Its id.
    pub id: GroupId,
    /// Its protocol.
    pub group_type: GroupType,
    /// Its state as described, or why it is not known.
    pub state: Reading<GroupState>,
    /// The broker that leads its partition of `__consumer_offsets`, by this turn's Metadata; where that topic is not to be
    /// seen, the one that FindCoordinator names.
    pub coordinator: Option<BrokerId>,
    /// Its members, or why they are not known.
    pub members: Reading<Vec<Arc<Member>>>,
    /// What it committed, or why that is not known. A partition without a commit is not in the map. A share group commits
    /// nothing.
    pub commits: Reading<BTreeMap<TopicPartition, Reading<CommittedOffset>>>,
    /// What a share group still has to hand out, or why that is not known; [`Missing::NotAsked`](super::Missing) for
    /// every other type.
    pub share_offsets: Reading<BTreeMap<TopicPartition, Reading<ShareOffset>>>,
    /// When the commits were asked for: the `as_of` of the group.
    pub commits_as_of: Timestamp,
}
