//! A cluster in miniature, for tests: what is, and the snapshot a turn would read of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{History, Observation, Options, observe};
use crate::model::{
    Broker, BrokerId, ClusterSnapshot, CommittedOffset, ConsumerGroup, EpochEnd, GroupId, GroupState, GroupType,
    LeaderEpoch, Member, Missing, MissingPart, Offset, Part, Partition, PartitionId, ReadSpan, Reading, ShareOffset,
    Timestamp, Topic, TopicConfig, TopicId, TopicName, TopicPartition, Watermarks,
};

pub(crate) fn offset(number: i64) -> Offset {
    Offset::new(number).expect("not negative")
}

pub(crate) fn epoch(number: i32) -> LeaderEpoch {
    LeaderEpoch::new(number).expect("not negative")
}

pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) leader: Option<i32>,
    pub(crate) epoch: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
    pub(crate) start: i64,
    pub(crate) stable: Option<i64>,
    pub(crate) high: i64,
    /// What the leader answers for each earlier epoch: the epoch and its end.
    pub(crate) ends: BTreeMap<i32, (i32, i64)>,
    /// In place of the ends of the log.
    pub(crate) missing: Option<Missing>,
}

#[derive(Clone, Debug)]
pub(crate) struct WorldTopic {
    pub(crate) id: Option<u8>,
    pub(crate) min_isr: Option<u32>,
    pub(crate) logs: BTreeMap<i32, Log>,
    pub(crate) missing: Option<Missing>,
}

#[derive(Clone, Debug)]
pub(crate) struct WorldGroup {
    pub(crate) group_type: GroupType,
    pub(crate) state: GroupState,
    pub(crate) coordinator: i32,
    pub(crate) members: BTreeMap<String, Vec<TopicPartition>>,
    pub(crate) commits: BTreeMap<TopicPartition, (i64, Option<i32>)>,
    /// What a share group has left.
    pub(crate) share: Option<Reading<BTreeMap<TopicPartition, Reading<ShareOffset>>>>,
    /// In place of all that the coordinator tells.
    pub(crate) missing: Option<Missing>,
}

/// The cluster, and the daemon's history of it.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seconds: i64,
    pub(crate) brokers: BTreeSet<i32>,
    /// Brokers that do not answer.
    pub(crate) silent: BTreeMap<i32, Missing>,
    pub(crate) topics: BTreeMap<String, WorldTopic>,
    pub(crate) groups: BTreeMap<String, WorldGroup>,
    pub(crate) list_complete: bool,
    /// No broker answers.
    pub(crate) dark: bool,
    pub(crate) history: History,
}

impl World {
    /// Three brokers that answer, no topics; turns are 15 s apart.
    pub(crate) fn new() -> Self {
        Self {
            seconds: 0,
            brokers: [1, 2, 3].into(),
            silent: BTreeMap::new(),
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            list_complete: true,
            dark: false,
            history: History::new(Options::default()),
        }
    }

    /// A topic of so many partitions, three replicas each, min ISR 2; broker 1 leads partition 0.
    pub(crate) fn with_topic(mut self, name: &str, id: u8, highs: &[i64]) -> Self {
        let log = |(index, high): (i32, &i64)| {
            let leader = index % 3 + 1;
            let replicas: Vec<i32> = (0..3).map(|next| (leader - 1 + next) % 3 + 1).collect();
            let log = Log {
                leader: Some(leader),
                epoch: Some(0),
                in_sync: replicas.clone(),
                replicas,
                start: 0,
                stable: None,
                high: *high,
                ends: BTreeMap::new(),
                missing: None,
            };
            (index, log)
        };
        let logs = (0..).zip(highs).map(log).collect();
        self.topics.insert(name.to_owned(), WorldTopic { id: Some(id), min_isr: Some(2), logs, missing: None });
        self
    }

