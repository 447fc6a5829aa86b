//! The objectives of one class, as they stand.

use serde::Serialize;

use super::burn::{Alarm, Burn, Window, alarms};
use super::minutes::{MINUTES_SHOWN, MinuteState, Minutes};
use super::{Objectives, Slo};
use crate::audit::figures::{grouped, per_cent};
use crate::audit::ledger::Ledger;
use crate::audit::rates::{Correction, DAYS_KEPT, Rates, Share, begin_of, minute_of};
use crate::audit::record::CanaryClass;
use crate::audit::resolution::{Resolution, resolution};
use crate::model::{Moment, Timestamp};

/// What the objectives are judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SloOptions {
    /// The objectives.
    pub objectives: Objectives,
    /// Records per second, class and partition.
    pub rate: f64,
}

impl Default for SloOptions {
    fn default() -> Self {
        Self { objectives: Objectives::default(), rate: 1.0 }
    }
}

/// How much of a time there is data of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeCoverage {
    /// Minutes in which something was sent and observed.
    pub minutes_with_data: u64,
    /// Minutes there are: 30 days.
    pub minutes: u64,
    /// Records sent in them.
    pub sent: u64,
    /// Of these, those with an outcome and, where they were acknowledged, a verdict.
    pub settled: u64,
}

impl TimeCoverage {
    /// "60 of 43,200 minutes have data".
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{} of {} minutes have data", grouped(self.minutes_with_data), grouped(self.minutes))
    }
}

/// One objective as it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SloState {
    /// Which.
    pub slo: Slo,
    /// The share of records that is to be good.
    pub objective: f64,
    /// Good and bad records of 30 days, as far as there is data.
    #[serde(flatten)]
    pub share: Share,
    /// Of the error budget of these records, what is left: 1 is all, below 0 is overspent. None without records to
    /// judge, and where no budget judges.
    pub budget_left: Option<f64>,
    /// False where each bad record is a proven finding of its own, and no budget judges.
    pub is_judged_by_budget: bool,
    /// How fast the budget burns, by window.
    pub windows: Vec<Burn>,
    /// The rules that are met, most urgent first.
    pub alarms: Vec<Alarm>,
    /// Whether there are records enough to judge it; none where no budget judges.
    pub resolution: Option<Resolution>,
}

/// All objectives of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassSlo {
    /// Which class.
    pub class: CanaryClass,
    /// When it was read from the ledger.
    pub as_of: Timestamp,
    /// Its objectives.
    pub slos: Vec<SloState>,
    /// Its rates over 30 days, as far as there is data.
    pub rates: Rates,
    /// How much of the 30 days has data.
    pub time_coverage: TimeCoverage,
    /// The last minutes.
    pub minutes: Minutes,
    /// What changed after its minute had been final, latest first; the last few.
    pub corrections: Vec<Correction>,
}

impl ClassSlo {
    /// True when nothing was observed in the shortest window: nothing can be said to have recovered.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        let shortest = usize::try_from(Window::FiveMinutes.minutes()).unwrap_or(usize::MAX);
        self.minutes.states.iter().rev().take(shortest).all(|state| *state == MinuteState::NoData)
    }
}

impl SloState {
    /// One sentence with the numbers and the bound.
    #[must_use]
    pub fn sentence(&self) -> String {
        self.share.sentence_on(&format!(" {}", self.slo.of_bad()))
    }

    /// What of the budget is left, in words.
    #[must_use]
    pub fn budget_in_words(&self) -> String {
        match self.budget_left {
            _ if !self.is_judged_by_budget => "none is granted: each one is a finding".to_owned(),
            None => "nothing to judge yet".to_owned(),
            Some(left) if left >= 0.0 => format!("{:.1} % left", (left * 1_000.0).floor() / 10.0),
            Some(left) => format!("spent {:.1} times over", 1.0 - left),
        }
    }

    /// How it stands by what the period and the windows show.
    #[must_use]
    pub fn of(
        (slo, class): (Slo, CanaryClass),
        objective: f64,
        share: Share,
        burns: Vec<Burn>,
        resolved: Resolution,
    ) -> Self {
        if !slo.is_judged_by_budget(class) {
            let windows = burns.into_iter().map(|burn| Burn { burn_rate: None, ..burn }).collect();
            return Self {
                slo,
                objective,
                share,
                budget_left: None,
                is_judged_by_budget: false,
                windows,
                alarms: Vec::new(),
                resolution: None,
            };
        }
        Self {
            slo,
            objective,
            share,
            budget_left: share.rate.map(|rate| 1.0 - rate / (1.0 - objective)),
            is_judged_by_budget: true,
            alarms: alarms(&burns),
            windows: burns,
            resolution: Some(resolved),
        }
    }
}

impl Ledger {
    /// The objectives of a class as they stand. `partitions` is the number it sends to.
    #[must_use]
    pub fn slo(&self, class: CanaryClass, options: &SloOptions, partitions: usize, at: Moment) -> ClassSlo {
        let open = self.open_too_long(class, at);
        let period = self.sum_of_period(class, at.wall, &open);
        let sums =
            Window::ALL.map(|window| (window, self.sum_of_minutes(class, at.wall, window.minutes().into(), &open)));
        let state = |slo: Slo| {
            let objective = options.objectives.of(slo);
            let burns = sums.iter().map(|(window, sum)| Burn::of(slo, objective, *window, sum)).collect();
            let resolved = resolution(options.rate, partitions, objective);
            SloState::of((slo, class), objective, slo.share(&period), burns, resolved)
        };
        let tally = period.tally;
        let first = minute_of(at.wall) - (MINUTES_SHOWN - 1);
        let shown = self.minutes(class, first..=minute_of(at.wall), &open);
        let clock_set = shown.iter().enumerate().filter(|(_, (_, is_set))| *is_set).map(|(place, _)| place);
        ClassSlo {
            class,
            as_of: at.wall,
            slos: Slo::ALL.into_iter().map(state).collect(),
            rates: Rates::of(&period),
            time_coverage: TimeCoverage {
                minutes_with_data: tally.minutes,
                minutes: u64::try_from(DAYS_KEPT * 24 * 60).unwrap_or(0),
                sent: tally.sent,
                settled: tally.sent.saturating_sub(tally.in_flight + tally.pending),
            },
            minutes: Minutes {
                from: begin_of(first),
                clock_set: clock_set.collect(),
                states: shown.iter().map(|(sum, _)| MinuteState::of(sum)).collect(),
            },
            corrections: self.rates.corrections(class).cloned().collect(),
        }
    }
}

/// "99.9 % are to be acknowledged in time".
#[must_use]
pub fn in_words(slo: Slo, objective: f64) -> String {
    let what = match slo {
        Slo::Availability => "acknowledged in time",
        Slo::Freshness => "received in time",
        Slo::Durability => "kept",
        Slo::Exactness => "received once",
        Slo::Order => "received in order",
    };
    format!("{} {what}", per_cent(objective))
}
