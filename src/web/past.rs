//! What is asked of the past: history and deliveries. The database answers, and may be slow or gone.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;

use crate::alert::NoticeStatus;
use crate::model::{ClusterName, GroupId, PartitionId, Timestamp, TopicName};

/// An answer that may take a while.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PastError>> + Send + 'a>>;

/// What is kept. A reader waits [`PATIENCE`] and no longer.
pub trait Past: Send + Sync {
    /// The course of one series, oldest first; `points` is a wish, readers decimate themselves.
    fn history(&self, query: HistoryQuery) -> Answer<'_, History>;
    /// Attempts to tell, newest first, from `skip`, not more than `limit`.
    fn deliveries(&self, skip: u64, limit: u64) -> Answer<'_, Deliveries>;
}

/// How long a reader waits for the database.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// It took longer than [`PATIENCE`]: ask again, or for less.
    #[error("the database did not answer within {} s", PATIENCE.as_secs())]
    Slow,
    /// The database is not open, or refuses.
    #[error("the database cannot be read: {0}")]
    Unreadable(String),
}

impl PastError {
    /// The code that scripts may rely on.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Slow => "storage_slow",
            Self::Unreadable(_) => "storage_unreadable",
        }
    }
}

/// Waits for an answer, but not longer than [`PATIENCE`].
pub(super) async fn patiently<T>(answer: Answer<'_, T>) -> Result<T, PastError> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or(Err(PastError::Slow))
}

/// What has a course over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesName {
    /// Of a group, or of one of its topics or partitions.
    GroupLagRecords,
    /// Of a group, or of one of its topics or partitions.
    GroupLagSeconds,
    /// Of one partition.
    PartitionHighWatermark,
    /// One column per class and percentile.
    CanaryLatencySeconds,
    /// One column per class and outcome.
    CanaryOutcomes,
}

impl SeriesName {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::GroupLagRecords,
        Self::GroupLagSeconds,
        Self::PartitionHighWatermark,
        Self::CanaryLatencySeconds,
        Self::CanaryOutcomes,
    ];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GroupLagRecords => "group_lag_records",
            Self::GroupLagSeconds => "group_lag_seconds",
            Self::PartitionHighWatermark => "partition_high_watermark",
            Self::CanaryLatencySeconds => "canary_latency_seconds",
            Self::CanaryOutcomes => "canary_outcomes",
        }
    }

    /// The unit of its values.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::GroupLagRecords | Self::CanaryOutcomes => "records",
            Self::GroupLagSeconds | Self::CanaryLatencySeconds => "seconds",
            Self::PartitionHighWatermark => "offset",
        }
    }
}

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which course, and of when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The cluster.
    pub cluster: ClusterName,
    /// What of it.
    pub series: SeriesName,
    /// The group: always there for the series of groups.
    pub group: Option<GroupId>,
    /// The topic: always there for the series of partitions.
    pub topic: Option<TopicName>,
    /// The partition: always there for the series of partitions.
    pub partition: Option<PartitionId>,
    /// The first instant.
    pub from: Timestamp,
    /// The last instant, not before the first.
    pub to: Timestamp,
    /// How many points are wanted at most.
    pub points: usize,
}

/// Columns over common times.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct History {
    /// Ascending.
    pub times: Vec<Timestamp>,
    /// Each as long as the times.
    pub columns: Vec<Column>,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// What it shows.
    pub name: String,
    /// One per time; none where it was not known.
    pub values: Vec<Option<f64>>,
}

impl History {
    /// At most so many points, such that no minimum, maximum or gap of a column disappears into its neighbours.
    #[must_use]
    pub fn decimated(self, points: usize) -> Self {
        let length = self.times.len();
        // Of each stretch stay its first gap, its minimum and its maximum per column.
        let stretches = (points / (3 * self.columns.len().max(1))).max(1);
        if length <= points {
            return self;
        }
        let mut kept = vec![false; length];
        for stretch in 0..stretches {
            let range = stretch * length / stretches..(stretch + 1) * length / stretches;
            for column in &self.columns {
                let values = || range.clone().filter_map(|at| Some((at, (*column.values.get(at)?)?)));
                let lowest = values().min_by(|(_, one), (_, two)| one.total_cmp(two));
                let highest = values().max_by(|(_, one), (_, two)| one.total_cmp(two));
                let gap = range.clone().find(|at| column.values.get(*at).is_some_and(Option::is_none));
                for at in [lowest.map(|(at, _)| at), highest.map(|(at, _)| at), gap].into_iter().flatten() {
                    kept[at] = true;
                }
            }
        }
        fn those<T>(of: Vec<T>, kept: &[bool]) -> Vec<T> {
            of.into_iter().zip(kept).filter_map(|(one, kept)| kept.then_some(one)).collect()
        }
        Self {
            times: those(self.times, &kept),
            columns: self
                .columns
                .into_iter()
                .map(|column| Column { name: column.name, values: those(column.values, &kept) })
                .collect(),
        }
    }
}

/// One page of deliveries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deliveries {
    /// Newest first.
    pub items: Vec<Delivery>,
    /// How many there are in all.
    pub total: u64,
}

/// Where one notice to one receiver stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// The id of the notice.
    pub notice: String,
    /// The id of the alert it tells.
    pub alert: String,
    /// The receiver's name.
    pub receiver: String,
    /// What it tells.
    pub status: NoticeStatus,
    /// `pending` `delivered` `retried` `refused` `expired`.
    pub outcome: String,
    /// When the transition it tells was judged.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When it will be tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// What the receiver said when it did not take it.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimation_keeps_extremes_and_gaps() {
        let mut values: Vec<Option<f64>> = (0..10_000_u32).map(|at| Some(f64::from(at % 7))).collect();
        values[4_321] = Some(1_000.0);
        values[7_000] = Some(-1_000.0);
        values[8_888] = None;
        let times = (0..10_000).map(Timestamp::from_millis).collect();
        let history = History { times, columns: vec![Column { name: "x".into(), values }] };
        let few = history.clone().decimated(300);
        let values = &few.columns[0].values;
        assert!(few.times.len() <= 300 && few.times.len() >= 100, "{}", few.times.len());
        assert_eq!(few.times.len(), values.len());
        assert!(few.times.is_sorted());
        for kept in [Some(1_000.0), Some(-1_000.0), None] {
            assert!(values.contains(&kept), "{kept:?}");
        }
        assert_eq!(history.clone().decimated(10_000), history, "few enough already");
    }
}
