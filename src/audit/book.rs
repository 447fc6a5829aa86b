//! Keeping book: sums, indexes, windows, the cap, and the rows to be written.

use std::time::Duration;

use super::ledger::{Class, Ledger};
use super::record::{CanaryClass, Incarnation, Isolation, RecordKey};
use super::saved::{ClassRow, IncarnationRow, LedgerChanges, PartitionRow};
use super::state::State;
use super::summary::Counts;
use super::when::When;
use crate::model::{Moment, Timestamp};

/// How much later a window is looked at again that could not be closed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Incarnations younger than this are kept even where no record of them is tracked: theirs may still be in the log.
const INCARNATIONS_KEPT: Duration = Duration::from_secs(24 * 3600);

impl Ledger {
    /// The class's sums, opened at its first record.
    pub(super) fn class(&mut self, class: CanaryClass, since: Timestamp) {
        self.classes.entry(class).or_insert_with(|| Class {
            since,
            counts: Counts::default(),
            produce: super::latency::Recent::default(),
            end_to_end: super::latency::Recent::default(),
        });
    }

    pub(super) fn count(&mut self, class: CanaryClass, change: impl FnOnce(&mut Counts)) {
        if let Some(kept) = self.classes.get_mut(&class) {
            change(&mut kept.counts);
            self.dirty.classes.insert(class);
        }
    }

    /// Moves a record to another state: sums, outcomes and indexes follow.
    pub(super) fn settle(&mut self, key: RecordKey, to: State, at: Moment) {
        let Some(record) = self.records.get_mut(&key).filter(|record| record.state != to) else { return };
        let from = record.state;
        record.state = to;
        record.settled = to.is_settled().then(|| When::from(at));
        record.inquiry = None;
        self.inquiries.remove(&key);
        self.drop_search(key);
        self.count(key.class, |counts| {
            from.leave(key.class, counts);
            to.enter(key.class, counts);
        });
        self.rate_move(key, from, to, at);
        *self.outcomes.entry((key.class, to.as_str())).or_insert(0) += 1;
        self.index(key, at);
    }

    /// Puts a record where its state belongs, and nowhere else.
    pub(super) fn index(&mut self, key: RecordKey, at: Moment) {
        self.unindex(key);
        let Some(record) = self.records.get_mut(&key) else { return };
        let lane = self.lanes.entry(key.partition).or_default();
        self.dirty.records.insert(key);
        self.dirty.removed.remove(&key);
        match record.state {
            State::Sent => {
                self.open.insert(record.serial, key);
                return;
            }
            State::Pending => {
                self.open.insert(record.serial, key);
                if record.bracket.high.is_none() {
                    self.unbounded.insert(key);
                }
                if let Some(offset) = record.offset {
                    lane.pending.insert((offset, key));
                    return;
                }
                lane.unseen.insert(key);
            }
            State::IndeterminatePending => {
                self.open.insert(record.serial, key);
                lane.indeterminate.insert(key);
                if record.bracket.high.is_none() {
                    self.unbounded.insert(key);
                }
            }
            State::Delivered | State::Late if !record.of_former_topic => {
                lane.delivered.insert(key);
                let places = record.places(key.partition);
                if places.iter().any(|place| Some(place.high) < lane.current()) {
                    lane.unchecked.insert(key);
                }
                if places.is_empty() && record.bracket.high.is_none() && record.acked.is_some() {
                    self.unbounded.insert(key);
                }
            }
            State::Delivered
            | State::Late
            | State::Lost
            | State::TruncatedAfterDelivery
            | State::Expired
            | State::Untracked
            | State::Aborted
            | State::AbortedVisible
            | State::Rejected
            | State::Phantom
            | State::IndeterminateDelivered
            | State::IndeterminateAbsent
            | State::IndeterminateExpired => {}
        }
        // Of a record of an earlier process, what is left of its window by the wall clock.
        let since = record.settled.or(record.acked).unwrap_or(record.sent);
        let due = at.mono + self.options.window.saturating_sub(since.until(at));
        record.due = Some(due);
        self.due.insert((due, key));
    }

    fn unindex(&mut self, key: RecordKey) {
        self.unwatch(key);
        let Some(record) = self.records.get_mut(&key) else { return };
        self.open.remove(&record.serial);
        self.unbounded.remove(&key);
        if let Some(due) = record.due.take() {
            self.due.remove(&(due, key));
        }
        if let Some(lane) = self.lanes.get_mut(&key.partition) {
            lane.indeterminate.remove(&key);
            lane.unseen.remove(&key);
            if let Some(offset) = record.offset {
                lane.pending.remove(&(offset, key));
            }
        }
    }

    /// Stops watching a delivered record for truncation.
    pub(super) fn unwatch(&mut self, key: RecordKey) {
        if let Some(lane) = self.lanes.get_mut(&key.partition) {
            lane.delivered.remove(&key);
            lane.unchecked.remove(&key);
        }
    }

    pub(super) fn drop_inquiries(&mut self) {
        self.young.clear();
        for key in std::mem::take(&mut self.searching) {
            self.drop_search(key);
        }
        for key in std::mem::take(&mut self.inquiries) {
            if let Some(record) = self.records.get_mut(&key) {
                record.inquiry = None;
            }
        }
    }

    fn forget(&mut self, key: RecordKey) {
        self.unindex(key);
        self.inquiries.remove(&key);
        self.searching.remove(&key);
        self.records.remove(&key);
        self.dirty.records.remove(&key);
        self.dirty.removed.insert(key);
    }

