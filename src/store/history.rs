//! Reads of the samples: charts, and what a new process goes on from.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::canary_history::{latencies, outcomes};
use super::samples::{
    LagPoint, RecentCommit, RecentTurn, RecentWatermark, decode_lag, decode_shape, decode_watermarks,
};
use super::series::{Point, decimated, with_gaps};
use super::{Store, StoreError};
use crate::audit::CanaryClass;
use crate::model::{ClusterName, GroupId, PartitionId, Timestamp, TopicId, TopicName, TopicPartition};

/// The most points of one answer.
const POINTS: usize = 5_000;

/// Which series of the contract, of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeriesQuery {
    /// `group_lag_records`: one column, `lag_records`.
    GroupLagRecords {
        /// The group.
        group: GroupId,
        /// Only its partitions of this topic.
        topic: Option<TopicName>,
        /// Only this partition.
        partition: Option<PartitionId>,
    },
    /// `group_lag_seconds`: two columns, `lag_seconds_low` and `lag_seconds_high`.
    GroupLagSeconds {
        /// The group.
        group: GroupId,
        /// Only its partitions of this topic.
        topic: Option<TopicName>,
        /// Only this partition.
        partition: Option<PartitionId>,
    },
    /// `partition_high_watermark`: one column, `high_watermark`.
    PartitionHighWatermark {
        /// The topic, over all its lives.
        topic: TopicName,
        /// The partition.
        partition: PartitionId,
    },
    /// `canary_latency_seconds`: per class `produce_p50` to `produce_max` and `end_to_end_p50` to `end_to_end_max`.
    CanaryLatencySeconds,
    /// `canary_outcomes`: per class the contract's counts.
    CanaryOutcomes,
}

/// A stretch of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The cluster.
    pub cluster: ClusterName,
    /// Which series.
    pub series: SeriesQuery,
    /// From here,
    pub from: Timestamp,
    /// to here, both included.
    pub to: Timestamp,
    /// At most about so many points; minima, maxima and gaps are kept.
    pub points: usize,
}

/// One column of a history: a value per instant, absent where it was not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What it is, as named at [`SeriesQuery`].
    pub name: &'static str,
    /// The canary's class.
    pub class: Option<CanaryClass>,
    /// One per instant.
    pub values: Vec<Option<f64>>,
}

/// A stretch of a series in columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The instants, ascending.
    pub at: Vec<Timestamp>,
    /// The values.
    pub columns: Vec<Column>,
}

impl History {
    pub(crate) fn of(names: Vec<(&'static str, Option<CanaryClass>)>, points: Vec<Point>, limit: usize) -> Self {
        let points = decimated(with_gaps(points), limit.clamp(1, POINTS));
        let mut history = Self { at: Vec::with_capacity(points.len()), columns: Vec::with_capacity(names.len()) };
        for (index, (name, class)) in names.into_iter().enumerate() {
            let values = points.iter().map(|(_, values)| values.get(index).copied().flatten()).collect();
            history.columns.push(Column { name, class, values });
        }
        history.at = points.into_iter().map(|(at, _)| Timestamp::from_millis(at)).collect();
        history
    }
}

impl Store {
    /// A stretch of a series.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn history(&self, query: &HistoryQuery) -> Result<History, StoreError> {
        match &query.series {
            SeriesQuery::GroupLagRecords { group, topic, partition } => {
                let points = self.lag(query, group, topic.as_ref(), *partition).await?;
                let points = points.into_iter().map(|(at, lag)| (at, vec![lag.records.map(count)])).collect();
                Ok(History::of(vec![("lag_records", None)], points, query.points))
            }
            SeriesQuery::GroupLagSeconds { group, topic, partition } => {
                let points = self.lag(query, group, topic.as_ref(), *partition).await?;
                let seconds = |millis: Option<u64>| millis.map(|millis| count(millis) / 1000.0);
                let points =
                    points.into_iter().map(|(at, lag)| (at, vec![seconds(lag.low_ms), seconds(lag.high_ms)])).collect();
                Ok(History::of(vec![("lag_seconds_low", None), ("lag_seconds_high", None)], points, query.points))
            }
            SeriesQuery::PartitionHighWatermark { topic, partition } => {
                let points = self.high_watermarks(query, topic, *partition).await?;
                Ok(History::of(vec![("high_watermark", None)], points, query.points))
            }
            SeriesQuery::CanaryLatencySeconds => self.canary_history(query, latencies).await,
            SeriesQuery::CanaryOutcomes => self.canary_history(query, |summary| outcomes(&summary.counts)).await,
        }
    }

