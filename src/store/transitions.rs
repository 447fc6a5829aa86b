//! Findings, alerts and notices as rows of `ledger.db`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use super::StoreError;
use super::outbox::Progress;
use crate::alert::{Alert, AlertState, Notice, NoticeStatus};
use crate::finding::{Finding, FindingState};
use crate::model::Timestamp;

/// Rows per statement: SQLite binds 32,766 values.
const ROWS: usize = 500;

/// What is to be written in one transaction: of each finding and alert the latest state, of notices all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) findings: BTreeMap<String, Finding>,
    pub(crate) alerts: BTreeMap<String, Alert>,
    pub(crate) notices: Vec<Arc<Notice>>,
    pub(crate) progress: BTreeMap<String, Progress>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.findings.is_empty() && self.alerts.is_empty() && self.notices.is_empty() && self.progress.is_empty()
    }

    /// Puts back what could not be written: what came since is newer.
    pub(crate) fn put_back(&mut self, older: Self) {
        fn below<T>(newer: &mut BTreeMap<String, T>, older: BTreeMap<String, T>) {
            for (id, row) in older {
                newer.entry(id).or_insert(row);
            }
        }
        below(&mut self.findings, older.findings);
        below(&mut self.alerts, older.alerts);
        below(&mut self.progress, older.progress);
        let newer = std::mem::replace(&mut self.notices, older.notices);
        self.notices.extend(newer);
    }

    /// Writes everything, in the transaction the connection is in.
    pub(crate) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let findings: Vec<&Finding> = self.findings.values().collect();
        for rows in findings.chunks(ROWS) {
            write_findings(connection, rows).await?;
        }
        let (kept, vanished): (Vec<&Alert>, Vec<&Alert>) =
            self.alerts.values().partition(|alert| alert.state != AlertState::Resolved || alert.fired_at.is_some());
        for rows in kept.chunks(ROWS) {
            write_alerts(connection, rows).await?;
        }
        for alert in vanished {
            sqlx::query("delete from alert where id = ?").bind(&alert.id).execute(&mut *connection).await?;
        }
        for rows in self.notices.chunks(ROWS) {
            write_notices(connection, rows).await?;
        }
        for (id, progress) in &self.progress {
            sqlx::query(
                "update outbox set state = ?, attempts = ?, age_ms = ?, last_error = ?, done_at = ? where id = ?",
            )
            .bind(progress.state)
            .bind(i64::from(progress.attempts))
            .bind(i64::try_from(progress.age.as_millis()).unwrap_or(i64::MAX))
            .bind(&progress.last_error)
            .bind(progress.done_at.map(Timestamp::as_millis))
            .bind(id)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

async fn write_findings(connection: &mut SqliteConnection, rows: &[&Finding]) -> Result<(), StoreError> {
    let mut bodies = Vec::with_capacity(rows.len());
    for row in rows {
        bodies.push(json(row)?);
    }
    let mut insert = QueryBuilder::<Sqlite>::new(
        "insert into finding (id, cluster, kind, grade, state, group_id, topic, opened_at, last_seen_at, closed_at, body) ",
    );
    insert.push_values(rows.iter().zip(bodies), |mut row, (finding, body)| {
        row.push_bind(finding.id.clone())
            .push_bind(finding.cluster.as_str().to_owned())
            .push_bind(finding.kind.as_str())
            .push_bind(finding.grade.as_str())
            .push_bind(finding_state(finding.state))
            .push_bind(finding.subject.group.as_ref().map(|group| group.as_str().to_owned()))
            .push_bind(finding.subject.topic.as_ref().map(|topic| topic.as_str().to_owned()))
            .push_bind(finding.opened_at.as_millis())
            .push_bind(finding.last_seen_at.as_millis())
            .push_bind(finding.closed_at.map(Timestamp::as_millis))
            .push_bind(body);
    });
    insert.push(
        " on conflict (id) do update set grade = excluded.grade, state = excluded.state, \
         last_seen_at = excluded.last_seen_at, closed_at = excluded.closed_at, body = excluded.body",
    );
    insert.build().execute(connection).await?;
    Ok(())
}

async fn write_alerts(connection: &mut SqliteConnection, rows: &[&Alert]) -> Result<(), StoreError> {
    let mut bodies = Vec::with_capacity(rows.len());
    for row in rows {
        bodies.push(json(row)?);
    }
    let mut insert = QueryBuilder::<Sqlite>::new("insert into alert (id, state, pending_since, resolved_at, body) ");
    insert.push_values(rows.iter().zip(bodies), |mut row, (alert, body)| {
        row.push_bind(alert.id.clone())
            .push_bind(alert_state(alert.state))
            .push_bind(alert.pending_since.as_millis())
            .push_bind(alert.resolved_at.map(Timestamp::as_millis))
            .push_bind(body);
    });
    insert.push(
        " on conflict (id) do update set state = excluded.state, pending_since = excluded.pending_since, \
         resolved_at = excluded.resolved_at, body = excluded.body",
    );
    insert.build().execute(connection).await?;
    Ok(())
}

async fn write_notices(connection: &mut SqliteConnection, rows: &[Arc<Notice>]) -> Result<(), StoreError> {
    let mut bodies = Vec::with_capacity(rows.len());
    for row in rows {
        bodies.push(json(row.as_ref())?);
    }
    let mut insert = QueryBuilder::<Sqlite>::new(
        "insert into outbox (id, alert, receiver, status, queued_at, state, attempts, age_ms, body) ",
    );
    insert.push_values(rows.iter().zip(bodies), |mut row, (notice, body)| {
        row.push_bind(notice.id.clone())
            .push_bind(notice.alert.id.clone())
            .push_bind(notice.receiver.clone())
            .push_bind(notice_status(notice.status))
            .push_bind(notice.at.as_millis())
            .push_bind("pending")
            .push_bind(0_i64)
            .push_bind(0_i64)
            .push_bind(body);
    });
    insert.push(" on conflict (id) do nothing");
    insert.build().execute(connection).await?;
    Ok(())
}

/// Everything that a new process goes on from.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Notice, attempts, age.
    pub(crate) notices: Vec<(Notice, u32, Duration)>,
}

