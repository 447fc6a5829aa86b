//! The only writer of `history.db`: one transaction per turn, in rows that are appended.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, QueryBuilder, Row, Sqlite};
use tokio::sync::{mpsc, oneshot, watch};

use super::dictionary::{Dictionary, forget_series};
use super::file::File;
use super::keeper::Reply;
use super::samples::{LagPoint, encode_lag, encode_shape, encode_watermarks, millis};
use super::{FileStatus, StoreError};
use crate::audit::ClassSummary;
use crate::model::Timestamp;
use crate::observe::Observation;

/// Rows per statement: SQLite binds 32,766 values.
const ROWS: usize = 1_000;
/// Turns deleted per transaction: a long deletion would let samples wait.
const TURNS: i64 = 240;
/// The first and the longest pause between attempts to write.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// What one turn of a cluster leaves.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) observation: Arc<Observation>,
    pub(crate) canary: Vec<ClassSummary>,
}

/// What the recorder is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    Keep(Sample),
    Retain { before: Timestamp, reply: Reply },
    Close { reply: oneshot::Sender<()> },
}

struct LagRow {
    group: i64,
    shape: i64,
    records: Option<i64>,
    exact: bool,
    low_ms: Option<i64>,
    high_ms: Option<i64>,
    partitions: Vec<u8>,
}

/// The task's state.
pub(crate) struct Recorder {
    file: File,
    orders: mpsc::Receiver<Order>,
    /// Together: after a failed transaction the dictionary names rows that are not there.
    open: Option<(SqliteConnection, Dictionary)>,
    status: watch::Sender<FileStatus>,
}

impl Recorder {
    /// Loads the dictionary.
    pub(crate) async fn new(
        file: File,
        orders: mpsc::Receiver<Order>,
        status: watch::Sender<FileStatus>,
    ) -> Result<Self, StoreError> {
        let mut recorder = Self { file, orders, open: None, status };
        recorder.opened().await?;
        let bytes = recorder.file.bytes().await;
        recorder.status.send_modify(|status| status.bytes = bytes);
        Ok(recorder)
    }

