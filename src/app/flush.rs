//! Writes the canary's ledger, one transaction at a time, and lets nothing be sent whose reservation is not on disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::journal::Journal;
use super::pacer::Block;
use crate::audit::{Ledger, LedgerChanges, Step};
use crate::model::{ClusterName, Moment};
use crate::store::{Store, StoreError};

/// The longest time an outcome stays out of the database.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// How long a ledger that was not written is left alone.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct Running {
    task: JoinHandle<Result<(), StoreError>>,
    blocks: Vec<Block>,
}

/// The way of the ledger's changes to the disk.
pub(super) struct Flusher {
    cluster: ClusterName,
    store: Store,
    running: Option<Running>,
    /// Changes that are being written, or that the store refused: they go before any newer ones.
    unsaved: Option<Arc<LedgerChanges>>,
    /// Blocks whose reservation is not being written yet.
    waiting: Vec<Block>,
    at: Duration,
    /// After a failure nothing is tried before this; the pause doubles up to [`LONGEST_PAUSE`].
    retry_at: Duration,
    pause: Duration,
    /// Why the last transaction failed, until one succeeds.
    trouble: Option<String>,
    pub(super) journal: Journal,
}

impl Flusher {
    pub(super) fn new(cluster: ClusterName, store: Store, journal: Journal) -> Self {
        Self {
            cluster,
            store,
            running: None,
            unsaved: None,
            waiting: Vec::new(),
            at: Duration::ZERO,
            retry_at: Duration::ZERO,
            pause: FIRST_PAUSE,
            trouble: None,
            journal,
        }
    }

    /// Takes a block that the ledger just reserved.
    pub(super) fn reserve(&mut self, block: Block) {
        self.waiting.push(block);
    }

    /// Begins to write when it is time, `urgent`, or a reservation waits. Returns blocks that may be sent because there
    /// was nothing to write.
    pub(super) fn begin_when_due(&mut self, ledger: &mut Ledger, now: Moment, urgent: bool) -> Vec<Block> {
        let wanted = urgent || !self.waiting.is_empty() || now.mono >= self.at + FLUSH_EVERY;
        let due = wanted && now.mono >= self.retry_at;
        if due && self.running.is_none() { self.begin(ledger, now) } else { Vec::new() }
    }

    fn begin(&mut self, ledger: &mut Ledger, now: Moment) -> Vec<Block> {
        let (changes, blocks) = match self.unsaved.take() {
            // A reservation made since is not in these; its blocks wait for the next transaction.
            Some(changes) => (changes, Vec::new()),
            None => {
                self.journal.note(now, || Step::Taken);
                (Arc::new(ledger.take_changes()), std::mem::take(&mut self.waiting))
            }
        };
        self.at = now.mono;
        if changes.is_empty() {
            return blocks;
        }
        let (store, cluster, rows) = (self.store.clone(), self.cluster.clone(), Arc::clone(&changes));
        self.unsaved = Some(changes);
        let task = tokio::spawn(async move { store.commit_ledger(&cluster, rows).await });
        self.running = Some(Running { task, blocks });
        Vec::new()
    }

    /// The blocks whose reservation came on disk since the last call; does not wait.
    pub(super) async fn written(&mut self, now: Moment) -> Vec<Block> {
        if self.running.as_ref().is_some_and(|running| running.task.is_finished()) {
            self.end_of_transaction(now).await
        } else {
            Vec::new()
        }
    }

    async fn end_of_transaction(&mut self, now: Moment) -> Vec<Block> {
        let Some(running) = self.running.take() else { return Vec::new() };
        match running.task.await {
            Ok(Ok(())) => {
                self.journal.note(now, || Step::Kept);
                self.unsaved = None;
                self.pause = FIRST_PAUSE;
                self.trouble = None;
                return running.blocks;
            }
            // No reservation on disk, no sending: the pacer runs dry by itself.
            Ok(Err(error)) if self.trouble.is_none() => {
                self.trouble = Some(error.to_string());
                tracing::error!(%error, "the canary's ledger was not written, the canary pauses until it is");
            }
            Ok(Err(error)) => tracing::debug!(%error, "the canary's ledger was not written again"),
            Err(error) => {
                self.trouble = Some(error.to_string());
                tracing::error!(%error, "the writing of the ledger ended without a result");
            }
        }
        self.retry_at = now.mono + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.waiting.splice(0..0, running.blocks);
        Vec::new()
    }

    /// Why nothing is sent beyond what is reserved on disk already, if so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.as_ref().map(|why| format!("its ledger cannot be written: {why}"))
    }

    /// Writes all that is left, and waits for it.
    pub(super) async fn finish(&mut self, ledger: &mut Ledger, now: Moment) {
        // What is under way, then what came after it.
        for _ in 0..2 {
            drop(self.end_of_transaction(now).await);
            drop(self.begin(ledger, now));
        }
        drop(self.end_of_transaction(now).await);
        if self.unsaved.is_some() {
            tracing::error!(
                "the last part of the ledger was not written; its records are indeterminate at the next start"
            );
        }
    }
}
