//! The end of every scenario: the daemon's counts against the oracle's, twice, then its findings and its own replay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use kustody::audit::{RecordKey, RecordRow};
use serde_json::Value;
use tokio::time::Instant;

use crate::daemon::Ledger;
use crate::oracle::{self, Truth, truth};
use crate::outcome::{ClassOutcome, Count, Outcome};
use crate::stage::{SOON, Stage, TOPIC, journal};
use crate::watch::Seen;

/// What the oracle and the daemon say of every class.
struct Compared {
    truths: BTreeMap<String, Truth>,
    seen: Seen,
    differences: Vec<String>,
}

impl Stage {
    /// Waits until canaries flow and all is judged, and holds the daemon against the oracle. The faults are over.
    pub(crate) async fn verdict(mut self) -> Outcome {
        let unreplayed = self.kills_over().await;
        self.until_whole().await;
        self.flow(30).await;
        let kills = self.run.kills;
        let mut outcome = self.judged().await;
        outcome.problems.extend(unreplayed);
        outcome.kills = kills.map_or(0, |plan| plan.times);
        outcome
    }

    /// As [`verdict`](Self::verdict), without waiting for replicas and canaries.
    pub(crate) async fn judged(mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let deadline = Instant::now() + SOON;
        let mut compared = self.compared().await;
        while !compared.differences.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(500)).await;
            compared = self.compared().await;
        }
        self.daemon.await_turns(3).await;
        let compared = self.compared().await;
        outcome.detection_seconds = self.detection();
        outcome.loss_steps = self.steps();
        outcome.problems.extend(compared.differences);
        outcome.problems.extend(compared.seen.broken.iter().map(|sum| format!("a sum did not hold: {sum}")));
        for (class, truth) in &compared.truths {
            outcome.problems.extend(self.findings_against(class, truth).await);
            outcome.classes.insert(class.clone(), class_outcome(class, truth, &compared.seen));
        }
        if let Some(directory) = std::env::var_os("SAMPLES") {
            self.keep_samples(Path::new(&directory)).await;
        }
        if let Some(peer) = &self.peer {
            outcome.peer = peer.verdict(&self.client).await;
        }
        outcome.problems.extend(self.called_blind().await);
        let false_ones = outcome.classes.iter().filter(|(_, class)| class.false_lost + class.false_duplicates > 0);
        let false_ones: Vec<String> = false_ones
            .map(|(name, class)| {
                format!("{name}: {} false lost, {} false duplicates", class.false_lost, class.false_duplicates)
            })
            .collect();
        outcome.problems.extend(false_ones);
        if !outcome.problems.is_empty() {
            self.keep_evidence(&outcome).await;
        }
        self.daemon.end().await;
        if let (Some(journal), true) = (journal(&self.run), outcome.problems.is_empty()) {
            keep_history(&journal, &outcome);
        }
        let replayed = replay_against_sums(&self.daemon.ledger()).await;
        if outcome.problems.is_empty() && !replayed.is_empty() {
            self.keep_evidence(&outcome).await;
        }
        outcome.problems.extend(replayed);
        outcome
    }

    /// Keeps the first finding of each kind and grade, and the first record of each state, that no earlier run has kept.
    async fn keep_samples(&self, directory: &Path) {
        std::fs::create_dir_all(directory).expect("the directory of the samples can be made");
        let keep = |name: String, sample: Value| {
            let file = directory.join(name);
            if !file.exists() {
                std::fs::write(&file, format!("{sample:#}\n")).expect("the directory of the samples is writable");
            }
        };
        for finding in self.daemon.findings().await {
            let name = format!("finding-{}-{}.json", text(&finding["kind"]), text(&finding["grade"]));
            keep(name, finding);
        }
        for row in self.daemon.records().await {
            keep(format!("record-{}.json", oracle::word(&row)), serde_json::json!(row));
        }
    }

    /// Our own readers that were called blind, though nobody forbade them anything.
    async fn called_blind(&self) -> Vec<String> {
        let blind = self.daemon.findings_of("monitor_blind").await.into_iter().filter(|one| one["topic"] == TOPIC);
        let told = blind.map(|finding| format!("a false alarm: {}", finding["summary"].as_str().unwrap_or_default()));
        if self.may_be_blind { Vec::new() } else { told.collect() }
    }

    /// Takes both accounts anew: on a busy machine what is under way now may have got a fate of its own since the last.
    async fn compared(&self) -> Compared {
        let (mut truths, mut differences) = (BTreeMap::new(), Vec::new());
        let settled = match self.settled().await {
            Ok(rows) => rows,
            Err(problem) => {
                differences.push(problem);
                self.daemon.records().await
            }
        };
        let keys: BTreeSet<RecordKey> = settled.iter().map(|row| row.key).collect();
        // Every acknowledgement on disk was there before the logs are read, and every verdict is read after them.
        let logs = self.logs().await;
        let mut rows = self.daemon.records().await;
        rows.retain(|row| keys.contains(&row.key));
        // A whole round of the witness after the rows, so that it saw what they say.
        let answers = self.seen().answers;
        let seen = self.until_seen("the canary is asked for", |seen| seen.answers > answers + 1).await;
        for class in &self.run.classes {
            let truth = truth(class, &rows, &logs);
            for (word, want) in &truth.counts {
                let said = said(&seen, class, word);
                if said != *want {
                    differences.push(format!("{class}: {word} is {want}, the daemon says {said}"));
                }
            }
            for (what, keys) in
                [("called lost and in the log", &truth.called_lost), ("lost and not called so", &truth.not_called_lost)]
            {
                if let Some(first) = keys.first() {
                    let row = rows.iter().find(|row| row.key == *first);
                    differences.push(format!("{class}: {} {what}, such as {row:?}", keys.len()));
                }
            }
            truths.insert(class.clone(), truth);
        }
        Compared { truths, seen, differences }
    }

    /// What the findings of losses and duplicates say otherwise than the oracle.
    async fn findings_against(&self, class: &str, truth: &Truth) -> Vec<String> {
        let findings = self.daemon.findings().await;
        let of = |kinds: &[&str]| -> Vec<&Value> {
            let is_of = |finding: &&Value| {
                finding["canary_class"] == class && finding["kind"].as_str().is_some_and(|kind| kinds.contains(&kind))
            };
            findings.iter().filter(is_of).collect()
        };
        let sum = |findings: &[&Value]| findings.iter().filter_map(|finding| finding["count"].as_u64()).sum::<u64>();
        let losses = of(&["canary_lost", "canary_truncated_after_delivery"]);
        let mut offsets = BTreeSet::new();
        for finding in &losses {
            let partition = finding["partition"].as_i64().and_then(|index| i32::try_from(index).ok()).unwrap_or(-1);
            let list = finding["evidence"]["lost_offsets"].as_array();
            offsets.extend(list.into_iter().flatten().filter_map(Value::as_i64).map(|offset| (partition, offset)));
        }
        let mut problems = Vec::new();
        let (told, lost) = (sum(&losses), truth.counts.get("lost").copied().unwrap_or_default());
        if told != lost {
            problems.push(format!("{class}: the findings count {told} lost, the oracle {lost}"));
        }
        if class != "acks0" && offsets != truth.lost_offsets {
            let wrong: Vec<_> = offsets.symmetric_difference(&truth.lost_offsets).take(5).collect();
            problems.push(format!("{class}: offsets of findings and oracle differ, such as {wrong:?}"));
        }
        let (told, extra) = (sum(&of(&["canary_duplicated"])), truth.counts.get("duplicated").copied().unwrap_or(0));
        if told != extra {
            problems.push(format!("{class}: the findings count {told} duplicates, the oracle {extra}"));
        }
        problems
    }
}

