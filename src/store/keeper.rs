//! The only writer of `ledger.db`: keeps transitions, notices and the canary's ledger, and never makes anybody who
//! offers something wait for the disk.
//!
//! ```text
//!   offer ──► pending batch ── one transaction in flight ──► durable ──► notices may leave
//!                  ▲                        │ failed: put back, retried later
//!                  └────────────────────────┘ meanwhile notices leave from memory
//! ```

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::file::File;
use super::outbox::{Delivery, Due, Queue};
use super::transitions::{Batch, Pending, retain};
use super::{FileStatus, StoreError, ledger};
use crate::alert::Step;
use crate::audit::{LedgerChanges, Lineage};
use crate::finding::Finding;
use crate::model::{ClusterName, Moment, Timestamp};

/// A commit that takes longer lets the notices leave before it.
const STALLED: Duration = Duration::from_secs(2);
/// The first and the longest pause between attempts to write.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Who waits for a durable write.
pub(crate) type Reply = oneshot::Sender<Result<(), StoreError>>;

/// What the keeper is asked to do.
#[derive(Debug)]
pub(crate) enum Order {
    Offer { findings: Vec<Finding>, step: Step },
    Durably { write: Write, reply: Reply },
    Due { receiver: String, now: Moment, reply: oneshot::Sender<Due> },
    Record { id: String, now: Moment, delivery: Delivery },
    Strangers { names: Vec<String>, reply: oneshot::Sender<Vec<String>> },
    Close { reply: oneshot::Sender<()> },
}

/// A write somebody waits for.
#[derive(Debug)]
pub(crate) enum Write {
    Lineage { cluster: ClusterName, lineage: Lineage },
    Ledger { cluster: ClusterName, changes: Arc<LedgerChanges> },
    Retain { findings_before: Timestamp, notices_before: Timestamp },
}

impl Write {
    async fn run(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        match self {
            Self::Lineage { cluster, lineage } => {
                sqlx::query("insert into lineage (cluster, lineage) values (?, ?) on conflict (cluster) do nothing")
                    .bind(cluster.as_str())
                    .bind(lineage.0.as_slice())
                    .execute(connection)
                    .await?;
                Ok(())
            }
            Self::Ledger { cluster, changes } => ledger::write(connection, cluster, changes).await,
            Self::Retain { findings_before, notices_before } => {
                retain(connection, *findings_before, *notices_before).await
            }
        }
    }
}

/// What one transaction carries. Shared with its task, so that a panic there loses nothing.
#[derive(Debug, Default)]
struct Load {
    batch: Batch,
    writes: Vec<Write>,
}

struct InFlight {
    load: Arc<Load>,
    replies: Vec<Reply>,
    since: Instant,
    task: JoinHandle<Written>,
}

struct Written {
    connection: Option<SqliteConnection>,
    result: Result<(), StoreError>,
    bytes: u64,
}

/// The task's state.
pub(crate) struct Keeper {
    file: File,
    orders: mpsc::UnboundedReceiver<Order>,
    connection: Option<SqliteConnection>,
    load: Load,
    replies: Vec<Reply>,
    queue: Queue,
    in_flight: Option<InFlight>,
    from_memory: bool,
    pause: Duration,
    retry_at: Option<Instant>,
    status: watch::Sender<FileStatus>,
    wake: watch::Sender<u64>,
}

impl Keeper {
    /// Loads what is pending.
    pub(crate) async fn new(
        mut file: File,
        orders: mpsc::UnboundedReceiver<Order>,
        status: watch::Sender<FileStatus>,
        wake: watch::Sender<u64>,
    ) -> Result<Self, StoreError> {
        let mut connection = file.writer().await?;
        let mut queue = Queue::default();
        for (notice, attempts, age) in Pending::load(&mut connection).await?.notices {
            queue.push(Arc::new(notice), true, attempts, age);
        }
        let bytes = file.bytes().await;
        let depth = queue.len();
        status.send_modify(|status| {
            status.bytes = bytes;
            status.pending = depth;
        });
        Ok(Self {
            file,
            orders,
            connection: Some(connection),
            load: Load::default(),
            replies: Vec::new(),
            queue,
            in_flight: None,
            from_memory: false,
            pause: PAUSE.0,
            retry_at: None,
            status,
            wake,
        })
    }

    /// Runs until it is told to close, or nobody can tell it anything any more.
    pub(crate) async fn run(mut self) {
        let mut closing: Option<Option<oneshot::Sender<()>>> = None;
        loop {
            if self.in_flight.is_none() && self.retry_at.is_none() && !self.is_idle() {
                self.start();
            }
            // One failure at the end is enough: what is lost then is what a crash would lose.
            if closing.is_some() && self.in_flight.is_none() && (self.is_idle() || self.retry_at.is_some()) {
                break;
            }
            let in_flight = self.in_flight.is_some();
            let stalled_at = self.in_flight.as_ref().map(|flight| flight.since + STALLED);
            let retry_at = self.retry_at;
            tokio::select! {
                order = self.orders.recv(), if closing.is_none() => match order {
                    Some(Order::Close { reply }) => closing = Some(Some(reply)),
                    None => closing = Some(None),
                    Some(order) => self.obey(order),
                },
                written = landed(&mut self.in_flight), if in_flight => self.settle(written),
                () = until(stalled_at), if in_flight && !self.from_memory => self.tell_from_memory(true),
                () = until(retry_at), if retry_at.is_some() => self.retry_at = None,
            }
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the ledger was not closed in order; its log is replayed at the next start");
        }
        if let Some(Some(reply)) = closing {
            // Whoever asked may have stopped waiting.
            reply.send(()).ok();
        }
    }

