//! Counts the requests we send, by API and outcome.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::api::Request;
use super::api::describe_cluster::DescribeCluster;
use super::api::describe_log_dirs::DescribeLogDirs;
use super::api::describe_producers::DescribeProducers;
use super::api::describe_quorum::DescribeQuorum;
use super::api::describe_share_group_offsets::DescribeShareGroupOffsets;
use super::api::describe_topic_partitions::DescribeTopicPartitions;
use super::api::describe_transactions::DescribeTransactions;
use super::api::find_coordinator::FindCoordinator;
use super::api::list_partition_reassignments::ListPartitionReassignments;
use super::api::list_transactions::ListTransactions;
use super::api::share_group_describe::ShareGroupDescribe;
use super::api::streams_group_describe::StreamsGroupDescribe;

/// How a request ended: with an answer that could be read, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    /// Answered, with the wish to be left alone for a while.
    Throttled,
    Failed,
}

#[derive(Debug, Default)]
struct Count {
    answered: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
}

/// The APIs that no turn needs, or only of groups that many clusters do not have.
const FURTHER: &[&str] = &[
    FindCoordinator::NAME,
    ShareGroupDescribe::NAME,
    DescribeShareGroupOffsets::NAME,
    StreamsGroupDescribe::NAME,
    DescribeLogDirs::NAME,
    DescribeCluster::NAME,
    DescribeQuorum::NAME,
    DescribeProducers::NAME,
    ListTransactions::NAME,
    DescribeTransactions::NAME,
    ListPartitionReassignments::NAME,
    DescribeTopicPartitions::NAME,
];

/// Requests by API name and outcome.
#[derive(Debug)]
pub(crate) struct RequestCounts(BTreeMap<&'static str, Count>);

impl RequestCounts {
    /// Counts of the APIs named and of those that only some questions need, all zero.
    pub(crate) fn new(apis: &[&'static str]) -> Self {
        Self(apis.iter().chain(FURTHER).map(|api| (*api, Count::default())).collect())
    }

    pub(crate) fn add(&self, api: &'static str, outcome: Outcome) {
        let Some(count) = self.0.get(api) else { return };
        match outcome {
            Outcome::Answered => count.answered.fetch_add(1, Ordering::Relaxed),
            Outcome::Throttled => count.throttled.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed => count.failed.fetch_add(1, Ordering::Relaxed),
        };
    }

    /// What was counted since the last call.
    pub(crate) fn take(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for (api, count) in &self.0 {
            counts.insert((*api, "answered"), count.answered.swap(0, Ordering::Relaxed));
            counts.insert((*api, "throttled"), count.throttled.swap(0, Ordering::Relaxed));
            counts.insert((*api, "failed"), count.failed.swap(0, Ordering::Relaxed));
        }
        counts.retain(|_, count| *count > 0);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_once() {
        let counts = RequestCounts::new(&["Metadata", "ListGroups"]);
        counts.add("Metadata", Outcome::Answered);
        counts.add("Metadata", Outcome::Answered);
        counts.add("Metadata", Outcome::Failed);
        counts.add("ListGroups", Outcome::Throttled);
        let want = [(("Metadata", "answered"), 2), (("Metadata", "failed"), 1), (("ListGroups", "throttled"), 1)];
        assert_eq!(counts.take(), want.into_iter().collect());
        assert_eq!(counts.take(), BTreeMap::new());
    }
}
