//! One tracked record, and its row.

use std::time::Duration;

use super::limits::Anchor;
use super::proof::{Inquiry, Place};
use super::record::RecordKey;
use super::saved::{Bracket, Copy, RecordRow};
use super::search::Search;
use super::state::State;
use super::when::When;
use crate::model::{BrokerId, LeaderEpoch, Offset, PartitionId, TopicId};

/// What the ledger knows of one record.
#[derive(Clone, Debug)]
pub(super) struct Tracked {
    pub(super) state: State,
    pub(super) sent: When,
    /// When the ack came, or for an indeterminate one, when the client gave up.
    pub(super) acked: Option<When>,
    pub(super) offset: Option<Offset>,
    pub(super) broker: Option<BrokerId>,
    pub(super) bracket: Bracket,
    pub(super) copies: Vec<Copy>,
    /// Offsets of copies that were truncated.
    pub(super) gone: Vec<Offset>,
    pub(super) received: Option<When>,
    /// The life of the topic that it named when it was read: its offsets are offsets of that one.
    pub(super) read_of: Option<TopicId>,
    pub(super) on_time: Option<bool>,
    pub(super) settled: Option<When>,
    pub(super) of_former_topic: bool,
    pub(super) resurfaced: bool,
    /// Its loss was seen, and not proven.
    pub(super) is_observed: bool,
    pub(super) inquiry: Option<Box<Inquiry>>,
    /// The last record our reader had read before this one was sent: it lies behind it.
    pub(super) floor: Option<Anchor>,
    /// Where it is looked for, where nobody told its offset.
    pub(super) search: Option<Box<Search>>,
    /// A re-read found the record although an answer said it is gone: only later answers count.
    pub(super) vetoed: Option<When>,
    /// The term in which a fresh connection saw it committed.
    pub(super) shown_in: Option<LeaderEpoch>,
    /// When the window of this state ends.
    pub(super) due: Option<Duration>,
    /// Its place among the records without a verdict.
    pub(super) serial: u64,
}

impl Tracked {
    pub(super) fn new(state: State, sent: When, bracket: Bracket, serial: u64) -> Self {
        Self {
            state,
            sent,
            acked: None,
            offset: None,
            broker: None,
            bracket,
            copies: Vec::new(),
            gone: Vec::new(),
            received: None,
            read_of: None,
            on_time: None,
            settled: None,
            of_former_topic: false,
            resurfaced: false,
            is_observed: false,
            inquiry: None,
            floor: None,
            search: None,
            vetoed: None,
            shown_in: None,
            due: None,
            serial,
        }
    }

    /// Since when it is known to be in a log: answers asked before prove nothing of it.
    pub(super) fn in_log_since(&self, mark: Option<When>) -> Option<When> {
        let later = mark.filter(|mark| self.vetoed.is_none_or(|vetoed| vetoed.mono < mark.mono));
        later.or(self.vetoed)
    }

    fn is_read_by_an_earlier_process(&self) -> bool {
        self.received.is_some_and(|received| received.mono.is_none())
    }

    /// The place whose loss is to be judged: of the ack while it is pending, of each copy once it was delivered.
    pub(super) fn places(&self, partition: PartitionId) -> Vec<Place> {
        let by_ack = || Place::of_ack(self.offset, self.bracket, self.in_log_since(self.acked));
        match self.state {
            State::Pending => by_ack().into_iter().collect(),
            // Read by an earlier process, in nobody knows which life of the topic: an offset of another one means nothing.
            State::Delivered | State::Late if self.read_of.is_none() && self.is_read_by_an_earlier_process() => {
                Vec::new()
            }
            State::Delivered | State::Late => self
                .standing(partition)
                .filter_map(|copy| {
                    let exact = Place::of_copy(copy, self.in_log_since(self.received)?);
                    exact.or_else(|| if self.offset == Some(copy.offset) { by_ack() } else { None })
                })
                .collect(),
            State::Sent
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
            | State::IndeterminateExpired => Vec::new(),
        }
    }

    /// Its copies in its own partition that were not proven gone.
    pub(super) fn standing(&self, partition: PartitionId) -> impl Iterator<Item = &Copy> {
        self.copies.iter().filter(move |copy| copy.partition == partition && !self.gone.contains(&copy.offset))
    }

    pub(super) fn row(&self, key: RecordKey) -> RecordRow {
        RecordRow {
            key,
            state: self.state,
            sent_at: self.sent.wall,
            acked_at: self.acked.map(|when| when.wall),
            offset: self.offset,
            broker: self.broker,
            bracket: self.bracket,
            copies: self.copies.clone(),
            received_at: self.received.map(|when| when.wall),
            on_time: self.on_time,
            settled_at: self.settled.map(|when| when.wall),
            of_former_topic: self.of_former_topic,
            resurfaced: self.resurfaced,
            is_observed: self.is_observed,
            // Of no use where the offset is known.
            floor: self.floor.filter(|_| self.offset.is_none()).map(|floor| (floor.offset, floor.epoch)),
            read_of: self.read_of,
        }
    }

    pub(super) fn of_row(row: &RecordRow, serial: u64) -> Self {
        Self {
            acked: row.acked_at.map(When::earlier_process),
            offset: row.offset,
            broker: row.broker,
            copies: row.copies.clone(),
            received: row.received_at.map(When::earlier_process),
            on_time: row.on_time,
            settled: row.settled_at.map(When::earlier_process),
            of_former_topic: row.of_former_topic,
            resurfaced: row.resurfaced,
            is_observed: row.is_observed,
            read_of: row.read_of,
            floor: row.floor.map(|(offset, epoch)| Anchor { offset, epoch }),
            ..Self::new(row.state, When::earlier_process(row.sent_at), row.bracket, serial)
        }
    }
}
