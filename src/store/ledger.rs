//! The canary's ledger as rows: what the audit changed in one transaction, and all of it at a start.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::keeper::Write;
use super::transitions::{bodies, json};
use super::{Store, StoreError};
use crate::audit::{Correction, Incarnation, LedgerChanges, SavedLedger};
use crate::model::{ClusterName, TopicId};

/// Rows per statement: SQLite binds 32,766 values.
const ROWS: usize = 500;

/// Corrections that a start reads, and those that are kept: an archive, and not for ever.
const CORRECTIONS_READ: i64 = 64;
const CORRECTIONS_KEPT: u64 = 100_000;

impl Store {
    /// Writes the changes in one transaction and returns after the fsync: what was reserved may be sent then. After an
    /// error the same changes are to be tried again before any later ones; writing them twice does no harm.
    ///
    /// # Errors
    /// Where they could not be written.
    pub async fn commit_ledger(&self, cluster: &ClusterName, changes: Arc<LedgerChanges>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.durably(Write::Ledger { cluster: cluster.clone(), changes }).await
    }

    /// The ledger as it was last written; empty where there is none.
    ///
    /// # Errors
    /// Where it could not be read.
    pub async fn saved_ledger(&self, cluster: &ClusterName) -> Result<SavedLedger, StoreError> {
        let pool = &self.ledger;
        let topic_id = sqlx::query("select topic_id from canary_topic where cluster = ?")
            .bind(cluster.as_str())
            .fetch_optional(pool)
            .await?;
        let topic_id = match topic_id {
            Some(row) => Some(row.try_get::<&str, _>("topic_id")?.parse::<TopicId>().map_err(StoreError::Unreadable)?),
            None => None,
        };
        let former = sqlx::query("select topic_id from canary_former_topic where cluster = ?").bind(cluster.as_str());
        let former = former.fetch_all(pool).await?;
        let parsed = former
            .iter()
            .map(|row| row.try_get::<&str, _>("topic_id")?.parse::<TopicId>().map_err(StoreError::Unreadable));
        let former_topics = parsed.collect::<Result<Vec<TopicId>, StoreError>>()?;
        Ok(SavedLedger {
            records: all(pool, cluster, "canary_record").await?,
            classes: all(pool, cluster, "canary_class").await?,
            partitions: all(pool, cluster, "canary_position").await?,
            reservations: all(pool, cluster, "canary_reservation").await?,
            incarnations: all(pool, cluster, "canary_incarnation").await?,
            anomalies: all(pool, cluster, "canary_anomaly").await?,
            topic_id,
            buckets: all(pool, cluster, "canary_bucket").await?,
            corrections: latest_corrections(pool, cluster).await?,
            former_topics,
        })
    }
}

/// The latest corrections, in their order.
async fn latest_corrections(pool: &SqlitePool, cluster: &ClusterName) -> Result<Vec<Correction>, StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("select body from canary_correction where cluster = ");
    sql.push_bind(cluster.to_string()).push(" order by number desc limit ").push_bind(CORRECTIONS_READ);
    let mut rows: Vec<Correction> = bodies(&mut sql, pool).await?;
    rows.reverse();
    Ok(rows)
}

async fn all<T: DeserializeOwned>(
    pool: &SqlitePool,
    cluster: &ClusterName,
    table: &'static str,
) -> Result<Vec<T>, StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new("select body from ");
    sql.push(table).push(" where cluster = ").push_bind(cluster.to_string());
    bodies(&mut sql, pool).await
}

/// A column of a key.
#[derive(Clone, Debug)]
enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    fn bits(number: u64) -> Self {
        Self::Number(number.cast_signed())
    }
}

