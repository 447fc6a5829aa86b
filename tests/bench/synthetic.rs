//! A cluster that is not there: the snapshot that a turn would have read of it, of any size.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kustody::model::{
    Broker, BrokerId, ClusterSnapshot, CommittedOffset, ConsumerGroup, EpochEnd, GroupId, GroupState, GroupType,
    LeaderEpoch, Member, Missing, Offset, Partition, PartitionId, ReadSpan, Reading, Timestamp, Topic, TopicConfig,
    TopicId, TopicName, TopicPartition, Watermarks,
};

const BROKERS: i32 = 9;
/// The broker that can be made to go.
const GOER: i32 = 1;
const PARTITIONS_PER_TOPIC: i32 = 20;
/// One of so many partitions lacks a replica, one of so many groups commits nothing.
const ODD_ONES: i32 = 100;
const SECONDS_PER_TURN: i64 = 15;

/// A cluster of nine brokers with three replicas each, and groups of two members.
pub(crate) struct Synthetic {
    pub(crate) partitions: i32,
    pub(crate) groups: i32,
    /// Partitions that each group commits.
    pub(crate) commits: i32,
    turn: i64,
    gone_at: Option<i64>,
}

fn offset(number: i64) -> Offset {
    Offset::new(number).expect("not negative")
}

fn epoch(number: i32) -> LeaderEpoch {
    LeaderEpoch::new(number).expect("not negative")
}

impl Synthetic {
    pub(crate) fn new(partitions: i32, groups: i32, commits: i32) -> Self {
        Self { partitions, groups, commits, turn: 0, gone_at: None }
    }

    /// From the next turn on broker 1 has left: its partitions are led by others, in a new epoch.
    pub(crate) fn lose_a_broker(&mut self) {
        self.gone_at = Some(self.turn);
    }

