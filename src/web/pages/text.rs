//! How values read: numbers, ages, names, badges, links.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::audit::figures::grouped;
use crate::finding::{Grade, Severity};
use crate::model::{Missing, Reading, Timestamp};
use crate::observe::{GroupVerdict, TimeLag};

/// A word that never stands by its colour alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Badge {
    /// The class of its colour.
    pub(super) tone: &'static str,
    /// A sign beside the word.
    pub(super) icon: &'static str,
    /// The word.
    pub(super) word: String,
}

/// Colours by what they say.
pub(super) const GOOD: (&str, &str) = ("good", "✓");
pub(super) const INFO: (&str, &str) = ("info", "i");
pub(super) const WARN: (&str, &str) = ("warn", "!");
pub(super) const BAD: (&str, &str) = ("bad", "✕");
pub(super) const UNKNOWN: (&str, &str) = ("unknown", "?");

impl Badge {
    /// A word of the contract, with spaces for its underscores.
    pub(super) fn new((tone, icon): (&'static str, &'static str), word: &str) -> Self {
        Self { tone, icon, word: word.replace('_', " ") }
    }
}

/// Tone and sign of a severity.
pub(super) fn severity(of: Severity) -> (&'static str, &'static str) {
    match of {
        Severity::Critical => BAD,
        Severity::Warning => WARN,
        Severity::Info => INFO,
    }
}

/// Tone and sign of a grade: proof is the one that stands out.
pub(super) fn grade(of: Grade) -> (&'static str, &'static str) {
    match of {
        Grade::Proven => ("proof", "◆"),
        Grade::Observed => ("plain", "◇"),
        Grade::Risk => ("plain", "△"),
        Grade::Unknown => UNKNOWN,
    }
}

/// Tone and sign of a verdict.
pub(super) fn verdict(of: GroupVerdict) -> (&'static str, &'static str) {
    match of {
        GroupVerdict::Stranded | GroupVerdict::LosingToRetention | GroupVerdict::AheadOfLog => BAD,
        GroupVerdict::Rewound
        | GroupVerdict::Stopped
        | GroupVerdict::Stalled
        | GroupVerdict::FallingBehind
        | GroupVerdict::BlockedByTransaction => WARN,
        GroupVerdict::Abandoned => INFO,
        GroupVerdict::NotMeasurable | GroupVerdict::Unknown => UNKNOWN,
        GroupVerdict::Ok => GOOD,
    }
}

/// An instant and how long ago it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) iso: String,
    pub(super) age: String,
}

impl Stamp {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> Self {
        Self { iso: at.to_string(), age: format!("{} ago", span(now.since(at))) }
    }
}

/// A duration in two units at most; app.js says the same.
pub(super) fn span(of: Duration) -> String {
    let seconds = of.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    };
    if seconds < 60 {
        format!("{seconds} s")
    } else if minutes < 10 {
        two(minutes, "min", seconds % 60, "s")
    } else if hours < 1 {
        format!("{minutes} min")
    } else if days < 2 {
        two(hours, "h", minutes % 60, "min")
    } else {
        two(days, "d", hours % 24, "h")
    }
}

