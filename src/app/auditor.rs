//! The canary of one cluster: joins the producer and reader, the ledger, the witness and the store.
//!
//! One task owns the ledger. Events and answers come in by queues, reservations and outcomes go to the store in one
//! transaction at a time, and what readers see goes out by a watch.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::pacer::{Block, Pacer};
use super::proof::{Answer, Answers, Moved, Prover};
use crate::audit::{
    Anomaly, CanaryClass, ClassSummary, Event, Incarnation, Ledger, LedgerChanges, Lineage, Stage, placement,
};
use crate::canary::topic::TopicPlan;
use crate::canary::{Canary, CanaryError, CanaryLinkOptions, Isolation, ReadStart, ReaderCommand, ReaderNotice};
use crate::clock::Clock;
use crate::model::{
    BrokerId, ClusterName, EpochSighting, LeaderEpoch, Moment, Offset, PartitionId, Timestamp, TopicId, TopicName,
};
use crate::publish::PublishedCanary;
use crate::store::{Store, StoreError};

/// Events that may wait; beyond it librdkafka's threads wait, and records stay in its queues.
const EVENTS_WAITING: usize = 8_192;
/// The longest time an outcome stays out of the database.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
/// `retention.ms` of a topic that we create: four times the window in which records are judged.
const TOPIC_RETENTION: Duration = Duration::from_secs(4 * 30 * 60);
/// Leader epochs of which the reader remembers where they began.
const EPOCHS_REMEMBERED: usize = 32;
/// How often questions are asked and the view is renewed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
}

/// What the rest of the daemon sees of the audit.
#[derive(Clone, Debug, Default)]
pub(super) struct AuditView {
    pub(super) canary: Option<Arc<PublishedCanary>>,
    pub(super) anomalies: Arc<Vec<Anomaly>>,
    /// One higher whenever an anomaly is new or different: a verdict that is worth a turn of its own.
    pub(super) revision: u64,
    pub(super) outcomes: BTreeMap<(CanaryClass, &'static str), u64>,
    pub(super) latencies: Arc<LatencyTotals>,
}

/// Histograms of latencies since the start.
pub(super) type LatencyTotals = BTreeMap<(&'static str, &'static str), crate::publish::Histogram>;

/// What the auditor is made of.
pub(super) struct Parts {
    pub(super) cluster: ClusterName,
    pub(super) topic: TopicName,
    pub(super) classes: Vec<CanaryClass>,
    pub(super) rate: f64,
    pub(super) create_topic: bool,
    pub(super) kafka: BTreeMap<String, String>,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) ledger: Ledger,
    /// True when the ledger has no past: nothing of ours can be in the topic yet.
    pub(super) fresh: bool,
    pub(super) lineage: Lineage,
    pub(super) incarnation: Incarnation,
    pub(super) prover: Prover,
    pub(super) sightings: mpsc::Receiver<TopicSighting>,
    pub(super) view: watch::Sender<AuditView>,
    pub(super) stop: CancellationToken,
}

/// The running canary.
struct Link {
    canary: Arc<Canary>,
    blocks: mpsc::Sender<Block>,
    pacer: JoinHandle<()>,
}

struct Flush {
    task: JoinHandle<Result<(), StoreError>>,
    blocks: Vec<Block>,
}

pub(super) struct Auditor {
    parts: Parts,
    link: Option<Link>,
    events: Option<mpsc::Receiver<(Event, Moment)>>,
    notices: Option<mpsc::Receiver<ReaderNotice>>,
    /// What was read of each partition: the first offset of each leader epoch.
    read_epochs: BTreeMap<PartitionId, BTreeMap<LeaderEpoch, Offset>>,
    topic_id: watch::Sender<Option<TopicId>>,
    read: BTreeSet<PartitionId>,
    leaders: Vec<Option<BrokerId>>,
    brokers: Vec<BrokerId>,
    /// The end of what is reserved, and of what is sent, by class and partition.
    reserved: BTreeMap<(CanaryClass, PartitionId), u64>,
    sent: BTreeMap<(CanaryClass, PartitionId), u64>,
    blocks_to_come: Vec<Block>,
    flush: Option<Flush>,
    /// Changes that the store refused; they go before any newer ones.
    unsaved: Option<Arc<LedgerChanges>>,
    flushed_at: Duration,
    answers: Answers,
    latencies: LatencyTotals,
    paused: Option<String>,
    creating: bool,
    published: (u64, BTreeMap<String, (u64, u64, Timestamp)>),
}

