//! How old the oldest unread record is, from our own readings of the high watermark.
//!
//! The record at offset `o` was appended after the last reading with high watermark <= `o` and before the first one
//! beyond it. That bracket needs no timestamps of producers, no further requests, and is true for idle and for bursty
//! producers alike; interpolation between readings is neither.

use std::collections::VecDeque;
use std::time::Duration;

use super::view::TimeLag;
use crate::model::{Offset, ReadSpan, Timestamp};

/// Readings in a row that showed the same high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    high_watermark: Offset,
    /// The end of the first turn that read it: by then it was reached.
    first: Timestamp,
    /// The begin of the last turn that read it: until then it was not passed.
    last: Timestamp,
}

/// A bounded history of one partition's high watermark, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct HighWatermarks {
    runs: VecDeque<Run>,
}

impl HighWatermarks {
    /// Adds a reading. At more than `limit` points the older half is thinned: brackets there grow wider, never wrong.
    pub(crate) fn record(&mut self, high_watermark: Offset, span: ReadSpan, limit: usize) {
        // A truncated log: what was read of the offsets that are gone says nothing of those that will take their place.
        while self.runs.back().is_some_and(|run| run.high_watermark > high_watermark) {
            self.runs.pop_back();
        }
        match self.runs.back_mut() {
            Some(run) if run.high_watermark == high_watermark => run.last = span.started,
            Some(_) | None => self.runs.push_back(Run { high_watermark, first: span.finished, last: span.started }),
        }
        if self.runs.len() > limit.max(4) {
            let half = self.runs.len() / 2;
            let mut at = 0;
            self.runs.retain(|_| {
                at += 1;
                at > half || at % 2 == 1
            });
        }
    }

    /// Forgets points that no unread record can need: all below the log start but the last.
    pub(crate) fn trim(&mut self, log_start: Offset) {
        while self.runs.get(1).is_some_and(|run| run.high_watermark <= log_start) {
            self.runs.pop_front();
        }
    }

    /// The last reading and its time.
    pub(crate) fn last(&self) -> Option<(Offset, Timestamp)> {
        self.runs.back().map(|run| (run.high_watermark, run.last))
    }

    /// When the high watermark was first seen beyond `offset`.
    pub(crate) fn first_beyond(&self, offset: Offset) -> Option<Timestamp> {
        let after = self.runs.partition_point(|run| run.high_watermark <= offset);
        self.runs.get(after).map(|run| run.first)
    }

    /// The age at `as_of` of the record at `unread`, which is below the last high watermark.
    pub(crate) fn age(&self, unread: Offset, as_of: Timestamp) -> TimeLag {
        let after = self.runs.partition_point(|run| run.high_watermark <= unread);
        let Some(shown) = self.runs.get(after) else { return TimeLag::Unknown };
        let low = as_of.since(shown.first).as_secs_f64();
        match after.checked_sub(1).and_then(|before| self.runs.get(before)) {
            Some(before) => TimeLag::Between { low, high: as_of.since(before.last).as_secs_f64().max(low) },
            None => TimeLag::AtLeast(low),
        }
    }
}

/// The worst of several ages, `complete` saying that none is left out: what is left out may be older.
pub(crate) fn worst(ages: impl IntoIterator<Item = TimeLag>, complete: bool) -> TimeLag {
    let (mut any, mut bounded) = (false, complete);
    let (mut worst_low, mut worst_high) = (0.0_f64, 0.0_f64);
    for age in ages {
        match age {
            TimeLag::CaughtUp => any = true,
            TimeLag::Between { low, high } => {
                any = true;
                worst_low = worst_low.max(low);
                worst_high = worst_high.max(high);
            }
            TimeLag::AtLeast(low) => {
                any = true;
                bounded = false;
                worst_low = worst_low.max(low);
                worst_high = worst_high.max(low);
            }
            TimeLag::Unknown => bounded = false,
        }
    }
    if !any {
        TimeLag::Unknown
    } else if bounded && worst_high == 0.0 {
        TimeLag::CaughtUp
    } else if bounded {
        TimeLag::Between { low: worst_low, high: worst_high }
    } else if worst_high > 0.0 {
        TimeLag::AtLeast(worst_low)
    } else {
        TimeLag::Unknown
    }
}

