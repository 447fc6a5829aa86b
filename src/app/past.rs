//! What the pages ask of the past, answered by the store.

use crate::store::{self, SeriesQuery, Store};
use crate::web::past::{Answer, Column, Deliveries, Delivery, History, HistoryQuery, Past, PastError, SeriesName};

/// The store as the pages see it.
#[derive(Clone, Debug)]
pub(super) struct StoredPast(pub(super) Store);

impl Past for StoredPast {
    fn history(&self, query: HistoryQuery) -> Answer<'_, History> {
        Box::pin(async move {
            let Some(series) = series(&query) else { return Ok(History::default()) };
            let HistoryQuery { cluster, from, to, points, .. } = query;
            let query = store::HistoryQuery { cluster, series, from, to, points };
            let read = self.0.history(&query).await.map_err(unreadable)?;
            let name = |column: &store::Column| match column.class {
                Some(class) => format!("{class} {}", column.name),
                None => column.name.to_owned(),
            };
            let columns = read.columns.into_iter().map(|column| Column { name: name(&column), values: column.values });
            Ok(History { times: read.at, columns: columns.collect() })
        })
    }

    fn deliveries(&self, skip: u64, limit: u64) -> Answer<'_, Deliveries> {
        Box::pin(async move {
            let page = u32::try_from(skip / limit.max(1) + 1).unwrap_or(u32::MAX);
            let per_page = u32::try_from(limit).unwrap_or(u32::MAX);
            let read = self.0.deliveries(page, per_page).await.map_err(unreadable)?;
            let items = read.items.into_iter().filter_map(delivery).collect();
            Ok(Deliveries { items, total: read.total })
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the shape map_err takes")]
fn unreadable(error: store::StoreError) -> PastError {
    PastError::Unreadable(error.to_string())
}

/// The store's name of a series; nothing where what it is of was not named.
fn series(query: &HistoryQuery) -> Option<SeriesQuery> {
    let (group, topic, partition) = (query.group.clone(), query.topic.clone(), query.partition);
    Some(match query.series {
        SeriesName::GroupLagRecords => SeriesQuery::GroupLagRecords { group: group?, topic, partition },
        SeriesName::GroupLagSeconds => SeriesQuery::GroupLagSeconds { group: group?, topic, partition },
        SeriesName::PartitionHighWatermark => {
            SeriesQuery::PartitionHighWatermark { topic: topic?, partition: partition? }
        }
        SeriesName::CanaryLatencySeconds => SeriesQuery::CanaryLatencySeconds,
        SeriesName::CanaryOutcomes => SeriesQuery::CanaryOutcomes,
    })
}

fn delivery(row: store::DeliveryRow) -> Option<Delivery> {
    Some(Delivery {
        notice: row.id,
        alert: row.alert,
        receiver: row.receiver,
        status: match row.status.as_str() {
            "firing" => crate::alert::NoticeStatus::Firing,
            "resolved" => crate::alert::NoticeStatus::Resolved,
            _ => return None,
        },
        outcome: row.state,
        at: row.queued_at,
        attempts: row.attempts,
        last_attempt_at: row.done_at,
        next_attempt_at: None,
        error: row.last_error,
    })
}
