//! The canary's judgement: a pure state machine. Events come in with their moment; verdicts and questions go out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::anomaly::Anomaly;
use super::event::{Event, Question};
use super::record::{CanaryClass, Incarnation, Lineage};
use super::saved::{LedgerChanges, SavedLedger};
use super::summary::{CanaryPartition, ClassSummary};
use crate::model::{Moment, Offset, PartitionId};

/// What the ledger judges by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The judgement on all canary records of one cluster.
#[derive(Debug)]
pub struct Ledger {
    options: LedgerOptions,
    lineage: Lineage,
    incarnation: Incarnation,
    anomalies: Vec<Anomaly>,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(options: LedgerOptions, lineage: Lineage, incarnation: Incarnation, _at: Moment) -> Self {
        Self { options, lineage, incarnation, anomalies: Vec::new() }
    }

    /// The ledger as it was saved, continued by a new incarnation: what had no outcome is indeterminate now.
    #[must_use]
    pub fn restore(
        _saved: SavedLedger,
        options: LedgerOptions,
        lineage: Lineage,
        incarnation: Incarnation,
        at: Moment,
    ) -> Self {
        Self::new(options, lineage, incarnation, at)
    }

    /// The next block of `n` sequences, in order. It must be on disk (`take_changes`) before any of them is sent.
    pub fn reserve(&mut self, _class: CanaryClass, _partition: PartitionId, n: u64) -> Range<u64> {
        0..n
    }

    /// Gives back what was reserved and not sent, so that a clean stop leaves nothing indeterminate. Nothing may be
    /// sent from the block afterwards.
    pub fn release(&mut self, _class: CanaryClass, _partition: PartitionId) {}

    /// Takes note of one event.
    pub fn apply(&mut self, _event: Event, _at: Moment) {}

    /// What to ask the cluster now. A question is repeated with backoff until its answer decides.
    pub fn questions(&mut self, _at: Moment) -> Vec<Question> {
        Vec::new()
    }

    /// True when a verdict waits for a fresh `TopicSighted` and `EpochsSighted` from all brokers, in this order.
    #[must_use]
    pub fn wants_sighting(&self, _at: Moment) -> bool {
        false
    }

    /// One class, exact now; `coverage` is left to the caller. None before its first record.
    #[must_use]
    pub fn summary(&self, _class: CanaryClass, _at: Moment) -> Option<ClassSummary> {
        None
    }

    /// Each partition of the topic.
    #[must_use]
    pub fn partitions(&self, _at: Moment) -> Vec<CanaryPartition> {
        Vec::new()
    }

    /// Entries into an outcome since this start, by class and outcome.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<(CanaryClass, &'static str), u64> {
        BTreeMap::new()
    }

    /// Latencies in seconds since the last call.
    pub fn take_latencies(&mut self) -> Vec<(CanaryClass, Stage, f64)> {
        Vec::new()
    }

    /// Losses, truncations and duplicates, those of earlier starts included.
    pub fn anomalies(&self) -> impl Iterator<Item = &Anomaly> {
        self.anomalies.iter()
    }

    /// What is to be written in one transaction.
    pub fn take_changes(&mut self) -> LedgerChanges {
        LedgerChanges::default()
    }

    /// Where the reader is to start; none where nothing of this partition was read yet.
    #[must_use]
    pub fn next_to_read(&self, _partition: PartitionId) -> Option<Offset> {
        None
    }

    /// Who else writes with our lineage and started after us: we are to stop sending.
    #[must_use]
    pub fn second_instance(&self) -> Option<SecondInstance> {
        None
    }

    /// Records that our own reader skipped and a fresh connection found.
    #[must_use]
    pub fn consumer_skipped(&self) -> u64 {
        0
    }
}
