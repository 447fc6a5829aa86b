//! What the producer says: sent, acknowledged, refused, or neither.

use super::ledger::{Ledger, Stage};
use super::proof::Inquiry;
use super::record::{CanaryClass, Isolation, RecordKey};
use super::saved::{Bracket, ReservationRow};
use super::state::State;
use super::tracked::Tracked;
use super::when::When;
use crate::model::{BrokerId, Moment, Offset};

impl Ledger {
    pub(super) fn sent(&mut self, key: RecordKey, at: Moment) {
        if key.incarnation != self.incarnation || self.records.contains_key(&key) {
            return;
        }
        let id = (key.incarnation, key.class, key.partition);
        let row = self.reservations.entry(id).or_insert(ReservationRow {
            incarnation: key.incarnation,
            class: key.class,
            partition: key.partition,
            sent_below: 0,
            reserved_below: 0,
        });
        row.sent_below = row.sent_below.max(key.sequence.saturating_add(1));
        row.reserved_below = row.reserved_below.max(row.sent_below);
        self.dirty.reservations.insert(id);
        let lane = self.lanes.entry(key.partition).or_default();
        let (low, floor) = (lane.current(), lane.position(Isolation::of(key.class)).last);
        self.track(key, State::Sent, When::from(at), Bracket { low, high: None }, at);
        if let Some(record) = self.records.get_mut(&key) {
            record.floor = floor;
        }
    }

    /// Starts to track a record.
    pub(super) fn track(&mut self, key: RecordKey, state: State, sent: When, bracket: Bracket, at: Moment) {
        self.serial += 1;
        self.records.insert(key, Tracked::new(state, sent, bracket, self.serial));
        self.class(key.class, sent.wall);
        self.count(key.class, |counts| state.enter(key.class, counts));
        self.rate_entry(key, at);
        self.index(key, at);
    }

    pub(super) fn acked(&mut self, key: RecordKey, offset: Option<Offset>, broker: Option<BrokerId>, at: Moment) {
        // The offset that librdkafka reports for acks=0 is no offset.
        let offset = offset.filter(|_| key.class != CanaryClass::Acks0);
        let is_open = |record: &&mut Tracked| record.state == State::Sent && record.acked.is_none();
        let Some(record) = self.records.get_mut(&key).filter(is_open) else { return };
        record.acked = Some(When::from(at));
        record.offset = offset;
        record.broker = broker;
        if let Some(offset) = offset {
            self.compare_ack(key, offset);
        }
        if key.class == CanaryClass::Transactional {
            // Appended, and in flight until its transaction has ended.
            self.dirty.records.insert(key);
            return;
        }
        self.account_for(key, at);
    }

    /// The cluster has promised to keep it.
    pub(super) fn account_for(&mut self, key: RecordKey, at: Moment) {
        let Some(record) = self.records.get_mut(&key) else { return };
        // Of a transaction this is the commit: the epoch's upper bound is looked for from here on.
        record.acked = Some(When::from(at));
        let offset = record.offset;
        let latency = record.sent.until(at).as_secs_f64();
        let to = match record.on_time {
            Some(true) => State::Delivered,
            Some(false) => State::Late,
            None if record.of_former_topic => State::Expired,
            None => State::Pending,
        };
        // A record that was read before its ack goes on at once, and was acknowledged all the same.
        if to != State::Pending {
            *self.outcomes.entry((key.class, State::Pending.as_str())).or_insert(0) += 1;
        }
        if offset.is_none() && key.class != CanaryClass::Acks0 {
            self.count(key.class, |counts| counts.acked_without_offset += 1);
        }
        if let Some(class) = self.classes.get_mut(&key.class) {
            class.produce.record(latency);
            self.latencies.push((key.class, Stage::Produce, latency));
        }
        self.settle(key, to, at);
        if to == State::Pending {
            self.pass(key, at);
        }
    }

    pub(super) fn rejected(&mut self, key: RecordKey, at: Moment) {
        let Some(record) = self.records.get(&key).filter(|record| record.state == State::Sent) else { return };
        let was_received = record.received.is_some();
        self.settle(key, State::Rejected, at);
        if was_received {
            self.appear(key, State::Phantom, at);
        }
    }

    pub(super) fn indeterminate(&mut self, key: RecordKey, at: Moment) {
        let Some(record) = self.records.get_mut(&key).filter(|record| record.state == State::Sent) else { return };
        record.acked = Some(When::from(at));
        let was_received = record.received.is_some();
        let is_of_former_topic = record.of_former_topic;
        self.settle(key, State::IndeterminatePending, at);
        if was_received {
            self.settle(key, State::IndeterminateDelivered, at);
        } else if is_of_former_topic {
            self.settle(key, State::IndeterminateExpired, at);
        }
    }

    /// Notes since when the reader is beyond a pending record, if it is.
    pub(super) fn pass(&mut self, key: RecordKey, at: Moment) {
        let frontier = self.next_to_read(Isolation::of(key.class), key.partition);
        let Some(record) = self.records.get_mut(&key) else { return };
        if record.state != State::Pending || record.offset.is_none() || record.offset >= frontier {
            return;
        }
        let inquiry = record.inquiry.get_or_insert_with(|| Box::new(Inquiry::default()));
        inquiry.passed.get_or_insert(at);
        self.inquiries.insert(key);
    }
}
