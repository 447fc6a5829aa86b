//! Rates of good and bad records, always with the bound that goes with them.

use serde::Serialize;

use super::window::Sum;
use crate::audit::bound::upper_95;
use crate::audit::figures::{at_most, grouped};

/// How many were good, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The good ones.
    pub good: u64,
    /// All that can be judged.
    pub total: u64,
    /// The share of the bad ones; none without any to judge.
    pub rate: Option<f64>,
    /// The share of the bad ones lies below it with 95 % confidence (exact binomial).
    pub upper_95: Option<f64>,
}

impl Share {
    /// So many bad ones of so many; never more than all.
    #[must_use]
    pub fn of_bad(bad: u64, total: u64) -> Self {
        let bad = bad.min(total);
        let rate = (total > 0).then(|| bad as f64 / total as f64);
        Self { good: total - bad, total, rate, upper_95: upper_95(bad, total) }
    }

    /// So many good ones of so many; never more than all.
    #[must_use]
    pub fn of_good(good: u64, total: u64) -> Self {
        Self::of_bad(total.saturating_sub(good), total)
    }

    /// The bad ones.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.total - self.good
    }

    /// The share of the good ones; none without any to judge.
    #[must_use]
    pub fn good_ratio(&self) -> Option<f64> {
        (self.total > 0).then(|| self.good as f64 / self.total as f64)
    }

    /// What was counted and what it allows: "0 of 86,400: below 3.5 · 10⁻⁵".
    #[must_use]
    pub fn sentence(&self) -> String {
        self.sentence_on("")
    }

    /// The same of records that are something, such as " lost": "0 of 86,400 lost: below 3.5 · 10⁻⁵".
    #[must_use]
    pub fn sentence_on(&self, what: &str) -> String {
        let Some(bound) = self.upper_95 else { return "nothing to judge yet".to_owned() };
        let (bad, total) = (self.bad(), grouped(self.total));
        let measured = match self.rate {
            Some(rate) if bad > 0 => format!("{}, ", at_most(rate)),
            Some(_) | None => String::new(),
        };
        let bound = if bound >= 1.0 { "no bound".to_owned() } else { format!("below {}", at_most(bound)) };
        format!("{} of {total}{what}: {measured}{bound}", grouped(bad))
    }
}

/// Each rate of one class over one window; `rate` is the share that went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Lost or truncated after delivery, of those with a verdict on it.
    pub loss: Share,
    /// Extra copies, of the distinct records received.
    pub duplicate: Share,
    /// Received, of those refused.
    pub phantom: Share,
    /// Neither acknowledged nor refused, of those with an outcome.
    pub indeterminate: Share,
    /// Not acknowledged within `canary.acknowledge_within`, of those sent.
    pub produce_availability: Share,
    /// Not received within `canary.deliver_within`, of those acknowledged and not expired.
    pub delivery_availability: Share,
    /// Received behind a later one, of the distinct records received.
    pub order: Share,
}

impl Rates {
    /// The rates of a sum.
    #[must_use]
    pub fn of(sum: &Sum) -> Self {
        let tally = &sum.tally;
        let settled = tally.judged();
        Self {
            loss: Share::of_good(tally.delivered + tally.late, settled),
            duplicate: Share::of_bad(tally.duplicated, tally.received),
            phantom: Share::of_bad(tally.phantom, tally.rejected),
            indeterminate: Share::of_bad(tally.indeterminate, tally.sent.saturating_sub(tally.in_flight)),
            produce_availability: sum.availability(),
            delivery_availability: Share::of_good(tally.delivered, settled.saturating_sub(tally.receipt_unmeasured)),
            order: Share::of_bad(tally.reordered, tally.received),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rates::Tally;

    #[test]
    fn a_rate_never_stands_without_its_bound() {
        // bad, total, what is said.
        let cases = [
            (0, 0, "nothing to judge yet"),
            (0, 86_400, "0 of 86,400: below 3.5 · 10⁻⁵"),
            (0, 864_000, "0 of 864,000: below 3.5 · 10⁻⁶"),
            (0, 2_592_000, "0 of 2,592,000: below 1.2 · 10⁻⁶"),
            (0, 2, "0 of 2: no bound"),
            (0, 10, "0 of 10: below 30 %"),
            (1, 1_000, "1 of 1,000: 0.1 %, below 0.48 %"),
            (3, 86_400, "3 of 86,400: 3.5 · 10⁻⁵, below 9.0 · 10⁻⁵"),
            (7, 7, "7 of 7: 100 %, no bound"),
            (9, 7, "7 of 7: 100 %, no bound"),
        ];
        for (bad, total, want) in cases {
            assert_eq!(Share::of_bad(bad, total).sentence(), want);
        }
    }

    #[test]
    fn what_has_no_verdict_is_in_no_denominator() {
        let tally = Tally {
            sent: 100,
            in_flight: 4,
            acked: 80,
            acked_in_time: 70,
            rejected: 6,
            indeterminate: 10,
            pending: 5,
            delivered: 60,
            late: 6,
            lost: 2,
            truncated_after_delivery: 1,
            expired: 3,
            untracked: 3,
            received: 70,
            phantom: 1,
            duplicated: 7,
            reordered: 2,
            ..Tally::default()
        };
        let rates = Rates::of(&Sum { tally, ..Sum::default() });
        let cases = [
            ("loss", rates.loss, 3, 69),
            ("duplicate", rates.duplicate, 7, 70),
            ("phantom", rates.phantom, 1, 6),
            ("indeterminate", rates.indeterminate, 10, 96),
            ("produce availability", rates.produce_availability, 26, 96),
            ("delivery availability", rates.delivery_availability, 9, 69),
            ("order", rates.order, 2, 70),
        ];
        for (name, share, bad, total) in cases {
            assert_eq!((share.bad(), share.total), (bad, total), "{name}");
        }
        let none = Rates::of(&Sum::default());
        assert_eq!((none.loss.rate, none.loss.upper_95, none.produce_availability.rate), (None, None, None));
    }
}