/// The lower bound, where there is one.
pub(crate) fn at_least(age: TimeLag) -> Duration {
    match age {
        TimeLag::Between { low, .. } | TimeLag::AtLeast(low) => Duration::try_from_secs_f64(low).unwrap_or_default(),
        TimeLag::CaughtUp | TimeLag::Unknown => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(number: i64) -> Timestamp {
        Timestamp::from_millis(number * 1000)
    }

    fn offset(number: i64) -> Offset {
        Offset::new(number).expect("not negative")
    }

    fn history(readings: &[(i64, i64)], limit: usize) -> HighWatermarks {
        let mut history = HighWatermarks::default();
        for (at, high_watermark) in readings {
            let span = ReadSpan { started: second(*at), finished: second(*at) };
            history.record(offset(*high_watermark), span, limit);
        }
        history
    }

    #[test]
    fn the_age_is_bracketed_by_the_readings_around_the_record() {
        let between = |low, high| TimeLag::Between { low, high };
        let cases = [
            ("between two readings", vec![(0, 10), (15, 20), (30, 30)], 12, between(15.0, 30.0)),
            ("just the next record", vec![(0, 10), (15, 20), (30, 30)], 10, between(15.0, 30.0)),
            ("first unread at a boundary", vec![(0, 10), (15, 20), (30, 30)], 20, between(0.0, 15.0)),
            (
                "a backlog on an idle topic grows older",
                vec![(0, 10), (15, 40), (30, 40), (600, 40)],
                10,
                between(585.0, 600.0),
            ),
            (
                "an idle time before it is not its age",
                vec![(0, 10), (600, 10), (615, 40), (630, 40)],
                10,
                between(15.0, 30.0),
            ),
            ("there at our first reading", vec![(0, 50), (30, 60)], 10, TimeLag::AtLeast(30.0)),
            ("truncated and grown again", vec![(0, 10), (15, 100), (30, 20), (45, 100)], 40, between(0.0, 15.0)),
            ("beyond all readings", vec![(0, 10)], 10, TimeLag::Unknown),
        ];
        for (name, readings, unread, want) in cases {
            let now = second(readings.last().expect("a reading").0);
            assert_eq!(history(&readings, 240).age(offset(unread), now), want, "{name}");
        }
    }

    #[test]
    fn a_slow_turn_widens_the_bracket_at_both_ends() {
        let mut history = HighWatermarks::default();
        history.record(offset(10), ReadSpan { started: second(0), finished: second(5) }, 240);
        history.record(offset(20), ReadSpan { started: second(15), finished: second(20) }, 240);
        assert_eq!(history.age(offset(12), second(30)), TimeLag::Between { low: 10.0, high: 30.0 });
    }

    #[test]
    fn points_below_the_log_start_are_forgotten_but_the_last() {
        let mut history = history(&[(0, 10), (15, 20), (30, 30), (45, 40)], 240);
        history.trim(offset(25));
        assert_eq!(history.runs.len(), 3);
        assert_eq!(history.age(offset(25), second(45)), TimeLag::Between { low: 15.0, high: 30.0 });
    }

    #[test]
    fn the_worst_age_is_a_bound_when_something_is_left_out() {
        let between = TimeLag::Between { low: 5.0, high: 9.0 };
        let cases = [
            ("nothing", vec![], true, TimeLag::Unknown),
            ("all caught up", vec![TimeLag::CaughtUp], true, TimeLag::CaughtUp),
            ("caught up where known", vec![TimeLag::CaughtUp], false, TimeLag::Unknown),
            ("one behind", vec![TimeLag::CaughtUp, between], true, between),
            ("one unknown", vec![between, TimeLag::Unknown], true, TimeLag::AtLeast(5.0)),
            ("one at least", vec![between, TimeLag::AtLeast(7.0)], true, TimeLag::AtLeast(7.0)),
        ];
        for (name, ages, complete, want) in cases {
            assert_eq!(worst(ages, complete), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_thinned_history_still_brackets_the_truth(
            steps in prop::collection::vec((1_i64..30, 0_i64..20), 1..400), pick in 0.0_f64..1.0,
        ) {
            let (mut at, mut high) = (0, 0);
            let mut readings = Vec::new();
            let mut appended = Vec::new();
            for (pause, records) in steps {
                for record in 0..records {
                    appended.push(at + pause * record / records.max(1));
                }
                at += pause;
                high += records;
                readings.push((at, high));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index below 8,000")]
            let index = (pick * appended.len() as f64) as usize;
            if let Some(truth) = appended.get(index) {
                #[expect(clippy::cast_precision_loss, reason = "seconds below 12,000")]
                let truth = (at - truth) as f64;
                let unread = offset(i64::try_from(index).expect("small"));
                match history(&readings, 16).age(unread, second(at)) {
                    TimeLag::Between { low, high } => prop_assert!(low <= truth && truth <= high, "{low} {truth} {high}"),
                    TimeLag::AtLeast(low) => prop_assert!(low <= truth),
                    TimeLag::CaughtUp | TimeLag::Unknown => prop_assert!(false, "it is below the last high watermark"),
                }
            }
        }
    }
}
