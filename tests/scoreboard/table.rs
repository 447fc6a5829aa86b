//! The table, as it is printed and as `docs/scoreboard.md` shows it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::outcome::ClassOutcome;
use crate::results::{Line, Verdict};
use crate::rows::ROWS;

const HEADER: &str = "| # | scenario | runs | passed | lost, oracle = daemon | duplicates, oracle = daemon | false lost | false duplicates | detection s, min / median / max | KMinion | remarks |\n\
                      |---|---|---|---|---|---|---|---|---|---|---|\n";

/// The whole document.
pub(crate) fn document(lines: &[Line]) -> String {
    format!(
        "# The scoreboard\n\n\
         `make scoreboard` plays each scenario on three real brokers of Apache Kafka and a controller of their own, with 50 canaries a\n\
         second and class around the fault, and holds every count of the daemon against an oracle: the acknowledgements on its disk, and the\n\
         logs of the brokers, read back record by record. It passes when no record is called lost or duplicated that is not, none is\n\
         missed, the contract's sums hold at every read, the findings name the same offsets, and the records on disk replay to the sums.\n\n\
         Where classes differ, counts are given by class. *Detection* counts from the first moment at which the cluster could answer (a\n\
         new leader is elected) to the last verdict in the answers of the API. This file is written by `make scoreboard`.\n\n\
         *KMinion* is measured where `PEER_KMINION` names its binary: its end-to-end test beside ours, on a topic of the same replicas,\n\
         through the same faults; what is really lost and copied is read back from that topic.\n\n\
         Commits of the binary: {}.\n\n{}",
        commits(lines),
        table(lines)
    )
}

/// The table alone.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = HEADER.to_owned();
    for row in ROWS {
        let all: Vec<&Line> = lines.iter().filter(|line| line.scenario == row.id).collect();
        let played: Vec<&Line> = all.iter().filter(|line| line.verdict != Verdict::NotRun).copied().collect();
        let passed = passed(&played);
        let remarks = if played.is_empty() {
            let reason = all.last().and_then(|line| line.outcome.problems.first()).cloned();
            reason.unwrap_or_default()
        } else {
            remarks(&played)
        };
        let sum = |of| sum(&played, of);
        let (lost, duplicated) = (sum(|class| class.false_lost), sum(|class| class.false_duplicates));
        let counts = [counts(&played, "lost"), counts(&played, "duplicated")];
        let cells = if played.is_empty() {
            ["–".to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned(), "–".to_owned()]
        } else {
            let [lost_counts, duplicate_counts] = counts;
            [lost_counts, duplicate_counts, lost.to_string(), duplicated.to_string(), delays(&played)]
        };
        let (id, fault) = (row.id, row.fault);
        let kminion = played.iter().rev().find_map(|line| peer(&line.outcome.peer)).unwrap_or_else(|| "–".to_owned());
        let cells = cells.join(" | ");
        writeln!(text, "| {id} | {fault} | {} | {passed} | {cells} | {kminion} | {remarks} |", played.len())
            .expect("a String takes all");
    }
    text
}

/// The document of the runs in which the daemon was killed.
pub(crate) fn soak_document(lines: &[Line]) -> String {
    format!(
        "# The auditor, killed\n\n\
         `make soak-kills` plays rows of [the scoreboard](scoreboard.md) while the daemon is killed (SIGKILL) and started again, ten times a run, at\n\
         moments from 0 to 1.5 s after it was ready. What each kill leaves on disk is copied and replayed: the sums have to be those of the\n\
         records. At the end every count is held against the oracle, as there. What it had sent and not yet noted is indeterminate.\n\n\
         Commits of the binary: {}.\n\n{}",
        commits(lines),
        soak(lines)
    )
}

/// The table of these runs.
pub(crate) fn soak(lines: &[Line]) -> String {
    let mut text = "| # | scenario | runs | passed | kills | lost, oracle = daemon | duplicates, oracle = daemon | false lost | false duplicates | indeterminate of sent | remarks |\n\
                    |---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for row in ROWS {
        let played: Vec<&Line> = lines.iter().filter(|line| line.scenario == row.id).collect();
        let Some(last) = played.last() else { continue };
        let passed = passed(&played);
        let kills: u32 = played.iter().map(|line| line.outcome.kills).sum();
        let sum = |of| sum(&played, of);
        let (id, fault, runs) = (row.id, row.fault, played.len());
        let (lost, duplicated) = (counts(&played, "lost"), counts(&played, "duplicated"));
        let (false_lost, false_duplicates) = (sum(|class| class.false_lost), sum(|class| class.false_duplicates));
        let (indeterminate, sent) = (sum(|class| class.indeterminate), sum(|class| class.sent));
        let remarks = if last.verdict == Verdict::NotRun { String::new() } else { remarks(&played) };
        writeln!(
            text,
            "| {id} | {fault} | {runs} | {passed} | {kills} | {lost} | {duplicated} | {false_lost} | {false_duplicates} | {indeterminate} of {sent} | {remarks} |"
        )
        .expect("a String takes all");
    }
    text
}

