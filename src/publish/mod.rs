//! What readers see: one whole turn, immutable. Pages, JSON and metrics render nothing else, so two of them opened
//! together agree, and none of them causes a request to Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::alert::Alert;
use crate::audit::{CanaryPartition, ClassSlo, ClassSummary, Isolation, Latency};
use crate::finding::{Finding, Grade, Kind, Placement};
use crate::model::{ClusterName, PartitionId, Timestamp};
use crate::observe::Observation;

/// Everything a reader may show.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// When it was put together.
    pub as_of: Option<Timestamp>,
    /// Each configured cluster, also before its first turn.
    pub clusters: BTreeMap<ClusterName, PublishedCluster>,
    /// Alerts, newest first: all that are pending or firing, and the latest resolved.
    pub alerts: Arc<Vec<Alert>>,
    /// The daemon itself.
    pub own: Own,
}

/// One cluster.
#[derive(Clone, Debug, Default)]
pub struct PublishedCluster {
    /// The last turn; none before the first.
    pub observation: Option<Arc<Observation>>,
    /// The end of the last turn in which a broker answered.
    pub last_success: Option<Timestamp>,
    /// The canary; none where it is not enabled.
    pub canary: Option<Arc<PublishedCanary>>,
    /// Where the canary's topic lies and what of it does not fit, by the last turn; none where it was not seen.
    pub canary_placement: Option<Arc<Placement>>,
    /// What the group probe measures; none where it is not enabled.
    pub group_probe: Option<Arc<PublishedGroupProbe>>,
    /// Findings, most severe first, then newest: all that are open, and the latest closed.
    pub findings: Arc<Vec<Finding>>,
    /// Counters since the start of the daemon.
    pub totals: Arc<Totals>,
}

/// The canary of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedCanary {
    /// Its topic.
    pub topic: String,
    /// When it was read from the ledger.
    pub as_of: Timestamp,
    /// One per class.
    pub classes: Vec<ClassSummary>,
    /// One per partition.
    pub partitions: Vec<CanaryPartition>,
    /// Why it does not send, if so.
    pub paused: Option<String>,
    /// What its own readers are refused now, by reader and partition.
    pub refused: Vec<RefusedReader>,
    /// The objectives of each class, as they stood some seconds ago.
    pub slos: Arc<Vec<ClassSlo>>,
}

/// A reader of the canary that gets nothing of a partition, and was told why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedReader {
    /// What it may see.
    pub reader: Isolation,
    /// The partition.
    pub partition: PartitionId,
    /// Since when.
    pub since: Timestamp,
    /// The client's words.
    pub error: String,
}

/// What applications in a consumer group wait for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishedGroupProbe {
    /// From the subscription to the assignment of partitions; empty while it fails.
    pub join_latency_seconds: Latency,
    /// From a commit to its answer; empty while it fails.
    pub commit_latency_seconds: Latency,
    /// Why nothing can be measured now, if so.
    pub trouble: Option<String>,
}

/// Counters of one cluster since the start of the daemon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests of the poll plane by API and outcome.
    pub poll_requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Duration of turns in seconds.
    pub poll_duration: Histogram,
    /// Findings opened, by kind and grade.
    pub findings: BTreeMap<(Kind, Grade), u64>,
    /// Entries into an outcome, by class and outcome.
    pub canary_outcomes: BTreeMap<(&'static str, &'static str), u64>,
    /// Canary latency in seconds, by class and stage (`produce`, `end_to_end`), and that of the group probe: class `group`,
    /// stages `group_join` and `group_commit`.
    pub canary_latency: BTreeMap<(&'static str, &'static str), Histogram>,
}

/// The daemon's own state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    /// Notices by receiver and outcome (`delivered`, `retried`, `refused`, `expired`).
    pub notifications: BTreeMap<(String, &'static str), u64>,
    /// Notices not delivered yet.
    pub outbox_pending: u64,
    /// Size of each database file in bytes, its write-ahead log included.
    pub storage_bytes: BTreeMap<&'static str, u64>,
    /// Writes by outcome (`written`, `dropped`, `failed`).
    pub storage_writes: BTreeMap<&'static str, u64>,
    /// Why history is not being written, if so.
    pub storage_trouble: Option<String>,
}

/// A cumulative histogram as a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Upper bounds, ascending; the last bucket is open.
    pub bounds: &'static [f64],
    /// Samples per bucket, not cumulated; one more than bounds.
    pub buckets: Vec<u64>,
    /// Sum of the samples.
    pub sum: f64,
    /// Number of samples.
    pub count: u64,
}

/// From a millisecond to a minute.
pub const SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

impl Default for Histogram {
    fn default() -> Self {
        Self { bounds: SECONDS, buckets: vec![0; SECONDS.len() + 1], sum: 0.0, count: 0 }
    }
}

impl Histogram {
    /// Counts one sample.
    pub fn record(&mut self, sample: f64) {
        let bucket = self.bounds.iter().position(|bound| sample <= *bound).unwrap_or(self.bounds.len());
        self.buckets[bucket] += 1;
        self.sum += sample;
        self.count += 1;
    }
}