    /// A stable group of one member that owns what it committed; broker 2 coordinates it.
    pub(crate) fn with_group(mut self, name: &str, commits: &[(&str, i32, i64)]) -> Self {
        let owned = commits.iter().map(|(topic, partition, _)| at(topic, *partition)).collect();
        let commits =
            commits.iter().map(|(topic, partition, offset)| (at(topic, *partition), (*offset, None))).collect();
        let group = WorldGroup {
            group_type: GroupType::Classic,
            state: GroupState::Stable,
            coordinator: 2,
            members: [("member-1".to_owned(), owned)].into(),
            commits,
            share: None,
            missing: None,
        };
        self.groups.insert(name.to_owned(), group);
        self
    }

    pub(crate) fn log(&mut self, topic: &str, partition: i32) -> &mut Log {
        self.topics.get_mut(topic).and_then(|topic| topic.logs.get_mut(&partition)).expect("it was made")
    }

    pub(crate) fn group(&mut self, name: &str) -> &mut WorldGroup {
        self.groups.get_mut(name).expect("it was made")
    }

    pub(crate) fn commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        self.group(group).commits.insert(at(topic, partition), (offset, None));
    }

    pub(crate) fn empty(&mut self, group: &str) {
        let group = self.group(group);
        group.state = GroupState::Empty;
        group.members.clear();
    }

    /// An election: another leader, the next term, and where the term before it ends.
    pub(crate) fn elect(&mut self, topic: &str, partition: i32, leader: i32, end: i64) {
        let log = self.log(topic, partition);
        let before = log.epoch.expect("it has one");
        log.ends.insert(before, (before, end));
        log.epoch = Some(before + 1);
        log.leader = Some(leader);
        log.high = end;
    }

    fn why(&self, broker: Option<i32>) -> Option<Missing> {
        broker.map_or(Some(Missing::NoLeader), |broker| self.silent.get(&broker).copied())
    }

    /// One turn of the daemon, 15 s after the last.
    pub(crate) fn turn(&mut self) -> Observation {
        self.seconds += 15;
        let snapshot = self.snapshot();
        observe(&mut self.history, &snapshot)
    }

    /// So many turns, and the last observation.
    pub(crate) fn turns(&mut self, number: usize) -> Observation {
        (1..number).for_each(|_| drop(self.turn()));
        self.turn()
    }

    pub(crate) fn snapshot(&self) -> ClusterSnapshot {
        let now = Timestamp::from_millis(self.seconds * 1000);
        let dark = Missing::ClusterUnreachable;
        let broker = |id: &i32| {
            let host = format!("broker-{id}");
            (BrokerId(*id), Broker { id: BrokerId(*id), host, port: 9092, rack: None })
        };
        let answering = |id: &i32| {
            let silent = self.silent.get(id).copied().or(self.dark.then_some(Missing::Unreachable(BrokerId(*id))));
            (BrokerId(*id), silent.map_or(Reading::Read(()), Reading::Missing))
        };
        let mut watermarks = BTreeMap::new();
        let mut epoch_ends = BTreeMap::new();
        for (name, topic) in &self.topics {
            for (partition, log) in &topic.logs {
                let why = log.missing.or(topic.missing).or_else(|| self.why(log.leader)).or(self.dark.then_some(dark));
                let read = |number| why.map_or(Reading::Read(offset(number)), Reading::Missing);
                let of_log = Watermarks {
                    log_start: read(log.start),
                    last_stable: read(log.stable.unwrap_or(log.high)),
                    high_watermark: read(log.high),
                };
                watermarks.insert(at(name, *partition), of_log);
                let own = self.groups.values().filter_map(|group| group.commits.get(&at(name, *partition))?.1);
                let asked = self.history.questions().into_iter().filter(|(asked, _)| *asked == at(name, *partition));
                for asked in own.chain(asked.map(|(_, epoch)| epoch.get())).filter(|own| Some(*own) < log.epoch) {
                    let end = log.ends.get(&asked).filter(|_| why.is_none());
                    if let Some((leader_epoch, end)) = end {
                        let end = EpochEnd { leader_epoch: epoch(*leader_epoch), end_offset: offset(*end) };
                        epoch_ends.insert((at(name, *partition), epoch(asked)), Reading::Read(end));
                    }
                }
            }
        }
        let topics: BTreeMap<TopicName, Topic> =
            self.topics.iter().map(|(name, topic)| (name.as_str().into(), topic.read(name))).collect();
        let groups: BTreeMap<GroupId, ConsumerGroup> =
            self.groups.iter().map(|(name, group)| (name.as_str().into(), self.read(name, group, now))).collect();
        let mut missing: Vec<MissingPart> = self
            .silent
            .iter()
            .map(|(id, why)| MissingPart { part: Part::GroupList, broker: Some(BrokerId(*id)), why: *why })
            .collect();
        if self.dark {
            missing.push(MissingPart { part: Part::Metadata, broker: None, why: dark });
        }
        ClusterSnapshot {
            cluster: "main".into(),
            cluster_id: Reading::Read("abc".to_owned()),
            span: ReadSpan { started: now, finished: now },
            took: Duration::from_millis(40),
            brokers: if self.dark {
                Reading::Missing(dark)
            } else {
                Reading::Read(self.brokers.iter().map(broker).collect())
            },
            answering: self.brokers.iter().map(answering).collect(),
            controller: None,
            topics: if self.dark { Reading::Missing(dark) } else { Reading::Read(topics) },
            watermarks,
            groups,
            group_list_complete: self.list_complete && !self.dark && self.silent.is_empty(),
            epoch_ends,
            canary_sightings: Vec::new(),
            missing,
            requests: BTreeMap::new(),
        }
    }

    fn read(&self, name: &str, group: &WorldGroup, now: Timestamp) -> ConsumerGroup {
        let why = group
            .missing
            .or_else(|| self.why(Some(group.coordinator)))
            .or(self.dark.then_some(Missing::ClusterUnreachable));
        let member = |(id, assignment): (&String, &Vec<TopicPartition>)| {
            Arc::new(Member {
                id: id.as_str().into(),
                client_id: format!("client of {id}"),
                host: "/10.0.0.7".to_owned(),
                assignment: assignment.clone(),
            })
        };
        let commit = |(at, (number, own)): (&TopicPartition, &(i64, Option<i32>))| {
            (at.clone(), Reading::Read(CommittedOffset { offset: offset(*number), leader_epoch: own.map(epoch) }))
        };
        ConsumerGroup {
            id: name.into(),
            group_type: group.group_type,
            state: why.map_or(Reading::Read(group.state), Reading::Missing),
            coordinator: Some(BrokerId(group.coordinator)),
            members: why.map_or_else(|| Reading::Read(group.members.iter().map(member).collect()), Reading::Missing),
            commits: why.map_or_else(|| Reading::Read(group.commits.iter().map(commit).collect()), Reading::Missing),
            share_offsets: match (why, &group.share) {
                (Some(why), _) => Reading::Missing(why),
                (None, Some(offsets)) => offsets.clone(),
                (None, None) => Reading::Missing(Missing::NotAsked),
            },
            commits_as_of: now,
        }
    }
}

impl WorldTopic {
    fn read(&self, name: &str) -> Topic {
        let ids = |numbers: &[i32]| numbers.iter().copied().map(BrokerId).collect();
        let partition = |(index, log): (&i32, &Log)| {
            let partition = Partition {
                id: PartitionId(*index),
                leader: log.leader.map(BrokerId),
                leader_epoch: log.epoch.map(epoch),
                replicas: ids(&log.replicas),
                in_sync: ids(&log.in_sync),
                offline_replicas: Vec::new(),
            };
            (PartitionId(*index), partition)
        };
        let partitions = self.logs.iter().map(partition).collect();
        Topic {
            name: name.into(),
            id: self.id.map(|id| TopicId([id; 16])),
            internal: name.starts_with("__"),
            partitions: self.missing.map_or(Reading::Read(partitions), Reading::Missing),
            config: self.min_isr.map_or(Reading::Missing(Missing::NotAsked), |min_insync_replicas| {
                Reading::Read(TopicConfig { min_insync_replicas: Some(min_insync_replicas), ..TopicConfig::default() })
            }),
        }
    }
}