/// Puts what the oracle found before the journal of the run: a history to be replayed.
fn keep_history(journal: &Path, outcome: &Outcome) {
    let counts: BTreeMap<&String, BTreeMap<&String, u64>> = outcome
        .classes
        .iter()
        .map(|(name, class)| (name, class.counts.iter().map(|(word, count)| (word, count.oracle)).collect()))
        .collect();
    let truth = serde_json::json!({ "counts": counts });
    let lines = std::fs::read_to_string(journal).expect("the daemon has kept its journal");
    std::fs::write(journal.with_extension("jsonl"), format!("{truth}\n{lines}")).expect("it can be written there");
    std::fs::remove_file(journal).expect("it was read");
}

/// A word of an answer.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The daemon's count for a word of the oracle's.
fn said(seen: &Seen, class: &str, word: &str) -> u64 {
    match word {
        "lost" => seen.count(class, "lost") + seen.count(class, "truncated_after_delivery"),
        word => seen.count(class, word),
    }
}

fn class_outcome(class: &str, truth: &Truth, seen: &Seen) -> ClassOutcome {
    let count = |word: &str| truth.counts.get(word).copied().unwrap_or_default();
    let ever_lost = seen.most(class, "lost") + seen.most(class, "truncated_after_delivery");
    let beyond = ever_lost.saturating_sub(count("lost") + seen.count(class, "resurfaced"));
    let called = u64::try_from(truth.called_lost.len()).expect("a count");
    ClassOutcome {
        sent: seen.count(class, "sent"),
        acked: truth.acked,
        counts: truth
            .counts
            .iter()
            .map(|(word, oracle)| (word.clone(), Count { oracle: *oracle, said: said(seen, class, word) }))
            .collect(),
        false_lost: called.max(beyond),
        missed_lost: u64::try_from(truth.not_called_lost.len()).expect("a count"),
        false_duplicates: seen.most(class, "duplicated").saturating_sub(count("duplicated")),
        late: seen.count(class, "late"),
        overdue_most: seen.most(class, "overdue"),
        rejected: seen.count(class, "rejected"),
        indeterminate: seen.count(class, "indeterminate"),
    }
}

