//! Charts of the canary: a class has the columns of its latencies or of its counts.

use std::collections::HashMap;

use sqlx::Row;

use super::history::{History, HistoryQuery, count, turns_with};
use super::series::Point;
use super::{Store, StoreError};
use crate::audit::{CanaryClass, ClassSummary, Counts, Latency};

impl Store {
    pub(crate) async fn canary_history(
        &self,
        query: &HistoryQuery,
        values: impl Fn(&ClassSummary) -> Vec<(&'static str, Option<f64>)>,
    ) -> Result<History, StoreError> {
        let mut rows = turns_with("class, body", query, |sql| {
            sql.push("left join canary on canary.turn = turn.id");
        });
        // Columns in the order of classes; a class that is not there in a turn has no value then.
        let mut columns: Vec<(&'static str, Option<CanaryClass>)> = Vec::new();
        let mut turns: Vec<(i64, i64, Vec<ClassSummary>)> = Vec::new();
        for row in rows.build().fetch_all(&self.history).await? {
            let (id, at): (i64, i64) = (row.try_get("id")?, row.try_get("finished")?);
            if turns.last().is_none_or(|(last, _, _)| *last != id) {
                turns.push((id, at, Vec::new()));
            }
            if let (Some(text), Some((_, _, classes))) = (row.try_get::<Option<&str>, _>("body")?, turns.last_mut()) {
                classes.push(serde_json::from_str(text).map_err(|error| StoreError::Unreadable(error.to_string()))?);
            }
        }
        for class in CanaryClass::ALL {
            let seen = turns.iter().flat_map(|(_, _, classes)| classes).find(|summary| summary.class == *class);
            if let Some(summary) = seen {
                columns.extend(values(summary).into_iter().map(|(name, _)| (name, Some(*class))));
            }
        }
        let points = turns.iter().map(|(_, at, classes)| {
            let mut point: HashMap<(&str, CanaryClass), Option<f64>> = HashMap::new();
            for summary in classes {
                point.extend(values(summary).into_iter().map(|(name, value)| ((name, summary.class), value)));
            }
            let value = |(name, class): &(&'static str, Option<CanaryClass>)| {
                class.and_then(|class| point.get(&(*name, class)).copied().flatten())
            };
            (*at, columns.iter().map(value).collect())
        });
        let points: Vec<Point> = points.collect();
        Ok(History::of(columns, points, query.points))
    }
}

pub(crate) fn latencies(summary: &ClassSummary) -> Vec<(&'static str, Option<f64>)> {
    let Latency { p50, p95, p99, max } = summary.produce_latency_seconds;
    let end = summary.end_to_end_latency_seconds;
    vec![
        ("produce_p50", p50),
        ("produce_p95", p95),
        ("produce_p99", p99),
        ("produce_max", max),
        ("end_to_end_p50", end.p50),
        ("end_to_end_p95", end.p95),
        ("end_to_end_p99", end.p99),
        ("end_to_end_max", end.max),
    ]
}

pub(crate) fn outcomes(counts: &Counts) -> Vec<(&'static str, Option<f64>)> {
    let known = |value: u64| Some(count(value));
    vec![
        ("sent", known(counts.sent)),
        ("acked", known(counts.acked)),
        ("pending", known(counts.pending)),
        ("overdue", known(counts.overdue)),
        ("delivered", known(counts.delivered)),
        ("late", known(counts.late)),
        ("lost", known(counts.lost)),
        ("truncated_after_delivery", known(counts.truncated_after_delivery)),
        ("expired", known(counts.expired)),
        ("rejected", known(counts.rejected)),
        ("indeterminate", known(counts.indeterminate)),
        ("duplicated", known(counts.duplicated)),
        ("reordered", known(counts.reordered)),
        ("phantom", known(counts.phantom)),
    ]
}