impl Pending {
    /// The notices that are not delivered, in the order of telling.
    pub(crate) async fn load(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let rows = sqlx::query("select body, attempts, age_ms from outbox where state = 'pending' order by number")
            .fetch_all(connection)
            .await?;
        let mut notices = Vec::with_capacity(rows.len());
        for row in rows {
            let attempts = u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX);
            let age = u64::try_from(row.try_get::<i64, _>("age_ms")?).unwrap_or(0);
            notices.push((body(&row)?, attempts, Duration::from_millis(age)));
        }
        Ok(Self { notices })
    }
}

/// Forgets findings and alerts that closed, and notices that were done with, before these instants.
pub(crate) async fn retain(
    connection: &mut SqliteConnection,
    findings_before: Timestamp,
    notices_before: Timestamp,
) -> Result<(), StoreError> {
    let statements = [
        ("delete from finding where state = 'closed' and closed_at < ?", findings_before),
        ("delete from alert where state = 'resolved' and resolved_at < ?", findings_before),
        ("delete from outbox where state <> 'pending' and done_at < ?", notices_before),
    ];
    for (statement, before) in statements {
        sqlx::query(statement).bind(before.as_millis()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The rows a query finds, by their bodies.
pub(crate) async fn bodies<T: serde::de::DeserializeOwned>(
    query: &mut QueryBuilder<Sqlite>,
    pool: &sqlx::SqlitePool,
) -> Result<Vec<T>, StoreError> {
    let rows = query.build().fetch_all(pool).await?;
    rows.iter().map(body).collect()
}

fn body<T: serde::de::DeserializeOwned>(row: &SqliteRow) -> Result<T, StoreError> {
    let text: &str = row.try_get("body")?;
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable(error.to_string()))
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unreadable(error.to_string()))
}

/// The contract's word.
pub(crate) fn finding_state(state: FindingState) -> &'static str {
    match state {
        FindingState::Open => "open",
        FindingState::Closed => "closed",
    }
}

/// The contract's word.
pub(crate) fn alert_state(state: AlertState) -> &'static str {
    match state {
        AlertState::Pending => "pending",
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    }
}

fn notice_status(status: NoticeStatus) -> &'static str {
    match status {
        NoticeStatus::Firing => "firing",
        NoticeStatus::Resolved => "resolved",
    }
}
