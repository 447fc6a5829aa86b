//! Histories of real clusters, replayed: the same verdicts as then, and the same ones whatever crashes are put between.
//!
//! `tests/histories/NAME.jsonl` is a journal (`canary.journal`) with one more line in front: what the brokers' own logs said,
//! read back when it was over. The scoreboard writes them (`HISTORIES=directory RATE=3`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;
use crate::model::Moment;

/// The first line of a history: the truth by the logs.
#[derive(Debug, Deserialize)]
struct Truth {
    /// By class and word of the contract: what the counts have to be at the end. `lost` includes what was truncated after
    /// delivery.
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

struct History {
    name: String,
    truth: Truth,
    lines: Vec<JournalLine>,
}

fn histories() -> Vec<History> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let entries = std::fs::read_dir(directory).expect("the histories are there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths.iter().map(|path| history(path)).collect()
}

fn history(path: &Path) -> History {
    let text = std::fs::read_to_string(path).expect("a history is readable");
    let mut lines = text.lines();
    let truth = serde_json::from_str(lines.next().unwrap_or_default()).expect("the truth comes first");
    let lines = lines.map(|line| serde_json::from_str(line).expect("a line of a journal")).collect();
    History { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), truth, lines }
}

/// A ledger and its disk.
#[derive(Default)]
struct Replay {
    ledger: Option<Ledger>,
    taken: LedgerChanges,
    saved: SavedLedger,
    began: bool,
}

impl Replay {
    fn step(&mut self, line: &JournalLine) {
        let at = line.at;
        if let Step::Begun { options, lineage, incarnation } = line.step {
            self.ledger = Some(if self.began {
                Ledger::restore(self.saved.clone(), options, lineage, incarnation, at)
            } else {
                Ledger::new(options, lineage, incarnation, at)
            });
            self.began = true;
            return;
        }
        let ledger = self.ledger.as_mut().expect("a journal begins with a process");
        match &line.step {
            Step::Begun { .. } => {}
            Step::Reserved { class, partition, number } => drop(ledger.reserve(*class, *partition, *number)),
            Step::Released { class, partition } => ledger.release(*class, *partition),
            Step::Happened(event) => ledger.apply(event.clone(), at),
            Step::Asked => drop(ledger.questions(at)),
            Step::Taken => self.taken = ledger.take_changes(),
            Step::Kept => self.saved.write(std::mem::take(&mut self.taken)),
        }
    }

    /// The process dies here and is there again at once: all that had no outcome is indeterminate, no loss, no duplicate.
    fn crash(&mut self, at: Moment) {
        let Some(ledger) = &self.ledger else { return };
        let (options, lineage, incarnation) = (ledger.options, ledger.lineage, ledger.incarnation);
        // The journal's later lines belong to this incarnation, so it is not another one that goes on.
        self.ledger = Some(Ledger::restore(self.saved.clone(), options, lineage, incarnation, at));
    }

    /// The counts of a class by the words of the truth.
    fn count(&self, class: &str, word: &str) -> u64 {
        let class = CanaryClass::from_word(class).expect("a class");
        let ledger = self.ledger.as_ref().expect("it began");
        let counts = serde_json::to_value(ledger.summary(class, ledger.started).counts).expect("counts are JSON");
        let of = |word: &str| counts[word].as_u64().expect("a count");
        if word == "lost" { of(word) + of("truncated_after_delivery") } else { of(word) }
    }
}

/// Words whose counts cannot change once the oracle has spoken: the journal goes on a little.
const FINAL: [&str; 5] = ["lost", "duplicated", "expired", "phantom", "aborted_visible"];

#[test]
fn a_history_leads_to_the_verdicts_that_the_logs_bear_out() {
    let histories = histories();
    assert!(!histories.is_empty(), "there are histories");
    for History { name, truth, lines } in &histories {
        let mut replay = Replay::default();
        lines.iter().for_each(|line| replay.step(line));
        for (class, counts) in &truth.counts {
            for word in FINAL {
                assert_eq!(replay.count(class, word), counts[word], "{name}: {class}: {word}");
            }
        }
    }
}

#[test]
fn no_crash_within_a_history_makes_a_loss_or_a_duplicate_up() {
    for History { name, truth, lines } in &histories() {
        for part in 1..8 {
            let at = lines.len() * part / 8;
            let mut replay = Replay::default();
            for (index, line) in lines.iter().enumerate() {
                if index == at && !matches!(line.step, Step::Begun { .. }) {
                    replay.crash(line.at);
                }
                replay.step(line);
            }
            for (class, counts) in &truth.counts {
                for word in ["lost", "duplicated", "phantom", "aborted_visible"] {
                    let (said, most) = (replay.count(class, word), counts[word]);
                    assert!(said <= most, "{name}: {class}: {said} {word} of {most} after a crash at line {at}");
                }
            }
        }
    }
}
