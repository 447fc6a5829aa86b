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
    /// Some were late, not acknowledged in time, there twice, or out of order.
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
        } else if Slo::ALL.iter().any(|slo| slo.share(sum).bad() > 0) {
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
