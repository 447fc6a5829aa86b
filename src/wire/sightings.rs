//! What each broker's own Metadata says of the leaders of one topic.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::api::metadata::{Metadata, Topology};
use super::turn::Turn;
use crate::clock::Clock;
use crate::model::{BrokerId, EpochSighting, LeaderEpoch, LedPartition, PartitionId, TopicId, TopicName};

/// Asks all `brokers` at once; those that do not answer are left out.
pub(crate) async fn sightings(
    turn: &Turn<'_>,
    clock: &Clock,
    brokers: &[BrokerId],
    topic: &TopicName,
) -> Vec<EpochSighting> {
    let asked = brokers.iter().map(|broker| sighting(turn, clock, *broker, topic));
    join_all(asked).await.into_iter().flatten().collect()
}

async fn sighting(turn: &Turn<'_>, clock: &Clock, broker: BrokerId, topic: &TopicName) -> Option<EpochSighting> {
    // The connection first: a stamp taken long before the request would bound fewer acknowledgements.
    turn.line(broker).await.ok()?;
    let begun = clock.now();
    let answer = turn.ask(broker, &Metadata::Topic(topic.as_str().to_owned())).await.ok()?;
    let named = answer.topics.iter().find(|seen| seen.name.as_deref() == Some(topic.as_str()));
    // Brokers before 2.8 know no ids and send zeros.
    let topic_id = named.map(|seen| TopicId(seen.id)).filter(|id| *id != TopicId([0; 16]));
    Some(EpochSighting { broker, begun, topic_id, partitions: led(answer, topic) })
}

fn led(answer: Topology, topic: &TopicName) -> BTreeMap<PartitionId, LedPartition> {
    let topics = answer.topics.into_iter().filter(|seen| seen.name.as_deref() == Some(topic.as_str()));
    let partitions = topics.flat_map(|seen| seen.partitions);
    let led = partitions.filter_map(|partition| {
        let leader_epoch = LeaderEpoch::new(partition.leader_epoch)?;
        let leader = (partition.leader >= 0).then_some(BrokerId(partition.leader));
        Some((PartitionId(partition.index), LedPartition { leader, leader_epoch }))
    });
    led.collect()
}
