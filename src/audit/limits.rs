//! Between which offsets a record lies whose own nobody told, and by which rule.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use super::anomaly::SearchedBy;
use super::lane::Lane;
use super::ledger::Ledger;
use super::proof::{self, Told};
use super::record::{CanaryClass, Isolation, RecordKey};
use super::tracked::Tracked;
use super::when::When;
use crate::model::{LeaderEpoch, Moment, Offset};

/// So far a received neighbour is looked for, in sequences.
const NEIGHBOURS: usize = 64;

/// So wide a bracket of epochs is asked for one by one.
pub(super) const EPOCHS_BETWEEN: usize = 8;

/// So many graces a broker has to append what it had received before the connection was closed.
const PATIENCE: u32 = 3;

/// A record that was read, and its epoch: by log matching it stands for all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) offset: Offset,
    pub(super) epoch: LeaderEpoch,
}

/// The offsets at which a record would have to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) by: SearchedBy,
    pub(super) from: Offset,
    pub(super) to: Offset,
    pub(super) low: LeaderEpoch,
    pub(super) high: LeaderEpoch,
    /// The leader's word that limits them.
    pub(super) told: Option<Told>,
    /// Since when our reader is beyond them.
    pub(super) passed: Duration,
}

impl Limits {
    /// Behind the record `after`, if any, and before the record `before`.
    fn between(by: SearchedBy, after: Option<Anchor>, before: Anchor, passed: Duration) -> Self {
        Self {
            by,
            from: after.map_or(Offset::ZERO, |after| after.offset.next()),
            to: before.offset,
            low: after.map_or(before.epoch, |after| after.epoch),
            high: before.epoch,
            told: None,
            passed,
        }
    }
}

/// Sorts after every key of its sender.
pub(super) fn last_of(key: RecordKey) -> RecordKey {
    RecordKey { sequence: u64::MAX, ..key }
}

impl Ledger {
    /// The limits by the first rule that gives any; `later` is the nearest later record of its sender that was read.
    pub(super) fn limits(
        &self,
        key: RecordKey,
        record: &Tracked,
        later: Option<RecordKey>,
        lane: &Lane,
        at: Moment,
    ) -> Option<Limits> {
        later
            .and_then(|later| self.limits_by_connection(key, record, later, lane))
            .or_else(|| self.limits_by_epoch(key, record, lane))
            .or_else(|| self.limits_since_closed(key, record, lane, at))
    }

    /// Rule (a): the nearest later record that was read went through the same connection.
    fn limits_by_connection(&self, key: RecordKey, record: &Tracked, later: RecordKey, lane: &Lane) -> Option<Limits> {
        // Other classes have several requests in flight, and retries.
        if key.class != CanaryClass::Acks0 || key.incarnation != self.incarnation {
            return None;
        }
        let links = lane.links.get(&key.class)?;
        let (sent, passed) = (record.sent.mono?, self.records.get(&later)?.received?.mono?);
        let before = self.anchor_of(later)?;
        let frontier = lane.position(Isolation::of(key.class)).frontier;
        if !links.is_one(sent, passed) || frontier <= Some(before.offset) {
            return None;
        }
        let is_on_the_same = |neighbour: &RecordKey| {
            let sent = self.records.get(neighbour).and_then(|record| record.sent.mono);
            sent.is_some_and(|sent| links.is_one(sent, passed))
        };
        let neighbour = self.received_before(key).find(is_on_the_same).and_then(|earlier| self.anchor_of(earlier));
        let mut anchors = self.anchors(key, record);
        anchors.extend(neighbour);
        anchors.retain(|anchor| anchor.offset < before.offset);
        // Both in one term: its leader appended the record between them. Else the earlier one has to stand still.
        let in_one_term =
            anchors.iter().filter(|anchor| anchor.epoch == before.epoch).max_by_key(|anchor| anchor.offset);
        let after = match in_one_term.copied() {
            Some(after) => Some(after),
            None => lane.standing(&anchors, record.in_log_since(record.acked)?)?,
        };
        Some(Limits::between(SearchedBy::SameConnection, after, before, passed))
    }

    /// Records that were read before this one was sent: in any log that has both it lies behind them. The epoch sighted
    /// before the send is no such bound: a replaced leader that does not know it appends in an older one.
    pub(super) fn anchors(&self, key: RecordKey, record: &Tracked) -> Vec<Anchor> {
        let was_read_before = |earlier: &RecordKey| {
            let received = self.records.get(earlier).and_then(|record| record.received);
            received.zip(record.sent.mono).is_some_and(|(received, sent)| received.mono.is_none_or(|mono| mono <= sent))
        };
        let earlier = self.received_before(key).filter(was_read_before).filter_map(|earlier| self.anchor_of(earlier));
        let mut anchors: Vec<Anchor> = record.floor.into_iter().chain(earlier).collect();
        let epochs: BTreeSet<LeaderEpoch> = anchors.iter().map(|anchor| anchor.epoch).collect();
        let latest: BTreeSet<LeaderEpoch> = epochs.into_iter().rev().take(EPOCHS_BETWEEN).collect();
        anchors.retain(|anchor| latest.contains(&anchor.epoch));
        anchors
    }

