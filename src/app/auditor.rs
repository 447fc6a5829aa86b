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

use super::flush::Flusher;
use super::journal::Journal;
use super::pacer::{Block, Pacer, block_size};
use super::poller::TopicSighting;
use super::proof::{Answer, Answers, Moved, Prover, Stopped};
use super::view::{AuditView, Beside, Viewer};
use crate::audit::{CanaryClass, Event, Incarnation, Isolation, Ledger, Lineage, SloOptions, Step, fitness, placement};
use crate::canary::topic::TopicPlan;
use crate::canary::{
    Canary, CanaryError, CanaryLinkOptions, Connection, ReadStart, ReaderCommand, ReaderNotice, Standstill,
    TransactionMix,
};
use crate::clock::Clock;
use crate::model::{BrokerId, ClusterName, LeaderEpoch, Moment, Offset, PartitionId, TopicId, TopicName};
use crate::store::Store;

/// Events that may wait; beyond it librdkafka's threads wait, and records stay in its queues.
const EVENTS_WAITING: usize = 8_192;
/// Leader epochs of which the reader remembers where they began.
const EPOCHS_REMEMBERED: usize = 32;
/// Events that are applied in one go.
const EVENTS_AT_ONCE: usize = 1_024;
/// How often questions are asked and the view is renewed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the auditor is made of.
pub(super) struct Parts {
    pub(super) cluster: ClusterName,
    pub(super) topic: TopicName,
    pub(super) classes: Vec<CanaryClass>,
    pub(super) rate: f64,
    pub(super) slo: SloOptions,
    pub(super) create_topic: bool,
    pub(super) kafka: Connection,
    /// Grows whenever certificates or passwords were read anew: the canary's clients are made anew then.
    pub(super) credentials: watch::Receiver<u64>,
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) ledger: Ledger,
    /// Where what the ledger is told is written down besides.
    pub(super) journal: Option<std::path::PathBuf>,
    /// True when the ledger has no past: nothing of ours can be in the topic yet.
    pub(super) fresh: bool,
    pub(super) lineage: Lineage,
    pub(super) incarnation: Incarnation,
    pub(super) prover: Prover,
    pub(super) sightings: mpsc::Receiver<TopicSighting>,
    pub(super) view: watch::Sender<AuditView>,
    pub(super) stop: CancellationToken,
}

/// Who sends by whatever canary runs: what is reserved and not sent outlives a canary.
struct Sending {
    canary: watch::Sender<Option<Arc<Canary>>>,
    blocks: mpsc::UnboundedSender<Block>,
    pacer: JoinHandle<()>,
}

pub(super) struct Auditor {
    parts: Parts,
    canary: Option<Arc<Canary>>,
    sending: Option<Sending>,
    events: Option<mpsc::Receiver<(Event, Moment)>>,
    notices: Option<mpsc::Receiver<(Isolation, ReaderNotice)>>,
    /// What each reader read of each partition: the first offset of each leader epoch.
    read_epochs: BTreeMap<(Isolation, PartitionId), BTreeMap<LeaderEpoch, Offset>>,
    /// The readers that the classes need.
    isolations: BTreeSet<Isolation>,
    topic_id: watch::Sender<Option<TopicId>>,
    /// The topic's id as last read.
    life: Option<TopicId>,
    read: BTreeSet<PartitionId>,
    /// Of these, those that joined at run time and that the producers do not know yet.
    joining: BTreeSet<PartitionId>,
    leaders: Vec<Option<BrokerId>>,
    brokers: Vec<BrokerId>,
    /// The end of what is reserved, and of what is sent, by class and partition.
    reserved: BTreeMap<(CanaryClass, PartitionId), u64>,
    sent: BTreeMap<(CanaryClass, PartitionId), u64>,
    flusher: Flusher,
    viewer: Viewer,
    answers: Answers,
    paused: Option<String>,
    creating: bool,
}

