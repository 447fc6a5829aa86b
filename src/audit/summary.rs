//! The contract's sums and rates of one canary class.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::CanaryClass;
use crate::model::{PartitionId, Timestamp};

/// The contract's counts: each record is in exactly one state, and the sums hold at every read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are the contract's, explained in `docs/verdicts.md`")]
pub struct Counts {
    pub sent: u64,
    pub in_flight: u64,
    pub acked: u64,
    pub unacknowledged: u64,
    pub rejected: u64,
    pub indeterminate: u64,
    pub pending: u64,
    pub delivered: u64,
    pub late: u64,
    pub lost: u64,
    pub truncated_after_delivery: u64,
    pub expired: u64,
    pub aborted: u64,
    pub untracked: u64,
    pub indeterminate_pending: u64,
    pub indeterminate_delivered: u64,
    pub indeterminate_absent: u64,
    pub indeterminate_expired: u64,
    pub overdue: u64,
    pub phantom: u64,
    pub aborted_visible: u64,
    pub acked_without_offset: u64,
    pub duplicated: u64,
    pub reread: u64,
    pub reordered: u64,
    pub corrupt: u64,
    pub foreign: u64,
    pub resurfaced: u64,
    pub unknown_incarnation: u64,
}

/// Percentiles of a latency in seconds; absent while there is no sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "percentiles")]
pub struct Latency {
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// One class, exact at this moment, since `since`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// The class.
    pub class: CanaryClass,
    /// When its first record of this ledger was sent.
    pub since: Timestamp,
    /// The sums.
    #[serde(flatten)]
    pub counts: Counts,
    /// (lost + `truncated_after_delivery`) / (accounted - expired - pending - aborted - untracked).
    pub loss_rate: Option<f64>,
    /// The exact binomial 95 % bound; 3/n when nothing is lost.
    pub loss_rate_upper_95: Option<f64>,
    /// Extra copies / distinct received.
    pub duplicate_rate: Option<f64>,
    /// From send to acknowledgement.
    pub produce_latency_seconds: Latency,
    /// From send to receipt.
    pub end_to_end_latency_seconds: Latency,
    /// Brokers that lead a canary partition / brokers in the metadata; absent while not known.
    pub coverage: Option<f64>,
}

/// One partition of the canary, for the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CanaryPartition {
    /// Which.
    pub partition: PartitionId,
    /// The next offset the reader of all records will read; absent before the first.
    pub frontier: Option<i64>,
    /// The next offset the reader of committed transactions will read; absent before the first.
    pub frontier_committed: Option<i64>,
    /// Records neither delivered nor judged.
    pub pending: u64,
    /// Of these, those past `deliver_within`.
    pub overdue: u64,
    /// Of these, those without an offset of which a later record of the same sender was read: perhaps lost, not proven.
    pub suspected: u64,
    /// The overdue ones by class; those without any are left out.
    pub overdue_by_class: BTreeMap<CanaryClass, u64>,
}