impl Auditor {
    pub(super) fn new(parts: Parts) -> Self {
        let answers = Answers::new();
        Self {
            parts,
            link: None,
            events: None,
            notices: None,
            read_epochs: BTreeMap::new(),
            topic_id: watch::Sender::new(None),
            read: BTreeSet::new(),
            leaders: Vec::new(),
            brokers: Vec::new(),
            reserved: BTreeMap::new(),
            sent: BTreeMap::new(),
            blocks_to_come: Vec::new(),
            flush: None,
            unsaved: None,
            flushed_at: Duration::ZERO,
            answers,
            latencies: BTreeMap::new(),
            paused: Some("the canary topic has not been seen yet".to_owned()),
            creating: false,
            published: (0, BTreeMap::new()),
        }
    }

    /// Runs until told to stop; then flushes the producer and the ledger.
    pub(super) async fn run(mut self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.parts.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                event = next_of(&mut self.events) => self.note(event),
                notice = next_of(&mut self.notices) => self.notice(notice),
                Some(sighting) = self.parts.sightings.recv() => self.sighted(sighting).await,
                answer = self.answers.next() => self.answered(answer),
                _ = looks.tick() => self.look().await,
            }
        }
        self.end().await;
    }

    fn apply(&mut self, event: Event, at: Moment) {
        if let Event::Sent(key) = &event {
            self.sent.insert((key.class, key.partition), key.sequence + 1);
        }
        if let Event::Received { partition, offset, leader_epoch: Some(epoch), .. } = &event {
            let epochs = self.read_epochs.entry(*partition).or_default();
            epochs.entry(*epoch).or_insert(*offset);
            while epochs.len() > EPOCHS_REMEMBERED {
                epochs.pop_first();
            }
        }
        self.parts.ledger.apply(event, at);
    }

    fn note(&mut self, first: (Event, Moment)) {
        self.apply(first.0, first.1);
        while let Some(next) = self.events.as_mut().and_then(|events| events.try_recv().ok()) {
            self.apply(next.0, next.1);
        }
    }

    fn notice(&mut self, notice: ReaderNotice) {
        match notice {
            ReaderNotice::Stopped { partition, at, text } => {
                tracing::warn!(%partition, at = ?at, reason = text, "the reader's position does not exist, asking where to go on");
                self.ask_where_to_go_on(partition, at);
            }
            ReaderNotice::CaughtUp { partition } => tracing::debug!(%partition, "the reader is at the end"),
            ReaderNotice::Failing { partition, text } => {
                tracing::warn!(%partition, reason = text, "the canary partition cannot be read now");
            }
            ReaderNotice::Rebuilt { text } => tracing::warn!(reason = text, "the canary's reader was replaced"),
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Events(events) => {
                for (event, at) in events {
                    self.apply(event, at);
                }
            }
            Answer::GoOn(Moved { partition, to }) => {
                if let Some(epochs) = self.read_epochs.get_mut(&partition) {
                    epochs.retain(|_, first| *first < to);
                }
                if let Some(link) = &self.link {
                    link.canary.command(Isolation::ReadUncommitted, ReaderCommand::Seek { partition, offset: to });
                }
            }
            Answer::AskAgain { partition, at } => self.ask_where_to_go_on(partition, at),
            Answer::Created(result) => {
                self.creating = false;
                match result {
                    Ok(()) => tracing::info!(topic = %self.parts.topic, "created the canary topic"),
                    Err(error) => {
                        tracing::error!(topic = %self.parts.topic, error, "the canary topic was not created");
                        self.paused = Some(format!("the topic {} could not be created: {error}", self.parts.topic));
                    }
                }
            }
        }
    }

    fn ask_where_to_go_on(&mut self, partition: PartitionId, at: Option<Offset>) {
        let epochs = self.read_epochs.get(&partition).cloned().unwrap_or_default();
        self.answers.ask_where_to_go_on(&self.parts.prover, partition, at, epochs);
    }

    async fn sighted(&mut self, sighting: TopicSighting) {
        let now = self.parts.clock.now();
        self.brokers = sighting.brokers.clone();
        let Some(topic_id) = sighting.topic_id.filter(|_| !sighting.partitions.is_empty()) else {
            if sighting.absent {
                self.without_topic(&sighting);
            }
            return;
        };
        self.leaders = sighting.partitions.values().copied().collect();
        let partitions: Vec<PartitionId> = sighting.partitions.keys().copied().collect();
        self.apply(Event::TopicSighted { topic_id, partitions: partitions.clone(), begun: sighting.begun }, now);
        self.apply(Event::EpochsSighted(sighting.epochs), now);
        self.read_also(&partitions).await;
        if self.link.is_some() {
            self.topic_id.send_replace(Some(topic_id));
            if self.parts.ledger.second_instance().is_none() {
                self.paused = None;
            }
        }
    }

    fn without_topic(&mut self, sighting: &TopicSighting) {
        self.topic_id.send_replace(None);
        if !self.parts.create_topic {
            self.paused = Some(format!(
                "the topic {} does not exist; create it, or set canary.create_topic = true",
                self.parts.topic
            ));
            return;
        }
        let plan = placement::PlacementPlan::for_brokers(&sighting.brokers);
        if let Some(plan) = plan.filter(|_| !self.creating) {
            self.creating = true;
            let plan =
                TopicPlan { topic: self.parts.topic.clone(), replicas: plan.replicas, retention: TOPIC_RETENTION };
            self.answers.create_topic(self.parts.kafka.clone(), plan);
        }
    }

    /// Starts to read partitions that are not read yet, and starts the canary with the first of them.
    async fn read_also(&mut self, partitions: &[PartitionId]) {
        let new: Vec<PartitionId> = partitions.iter().copied().filter(|one| !self.read.contains(one)).collect();
        if new.is_empty() {
            return;
        }
        let mut starts = Vec::new();
        for partition in new {
            let saved = self.parts.ledger.next_to_read(partition);
            let offset = if saved.is_none() && self.parts.fresh && self.link.is_none() {
                // Nothing of ours is in the topic: what others left there need not be read.
                match self.parts.prover.log_end(partition).await {
                    Some(end) => Some(end),
                    None => continue,
                }
            } else {
                saved
            };
            starts.push(ReadStart { partition, offset });
        }
        match &self.link {
            Some(link) => link.canary.command(Isolation::ReadUncommitted, ReaderCommand::Add(starts.clone())),
            None if starts.len() < partitions.len() => return,
            None => match self.start(&starts) {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, "the canary does not start");
                    self.paused = Some(format!("the canary does not start: {error}"));
                    return;
                }
            },
        }
        let now = self.parts.clock.now();
        for start in starts {
            self.read.insert(start.partition);
            if let Some(to) = start.offset {
                self.apply(Event::ReaderMoved { partition: start.partition, to }, now);
            }
        }
    }

    fn start(&mut self, starts: &[ReadStart]) -> Result<(), CanaryError> {
        let (events, received) = mpsc::channel(EVENTS_WAITING);
        let (notices, noticed) = mpsc::channel(64);
        let parts = &self.parts;
        let options = CanaryLinkOptions {
            kafka: parts.kafka.clone(),
            topic: parts.topic.clone(),
            lineage: parts.lineage,
            classes: parts.classes.iter().copied().collect(),
            starts: starts.to_vec(),
        };
        let canary = Arc::new(Canary::start(&options, parts.clock, events, notices)?);
        let (blocks, ready) = mpsc::channel(1_024);
        let pacer = Pacer {
            canary: Arc::clone(&canary),
            clock: parts.clock,
            lineage: parts.lineage,
            incarnation: parts.incarnation,
            rate: parts.rate,
            topic_id: self.topic_id.subscribe(),
            blocks: ready,
        };
        self.link = Some(Link { canary, blocks, pacer: tokio::spawn(pacer.run()) });
        self.events = Some(received);
        self.notices = Some(noticed);
        Ok(())
    }

    /// Questions, reservations, the flush, and what readers see.
    async fn look(&mut self) {
        let now = self.parts.clock.now();
        if let Some(second) = self.parts.ledger.second_instance() {
            self.topic_id.send_replace(None);
            self.paused = Some(format!(
                "another instance of this installation started later and sends too (incarnation {:016x})",
                second.incarnation.0
            ));
        }
        let questions = self.parts.ledger.questions(now);
        let canary = self.link.as_ref().map(|link| &link.canary);
        self.answers.ask(&self.parts.prover, canary, questions);
        if self.parts.ledger.wants_sighting(now) {
            self.answers.look_at_leaders(&self.parts.prover);
        }
        self.reserve();
        let revised = self.publish(now);
        self.finish_flush().await;
        if self.flush.is_none()
            && (revised || !self.blocks_to_come.is_empty() || now.mono >= self.flushed_at + FLUSH_EVERY)
        {
            self.begin_flush(now);
        }
    }

    fn reserve(&mut self) {
        if self.topic_id.borrow().is_none() {
            return;
        }
        // Two seconds of the rate: what a crash leaves unknown is not more than that.
        let size = block_size(self.parts.rate);
        for class in self.parts.classes.clone() {
            for partition in self.read.clone() {
                let key = (class, partition);
                let reserved = self.reserved.get(&key).copied().unwrap_or(0);
                let sent = self.sent.get(&key).copied().unwrap_or(0);
                if reserved.saturating_sub(sent) > size / 2 {
                    continue;
                }
                let sequences: Range<u64> = self.parts.ledger.reserve(class, partition, size);
                self.reserved.insert(key, sequences.end);
                self.blocks_to_come.push(Block { class, partition, sequences });
            }
        }
    }

    fn begin_flush(&mut self, now: Moment) {
        let changes = match self.unsaved.take() {
            // A reservation made since is not in these; its blocks wait for the next flush.
            Some(changes) => (changes, Vec::new()),
            None => (Arc::new(self.parts.ledger.take_changes()), std::mem::take(&mut self.blocks_to_come)),
        };
        self.flushed_at = now.mono;
        if changes.0.is_empty() {
            self.hand_over(changes.1);
            return;
        }
        let store = self.parts.store.clone();
        let cluster = self.parts.cluster.clone();
        let rows = Arc::clone(&changes.0);
        self.unsaved = Some(changes.0);
        let task = tokio::spawn(async move { store.commit_ledger(&cluster, rows).await });
        self.flush = Some(Flush { task, blocks: changes.1 });
    }

    async fn finish_flush(&mut self) {
        if !self.flush.as_ref().is_some_and(|flush| flush.task.is_finished()) {
            return;
        }
        let Some(flush) = self.flush.take() else { return };
        match flush.task.await {
            Ok(Ok(())) => {
                self.unsaved = None;
                self.hand_over(flush.blocks);
            }
            Ok(Err(error)) => {
                // No reservation on disk, no sending: the pacer runs dry by itself.
                tracing::error!(%error, "the canary's ledger was not written, the canary pauses");
                self.blocks_to_come.splice(0..0, flush.blocks);
            }
            Err(error) => tracing::error!(%error, "the ledger's writer ended"),
        }
    }

    /// Lets the pacer send what is reserved on disk.
    fn hand_over(&self, blocks: Vec<Block>) {
        let Some(link) = &self.link else { return };
        for block in blocks {
            if link.blocks.try_send(block).is_err() {
                tracing::error!("the pacer takes no more sequences");
            }
        }
    }

    /// Renews the view; true when an anomaly is new or different.
    fn publish(&mut self, now: Moment) -> bool {
        for (class, stage, seconds) in self.parts.ledger.take_latencies() {
            let stage = match stage {
                Stage::Produce => "produce",
                Stage::EndToEnd => "end_to_end",
            };
            self.latencies.entry((class.as_str(), stage)).or_default().record(seconds);
        }
        let marks: BTreeMap<String, (u64, u64, Timestamp)> = self
            .parts
            .ledger
            .anomalies()
            .map(|one| (format!("{:?}", one.key), (one.count, one.resurfaced, one.last_at)))
            .collect();
        let revised = marks != self.published.1;
        if revised {
            self.published = (self.published.0 + 1, marks);
        }
        let coverage = placement::coverage(&self.leaders, &self.brokers);
        let classes: Vec<ClassSummary> = self
            .parts
            .classes
            .iter()
            .map(|class| ClassSummary { coverage, ..self.parts.ledger.summary(*class, now) })
            .collect();
        let canary = PublishedCanary {
            topic: self.parts.topic.to_string(),
            as_of: now.wall,
            classes,
            partitions: self.parts.ledger.partitions(now),
            paused: self.paused.clone(),
        };
        let revision = self.published.0;
        let outcomes = self.parts.ledger.outcomes().clone();
        let anomalies = revised.then(|| Arc::new(self.parts.ledger.anomalies().cloned().collect::<Vec<_>>()));
        let latencies = Arc::new(self.latencies.clone());
        self.parts.view.send_modify(|view| {
            view.canary = Some(Arc::new(canary));
            view.revision = revision;
            view.outcomes = outcomes;
            view.latencies = latencies;
            if let Some(anomalies) = anomalies {
                view.anomalies = anomalies;
            }
        });
        revised
    }

    /// Sends no more, waits for outcomes, gives back what was reserved, and writes the rest.
    async fn end(&mut self) {
        self.topic_id.send_replace(None);
        if let Some(link) = self.link.take() {
            let Link { canary, blocks, pacer } = link;
            drop((blocks, self.notices.take()));
            if pacer.await.is_err() {
                tracing::warn!("the pacer ended early");
            }
            let stopping = tokio::spawn(async move {
                if let Ok(canary) = Arc::try_unwrap(canary).map_err(|_| tracing::warn!("the canary is still in use")) {
                    canary.stop(Duration::from_secs(3)).await;
                }
            });
            if let Some(mut events) = self.events.take() {
                while let Some((event, at)) = events.recv().await {
                    self.apply(event, at);
                }
            }
            stopping.await.ok();
            for class in self.parts.classes.clone() {
                for partition in self.read.clone() {
                    self.parts.ledger.release(class, partition);
                }
            }
        }
        if let Some(flush) = self.flush.take() {
            flush.task.await.ok();
        }
        let now = self.parts.clock.now();
        self.begin_flush(now);
        if let Some(flush) = self.flush.take() {
            match flush.task.await {
                Ok(Ok(())) => {}
                ended => tracing::error!(?ended, "the last part of the ledger was not written"),
            }
        }
    }
}

/// The next of a queue; never, while there is none.
async fn next_of<T>(queue: &mut Option<mpsc::Receiver<T>>) -> T {
    if let Some(queue) = queue
        && let Some(next) = queue.recv().await
    {
        return next;
    }
    std::future::pending().await
}

/// Sequences reserved at once: two seconds of the rate, at least 8, at most 1,000.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 8..=1000 before")]
fn block_size(rate: f64) -> u64 {
    (rate * 2.0).ceil().clamp(8.0, 1_000.0) as u64
}