    /// Closes the windows that ended.
    pub(super) fn let_windows_end(&mut self, at: Moment) {
        while let Some((due, key)) = self.due.first().copied().filter(|(due, _)| *due <= at.mono) {
            self.due.remove(&(due, key));
            let Some(record) = self.records.get_mut(&key) else { continue };
            record.due = None;
            let reader = self.lanes.get(&key.partition).map(|lane| lane.position(Isolation::of(key.class)));
            // A record sent after this one had been decided was read since: whatever there was is behind the reader.
            let is_passed = match record.acked.unwrap_or(record.sent).mono {
                Some(mono) => reader.and_then(|reader| reader.read_through).is_some_and(|through| through > mono),
                None => reader.is_some_and(|reader| reader.read_through.is_some()),
            };
            let had_gap = reader
                .and_then(|reader| reader.gap)
                .is_some_and(|gap| record.acked.unwrap_or(record.sent).mono.is_none_or(|mono| mono <= gap));
            match record.state {
                State::IndeterminatePending if is_passed && had_gap => {
                    self.settle(key, State::IndeterminateExpired, at);
                }
                State::IndeterminatePending if is_passed => self.settle(key, State::IndeterminateAbsent, at),
                State::Pending if is_passed => self.settle(key, State::Untracked, at),
                State::Pending | State::IndeterminatePending => self.look_again(key, at),
                State::Delivered | State::Late if record.inquiry.is_some() => self.look_again(key, at),
                State::Sent
                | State::Delivered
                | State::Late
                | State::Lost
                | State::TruncatedAfterDelivery
                | State::Expired
                | State::Untracked
                | State::Aborted
                | State::AbortedVisible
                | State::Rejected
                | State::Phantom
                | State::IndeterminateDelivered
                | State::IndeterminateAbsent
                | State::IndeterminateExpired => self.forget(key),
            }
        }
    }

    fn look_again(&mut self, key: RecordKey, at: Moment) {
        if let Some(record) = self.records.get_mut(&key) {
            let due = at.mono + LOOK_AGAIN;
            record.due = Some(due);
            self.due.insert((due, key));
        }
    }

    /// Keeps the number of tracked records below the cap: the oldest judged go first, then the oldest pending become
    /// untracked. Indeterminate ones that go stay counted as they stood.
    pub(super) fn keep_within_bounds(&mut self, at: Moment) {
        while self.records.len() > self.options.records_max {
            let judged = self.due.first().map(|(_, key)| *key);
            let open = || {
                self.open
                    .values()
                    .copied()
                    .find(|key| self.records.get(key).is_some_and(|record| record.state != State::Sent))
            };
            // What was sent and has no outcome is bounded by the producer's own queue.
            let Some(key) = judged.or_else(open) else { return };
            if self.records.get(&key).is_some_and(|record| record.state == State::Pending) {
                self.settle(key, State::Untracked, at);
            }
            self.forget(key);
        }
    }

    /// What changed since the last call: to be written in one transaction, and reservations before they are used.
    pub fn take_changes(&mut self) -> LedgerChanges {
        self.drop_old_incarnations();
        let dirty = std::mem::take(&mut self.dirty);
        let (buckets, removed_buckets, corrections) = self.rates.take_changes();
        let classes = dirty.classes.iter().filter_map(|class| {
            let kept = self.classes.get(class)?;
            let counts = Counts { corrupt: self.corrupt, foreign: self.foreign, ..kept.counts };
            Some(ClassRow { class: *class, since: kept.since, counts })
        });
        let partitions = dirty.partitions.iter().filter_map(|(isolation, partition)| {
            let position = self.lanes.get(partition)?.position(*isolation);
            let (frontier, leader_epoch) = (position.frontier, position.read_epoch);
            let confirmed_at = self.confirmed_at;
            Some(PartitionRow { isolation: *isolation, partition: *partition, frontier, leader_epoch, confirmed_at })
        });
        let incarnations = dirty.incarnations.iter().filter_map(|incarnation| {
            let started_at = *self.incarnations.get(incarnation)?;
            Some(IncarnationRow { incarnation: *incarnation, started_at })
        });
        LedgerChanges {
            records: dirty.records.iter().filter_map(|key| Some(self.records.get(key)?.row(*key))).collect(),
            removed_records: dirty.removed.into_iter().collect(),
            classes: classes.collect(),
            partitions: partitions.collect(),
            reservations: dirty.reservations.iter().filter_map(|id| self.reservations.get(id).copied()).collect(),
            incarnations: incarnations.collect(),
            removed_incarnations: dirty.removed_incarnations.into_iter().collect(),
            anomalies: dirty.anomalies.iter().filter_map(|id| self.anomalies.get(id).cloned()).collect(),
            removed_anomalies: dirty.removed_anomalies.into_iter().collect(),
            topic_id: self.topic_id.filter(|_| dirty.topic),
            buckets,
            removed_buckets,
            corrections,
            former_topics: dirty.former_topics.into_iter().collect(),
        }
    }

    /// Forgets starts of long ago of which nothing is tracked.
    fn drop_old_incarnations(&mut self) {
        let newest = self.incarnations.values().copied().max().unwrap_or_default();
        let kept = INCARNATIONS_KEPT.max(self.options.window * 4);
        let old: Vec<Incarnation> = self
            .incarnations
            .iter()
            .filter(|(id, started)| **id != self.incarnation && newest.since(**started) > kept)
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            let first = RecordKey { incarnation: id, ..super::lane::LEAST };
            if self.records.range(first..).next().is_some_and(|(key, _)| key.incarnation == id) {
                continue;
            }
            self.incarnations.remove(&id);
            self.reservations.retain(|(incarnation, _, _), _| *incarnation != id);
            self.dirty.incarnations.remove(&id);
            self.dirty.removed_incarnations.insert(id);
        }
    }
}
