//! What readers see of the ledger: sums, rates, partitions, counters.

use std::collections::BTreeMap;

use super::anomaly::Anomaly;
use super::lane::Lane;
use super::ledger::{Ledger, Stage};
use super::record::{CanaryClass, Isolation, RecordKey};
use super::state::State;
use super::summary::{CanaryPartition, ClassSummary, Counts, Latency};
use crate::model::{Moment, Offset, PartitionId};

impl Ledger {
    /// One class, exact now. `coverage` is left to the caller, who knows the brokers.
    #[must_use]
    pub fn summary(&self, class: CanaryClass, at: Moment) -> ClassSummary {
        let kept = self.classes.get(&class);
        let counts = self.counts(class, at);
        debug_assert_eq!(counts.check(class), Ok(()));
        ClassSummary {
            class,
            since: kept.map_or(self.started.wall, |kept| kept.since),
            counts,
            loss_rate: counts.loss_rate(class),
            loss_rate_upper_95: counts.loss_rate_upper_95(class),
            duplicate_rate: counts.duplicate_rate(),
            produce_latency_seconds: kept.map_or_else(Latency::default, |kept| kept.produce.latency()),
            end_to_end_latency_seconds: kept.map_or_else(Latency::default, |kept| kept.end_to_end.latency()),
            coverage: None,
        }
    }

    /// The sums of one class, exact now.
    pub(super) fn counts(&self, class: CanaryClass, at: Moment) -> Counts {
        let pending = self.open.values().filter(|key| key.class == class && self.is_overdue(key, at));
        let overdue = u64::try_from(pending.count()).unwrap_or(u64::MAX);
        let counts = self.classes.get(&class).map(|kept| kept.counts).unwrap_or_default();
        Counts { overdue, corrupt: self.corrupt, foreign: self.foreign, ..counts }
    }

    fn is_overdue(&self, key: &RecordKey, at: Moment) -> bool {
        self.records
            .get(key)
            .is_some_and(|record| record.state == State::Pending && record.sent.until(at) > self.options.deliver_within)
    }

    /// Records without an offset that the reader should have met.
    fn suspected(&self, lane: &Lane) -> u64 {
        let is_suspected = |key: &&RecordKey| {
            lane.order.get(&(key.incarnation, key.class)).is_some_and(|order| order.highest > key.sequence)
        };
        u64::try_from(lane.unseen.iter().filter(is_suspected).count()).unwrap_or(u64::MAX)
    }

    /// Each partition that something was sent to, read from, or sighted of.
    #[must_use]
    pub fn partitions(&self, at: Moment) -> Vec<CanaryPartition> {
        let mut pending: BTreeMap<PartitionId, (u64, BTreeMap<CanaryClass, u64>)> = BTreeMap::new();
        for key in self.open.values() {
            if self.records.get(key).is_some_and(|record| record.state == State::Pending) {
                let (pending, overdue) = pending.entry(key.partition).or_default();
                *pending += 1;
                if self.is_overdue(key, at) {
                    *overdue.entry(key.class).or_default() += 1;
                }
            }
        }
        self.lanes
            .iter()
            .map(|(partition, lane)| {
                let (pending, overdue) = pending.remove(partition).unwrap_or_default();
                let frontier = |isolation| lane.position(isolation).frontier.map(Offset::get);
                CanaryPartition {
                    partition: *partition,
                    frontier: frontier(Isolation::ReadUncommitted),
                    frontier_committed: frontier(Isolation::ReadCommitted),
                    pending,
                    overdue: overdue.values().sum(),
                    suspected: self.suspected(lane),
                    overdue_by_class: overdue,
                }
            })
            .collect()
    }

    /// Entries into an outcome since this start, by class and outcome.
    #[must_use]
    pub fn outcomes(&self) -> &BTreeMap<(CanaryClass, &'static str), u64> {
        &self.outcomes
    }

    /// Latencies in seconds that were measured since the last call.
    pub fn take_latencies(&mut self) -> Vec<(CanaryClass, Stage, f64)> {
        std::mem::take(&mut self.latencies)
    }

    /// Losses, truncations and duplicates, those of earlier starts included.
    pub fn anomalies(&self) -> impl Iterator<Item = &Anomaly> {
        self.anomalies.values()
    }
}
