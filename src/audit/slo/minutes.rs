//! The last minutes one by one: what a strip of cells shows.

use serde::Serialize;

use super::Slo;
use crate::audit::rates::Sum;
use crate::model::Timestamp;

/// So many minutes are shown, the present one included.
pub const MINUTES_SHOWN: i64 = 120;

/// What is known of the records sent in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MinuteState {
    /// Nothing was sent, or nothing that could be observed: neither good nor bad.
    NoData,
    /// Nothing bad so far; some have no verdict yet.
    Waiting,
    /// All good.
    Good,
    /// Some were late, not acknowledged in time, there twice, out of order, or there though refused or aborted.
    Bad,
    /// Some are lost, or were truncated after they had been read.
    Lost,
}

impl MinuteState {
    /// All of them, worst last.
    pub const ALL: [Self; 5] = [Self::NoData, Self::Waiting, Self::Good, Self::Bad, Self::Lost];

    /// What the records of one minute say.
    #[must_use]
    pub fn of(sum: &Sum) -> Self {
        let tally = &sum.tally;
        if !tally.has_data() {
            Self::NoData
        } else if tally.lost + tally.truncated_after_delivery > 0 {
            Self::Lost
        } else if Slo::ALL.iter().any(|slo| slo.share(sum).bad() > 0) || tally.phantom + tally.aborted_visible > 0 {
            Self::Bad
        } else if tally.is_settled() {
            Self::Good
        } else {
            Self::Waiting
        }
    }

    /// How a sentence counts them.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NoData => "without data",
            Self::Waiting => "waiting for verdicts",
            Self::Good => "good",
            Self::Bad => "with bad records",
            Self::Lost => "with losses",
        }
    }
}

/// The last minutes, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Minutes {
    /// When the first of them begins.
    pub from: Timestamp,
    /// One per minute; the last one is not over.
    pub states: Vec<MinuteState>,
    /// Minutes (their places in `states`) in which the wall clock was set: what was sent then may stand in another one.
    pub clock_set: Vec<usize>,
}

impl Minutes {
    /// "112 minutes good, 3 with bad records, 5 without data".
    #[must_use]
    pub fn sentence(&self) -> String {
        let counted = MinuteState::ALL.iter().rev().filter_map(|state| {
            let minutes = self.states.iter().filter(|one| *one == state).count();
            (minutes > 0).then(|| format!("{minutes} {}", state.in_words()))
        });
        format!("Of the last {} minutes: {}.", self.states.len(), counted.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rates::Tally;

    #[test]
    fn a_minute_is_as_bad_as_its_worst_record() {
        let good = Tally { sent: 9, acked: 9, acked_in_time: 9, delivered: 9, received: 9, ..Tally::default() };
        let cases = [
            ("nothing sent", Tally::default(), MinuteState::NoData),
            (
                "nothing observed",
                Tally { sent: 9, indeterminate: 9, ack_unmeasured: 9, ..Tally::default() },
                MinuteState::NoData,
            ),
            ("all good", good, MinuteState::Good),
            ("one pending", Tally { delivered: 8, pending: 1, received: 8, ..good }, MinuteState::Waiting),
            ("one in flight", Tally { sent: 10, in_flight: 1, ..good }, MinuteState::Waiting),
            ("one late", Tally { delivered: 8, late: 1, ..good }, MinuteState::Bad),
            (
                "one late, by our fault",
                Tally { delivered: 8, late: 1, receipt_unmeasured: 1, ..good },
                MinuteState::Good,
            ),
            ("one refused", Tally { sent: 10, rejected: 1, ..good }, MinuteState::Bad),
            ("one twice", Tally { duplicated: 1, ..good }, MinuteState::Bad),
            ("one out of order", Tally { reordered: 1, ..good }, MinuteState::Bad),
            (
                "one visible though aborted",
                Tally { sent: 10, aborted: 1, aborted_visible: 1, ..good },
                MinuteState::Bad,
            ),
            ("one aborted", Tally { sent: 10, aborted: 1, ..good }, MinuteState::Good),
            ("one lost", Tally { delivered: 8, lost: 1, ..good }, MinuteState::Lost),
            ("one truncated", Tally { delivered: 8, truncated_after_delivery: 1, ..good }, MinuteState::Lost),
        ];
        for (name, tally, want) in cases {
            assert_eq!(MinuteState::of(&Sum { tally, ..Sum::default() }), want, "{name}");
        }
        let overdue = Sum { tally: Tally { delivered: 8, pending: 1, received: 8, ..good }, overdue: 1, unanswered: 0 };
        assert_eq!(MinuteState::of(&overdue), MinuteState::Bad, "overdue is decided");
    }
}
