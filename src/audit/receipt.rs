//! What the reader says: our records, other things, and where it was moved.

use std::time::Duration;

use super::anomaly::{AnomalyKind, Beside};
use super::event::Unreadable;
use super::lane::{LEAST, Order};
use super::ledger::{Ledger, SecondInstance, Stage};
use super::limits::Anchor;
use super::proof::Loss;
use super::record::{CanaryRecord, Isolation, RecordKey};
use super::saved::Copy;
use super::state::State;
use super::when::When;
use crate::model::{LeaderEpoch, Moment, Offset, PartitionId, TopicId};

/// So many incarnations are remembered that are not ours.
const STRANGERS_KEPT: usize = 64;

/// A reader that was beyond so many offsets did not get into another life of the topic unawares: its log would be shorter
/// than that, and would have had to outgrow it between two fetches.
const YOUNG: i64 = 64;

/// A read at a low offset: who served it may have been in a new life of the topic, before anybody told of one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Young {
    pub(super) topic_id: TopicId,
    /// When it was read.
    pub(super) read: Duration,
}

impl Ledger {
    pub(super) fn received(&mut self, isolation: Isolation, record: &CanaryRecord, copy: Copy, at: Moment) {
        let Copy { partition, offset, leader_epoch } = copy;
        let key = record.key;
        if record.lineage != self.lineage {
            self.unreadable((isolation, partition), offset, Unreadable::Foreign, at);
            return;
        }
        // What the other reader sees of a class is no receipt: read_uncommitted shows what may yet be aborted.
        let is_its_reader = Isolation::of(key.class) == isolation;
        if is_its_reader {
            self.receive(record, copy, at);
        }
        // What the reader still had of the former topic says nothing of its position in this one.
        if self.topic_id.is_none_or(|id| id == record.topic_id) {
            if key.incarnation == self.incarnation && is_its_reader {
                let sent = self.records.get(&key).and_then(|record| record.sent.mono);
                let position = self.lanes.entry(partition).or_default().position_mut(isolation);
                position.read_through = position.read_through.max(sent);
            }
            // Written by name and read by name, a record that names this topic may be in the log of a former one.
            let epoch = leader_epoch.filter(|_| self.is_of_one_life());
            self.read_in_epoch(isolation, partition, epoch, at);
            let position = self.lanes.entry(partition).or_default().position_mut(isolation);
            position.last = epoch.map(|epoch| Anchor { offset, epoch });
            self.advance(isolation, partition, offset.next(), at);
        }
    }

    pub(super) fn unreadable(
        &mut self,
        (isolation, partition): (Isolation, PartitionId),
        offset: Offset,
        what: Unreadable,
        at: Moment,
    ) {
        match what {
            Unreadable::Corrupt => self.corrupt += 1,
            Unreadable::Foreign => self.foreign += 1,
        }
        self.dirty.classes.extend(self.classes.keys().copied());
        self.advance(isolation, partition, offset.next(), at);
    }

    pub(super) fn reader_moved(&mut self, isolation: Isolation, partition: PartitionId, to: Offset, at: Moment) {
        let lane = self.lanes.entry(partition).or_default();
        self.dirty.partitions.insert((isolation, partition));
        let position = lane.position_mut(isolation);
        if position.frontier.is_some_and(|frontier| frontier < to) {
            position.gap = Some(at.mono);
        } else {
            position.frontier = Some(to);
            position.last = None;
            lane.order.retain(|(_, class), _| Isolation::of(*class) != isolation);
            // Back to a point before them: the reader has not passed them in this history.
            let passed = lane.pending.range((to, LEAST)..).filter(|(_, key)| Isolation::of(key.class) == isolation);
            let keys: Vec<RecordKey> = passed.map(|(_, key)| *key).collect();
            for key in keys {
                if let Some(inquiry) = self.records.get_mut(&key).and_then(|record| record.inquiry.as_mut()) {
                    inquiry.passed = None;
                }
            }
        }
        self.drop_searches(isolation, partition);
        self.advance(isolation, partition, to, at);
    }

    /// The reader is at least at `to`: pending records before it have been passed.
    fn advance(&mut self, isolation: Isolation, partition: PartitionId, to: Offset, at: Moment) {
        let lane = self.lanes.entry(partition).or_default();
        let position = lane.position_mut(isolation);
        if position.frontier.is_some_and(|frontier| frontier >= to) {
            return;
        }
        position.frontier = Some(to);
        self.dirty.partitions.insert((isolation, partition));
        let before = lane.pending.range(..(to, LEAST)).filter(|(_, key)| Isolation::of(key.class) == isolation);
        let passed: Vec<RecordKey> = before.map(|(_, key)| *key).collect();
        for key in passed {
            self.pass(key, at);
        }
    }

