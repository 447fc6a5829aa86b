//! Sums over a window of send time, with what is open longer than it may be.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::buckets::{Bucket, DAYS_KEPT, MINUTES_KEPT, minute_of};
use super::share::Share;
use super::tally::Tally;
use crate::audit::ledger::Ledger;
use crate::audit::record::CanaryClass;
use crate::audit::state::State;
use crate::model::{Moment, Timestamp};

/// What was sent in a window, and became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The counts.
    pub tally: Tally,
    /// Of those pending, the ones not received within `canary.deliver_within`: late, whatever becomes of them.
    pub overdue: u64,
    /// Of those in flight, the ones not acknowledged within `canary.acknowledge_within`.
    pub unanswered: u64,
}

impl Sum {
    /// Acknowledged in time, of those sent and decided.
    #[must_use]
    pub fn availability(&self) -> Share {
        let undecided = self.tally.in_flight.saturating_sub(self.unanswered);
        let left_out = undecided + self.tally.aborted + self.tally.ack_unmeasured;
        Share::of_good(self.tally.acked_in_time, self.tally.sent.saturating_sub(left_out))
    }

    /// Received in time, of those acknowledged and decided.
    #[must_use]
    pub fn freshness(&self) -> Share {
        let decided = self.tally.judged().saturating_sub(self.tally.receipt_unmeasured);
        Share::of_good(self.tally.delivered, decided + self.overdue)
    }

    /// Not lost, of those with a verdict on it.
    #[must_use]
    pub fn durability(&self) -> Share {
        Share::of_good(self.tally.delivered + self.tally.late, self.tally.judged())
    }

    /// Received once.
    #[must_use]
    pub fn exactness(&self) -> Share {
        Share::of_bad(self.tally.duplicated, self.tally.received)
    }

    /// Received in the order of sending.
    #[must_use]
    pub fn order(&self) -> Share {
        Share::of_bad(self.tally.reordered, self.tally.received)
    }

    fn add(&mut self, tally: &Tally) {
        self.tally.add(tally);
        self.tally.minutes += u64::from(tally.has_data());
    }
}

/// What is open for too long, by the minute in which it was sent: overdue, unanswered.
pub(in crate::audit) type Open = BTreeMap<i64, (u64, u64)>;

impl Ledger {
    /// The open records of a class that are decided already. By monotonic time: a wall clock that is set decides nothing.
    pub(in crate::audit) fn open_too_long(&self, class: CanaryClass, at: Moment) -> Open {
        let mut open = Open::new();
        for key in self.open.values().filter(|key| key.class == class && !self.rates.is_unmeasured(key)) {
            let Some(record) = self.records.get(key) else { continue };
            let took = record.sent.until(at);
            let is_overdue = record.state == State::Pending && took > self.options.deliver_within;
            // A transaction abandoned on purpose is in flight until its abort is known.
            let is_unanswered = record.state == State::Sent
                && class != CanaryClass::Transactional
                && took > self.options.acknowledge_within;
            if is_overdue || is_unanswered {
                let (overdue, unanswered) = open.entry(minute_of(record.sent.wall)).or_default();
                *overdue += u64::from(is_overdue);
                *unanswered += u64::from(is_unanswered);
            }
        }
        open
    }

    /// The records of the last so many minutes before this one, and of this one.
    #[must_use]
    pub(in crate::audit) fn sum_of_minutes(
        &self,
        class: CanaryClass,
        now: Timestamp,
        minutes: i64,
        open: &Open,
    ) -> Sum {
        let last = minute_of(now);
        let mut sum = Sum::default();
        if let Some(kept) = self.rates.classes.get(&class) {
            kept.minutes(last - minutes.min(MINUTES_KEPT)..=last).for_each(|(_, bucket)| sum.add(&bucket.tally));
        }
        for (overdue, unanswered) in open.range(last - minutes..=last).map(|(_, counts)| counts) {
            sum.overdue += overdue;
            sum.unanswered += unanswered;
        }
        sum
    }

    /// The records of each of these minutes, and whether the clock was set in it.
    #[must_use]
    pub(in crate::audit) fn minutes(
        &self,
        class: CanaryClass,
        range: RangeInclusive<i64>,
        open: &Open,
    ) -> Vec<(Sum, bool)> {
        let kept: BTreeMap<i64, Bucket> = match self.rates.classes.get(&class) {
            Some(kept) => kept.minutes(range.clone()).map(|(minute, bucket)| (minute, *bucket)).collect(),
            None => BTreeMap::new(),
        };
        let minute = |minute: i64| {
            let bucket = kept.get(&minute).copied().unwrap_or_default();
            let (overdue, unanswered) = open.get(&minute).copied().unwrap_or_default();
            (Sum { tally: bucket.tally, overdue, unanswered }, bucket.clock_moved_millis.is_some())
        };
        range.map(minute).collect()
    }

    /// The records of the period of the error budget, 30 d.
    #[must_use]
    pub(in crate::audit) fn sum_of_period(&self, class: CanaryClass, now: Timestamp, open: &Open) -> Sum {
        let mut sum = self.sum_of_minutes(class, now, MINUTES_KEPT, open);
        if let Some(kept) = self.rates.classes.get(&class) {
            // Their minutes were counted when they were summed up.
            sum.tally.add(&kept.days());
        }
        let older = open.range(..minute_of(now) - MINUTES_KEPT).map(|(_, counts)| counts);
        for (overdue, unanswered) in older {
            sum.overdue += overdue;
            sum.unanswered += unanswered;
        }
        sum.tally.minutes = sum.tally.minutes.min(u64::try_from(DAYS_KEPT * 24 * 60).unwrap_or(u64::MAX));
        sum
    }
}