/// Upserts, then removals, in the transaction the connection is in.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    cluster: &ClusterName,
    changes: &LedgerChanges,
) -> Result<(), StoreError> {
    let record = |key: &crate::audit::RecordKey| {
        [
            Key::bits(key.incarnation.0),
            Key::Text(key.class.as_str().to_owned()),
            Key::Number(key.partition.0.into()),
            Key::bits(key.sequence),
        ]
    };
    upsert(
        connection,
        cluster,
        ("canary_record", "incarnation, class, partition, sequence"),
        &changes.records,
        |row| Ok(record(&row.key)),
    )
    .await?;
    upsert(connection, cluster, ("canary_class", "class"), &changes.classes, |row| {
        Ok([Key::Text(row.class.as_str().to_owned())])
    })
    .await?;
    upsert(connection, cluster, ("canary_position", "isolation, partition"), &changes.partitions, |row| {
        Ok([Key::Text(row.isolation.as_str().to_owned()), Key::Number(row.partition.0.into())])
    })
    .await?;
    upsert(
        connection,
        cluster,
        ("canary_reservation", "incarnation, class, partition"),
        &changes.reservations,
        |row| {
            let class = Key::Text(row.class.as_str().to_owned());
            Ok([Key::bits(row.incarnation.0), class, Key::Number(row.partition.0.into())])
        },
    )
    .await?;
    upsert(connection, cluster, ("canary_incarnation", "incarnation"), &changes.incarnations, |row| {
        Ok([Key::bits(row.incarnation.0)])
    })
    .await?;
    upsert(connection, cluster, ("canary_anomaly", "key"), &changes.anomalies, |row| Ok([Key::Text(json(&row.key)?)]))
        .await?;
    upsert(connection, cluster, ("canary_bucket", "class, span, number"), &changes.buckets, |row| {
        let (span, number) = row.span.key();
        Ok([Key::Text(row.class.as_str().to_owned()), Key::Text(span.to_owned()), Key::Number(number)])
    })
    .await?;
    upsert(connection, cluster, ("canary_correction", "number"), &changes.corrections, |row| {
        Ok([Key::bits(row.number)])
    })
    .await?;
    if let Some(topic_id) = changes.topic_id {
        sqlx::query(
            "insert into canary_topic (cluster, topic_id) values (?, ?) \
             on conflict (cluster) do update set topic_id = excluded.topic_id",
        )
        .bind(cluster.as_str())
        .bind(topic_id.to_string())
        .execute(&mut *connection)
        .await?;
    }
    for topic_id in &changes.former_topics {
        sqlx::query("insert into canary_former_topic (cluster, topic_id) values (?, ?) on conflict do nothing")
            .bind(cluster.as_str())
            .bind(topic_id.to_string())
            .execute(&mut *connection)
            .await?;
    }
    for key in &changes.removed_records {
        sqlx::query(
            "delete from canary_record \
             where cluster = ? and incarnation = ? and class = ? and partition = ? and sequence = ?",
        )
        .bind(cluster.as_str())
        .bind(key.incarnation.0.cast_signed())
        .bind(key.class.as_str())
        .bind(key.partition.0)
        .bind(key.sequence.cast_signed())
        .execute(&mut *connection)
        .await?;
    }
    for (class, span) in &changes.removed_buckets {
        let (span, number) = span.key();
        let delete =
            sqlx::query("delete from canary_bucket where cluster = ? and class = ? and span = ? and number = ?");
        delete.bind(cluster.as_str()).bind(class.as_str()).bind(span).bind(number).execute(&mut *connection).await?;
    }
    if let Some(oldest) = changes.corrections.last().and_then(|last| last.number.checked_sub(CORRECTIONS_KEPT)) {
        let delete = sqlx::query("delete from canary_correction where cluster = ? and number <= ?");
        delete.bind(cluster.as_str()).bind(oldest.cast_signed()).execute(&mut *connection).await?;
    }
    for Incarnation(incarnation) in &changes.removed_incarnations {
        for statement in [
            "delete from canary_incarnation where cluster = ? and incarnation = ?",
            "delete from canary_reservation where cluster = ? and incarnation = ?",
        ] {
            let delete = sqlx::query(statement).bind(cluster.as_str()).bind(incarnation.cast_signed());
            delete.execute(&mut *connection).await?;
        }
    }
    for key in &changes.removed_anomalies {
        let delete = sqlx::query("delete from canary_anomaly where cluster = ? and key = ?");
        delete.bind(cluster.as_str()).bind(json(key)?).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn upsert<T: Serialize, const N: usize>(
    connection: &mut SqliteConnection,
    cluster: &ClusterName,
    (table, columns): (&'static str, &'static str),
    rows: &[T],
    key: impl Fn(&T) -> Result<[Key; N], StoreError>,
) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS) {
        let mut encoded = Vec::with_capacity(rows.len());
        for row in rows {
            encoded.push((key(row)?, json(row)?));
        }
        let mut insert = QueryBuilder::<Sqlite>::new("insert into ");
        insert.push(table).push(" (cluster, ").push(columns).push(", body) ");
        insert.push_values(encoded, |mut row, (key, body)| {
            row.push_bind(cluster.to_string());
            for column in key {
                match column {
                    Key::Number(number) => row.push_bind(number),
                    Key::Text(text) => row.push_bind(text),
                };
            }
            row.push_bind(body);
        });
        insert.push(" on conflict (cluster, ").push(columns).push(") do update set body = excluded.body");
        insert.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}