    /// Rule (b): the reader is beyond the last epoch that it can have been appended in.
    fn limits_by_epoch(&self, key: RecordKey, record: &Tracked, lane: &Lane) -> Option<Limits> {
        let position = lane.position(Isolation::of(key.class));
        let (high, acked) = (record.bracket.high?, record.acked?);
        let since = record.in_log_since(record.acked)?;
        if position.read_epoch <= Some(high) {
            return None;
        }
        let told = *lane.answers.get(&high).filter(|_| lane.is_answered(high, since))?;
        let to = told.answer.end.end_offset;
        if position.frontier < Some(to) {
            return None;
        }
        let low = record.bracket.low.or(LeaderEpoch::new(0))?.min(high);
        let after = lane.standing(&self.anchors(key, record), since)?;
        let from = after.map_or(Offset::ZERO, |after| after.offset.next());
        let passed = position.read_epoch_since.unwrap_or_default().max(acked.mono.unwrap_or_default());
        Some(Limits { by: SearchedBy::LaterEpoch, from: from.min(to), to, low, high, told: Some(told), passed })
    }

    /// Neither: the connection was closed since, and a record that was sent after that was read. No proof, for who
    /// received it may append it still: hence the patience, and the verdict is taken back when it is read.
    fn limits_since_closed(&self, key: RecordKey, record: &Tracked, lane: &Lane, at: Moment) -> Option<Limits> {
        let (before, read) = self.read_since_closed(key, record, lane, at)?;
        if lane.position(Isolation::of(key.class)).frontier <= Some(before.offset) {
            return None;
        }
        let since = record.in_log_since(record.acked)?;
        // An unclean election may have brought another log, in which it lies where that record was.
        lane.standing(&[before], read)??;
        let mut anchors = self.anchors(key, record);
        anchors.retain(|anchor| anchor.offset < before.offset);
        let after = lane.standing(&anchors, since)?;
        let told = lane.answers.get(&before.epoch).copied();
        Some(Limits { told, ..Limits::between(SearchedBy::ClosedConnection, after, before, read.mono?) })
    }

    /// The first record that was read of those sent after the connection of this one was closed, and when it was read.
    pub(super) fn read_since_closed(
        &self,
        key: RecordKey,
        record: &Tracked,
        lane: &Lane,
        at: Moment,
    ) -> Option<(Anchor, When)> {
        if key.class != CanaryClass::Acks0 {
            return None;
        }
        let links = lane.links.get(&key.class)?;
        // No connection outlives its process.
        let closed = record.sent.mono.map_or(Some(self.started.mono), |sent| links.other_after(sent))?;
        if at.mono < closed + PATIENCE * self.options.grace {
            return None;
        }
        let from = match record.sent.mono {
            Some(_) => key,
            None => RecordKey { incarnation: self.incarnation, sequence: 0, ..key },
        };
        self.received_since(from, closed, proof::log_start(&lane.answers).unwrap_or(Offset::ZERO))
    }

    /// The nearest record that was read, of this life of the topic, of those behind `key` and before `end`.
    pub(super) fn received_between(&self, key: RecordKey, end: RecordKey) -> Option<RecordKey> {
        let mut later = self.records.range((Bound::Excluded(key), Bound::Excluded(end))).map(|(key, _)| *key);
        later.find(|later| self.anchor_of(*later).is_some())
    }

    /// The first one that was read, and is not known to be gone or trimmed since, of those that this sender sent at `since`
    /// or later; where, and when it was read. What waited for a leader was sent before, however late it was written.
    fn received_since(&self, from: RecordKey, since: Duration, log_start: Offset) -> Option<(Anchor, When)> {
        let at_or_after = |sequence| self.records.range(RecordKey { sequence, ..from }..=last_of(from)).next();
        let is_before = |sequence| at_or_after(sequence).is_some_and(|(_, record)| record.sent.mono < Some(since));
        let (mut first, mut beyond) =
            (from.sequence, self.records.range(..=last_of(from)).next_back()?.0.sequence.checked_add(1)?);
        while first < beyond {
            let middle = first + (beyond - first) / 2;
            if is_before(middle) { first = middle + 1 } else { beyond = middle }
        }
        let later = self.records.range(RecordKey { sequence: first, ..from }..=last_of(from)).take(NEIGHBOURS);
        let standing = later.filter(|(key, later)| later.standing(key.partition).next().is_some());
        let mut read = standing.filter_map(|(key, later)| Some((self.anchor_of(*key)?, later.received?)));
        read.find(|(anchor, _)| anchor.offset >= log_start)
    }

    /// The nearest earlier ones, from the nearest on.
    pub(super) fn received_before(&self, key: RecordKey) -> impl Iterator<Item = RecordKey> {
        let earlier = self.records.range(RecordKey { sequence: 0, ..key }..key).rev();
        earlier.take(NEIGHBOURS).filter(|(_, record)| record.received.is_some()).map(|(key, _)| *key)
    }

    /// Where a record was read first.
    pub(super) fn anchor_of(&self, key: RecordKey) -> Option<Anchor> {
        // An offset in another life of the topic is none in this.
        let record =
            self.records.get(&key).filter(|record| record.read_of.is_some() && record.read_of == self.topic_id)?;
        let copy = record.copies.iter().find(|copy| copy.partition == key.partition)?;
        Some(Anchor { offset: copy.offset, epoch: copy.leader_epoch? })
    }
}

impl Lane {
    /// The furthest of these that is in the present leader's log, if any; nothing before it was asked of all.
    fn standing(&self, anchors: &[Anchor], since: When) -> Option<Option<Anchor>> {
        let mut epochs = anchors.iter().flat_map(|anchor| anchor.epoch.with_previous());
        if !epochs.all(|epoch| self.is_answered(epoch, since)) {
            return None;
        }
        let stands = |anchor: &&Anchor| proof::is_of_epoch(&self.answers, anchor.offset, anchor.epoch);
        Some(anchors.iter().filter(stands).max_by_key(|anchor| anchor.offset).copied())
    }
}