    /// Past the first record of a term, nothing of an older one comes any more.
    fn read_in_epoch(&mut self, isolation: Isolation, partition: PartitionId, epoch: Option<LeaderEpoch>, at: Moment) {
        let position = self.lanes.entry(partition).or_default().position_mut(isolation);
        if epoch <= position.read_epoch {
            return;
        }
        position.read_epoch = epoch;
        position.read_epoch_since = Some(at.mono);
        self.dirty.partitions.insert((isolation, partition));
        self.let_older_terms_be_absent(partition, at);
    }

    /// Indeterminate records of terms that the reader has left behind are absent.
    pub(super) fn let_older_terms_be_absent(&mut self, partition: PartitionId, at: Moment) {
        let Some(lane) = self.lanes.get(&partition) else { return };
        let absent: Vec<RecordKey> = lane
            .indeterminate
            .iter()
            .filter(|key| {
                let high = self.records.get(key).and_then(|record| record.bracket.high);
                high.is_some() && high < lane.position(Isolation::of(key.class)).read_epoch
            })
            .copied()
            .collect();
        for key in absent {
            self.settle(key, State::IndeterminateAbsent, at);
        }
    }

    fn receive(&mut self, told: &CanaryRecord, copy: Copy, at: Moment) {
        let key = told.key;
        if !self.incarnations.contains_key(&key.incarnation) {
            self.class(key.class, at.wall);
            self.count(key.class, |counts| counts.unknown_incarnation += 1);
            self.note_stranger(told, at);
            return;
        }
        if !self.records.contains_key(&key) {
            let reserved = self.reservations.get(&(key.incarnation, key.class, key.partition));
            let was_ours = reserved.is_some_and(|row| key.sequence < row.reserved_below);
            self.class(key.class, at.wall);
            // Judged and forgotten since, or of an instance that went on after our copy of the ledger was taken.
            self.count(key.class, |counts| if was_ours { counts.reread += 1 } else { counts.unknown_incarnation += 1 });
            return;
        }
        let before = self.note_order(key, copy);
        let is_of_one_life = self.is_of_one_life();
        let record = self.records.get_mut(&key).expect("it was looked up above");
        let anomaly = super::judge::anomaly_of(record, key, self.topic_id);
        let known = record.copies.iter_mut().find(|c| c.partition == copy.partition && c.offset == copy.offset);
        let is_new = known.is_none();
        match known {
            // Appended again at the same offset in a later term: that is where it is now.
            Some(known) => known.leader_epoch = known.leader_epoch.max(copy.leader_epoch),
            None => record.copies.push(copy),
        }
        // A record that names this topic may be in the log of a former one, which some broker still serves.
        let young = self.young.remove(&key).is_some_and(|young| young.topic_id == told.topic_id);
        let is_of_same = record.copies.len() == 1 || young || record.read_of == Some(told.topic_id);
        record.read_of = (is_of_one_life && is_of_same).then_some(told.topic_id);
        if copy.offset.get() < YOUNG
            && let Some(topic_id) = record.read_of.take()
        {
            self.young.insert(key, Young { topic_id, read: at.mono });
        }
        let copies = record.copies.len();
        record.gone.retain(|gone| *gone != copy.offset || copy.partition != key.partition);
        let is_at_home = copy.partition == key.partition;
        let is_first = is_at_home && record.received.is_none();
        let mut latency = None;
        if is_first {
            record.received = Some(When::from(at));
            let took = match record.sent.mono {
                Some(_) => record.sent.until(at),
                None => at.wall.since(told.sent_at),
            };
            record.on_time = Some(took <= self.options.deliver_within);
            latency = record.sent.mono.map(|_| took.as_secs_f64());
        }
        let (state, is_on_time) = (record.state, record.on_time == Some(true));
        let resurfaces = matches!(state, State::Lost | State::TruncatedAfterDelivery) && !record.resurfaced;
        if resurfaces {
            record.resurfaced = true;
        }
        self.dirty.records.insert(key);
        if let (Some(seconds), Some(class)) = (latency, self.classes.get_mut(&key.class)) {
            class.end_to_end.record(seconds);
            self.latencies.push((key.class, Stage::EndToEnd, seconds));
        }
        if !is_new {
            self.count(key.class, |counts| counts.reread += 1);
        }
        if resurfaces {
            self.count(key.class, |counts| counts.resurfaced += 1);
            self.rate_extra(key, "resurfaced", at);
            if let Some(anomaly) = anomaly.and_then(|id| self.anomalies.get_mut(&id)) {
                anomaly.resurfaced += 1;
                self.dirty.anomalies.insert(anomaly.key);
            }
        }
        if is_new && copies > 1 {
            self.count(key.class, |counts| counts.duplicated += 1);
            self.rate_extra(key, "duplicated", at);
            *self.outcomes.entry((key.class, "duplicated")).or_insert(0) += 1;
            self.state_anomaly(AnomalyKind::Duplicated, &Loss::seen(key, copy.offset), copy.leader_epoch, at);
        }
        if let Some(before) = before {
            self.rate_extra(key, "reordered", at);
            let loss = Loss { beside: Some(before), ..Loss::seen(key, copy.offset) };
            self.state_anomaly(AnomalyKind::Reordered, &loss, copy.leader_epoch, at);
        }
        if is_at_home {
            self.move_on_receipt(key, state, is_on_time, at);
        }
    }