    /// Runs until it is told to close, or nobody can tell it anything any more.
    pub(crate) async fn run(mut self) {
        let mut closing = None;
        while let Some(order) = self.orders.recv().await {
            match order {
                Order::Keep(sample) => self.keep(&sample).await,
                Order::Retain { before, reply } => {
                    let result = self.retain(before).await;
                    self.judge(&result).await;
                    // Whoever asked may have stopped waiting.
                    reply.send(result).ok();
                }
                Order::Close { reply } => {
                    closing = Some(reply);
                    break;
                }
            }
        }
        if let Some((connection, _)) = self.open.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the history was not closed in order; its log is replayed at the next start");
        }
        if let Some(reply) = closing {
            reply.send(()).ok();
        }
    }

    async fn keep(&mut self, sample: &Sample) {
        let mut pause = PAUSE.0;
        loop {
            let result = self.write(sample).await;
            self.judge(&result).await;
            match result {
                Err(error) if error.is_passing() && !self.orders.is_closed() => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                    // A newer turn waits: this one is the gap.
                    if !self.orders.is_empty() {
                        self.status.send_modify(|status| status.dropped += 1);
                        return;
                    }
                }
                Ok(()) | Err(_) => return,
            }
        }
    }

    async fn judge(&mut self, result: &Result<(), StoreError>) {
        let bytes = self.file.bytes().await;
        match result {
            Ok(()) => self.status.send_modify(|status| {
                if status.trouble.take().is_some() {
                    tracing::info!("history is written again");
                }
                status.bytes = bytes;
                status.written += 1;
            }),
            Err(error) => {
                // After an error the connection and the dictionary are given up.
                if let Some((connection, _)) = self.open.take() {
                    connection.close().await.ok();
                }
                self.status.send_modify(|status| {
                    if status.trouble.is_none() {
                        tracing::error!(error = %error.in_full(), "history cannot be written, there will be a gap");
                    }
                    status.bytes = bytes;
                    status.failed += 1;
                    status.trouble = Some(error.in_full());
                });
            }
        }
    }

    async fn opened(&mut self) -> Result<(&mut File, &mut SqliteConnection, &mut Dictionary), StoreError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let mut connection = self.file.writer().await?;
                let dictionary = Dictionary::load(&mut connection).await?;
                (connection, dictionary)
            }
        };
        let (connection, dictionary) = self.open.insert(open);
        Ok((&mut self.file, connection, dictionary))
    }

    async fn write(&mut self, sample: &Sample) -> Result<(), StoreError> {
        let (file, connection, dictionary) = self.opened().await?;
        file.limit(connection).await?;
        let observation = sample.observation.as_ref();
        dictionary.next_turn += 1;
        let turn = dictionary.next_turn;
        let cluster = dictionary.cluster(&observation.cluster).id;
        let lag = lag_rows(dictionary, observation, turn);
        let mut watermarks = Vec::with_capacity(observation.topics.len());
        for topic in observation.topics.values() {
            if let Some(bytes) = encode_watermarks(topic) {
                watermarks.push((dictionary.topic(&observation.cluster, (topic.name.clone(), topic.id), turn), bytes));
            }
        }

        let mut transaction = connection.begin_with("begin immediate").await?;
        dictionary.write_new(&mut transaction, turn).await?;
        sqlx::query("insert into turn (id, cluster, started, finished, complete) values (?, ?, ?, ?, ?)")
            .bind(turn)
            .bind(cluster)
            .bind(observation.started.as_millis())
            .bind(observation.finished.as_millis())
            .bind(i64::from(observation.complete))
            .execute(&mut *transaction)
            .await?;
        write_lag(&mut transaction, turn, &lag).await?;
        for rows in watermarks.chunks(ROWS) {
            let mut insert = QueryBuilder::<Sqlite>::new("insert into watermark (turn, topic_series, partitions) ");
            insert.push_values(rows, |mut row, (topic, partitions)| {
                row.push_bind(turn).push_bind(*topic).push_bind(partitions.clone());
            });
            insert.build().persistent(false).execute(&mut *transaction).await?;
        }
        for class in &sample.canary {
            let body = serde_json::to_string(class).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            sqlx::query("insert into canary (turn, class, body) values (?, ?, ?)")
                .bind(turn)
                .bind(class.class.as_str())
                .bind(body)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes the turns that ended before, and the series that no turn is left of.
    async fn retain(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let (file, connection, dictionary) = self.opened().await?;
        file.limit(connection).await?;
        let row = sqlx::query(
            "select coalesce(min(id), 0) as first, (select max(id) from turn where finished < ?) as last from turn",
        )
        .bind(before.as_millis())
        .fetch_one(&mut *connection)
        .await?;
        let (mut from, last): (i64, Option<i64>) = (row.try_get("first")?, row.try_get("last")?);
        let Some(last) = last else { return Ok(()) };
        while from <= last {
            let to = last.min(from + TURNS - 1);
            let mut transaction = connection.begin_with("begin immediate").await?;
            for statement in [
                "delete from lag where turn between ? and ?",
                "delete from watermark where turn between ? and ?",
                "delete from canary where turn between ? and ?",
                "delete from turn where id between ? and ?",
            ] {
                sqlx::query(statement).bind(from).bind(to).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            from = to + 1;
        }
        forget_series(connection, dictionary, last).await
    }
}

fn lag_rows(dictionary: &mut Dictionary, observation: &Observation, turn: i64) -> Vec<LagRow> {
    let cluster = &observation.cluster;
    let mut rows = Vec::with_capacity(observation.groups.len());
    for view in observation.groups.values() {
        // Commits of an earlier turn, shown with their age, are no sample of this one.
        if view.as_of < observation.started {
            continue;
        }
        let group = dictionary.group(cluster, &view.group, turn);
        let partitions = encode_shape(view.partitions.iter().map(|partition| {
            let topic = (partition.at.topic.clone(), partition.topic_id);
            (dictionary.topic(cluster, topic, turn), partition.at.partition)
        }));
        let (low, high) = millis(view.time_lag);
        let signed = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
        rows.push(LagRow {
            group,
            shape: dictionary.shape(group, partitions),
            records: signed(view.lag_records),
            exact: view.lag_records_exact,
            low_ms: signed(low),
            high_ms: signed(high),
            partitions: encode_lag(view.partitions.iter().map(LagPoint::of)),
        });
    }
    rows
}

async fn write_lag(connection: &mut SqliteConnection, turn: i64, rows: &[LagRow]) -> Result<(), StoreError> {
    for rows in rows.chunks(ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "insert into lag (turn, group_series, shape, lag_records, lag_is_exact, lag_low_ms, lag_high_ms, partitions) ",
        );
        insert.push_values(rows, |mut row, lag| {
            row.push_bind(turn)
                .push_bind(lag.group)
                .push_bind(lag.shape)
                .push_bind(lag.records)
                .push_bind(i64::from(lag.exact))
                .push_bind(lag.low_ms)
                .push_bind(lag.high_ms)
                .push_bind(lag.partitions.clone());
        });
        insert.build().persistent(false).execute(&mut *connection).await?;
    }
    Ok(())
}
