//! Sends the records of class `transactional`: a thread of its own, because librdkafka's transaction calls block.
//!
//! ```text
//!             init acknowledged            first record            span over
//!  preparing ──────────────────► idle ───────────────────► open ─────────────► ending ──► idle
//!      ▲                                                     │                   │
//!      └────── client broken, transaction abandoned ─────────┴───────────────────┘
//! ```
//!
//! What is said of a transaction: *committed* and *aborted* when the coordinator acknowledged it; *unknown* when a commit may
//! have been asked for and nobody said what came of it. One that was never asked to commit, and was left open, is told
//! as *aborted* once the next client has its producer id: the coordinator gives that out after it has aborted what was open.
//!
//! The transactional.id is the installation's, so a newer instance fences an older one. The older one stops for good and
//! never fights back; only where the coordinator may have given up a transaction that was open for too long, which it
//! tells by the same error, is a new client made.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _};
use tokio::sync::{mpsc, oneshot, watch};

use super::CanaryError;
use super::client::{Role, config};
use super::connection::Connection;
use super::ending::{Closing, Ending, Leave, SLICE, TICK, done_with, is_stopped};
use super::mix::{Purpose, Step, TransactionMix, fatal, step};
use super::producer::{Client, Flushed, Made, Maker, Patience, SendRefused, resolve, text};
use super::standstill::{Standing, Standstill};
use crate::audit::{CanaryClass, CanaryRecord, Event, Lineage, RecordKey, TransactionEnd, payload};
use crate::clock::Clock;
use crate::model::{Moment, TopicName};

/// How long it waits for the first record of a transaction.
const IDLE: Duration = Duration::from_millis(100);
/// How long the end of a transaction is waited for: beyond it the coordinator has given the transaction up.
const END_WITHIN: Duration = Duration::from_secs(30);
/// How long a broker may take to name a partition that joined.
const LEARN_WITHIN: Duration = Duration::from_secs(1);
/// Records that wait for their transaction. A full queue refuses, as a client that is being made does.
const WAITING: usize = 1_024;

/// The class's producer.
#[derive(Debug)]
pub(crate) struct Transactional {
    inbox: std_mpsc::SyncSender<CanaryRecord>,
    open: watch::Receiver<bool>,
    standing: Standing,
    stop: std_mpsc::Sender<Duration>,
    stopped: oneshot::Receiver<Flushed>,
}

impl Transactional {
    /// Starts it. Records are taken once the transactional.id is ours.
    pub(crate) fn start(
        kafka: &Connection,
        (topic, lineage): (TopicName, Lineage),
        mix: TransactionMix,
        clock: Clock,
        events: mpsc::Sender<(Event, Moment)>,
    ) -> Result<Self, CanaryError> {
        let class = CanaryClass::Transactional;
        let mut config = config(kafka, Role::Producer(class));
        config.set("transactional.id", transactional_id(lineage));
        // What is wrong with the section is said at once; whatever else is tried again.
        config.create_native_config()?;
        let standing = Standing::new(Some(Standstill::Waiting { why: "it asks for its transactional.id".to_owned() }));
        let tokens = kafka.tokens.clone();
        let maker = Maker { config, tokens, class, clock, events, standing: standing.clone(), links: None };
        let (inbox, records) = std_mpsc::sync_channel(WAITING);
        let (open, is_open) = watch::channel(false);
        let (stop, stops) = std_mpsc::channel();
        let (done, stopped) = oneshot::channel();
        let desk = Desk {
            maker,
            topic,
            mix,
            records,
            open,
            stops,
            number: 0,
            held: None,
            left: Vec::new(),
            patience: Patience::default(),
        };
        std::thread::Builder::new()
            .name(format!("canary-{class}"))
            .spawn(move || {
                // Nobody waits when the daemon goes down without a stop.
                done.send(desk.run()).ok();
            })
            .map_err(CanaryError::Thread)?;
        Ok(Self { inbox, open: is_open, standing, stop, stopped })
    }

    /// Why it does not send now; nothing while it does.
    pub(crate) fn standstill(&self) -> Option<Standstill> {
        self.standing.now()
    }

    /// Hands a record over. Never waits: its `Sent` event follows when the thread has taken it into a transaction.
    pub(crate) fn send(&self, record: &CanaryRecord) -> Result<(), SendRefused> {
        if !*self.open.borrow() {
            return Err(SendRefused::NotRunning);
        }
        self.inbox.try_send(*record).map_err(|_| SendRefused::NotRunning)
    }

    /// Takes no further record and ends the open transaction: by a commit within the deadline, or else by an abort, or
    /// else its end is unknown.
    pub(crate) async fn stop(self, deadline: Duration) -> Flushed {
        // The thread is gone already where this is refused, and has reported everything.
        self.stop.send(deadline).ok();
        self.stopped.await.unwrap_or_default()
    }
}