    /// When the present turn began.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_336_103_000 + self.turn * SECONDS_PER_TURN * 1000)
    }

    /// Time goes on by a turn; the snapshot that is read then.
    pub(crate) fn next(&mut self) -> ClusterSnapshot {
        self.turn += 1;
        let there = (1..=BROKERS).filter(|id| self.gone_at.is_none() || *id != GOER);
        let broker = |id| Broker { id: BrokerId(id), host: format!("broker-{id}"), port: 9092, rack: None };
        let answers = |id| match self.gone_at {
            Some(_) if id == GOER => Reading::Missing(Missing::Unreachable(BrokerId(id))),
            Some(_) | None => Reading::Read(()),
        };
        let names: Vec<TopicName> =
            (0..self.partitions / PARTITIONS_PER_TOPIC).map(|topic| format!("orders-{topic}").into()).collect();
        let mut epoch_ends = BTreeMap::new();
        let groups = (0..self.groups).map(|group| self.group(group, &names, &mut epoch_ends));
        let groups: BTreeMap<GroupId, ConsumerGroup> = groups.map(|group| (group.id.clone(), group)).collect();
        ClusterSnapshot {
            cluster: "main".into(),
            cluster_id: Reading::Read("abc".to_owned()),
            span: ReadSpan { started: self.now(), finished: self.now() + Duration::from_millis(400) },
            took: Duration::from_millis(400),
            brokers: Reading::Read(there.map(|id| (BrokerId(id), broker(id))).collect()),
            answering: (1..=BROKERS).map(|id| (BrokerId(id), answers(id))).collect(),
            controller: Some(BrokerId(BROKERS)),
            topics: Reading::Read(
                (0..).zip(&names).map(|(index, name)| (name.clone(), topic(self, index, name))).collect(),
            ),
            watermarks: (0..self.partitions).map(|index| (at(&names, index), self.watermarks(index))).collect(),
            groups,
            group_list_complete: true,
            epoch_ends,
            canary_sightings: Vec::new(),
            missing: Vec::new(),
            requests: [(("metadata", "answered"), 1), (("list_offsets", "answered"), 27)].into(),
        }
    }

    /// Partitions grow by 0 to 60 records a turn.
    fn high_watermark(&self, index: i32, turn: i64) -> i64 {
        1000 + i64::from(index % 7) * 10 * turn
    }

    fn watermarks(&self, index: i32) -> Watermarks {
        let high = offset(self.high_watermark(index, self.turn));
        Watermarks {
            log_start: Reading::Read(Offset::ZERO),
            last_stable: Reading::Read(high),
            high_watermark: Reading::Read(high),
        }
    }

    fn replicas(index: i32) -> Vec<BrokerId> {
        (0..3).map(|replica| BrokerId((index + replica) % BROKERS + 1)).collect()
    }

    fn partition(&self, index: i32) -> Partition {
        let replicas = Self::replicas(index);
        let is_gone = |id: &BrokerId| self.gone_at.is_some() && id.0 == GOER;
        let mut in_sync: Vec<BrokerId> = replicas.iter().copied().filter(|id| !is_gone(id)).collect();
        if index % ODD_ONES == 0 {
            in_sync.truncate(2);
        }
        Partition {
            id: PartitionId(index % PARTITIONS_PER_TOPIC),
            leader: in_sync.first().copied(),
            leader_epoch: Some(self.epoch(index)),
            offline_replicas: replicas.iter().copied().filter(is_gone).collect(),
            replicas,
            in_sync,
        }
    }

    fn epoch(&self, index: i32) -> LeaderEpoch {
        let moved = self.gone_at.is_some() && Self::replicas(index).first() == Some(&BrokerId(GOER));
        epoch(i32::from(moved))
    }

    fn group(
        &self,
        group: i32,
        names: &[TopicName],
        epoch_ends: &mut BTreeMap<(TopicPartition, LeaderEpoch), Reading<EpochEnd>>,
    ) -> ConsumerGroup {
        let is_stopped = group % ODD_ONES == 0;
        let mut commits = BTreeMap::new();
        let mut assignments = [Vec::new(), Vec::new()];
        for nth in 0..self.commits {
            let index = (group * self.commits + nth) % self.partitions;
            let at = at(names, index);
            // Those that read are up to 40 records behind; the others are where they were at the start.
            let (committed, leader_epoch) = if is_stopped {
                (self.high_watermark(index, 0), epoch(0))
            } else {
                (self.high_watermark(index, self.turn) - i64::from(index % 5) * 10, self.epoch(index))
            };
            if leader_epoch < self.epoch(index) {
                let end = offset(self.high_watermark(index, self.gone_at.unwrap_or(self.turn)));
                epoch_ends
                    .insert((at.clone(), leader_epoch), Reading::Read(EpochEnd { leader_epoch, end_offset: end }));
            }
            let committed = CommittedOffset { offset: offset(committed), leader_epoch: Some(leader_epoch) };
            commits.insert(at.clone(), Reading::Read(committed));
            let [first, second] = &mut assignments;
            if nth % 2 == 0 { first.push(at) } else { second.push(at) }
        }
        let members = (0..).zip(assignments).map(|(number, assignment)| {
            Arc::new(Member {
                id: format!("billing-{group}-member-{number}").into(),
                client_id: format!("billing-{group}"),
                host: "/10.0.0.1".to_owned(),
                assignment,
            })
        });
        ConsumerGroup {
            id: format!("billing-{group}").into(),
            group_type: GroupType::Consumer,
            state: Reading::Read(GroupState::Stable),
            coordinator: Some(BrokerId(group % (BROKERS - 1) + 2)),
            members: Reading::Read(members.collect()),
            commits: Reading::Read(commits),
            share_offsets: Reading::Missing(Missing::NotAsked),
            commits_as_of: self.now(),
        }
    }
}

fn topic(of: &Synthetic, index: i32, name: &TopicName) -> Topic {
    let first = index * PARTITIONS_PER_TOPIC;
    let partitions = (first..first + PARTITIONS_PER_TOPIC).map(|index| of.partition(index));
    let config = TopicConfig { min_insync_replicas: Some(2), ..TopicConfig::default() };
    Topic {
        name: name.clone(),
        id: Some(TopicId(u128::try_from(index + 1).expect("not negative").to_be_bytes())),
        internal: false,
        partitions: Reading::Read(partitions.map(|partition| (partition.id, partition)).collect()),
        config: Reading::Read(config),
    }
}

fn at(names: &[TopicName], index: i32) -> TopicPartition {
    let topic = usize::try_from(index / PARTITIONS_PER_TOPIC).expect("not negative");
    let topic = names.get(topic).expect("as many topics as partitions need").clone();
    TopicPartition { topic, partition: PartitionId(index % PARTITIONS_PER_TOPIC) }
}
