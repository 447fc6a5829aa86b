//! One partition of the canary: how far it was read, who leads it, and what was told of its log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::acks::Acks;
use super::history::LeaderHistory;
use super::limits::Anchor;
use super::link::Links;
use super::proof::{self, Told};
use super::record::{CanaryClass, Incarnation, Isolation, RecordKey};
use super::search::Looks;
use super::when::Backoff;
use crate::model::{LeaderEpoch, Offset, PartitionId};

/// Sorts before every key: the lower bound of an offset's keys.
pub(super) const LEAST: RecordKey =
    RecordKey { incarnation: Incarnation(0), class: CanaryClass::Acks0, partition: PartitionId(i32::MIN), sequence: 0 };

/// How far one reader has read a partition.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The next offset to read.
    pub(super) frontier: Option<Offset>,
    /// The highest epoch that the reader has read in.
    pub(super) read_epoch: Option<LeaderEpoch>,
    /// When the latest record of this process that was read had been sent.
    pub(super) read_through: Option<Duration>,
    /// When the reader was last moved over offsets it had not read.
    pub(super) gap: Option<Duration>,
    /// Since when it reads in that epoch; none for an earlier process.
    pub(super) read_epoch_since: Option<Duration>,
    /// The last record read, where its epoch was told.
    pub(super) last: Option<Anchor>,
}

/// The order in which one sender's records were read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// The highest offset read.
    pub(super) read: Offset,
    /// The highest sequence up to it.
    pub(super) highest: u64,
    /// Where that was.
    pub(super) highest_at: Offset,
}

/// What the ledger knows of one partition.
#[derive(Debug, Default)]
pub(super) struct Lane {
    uncommitted: Position,
    committed: Position,
    pub(super) leaders: LeaderHistory,
    /// The latest answers of the leader of the highest epoch that answered, by the epoch asked for.
    pub(super) answers: BTreeMap<LeaderEpoch, Told>,
    /// Acknowledged with an offset, without a verdict.
    pub(super) pending: BTreeSet<(Offset, RecordKey)>,
    /// Acknowledged without an offset, without a verdict.
    pub(super) unseen: BTreeSet<RecordKey>,
    /// The connections that records went through.
    pub(super) links: BTreeMap<CanaryClass, Links>,
    /// What was shown of offsets that are searched.
    pub(super) looks: Looks,
    /// Delivered within the window: watched for truncation.
    pub(super) delivered: BTreeSet<RecordKey>,
    /// Of these, those of an older epoch than the current leader's, who was not asked of them yet.
    pub(super) unchecked: BTreeSet<RecordKey>,
    /// Indeterminate, and not read.
    pub(super) indeterminate: BTreeSet<RecordKey>,
    /// In which order each sender's records were read.
    pub(super) order: BTreeMap<(Incarnation, CanaryClass), Order>,
    /// What was acknowledged lately, and where.
    pub(super) acks: Acks,
    pub(super) ask: Ask,
}

/// When the ends of epochs are asked for again.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) backoff: Backoff,
    /// What was asked last.
    pub(super) last: BTreeSet<LeaderEpoch>,
}

impl Lane {
    /// Where the reader of this isolation level is. What the one has passed, the other may have before it: records of
    /// open transactions, and control records, of which no reader tells.
    pub(super) fn position(&self, isolation: Isolation) -> &Position {
        match isolation {
            Isolation::ReadUncommitted => &self.uncommitted,
            Isolation::ReadCommitted => &self.committed,
        }
    }

    pub(super) fn position_mut(&mut self, isolation: Isolation) -> &mut Position {
        match isolation {
            Isolation::ReadUncommitted => &mut self.uncommitted,
            Isolation::ReadCommitted => &mut self.committed,
        }
    }

    /// The highest epoch sighted.
    pub(super) fn current(&self) -> Option<LeaderEpoch> {
        self.leaders.current().map(|(epoch, _)| epoch)
    }

    /// Keeps an answer of the current leader. A replaced one may have lost what its successor has.
    pub(super) fn keep(&mut self, told: Told) {
        if Some(told.answer.current) < self.current() {
            return;
        }
        // Answers of two leaders are not mixed: the later question counts.
        if let Some(kept) = self.answers.values().max_by_key(|kept| kept.begun.mono)
            && kept.answer.current != told.answer.current
        {
            if kept.begun.mono > told.begun.mono {
                return;
            }
            self.answers.clear();
        }
        let is_newer = self.answers.get(&told.answer.asked).is_none_or(|kept| kept.begun.mono <= told.begun.mono);
        if is_newer {
            self.answers.insert(told.answer.asked, told);
        }
    }

    /// True when the current leader answered for this epoch after `since`.
    pub(super) fn is_answered(&self, epoch: LeaderEpoch, since: super::when::When) -> bool {
        self.answers
            .get(&epoch)
            .is_some_and(|told| Some(told.answer.current) >= self.current() && since.is_before(told.begun))
    }

    /// True when a record of this epoch at this place shows a log that holds all that was appended up to `high`: it is
    /// of a later term, or it is in the present leader's log.
    pub(super) fn is_of_term(&self, place: Offset, epoch: LeaderEpoch, high: LeaderEpoch) -> bool {
        let answers_count = || self.answers.values().all(|told| told.answer.current >= high);
        epoch >= high || (answers_count() && proof::is_of_epoch(&self.answers, place, epoch))
    }

    /// The log end as far as it is known.
    pub(super) fn log_end(&self) -> Option<Offset> {
        let told = self.answers.values().find(|told| told.answer.asked == told.answer.current);
        told.map(|told| told.answer.end.end_offset).or(self.uncommitted.frontier.max(self.committed.frontier))
    }

    /// Forgets all that belongs to the former topic; the records have been judged already.
    pub(super) fn start_over(&mut self) {
        let (indeterminate, links) = (std::mem::take(&mut self.indeterminate), std::mem::take(&mut self.links));
        *self = Self { indeterminate, links, ..Self::default() };
    }
}
