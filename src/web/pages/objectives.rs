//! The objectives of the canary's classes: in words, with a sign and a bar, and the last minutes one by one.

use super::text::{self, Badge, Value};
use crate::audit::figures::per_cent;
use crate::audit::slo::{ClassSlo, MinuteState, Minutes, SloState, Urgency};
use crate::audit::{CanaryClass, Resolution};
use crate::model::Timestamp;

/// All objectives of one class.
pub(super) struct Objectives {
    pub(super) class: &'static str,
    /// How much of the period has data.
    pub(super) coverage: String,
    pub(super) rows: Vec<Row>,
    pub(super) strip: Strip,
    /// What the rate is too low for; each sentence once.
    pub(super) too_few: Vec<String>,
    pub(super) corrections: Vec<String>,
}

/// One objective.
pub(super) struct Row {
    pub(super) slo: &'static str,
    pub(super) objective: String,
    pub(super) state: Badge,
    /// Bad of all, with the bound.
    pub(super) period: String,
    pub(super) budget: String,
    pub(super) bar: Option<Bar>,
    /// One per window, shortest first.
    pub(super) burns: Vec<Value>,
}

/// What is left of a budget.
pub(super) struct Bar {
    pub(super) tone: &'static str,
    /// Of 100.
    pub(super) width: String,
    pub(super) label: String,
}

/// The last minutes: one shape per state, so that none is told by its colour alone.
pub(super) struct Strip {
    pub(super) label: String,
    /// Class, path.
    pub(super) paths: Vec<(&'static str, String)>,
    pub(super) width: usize,
    /// From when to when there was no data.
    pub(super) gaps: String,
    pub(super) from: String,
}

const CELL: usize = 6;
const GAPS_SHOWN: usize = 6;

impl Objectives {
    pub(super) fn of(slo: &ClassSlo) -> Self {
        let mut too_few: Vec<String> = Vec::new();
        for resolution in slo.slos.iter().filter_map(|state| state.resolution).filter(|found| !found.is_enough) {
            let sentence = Resolution::sentence(&resolution);
            if !too_few.contains(&sentence) {
                too_few.push(sentence);
            }
        }
        let corrections = slo.corrections.iter().take(GAPS_SHOWN).map(|one| {
            let records = if one.records == 1 { "record".to_owned() } else { format!("{} records", one.records) };
            format!(
                "{records} of {}: {} → {}, at {}",
                clock(one.bucket),
                one.from.replace('_', " "),
                one.to.replace('_', " "),
                clock(one.at)
            )
        });
        Self {
            class: slo.class.as_str(),
            coverage: slo.time_coverage.sentence(),
            rows: slo.slos.iter().map(|state| Row::of(slo.class, state)).collect(),
            strip: Strip::of(&slo.minutes),
            too_few,
            corrections: corrections.collect(),
        }
    }
}

impl Row {
    fn of(class: CanaryClass, state: &SloState) -> Self {
        let burn = |rate: Option<f64>| {
            let why = if state.is_judged_by_budget { "no data" } else { "by proof" };
            Value::or(rate.map(|rate| format!("{rate:.1} ×")), why)
        };
        Self {
            slo: state.slo.as_str(),
            objective: per_cent(state.objective),
            state: badge(class, state),
            period: state.sentence(),
            budget: state.budget_in_words(),
            bar: state.budget_left.map(|left| Bar {
                tone: if left > 0.25 { "good" } else { "bad" },
                width: format!("{:.1}", (left * 100.0).clamp(0.0, 100.0)),
                label: format!("error budget: {}", state.budget_in_words()),
            }),
            burns: state.windows.iter().map(|one| burn(one.burn_rate)).collect(),
        }
    }
}

fn badge(class: CanaryClass, state: &SloState) -> Badge {
    if state.share.total == 0 {
        return Badge::new(text::UNKNOWN, "nothing judged yet");
    }
    if !state.is_judged_by_budget {
        return if state.share.bad() == 0 { Badge::new(text::GOOD, "kept") } else { Badge::new(text::BAD, "broken") };
    }
    match state.alarms.first().map(|alarm| alarm.urgency) {
        Some(_) if !state.slo.is_promised(class) => Badge::new(text::INFO, "burns, not promised"),
        Some(Urgency::Page) => Badge::new(text::BAD, "burns fast"),
        Some(Urgency::Ticket) => Badge::new(text::WARN, "burns"),
        None if state.budget_left.is_some_and(|left| left < 0.0) => Badge::new(text::WARN, "overspent"),
        None => Badge::new(text::GOOD, "kept"),
    }
}

/// Hour and minute (UTC).
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..16).unwrap_or_default().to_owned()
}

