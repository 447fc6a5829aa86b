//! The cluster's brokers, its controllers, and what they are moving.

use std::collections::BTreeMap;

use super::{Surveyor, unless};
use crate::model::{
    Broker, BrokerId, EligibleLeaders, LeaderEpoch, Missing, Offset, PartitionId, Quorum, QuorumReplica, Reading,
    Reassignment, RegisteredBroker, Timestamp, TopicName, TopicPartition,
};
use crate::wire::api::describe_cluster::{self, DescribeCluster};
use crate::wire::api::describe_quorum::{self, DescribeQuorum};
use crate::wire::api::describe_topic_partitions::{DescribeTopicPartitions, PartitionReplicas, TopicReplicas};
use crate::wire::api::error;
use crate::wire::api::list_partition_reassignments::{ListPartitionReassignments, Reassignments};

/// Partitions in one page: what a broker answers at most by itself.
const PAGE: i32 = 2_000;

impl Surveyor {
    /// The brokers that are registered, fenced ones included where the cluster lists them.
    pub async fn registered_brokers(&self) -> Reading<BTreeMap<BrokerId, RegisteredBroker>> {
        reading(self.survey().ask_any(&DescribeCluster).await, registered_brokers)
    }

    /// The controllers' log and its replicas; it needs DESCRIBE on the cluster. A ZooKeeper cluster has none.
    pub async fn quorum(&self) -> Reading<Quorum> {
        reading(self.survey().ask_any(&DescribeQuorum).await, quorum)
    }

    /// The partitions whose replicas are being moved; it needs DESCRIBE on the cluster.
    pub async fn reassignments(&self) -> Reading<Vec<Reassignment>> {
        let timeout = self.shared.options.request_timeout.as_millis();
        let request = ListPartitionReassignments { timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX) };
        let answer = self.survey().ask_controller(&request, |answer| answer.error_code).await;
        reading(answer, reassignments)
    }

    /// Who may lead the partitions of topics without losing a record, page by page until all are read.
    pub async fn eligible_leaders(&self, topics: &[TopicName]) -> BTreeMap<TopicName, Reading<Vec<EligibleLeaders>>> {
        let survey = self.survey();
        let mut names: Vec<String> = topics.iter().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        let mut request = DescribeTopicPartitions { topics: names, limit: PAGE, cursor: None };
        let mut pages = Pages::default();
        while !request.topics.is_empty() {
            let page = match survey.ask_any(&request).await {
                Ok(page) => page,
                Err(why) => {
                    pages.missing(&request.topics, why);
                    break;
                }
            };
            pages.add(page.topics);
            let Some(next) = page.next else { break };
            // A page that does not go on would be asked for without end.
            if request.cursor.as_ref().is_some_and(|cursor| *cursor >= next) {
                pages.missing(&request.topics, Missing::Unconfirmed);
                break;
            }
            request.topics.retain(|name| *name >= next.topic);
            request.cursor = Some(next);
        }
        pages.0
    }
}

fn reading<A, T>(answer: Result<A, Missing>, read: impl FnOnce(A) -> Reading<T>) -> Reading<T> {
    answer.map_or_else(Reading::Missing, read)
}

fn id(number: i32) -> Option<BrokerId> {
    (number >= 0).then_some(BrokerId(number))
}

fn ids(numbers: Vec<i32>) -> Vec<BrokerId> {
    numbers.into_iter().map(BrokerId).collect()
}

fn time(milliseconds: i64) -> Option<Timestamp> {
    (milliseconds >= 0).then(|| Timestamp::from_millis(milliseconds))
}

fn registered_brokers(answer: describe_cluster::Described) -> Reading<BTreeMap<BrokerId, RegisteredBroker>> {
    unless(answer.error_code, || {
        let brokers = answer.brokers.into_iter().map(|(node, fenced)| {
            let id = BrokerId(node.id);
            let port = u16::try_from(node.port).unwrap_or(0);
            (id, RegisteredBroker { broker: Broker { id, host: node.host, port, rack: node.rack }, fenced })
        });
        brokers.collect()
    })
}

fn quorum(answer: describe_quorum::Quorum) -> Reading<Quorum> {
    if let Some(why) = error::missing(answer.error_code) {
        return Reading::Missing(why);
    }
    let Some(partition) = answer.partitions.into_iter().next() else { return Reading::Missing(Missing::Unsupported) };
    let replica = |replica: describe_quorum::QuorumReplica| QuorumReplica {
        id: BrokerId(replica.id),
        log_end: Offset::new(replica.log_end),
        last_fetch: time(replica.last_fetch),
        last_caught_up: time(replica.last_caught_up),
    };
    unless(partition.error_code, || Quorum {
        leader: id(partition.leader),
        leader_epoch: LeaderEpoch::new(partition.leader_epoch),
        high_watermark: Offset::new(partition.high_watermark),
        voters: partition.voters.into_iter().map(replica).collect(),
        observers: partition.observers.into_iter().map(replica).collect(),
    })
}

