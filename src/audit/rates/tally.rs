//! What became of the records that were sent in one stretch of time.

use serde::{Deserialize, Serialize};

use crate::audit::record::CanaryClass;
use crate::audit::state::State;
use crate::audit::summary::Counts;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

macro_rules! tally {
    ($($(#[$doc:meta])* $field:ident),+ $(,)?) => {
        /// Counts of the records that were sent in one stretch of time, by where they stand now.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Tally {
            $($(#[$doc])* #[serde(skip_serializing_if = "is_zero")] pub $field: u64,)+
        }

        impl Tally {
            /// Adds another stretch.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
            }

            /// Takes away what was counted before; never below 0.
            pub fn take(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_sub(other.$field);)+
            }
        }
    };
}

tally! {
    /// Handed to the producer.
    sent,
    /// Of these, without an outcome yet.
    in_flight,
    /// Acknowledged; of class acks0: sent and unacknowledged.
    acked,
    /// Of these, within `canary.acknowledge_within`.
    acked_in_time,
    /// Refused for sure.
    rejected,
    /// Perhaps appended.
    indeterminate,
    /// Acknowledged, without a verdict.
    pending,
    /// Received within `canary.deliver_within`.
    delivered,
    /// Received later.
    late,
    /// Acknowledged, and proven to be gone unread.
    lost,
    /// Received, and proven to be gone since.
    truncated_after_delivery,
    /// The log start passed it, or the topic was created anew.
    expired,
    /// Of a transaction aborted on purpose.
    aborted,
    /// Acknowledged, and given up without a verdict.
    untracked,
    /// Received at least once, whatever else became of it.
    received,
    /// Refused, and received all the same.
    phantom,
    /// Aborted, and received as if it had been committed.
    aborted_visible,
    /// Extra copies.
    duplicated,
    /// Received behind a later one.
    reordered,
    /// Lost, and read later.
    resurfaced,
    /// Not acknowledged in time while our own process was down or stood still: in no denominator.
    ack_unmeasured,
    /// Not received in time while our own process was down or stood still: in no denominator of freshness.
    receipt_unmeasured,
    /// Minutes in which something was sent and observed; of a single minute 0 or 1, told when it is summed up.
    minutes,
}

impl Tally {
    /// The part of the contract's sums that is kept by send time.
    #[must_use]
    pub fn of_counts(counts: &Counts) -> Self {
        Self {
            sent: counts.sent,
            in_flight: counts.in_flight,
            acked: counts.acked + counts.unacknowledged,
            rejected: counts.rejected,
            indeterminate: counts.indeterminate,
            pending: counts.pending,
            delivered: counts.delivered,
            late: counts.late,
            lost: counts.lost,
            truncated_after_delivery: counts.truncated_after_delivery,
            expired: counts.expired,
            aborted: counts.aborted,
            untracked: counts.untracked,
            received: counts.delivered
                + counts.late
                + counts.truncated_after_delivery
                + counts.indeterminate_delivered
                + counts.phantom
                + counts.aborted_visible,
            phantom: counts.phantom,
            aborted_visible: counts.aborted_visible,
            duplicated: counts.duplicated,
            reordered: counts.reordered,
            resurfaced: counts.resurfaced,
            ..Self::default()
        }
    }

    /// One record in a state.
    pub(in crate::audit) fn of_state(state: State, class: CanaryClass) -> Self {
        let mut counts = Counts::default();
        state.enter(class, &mut counts);
        Self::of_counts(&counts)
    }

    /// None of its records is pending or in flight: whatever changes later is a correction.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending == 0 && self.in_flight == 0
    }

    /// Something was sent of which we could see what became: less is no data, neither good nor bad.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.sent > self.ack_unmeasured
    }

    /// Acknowledged, with a verdict on loss.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.delivered + self.late + self.lost + self.truncated_after_delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_counts_are_not_written_and_are_read_as_0() {
        let tally = Tally { sent: 3, delivered: 2, in_flight: 1, ..Tally::default() };
        let text = serde_json::to_string(&tally).expect("numbers are JSON");
        assert_eq!(text, r#"{"sent":3,"in_flight":1,"delivered":2}"#);
        assert_eq!(serde_json::from_str::<Tally>(&text).expect("its own text"), tally);
    }

    #[test]
    fn a_record_moves_without_a_trace_in_what_it_left() {
        for class in CanaryClass::ALL {
            let mut tally = Tally::of_state(State::Sent, *class);
            assert!(!tally.is_settled());
            for (from, to) in [
                (State::Sent, State::Pending),
                (State::Pending, State::Delivered),
                (State::Delivered, State::TruncatedAfterDelivery),
            ] {
                tally.take(&Tally::of_state(from, *class));
                tally.add(&Tally::of_state(to, *class));
            }
            assert_eq!(tally, Tally::of_state(State::TruncatedAfterDelivery, *class));
            assert!(tally.is_settled() && tally.judged() == 1 && tally.acked == 1, "{tally:?}");
        }
    }
}