impl Auditor {
    pub(super) fn new(mut parts: Parts) -> Self {
        let mut journal = Journal::open(parts.journal.take());
        journal.note(parts.ledger.started(), || Step::Begun {
            options: parts.ledger.options(),
            lineage: parts.lineage,
            incarnation: parts.incarnation,
        });
        let flusher = Flusher::new(parts.cluster.clone(), parts.store.clone(), journal);
        let isolations = parts.classes.iter().copied().map(Isolation::of).collect();
        let viewer = Viewer::new(parts.topic.clone(), parts.classes.clone(), parts.view.clone(), parts.slo);
        Self {
            parts,
            canary: None,
            sending: None,
            events: None,
            notices: None,
            read_epochs: BTreeMap::new(),
            isolations,
            topic_id: watch::Sender::new(None),
            life: None,
            read: BTreeSet::new(),
            joining: BTreeSet::new(),
            leaders: Vec::new(),
            brokers: Vec::new(),
            reserved: BTreeMap::new(),
            sent: BTreeMap::new(),
            flusher,
            viewer,
            answers: Answers::new(),
            paused: Some("the canary topic has not been seen yet".to_owned()),
            creating: false,
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
                (isolation, notice) = next_of(&mut self.notices) => self.notice(isolation, notice),
                Some(sighting) = self.parts.sightings.recv() => self.sighted(sighting).await,
                answer = self.answers.next() => self.answered(answer),
                () = changed(&mut self.parts.credentials) => self.connect_anew().await,
                _ = looks.tick() => self.look().await,
            }
        }
        self.end().await;
    }

    fn apply(&mut self, event: Event, at: Moment) {
        if let Event::Sent(key) = &event {
            self.sent.insert((key.class, key.partition), key.sequence + 1);
        }
        if let Event::Received { isolation, partition, offset, leader_epoch: Some(epoch), .. } = &event {
            let epochs = self.read_epochs.entry((*isolation, *partition)).or_default();
            epochs.entry(*epoch).or_insert(*offset);
            while epochs.len() > EPOCHS_REMEMBERED {
                epochs.pop_first();
            }
        }
        self.flusher.journal.note(at, || Step::Happened(event.clone()));
        self.parts.ledger.apply(event, at);
    }

    fn note(&mut self, first: (Event, Moment)) {
        self.apply(first.0, first.1);
        // Not all that is there: under a flood, stopping, writing and reserving have their turn too.
        for _ in 0..EVENTS_AT_ONCE {
            let Some(next) = self.events.as_mut().and_then(|events| events.try_recv().ok()) else { return };
            self.apply(next.0, next.1);
        }
    }

    fn notice(&mut self, isolation: Isolation, notice: ReaderNotice) {
        let reader = isolation.as_str();
        match notice {
            ReaderNotice::Stopped { partition, at, text } => {
                tracing::warn!(reader, %partition, at = ?at, reason = text, "the reader's position does not exist, asking where to go on");
                self.ask_where_to_go_on(isolation, partition, at);
            }
            ReaderNotice::CaughtUp { partition } => tracing::debug!(reader, %partition, "the reader is at the end"),
            ReaderNotice::Failing { partition, text } => {
                tracing::warn!(reader, %partition, reason = text, "the canary partition cannot be read now");
            }
            ReaderNotice::Rebuilt { text } => tracing::warn!(reader, reason = text, "the canary's reader was replaced"),
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Events(events) => {
                for (event, at) in events {
                    self.apply(event, at);
                }
            }
            Answer::GoOn(Moved { isolation, partition, to }) => {
                if let Some(epochs) = self.read_epochs.get_mut(&(isolation, partition)) {
                    epochs.retain(|_, first| *first < to);
                }
                if let Some(canary) = &self.canary {
                    canary.command(isolation, ReaderCommand::Seek { partition, offset: to });
                }
            }
            Answer::Introduced(partitions) => self.joining.retain(|one| !partitions.contains(one)),
            Answer::AskAgain(Stopped { isolation, partition, at }) => self.ask_where_to_go_on(isolation, partition, at),
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

    fn ask_where_to_go_on(&mut self, isolation: Isolation, partition: PartitionId, at: Option<Offset>) {
        let epochs = self.read_epochs.get(&(isolation, partition)).cloned().unwrap_or_default();
        self.answers.ask_where_to_go_on(&self.parts.prover, Stopped { isolation, partition, at }, epochs);
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
        if self.life.replace(topic_id).is_some_and(|former| former != topic_id) {
            // Positions of the former life mean nothing in this one; what is read twice is only a re-read.
            self.read_epochs.clear();
            if let Some(canary) = &self.canary {
                for isolation in &self.isolations {
                    for partition in &self.read {
                        let back = ReaderCommand::SeekBeginning { partition: *partition };
                        canary.command(*isolation, back);
                    }
                }
            }
        }
        let partitions: Vec<PartitionId> = sighting.partitions.keys().copied().collect();
        self.apply(Event::TopicSighted { topic_id, partitions: partitions.clone(), begun: sighting.begun }, now);
        self.apply(Event::EpochsSighted(sighting.epochs), now);
        self.read_also(&partitions).await;
        if self.canary.is_some() && self.parts.ledger.second_instance().is_none() {
            // What was sent is read and judged all the same.
            self.topic_id.send_replace(Some(topic_id).filter(|_| sighting.refusal.is_none()));
            let refused = |refusal| format!("the topic {} does not fit: {refusal}", self.parts.topic);
            self.paused = sighting.refusal.map(refused);
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
        self.paused = Some(format!("the topic {} does not exist, and is being created", self.parts.topic));
        let plan = placement::PlacementPlan::for_brokers(&sighting.brokers);
        if let Some(plan) = plan.filter(|_| !self.creating) {
            self.creating = true;
            let retention = fitness::needed_retention(self.parts.ledger.options().window);
            let plan = TopicPlan { topic: self.parts.topic.clone(), replicas: plan.replicas, retention };
            self.answers.create_topic(self.parts.kafka.clone(), plan);
        }
    }

    /// Starts to read partitions that are not read yet, and starts the canary with the first of them.
    async fn read_also(&mut self, partitions: &[PartitionId]) {
        let new: Vec<PartitionId> = partitions.iter().copied().filter(|one| !self.read.contains(one)).collect();
        if new.is_empty() {
            return;
        }
        // Nothing of ours is in the topic before the first start: what others left there need not be read. Without a
        // leader that tells its end, reading begins at the log start.
        let is_first = self.parts.fresh && self.canary.is_none();
        let mut starts: Vec<(Isolation, ReadStart)> = Vec::new();
        for partition in new.iter().copied() {
            let end = if is_first { self.parts.prover.log_end(partition).await } else { None };
            for isolation in &self.isolations {
                let offset = self.parts.ledger.next_to_read(*isolation, partition).or(end);
                starts.push((*isolation, ReadStart { partition, offset }));
            }
        }
        if let Some(canary) = &self.canary {
            self.joining.extend(&new);
            self.answers.introduce(canary, new, partitions.len());
        } else if let Err(error) = self.start() {
            tracing::error!(%error, "the canary does not start");
            self.paused = Some(format!("the canary does not start: {error}"));
            return;
        }
        let now = self.parts.clock.now();
        for (isolation, start) in starts {
            self.read.insert(start.partition);
            if let Some(to) = start.offset {
                self.apply(Event::ReaderMoved { isolation, partition: start.partition, to }, now);
            }
            if let Some(canary) = &self.canary {
                canary.command(isolation, ReaderCommand::Add(vec![start]));
            }
        }
    }

    /// Starts the producers, and readers that wait for their partitions.
    fn start(&mut self) -> Result<(), CanaryError> {
        let (events, received) = mpsc::channel(EVENTS_WAITING);
        let (notices, noticed) = mpsc::channel(64);
        let parts = &self.parts;
        let options = CanaryLinkOptions {
            kafka: parts.kafka.clone(),
            topic: parts.topic.clone(),
            lineage: parts.lineage,
            classes: parts.classes.iter().copied().collect(),
            transactions: TransactionMix::default(),
        };
        let canary = Arc::new(Canary::start(&options, parts.clock, events, notices)?);
        self.events = Some(received);
        self.notices = Some(noticed);
        self.canary = Some(Arc::clone(&canary));
        if let Some(sending) = &self.sending {
            sending.canary.send_replace(Some(canary));
            return Ok(());
        }
        let (canary, current) = watch::channel(Some(canary));
        // Reservations bound it: one and a half blocks a class and partition.
        let (blocks, ready) = mpsc::unbounded_channel();
        let parts = &self.parts;
        let pacer = Pacer {
            canary: current,
            clock: parts.clock,
            lineage: parts.lineage,
            incarnation: parts.incarnation,
            rate: parts.rate,
            topic_id: self.topic_id.subscribe(),
            blocks: ready,
        };
        self.sending = Some(Sending { canary, blocks, pacer: tokio::spawn(pacer.run()) });
        Ok(())
    }

    /// Ends the canary, with its outcomes in, and starts one that reads its certificates and passwords again.
    async fn connect_anew(&mut self) {
        let Some(canary) = self.canary.take() else { return };
        tracing::info!("certificates or passwords have changed: the canary's clients are made anew");
        if let Some(sending) = &self.sending {
            sending.canary.send_replace(None);
        }
        // What was asked is asked again.
        self.answers.end().await;
        self.creating = false;
        self.joining.clear();
        self.stop(canary).await;
        self.parts.fresh = false;
        let partitions: Vec<PartitionId> = std::mem::take(&mut self.read).into_iter().collect();
        self.read_also(&partitions).await;
    }

    /// Stops the readers at once and the producers when their outcomes are in.
    async fn stop(&mut self, mut canary: Arc<Canary>) {
        drop(self.notices.take());
        let stopping = tokio::spawn(async move {
            // The pacer may be about to send.
            for _ in 0..100 {
                canary = match Arc::try_unwrap(canary) {
                    Ok(canary) => {
                        canary.stop(Duration::from_secs(3)).await;
                        return;
                    }
                    Err(in_use) => in_use,
                };
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            tracing::warn!("the canary is still in use");
        });
        if let Some(mut events) = self.events.take() {
            while let Some((event, at)) = events.recv().await {
                self.apply(event, at);
            }
        }
        stopping.await.ok();
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
        self.flusher.journal.note(now, || Step::Asked);
        let questions = self.parts.ledger.questions(now);
        self.answers.ask(&self.parts.prover, self.canary.as_ref(), questions);
        if self.parts.ledger.wants_sighting(now) {
            self.answers.look_at_leaders(&self.parts.prover);
        }
        self.reserve(now);
        let coverage = placement::coverage(&self.leaders, &self.brokers);
        let paused = self.paused.clone().or_else(|| self.flusher.trouble()).or_else(|| self.standstill());
        let sights = self.canary.as_ref().map(|canary| canary.sights()).unwrap_or_default();
        let revised = self.viewer.renew(&mut self.parts.ledger, now, Beside { coverage, paused, sights });
        let written = self.flusher.written(now).await;
        self.hand_over(written);
        let nothing_to_write = self.flusher.begin_when_due(&mut self.parts.ledger, now, revised);
        self.hand_over(nothing_to_write);
    }

    fn reserve(&mut self, now: Moment) {
        if self.topic_id.borrow().is_none() {
            return;
        }
        // Two seconds of the rate: what a crash leaves unknown is not more than that.
        let size = block_size(self.parts.rate);
        for class in self.parts.classes.clone() {
            for partition in self.read.difference(&self.joining).copied() {
                let key = (class, partition);
                let reserved = self.reserved.get(&key).copied().unwrap_or(0);
                let sent = self.sent.get(&key).copied().unwrap_or(0);
                if reserved.saturating_sub(sent) > size / 2 {
                    continue;
                }
                self.flusher.journal.note(now, || Step::Reserved { class, partition, number: size });
                let sequences: Range<u64> = self.parts.ledger.reserve(class, partition, size);
                self.reserved.insert(key, sequences.end);
                self.flusher.reserve(Block { class, partition, sequences });
            }
        }
    }

    /// Which classes do not send now, and why.
    fn standstill(&self) -> Option<String> {
        let still = self.canary.as_ref()?.standstills();
        let told = still.iter().map(|(class, why)| match why {
            Standstill::Waiting { why } => format!("class {class} waits: {why}"),
            Standstill::Fenced { why } => format!("class {class} was fenced by a newer instance: {why}"),
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Lets the pacer send what is reserved on disk.
    fn hand_over(&self, blocks: Vec<Block>) {
        let Some(sending) = &self.sending else { return };
        for block in blocks {
            if sending.blocks.send(block).is_err() {
                tracing::error!("the pacer takes no more sequences");
            }
        }
    }

    /// Sends no more, waits for outcomes, gives back what was reserved, and writes the rest.
    async fn end(&mut self) {
        self.topic_id.send_replace(None);
        // Nobody asks any more: what a question holds of the canary is let go.
        self.answers.end().await;
        if let Some(Sending { canary, blocks, mut pacer }) = self.sending.take() {
            drop((canary, blocks, self.notices.take()));
            // The pacer may wait for room for its events: they are received meanwhile.
            loop {
                tokio::select! {
                    ended = &mut pacer => {
                        if ended.is_err() {
                            tracing::warn!("the pacer ended early");
                        }
                        break;
                    }
                    event = next_of(&mut self.events) => self.note(event),
                }
            }
            if let Some(canary) = self.canary.take() {
                self.stop(canary).await;
            }
            for class in self.parts.classes.clone() {
                for partition in self.read.clone() {
                    self.flusher.journal.note(self.parts.clock.now(), || Step::Released { class, partition });
                    self.parts.ledger.release(class, partition);
                }
            }
        }
        let now = self.parts.clock.now();
        self.flusher.finish(&mut self.parts.ledger, now).await;
    }
}

/// The next change; never, once there can be none.
pub(super) async fn changed(of: &mut watch::Receiver<u64>) {
    if of.changed().await.is_err() {
        std::future::pending().await
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
