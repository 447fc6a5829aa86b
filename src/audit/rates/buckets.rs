//! One class by send time: minutes, then days, then all that is older. Bounded, whatever time it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::model::Timestamp;

/// Minutes that are kept one by one: the longest window in which a budget burns, 3 d, and 6 h more.
pub const MINUTES_KEPT: i64 = (3 * 24 + 6) * 60;

/// Days that are kept: the period of the error budget.
pub const DAYS_KEPT: i64 = 30;

const MINUTES_A_DAY: i64 = 24 * 60;

/// A stretch of send time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// A minute, by its number since 1970.
    Minute(i64),
    /// What is kept of a day (UTC), by its number since 1970: the minutes of it that are too old to be kept.
    Day(i64),
    /// All before.
    Older,
}

impl Span {
    /// The minute in which something was sent.
    #[must_use]
    pub fn of(sent: Timestamp) -> Self {
        Self::Minute(minute_of(sent))
    }

    /// Its word and number, as keys of a table.
    #[must_use]
    pub fn key(self) -> (&'static str, i64) {
        match self {
            Self::Minute(minute) => ("minute", minute),
            Self::Day(day) => ("day", day),
            Self::Older => ("older", 0),
        }
    }
}

/// The number of the minute since 1970.
#[must_use]
pub fn minute_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(60_000)
}

/// When the minute of that number begins.
#[must_use]
pub fn begin_of(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute.saturating_mul(60_000))
}

/// The records of one stretch of send time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its counts.
    #[serde(flatten)]
    pub tally: Tally,
    /// The wall clock was set by so many milliseconds against the monotonic clock: its edges may be elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_moved_millis: Option<i64>,
}

impl Bucket {
    fn sum_up(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.clock_moved_millis = self.clock_moved_millis.or(other.clock_moved_millis);
    }
}

/// All buckets of one class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::audit) struct Buckets(BTreeMap<Span, Bucket>);

impl Buckets {
    pub(super) fn get(&self, span: Span) -> Option<&Bucket> {
        self.0.get(&span)
    }

    pub(super) fn put(&mut self, span: Span, bucket: Bucket) {
        self.0.insert(span, bucket);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the records that were sent at that time are counted.
    pub(super) fn span_of(&self, sent: Timestamp) -> Span {
        let minute = minute_of(sent);
        let day = Span::Day(minute.div_euclid(MINUTES_A_DAY));
        [Span::Minute(minute), day].into_iter().find(|span| self.0.contains_key(span)).unwrap_or(Span::Older)
    }

    pub(super) fn entry(&mut self, span: Span) -> &mut Bucket {
        self.0.entry(span).or_default()
    }

    /// Sums up what is older than is kept; returns what changed and what is gone.
    pub(super) fn roll(&mut self, now: Timestamp) -> (Vec<Span>, Vec<Span>) {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        let oldest_minute = minute_of(now) - MINUTES_KEPT;
        let oldest_day = (minute_of(now) - DAYS_KEPT * MINUTES_A_DAY).div_euclid(MINUTES_A_DAY);
        while let Some((span, mut bucket)) = self.first_before(Span::Minute(i64::MIN), Span::Minute(oldest_minute)) {
            let Span::Minute(minute) = span else { break };
            bucket.tally.minutes = u64::from(bucket.tally.has_data());
            let day = Span::Day(minute.div_euclid(MINUTES_A_DAY));
            self.entry(day).sum_up(&bucket);
            self.0.remove(&span);
            gone.push(span);
            changed.push(day);
        }
        while let Some((span, bucket)) = self.first_before(Span::Day(i64::MIN), Span::Day(oldest_day)) {
            self.entry(Span::Older).sum_up(&bucket);
            self.0.remove(&span);
            gone.push(span);
            changed.push(Span::Older);
        }
        (changed, gone)
    }

    fn first_before(&self, from: Span, to: Span) -> Option<(Span, Bucket)> {
        self.0.range(from..to).next().map(|(span, bucket)| (*span, *bucket))
    }

    /// The minutes of that range in which there is a bucket.
    pub(super) fn minutes(&self, range: std::ops::RangeInclusive<i64>) -> impl Iterator<Item = (i64, &Bucket)> {
        let (from, to) = (Span::Minute(*range.start()), Span::Minute(*range.end()));
        self.0.range(from..=to).filter_map(|(span, bucket)| match span {
            Span::Minute(minute) => Some((*minute, bucket)),
            Span::Day(_) | Span::Older => None,
        })
    }

    /// The sum of the days that are kept.
    pub(super) fn days(&self) -> Tally {
        let mut sum = Tally::default();
        for bucket in self.0.range(Span::Day(i64::MIN)..Span::Older).map(|(_, bucket)| bucket) {
            sum.add(&bucket.tally);
        }
        sum
    }

    /// The sum of all there ever was.
    #[cfg(test)]
    pub(super) fn total(&self) -> Tally {
        let mut sum = Tally::default();
        for bucket in self.0.values() {
            sum.add(&bucket.tally);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(sent: u64) -> Bucket {
        Bucket { tally: Tally { sent, acked: sent, delivered: sent, ..Tally::default() }, clock_moved_millis: None }
    }

    fn at(minute: i64) -> Timestamp {
        begin_of(minute)
    }

    #[test]
    fn minutes_become_days_and_days_become_one_sum() {
        let mut buckets = Buckets::default();
        let first = 29_000_000;
        for minute in first..first + 100 {
            buckets.put(Span::Minute(minute), bucket(60));
        }
        let whole = buckets.total();
        assert_eq!(buckets.roll(at(first + MINUTES_KEPT)), (vec![], vec![]), "all are young enough");
        let (changed, gone) = buckets.roll(at(first + MINUTES_KEPT + 40));
        assert_eq!((changed.len(), gone.len()), (40, 40));
        assert_eq!((buckets.days().sent, buckets.days().minutes), (40 * 60, 40));
        assert_eq!(buckets.span_of(at(first)), Span::Day(first / MINUTES_A_DAY), "what is late for it finds its day");
        assert_eq!(buckets.span_of(at(first + 99)), Span::Minute(first + 99));
        assert_eq!(buckets.minutes(first..=first + 49).count(), 10);
        buckets.roll(at(first + (DAYS_KEPT + 2) * MINUTES_A_DAY));
        assert_eq!(buckets.days(), Tally::default());
        assert_eq!(buckets.span_of(at(first)), Span::Older);
        assert_eq!((buckets.total().sent, buckets.total().delivered), (whole.sent, whole.delivered), "nothing is lost");
        assert_eq!(buckets.0.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut buckets = Buckets::default();
        for minute in 0..60 * MINUTES_A_DAY {
            buckets.entry(Span::Minute(minute)).tally.sent += 1;
            buckets.roll(at(minute));
        }
        let most = usize::try_from(MINUTES_KEPT + DAYS_KEPT + 3).expect("few");
        assert!(buckets.0.len() <= most, "{}", buckets.0.len());
    }
}
