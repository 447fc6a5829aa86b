//! Proof on demand: a partition's leader is asked at once, on a connection of its own, also while a turn runs.

use std::sync::Arc;

use tokio::time::Instant;

use super::api::error::is_passing;
use super::api::list_offsets::LogEnd;
use super::api::metadata::Metadata;
use super::cluster::{Shared, View};
use super::epochs::{Question, ask_leader};
use super::hedge;
use super::pool::Lane;
use super::sightings::sightings;
use super::topology::{Topology, address};
use super::turn::Turn;
use super::watermarks::{Questions, ends};
use crate::model::{
    BrokerId, EpochEnd, EpochSighting, LeaderEpoch, Missing, Offset, PartitionId, Reading, TopicName, TopicPartition,
};

/// Answers questions of proof about single partitions. Clones share the connections of their [`Cluster`](super::Cluster).
///
/// Every question names the leader epoch it is put in: a leader of another term refuses, and the answer is
/// [`Missing::LeaderMoving`]. Who leads is what the last turn saw, or, when that broker refuses or does not answer,
/// what a broker says now.
#[derive(Clone, Debug)]
pub struct Witness {
    shared: Arc<Shared>,
}

/// What one broker, the leader of one term, says of a partition's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermEnds {
    /// Who says it.
    pub broker: BrokerId,
    /// Where each epoch ends, in the order asked. `None` is a leader that knows nothing of the epoch, which proves nothing.
    pub ends: Vec<(LeaderEpoch, Reading<Option<EpochEnd>>)>,
    /// The log start offset, read after the ends.
    pub log_start: Reading<Offset>,
}

/// The questions of one call.
struct Inquiry<'a> {
    shared: &'a Shared,
    turn: Turn<'a>,
    view: Arc<View>,
    topology: Topology,
}

impl Witness {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Where each of `epochs` ends in the log of the leader of term `current`, in the order asked. `None` is a leader
    /// that knows nothing of the epoch, which proves nothing.
    pub async fn epoch_ends(
        &self,
        topic: &TopicName,
        partition: PartitionId,
        epochs: &[LeaderEpoch],
        current: LeaderEpoch,
    ) -> Vec<(LeaderEpoch, Reading<Option<EpochEnd>>)> {
        let at = TopicPartition { topic: topic.clone(), partition };
        self.inquiry().ends_of(&at, epochs, current).await
    }

    /// Where each of `epochs` ends in the log of the leader of term `current`, and then where that log starts, both by
    /// the same broker; nothing while nobody leads.
    pub async fn term_ends(
        &self,
        topic: &TopicName,
        partition: PartitionId,
        epochs: &[LeaderEpoch],
        current: LeaderEpoch,
    ) -> Option<TermEnds> {
        let at = TopicPartition { topic: topic.clone(), partition };
        let mut inquiry = self.inquiry();
        let ends = inquiry.ends_of(&at, epochs, current).await;
        let broker = inquiry.topology.leader(&at).ok()?.broker;
        let log_start = inquiry.end(&at, current, LogEnd::LogStart).await;
        Some(TermEnds { broker, ends, log_start })
    }

    /// The log start offset, from the leader of term `current`.
    pub async fn log_start(&self, topic: &TopicName, partition: PartitionId, current: LeaderEpoch) -> Reading<Offset> {
        self.end(topic, partition, current, LogEnd::LogStart).await
    }

    /// The high watermark, from the leader of term `current`. It proves no loss: see [`Self::log_end`].
    pub async fn high_watermark(
        &self,
        topic: &TopicName,
        partition: PartitionId,
        current: LeaderEpoch,
    ) -> Reading<Offset> {
        self.end(topic, partition, current, LogEnd::HighWatermark).await
    }

    /// The log end offset, replicated or not, of the leader of term `current`: where its own epoch ends.
    pub async fn log_end(&self, topic: &TopicName, partition: PartitionId, current: LeaderEpoch) -> Reading<Offset> {
        let ends = self.epoch_ends(topic, partition, &[current], current).await;
        match ends.into_iter().next() {
            Some((_, Reading::Read(Some(end)))) => Reading::Read(end.end_offset),
            // A leader that knows nothing of its own epoch is not in it yet.
            Some((_, Reading::Read(None))) | None => Reading::Missing(Missing::LeaderMoving),
            Some((_, Reading::Missing(why))) => Reading::Missing(why),
        }
    }

    /// What each broker that answers in time says now of the leaders of `topic`.
    pub async fn sightings(&self, topic: &TopicName) -> Vec<EpochSighting> {
        let inquiry = self.inquiry();
        let brokers: Vec<BrokerId> = inquiry.view.topology.brokers.keys().copied().collect();
        sightings(&inquiry.turn, &self.shared.clock, &brokers, topic).await
    }

