//! What outlives the process: samples in `history.db`; findings, alerts, notices and the canary's ledger in
//! `ledger.db`.
//!
//! Commit, then tell: a transition and its notices are one transaction, and the notices leave after it. While the
//! database is down they leave from memory, and everything but samples is written when it is back. Nobody who offers
//! something waits for the disk.

mod canary_history;
mod dictionary;
mod error;
mod file;
mod history;
mod keeper;
mod ledger;
mod outbox;
mod reads;
mod recorder;
mod samples;
mod series;
mod transitions;

#[cfg(test)]
pub(crate) mod samples_for_tests;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row, SqlitePool};
use tokio::sync::{mpsc, oneshot, watch};

pub use error::StoreError;
pub use history::{Column, History, HistoryQuery, SeriesQuery};
pub use outbox::{Delivery, Due, DueNotice};
pub use reads::{DeliveryRow, FindingQuery, Page};
pub use samples::{RecentCommit, RecentTurn, RecentWatermark};

use crate::alert::Step;
use crate::audit::{ClassSummary, Lineage};
use crate::finding::Finding;
use crate::model::{ClusterName, Moment, Timestamp};
use crate::observe::Observation;
use file::{File, Which};
use keeper::{Keeper, Order, Write};
use recorder::{Recorder, Sample};

/// Turns of samples that may wait for the disk; one more is dropped and counted.
const SAMPLES_WAITING: usize = 8;

/// Where the files are and how long what is in them is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The directory of the two files; it is created where there is none.
    pub data: PathBuf,
    /// How long samples are kept.
    pub samples: Duration,
    /// How long closed findings and resolved alerts are kept.
    pub findings: Duration,
    /// How long notices are kept after they were delivered or given up.
    pub deliveries: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./kustody-data"),
            samples: Duration::from_secs(24 * 3600),
            findings: Duration::from_secs(90 * 24 * 3600),
            deliveries: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl Options {
    /// What is wrong with the options: key and remedy.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.data.as_os_str().is_empty() {
            problems.push("storage.data: must name a directory".to_owned());
        }
        problems
    }
}

/// What one turn leaves to be kept.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    /// What was read; none for a turn that the canary caused.
    pub observation: Option<Arc<Observation>>,
    /// How the canary of the same cluster stands; kept only beside an observation.
    pub canary: Vec<ClassSummary>,
    /// Findings that are new or different.
    pub findings: Vec<Finding>,
    /// Alerts that are new or different, and what is to be told.
    pub step: Step,
}

/// How one file does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileStatus {
    /// Its size in bytes, its write-ahead log included.
    pub bytes: u64,
    /// Transactions that were written.
    pub written: u64,
    /// Turns of samples that were not even tried.
    pub dropped: u64,
    /// Transactions that failed; of the ledger, each is tried again.
    pub failed: u64,
    /// Notices that are not delivered.
    pub pending: usize,
    /// Why it is not being written, if so.
    pub trouble: Option<String>,
}

/// How both files do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `history.db`.
    pub history: FileStatus,
    /// `ledger.db`.
    pub ledger: FileStatus,
}

impl Status {
    /// Why something is not being written, if so.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let named = |name: &str, status: &FileStatus| status.trouble.as_ref().map(|why| format!("{name}: {why}"));
        named("ledger.db", &self.ledger).or_else(|| named("history.db", &self.history))
    }
}

/// The open store. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    options: Arc<Options>,
    samples: mpsc::Sender<recorder::Order>,
    orders: mpsc::UnboundedSender<Order>,
    history_status: watch::Sender<FileStatus>,
    ledger_status: watch::Receiver<FileStatus>,
    wake: watch::Receiver<u64>,
    history: SqlitePool,
    ledger: SqlitePool,
    #[cfg(test)]
    limits: Arc<[watch::Sender<Option<u32>>; 2]>,
}

impl Store {
    /// Opens both files, brings them to this version, and starts a writer for each on the current runtime.
    ///
    /// # Errors
    /// [`StoreError::Open`] where a file cannot be used, [`StoreError::Corrupt`] where it is damaged.
    pub async fn open(options: Options) -> Result<Self, StoreError> {
        tokio::fs::create_dir_all(&options.data)
            .await
            .map_err(|error| StoreError::Open { path: options.data.clone(), source: sqlx::Error::Io(error) })?;
        let (history_limit, history_pages) = watch::channel(None);
        let (ledger_limit, ledger_pages) = watch::channel(None);
        let history_file = File::open(Which::History, &options.data, history_pages).await?;
        let ledger_file = File::open(Which::Ledger, &options.data, ledger_pages).await?;
        let (history, ledger) = (history_file.readers(), ledger_file.readers());

        let (orders, ordered) = mpsc::unbounded_channel();
        let (keeper_status, ledger_status) = watch::channel(FileStatus::default());
        let (waker, wake) = watch::channel(0);
        let keeper = Keeper::new(ledger_file, ordered, keeper_status, waker).await?;

        let (samples, sampled) = mpsc::channel(SAMPLES_WAITING);
        let history_status = watch::Sender::new(FileStatus::default());
        let recorder = Recorder::new(history_file, sampled, history_status.clone()).await?;
        tokio::spawn(keeper.run());
        tokio::spawn(recorder.run());
        #[cfg(not(test))]
        drop((history_limit, ledger_limit));
        Ok(Self {
            options: Arc::new(options),
            samples,
            orders,
            history_status,
            ledger_status,
            wake,
            history,
            ledger,
            #[cfg(test)]
            limits: Arc::new([history_limit, ledger_limit]),
        })
    }

