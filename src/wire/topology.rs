//! What Metadata says, as our own values, and which of two answers is the fresher one.

use std::collections::BTreeMap;

use super::api::error;
use super::api::metadata::{self, PartitionLeader, TopicLeaders};
use super::transport::Address;
use crate::model::{
    Broker, BrokerId, LeaderEpoch, Missing, Partition, PartitionId, Reading, Topic, TopicId, TopicName, TopicPartition,
};

/// The topology as one broker knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) cluster_id: Option<String>,
    pub(crate) brokers: BTreeMap<BrokerId, Broker>,
    pub(crate) controller: Option<BrokerId>,
    pub(crate) topics: BTreeMap<TopicName, Topic>,
}

/// Who leads a partition, as far as metadata tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    pub(crate) broker: BrokerId,
    pub(crate) epoch: Option<LeaderEpoch>,
}

impl From<metadata::Topology> for Topology {
    fn from(answer: metadata::Topology) -> Self {
        let brokers = answer.brokers.into_iter().map(|node| Broker {
            id: BrokerId(node.id),
            host: node.host,
            // A port out of range cannot be connected to; port 0 says so.
            port: u16::try_from(node.port).unwrap_or(0),
            rack: node.rack,
        });
        let topics = answer.topics.into_iter().filter_map(topic);
        Self {
            cluster_id: answer.cluster_id,
            brokers: brokers.map(|broker| (broker.id, broker)).collect(),
            controller: broker_id(answer.controller),
            topics: topics.map(|topic| (topic.name.clone(), topic)).collect(),
        }
    }
}

fn broker_id(number: i32) -> Option<BrokerId> {
    (number >= 0).then_some(BrokerId(number))
}

fn topic(answer: TopicLeaders) -> Option<Topic> {
    let name = answer.name.filter(|name| !name.is_empty())?;
    let partitions = answer.partitions.into_iter().map(partition).map(|partition| (partition.id, partition));
    Some(Topic {
        name: name.into(),
        id: Some(TopicId(answer.id)).filter(|id| *id != TopicId([0; 16])),
        internal: answer.internal,
        partitions: match error::missing(answer.error_code) {
            None => Reading::Read(partitions.collect()),
            Some(why) => Reading::Missing(why),
        },
        config: Reading::Missing(Missing::NotAsked),
    })
}

fn partition(answer: PartitionLeader) -> Partition {
    let ids = |numbers: Vec<i32>| numbers.into_iter().map(BrokerId).collect();
    // Errors of a partition repeat what its lists show: no leader, or replicas on brokers that are gone.
    Partition {
        id: PartitionId(answer.index),
        leader: broker_id(answer.leader),
        leader_epoch: LeaderEpoch::new(answer.leader_epoch),
        replicas: ids(answer.replicas),
        in_sync: ids(answer.in_sync),
        offline_replicas: ids(answer.offline),
    }
}

impl Topology {
    /// A partition by name.
    pub(crate) fn partition(&self, at: &TopicPartition) -> Option<&Partition> {
        let partitions = self.topics.get(&at.topic)?.partitions.as_ref().value()?;
        partitions.get(&at.partition)
    }

