//! Every scenario of the scoreboard against a real Kafka, each held against an oracle. See `docs/scoreboard.md`.
//!
//! `ROWS=S1,S4-S8` picks rows, `REPEAT=n` repeats them, `CLASSES=all,acks1` leaves classes out, `SCOREBOARD_RESULTS`
//! names the file of results: what is in it is not done again. `KUSTODY=path` judges another binary. `SHOW=1` prints the
//! table and plays nothing. `KILLS=n` kills the daemon n times in each run. `SAMPLES=directory` keeps a finding of each
//! kind and a record of each state. `HISTORIES=directory` keeps the journal of each run with the oracle's counts before it,
//! to be replayed by `src/audit/replay_test.rs`; `RATE=n` canaries a second and class keep it small. `PEER_KMINION=path` runs KMinion beside it, in the rows where it has a word for what
//! happens.
//!
//! A bench target, like the other programs that measure: it has the path of the binary under test, and `cargo test`
//! does not run it.

#![expect(clippy::print_stdout, reason = "it prints its table")]

#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../kafka/mod.rs"]
mod kafka;
mod kills;
mod oracle;
mod outcome;
mod peer;
mod results;
mod rows;
mod stage;
mod table;
mod verdict;
mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use kills::Plan;
use outcome::Outcome;
use results::{Line, Results, Verdict};
use rows::{ROWS, Row};
use stage::Run;
use tokio::time::Instant;

/// Rows in which KMinion has a word for what happens.
const PEER_ROWS: [&str; 9] = ["S1", "S2", "S3", "S5", "S6", "S8", "S13", "S18", "S20"];
const CLASSES: [&str; 5] = ["acks0", "acks1", "all", "idempotent", "transactional"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let kills: Option<u32> = std::env::var("KILLS").ok().map(|text| text.parse()).transpose().context("KILLS")?;
    let (name, document) = match kills {
        None => ("scoreboard.jsonl", "docs/scoreboard.md"),
        Some(_) => ("soak-kills.jsonl", "docs/soak-kills.md"),
    };
    let file = std::env::var("SCOREBOARD_RESULTS").map_or_else(|_| target().join(name), PathBuf::from);
    let mut results = Results::read(&file)?;
    if std::env::var_os("SHOW").is_none() {
        play(&mut results, kills).await?;
        let text = match kills {
            None => table::document(&results.lines),
            Some(_) => table::soak_document(&results.lines),
        };
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        std::fs::write(&document, text).with_context(|| format!("write {}", document.display()))?;
    }
    println!("{}", if kills.is_some() { table::soak(&results.lines) } else { table::table(&results.lines) });
    Ok(())
}

/// Where results and evidence go: the directory with cargo's own output.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}

async fn play(results: &mut Results, kills: Option<u32>) -> anyhow::Result<()> {
    let repeat: u32 = std::env::var("REPEAT").map_or(Ok(1), |text| text.parse()).context("REPEAT")?;
    let wanted = std::env::var("ROWS").ok().filter(|text| !text.is_empty());
    let rows = picked(wanted.as_deref())?;
    // A build beside this one replaces the binary, and must not replace what is judged.
    let kept = tempfile::tempdir()?;
    let binary = kept.path().join("kustody");
    let given = std::env::var_os("KUSTODY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kustody")), PathBuf::from);
    std::fs::copy(&given, &binary).with_context(|| format!("copy {}", given.display()))?;
    let commit = commit(&binary)?;
    let offered = offered(&binary, kept.path())?;
    let classes = match std::env::var("CLASSES") {
        Ok(text) if !text.is_empty() => offered.into_iter().filter(|one| text.split(',').any(|x| x == one)).collect(),
        _ => offered,
    };
    println!("kustody of commit {commit}, classes {}", classes.join(" "));
    let peer = std::env::var_os("PEER_KMINION").map(PathBuf::from);
    for number in 1..=repeat {
        for row in &rows {
            if results.has(row.id, number, &commit) {
                continue;
            }
            let evidence = target().join("scoreboard-evidence").join(format!("{}-{number}-{commit}", row.id));
            let peer = peer.clone().filter(|_| PEER_ROWS.contains(&row.id));
            let kills = kills.map(|times| Plan { times, seed: number });
            let run = Run { binary: Some(binary.clone()), classes: classes.clone(), evidence, peer, kills };
            let begun = Instant::now();
            let (verdict, outcome) = played(row, run).await;
            let seconds = begun.elapsed().as_secs_f64();
            println!("{} #{number}: {verdict:?} in {seconds:.0} s", row.id);
            for problem in &outcome.problems {
                println!("    {problem}");
            }
            let scenario = row.id.to_owned();
            results.add(Line { scenario, repeat: number, commit: commit.clone(), verdict, seconds, outcome })?;
        }
    }
    Ok(())
}

/// Plays a row; what panics in it, is written down as its failure.
async fn played(row: &Row, run: Run) -> (Verdict, Outcome) {
    let not_run = |reason: &str| {
        (Verdict::NotRun, Outcome { problems: vec![format!("not run: {reason}")], ..Outcome::default() })
    };
    let run = match row.run(&run) {
        Ok(run) => run,
        Err(reason) => return not_run(&reason),
    };
    let stage = tokio::task::LocalSet::new();
    let played = stage.spawn_local((row.play)(run));
    match stage.run_until(played).await {
        Ok(outcome) if outcome.problems.is_empty() => (Verdict::Passed, outcome),
        Ok(outcome) => (Verdict::Failed, outcome),
        Err(panicked) => {
            let text = match panicked.try_into_panic() {
                Ok(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned()),
                Err(error) => error.to_string(),
            };
            (Verdict::Failed, Outcome { problems: vec![format!("not finished: {text}")], ..Outcome::default() })
        }
    }
}

/// The rows that `S1,S4-S8` names; all without a text.
fn picked(text: Option<&str>) -> anyhow::Result<Vec<Row>> {
    let Some(text) = text else { return Ok(ROWS.to_vec()) };
    let number = |id: &str| id.trim().trim_start_matches('S').parse::<u32>().with_context(|| format!("ROWS: {id:?}"));
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        ranges.push(number(first)?..=number(last)?);
    }
    let is_in = |row: &&Row| number(row.id).is_ok_and(|id| ranges.iter().any(|range| range.contains(&id)));
    Ok(ROWS.iter().filter(is_in).copied().collect())
}

/// The commit the binary says it was built from.
fn commit(binary: &Path) -> anyhow::Result<String> {
    let said = Command::new(binary).arg("version").output()?;
    let said = String::from_utf8(said.stdout)?;
    let commit = said.lines().find_map(|line| line.strip_prefix("commit ")).context("kustody version")?;
    if commit == "unknown" {
        bail!("the binary does not know its commit: build it with KUSTODY_COMMIT, as make scoreboard does");
    }
    Ok(commit.to_owned())
}

/// The classes that the binary takes.
fn offered(binary: &Path, directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut offered = Vec::new();
    for class in CLASSES {
        let file = directory.join("class.toml");
        let text = format!(
            "[[cluster]]\nname = \"main\"\ncanary.enabled = true\ncanary.classes = [\"{class}\"]\n\
             [cluster.kafka]\n\"bootstrap.servers\" = \"127.0.0.1:9092\"\n"
        );
        std::fs::write(&file, text)?;
        if Command::new(binary).args(["config", "check"]).arg(&file).output()?.status.success() {
            offered.push(class.to_owned());
        }
    }
    Ok(offered)
}