fn reassignments(answer: Reassignments) -> Reading<Vec<Reassignment>> {
    unless(answer.error_code, || {
        let mut all = Vec::new();
        for (topic, partitions) in answer.topics {
            let topic = TopicName::from(topic);
            all.extend(partitions.into_iter().map(|moved| Reassignment {
                at: TopicPartition { topic: topic.clone(), partition: PartitionId(moved.partition) },
                replicas: ids(moved.replicas),
                adding: ids(moved.adding),
                removing: ids(moved.removing),
            }));
        }
        all
    })
}

/// The pages read so far; a topic may go over several.
#[derive(Debug, Default)]
struct Pages(BTreeMap<TopicName, Reading<Vec<EligibleLeaders>>>);

impl Pages {
    fn add(&mut self, topics: Vec<TopicReplicas>) {
        for topic in topics {
            let Some(name) = topic.name.map(TopicName::from) else { continue };
            let partitions = topic.partitions.into_iter().filter(|partition| partition.error_code == error::NONE);
            let page = unless(topic.error_code, || partitions.map(eligible_leaders).collect::<Vec<_>>());
            match (self.0.get_mut(&name), page) {
                (Some(Reading::Read(known)), Reading::Read(more)) => known.extend(more),
                (_, page) => drop(self.0.insert(name, page)),
            }
        }
    }

    /// The topics from a page on that did not come.
    fn missing(&mut self, topics: &[String], why: Missing) {
        for name in topics {
            self.0.insert(name.as_str().into(), Reading::Missing(why));
        }
    }
}

fn eligible_leaders(partition: PartitionReplicas) -> EligibleLeaders {
    EligibleLeaders {
        partition: PartitionId(partition.index),
        leader: id(partition.leader),
        leader_epoch: LeaderEpoch::new(partition.leader_epoch),
        in_sync: ids(partition.in_sync),
        eligible: partition.eligible.map(ids),
        last_known_eligible: partition.last_known_eligible.map(ids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, error_code: i16, partitions: &[i32]) -> TopicReplicas {
        let partitions =
            partitions.iter().map(|index| PartitionReplicas { index: *index, ..PartitionReplicas::default() });
        TopicReplicas { error_code, name: Some(name.to_owned()), partitions: partitions.collect() }
    }

    #[test]
    fn a_topic_over_two_pages_is_whole_or_missing() {
        let mut pages = Pages::default();
        pages.add(vec![topic("a", 0, &[0, 1]), topic("b", 0, &[0])]);
        pages.add(vec![topic("b", 0, &[1, 2]), topic("c", 29, &[])]);
        let read = |pages: &Pages, name: &str| {
            let reading = pages.0.get(&TopicName::from(name)).expect("it was in a page").clone();
            reading.map(|partitions| partitions.iter().map(|leaders| leaders.partition.0).collect::<Vec<_>>())
        };
        assert_eq!(read(&pages, "a"), Reading::Read(vec![0, 1]));
        assert_eq!(read(&pages, "b"), Reading::Read(vec![0, 1, 2]));
        assert_eq!(read(&pages, "c"), Reading::Missing(Missing::TopicNotAuthorized));
        let hung = Missing::TimedOut(BrokerId(1));
        pages.missing(&["b".to_owned()], hung);
        assert_eq!(read(&pages, "b"), Reading::Missing(hung));
        assert_eq!(read(&pages, "a"), Reading::Read(vec![0, 1]));
    }

    #[test]
    fn a_number_that_means_none_becomes_none() {
        let replica = describe_quorum::QuorumReplica { id: 1, log_end: -1, last_fetch: -1, last_caught_up: 5 };
        let partition = describe_quorum::QuorumPartition {
            leader: -1,
            leader_epoch: 7,
            high_watermark: -1,
            voters: vec![replica],
            ..describe_quorum::QuorumPartition::default()
        };
        let answer = describe_quorum::Quorum { error_code: 0, partitions: vec![partition] };
        let voter = QuorumReplica { id: BrokerId(1), log_end: None, last_fetch: None, last_caught_up: time(5) };
        let want = Quorum {
            leader: None,
            leader_epoch: LeaderEpoch::new(7),
            high_watermark: None,
            voters: vec![voter],
            observers: Vec::new(),
        };
        assert_eq!(quorum(answer), Reading::Read(want));
        let refused = describe_quorum::Quorum { error_code: 31, partitions: Vec::new() };
        assert_eq!(quorum(refused), Reading::Missing(Missing::ClusterNotAuthorized));
    }
}