impl Strip {
    fn of(minutes: &Minutes) -> Self {
        let path = |state: MinuteState| {
            let places = minutes.states.iter().enumerate().filter(|(_, one)| **one == state);
            places.map(|(place, _)| shape(state, place * CELL)).collect::<String>()
        };
        let paths = MinuteState::ALL.into_iter().map(|state| (tone(state), path(state)));
        let mut label = minutes.sentence();
        if !minutes.clock_set.is_empty() {
            label.push_str(&format!(" The wall clock was set in {} of them.", minutes.clock_set.len()));
        }
        Self {
            label,
            paths: paths.filter(|(_, path)| !path.is_empty()).collect(),
            width: minutes.states.len() * CELL,
            gaps: gaps(minutes),
            from: clock(minutes.from),
        }
    }
}

fn tone(state: MinuteState) -> &'static str {
    match state {
        MinuteState::NoData => "gap",
        MinuteState::Waiting => "plain",
        MinuteState::Good => "good",
        MinuteState::Bad => "warn",
        MinuteState::Lost => "bad",
    }
}

/// Low: good. Tall: some bad. Tall and split: lost. A line at the foot: waiting. A hollow frame: no data.
fn shape(state: MinuteState, x: usize) -> String {
    match state {
        MinuteState::NoData => format!("M{x} 3h4v16h-4z"),
        MinuteState::Waiting => format!("M{x} 17h4v3h-4z"),
        MinuteState::Good => format!("M{x} 11h4v9h-4z"),
        MinuteState::Bad => format!("M{x} 2h4v18h-4z"),
        MinuteState::Lost => format!("M{x} 2h4v7h-4zM{x} 13h4v7h-4z"),
    }
}

/// "11:20–11:24, 11:40".
fn gaps(minutes: &Minutes) -> String {
    let at = |place: usize| {
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        clock(minutes.from + std::time::Duration::from_secs(place.saturating_mul(60)))
    };
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (place, _) in minutes.states.iter().enumerate().filter(|(_, state)| **state == MinuteState::NoData) {
        match runs.last_mut().filter(|(_, last)| last + 1 == place) {
            Some((_, last)) => *last = place,
            None => runs.push((place, place)),
        }
    }
    let shown = runs
        .iter()
        .rev()
        .take(GAPS_SHOWN)
        .rev()
        .map(|(first, last)| if first == last { at(*first) } else { format!("{}–{}", at(*first), at(*last)) });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_without_data_are_a_gap_in_shape_and_words() {
        use MinuteState::{Bad, Good, Lost, NoData, Waiting};
        let minutes = Minutes {
            from: Timestamp::from_millis(1_795_336_080_000),
            states: vec![Good, NoData, NoData, Good, NoData, Bad, Lost, Waiting],
            clock_set: vec![5],
        };
        let strip = Strip::of(&minutes);
        assert_eq!((strip.from.as_str(), strip.gaps.as_str()), ("08:28", "08:29–08:30, 08:32"));
        assert_eq!(
            strip.label,
            "Of the last 8 minutes: 1 with losses, 1 with bad records, 2 good, 1 waiting for verdicts, 3 without data. The wall clock was set in 1 of them."
        );
        let shapes: std::collections::BTreeSet<String> = MinuteState::ALL.map(|state| shape(state, 0)).into();
        assert_eq!(shapes.len(), 5, "each state has a shape of its own");
    }
}