    fn is_idle(&self) -> bool {
        self.load.batch.is_empty() && self.load.writes.is_empty()
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Offer { findings, step } => {
                for finding in findings {
                    self.load.batch.findings.insert(finding.id.clone(), finding);
                }
                for alert in step.changed {
                    self.load.batch.alerts.insert(alert.id.clone(), alert);
                }
                for notice in step.notices {
                    let notice = Arc::new(notice);
                    self.queue.push(Arc::clone(&notice), false, 0, Duration::ZERO);
                    self.load.batch.notices.push(notice);
                }
                if self.from_memory {
                    self.wake();
                }
            }
            Order::Durably { write, reply } => {
                self.load.writes.push(write);
                self.replies.push(reply);
                // Whoever waits decides for himself whether to try again: an answer now is better than the pause.
                self.retry_at = None;
            }
            // Whoever asked may have stopped waiting: so the answer may have nowhere to go.
            Order::Due { receiver, now, reply } => {
                reply.send(self.queue.due(&receiver, now, self.from_memory)).ok();
            }
            Order::Strangers { names, reply } => {
                reply.send(self.queue.strangers(&names)).ok();
            }
            Order::Record { id, now, delivery } => {
                if let Some(progress) = self.queue.record(&id, now, &delivery) {
                    self.load.batch.progress.insert(id, progress);
                }
            }
            Order::Close { reply } => drop(reply),
        }
        let depth = self.queue.len();
        self.status.send_if_modified(|status| std::mem::replace(&mut status.pending, depth) != depth);
    }

    fn start(&mut self) {
        let load = Arc::new(std::mem::take(&mut self.load));
        let connection = self.connection.take();
        let (mut file, carried) = (self.file.clone(), Arc::clone(&load));
        let task = tokio::spawn(async move {
            let (connection, result) = write(&mut file, connection, &carried).await;
            drop(carried);
            Written { connection, result, bytes: file.bytes().await }
        });
        let replies = std::mem::take(&mut self.replies);
        self.in_flight = Some(InFlight { load, replies, since: Instant::now(), task });
    }

    fn settle(&mut self, written: Written) {
        let Some(flight) = self.in_flight.take() else { return };
        self.connection = written.connection;
        match written.result {
            Ok(()) => {
                for notice in &flight.load.batch.notices {
                    self.queue.kept(&notice.id);
                }
                if self.pause > PAUSE.0 {
                    tracing::info!("the ledger is written again");
                }
                self.pause = PAUSE.0;
                self.status.send_modify(|status| {
                    status.bytes = written.bytes;
                    status.written += 1;
                    status.trouble = None;
                });
                for reply in flight.replies {
                    reply.send(Ok(())).ok();
                }
                self.tell_from_memory(false);
            }
            Err(error) => {
                if self.pause == PAUSE.0 {
                    tracing::error!(error = %error.in_full(), "the ledger cannot be written, notices leave from memory");
                }
                self.retry_at = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(PAUSE.1);
                self.status.send_modify(|status| {
                    status.failed += 1;
                    status.trouble = Some(error.in_full());
                });
                for reply in flight.replies {
                    reply.send(Err(error.again())).ok();
                }
                let load = Arc::try_unwrap(flight.load).map_or_else(|load| load.batch.clone(), |load| load.batch);
                self.load.batch.put_back(load);
                self.tell_from_memory(true);
            }
        }
    }

    fn tell_from_memory(&mut self, from_memory: bool) {
        self.from_memory = from_memory;
        self.wake();
    }

    fn wake(&self) {
        self.wake.send_modify(|turns| *turns += 1);
    }
}

async fn landed(in_flight: &mut Option<InFlight>) -> Written {
    let Some(flight) = in_flight else { return std::future::pending().await };
    (&mut flight.task).await.unwrap_or_else(|panic| Written {
        connection: None,
        result: Err(StoreError::Unreadable(panic.to_string())),
        bytes: 0,
    })
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One transaction. After an error the connection is given up: SQLite may or may not have rolled back by itself.
async fn write(
    file: &mut File,
    connection: Option<SqliteConnection>,
    load: &Load,
) -> (Option<SqliteConnection>, Result<(), StoreError>) {
    let opened = match connection {
        Some(connection) => Ok(connection),
        None => file.writer().await,
    };
    let mut connection = match opened {
        Ok(connection) => connection,
        Err(error) => return (None, Err(error)),
    };
    let written = async {
        file.limit(&mut connection).await?;
        let mut transaction = connection.begin_with("begin immediate").await?;
        load.batch.write(&mut transaction).await?;
        for write in &load.writes {
            write.run(&mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    };
    match written.await {
        Ok(()) => (Some(connection), Ok(())),
        Err(error) => {
            // The error to report is the first one.
            connection.close().await.ok();
            (None, Err(error))
        }
    }
}