/// The same for every instance of an installation, so that the newest fences the others.
fn transactional_id(lineage: Lineage) -> String {
    lineage.0.iter().fold("kustody-canary-".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// The thread's state.
struct Desk {
    maker: Maker,
    topic: TopicName,
    mix: TransactionMix,
    records: std_mpsc::Receiver<CanaryRecord>,
    /// Whether records are taken.
    open: watch::Sender<bool>,
    stops: std_mpsc::Receiver<Duration>,
    /// Of the last transaction begun.
    number: u64,
    /// Taken, and refused by a client that had fallen out of its transaction: the next transaction begins with it.
    held: Option<CanaryRecord>,
    /// Records of transactions that were left open without a commit: aborted, as soon as a new client has its id.
    left: Vec<RecordKey>,
    patience: Patience,
}

impl Desk {
    fn run(mut self) -> Flushed {
        let mut flushed = Flushed::default();
        loop {
            let (client, born) = match self.prepare() {
                Ok(ready) => ready,
                Err(leave) => {
                    self.leave_for_good(leave);
                    return flushed;
                }
            };
            self.maker.standing.sends();
            self.open.send_replace(true);
            let leave = loop {
                if let Some(leave) = self.transaction(&client, &mut flushed) {
                    break leave;
                }
            };
            self.open.send_replace(false);
            match leave {
                Leave::Replace(None) => self.patience = Patience::default(),
                Leave::Replace(Some(why)) => {
                    self.maker.fails(&why);
                    self.patience.failed_after(self.now() - born);
                }
                Leave::Stop | Leave::Fenced(_) => {
                    drop(client);
                    self.leave_for_good(leave);
                    return flushed;
                }
            }
        }
    }

    /// Nothing more is sent. What was left open has no next client to show its end.
    fn leave_for_good(&mut self, leave: Leave) {
        let left = std::mem::take(&mut self.left);
        self.tell_end(left, TransactionEnd::Unknown);
        if let Leave::Fenced(why) = leave {
            tracing::error!(why, "a newer instance of this installation sends transactions: this one does no more");
            self.maker.standing.is_fenced(&why);
            // The handle is told that it stands still, until it stops or goes.
            self.stops.recv().ok();
        }
    }

    /// A client that has its producer id: older instances are fenced by now, and what was left open is aborted.
    fn prepare(&mut self) -> Result<(Arc<Client>, Duration), Leave> {
        loop {
            if is_stopped(&self.stops, self.patience.wait()).is_some() {
                return Err(Leave::Stop);
            }
            let born = self.now();
            let why = match self.maker.client() {
                Ok(Made { client, .. }) => match self.initialise(&client) {
                    Ok(()) => {
                        let left = std::mem::take(&mut self.left);
                        self.tell_end(left, TransactionEnd::Aborted);
                        return Ok((client, born));
                    }
                    Err(Leave::Replace(why)) => why.unwrap_or_default(),
                    Err(leave @ (Leave::Stop | Leave::Fenced(_))) => return Err(leave),
                },
                Err(error) => error.to_string(),
            };
            self.maker.fails(&why);
            self.patience.failed_after(self.now() - born);
        }
    }

    fn initialise(&self, client: &Client) -> Result<(), Leave> {
        if self.maker.tokens.is_asked() {
            // The wish for a token waits in the queue, and nobody else polls yet.
            client.poll(Duration::ZERO);
        }
        loop {
            match step(client.init_transactions(SLICE)) {
                Step::Done => return Ok(()),
                Step::Again(why) => self.maker.standing.waits(&why),
                Step::Fenced(why) => return Err(Leave::Fenced(why)),
                Step::Abort { why, .. } | Step::Broken(why) => return Err(Leave::Replace(Some(why))),
            }
            client.poll(Duration::ZERO);
            if is_stopped(&self.stops, Duration::ZERO).is_some() {
                return Err(Leave::Stop);
            }
        }
    }

    /// One transaction, from its first record to its end. Tells when the client is not to be used any further.
    fn transaction(&mut self, client: &Client, flushed: &mut Flushed) -> Option<Leave> {
        let first = match self.first(client) {
            Ok(first) => first,
            Err(leave) => return Some(leave),
        };
        let began = self.now();
        let is_begun = step(client.begin_transaction());
        if is_begun != Step::Done {
            self.held = Some(first);
            return Some(done_with(is_begun));
        }
        self.number += 1;
        let mut members = Vec::new();
        let mut is_taking = self.hand_over(client, first, &mut members);
        let mut stopping = None;
        while is_taking && stopping.is_none() && self.now() - began < self.mix.span {
            client.poll(TICK);
            while is_taking && let Ok(record) = self.records.try_recv() {
                is_taking = self.hand_over(client, record, &mut members);
            }
            stopping = is_stopped(&self.stops, Duration::ZERO);
        }
        let due = self.now() + stopping.unwrap_or(END_WITHIN);
        let is_stopping = stopping.is_some();
        let (clock, stops) = (self.maker.clock, &self.stops);
        let Ending { end, leave } = self.end(Closing { client, clock, stops, began, due, is_stopping });
        if leave.is_some() {
            // Every record has its outcome before its transaction's end is told.
            flushed.unresolved += resolve(client, Duration::ZERO).unresolved;
        }
        match end {
            Some(end) => self.tell_end(members, end),
            None => self.left.extend(members),
        }
        leave
    }

    /// The record that a transaction begins with.
    fn first(&mut self, client: &Client) -> Result<CanaryRecord, Leave> {
        loop {
            if is_stopped(&self.stops, Duration::ZERO).is_some() {
                return Err(Leave::Stop);
            }
            client.poll(Duration::ZERO);
            if let Some((code, why)) = client.client().fatal_error() {
                // Nothing is open that the coordinator could have given up.
                return Err(done_with(fatal(code, why)));
            }
            if let Some(record) = self.held.take() {
                return Ok(record);
            }
            match self.records.recv_timeout(IDLE) {
                Ok(record) => return Ok(record),
                Err(std_mpsc::RecvTimeoutError::Timeout) => {}
                Err(std_mpsc::RecvTimeoutError::Disconnected) => return Err(Leave::Stop),
            }
        }
    }

    /// Hands a record to librdkafka, whose reports come only when this thread polls: `Sent` is told before any outcome.
    /// False when the transaction takes no more.
    fn hand_over(&mut self, client: &Client, record: CanaryRecord, members: &mut Vec<RecordKey>) -> bool {
        const NOT_NOW: [RDKafkaErrorCode; 3] =
            [RDKafkaErrorCode::State, RDKafkaErrorCode::Fatal, RDKafkaErrorCode::QueueFull];
        let (key, at) = (record.key, self.maker.clock.now());
        let bytes = payload::encode(&record);
        let message = BaseRecord::<(), [u8], Box<RecordKey>>::with_opaque_to(self.topic.as_str(), Box::new(key))
            .partition(key.partition.0)
            .payload(bytes.as_slice());
        let mut sent = client.send(message);
        // A partition that joined since the last metadata is learned first.
        if let Err((KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition), message)) = sent {
            self.learn(client, &key);
            sent = client.send(message);
        }
        match sent {
            Ok(()) => {
                self.tell(Event::Sent(key), at);
                members.push(key);
            }
            Err((KafkaError::MessageProduction(code), _)) if NOT_NOW.contains(&code) => {
                self.held = Some(record);
                return false;
            }
            Err((error, _)) => {
                self.tell(Event::Sent(key), at);
                self.tell(Event::Rejected { key, error: text(&error) }, self.maker.clock.now());
            }
        }
        true
    }

    /// Asks for the topic's metadata, which librdkafka takes over.
    fn learn(&self, client: &Client, key: &RecordKey) {
        if let Err(error) = client.client().fetch_metadata(Some(self.topic.as_str()), LEARN_WITHIN) {
            tracing::debug!(%error, partition = %key.partition, "a partition is not known yet");
        }
    }

    fn end(&self, mut closing: Closing<'_>) -> Ending {
        let ending = match self.mix.purpose(self.number) {
            Purpose::Commit => closing.commit(),
            Purpose::Abort => {
                // What is aborted shall be in the log.
                closing.deliver();
                closing.abort(false)
            }
            Purpose::Abandon => {
                closing.deliver();
                closing.hold(self.mix.abandoned_for);
                if closing.is_stopping {
                    // There will be no next client to fence it.
                    closing.abort(false)
                } else {
                    tracing::debug!(number = self.number, "a transaction is left open on purpose");
                    closing.leave_open()
                }
            }
        };
        // Told to stop, it stops, whatever else has come about.
        let leave = if closing.is_stopping { Some(Leave::Stop) } else { ending.leave };
        Ending { leave, ..ending }
    }

    fn tell_end(&self, records: Vec<RecordKey>, end: TransactionEnd) {
        if !records.is_empty() {
            self.tell(Event::TransactionEnded { records, end }, self.maker.clock.now());
        }
    }

    /// Waits for room: no event is ever dropped.
    fn tell(&self, event: Event, at: Moment) {
        if self.maker.events.blocking_send((event, at)).is_err() {
            tracing::debug!("an outcome came after the ledger was closed");
        }
    }

    fn now(&self) -> Duration {
        self.maker.clock.now().mono
    }
}
