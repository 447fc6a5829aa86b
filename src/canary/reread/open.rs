//! The offsets that have no answer yet, and the answers that follow from what a client meets.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::audit::{CanaryRecord, Reread, Unreadable};
use crate::model::{LeaderEpoch, Offset};

/// Answers, each with its offset.
pub(super) type Answers = Vec<(Offset, Reread)>;

/// The offsets without an answer. What is met counts for all of them: the client began to read at the lowest, or before it.
#[derive(Debug)]
pub(super) struct Open {
    /// Until when, on the monotonic clock, each of them needs its answer.
    due: BTreeMap<Offset, Duration>,
}

impl Open {
    pub(super) fn new(due: BTreeMap<Offset, Duration>) -> Self {
        Self { due }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn first(&self) -> Option<Offset> {
        self.due.keys().next().copied()
    }

    pub(super) fn last(&self) -> Option<Offset> {
        self.due.keys().next_back().copied()
    }

    /// When the last of them is due.
    pub(super) fn last_due(&self) -> Duration {
        self.due.values().max().copied().unwrap_or_default()
    }

    /// What a record says: at its offset lies itself, and at those before it nothing.
    pub(super) fn record(
        &mut self,
        at: Offset,
        leader_epoch: Option<LeaderEpoch>,
        what: Result<CanaryRecord, Unreadable>,
    ) -> Answers {
        let mut answers = self.all_before(at, leader_epoch);
        if self.due.remove(&at).is_some() {
            answers.push(match what {
                Ok(record) => (at, Reread::Found { record, leader_epoch }),
                Err(what) => (at, Reread::Other(what)),
            });
        }
        answers
    }

    /// What the end means to a client that sees committed records alone: aborted ones and markers are passed in silence, and
    /// the end carries no offset. What lay before the last stable offset before the client began to read, and does so still,
    /// it has passed.
    pub(super) fn passed(&mut self, before: Option<Offset>, after: Option<Offset>) -> Answers {
        before.zip(after).map(|(before, after)| self.all_before(before.min(after), None)).unwrap_or_default()
    }

    /// What the ends of the log say of those beyond them; nothing where Kafka named none.
    pub(super) fn outside(&mut self, log_start: Option<Offset>, high_watermark: Option<Offset>) -> Answers {
        let side = |offset: &Offset| side(*offset, log_start, high_watermark).map(|answer| (*offset, answer));
        let answers: Answers = self.due.keys().filter_map(side).collect();
        for (offset, _) in &answers {
            self.due.remove(offset);
        }
        answers
    }

    /// Those that should have an answer by now.
    pub(super) fn overdue(&self, now: Duration) -> Vec<Offset> {
        self.due.iter().filter(|(_, due)| **due <= now).map(|(offset, _)| *offset).collect()
    }

    /// Gives up this one.
    pub(super) fn fail(&mut self, offset: Offset, why: String) -> Answers {
        self.due.remove(&offset).map(|_| (offset, Reread::Failed { why })).into_iter().collect()
    }

    fn all_before(&mut self, next: Offset, leader_epoch: Option<LeaderEpoch>) -> Answers {
        let others = self.due.split_off(&next);
        let before = std::mem::replace(&mut self.due, others);
        before.into_keys().map(|offset| (offset, Reread::Beyond { next, leader_epoch })).collect()
    }
}

/// On which side of the log an offset lies; nothing when it lies within, or Kafka named no ends.
fn side(offset: Offset, log_start: Option<Offset>, high_watermark: Option<Offset>) -> Option<Reread> {
    let (log_start, high_watermark) = (log_start?, high_watermark?);
    if offset < log_start {
        Some(Reread::BelowLogStart { log_start })
    } else if offset >= high_watermark {
        Some(Reread::AtEnd { high_watermark })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn at(number: i64) -> Offset {
        Offset::new(number).expect("not negative")
    }

    fn open(offsets: impl IntoIterator<Item = i64>) -> Open {
        Open::new(offsets.into_iter().map(|offset| (at(offset), Duration::from_secs(8))).collect())
    }

    #[test]
    fn an_offset_is_passed_when_the_last_stable_offset_was_beyond_it_all_along() {
        let cases = [
            ("aborted, and the log ends behind the marker", (4, 6, 6), Some(at(6))),
            ("it grew meanwhile", (4, 6, 9), Some(at(6))),
            ("of an open transaction", (4, 4, 4), None),
            ("its transaction ended meanwhile", (4, 4, 6), None),
            ("another leader, with a shorter log", (4, 6, 4), None),
        ];
        for (name, (offset, before, after), want) in cases {
            let want: Answers =
                want.map(|next| (at(offset), Reread::Beyond { next, leader_epoch: None })).into_iter().collect();
            let mut open = open([offset, 30]);
            assert_eq!(open.passed(Some(at(before)), Some(at(after))), want, "{name}");
            assert_eq!(open.last(), Some(at(30)), "{name}");
        }
        assert_eq!(open([4]).passed(None, Some(at(9))), [], "unknown");
    }

    #[test]
    fn an_offset_outside_the_log_lies_on_one_side_of_it() {
        let cases = [
            ("below", 4, 5, 9, Some(Reread::BelowLogStart { log_start: at(5) })),
            ("the first", 5, 5, 9, None),
            ("the last", 8, 5, 9, None),
            ("the end", 9, 5, 9, Some(Reread::AtEnd { high_watermark: at(9) })),
            ("beyond", 30, 5, 9, Some(Reread::AtEnd { high_watermark: at(9) })),
            ("an empty log, all deleted", 4, 9, 9, Some(Reread::BelowLogStart { log_start: at(9) })),
            ("no ends known", 4, -1, -1, None),
        ];
        for (name, offset, low, high, want) in cases {
            let mut open = open([offset]);
            let told = open.outside(Offset::new(low), Offset::new(high));
            assert_eq!(
                (told.first().map(|(_, told)| told), open.is_empty()),
                (want.as_ref(), want.is_some()),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_due_fails_alone() {
        let mut open = Open::new(BTreeMap::from([(at(1), Duration::from_secs(9)), (at(2), Duration::from_secs(5))]));
        assert_eq!(open.overdue(Duration::from_secs(4)), []);
        assert_eq!(open.overdue(Duration::from_secs(5)), [at(2)]);
        assert_eq!(open.fail(at(2), "late".to_owned()), [(at(2), Reread::Failed { why: "late".to_owned() })]);
        assert_eq!((open.first(), open.last_due()), (Some(at(1)), Duration::from_secs(9)));
        assert_eq!(open.fail(at(2), "again".to_owned()), []);
    }

    /// What a log with records at these offsets says of each offset, asked alone.
    fn alone(log: &[i64], offset: i64) -> Option<(i64, bool)> {
        log.iter().find(|record| **record >= offset).map(|record| (*record, *record == offset))
    }

    proptest! {
        #[test]
        fn many_read_at_once_are_answered_as_each_of_them_alone(
            log in btree_set(0_i64..60, 0..40),
            asked in btree_set(0_i64..70, 1..30),
            log_start in 0_i64..20,
        ) {
            let log: Vec<i64> = log.into_iter().filter(|offset| *offset >= log_start).collect();
            let end = log.last().map_or(log_start, |last| last + 1);
            let mut open = open(asked.iter().copied());
            let mut told = open.outside(Offset::new(log_start), Offset::new(end));
            for record in &log {
                told.extend(open.record(at(*record), LeaderEpoch::new(3), Err(Unreadable::Foreign)));
            }
            prop_assert!(open.is_empty());
            let told: BTreeMap<Offset, Reread> = told.into_iter().collect();
            for offset in asked {
                let want = match alone(&log, offset) {
                    _ if offset < log_start => Reread::BelowLogStart { log_start: at(log_start) },
                    None => Reread::AtEnd { high_watermark: at(end) },
                    Some((_, true)) => Reread::Other(Unreadable::Foreign),
                    Some((next, false)) => Reread::Beyond { next: at(next), leader_epoch: LeaderEpoch::new(3) },
                };
                prop_assert_eq!(told.get(&at(offset)), Some(&want), "{}", offset);
            }
        }
    }
}
