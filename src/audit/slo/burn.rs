//! How fast an error budget burns, and when that is worth waking somebody (SRE workbook, chapter 5).
//!
//! Two windows have to agree: the long one says that a part of the budget worth an alert is spent, the short one that
//! it goes on. So an alert ends soon after its cause.

use serde::Serialize;

use crate::audit::rates::{Share, Sum};
use crate::audit::resolution::{BAD_RECORDS, FASTEST_BURN};

use super::Slo;

/// Records a window must be able to judge before it alerts: of fewer nothing follows.
pub const N_MIN: u64 = 10;

/// A window up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// 5 minutes.
    FiveMinutes,
    /// 30 minutes.
    HalfHour,
    /// 1 hour.
    Hour,
    /// 6 hours.
    SixHours,
    /// 3 days.
    ThreeDays,
}

impl Window {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] = [Self::FiveMinutes, Self::HalfHour, Self::Hour, Self::SixHours, Self::ThreeDays];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::HalfHour => "30m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::ThreeDays => "3d",
        }
    }

    /// As a sentence names it.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5 minutes",
            Self::HalfHour => "30 minutes",
            Self::Hour => "hour",
            Self::SixHours => "6 hours",
            Self::ThreeDays => "3 days",
        }
    }

    /// Its length in minutes.
    #[must_use]
    pub fn minutes(self) -> u32 {
        match self {
            Self::FiveMinutes => 5,
            Self::HalfHour => 30,
            Self::Hour => 60,
            Self::SixHours => 6 * 60,
            Self::ThreeDays => 3 * 24 * 60,
        }
    }
}

/// How urgent an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Somebody is to look now.
    Page,
    /// Somebody is to look in working hours.
    Ticket,
}

/// When a burn is an alarm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// How urgent.
    pub urgency: Urgency,
    /// So many times as fast as the budget allows, or faster.
    pub factor: f64,
    /// What must have been spent.
    pub long: Window,
    /// What must still burn.
    pub short: Window,
}

/// The rules, most urgent first.
pub const RULES: [Rule; 3] = [
    Rule { urgency: Urgency::Page, factor: FASTEST_BURN, long: Window::Hour, short: Window::FiveMinutes },
    Rule { urgency: Urgency::Page, factor: 6.0, long: Window::SixHours, short: Window::HalfHour },
    Rule { urgency: Urgency::Ticket, factor: 1.0, long: Window::ThreeDays, short: Window::SixHours },
];

/// What one window shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Burn {
    /// Which window.
    #[serde(serialize_with = "as_word")]
    pub window: Window,
    /// Good and bad records.
    #[serde(flatten)]
    pub share: Share,
    /// Minutes of it in which something was sent and observed.
    pub minutes_with_data: u64,
    /// Bad records against what the objective allows of those judged: 1 is just the budget; none without any.
    pub burn_rate: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn as_word<S: serde::Serializer>(window: &Window, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(window.as_str())
}

impl Burn {
    /// The burn of one objective in one window.
    #[must_use]
    pub fn of(slo: Slo, objective: f64, window: Window, sum: &Sum) -> Self {
        let share = slo.share(sum);
        let burn_rate = share.rate.map(|rate| rate / (1.0 - objective));
        Self { window, share, minutes_with_data: sum.tally.minutes.min(window.minutes().into()), burn_rate }
    }

    /// The burn rate if nothing burnt in minutes without data. Nobody knows of those: an alarm counts on what is known
    /// to be spent.
    #[must_use]
    pub fn spent(&self) -> Option<f64> {
        Some(self.burn_rate? * self.minutes_with_data as f64 / f64::from(self.window.minutes()))
    }

    fn is_enough(&self) -> bool {
        self.share.total >= N_MIN && self.share.bad() >= BAD_RECORDS
    }
}

/// A rule that is met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// How urgent.
    pub urgency: Urgency,
    /// The factor of the rule.
    pub factor: f64,
    /// What the long window shows.
    pub long: Burn,
    /// What the short window shows.
    pub short: Burn,
}