    /// Takes over one turn; never waits. Samples are dropped, and counted, when the disk does not keep up; findings,
    /// alerts and notices never are.
    pub fn offer(&self, turn: Turn) {
        let Turn { observation, canary, findings, step } = turn;
        if !(findings.is_empty() && step.changed.is_empty() && step.notices.is_empty()) {
            // A closed store keeps nothing any more: whoever closes it has stopped the turns before.
            self.orders.send(Order::Offer { findings, step }).ok();
        }
        let Some(observation) = observation else { return };
        // In trouble one turn waits, not eight: they are large, and the gap is there already.
        let in_trouble = self.history_status.borrow().trouble.is_some();
        let no_room = in_trouble && self.samples.capacity() < SAMPLES_WAITING;
        if no_room || self.samples.try_send(recorder::Order::Keep(Sample { observation, canary })).is_err() {
            self.history_status.send_modify(|status| status.dropped += 1);
        }
    }

    /// How the files do.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { history: self.history_status.borrow().clone(), ledger: self.ledger_status.borrow().clone() }
    }

    /// The queue of notices.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox { orders: self.orders.clone(), wake: self.wake.clone() }
    }

    /// The lineage of the canary on this cluster: the stored one, or `fresh`, which is then stored and durable.
    ///
    /// # Errors
    /// Where it could not be stored or read: then no canary may be sent.
    pub async fn lineage(&self, cluster: &ClusterName, fresh: Lineage) -> Result<Lineage, StoreError> {
        self.durably(Write::Lineage { cluster: cluster.clone(), lineage: fresh }).await?;
        let row = sqlx::query("select lineage from lineage where cluster = ?")
            .bind(cluster.as_str())
            .fetch_one(&self.ledger)
            .await?;
        let bytes: &[u8] = row.try_get("lineage")?;
        let bytes = bytes.try_into().map_err(|_| StoreError::Unreadable("a lineage has 16 bytes".to_owned()))?;
        Ok(Lineage(bytes))
    }

    /// Deletes what is older than the options say; meant to be called hourly.
    ///
    /// # Errors
    /// Where a file could not be written; the next call does it then.
    pub async fn retain(&self, now: Timestamp) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        let order = recorder::Order::Retain { before: now - self.options.samples, reply };
        self.samples.send(order).await.map_err(|_| StoreError::Closed)?;
        let history = done.await.map_err(|_| StoreError::Closed)?;
        let findings_before = now - self.options.findings;
        let notices_before = now - self.options.deliveries;
        self.durably(Write::Retain { findings_before, notices_before }).await?;
        history
    }

    /// Writes what is pending and closes the files. Clones of the store keep nothing after it.
    pub async fn close(self) {
        let (reply, closed) = oneshot::channel();
        // A writer that is gone already has nothing to close.
        if self.samples.send(recorder::Order::Close { reply }).await.is_ok() {
            closed.await.ok();
        }
        let (reply, closed) = oneshot::channel();
        if self.orders.send(Order::Close { reply }).is_ok() {
            closed.await.ok();
        }
        self.history.close().await;
        self.ledger.close().await;
    }

    /// Returns after the fsync.
    async fn durably(&self, write: Write) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        self.orders.send(Order::Durably { write, reply }).map_err(|_| StoreError::Closed)?;
        done.await.map_err(|_| StoreError::Closed)?
    }
}

/// The queue of notices, for whoever delivers them.
#[derive(Clone, Debug)]
pub struct Outbox {
    orders: mpsc::UnboundedSender<Order>,
    wake: watch::Receiver<u64>,
}

impl Outbox {
    /// What may be delivered to the receiver now.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after the store was closed.
    pub async fn next_due(&self, receiver: &str, now: Moment) -> Result<Due, StoreError> {
        let (reply, due) = oneshot::channel();
        let order = Order::Due { receiver: receiver.to_owned(), now, reply };
        self.orders.send(order).map_err(|_| StoreError::Closed)?;
        due.await.map_err(|_| StoreError::Closed)
    }

    /// Notes how an attempt ended; never waits, and is written with the next transaction.
    pub fn record_attempt(&self, id: &str, now: Moment, delivery: Delivery) {
        // After the store was closed the attempt is forgotten, and the notice repeated at the next start.
        self.orders.send(Order::Record { id: id.to_owned(), now, delivery }).ok();
    }

    /// The ids of notices for receivers that are not among `names`: those that left the configuration.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after the store was closed.
    pub async fn strangers(&self, names: Vec<String>) -> Result<Vec<String>, StoreError> {
        let (reply, ids) = oneshot::channel();
        self.orders.send(Order::Strangers { names, reply }).map_err(|_| StoreError::Closed)?;
        ids.await.map_err(|_| StoreError::Closed)
    }

    /// Waits until more may be due than at the last call.
    ///
    /// # Errors
    /// [`StoreError::Closed`] after the store was closed.
    pub async fn changed(&mut self) -> Result<(), StoreError> {
        self.wake.changed().await.map_err(|_| StoreError::Closed)
    }
}