    /// Every partition that is known, by topic.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (&Topic, &Partition)> {
        self.topics.values().flat_map(|topic| {
            let partitions = topic.partitions.as_ref().value();
            partitions.into_iter().flat_map(BTreeMap::values).map(move |partition| (topic, partition))
        })
    }

    /// Who leads a partition, or why nobody can be asked about it.
    pub(crate) fn leader(&self, at: &TopicPartition) -> Result<Leader, Missing> {
        let topic = self.topics.get(&at.topic).ok_or(Missing::TopicNotInMetadata)?;
        let partitions = match &topic.partitions {
            Reading::Read(partitions) => partitions,
            Reading::Missing(why) => return Err(*why),
        };
        let partition = partitions.get(&at.partition).ok_or(Missing::TopicNotInMetadata)?;
        let broker = partition.leader.ok_or(Missing::NoLeader)?;
        Ok(Leader { broker, epoch: partition.leader_epoch })
    }

    /// True when `known` shows a later term of some partition of the same topic: this answer is from a broker that
    /// was hung or cut off.
    pub(crate) fn is_behind(&self, known: &Self) -> bool {
        self.partitions().any(|(topic, partition)| known.is_ahead_of(topic, partition))
    }

    fn is_ahead_of(&self, topic: &Topic, partition: &Partition) -> bool {
        // Terms begin anew with a topic's life: without an id two lives cannot be told apart.
        let Some(known) = self.topics.get(&topic.name).filter(|known| known.id.is_some() && known.id == topic.id)
        else {
            return false;
        };
        let known = known.partitions.as_ref().value().and_then(|partitions| partitions.get(&partition.id));
        known.and_then(|known| known.leader_epoch) > partition.leader_epoch
    }

    /// Takes over the partitions of which `other` shows a later term.
    pub(crate) fn take_fresher(&mut self, other: &Self) {
        for (name, topic) in &mut self.topics {
            let Some(theirs) = other.topics.get(name).filter(|theirs| theirs.id == topic.id) else { continue };
            let (Reading::Read(partitions), Reading::Read(theirs)) = (&mut topic.partitions, &theirs.partitions) else {
                continue;
            };
            for (id, partition) in partitions {
                if let Some(theirs) = theirs.get(id).filter(|theirs| theirs.leader_epoch > partition.leader_epoch) {
                    *partition = theirs.clone();
                }
            }
        }
    }
}

/// Where a broker of the metadata listens.
pub(crate) fn address(broker: &Broker) -> Address {
    Address { host: broker.host.clone(), port: broker.port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u8, epochs: &[(i32, i32)]) -> Topology {
        let partitions = epochs.iter().zip(0..).map(|((leader, leader_epoch), index)| PartitionLeader {
            index,
            leader: *leader,
            leader_epoch: *leader_epoch,
            ..PartitionLeader::default()
        });
        let topic = TopicLeaders {
            name: Some("t".to_owned()),
            id: [id; 16],
            partitions: partitions.collect(),
            ..TopicLeaders::default()
        };
        metadata::Topology { topics: vec![topic], controller: -1, ..metadata::Topology::default() }.into()
    }

    #[test]
    fn an_answer_with_earlier_terms_is_behind() {
        let known = answer(1, &[(1, 5), (2, 7)]);
        let cases = [
            ("the same", answer(1, &[(1, 5), (2, 7)]), false),
            ("later", answer(1, &[(2, 6), (2, 7)]), false),
            ("one earlier", answer(1, &[(1, 5), (1, 6)]), true),
            ("recreated", answer(2, &[(1, 0), (1, 0)]), false),
            ("no ids: cannot be told", answer(0, &[(1, 0), (1, 0)]), false),
        ];
        for (name, fresh, want) in cases {
            assert_eq!(fresh.is_behind(&known), want, "{name}");
        }
        assert!(!answer(0, &[(1, 0)]).is_behind(&answer(0, &[(1, 5)])));
    }

    #[test]
    fn the_later_term_of_each_partition_is_taken() {
        let mut ours = answer(1, &[(1, 5), (2, 7)]);
        ours.take_fresher(&answer(1, &[(3, 6), (3, 6)]));
        assert_eq!(ours, answer(1, &[(3, 6), (2, 7)]));
        ours.take_fresher(&answer(2, &[(9, 99), (9, 99)]));
        assert_eq!(ours, answer(1, &[(3, 6), (2, 7)]));
    }

    #[test]
    fn a_leader_is_named_or_the_reason_why_not() {
        let topology = answer(1, &[(1, 5), (-1, 7)]);
        let leader = Leader { broker: BrokerId(1), epoch: LeaderEpoch::new(5) };
        let cases = [
            ("led", TopicPartition::new("t", 0), Ok(leader)),
            ("not led", TopicPartition::new("t", 1), Err(Missing::NoLeader)),
            ("no such partition", TopicPartition::new("t", 2), Err(Missing::TopicNotInMetadata)),
            ("no such topic", TopicPartition::new("u", 0), Err(Missing::TopicNotInMetadata)),
        ];
        for (name, at, want) in cases {
            assert_eq!(topology.leader(&at), want, "{name}");
        }
    }
}