/// The rows of one class.
pub(crate) fn of_class<'a>(rows: &'a [RecordRow], class: &'a str) -> impl Iterator<Item = &'a RecordRow> {
    rows.iter().filter(move |row| row.key.class.as_str() == class)
}

/// Where the sums on disk are not those of the records on disk.
pub(crate) async fn replay_against_sums(ledger: &Ledger) -> Vec<String> {
    let rows = ledger.records().await;
    let mut problems = Vec::new();
    for class in ledger.sums().await {
        let counts = serde_json::to_value(class.counts).expect("counts are JSON");
        let of_class = rows.iter().filter(|row| row.key.class == class.class);
        let mut tally: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |word: &str| *tally.entry(word.to_owned()).or_default() += 1;
        for row in of_class {
            add("sent");
            match oracle::word(row).as_str() {
                "sent" => add("in_flight"),
                word @ ("rejected" | "phantom") => {
                    add("rejected");
                    if word == "phantom" {
                        add(word);
                    }
                }
                word => {
                    if word.starts_with("indeterminate") {
                        add("indeterminate");
                    }
                    add(word);
                }
            }
        }
        let words = ["sent", "in_flight", "pending", "delivered", "late", "lost", "truncated_after_delivery"];
        let more = ["expired", "untracked", "rejected", "phantom", "indeterminate", "indeterminate_delivered"];
        for word in words.into_iter().chain(more) {
            let (sum, records) = (counts[word].as_u64(), tally.get(word).copied().unwrap_or_default());
            if sum != Some(records) {
                problems.push(format!("{}: {word} on disk is {sum:?}, its records are {records}", class.class));
            }
        }
    }
    problems
}
