//! Records whose offset nobody told (acks=0, implicit acknowledgements): where each would have to be, and the search.
//!
//! Three rules limit the offsets. *Same connection*: a later record that went through the same connection, in order, was
//! read: what came before it lies before it. *Later epoch*: the leader says where the last epoch ends that the record
//! can have been appended in, and the reader is beyond. *Closed connection*, where neither holds: a record sent after it
//! was closed was read. Then a fresh connection is asked for each of these offsets. What the third rule finds missing is
//! observed to be lost, not proven; the verdict is taken back when the record is read.
//!
//! By log matching (one leader per epoch, one record per offset and epoch) two logs that agree on one record agree on
//! all before it. So it does not matter who answers a re-read: the epoch it shows says whether it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::anomaly::{AnomalyKind, Searched, SearchedBy};
use super::event::{Question, Reread};
use super::lane::Lane;
use super::ledger::Ledger;
use super::limits::{EPOCHS_BETWEEN, Limits, last_of};
use super::proof::{self, Loss};
use super::record::{Isolation, RecordKey};
use super::saved::{Bracket, Copy};
use super::state::State;
use super::when::{Backoff, When};
use crate::model::{LeaderEpoch, Moment, Offset, PartitionId};

/// Up to so many offsets are all asked for; of more, only those at which our reader received nothing.
const OFFSETS_ASKED: u64 = 64;

/// A search that takes more re-reads than this is not begun.
const OFFSETS_MAX: usize = 1024;

/// So many records of a partition are searched for at once.
const SEARCHES_AT_ONCE: usize = 64;

/// So many re-reads for searches are asked for at once: those of one partition share a fresh connection.
const REREADS_AT_ONCE: usize = 256;

/// How often new searches are planned.
const PLAN_EVERY: Duration = Duration::from_millis(500);

/// The search for one record.
#[derive(Clone, Debug)]
pub(super) struct Search {
    limits: Limits,
    /// The offsets that a fresh connection has to be asked for.
    offsets: BTreeSet<Offset>,
    begun: Moment,
    /// Offsets at which it could have been were trimmed.
    is_trimmed: bool,
    /// Only a sighting of the topic begun after this is missing.
    pub(super) awaits_topic_since: Option<Duration>,
}

/// What a fresh connection showed of the offsets from where it is kept up to `until`: no record that is searched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    until: Offset,
    /// The record that was shown, at or behind the offset asked for.
    place: Offset,
    /// Ours, where it is one: it may have been shown before its ack, when nobody searched for it yet.
    shows: Option<RecordKey>,
    epoch: Option<LeaderEpoch>,
    begun: Moment,
    at: Moment,
}

/// What re-reads for searches showed of one partition, and when to ask again.
#[derive(Debug, Default)]
pub(super) struct Looks {
    shown: BTreeMap<(Isolation, Offset), Look>,
    asked: BTreeMap<(Isolation, Offset), Backoff>,
    planned: Option<Duration>,
}

impl Looks {
    fn of(&self, isolation: Isolation, offset: Offset) -> Option<&Look> {
        let (at, look) = self.shown.range(..=(isolation, offset)).next_back()?;
        (at.0 == isolation && offset < look.until).then_some(look)
    }
}

enum Plan {
    NotYet,
    Expired,
    Search(Box<Search>),
}

impl Ledger {
    /// Begins searches that can be limited by now, and asks for the offsets of all.
    pub(super) fn search_questions(&mut self, at: Moment) -> Vec<Question> {
        // Not at each look: a search goes through all its offsets.
        self.judge_searches(at);
        let partitions: Vec<PartitionId> = self.lanes.keys().copied().collect();
        for partition in partitions {
            self.plan_searches(partition, at);
        }
        let mut questions = Vec::new();
        for key in &self.searching {
            let search = self.records.get(key).and_then(|record| record.search.as_ref());
            let (Some(search), Some(lane)) = (search, self.lanes.get_mut(&key.partition)) else { continue };
            let isolation = Isolation::of(key.class);
            for offset in &search.offsets {
                if questions.len() == REREADS_AT_ONCE {
                    return questions;
                }
                let is_shown =
                    lane.looks.of(isolation, *offset).is_some_and(|look| lane.accepts(look, *key, search.limits.high));
                let backoff = lane.looks.asked.entry((isolation, *offset)).or_default();
                if !is_shown && backoff.is_due(at) {
                    backoff.asked(at);
                    questions.push(Question::Reread { isolation, partition: key.partition, offset: *offset });
                }
            }
        }
        questions
    }

