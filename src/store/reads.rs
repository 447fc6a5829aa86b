//! Reads of `ledger.db`: what a new process goes on from, and what is older than the published turn.

use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::transitions::{alert_state, bodies, finding_state};
use super::{Store, StoreError};
use crate::alert::{Alert, AlertState};
use crate::finding::{Finding, FindingState, Grade, Kind};
use crate::model::{ClusterName, GroupId, Timestamp, TopicName};

/// Which findings are asked for; what is absent does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingQuery {
    /// Of this cluster.
    pub cluster: Option<ClusterName>,
    /// Open or closed.
    pub state: Option<FindingState>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this grade.
    pub grade: Option<Grade>,
    /// About this group.
    pub group: Option<GroupId>,
    /// About this topic.
    pub topic: Option<TopicName>,
    /// Last seen then or later.
    pub since: Option<Timestamp>,
    /// Which page, from 1.
    pub page: u32,
    /// How many on a page, from 1.
    pub per_page: u32,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: u64,
}

/// How the delivery of one notice stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DeliveryRow {
    /// The notice's id.
    pub id: String,
    /// Its alert's id.
    pub alert: String,
    /// To whom.
    pub receiver: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// When the transition was judged.
    pub queued_at: Timestamp,
    /// `pending`, `delivered`, `refused` or `expired`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was delivered or given up.
    pub done_at: Option<Timestamp>,
}

impl Store {
    /// All open findings and the `closed` latest closed ones, the oldest first.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn findings_to_restore(&self, closed: u32) -> Result<Vec<Finding>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "select body from (select opened_at, id, body from finding where state = 'open' union all \
             select opened_at, id, body from (select * from finding where state = 'closed' order by closed_at desc limit ",
        );
        sql.push_bind(i64::from(closed)).push(")) order by opened_at, id");
        bodies(&mut sql, &self.ledger).await
    }

    /// All alerts that are pending or firing, and the `resolved` latest resolved ones, the oldest first.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn alerts_to_restore(&self, resolved: u32) -> Result<Vec<Alert>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "select body from (select pending_since, id, body from alert where state <> 'resolved' union all \
             select pending_since, id, body from (select * from alert where state = 'resolved' \
             order by resolved_at desc limit ",
        );
        sql.push_bind(i64::from(resolved)).push(")) order by pending_since, id");
        bodies(&mut sql, &self.ledger).await
    }

    /// A page of findings, the latest seen first.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn findings(&self, query: &FindingQuery) -> Result<Page<Finding>, StoreError> {
        let narrowed = |select: &'static str| {
            let mut sql = QueryBuilder::<Sqlite>::new(select);
            let texts = [
                ("cluster", query.cluster.as_ref().map(ToString::to_string)),
                ("state", query.state.map(|state| finding_state(state).to_owned())),
                ("kind", query.kind.map(|kind| kind.as_str().to_owned())),
                ("grade", query.grade.map(|grade| grade.as_str().to_owned())),
                ("group_id", query.group.as_ref().map(ToString::to_string)),
                ("topic", query.topic.as_ref().map(ToString::to_string)),
            ];
            for (column, value) in texts {
                if let Some(value) = value {
                    sql.push(" and ").push(column).push(" = ").push_bind(value);
                }
            }
            if let Some(since) = query.since {
                sql.push(" and last_seen_at >= ").push_bind(since.as_millis());
            }
            sql
        };
        let total = total(&mut narrowed("select count(*) as total from finding where true"), &self.ledger).await?;
        let mut sql = narrowed("select body from finding where true");
        paged(sql.push(" order by last_seen_at desc, id desc"), query.page, query.per_page);
        Ok(Page { items: bodies(&mut sql, &self.ledger).await?, total })
    }

    /// One finding.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn finding(&self, id: &str) -> Result<Option<Finding>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new("select body from finding where id = ");
        sql.push_bind(id.to_owned());
        Ok(bodies(&mut sql, &self.ledger).await?.pop())
    }

    /// A page of alerts, the newest first; of one state or of all.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn alerts(&self, state: Option<AlertState>, page: u32, per_page: u32) -> Result<Page<Alert>, StoreError> {
        let narrowed = |select: &'static str| {
            let mut sql = QueryBuilder::<Sqlite>::new(select);
            if let Some(state) = state {
                sql.push(" where state = ").push_bind(alert_state(state));
            }
            sql
        };
        let total = total(&mut narrowed("select count(*) as total from alert"), &self.ledger).await?;
        let mut sql = narrowed("select body from alert");
        paged(sql.push(" order by pending_since desc, id desc"), page, per_page);
        Ok(Page { items: bodies(&mut sql, &self.ledger).await?, total })
    }

    /// One alert.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn alert(&self, id: &str) -> Result<Option<Alert>, StoreError> {
        let mut sql = QueryBuilder::<Sqlite>::new("select body from alert where id = ");
        sql.push_bind(id.to_owned());
        Ok(bodies(&mut sql, &self.ledger).await?.pop())
    }

    /// A page of deliveries, the newest first.
    ///
    /// # Errors
    /// Where the file could not be read.
    pub async fn deliveries(&self, page: u32, per_page: u32) -> Result<Page<DeliveryRow>, StoreError> {
        let total = total(&mut QueryBuilder::new("select count(*) as total from outbox"), &self.ledger).await?;
        let mut sql = QueryBuilder::<Sqlite>::new(
            "select id, alert, receiver, status, queued_at, state, attempts, last_error, done_at from outbox",
        );
        paged(sql.push(" order by number desc"), page, per_page);
        let mut items = Vec::new();
        for row in sql.build().fetch_all(&self.ledger).await? {
            items.push(DeliveryRow {
                id: row.try_get("id")?,
                alert: row.try_get("alert")?,
                receiver: row.try_get("receiver")?,
                status: row.try_get("status")?,
                queued_at: Timestamp::from_millis(row.try_get("queued_at")?),
                state: row.try_get("state")?,
                attempts: u64::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(0),
                last_error: row.try_get("last_error")?,
                done_at: row.try_get::<Option<i64>, _>("done_at")?.map(Timestamp::from_millis),
            });
        }
        Ok(Page { items, total })
    }
}

async fn total(sql: &mut QueryBuilder<Sqlite>, pool: &SqlitePool) -> Result<u64, StoreError> {
    let total: i64 = sql.build().fetch_one(pool).await?.try_get("total")?;
    Ok(u64::try_from(total).unwrap_or(0))
}

fn paged(sql: &mut QueryBuilder<Sqlite>, page: u32, per_page: u32) {
    let per_page = i64::from(per_page.max(1));
    sql.push(" limit ").push_bind(per_page).push(" offset ").push_bind(i64::from(page.saturating_sub(1)) * per_page);
}
