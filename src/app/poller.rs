//! Reads one cluster again and again. Nothing but the cluster decides how long a reading takes, and nobody waits for it
//! but the next reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::audit::fitness::{self, CanaryTopic};
use crate::clock::Clock;
use crate::config::Selection;
use crate::model::{
    BrokerId, ClusterSnapshot, EpochSighting, LeaderEpoch, Moment, PartitionId, Reading, Topic, TopicId, TopicName,
    TopicPartition,
};
use crate::wire::{Cluster, Scope, Share};

/// Topic settings are read anew every so many turns; those of a new topic at once.
const CONFIGS_EVERY: u64 = 20;
/// Log start offsets are read anew every so many turns; where a group is near one, always.
const EARLIEST_EVERY: u64 = 10;
/// Settled groups are described anew every so many turns, each turn a share of them; what changed, at once.
const DESCRIBED_EVERY: u64 = 10;

/// What the canary topic looked like in one reading of the cluster.
#[derive(Clone, Debug)]
pub(super) struct TopicSighting {
    pub(super) topic_id: Option<TopicId>,
    /// Each partition with its leader.
    pub(super) partitions: BTreeMap<PartitionId, Option<BrokerId>>,
    /// When the request was about to be sent.
    pub(super) begun: Moment,
    pub(super) brokers: Vec<BrokerId>,
    pub(super) epochs: Vec<EpochSighting>,
    /// True when the metadata was read and has no such topic.
    pub(super) absent: bool,
    /// Why nothing may be sent to it, if so.
    pub(super) refusal: Option<String>,
}

pub(super) struct Poller {
    pub(super) cluster: Cluster,
    pub(super) every: Duration,
    pub(super) clock: Clock,
    pub(super) topics: Arc<Selection>,
    pub(super) groups: Arc<Selection>,
    pub(super) canary_topic: Option<TopicName>,
    /// How long a canary record is judged.
    pub(super) canary_window: Duration,
    pub(super) questions: watch::Receiver<Vec<(TopicPartition, LeaderEpoch)>>,
    pub(super) snapshots: mpsc::Sender<ClusterSnapshot>,
    pub(super) sightings: mpsc::Sender<TopicSighting>,
}

impl Poller {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for turn in 0_u64.. {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let scope = self.scope(turn);
            let begun = self.clock.now();
            let snapshot = tokio::select! {
                () = stop.cancelled() => return,
                snapshot = self.cluster.snapshot(&scope) => snapshot,
            };
            if let Some(topic) = &self.canary_topic
                && let Some(sighting) = sighting(topic, self.canary_window, &snapshot, begun)
                && self.sightings.try_send(sighting).is_err()
            {
                tracing::debug!("the auditor has not taken the sightings of earlier turns yet");
            }
            // The turn before is still being judged only when the machine is overloaded: the newer reading waits.
            if self.snapshots.send(snapshot).await.is_err() {
                return;
            }
        }
    }

    fn scope(&self, turn: u64) -> Scope {
        let (topics, groups, canary) = (Arc::clone(&self.topics), Arc::clone(&self.groups), self.canary_topic.clone());
        Scope {
            canary_topic: self.canary_topic.clone(),
            epoch_questions: self.questions.borrow().clone(),
            read_earliest: turn.is_multiple_of(EARLIEST_EVERY),
            read_configs: turn.is_multiple_of(CONFIGS_EVERY),
            described: Some(Share { turn, of: DESCRIBED_EVERY }),
            topics: Some(Box::new(move |name| {
                topics.takes(name) || canary.as_ref().is_some_and(|topic| topic.as_str() == name)
            })),
            groups: Some(Box::new(move |name| groups.takes(name))),
        }
    }
}

/// What a reading says of the canary topic; nothing where its metadata was not read.
fn sighting(topic: &TopicName, window: Duration, snapshot: &ClusterSnapshot, begun: Moment) -> Option<TopicSighting> {
    let Reading::Read(topics) = &snapshot.topics else { return None };
    let Reading::Read(brokers) = &snapshot.brokers else { return None };
    let found = topics.get(topic);
    // How many replicas there are refuses nothing.
    let settings = |topic: &Topic| {
        let topic = CanaryTopic { config: topic.config.as_ref(), replicas: None, brokers: 0 };
        fitness::refusal(&fitness::misfits(&topic, window))
    };
    let partitions = match found.map(|topic| &topic.partitions) {
        Some(Reading::Read(partitions)) => partitions.iter().map(|(id, one)| (*id, one.leader)).collect(),
        Some(Reading::Missing(_)) => return None,
        None => BTreeMap::new(),
    };
    Some(TopicSighting {
        topic_id: found.and_then(|topic| topic.id),
        partitions,
        begun,
        brokers: brokers.keys().copied().collect(),
        epochs: snapshot.canary_sightings.clone(),
        absent: found.is_none(),
        refusal: found.and_then(settings),
    })
}
