//! The canary's judgement: a pure state machine. Events come in with their moment; verdicts and questions go out.
//!
//! ```text
//!              acked(o, e_lo..e_hi)                      received
//!   Sent ───────────────────► Pending ─────────────────────────► Delivered | Late ── proof that o was truncated,
//!     │ │                       │                                                    and a re-read ──► TruncatedAfterDelivery
//!     │ │                       │ proof (epoch end, or the reader passed o), a re-read on a fresh connection
//!     │ │                       │ that does not find it, and the same topic id afterwards ──► Lost
//!     │ │                       ├ log start > o, topic re-created ──► Expired
//!     │ │                       └ the ledger is full, or no offset to judge by ──► Untracked
//!     │ └ timed out, crashed ─► IndeterminatePending ─ received ──► IndeterminateDelivered
//!     │                              ├ the reader is past every term it can be of ──► IndeterminateAbsent (revisable)
//!     │                              └ topic re-created ──► IndeterminateExpired
//!     ├ definitely refused ───► Rejected ───── received ──────────► Phantom
//!     └ transaction aborted ──► Aborted ────── received ──────────► AbortedVisible
//! ```
//!
//! A record of a transaction stays in `Sent` until the transaction has ended, acknowledged or not.
//!
//! The rules live beside it: `proof` (what an answer proves), `history` (the epochs of an ack), `judge` (verdicts),
//! `receipt` (what was read), `ask` (questions), `book` (sums and rows).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::anomaly::{Anomaly, AnomalyKey};
use super::event::Event;
use super::lane::Lane;
use super::latency::Recent;
use super::receipt::Young;
use super::record::{CanaryClass, Incarnation, Isolation, Lineage, RecordKey};
use super::saved::{Copy, ReservationRow};
use super::summary::Counts;
use super::tracked::Tracked;
use crate::model::{BrokerId, Moment, Offset, PartitionId, Timestamp, TopicId};

/// What the ledger judges by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerOptions {
    /// How long an acknowledgement may take.
    pub acknowledge_within: Duration,
    /// How long from send to receipt a record is delivered and not late.
    pub deliver_within: Duration,
    /// How long after the reader passed an offset a missing record there becomes a suspect.
    pub grace: Duration,
    /// How long a judged record is remembered: for duplicates, re-reads and truncation after delivery.
    pub window: Duration,
    /// The number of records that are tracked at most; beyond it the oldest become `untracked`.
    pub records_max: usize,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        Self {
            acknowledge_within: Duration::from_secs(10),
            deliver_within: Duration::from_secs(15),
            grace: Duration::from_secs(5),
            window: Duration::from_secs(30 * 60),
            records_max: 200_000,
        }
    }
}

/// Which way a latency was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// From send to acknowledgement.
    Produce,
    /// From send to receipt.
    EndToEnd,
}

impl Stage {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Produce => "produce",
            Self::EndToEnd => "end_to_end",
        }
    }
}

/// Somebody else writes with our lineage, and started after us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondInstance {
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// When its record was first read.
    pub seen: Moment,
}

/// The sums and latencies of one class.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) since: Timestamp,
    pub(super) counts: Counts,
    pub(super) produce: Recent,
    pub(super) end_to_end: Recent,
}

/// The id of the topic that a broker named last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) id: TopicId,
    /// When it was last asked for.
    pub(super) begun: Moment,
    /// When it was first told.
    pub(super) told: Moment,
}

/// What is to be written at the next flush.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) records: BTreeSet<RecordKey>,
    pub(super) removed: BTreeSet<RecordKey>,
    pub(super) classes: BTreeSet<CanaryClass>,
    pub(super) partitions: BTreeSet<(Isolation, PartitionId)>,
    pub(super) reservations: BTreeSet<(Incarnation, CanaryClass, PartitionId)>,
    pub(super) incarnations: BTreeSet<Incarnation>,
    pub(super) removed_incarnations: BTreeSet<Incarnation>,
    pub(super) anomalies: BTreeSet<AnomalyKey>,
    pub(super) removed_anomalies: BTreeSet<AnomalyKey>,
    pub(super) topic: bool,
    pub(super) former_topics: BTreeSet<TopicId>,
}

