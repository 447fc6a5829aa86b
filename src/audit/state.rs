//! The states of one record, and the sums each of them counts in.

use serde::{Deserialize, Serialize};

use super::record::CanaryClass;
use super::summary::Counts;

/// Where a record stands. It is in exactly one of them at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Handed to the producer, without an outcome.
    Sent,
    /// Acknowledged, without a verdict.
    Pending,
    /// First read within `deliver_within`.
    Delivered,
    /// First read later.
    Late,
    /// Acknowledged and proven to be gone unread.
    Lost,
    /// Read, and later proven to be gone.
    TruncatedAfterDelivery,
    /// The log start passed it, or the topic was re-created, before a verdict.
    Expired,
    /// Acknowledged, but the ledger was full: no verdict.
    Untracked,
    /// Of a transaction that was aborted: no reader of committed records may see it.
    Aborted,
    /// Of a transaction that was aborted, and read as if it had been committed.
    AbortedVisible,
    /// Refused for sure.
    Rejected,
    /// Refused for sure, and read.
    Phantom,
    /// Perhaps appended, not read yet.
    IndeterminatePending,
    /// Perhaps appended, and read.
    IndeterminateDelivered,
    /// Perhaps appended, and not there where it would have to be.
    IndeterminateAbsent,
    /// Perhaps appended where the log start or a re-creation has passed.
    IndeterminateExpired,
}

impl State {
    /// The contract's word for entering it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Pending => "acked",
            Self::Delivered => "delivered",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::TruncatedAfterDelivery => "truncated_after_delivery",
            Self::Expired => "expired",
            Self::Untracked => "untracked",
            Self::Aborted => "aborted",
            Self::AbortedVisible => "aborted_visible",
            Self::Rejected => "rejected",
            Self::Phantom => "phantom",
            Self::IndeterminatePending => "indeterminate",
            Self::IndeterminateDelivered => "indeterminate_delivered",
            Self::IndeterminateAbsent => "indeterminate_absent",
            Self::IndeterminateExpired => "indeterminate_expired",
        }
    }

    /// True when the record only leaves it by a receipt or a proof, so that it may be forgotten after the window.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            Self::Sent | Self::Pending | Self::IndeterminatePending => false,
            Self::Delivered
            | Self::Late
            | Self::Lost
            | Self::TruncatedAfterDelivery
            | Self::Expired
            | Self::Untracked
            | Self::Aborted
            | Self::AbortedVisible
            | Self::Rejected
            | Self::Phantom
            | Self::IndeterminateDelivered
            | Self::IndeterminateAbsent
            | Self::IndeterminateExpired => true,
        }
    }

    /// The sums a record of this class counts in while it is here.
    fn sums(self, class: CanaryClass, counts: &mut Counts) -> Vec<&mut u64> {
        let Counts {
            sent,
            in_flight,
            acked,
            unacknowledged,
            rejected,
            indeterminate,
            pending,
            delivered,
            late,
            lost,
            truncated_after_delivery,
            expired,
            aborted,
            aborted_visible,
            untracked,
            indeterminate_pending,
            indeterminate_delivered,
            indeterminate_absent,
            indeterminate_expired,
            phantom,
            ..
        } = counts;
        // acks=0 is never acknowledged: what the client reports of it has another name.
        let accounted = match class {
            CanaryClass::Acks0 => unacknowledged,
            CanaryClass::Acks1 | CanaryClass::All | CanaryClass::Idempotent | CanaryClass::Transactional => acked,
        };
        match self {
            Self::Sent => vec![sent, in_flight],
            Self::Pending => vec![sent, accounted, pending],
            Self::Delivered => vec![sent, accounted, delivered],
            Self::Late => vec![sent, accounted, late],
            Self::Lost => vec![sent, accounted, lost],
            Self::TruncatedAfterDelivery => vec![sent, accounted, truncated_after_delivery],
            Self::Expired => vec![sent, accounted, expired],
            Self::Untracked => vec![sent, accounted, untracked],
            // Accounted for, and neither acknowledged nor lost: the contract's sum has a word of its own for it.
            Self::Aborted => vec![sent, aborted],
            Self::AbortedVisible => vec![sent, aborted, aborted_visible],
            Self::Rejected => vec![sent, rejected],
            Self::Phantom => vec![sent, rejected, phantom],
            Self::IndeterminatePending => vec![sent, indeterminate, indeterminate_pending],
            Self::IndeterminateDelivered => vec![sent, indeterminate, indeterminate_delivered],
            Self::IndeterminateAbsent => vec![sent, indeterminate, indeterminate_absent],
            Self::IndeterminateExpired => vec![sent, indeterminate, indeterminate_expired],
        }
    }

    /// Counts a record that entered this state.
    pub(super) fn enter(self, class: CanaryClass, counts: &mut Counts) {
        for sum in self.sums(class, counts) {
            *sum += 1;
        }
    }

    /// Takes back the count of a record that left this state.
    pub(super) fn leave(self, class: CanaryClass, counts: &mut Counts) {
        for sum in self.sums(class, counts) {
            *sum = sum.checked_sub(1).expect("a record leaves a state it entered");
        }
    }
}
