//! From the saved rows back to a ledger: another process, another incarnation.

use super::ledger::{Ledger, LedgerOptions};
use super::record::{Incarnation, Lineage, RecordKey};
use super::saved::{Bracket, SavedLedger};
use super::state::State;
use super::tracked::Tracked;
use super::when::When;
use crate::model::Moment;

impl Ledger {
    /// The ledger as it was saved, continued by a new incarnation. What had no outcome, and what was reserved and not
    /// known to be sent, is indeterminate from now on.
    #[must_use]
    pub fn restore(
        saved: SavedLedger,
        options: LedgerOptions,
        lineage: Lineage,
        incarnation: Incarnation,
        at: Moment,
    ) -> Self {
        let mut ledger = Self::new(options, lineage, incarnation, at);
        ledger.topic_id = saved.topic_id;
        ledger.former_topics = saved.former_topics.into_iter().collect();
        ledger.incarnations.extend(saved.incarnations.iter().map(|row| (row.incarnation, row.started_at)));
        for row in &saved.classes {
            ledger.class(row.class, row.since);
            if let Some(class) = ledger.classes.get_mut(&row.class) {
                class.counts = row.counts;
            }
            ledger.corrupt = ledger.corrupt.max(row.counts.corrupt);
            ledger.foreign = ledger.foreign.max(row.counts.foreign);
        }
        for row in &saved.partitions {
            let position = ledger.lanes.entry(row.partition).or_default().position_mut(row.isolation);
            position.frontier = row.frontier;
            position.read_epoch = row.leader_epoch;
            ledger.confirmed_at = ledger.confirmed_at.max(row.confirmed_at);
        }
        ledger.anomalies = saved.anomalies.into_iter().map(|anomaly| (anomaly.key, anomaly)).collect();
        ledger.reservations =
            saved.reservations.iter().map(|row| ((row.incarnation, row.class, row.partition), *row)).collect();
        let mut records = saved.records;
        records.sort_by_key(|row| (row.sent_at, row.key));
        for row in &records {
            ledger.serial += 1;
            ledger.records.insert(row.key, Tracked::of_row(row, ledger.serial));
            ledger.index(row.key, at);
            ledger.dirty.records.remove(&row.key);
            ledger.doubt_the_life_of(row.key);
        }
        ledger.restore_rates(saved.buckets, saved.corrections);
        for row in &records {
            match row.state {
                State::Sent => ledger.indeterminate(row.key, at),
                State::Pending => ledger.pass(row.key, at),
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
                | State::IndeterminatePending
                | State::IndeterminateDelivered
                | State::IndeterminateAbsent
                | State::IndeterminateExpired => {}
            }
        }
        ledger.account_for_reserved(at);
        ledger.keep_within_bounds(at);
        ledger
    }

    /// What was read after the last round in which all brokers named the topic began, or in its very millisecond, may have been
    /// read in another life of it.
    fn doubt_the_life_of(&mut self, key: RecordKey) {
        let Some(record) = self.records.get_mut(&key) else { return };
        let is_confirmed = record.received.is_none_or(|received| Some(received.wall) < self.confirmed_at);
        if !is_confirmed && record.read_of.take().is_some() {
            self.dirty.records.insert(key);
        }
    }

    /// What was reserved may have been sent, its outcome written nowhere.
    fn account_for_reserved(&mut self, at: Moment) {
        let mut unknown: Vec<RecordKey> = Vec::new();
        for (id, row) in &mut self.reservations {
            for sequence in row.sent_below..row.reserved_below {
                let key = RecordKey { incarnation: id.0, class: id.1, partition: id.2, sequence };
                if !self.records.contains_key(&key) {
                    unknown.push(key);
                }
            }
            if row.sent_below < row.reserved_below {
                row.sent_below = row.reserved_below;
                self.dirty.reservations.insert(*id);
            }
        }
        for key in unknown {
            self.track(key, State::IndeterminatePending, When::earlier_process(at.wall), Bracket::default(), at);
            *self.outcomes.entry((key.class, State::IndeterminatePending.as_str())).or_insert(0) += 1;
            if let Some(record) = self.records.get_mut(&key) {
                record.acked = Some(When::from(at));
            }
            self.index(key, at);
        }
    }
}