    /// The turns of a cluster that ended at `since` or later, oldest first, with their high watermarks; and with their
    /// commits from `commits_since` on, which are many more: what the windows of the observation are filled with at a
    /// start.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn recent(
        &self,
        cluster: &ClusterName,
        since: Timestamp,
        commits_since: Timestamp,
    ) -> Result<Vec<RecentTurn>, StoreError> {
        let names = names(&self.history, cluster).await?;
        let mut shapes = HashMap::new();
        let mut recent = Vec::new();
        let mut rows = turns("turn.started", cluster, since, Timestamp::from_millis(i64::MAX), |_| {});
        for row in rows.build().fetch_all(&self.history).await? {
            let id = row.try_get("id")?;
            let finished = Timestamp::from_millis(row.try_get("finished")?);
            let commits = if finished < commits_since {
                Vec::new()
            } else {
                commits_of(&self.history, &names, &mut shapes, id).await?
            };
            recent.push(RecentTurn {
                started: Timestamp::from_millis(row.try_get("started")?),
                finished,
                high_watermarks: high_watermarks_of(&self.history, &names, id).await?,
                commits,
            });
        }
        Ok(recent)
    }

    /// The last known id of each topic of a cluster, so that a re-creation while nobody looked is seen.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn last_topic_ids(&self, cluster: &ClusterName) -> Result<Vec<(TopicName, TopicId)>, StoreError> {
        // Ids of series are given in the order of first sight, and a topic's id never comes back.
        let rows = sqlx::query(
            "select name, detail, max(id) from series where cluster = ? and kind = 'topic' and detail <> '' group by name",
        )
        .bind(cluster.as_str())
        .fetch_all(&self.history)
        .await?;
        let mut topics = Vec::with_capacity(rows.len());
        for row in rows {
            let (name, id): (&str, &str) = (row.try_get("name")?, row.try_get("detail")?);
            topics.push((name.into(), id.parse().map_err(StoreError::Unreadable)?));
        }
        Ok(topics)
    }

    async fn lag(
        &self,
        query: &HistoryQuery,
        group: &GroupId,
        topic: Option<&TopicName>,
        partition: Option<PartitionId>,
    ) -> Result<Vec<(i64, LagPoint)>, StoreError> {
        let pool = &self.history;
        let columns = "shape, lag_records, lag_low_ms, lag_high_ms, partitions";
        let join = "left join lag on lag.turn = turn.id and lag.group_series = \
                    (select id from series where kind = 'group' and detail = '' and cluster = ";
        let mut rows = turns_with(columns, query, |sql| {
            sql.push(join).push_bind(query.cluster.to_string());
            sql.push(" and name = ").push_bind(group.to_string()).push(")");
        });
        let rows = rows.build().fetch_all(pool).await?;
        if topic.is_none() && partition.is_none() {
            return rows.iter().map(|row| Ok((row.try_get("finished")?, whole_group(row)?))).collect();
        }
        let names = names(pool, &query.cluster).await?;
        let mut shapes = HashMap::new();
        let mut points = Vec::with_capacity(rows.len());
        for row in rows {
            let at = row.try_get("finished")?;
            let Some(id) = row.try_get::<Option<i64>, _>("shape")? else {
                points.push((at, LagPoint::default()));
                continue;
            };
            let partitions = shape(pool, &mut shapes, id).await?;
            let chosen =
                partitions.iter().zip(decode_lag(row.try_get("partitions")?)?).filter(|((series, index), _)| {
                    topic.is_none_or(|topic| names.topic(*series).is_some_and(|(name, _)| name == topic))
                        && partition.is_none_or(|partition| *index == partition)
                });
            points.push((at, sum(chosen.map(|(_, point)| point))));
        }
        Ok(points)
    }

    async fn high_watermarks(
        &self,
        query: &HistoryQuery,
        topic: &TopicName,
        partition: PartitionId,
    ) -> Result<Vec<Point>, StoreError> {
        let join = "left join watermark on watermark.turn = turn.id and watermark.topic_series in \
                    (select id from series where kind = 'topic' and cluster = ";
        let mut rows = turns_with("watermark.partitions", query, |sql| {
            sql.push(join).push_bind(query.cluster.to_string());
            sql.push(" and name = ").push_bind(topic.to_string()).push(")");
        });
        let mut points = Vec::new();
        for row in rows.build().fetch_all(&self.history).await? {
            let value = match row.try_get::<Option<&[u8]>, _>("partitions")? {
                Some(bytes) => decode_watermarks(bytes)?.into_iter().find(|(index, _, _)| *index == partition),
                None => None,
            };
            let value = value.and_then(|(_, offset, _)| u64::try_from(offset.get()).ok()).map(count);
            points.push((row.try_get("finished")?, vec![value]));
        }
        Ok(points)
    }
}

pub(crate) fn turns_with(
    columns: &'static str,
    query: &HistoryQuery,
    join: impl FnOnce(&mut QueryBuilder<Sqlite>),
) -> QueryBuilder<Sqlite> {
    turns(columns, &query.cluster, query.from, query.to, join)
}

/// The turns of a cluster with what is joined to them, in the order of time.
fn turns(
    columns: &'static str,
    cluster: &ClusterName,
    from: Timestamp,
    to: Timestamp,
    join: impl FnOnce(&mut QueryBuilder<Sqlite>),
) -> QueryBuilder<Sqlite> {
    let mut sql = QueryBuilder::<Sqlite>::new("select turn.id, turn.finished, ");
    sql.push(columns).push(" from turn ");
    join(&mut sql);
    sql.push(" where turn.cluster = (select id from series where kind = 'cluster' and cluster = ");
    sql.push_bind(cluster.to_string()).push(") and turn.finished between ");
    sql.push_bind(from.as_millis()).push(" and ").push_bind(to.as_millis());
    sql.push(" order by turn.finished, turn.id");
    sql
}