    fn plan_searches(&mut self, partition: PartitionId, at: Moment) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        if lane.unseen.is_empty() {
            lane.looks = Looks::default();
            return;
        }
        if lane.looks.planned.is_some_and(|planned| at.mono < planned + PLAN_EVERY) {
            return;
        }
        lane.looks.planned = Some(at.mono);
        let lane = self.lanes.get(&partition).expect("it was looked up above");
        let is_searched = |key: &RecordKey| self.records.get(key).is_some_and(|record| record.search.is_some());
        let mut room = SEARCHES_AT_ONCE.saturating_sub(lane.unseen.iter().filter(|key| is_searched(key)).count());
        let mut plans: Vec<(RecordKey, Plan)> = Vec::new();
        let mut later: Option<(RecordKey, Option<RecordKey>)> = None;
        for key in lane.unseen.iter().rev() {
            if room == 0 {
                break;
            }
            // What was not read has the same neighbour as the next one that was not, if none was read between them.
            let is_of_its_sender = |after: &RecordKey| (after.incarnation, after.class) == (key.incarnation, key.class);
            let neighbour = match later.filter(|(after, _)| is_of_its_sender(after)) {
                Some((after, neighbour)) => self.received_between(*key, after).or(neighbour),
                None => self.received_between(*key, last_of(*key)),
            };
            later = Some((*key, neighbour));
            if is_searched(key) {
                continue;
            }
            match self.plan(*key, neighbour, lane, at) {
                Plan::NotYet => {}
                plan @ (Plan::Expired | Plan::Search(_)) => {
                    plans.push((*key, plan));
                    room -= 1;
                }
            }
        }
        for (key, plan) in plans {
            match plan {
                Plan::NotYet => {}
                Plan::Expired => self.settle(key, State::Expired, at),
                Plan::Search(search) => {
                    if let Some(record) = self.records.get_mut(&key) {
                        record.search = Some(search);
                        self.searching.insert(key);
                        self.judge_search(key, at);
                    }
                }
            }
        }
    }

    fn plan(&self, key: RecordKey, later: Option<RecordKey>, lane: &Lane, at: Moment) -> Plan {
        let Some(record) = self.records.get(&key) else { return Plan::NotYet };
        let limits = self.limits(key, record, later, lane, at);
        let Some(limits) = limits.filter(|limits| at.mono.saturating_sub(limits.passed) >= self.options.grace) else {
            return Plan::NotYet;
        };
        let log_start = proof::log_start(&lane.answers);
        if log_start.is_some_and(|start| start >= limits.to && start > limits.from) {
            return Plan::Expired;
        }
        // What was at the offsets that were trimmed is not to be had any more: the others are searched.
        let start = log_start.filter(|start| *start > limits.from);
        let limits = Limits { from: start.unwrap_or(limits.from), ..limits };
        let is_trimmed = start.is_some();
        match self.offsets_to_ask(key, &limits, lane) {
            Some(offsets) => {
                Plan::Search(Box::new(Search { limits, offsets, begun: at, is_trimmed, awaits_topic_since: None }))
            }
            None => Plan::NotYet,
        }
    }

    /// The offsets that a fresh connection has to be asked for; nothing where they are too many.
    fn offsets_to_ask(&self, key: RecordKey, limits: &Limits, lane: &Lane) -> Option<BTreeSet<Offset>> {
        let size = u64::try_from(limits.to.get().saturating_sub(limits.from.get())).unwrap_or(0);
        if size > u64::try_from(self.records.len() + OFFSETS_MAX).unwrap_or(u64::MAX) {
            return None;
        }
        let known = if size > OFFSETS_ASKED { self.received_within(key, limits, lane) } else { BTreeSet::new() };
        if size > u64::try_from(known.len() + OFFSETS_MAX).unwrap_or(u64::MAX) {
            return None;
        }
        let all = (limits.from.get()..limits.to.get()).filter_map(Offset::new);
        Some(all.filter(|offset| !known.contains(offset)).collect())
    }

    /// Where our own reader received other records of this history.
    fn received_within(&self, key: RecordKey, limits: &Limits, lane: &Lane) -> BTreeSet<Offset> {
        let isolation = Isolation::of(key.class);
        let others = self.records.iter().filter(|(other, record)| {
            Isolation::of(other.class) == isolation && record.read_of.is_some() && record.read_of == self.topic_id
        });
        let copies = others.flat_map(|(_, record)| &record.copies).filter(|copy| copy.partition == key.partition);
        copies
            .filter(|copy| (limits.from..limits.to).contains(&copy.offset))
            .filter(|copy| copy.leader_epoch.is_some_and(|epoch| lane.is_of_term(copy.offset, epoch, limits.high)))
            .map(|copy| copy.offset)
            .collect()
    }

    /// The epochs whose ends limit and confirm the searches of one partition.
    pub(super) fn want_epochs_of_unseen(&self, lane: &Lane, at: Moment, wanted: &mut BTreeSet<LeaderEpoch>) {
        for key in lane.unseen.iter().take(SEARCHES_AT_ONCE) {
            let Some(record) = self.records.get(key) else { continue };
            if record.acked.is_none_or(|acked| acked.until(at) < self.options.grace) {
                continue;
            }
            let Some(since) = record.in_log_since(record.acked) else { continue };
            let is_passed = lane.order.get(&(key.incarnation, key.class)).is_some_and(|o| o.highest > key.sequence);
            let is_beyond =
                record.bracket.high.is_some_and(|high| Some(high) < lane.position(Isolation::of(key.class)).read_epoch);
            let is_of_another_process = key.incarnation != self.incarnation;
            if !is_passed && !is_beyond && !is_of_another_process {
                continue;
            }
            let mut epochs: BTreeSet<LeaderEpoch> = BTreeSet::new();
            if let Some(high) = record.bracket.high {
                let low = record.bracket.low.unwrap_or(high).min(high);
                epochs.extend([low, high]);
                let between = std::iter::successors(high.previous(), |epoch| epoch.previous());
                epochs.extend(between.take_while(|epoch| *epoch > low).take(EPOCHS_BETWEEN));
            }
            let isolation = Isolation::of(key.class);
            let offsets = record.search.iter().flat_map(|search| &search.offsets);
            let shown = offsets.filter_map(|offset| lane.looks.of(isolation, *offset)?.epoch);
            let earlier = self.received_before(*key).find_map(|earlier| self.anchor_of(earlier));
            let anchors = self.anchors(*key, record).into_iter().chain(earlier);
            let anchored: BTreeSet<LeaderEpoch> = anchors.map(|anchor| anchor.epoch).collect();
            for epoch in anchored.into_iter().chain(shown) {
                epochs.extend(epoch.with_previous());
            }
            wanted.extend(epochs.into_iter().filter(|epoch| !lane.is_answered(*epoch, since)));
            if let Some((before, read)) = self.read_since_closed(*key, record, lane, at) {
                wanted.extend(before.epoch.with_previous().filter(|epoch| !lane.is_answered(*epoch, read)));
            }
        }
    }

    /// What a fresh connection found at an offset that is searched.
    pub(super) fn note_look(
        &mut self,
        (isolation, partition): (Isolation, PartitionId),
        offset: Offset,
        begun: Moment,
        outcome: &Reread,
        at: Moment,
    ) {
        let is_searched = |key: &RecordKey| key.partition == partition && Isolation::of(key.class) == isolation;
        if !self.searching.iter().any(is_searched) {
            return;
        }
        let (until, place, epoch, shows) = match outcome {
            Reread::Found { record, leader_epoch } => {
                if record.lineage == self.lineage {
                    self.found_unseen(record.key, Copy { partition, offset, leader_epoch: *leader_epoch }, at);
                }
                // Of another life of the topic: who served it may serve the former one still.
                if self.topic_id.is_some_and(|id| id != record.topic_id) {
                    return;
                }
                (offset.next(), offset, *leader_epoch, Some(record.key))
            }
            Reread::Other(_) => (offset.next(), offset, None, None),
            Reread::Beyond { next, leader_epoch } => (*next, *next, *leader_epoch, None),
            // Trimmed meanwhile; but who says so may be a replaced leader. The present one is asked.
            Reread::BelowLogStart { .. } => {
                self.note_trimmed((isolation, partition), offset, at);
                return;
            }
            // Nothing was shown; it is asked again.
            Reread::AtEnd { .. } | Reread::Failed { .. } => return,
        };
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        lane.looks.shown.insert((isolation, offset), Look { until, place, shows, epoch, begun, at });
    }

    /// Searches that ask for an offset below a log start begin anew, with the log start that the present leader tells.
    fn note_trimmed(&mut self, (isolation, partition): (Isolation, PartitionId), offset: Offset, at: Moment) {
        let asks_for_it = |key: &&RecordKey| {
            let search = self.records.get(*key).and_then(|record| record.search.as_ref());
            key.partition == partition
                && Isolation::of(key.class) == isolation
                && search.is_some_and(|search| search.offsets.contains(&offset))
        };
        let concerned: Vec<RecordKey> = self.searching.iter().filter(asks_for_it).copied().collect();
        for key in concerned {
            self.drop_search(key);
            if let Some(record) = self.records.get_mut(&key) {
                record.vetoed = Some(When::from(at));
            }
        }
    }

    /// A search found its record: our own reader had skipped it.
    fn found_unseen(&mut self, key: RecordKey, copy: Copy, at: Moment) {
        let has_passed = self.has_passed(Isolation::of(key.class), copy);
        let Some(record) = self.records.get(&key) else { return };
        let is_unseen = record.state == State::Pending && record.offset.is_none() && record.copies.is_empty();
        // What the reader has not passed it will come to itself.
        if !is_unseen || key.partition != copy.partition || !has_passed {
            return;
        }
        let passed = record.search.as_ref().map_or(at.mono, |search| search.limits.passed);
        let took = record.sent.mono.map_or_else(|| record.sent.until(at), |sent| passed.saturating_sub(sent));
        self.skipped(key, copy, took, at);
    }

    pub(super) fn judge_searches(&mut self, at: Moment) {
        let searched: Vec<RecordKey> = self.searching.iter().copied().collect();
        for key in searched {
            self.judge_search(key, at);
        }
    }

    /// States the loss of a record that is at none of the offsets it could be at.
    fn judge_search(&mut self, key: RecordKey, at: Moment) {
        let (Some(record), Some(lane)) = (self.records.get(&key), self.lanes.get(&key.partition)) else { return };
        let Some(search) = record.search.as_deref() else { return };
        let (limits, is_trimmed) = (search.limits, search.is_trimmed);
        // Another leader was elected since: the limits are its to tell.
        if limits.told.is_some_and(|told| Some(told.answer.current) < lane.current()) {
            self.drop_search(key);
            return;
        }
        let isolation = Isolation::of(key.class);
        let mut since = search.begun;
        for offset in &search.offsets {
            match lane.looks.of(isolation, *offset) {
                Some(look) if lane.accepts(look, key, limits.high) => {
                    since = if look.at.mono > since.mono { look.at } else { since };
                }
                Some(_) | None => return,
            }
        }
        if !self.is_confirmed_since(since.mono) {
            if let Some(search) = self.records.get_mut(&key).and_then(|record| record.search.as_mut()) {
                search.awaits_topic_since = Some(since.mono);
            }
            return;
        }
        if is_trimmed {
            self.settle(key, State::Expired, at);
            return;
        }
        let searched = Searched {
            by: limits.by,
            from: limits.from,
            to: limits.to,
            epochs: Bracket { low: Some(limits.low), high: Some(limits.high) },
            reread: u64::try_from(search.offsets.len()).unwrap_or(u64::MAX),
        };
        let loss = Loss {
            key,
            offset: None,
            epoch_answer: limits.told.map(|told| told.answer),
            reread: None,
            beside: None,
            searched: Some(searched),
        };
        let kind = match limits.by {
            SearchedBy::SameConnection | SearchedBy::LaterEpoch => AnomalyKind::Lost,
            SearchedBy::ClosedConnection => AnomalyKind::LostObserved,
        };
        if let Some(record) = self.records.get_mut(&key) {
            record.is_observed = kind == AnomalyKind::LostObserved;
        }
        self.settle(key, State::Lost, at);
        self.state_anomaly(kind, &loss, None, at);
    }

    pub(super) fn drop_search(&mut self, key: RecordKey) {
        self.searching.remove(&key);
        if let Some(record) = self.records.get_mut(&key) {
            record.search = None;
        }
    }

    /// The reader was set back: what limited the searches may not hold any more.
    pub(super) fn drop_searches(&mut self, isolation: Isolation, partition: PartitionId) {
        let dropped: Vec<RecordKey> = self
            .searching
            .iter()
            .filter(|key| key.partition == partition && Isolation::of(key.class) == isolation)
            .copied()
            .collect();
        for key in dropped {
            self.drop_search(key);
        }
    }
}

impl Lane {
    /// True when what a fresh connection showed is of the log in question, and not of a replaced leader's, and is not
    /// the record itself.
    fn accepts(&self, look: &Look, key: RecordKey, high: LeaderEpoch) -> bool {
        let is_by_term = look.epoch.is_some_and(|epoch| self.is_of_term(look.place, epoch, high));
        let all_know = || {
            self.leaders.settled_since(high).is_some_and(|since| since <= look.begun.mono)
                && self.leaders.all_answered_since(look.at)
        };
        look.shows != Some(key) && (is_by_term || all_know())
    }
}