/// The commits of the binaries that were judged.
fn commits(lines: &[Line]) -> String {
    let commits: BTreeSet<&str> = lines.iter().map(|line| line.commit.as_str()).collect();
    commits.into_iter().collect::<Vec<_>>().join(", ")
}

fn passed(played: &[&Line]) -> usize {
    played.iter().filter(|line| line.verdict == Verdict::Passed).count()
}

/// A count, over all classes of all runs.
fn sum(played: &[&Line], of: fn(&ClassOutcome) -> u64) -> u64 {
    played.iter().flat_map(|line| line.outcome.classes.values()).map(of).sum()
}

/// By class the range of a count over the runs; one number where all say the same.
fn counts(played: &[&Line], word: &str) -> String {
    let classes: BTreeSet<&String> = played.iter().flat_map(|line| line.outcome.classes.keys()).collect();
    let mut cells = Vec::new();
    let mut zeros = 0;
    for class in &classes {
        let of_class = played.iter().filter_map(|line| line.outcome.classes.get(*class)?.counts.get(word));
        let of_class: Vec<_> = of_class.collect();
        let range = |values: Vec<u64>| match (values.iter().min(), values.iter().max()) {
            (Some(least), Some(most)) if least == most => least.to_string(),
            (Some(least), Some(most)) => format!("{least}–{most}"),
            _ => "?".to_owned(),
        };
        let is_equal = of_class.iter().all(|count| count.oracle == count.said);
        let oracle = range(of_class.iter().map(|count| count.oracle).collect());
        if is_equal && oracle == "0" {
            zeros += 1;
        } else if is_equal {
            cells.push(format!("{class} {oracle}"));
        } else {
            cells.push(format!("{class} **{oracle} ≠ {}**", range(of_class.iter().map(|count| count.said).collect())));
        }
    }
    if zeros == classes.len() {
        return "0".to_owned();
    }
    if zeros > 0 {
        cells.push("others 0".to_owned());
    }
    cells.join(", ")
}

fn delays(played: &[&Line]) -> String {
    let mut delays: Vec<f64> = played.iter().filter_map(|line| line.outcome.detection_seconds).collect();
    delays.sort_by(f64::total_cmp);
    match (delays.first(), delays.get(delays.len() / 2), delays.last()) {
        (Some(least), Some(median), Some(most)) => format!("{least:.1} / {median:.1} / {most:.1}"),
        _ => "–".to_owned(),
    }
}

/// The first problem of each kind, then the notes of the last run.
fn remarks(played: &[&Line]) -> String {
    let failed: Vec<&&Line> = played.iter().filter(|line| line.verdict == Verdict::Failed).collect();
    let problem = failed.last().and_then(|line| line.outcome.problems.first());
    let mut parts: Vec<String> =
        problem.map(|problem| format!("**failed {}×**: {}", failed.len(), one_line(problem))).into_iter().collect();
    parts.extend(played.last().into_iter().flat_map(|line| line.outcome.notes.iter().map(|note| one_line(note))));
    parts.join("; ")
}

/// What KMinion said in a run, beside what its own topic held.
fn peer(counts: &std::collections::BTreeMap<String, f64>) -> Option<String> {
    let count = |word: &str| counts.get(word).copied().unwrap_or_default();
    (!counts.is_empty()).then(|| {
        // What it could not have produced for sure is counted against it: a failed one may be in the log.
        let gone = (count("produced") - count("failed") - count("in_log")).max(0.0);
        format!(
            "{} lost, really {gone} of {}; copies: no word, really {}",
            count("lost"),
            count("produced"),
            count("copies_in_log")
        )
    })
}

fn one_line(text: &str) -> String {
    let line: String = text.lines().next().unwrap_or_default().replace('|', "/");
    line.chars().take(200).collect()
}