    /// Of two instances the one that started first is to stop. Who sent before we started is the older one, though it
    /// goes on sending; our copy of the ledger may be older still and not know it.
    fn note_stranger(&mut self, told: &CanaryRecord, at: Moment) {
        let incarnation = told.key.incarnation;
        let was_before = told.sent_at <= self.started.wall;
        if self.strangers.len() == STRANGERS_KEPT && !self.strangers.contains_key(&incarnation) {
            self.strangers.pop_first();
        }
        let is_older = self.strangers.entry(incarnation).or_insert(was_before);
        *is_older |= was_before;
        match self.second {
            Some(second) if *is_older && second.incarnation == incarnation => self.second = None,
            None if !*is_older => self.second = Some(SecondInstance { incarnation, seen: at }),
            Some(_) | None => {}
        }
    }

    fn move_on_receipt(&mut self, key: RecordKey, state: State, is_on_time: bool, at: Moment) {
        match state {
            State::Pending => self.settle(key, if is_on_time { State::Delivered } else { State::Late }, at),
            State::Rejected => self.appear(key, State::Phantom, at),
            State::Aborted => self.appear(key, State::AbortedVisible, at),
            State::IndeterminatePending | State::IndeterminateAbsent | State::IndeterminateExpired => {
                self.settle(key, State::IndeterminateDelivered, at);
            }
            // Another copy of it, or a later term for a known one, is another place to watch.
            State::Delivered | State::Late => self.index(key, at),
            State::Sent
            | State::Lost
            | State::TruncatedAfterDelivery
            | State::Expired
            | State::Untracked
            | State::AbortedVisible
            | State::Phantom
            | State::IndeterminateDelivered => {}
        }
    }

    /// A record was read that nobody may see.
    pub(super) fn appear(&mut self, key: RecordKey, to: State, at: Moment) {
        self.settle(key, to, at);
        let kind = if to == State::Phantom { AnomalyKind::Phantom } else { AnomalyKind::AbortedVisible };
        let copy = self.records.get(&key).and_then(|record| record.copies.first().copied());
        if let Some(copy) = copy {
            self.state_anomaly(kind, &Loss::seen(key, copy.offset), copy.leader_epoch, at);
        }
    }

    /// Counts an inversion, a lower sequence behind a higher one in the order of offsets, and tells that one.
    fn note_order(&mut self, key: RecordKey, copy: Copy) -> Option<Beside> {
        if copy.partition != key.partition {
            return None;
        }
        // Read again, it is no inversion of its own, but others may lie behind it.
        let is_first = self.records.get(&key).is_some_and(|record| record.copies.is_empty());
        let lane = self.lanes.entry(key.partition).or_default();
        let here = Order { read: copy.offset, highest: key.sequence, highest_at: copy.offset };
        let last = lane.order.entry((key.incarnation, key.class)).or_insert(here);
        if copy.offset <= last.read {
            return None;
        }
        last.read = copy.offset;
        if key.sequence >= last.highest {
            *last = here;
            return None;
        }
        if !is_first {
            return None;
        }
        let before = Beside { key: RecordKey { sequence: last.highest, ..key }, offset: last.highest_at };
        self.count(key.class, |counts| counts.reordered += 1);
        Some(before)
    }
}