/// Seconds of a latency.
pub(super) fn latency(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 0.01 {
        format!("{:.1} ms", seconds * 1e3)
    } else if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// A rate as a share, small ones in parts per million.
pub(super) fn share(rate: f64) -> String {
    if rate == 0.0 {
        "0".to_owned()
    } else if rate < 0.000_1 {
        format!("{:.1} ppm", rate * 1e6)
    } else {
        format!("{:.3} %", rate * 100.0)
    }
}

/// A choice as people read it: a minus in front is the other direction.
pub(super) fn sort_label(word: &str) -> String {
    match word.strip_prefix('-') {
        Some(word) => format!("{}, descending", word.replace('_', " ")),
        None => word.replace('_', " "),
    }
}

/// A count with its thousands apart.
pub(super) fn count(of: impl Into<i128>) -> String {
    let number: i128 = of.into();
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// A count of things in memory.
pub(super) fn number(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

/// The bracket of an age.
pub(super) fn time_lag(of: TimeLag) -> Option<String> {
    let seconds = |number: f64| span(Duration::try_from_secs_f64(number).unwrap_or_default());
    match of {
        TimeLag::CaughtUp => Some("caught up".to_owned()),
        TimeLag::Between { low, high } if high < 600.0 => Some(format!("{:.0}–{:.0} s", low.floor(), high.ceil())),
        TimeLag::Between { low, high } if high < 7_200.0 => {
            Some(format!("{:.0}–{:.0} min", (low / 60.0).floor(), (high / 60.0).ceil()))
        }
        TimeLag::Between { low, high } if seconds(low) == seconds(high) => Some(seconds(low)),
        TimeLag::Between { low, high } => Some(format!("{} – {}", seconds(low), seconds(high))),
        TimeLag::AtLeast(low) => Some(format!("≥ {}", seconds(low))),
        TimeLag::Unknown => None,
    }
}

/// A name of any characters, as a line can show it: what is invisible or turns the text round is written as an escape,
/// and what is very long is cut.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 120;
    if name.is_empty() {
        return "(empty name)".to_owned();
    }
    let mut text = String::new();
    for (at, one) in name.chars().enumerate() {
        if at == LONGEST {
            let more = name.chars().count() - LONGEST;
            text.push_str(&format!("… (+{more})"));
            break;
        }
        if is_invisible(one) { text.extend(one.escape_default()) } else { text.push(one) }
    }
    text
}

fn is_invisible(one: char) -> bool {
    one.is_control()
        || matches!(one, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One part of a path or one value of a query.
pub(super) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}

/// The path of a page of a cluster.
pub(super) fn cluster_href(cluster: &str, rest: &str) -> String {
    format!("/clusters/{}{rest}", encoded(cluster))
}

/// The page of a group; by parameter where its id cannot stand in a path.
pub(super) fn group_href(cluster: &str, group: &str) -> String {
    match group {
        "" | "." | ".." => cluster_href(cluster, &format!("/group?id={}", encoded(group))),
        _ => cluster_href(cluster, &format!("/groups/{}", encoded(group))),
    }
}

/// A link with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: String,
}

impl Link {
    pub(super) fn group(cluster: &str, group: &str) -> Self {
        Self { href: group_href(cluster, group), text: shown(group) }
    }

    pub(super) fn topic(cluster: &str, topic: &str) -> Self {
        Self { href: cluster_href(cluster, &format!("/topics/{}", encoded(topic))), text: shown(topic) }
    }
}

/// A value, or why there is none and what it last was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// The value as text.
    pub(super) known: Option<String>,
    /// Why there is none.
    pub(super) why: String,
    /// What it was, and when.
    pub(super) last: Option<(String, Stamp)>,
}

impl Value {
    pub(super) fn known(text: String) -> Self {
        Self { known: Some(text), why: String::new(), last: None }
    }

    pub(super) fn unknown(why: &str) -> Self {
        Self { known: None, why: why.to_owned(), last: None }
    }

    pub(super) fn of<T>(reading: Reading<T>, text: impl FnOnce(T) -> String) -> Self {
        match reading {
            Reading::Read(value) => Self::known(text(value)),
            Reading::Missing(why) => Self::missing(why),
        }
    }

    pub(super) fn missing(why: Missing) -> Self {
        Self::unknown(&why.to_string())
    }

    pub(super) fn or(text: Option<String>, why: &str) -> Self {
        text.map_or_else(|| Self::unknown(why), Self::known)
    }

    pub(super) fn last(mut self, last: Option<(String, Stamp)>) -> Self {
        self.last = last;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_spans_read_well() {
        let counts = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_311, "1,204,311"), (-12_345, "−12,345")];
        for (given, want) in counts {
            assert_eq!(count(given), want);
        }
        let spans = [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (660, "11 min"), (3_700, "1 h 1 min")];
        for (seconds, want) in spans {
            assert_eq!(span(Duration::from_secs(seconds)), want);
        }
        assert_eq!(span(Duration::from_secs(200_000)), "2 d 7 h");
        assert_eq!(span(Duration::from_secs(604_800)), "7 d");
    }

    #[test]
    fn an_age_is_shown_as_what_is_known_of_it() {
        let cases = [
            (TimeLag::CaughtUp, Some("caught up")),
            (TimeLag::Between { low: 10.7, high: 25.2 }, Some("10–26 s")),
            (TimeLag::Between { low: 2_210.0, high: 2_225.0 }, Some("36–38 min")),
            (TimeLag::Between { low: 90_000.0, high: 90_015.0 }, Some("25 h")),
            (TimeLag::AtLeast(86_400.0), Some("≥ 24 h")),
            (TimeLag::Unknown, None),
        ];
        for (given, want) in cases {
            assert_eq!(time_lag(given).as_deref(), want, "{given:?}");
        }
    }

    #[test]
    fn a_name_cannot_hide_or_turn_the_line_round() {
        assert_eq!(shown("a\u{202e}b\n\u{0}"), "a\\u{202e}b\\n\\u{0}");
        assert_eq!(shown(""), "(empty name)");
        assert_eq!(shown(&"ü".repeat(32_000)), format!("{}… (+31880)", "ü".repeat(120)));
    }

    #[test]
    fn a_group_that_cannot_stand_in_a_path_goes_by_parameter() {
        let cases = [
            ("orders/a b", "/clusters/main/groups/orders%2Fa%20b"),
            ("..", "/clusters/main/group?id=.."),
            ("", "/clusters/main/group?id="),
            ("..a", "/clusters/main/groups/..a"),
        ];
        for (group, want) in cases {
            assert_eq!(group_href("main", group), want);
        }
    }
}