    async fn end(
        &self,
        topic: &TopicName,
        partition: PartitionId,
        current: LeaderEpoch,
        end: LogEnd,
    ) -> Reading<Offset> {
        let at = TopicPartition { topic: topic.clone(), partition };
        let mut inquiry = self.inquiry();
        let mut reading = inquiry.end(&at, current, end).await;
        if is_worth_another_ask(&reading) && inquiry.refresh(topic).await {
            reading = inquiry.end(&at, current, end).await;
        }
        reading
    }

    fn inquiry(&self) -> Inquiry<'_> {
        let options = &self.shared.options;
        // One question, its metadata, and the question again.
        let deadline = Instant::now() + options.request_timeout.saturating_mul(3).min(options.poll_deadline);
        let view = self.shared.view();
        let mut turn = Turn::new(&self.shared.pool, Lane::Witness, options.request_timeout, deadline);
        turn.admit(view.addresses.clone());
        Inquiry { shared: &self.shared, turn, topology: view.topology.clone(), view }
    }
}

impl Inquiry<'_> {
    /// Asked once more where another broker may know the answer.
    async fn ends_of(
        &mut self,
        at: &TopicPartition,
        epochs: &[LeaderEpoch],
        current: LeaderEpoch,
    ) -> Vec<(LeaderEpoch, Reading<Option<EpochEnd>>)> {
        let questions: Vec<_> =
            epochs.iter().map(|epoch| Question { at: at.clone(), current, epoch: *epoch }).collect();
        let mut readings = self.epoch_ends(at, &questions).await;
        if readings.iter().any(|(_, reading)| is_worth_another_ask(reading)) && self.refresh(&at.topic).await {
            readings = self.epoch_ends(at, &questions).await;
        }
        readings
    }

    async fn epoch_ends(
        &self,
        at: &TopicPartition,
        questions: &[Question],
    ) -> Vec<(LeaderEpoch, Reading<Option<EpochEnd>>)> {
        let leader = match self.topology.leader(at) {
            Ok(leader) => leader.broker,
            Err(why) => return questions.iter().map(|question| (question.epoch, Reading::Missing(why))).collect(),
        };
        let mut answers = ask_leader(&self.turn, leader, questions).await;
        let order = |epoch: &LeaderEpoch| questions.iter().position(|question| question.epoch == *epoch);
        answers.sort_by_key(|(question, _)| order(&question.epoch));
        answers.into_iter().map(|(question, reading)| (question.epoch, reading)).collect()
    }

    async fn end(&self, at: &TopicPartition, current: LeaderEpoch, end: LogEnd) -> Reading<Offset> {
        let leader = match self.topology.leader(at) {
            Ok(leader) => leader.broker,
            Err(why) => return Reading::Missing(why),
        };
        let mut questions = Questions::new();
        questions.insert(at.topic.clone(), vec![(at.partition, Some(current))]);
        let readings = ends(&self.turn, leader, end, &questions).await;
        readings.get(at).copied().unwrap_or(Reading::Missing(Missing::Garbled(leader)))
    }

    /// Asks who leads the topic now; false when nobody says.
    async fn refresh(&mut self, topic: &TopicName) -> bool {
        let request = Metadata::Topic(topic.as_str().to_owned());
        let sources = self.view.sources(&self.shared.bootstrap);
        let hedge_after = self.shared.options.hedge_after;
        let Some((_, fresh)) = hedge::topology(&self.turn, &request, sources, hedge_after, &self.view.topology).await
        else {
            return false;
        };
        self.turn.admit(fresh.brokers.values().map(|broker| (broker.id, address(broker))));
        self.topology = fresh;
        true
    }
}

/// True when another broker may know the answer.
fn is_worth_another_ask<T>(reading: &Reading<T>) -> bool {
    reading.missing().is_some_and(|why| match why {
        Missing::Unreachable(_) | Missing::TimedOut(_) | Missing::NoLeader | Missing::TopicNotInMetadata => true,
        Missing::LeaderMoving
        | Missing::OffsetNotAvailable
        | Missing::CoordinatorMoving
        | Missing::TopicNotAuthorized
        | Missing::GroupNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::TransactionNotAuthorized
        | Missing::Throttled
        | Missing::Unsupported
        | Missing::ClusterUnreachable
        | Missing::KafkaError(_)
        | Missing::Garbled(_)
        | Missing::NotAsked
        | Missing::Unconfirmed => is_passing(why),
    })
}
