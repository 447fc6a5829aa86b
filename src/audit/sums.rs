//! The contract's sums, checked, and the rates that follow from them.

use super::bound::upper_95;
use super::record::CanaryClass;
use super::summary::Counts;

impl Counts {
    /// Holds the sums of the contract against each other, and names the first that does not hold.
    ///
    /// # Errors
    /// The sum that does not hold, with both sides.
    pub fn check(&self, class: CanaryClass) -> Result<(), String> {
        let accounted = self.accounted(class);
        let equal = [
            ("sent", self.sent, self.in_flight + accounted + self.rejected + self.indeterminate),
            (
                "accounted",
                accounted,
                self.pending
                    + self.delivered
                    + self.late
                    + self.lost
                    + self.truncated_after_delivery
                    + self.expired
                    + self.aborted
                    + self.untracked,
            ),
            (
                "indeterminate",
                self.indeterminate,
                self.indeterminate_pending
                    + self.indeterminate_delivered
                    + self.indeterminate_absent
                    + self.indeterminate_expired,
            ),
        ];
        for (sum, total, parts) in equal {
            if total != parts {
                return Err(format!("{class}: {sum} is {total}, its parts are {parts}"));
            }
        }
        let within = [
            ("overdue", self.overdue, self.pending),
            ("phantom", self.phantom, self.rejected),
            ("aborted_visible", self.aborted_visible, self.aborted),
            ("acked_without_offset", self.acked_without_offset, self.acked),
        ];
        for (part, count, whole) in within {
            if count > whole {
                return Err(format!("{class}: {part} is {count} of only {whole}"));
            }
        }
        Ok(())
    }

    /// What the cluster answered for: each class has its own word for it.
    #[must_use]
    pub fn accounted(&self, class: CanaryClass) -> u64 {
        match class {
            CanaryClass::Acks0 => self.unacknowledged,
            CanaryClass::Acks1 | CanaryClass::All | CanaryClass::Idempotent => self.acked,
            CanaryClass::Transactional => self.acked + self.aborted,
        }
    }

    /// Records with a verdict on loss: the denominator of the loss rate.
    fn judged(&self, class: CanaryClass) -> u64 {
        self.accounted(class) - self.expired - self.pending - self.aborted - self.untracked
    }

    /// Lost, before or after delivery, of those with a verdict; nothing without a verdict.
    #[must_use]
    pub fn loss_rate(&self, class: CanaryClass) -> Option<f64> {
        ratio(self.lost + self.truncated_after_delivery, self.judged(class))
    }

    /// The loss rate is below it with 95 % confidence; nothing without a verdict.
    #[must_use]
    pub fn loss_rate_upper_95(&self, class: CanaryClass) -> Option<f64> {
        upper_95(self.lost + self.truncated_after_delivery, self.judged(class))
    }

    /// Extra copies of the distinct records received; nothing before the first.
    #[must_use]
    pub fn duplicate_rate(&self) -> Option<f64> {
        let received = self.delivered
            + self.late
            + self.truncated_after_delivery
            + self.indeterminate_delivered
            + self.phantom
            + self.aborted_visible
            + self.resurfaced;
        ratio(self.duplicated, received)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Counts {
        Counts {
            sent: 20,
            in_flight: 1,
            acked: 15,
            rejected: 2,
            indeterminate: 2,
            pending: 2,
            delivered: 9,
            late: 1,
            lost: 1,
            expired: 1,
            untracked: 1,
            indeterminate_pending: 1,
            indeterminate_delivered: 1,
            overdue: 1,
            phantom: 1,
            duplicated: 3,
            ..Counts::default()
        }
    }

    #[test]
    fn each_broken_sum_is_named() {
        let broken = |change: fn(&mut Counts)| {
            let mut counts = sound();
            change(&mut counts);
            counts.check(CanaryClass::Idempotent)
        };
        assert_eq!(sound().check(CanaryClass::Idempotent), Ok(()));
        type Case = (&'static str, fn(&mut Counts), &'static str);
        let cases: [Case; 5] = [
            ("in flight", |c| c.in_flight += 1, "idempotent: sent is 20, its parts are 21"),
            ("delivered", |c| c.delivered += 1, "idempotent: accounted is 15, its parts are 16"),
            ("absent", |c| c.indeterminate_absent += 1, "idempotent: indeterminate is 2, its parts are 3"),
            ("overdue", |c| c.overdue = 3, "idempotent: overdue is 3 of only 2"),
            ("phantom", |c| c.phantom = 3, "idempotent: phantom is 3 of only 2"),
        ];
        for (name, change, want) in cases {
            assert_eq!(broken(change), Err(want.to_owned()), "{name}");
        }
    }

    #[test]
    fn rates_leave_out_what_has_no_verdict() {
        let counts = sound();
        assert_eq!(
            counts.loss_rate(CanaryClass::Idempotent),
            Some(1.0 / 11.0),
            "15 - 1 expired - 2 pending - 1 untracked"
        );
        assert_eq!(counts.duplicate_rate(), Some(3.0 / 12.0));
        let aborted = Counts { sent: 25, aborted: 5, ..counts };
        assert_eq!(aborted.loss_rate(CanaryClass::Transactional), Some(1.0 / 11.0), "nobody promised to keep those");
        let none = Counts { sent: 3, acked: 3, pending: 3, ..Counts::default() };
        assert_eq!(none.loss_rate(CanaryClass::Idempotent), None, "no verdict is no rate");
        assert_eq!(none.loss_rate_upper_95(CanaryClass::Idempotent), None);
        assert_eq!(none.duplicate_rate(), None);
    }
}
