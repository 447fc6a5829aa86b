//! Writes down what the canary's ledger is told, where the operator asks for it: with the file a verdict can be replayed.

use std::io::Write;
use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::audit::{JournalLine, Step};
use crate::model::Moment;

/// Lines that may wait for the disk.
const LINES_WAITING: usize = 16_384;
/// Where the file is cut off: a canary of one record a second fills it in about a week.
const BYTES_AT_MOST: usize = 1 << 28;

/// The way to the file; a journal that is not asked for, has failed or is full takes nothing.
#[derive(Debug, Default)]
pub(super) struct Journal {
    lines: Option<mpsc::Sender<Vec<u8>>>,
    left: usize,
}

impl Journal {
    /// Appends to the file, on a thread of its own.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let Some(path) = path else { return Self::default() };
        let (lines, mut waiting) = mpsc::channel::<Vec<u8>>(LINES_WAITING);
        tokio::task::spawn_blocking(move || {
            let mut write = || -> std::io::Result<()> {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
                let mut file = std::io::BufWriter::new(file);
                while let Some(line) = waiting.blocking_recv() {
                    file.write_all(&line)?;
                    if waiting.is_empty() {
                        file.flush()?;
                    }
                }
                Ok(())
            };
            if let Err(error) = write() {
                tracing::warn!(path = %path.display(), %error, "the canary's journal is not written any more");
            }
        });
        Self { lines: Some(lines), left: BYTES_AT_MOST }
    }

    /// Takes note of one call to the ledger. A line that finds no room ends the journal: one with a hole replays to
    /// something else.
    pub(super) fn note(&mut self, at: Moment, step: impl FnOnce() -> Step) {
        let Some(lines) = &self.lines else { return };
        let mut line = match serde_json::to_vec(&JournalLine { at, step: step() }) {
            Ok(line) => line,
            Err(error) => {
                tracing::warn!(%error, "the canary's journal ends: a line has no form");
                self.lines = None;
                return;
            }
        };
        line.push(b'\n');
        let fits = self.left.checked_sub(line.len());
        if let Some(left) = fits.filter(|_| lines.try_send(line).is_ok()) {
            self.left = left;
        } else {
            tracing::warn!("the canary's journal ends: it is full, or its disk too slow");
            self.lines = None;
        }
    }
}