/// The judgement on all canary records of one cluster.
#[derive(Debug)]
pub struct Ledger {
    pub(super) options: LedgerOptions,
    pub(super) lineage: Lineage,
    pub(super) incarnation: Incarnation,
    pub(super) started: Moment,
    pub(super) incarnations: BTreeMap<Incarnation, Timestamp>,
    pub(super) records: BTreeMap<RecordKey, Tracked>,
    pub(super) lanes: BTreeMap<PartitionId, Lane>,
    pub(super) classes: BTreeMap<CanaryClass, Class>,
    pub(super) reservations: BTreeMap<(Incarnation, CanaryClass, PartitionId), ReservationRow>,
    pub(super) anomalies: BTreeMap<AnomalyKey, Anomaly>,
    /// Records without a verdict, in the order they were sent.
    pub(super) open: BTreeMap<u64, RecordKey>,
    /// Records whose window ends.
    pub(super) due: BTreeSet<(Duration, RecordKey)>,
    /// Records whose epoch has no upper bound yet.
    pub(super) unbounded: BTreeSet<RecordKey>,
    /// Records with something between them and their verdict.
    pub(super) inquiries: BTreeSet<RecordKey>,
    /// Records that are looked for at all offsets they could be at.
    pub(super) searching: BTreeSet<RecordKey>,
    pub(super) serial: u64,
    pub(super) topic_id: Option<TopicId>,
    /// When the topic's id was last asked for and found the same.
    pub(super) topic_seen: Option<Duration>,
    /// When the last round was begun in which all brokers that had been answering named this id.
    pub(super) round_seen: Option<Duration>,
    /// The same by the wall clock, of an earlier process too.
    pub(super) confirmed_at: Option<Timestamp>,
    /// What was read at low offsets, and not yet confirmed to be of this life of the topic.
    pub(super) young: BTreeMap<RecordKey, Young>,
    /// Who answered in the last rounds of sightings.
    pub(super) rounds: VecDeque<(Duration, BTreeSet<BrokerId>)>,
    /// When we learned of the present topic's id: what was begun before may be about the former.
    pub(super) topic_since: Option<Duration>,
    pub(super) former_topics: BTreeSet<TopicId>,
    /// The id that each broker named last.
    pub(super) named: BTreeMap<BrokerId, Named>,
    /// Who was ever sighted, named an id or not.
    pub(super) heard: BTreeSet<BrokerId>,
    /// Who answered a question of proof before it was sighted: nobody knows which life of the topic it is in.
    pub(super) unheard: BTreeSet<BrokerId>,
    /// Another id that somebody named, until a round of sightings decides.
    pub(super) topic_doubt: Option<(TopicId, Moment)>,
    pub(super) corrupt: u64,
    pub(super) foreign: u64,
    pub(super) consumer_skipped: u64,
    pub(super) second: Option<SecondInstance>,
    /// Incarnations of our lineage that we do not know, and whether they sent before we started.
    pub(super) strangers: BTreeMap<Incarnation, bool>,
    pub(super) outcomes: BTreeMap<(CanaryClass, &'static str), u64>,
    pub(super) latencies: Vec<(CanaryClass, Stage, f64)>,
    pub(super) dirty: Dirty,
    pub(super) rates: super::rates::Book,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(options: LedgerOptions, lineage: Lineage, incarnation: Incarnation, at: Moment) -> Self {
        let mut ledger = Self {
            options,
            lineage,
            incarnation,
            started: at,
            incarnations: BTreeMap::from([(incarnation, at.wall)]),
            records: BTreeMap::new(),
            lanes: BTreeMap::new(),
            classes: BTreeMap::new(),
            reservations: BTreeMap::new(),
            anomalies: BTreeMap::new(),
            open: BTreeMap::new(),
            due: BTreeSet::new(),
            unbounded: BTreeSet::new(),
            inquiries: BTreeSet::new(),
            searching: BTreeSet::new(),
            serial: 0,
            topic_id: None,
            topic_seen: None,
            round_seen: None,
            confirmed_at: None,
            young: BTreeMap::new(),
            rounds: VecDeque::new(),
            topic_since: None,
            former_topics: BTreeSet::new(),
            named: BTreeMap::new(),
            heard: BTreeSet::new(),
            unheard: BTreeSet::new(),
            topic_doubt: None,
            corrupt: 0,
            foreign: 0,
            consumer_skipped: 0,
            second: None,
            strangers: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            latencies: Vec::new(),
            dirty: Dirty::default(),
            rates: super::rates::Book::default(),
        };
        ledger.dirty.incarnations.insert(incarnation);
        ledger
    }

    /// The next block of `n` sequences, to be sent in order. It must be on disk ([`Ledger::take_changes`]) before any
    /// of them is sent: what is reserved at a crash is indeterminate.
    pub fn reserve(&mut self, class: CanaryClass, partition: PartitionId, n: u64) -> Range<u64> {
        let incarnation = self.incarnation;
        let row = self.reservations.entry((incarnation, class, partition)).or_insert(ReservationRow {
            incarnation,
            class,
            partition,
            sent_below: 0,
            reserved_below: 0,
        });
        let first = row.reserved_below;
        row.reserved_below = first.saturating_add(n);
        self.dirty.reservations.insert((incarnation, class, partition));
        first..row.reserved_below
    }

    /// Gives back what was reserved and not sent, so that a clean stop leaves nothing indeterminate. Nothing of it may
    /// be sent afterwards.
    pub fn release(&mut self, class: CanaryClass, partition: PartitionId) {
        let id = (self.incarnation, class, partition);
        if let Some(row) = self.reservations.get_mut(&id) {
            row.reserved_below = row.sent_below;
            self.dirty.reservations.insert(id);
        }
    }

    /// Takes note of one event.
    pub fn apply(&mut self, event: Event, at: Moment) {
        self.let_windows_end(at);
        match event {
            Event::Sent(key) => self.sent(key, at),
            Event::Acked { key, offset, broker } => self.acked(key, offset, broker, at),
            Event::Rejected { key, error: _ } => self.rejected(key, at),
            Event::Indeterminate { key, error: _ } => self.indeterminate(key, at),
            Event::Received { isolation, record, partition, offset, leader_epoch } => {
                self.received(isolation, &record, Copy { partition, offset, leader_epoch }, at);
            }
            Event::Unreadable { isolation, partition, offset, what } => {
                self.unreadable((isolation, partition), offset, what, at);
            }
            Event::ReaderMoved { isolation, partition, to } => self.reader_moved(isolation, partition, to, at),
            Event::TopicSighted { topic_id, partitions: _, begun } => self.topic_sighted(topic_id, begun, at),
            Event::EpochsSighted(sightings) => self.epochs_sighted(&sightings, at),
            Event::EpochEndTold { broker, partition, asked, current, begun, end, log_start } => {
                self.epoch_end_told(broker, partition, asked, current, begun, end, log_start, at);
            }
            Event::TransactionEnded { records, end } => self.transaction_ended(&records, end, at),
            Event::LinkSighted { class, partition, link } => {
                self.lanes.entry(partition).or_default().links.entry(class).or_default().note(link, at);
            }
            Event::RereadTold { isolation, partition, offset, begun, outcome } => {
                self.reread_told((isolation, partition), offset, begun, &outcome, at);
            }
        }
        self.keep_within_bounds(at);
        #[cfg(debug_assertions)]
        for (class, kept) in &self.classes {
            if let Err(broken) = kept.counts.check(*class) {
                debug_assert!(false, "{broken}");
            }
        }
    }

    /// What it judges by.
    #[must_use]
    pub fn options(&self) -> LedgerOptions {
        self.options
    }

    /// When this process began.
    #[must_use]
    pub fn started(&self) -> Moment {
        self.started
    }

    /// Where the reader of this isolation level is to start; none where it has read nothing of this partition yet.
    #[must_use]
    pub fn next_to_read(&self, isolation: Isolation, partition: PartitionId) -> Option<Offset> {
        self.lanes.get(&partition).and_then(|lane| lane.position(isolation).frontier)
    }

    /// Who else writes with our lineage and started after us: we are to stop sending.
    #[must_use]
    pub fn second_instance(&self) -> Option<SecondInstance> {
        self.second
    }

    /// Records that our own reader skipped and a fresh connection found, since this start.
    #[must_use]
    pub fn consumer_skipped(&self) -> u64 {
        self.consumer_skipped
    }

    /// The topic's id, as last sighted. Nothing is to be sent before the first sighting: it would expire with it.
    #[must_use]
    pub fn topic_id(&self) -> Option<TopicId> {
        self.topic_id
    }
}