async fn high_watermarks_of(pool: &SqlitePool, names: &Names, turn: i64) -> Result<Vec<RecentWatermark>, StoreError> {
    let mut high_watermarks = Vec::new();
    let rows = sqlx::query("select topic_series, partitions from watermark where turn = ?").bind(turn);
    for row in rows.fetch_all(pool).await? {
        let Some((topic, topic_id)) = names.topic(row.try_get("topic_series")?) else { continue };
        for (partition, high_watermark, leader_epoch) in decode_watermarks(row.try_get("partitions")?)? {
            let at = TopicPartition { topic: topic.clone(), partition };
            high_watermarks.push(RecentWatermark { at, topic_id, high_watermark, leader_epoch });
        }
    }
    Ok(high_watermarks)
}

async fn commits_of(
    pool: &SqlitePool,
    names: &Names,
    shapes: &mut HashMap<i64, Vec<(i64, PartitionId)>>,
    turn: i64,
) -> Result<Vec<RecentCommit>, StoreError> {
    let mut commits = Vec::new();
    let rows = sqlx::query("select group_series, shape, partitions from lag where turn = ?").bind(turn);
    for row in rows.fetch_all(pool).await? {
        let Some(group) = names.groups.get(&row.try_get::<i64, _>("group_series")?) else { continue };
        let partitions = shape(pool, shapes, row.try_get("shape")?).await?;
        for ((topic, partition), point) in partitions.iter().zip(decode_lag(row.try_get("partitions")?)?) {
            if let (Some((topic, topic_id)), Some(committed)) = (names.topic(*topic), point.committed) {
                let at = TopicPartition { topic: topic.clone(), partition: *partition };
                commits.push(RecentCommit { group: group.clone(), at, topic_id, committed });
            }
        }
    }
    Ok(commits)
}

/// What the series of a cluster stand for.
struct Names {
    groups: HashMap<i64, GroupId>,
    topics: HashMap<i64, (TopicName, Option<TopicId>)>,
}

impl Names {
    fn topic(&self, series: i64) -> Option<(&TopicName, Option<TopicId>)> {
        self.topics.get(&series).map(|(name, id)| (name, *id))
    }
}

async fn names(pool: &SqlitePool, cluster: &ClusterName) -> Result<Names, StoreError> {
    let mut names = Names { groups: HashMap::new(), topics: HashMap::new() };
    let rows = sqlx::query("select id, kind, name, detail from series where cluster = ? and kind <> 'cluster'")
        .bind(cluster.as_str())
        .fetch_all(pool)
        .await?;
    for row in rows {
        let (id, name): (i64, &str) = (row.try_get("id")?, row.try_get("name")?);
        if row.try_get::<&str, _>("kind")? == "group" {
            names.groups.insert(id, name.into());
        } else {
            names.topics.insert(id, (name.into(), row.try_get::<&str, _>("detail")?.parse().ok()));
        }
    }
    Ok(names)
}

async fn shape<'s>(
    pool: &SqlitePool,
    known: &'s mut HashMap<i64, Vec<(i64, PartitionId)>>,
    id: i64,
) -> Result<&'s [(i64, PartitionId)], StoreError> {
    match known.entry(id) {
        Entry::Occupied(entry) => Ok(entry.into_mut()),
        Entry::Vacant(entry) => {
            let row = sqlx::query("select partitions from shape where id = ?").bind(id).fetch_optional(pool).await?;
            let partitions = match row {
                Some(row) => decode_shape(row.try_get("partitions")?)?,
                None => Vec::new(),
            };
            Ok(entry.insert(partitions))
        }
    }
}

fn whole_group(row: &SqliteRow) -> Result<LagPoint, StoreError> {
    let column = |name: &str| -> Result<Option<u64>, StoreError> {
        Ok(row.try_get::<Option<i64>, _>(name)?.and_then(|value| u64::try_from(value).ok()))
    };
    let (records, low_ms, high_ms) = (column("lag_records")?, column("lag_low_ms")?, column("lag_high_ms")?);
    Ok(LagPoint { committed: None, records, low_ms, high_ms })
}

/// The sum of records and the worst of times over the partitions that are known. The high end of the time is known
/// only when it is of each partition whose low end is.
fn sum(points: impl Iterator<Item = LagPoint>) -> LagPoint {
    let mut all = LagPoint::default();
    let mut open_end = false;
    for point in points {
        if let Some(records) = point.records {
            all.records = Some(all.records.unwrap_or(0).saturating_add(records));
        }
        all.low_ms = all.low_ms.max(point.low_ms);
        all.high_ms = all.high_ms.max(point.high_ms);
        open_end |= point.low_ms.is_some() && point.high_ms.is_none();
    }
    if open_end {
        all.high_ms = None;
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "a chart does not show the 16th digit")]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}