/// The rules that are met, most urgent first.
#[must_use]
pub fn alarms(burns: &[Burn]) -> Vec<Alarm> {
    let of = |window: Window| burns.iter().find(|burn| burn.window == window).copied();
    let met = RULES.iter().filter_map(|rule| {
        let (long, short) = (of(rule.long)?, of(rule.short)?);
        // Bad records are whole: what is just the factor is not to be missed by a rounding error.
        let is_reached = |burn: Option<f64>| burn.is_some_and(|burn| burn >= rule.factor * (1.0 - 1e-9));
        let is_met = long.is_enough() && short.is_enough() && is_reached(long.spent()) && is_reached(short.burn_rate);
        is_met.then_some(Alarm { urgency: rule.urgency, factor: rule.factor, long, short })
    });
    met.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rates::Tally;

    fn burn(window: Window, bad: u64, total: u64, minutes: u64) -> Burn {
        let tally = Tally { sent: total, acked: total - bad, acked_in_time: total - bad, minutes, ..Tally::default() };
        Burn::of(Slo::Availability, 0.999, window, &Sum { tally, ..Sum::default() })
    }

    /// (window, bad, total) at 1 record per second; all minutes have data.
    fn met(windows: &[(Window, u64, u64)]) -> Vec<(Urgency, f64)> {
        let burns: Vec<Burn> =
            windows.iter().map(|(window, bad, total)| burn(*window, *bad, *total, window.minutes().into())).collect();
        alarms(&burns).iter().map(|alarm| (alarm.urgency, alarm.factor)).collect()
    }

    #[test]
    fn each_rule_has_two_windows() {
        use Window::{FiveMinutes, HalfHour, Hour, SixHours, ThreeDays};
        const D3: u64 = 259_200;
        type Case = (&'static str, &'static [(Window, u64, u64)], &'static [(Urgency, f64)]);
        let cases: &[Case] = &[
            ("14.4 on 1 h and 5 min", &[(Hour, 52, 3_600), (FiveMinutes, 5, 300)], &[(Urgency::Page, 14.4)]),
            ("1 h a bit below", &[(Hour, 51, 3_600), (FiveMinutes, 5, 300)], &[]),
            ("1 h burns, 5 min have recovered", &[(Hour, 360, 3_600), (FiveMinutes, 4, 300)], &[]),
            ("5 min burn, 1 h has not spent it", &[(Hour, 30, 3_600), (FiveMinutes, 30, 300)], &[]),
            ("6 on 6 h and 30 min", &[(SixHours, 130, 21_600), (HalfHour, 11, 1_800)], &[(Urgency::Page, 6.0)]),
            ("6 h burn, 30 min have recovered", &[(SixHours, 1_300, 21_600), (HalfHour, 10, 1_800)], &[]),
            ("30 min burn, 6 h have not spent it", &[(SixHours, 129, 21_600), (HalfHour, 100, 1_800)], &[]),
            ("1 on 3 d and 6 h", &[(ThreeDays, 260, D3), (SixHours, 22, 21_600)], &[(Urgency::Ticket, 1.0)]),
            ("just 1", &[(ThreeDays, 259, 259_000), (SixHours, 21, 21_000)], &[(Urgency::Ticket, 1.0)]),
            ("3 d burn, 6 h have recovered", &[(ThreeDays, 2_600, D3), (SixHours, 21, 21_600)], &[]),
            ("6 h burn, 3 d have not spent it", &[(ThreeDays, 250, D3), (SixHours, 120, 21_600)], &[]),
            ("no data in the short window", &[(Hour, 360, 3_600), (FiveMinutes, 0, 0)], &[]),
            ("no data at all", &[(Hour, 0, 0), (FiveMinutes, 0, 0)], &[]),
            ("fewer than n_min in the short window", &[(Hour, 360, 3_600), (FiveMinutes, 9, 9)], &[]),
            ("n_min in the short window", &[(Hour, 360, 3_600), (FiveMinutes, 9, 10)], &[(Urgency::Page, 14.4)]),
            ("fewer than n_min in the long window", &[(Hour, 9, 9), (FiveMinutes, 9, 10)], &[]),
            ("one bad record alone", &[(Hour, 50, 600), (FiveMinutes, 1, 30)], &[]),
            ("two bad records", &[(Hour, 50, 600), (FiveMinutes, 2, 30)], &[(Urgency::Page, 14.4)]),
            ("a window is missing", &[(Hour, 360, 3_600)], &[]),
        ];
        for (name, windows, want) in cases {
            assert_eq!(met(windows), *want, "{name}");
        }
    }

    #[test]
    fn minutes_without_data_have_spent_nothing_that_is_known() {
        let short = burn(Window::FiveMinutes, 30, 300, 5);
        let (few, many) = (burn(Window::Hour, 30, 300, 5), burn(Window::Hour, 30, 300, 10));
        assert!((few.burn_rate.unwrap_or_default() - 100.0).abs() < 1e-6, "{few:?}");
        assert!((few.spent().unwrap_or_default() - 100.0 / 12.0).abs() < 1e-6, "{few:?}");
        assert_eq!(alarms(&[few, short]), [], "a twelfth of the hour is known");
        assert_eq!(alarms(&[many, short]).len(), 1, "a sixth of the hour burnt at 100 is 16.7 over all of it");
    }
}
