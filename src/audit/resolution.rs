//! Whether records are sent often enough for an objective.
//!
//! The shortest window that pages is 5 minutes, at 14.4 times the budget. With N records in it, one bad one alone is
//! 1 / N: it must lie below 14.4 · (1 - objective), and two should not, so N · 14.4 · (1 - objective) ≥ 2.

use std::time::Duration;

use serde::Serialize;

use super::figures::{grouped, per_cent, rounded_up, trimmed};

/// The shortest window that pages.
pub const SHORTEST_WINDOW: Duration = Duration::from_secs(5 * 60);

/// How many times as fast as allowed the budget burns where the shortest window pages.
pub const FASTEST_BURN: f64 = 14.4;

/// Bad records that it takes at least: one alone is chance.
pub const BAD_RECORDS: u64 = 2;

/// Whether one class sends enough records for an objective.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Resolution {
    /// The objective: the share of records that is to be good.
    pub objective: f64,
    /// Records per second and partition, as configured.
    pub rate: f64,
    /// Partitions the class sends to.
    pub partitions: usize,
    /// Records of all partitions together in 5 minutes.
    pub records: u64,
    /// Records that 5 minutes must have.
    pub needed: u64,
    /// The lowest rate per second and partition that gives them; none without a partition.
    pub needed_rate: Option<f64>,
    /// The records suffice.
    pub is_enough: bool,
}

/// Whether `rate` records per second, each to so many partitions, are enough for the objective.
#[must_use]
pub fn resolution(rate: f64, partitions: usize, objective: f64) -> Resolution {
    let seconds = SHORTEST_WINDOW.as_secs_f64() * partitions as f64;
    let exact = BAD_RECORDS as f64 / (FASTEST_BURN * (1.0 - objective));
    let needed = whole((exact - 1e-9).ceil());
    let records = whole((rate * seconds + 1e-9).floor());
    Resolution {
        objective,
        rate,
        partitions,
        records,
        needed,
        needed_rate: (partitions > 0).then(|| rounded_up(needed as f64 / seconds)),
        is_enough: records >= needed,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped, and an objective of 1 needs all")]
fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

impl Resolution {
    /// One sentence for pages, the API and `kustody doctor`, with the remedy.
    #[must_use]
    pub fn sentence(&self) -> String {
        let objective = per_cent(self.objective);
        let Some(needed_rate) = self.needed_rate else {
            return format!("No partition is sent to yet: whether {objective} can be judged is not known.");
        };
        let (records, needed) = (grouped(self.records), grouped(self.needed));
        if self.is_enough {
            return format!(
                "{records} records in 5 minutes are enough for {objective}: {needed} are needed so that one bad record alone cannot page."
            );
        }
        let partitions =
            if self.partitions == 1 { "1 partition".to_owned() } else { format!("{} partitions", self.partitions) };
        let remedy = if needed_rate > 1_000.0 {
            "more than canary.rate allows: take a lower objective".to_owned()
        } else {
            format!("set canary.rate to {} or higher", trimmed(needed_rate, 6))
        };
        format!(
            "{records} records in 5 minutes ({} a second on {partitions}) are too few for {objective}: {needed} are needed so that one bad record alone cannot page; {remedy}. Until then an alert waits for a second bad record.",
            trimmed(self.rate, 6)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_needs_so_many_records_in_five_minutes() {
        // objective, needed, lowest rate on one partition.
        let cases = [(0.99, 14, 0.047), (0.999, 139, 0.47), (0.9995, 278, 0.93), (0.9999, 1_389, 4.7)];
        for (objective, needed, rate) in cases {
            let found = resolution(1.0, 1, objective);
            assert_eq!(found.needed, needed, "{objective}");
            let lowest = found.needed_rate.expect("there is a partition");
            assert!((lowest - rate).abs() < 1e-9, "{objective}: {lowest}");
            assert!(resolution(lowest, 1, objective).is_enough, "{objective}: the remedy is one");
        }
        // rate, partitions, objective, enough.
        let cases = [
            (138.0 / 300.0, 1, 0.999, false),
            (139.0 / 300.0, 1, 0.999, true),
            (0.16, 3, 0.999, true),
            (0.15, 3, 0.999, false),
            (1.0, 3, 0.9999, false),
            (1.0, 5, 0.9999, true),
            (1_388.0 / 300.0, 1, 0.9999, false),
            (1_389.0 / 300.0, 1, 0.9999, true),
            (1.0, 0, 0.99, false),
        ];
        for (rate, partitions, objective, enough) in cases {
            assert_eq!(resolution(rate, partitions, objective).is_enough, enough, "{rate} {partitions} {objective}");
        }
    }

    #[test]
    fn it_is_told_with_the_remedy() {
        insta::assert_snapshot!(resolution(1.0, 3, 0.999).sentence(), @"900 records in 5 minutes are enough for 99.9 %: 139 are needed so that one bad record alone cannot page.");
        insta::assert_snapshot!(resolution(0.1, 1, 0.999).sentence(), @"30 records in 5 minutes (0.1 a second on 1 partition) are too few for 99.9 %: 139 are needed so that one bad record alone cannot page; set canary.rate to 0.47 or higher. Until then an alert waits for a second bad record.");
        insta::assert_snapshot!(resolution(1.0, 3, 0.9999).sentence(), @"900 records in 5 minutes (1 a second on 3 partitions) are too few for 99.99 %: 1,389 are needed so that one bad record alone cannot page; set canary.rate to 1.6 or higher. Until then an alert waits for a second bad record.");
        insta::assert_snapshot!(resolution(1.0, 1, 0.999_999_9).sentence(), @"300 records in 5 minutes (1 a second on 1 partition) are too few for 99.99999 %: 1,388,889 are needed so that one bad record alone cannot page; more than canary.rate allows: take a lower objective. Until then an alert waits for a second bad record.");
        insta::assert_snapshot!(resolution(1.0, 0, 0.999).sentence(), @"No partition is sent to yet: whether 99.9 % can be judged is not known.");
    }
}
