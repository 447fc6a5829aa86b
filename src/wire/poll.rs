//! One reading of the cluster under way: what its parts share.

use tokio::time::Instant;

use super::api::error::{Retry, retry};
use super::api::metadata::Metadata;
use super::gaps::Gaps;
use super::hedge::{self, Source};
use super::options::{Options, Scope};
use super::topology::{Topology, address};
use super::turn::Turn;
use crate::clock::Clock;
use crate::model::{BrokerId, Missing, TopicPartition};

/// How often what was passing is asked for again within one turn.
pub(crate) const RETRIES: u32 = 2;

/// One reading of the cluster under way.
#[derive(Debug)]
pub(crate) struct Poll<'a> {
    pub(crate) options: &'a Options,
    pub(crate) clock: &'a Clock,
    pub(crate) scope: &'a Scope,
    pub(crate) turn: Turn<'a>,
    pub(crate) topology: Topology,
    pub(crate) gaps: Gaps,
    /// Whose metadata it is.
    pub(crate) source: Source,
    pub(crate) now: Instant,
    /// True once fresh metadata was taken over.
    pub(crate) refreshed: bool,
}

impl Poll<'_> {
    /// Waits a little before asking again for what is missing for these reasons, and reads the metadata again where one
    /// of them wants it; false when there is no time for another attempt.
    pub(crate) async fn again(&mut self, attempt: u32, reasons: impl IntoIterator<Item = Missing>) -> bool {
        if reasons.into_iter().any(|why| retry(why) == Some(Retry::AfterMetadata)) {
            self.refresh(attempt).await
        } else {
            self.turn.pause(attempt).await
        }
    }

    /// Waits a little and reads the metadata again, for another attempt; false when there is no time for one.
    ///
    /// Of the fresh metadata only later terms are taken over: the topics of a reading stay those it began with.
    async fn refresh(&mut self, attempt: u32) -> bool {
        if !self.turn.pause(attempt).await {
            return false;
        }
        let others = self.turn.brokers().into_iter().map(Source::Broker).filter(|other| *other != self.source);
        let sources = std::iter::once(self.source.clone()).chain(others).collect();
        let fresh =
            hedge::topology(&self.turn, &Metadata::AllTopics, sources, self.options.hedge_after, &self.topology).await;
        if let Some((source, fresh)) = fresh {
            self.topology.take_fresher(&fresh);
            for (id, broker) in fresh.brokers {
                self.turn.admit([(id, address(&broker))]);
                self.topology.brokers.entry(id).or_insert(broker);
            }
            self.source = source;
            self.refreshed = true;
        }
        true
    }

    /// The partitions of the topics in scope.
    pub(crate) fn covered(&self) -> Vec<TopicPartition> {
        let covered = self.topology.partitions().filter(|(topic, _)| self.scope.covers_topic(topic.name.as_str()));
        covered
            .map(|(topic, partition)| TopicPartition { topic: topic.name.clone(), partition: partition.id })
            .collect()
    }

    /// The leader to name with what is missing of a partition.
    pub(crate) fn broker_of(&self, at: &TopicPartition, why: Missing) -> Option<BrokerId> {
        match why {
            Missing::Unreachable(broker) | Missing::TimedOut(broker) | Missing::Garbled(broker) => Some(broker),
            Missing::NoLeader
            | Missing::LeaderMoving
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
            | Missing::NotAsked
            | Missing::TopicNotInMetadata
            | Missing::Unconfirmed => self.topology.leader(at).ok().map(|leader| leader.broker),
        }
    }
}
