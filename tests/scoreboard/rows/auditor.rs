//! The auditor itself is killed, stopped, restored and doubled.

use kustody::audit::RecordRow;

use super::elections::promised;
use crate::daemon::{Daemon, Setup};
use crate::kafka::proxy::{FETCH, Fault, Rule};
use crate::oracle;
use crate::outcome::Outcome;
use crate::stage::{Run, SOON, Setting, Stage, TOPIC, copy_files};
use crate::verdict::of_class;
use crate::watch::Seen;

/// Canaries of a class that one kill may leave without an outcome: those of the last flush (1 s), and what was reserved and
/// not sent (one and a half blocks of 2 s).
const UNKNOWN_PER_KILL: u64 = 4 * 51;

/// No row of this file harms the cluster: nobody loses or repeats anything.
fn unharmed(outcome: &mut Outcome) {
    promised(outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome.exactly(&["acks0", "acks1", "all"], "duplicated", 0);
}

/// S19: the auditor is killed fifty times, at any moment.
pub(super) async fn killed_often(run: Run) -> Outcome {
    killed(run, 50).await
}

/// As S19, so many times.
pub(crate) async fn killed(run: Run, times: u64) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    // The same moments in every run, spread over one and a half seconds.
    let moments = (1..=times).map(|number| f64::from(u32::try_from(number * 617 % 1500).expect("small")) / 1000.0);
    for moment in moments {
        stage.last(moment).await;
        stage.daemon.kill().await;
        stage.daemon.launch().await;
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    unharmed(&mut outcome);
    for (name, class) in outcome.classes.clone() {
        outcome.require(class.indeterminate <= times * UNKNOWN_PER_KILL, || {
            format!("{name}: {} indeterminate after {times} kills", class.indeterminate)
        });
    }
    let unknown: u64 = outcome.classes.values().map(|class| class.indeterminate).sum();
    outcome.note(format!("{unknown} indeterminate after {times} kills"));
    outcome
}

/// S20: the auditor is away for a minute.
pub(super) async fn away(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.daemon.kill().await;
    if let Some(peer) = &mut stage.peer {
        peer.kill();
    }
    stage.last(60.0).await;
    stage.daemon.launch().await;
    if let Some(peer) = &mut stage.peer {
        peer.launch().await;
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    unharmed(&mut outcome);
    outcome
}

/// S21: what the auditor has not read yet is deleted while it is away.
pub(super) async fn trimmed_meanwhile(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting { is_proxied: true, ..Setting::default() }).await;
    let unread = Rule { api: Some(FETCH), client: Some("kustody-canary".to_owned()), ..Rule::new(Fault::Swallow) };
    let unread = stage.proxy().rule(unread);
    stage.last(4.0).await;
    stage.daemon.kill().await;
    stage.proxy().lift(&unread);
    let rows = stage.daemon.records().await;
    let is_unread = |row: &&RecordRow| oracle::word(row) == "pending" && row.copies.is_empty();
    let mut unread: Vec<(String, u64)> = Vec::new();
    for class in &run.classes {
        let count = of_class(&rows, class).filter(is_unread).count();
        unread.push((class.clone(), u64::try_from(count).expect("a count")));
    }
    for partition in 0..3 {
        let log = stage.client.read_all(TOPIC, partition).await.expect("the log is readable");
        stage.client.delete_records(TOPIC, partition, log.high_watermark).await.expect("they are deleted");
    }
    stage.daemon.launch().await;
    stage.mark();
    let mut outcome = stage.verdict().await;
    unharmed(&mut outcome);
    for (class, count) in unread {
        outcome.exactly(&[&class], "expired", count);
        outcome.at_least(&class, "expired", 30);
        outcome.note(format!("{class} expired {count}"));
    }
    outcome
}

/// S22: the reader's position is that of an older backup.
pub(super) async fn frontier_back(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.flow(600).await;
    stage.daemon.end().await;
    let before = stage.seen();
    let (positions, logs) = (stage.daemon.positions_on_disk().await, stage.logs().await);
    // 167 + 167 + 166 offsets before the position of each partition.
    let set_back = "update canary_position set body = json_set(body, '$.frontier', \
                    json_extract(body, '$.frontier') - case partition when 2 then 166 else 167 end)";
    let changed = stage.daemon.rewrite_ledger(set_back).await;
    let mut want = Vec::new();
    for class in &run.classes {
        let is_transactional = class == "transactional";
        let read = logs.committed.as_deref().filter(|_| is_transactional).unwrap_or(&logs);
        let again = read.records.iter().filter(|(partition, offset, record)| {
            let position = positions.iter().find(|row| {
                row.partition.0 == *partition && (row.isolation.as_str() == "read_committed") == is_transactional
            });
            let frontier = position.and_then(|row| row.frontier).map_or(0, |frontier| frontier.get());
            let back = if *partition == 2 { 166 } else { 167 };
            record.key.class.as_str() == class && (frontier - back..frontier).contains(offset)
        });
        want.push((class.clone(), u64::try_from(again.count()).expect("a count")));
    }
    stage.daemon.launch().await;
    stage.mark();
    let reread = |seen: &Seen, class: &str| seen.count(class, "reread").saturating_sub(before.count(class, "reread"));
    stage.until_seen("they are read again", |seen| want.iter().all(|(class, want)| reread(seen, class) >= *want)).await;
    stage.daemon.await_turns(3).await;
    let seen = stage.seen();
    let mut outcome = stage.verdict().await;
    unharmed(&mut outcome);
    outcome.require(changed >= 3, || format!("{changed} positions were set back"));
    let mut all = 0;
    for (class, want) in want {
        let said = reread(&seen, &class);
        all += said;
        outcome.require(said == want, || format!("{class}: {said} were counted as read again, of {want}"));
    }
    outcome.require(all >= 400, || format!("only {all} were read again"));
    outcome.note(format!("{all} read again"));
    outcome
}

/// S34: two auditors with one lineage.
pub(super) async fn two_at_once(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.daemon.end().await;
    let bootstrap = stage.cluster.bootstrap();
    let lines = format!("canary.enabled = true\ncanary.rate = 17.0\ncanary.classes = {:?}", run.classes);
    let mut newer = Daemon::prepare(&Setup { bootstrap: &bootstrap, cluster: &lines, more: "" });
    stage.daemon.binary.clone_into(&mut newer.binary);
    std::fs::create_dir(newer.data()).expect("the directory is new");
    // Its journals too: what it wrote last may be there alone.
    copy_files(&stage.daemon.data(), &newer.data()).expect("a backup is a copy");
    stage.raise().await;
    newer.launch().await;
    stage.mark();
    let class = run.classes.first().cloned().unwrap_or_default();
    let told = stage.daemon.await_findings("canary_second_instance", SOON, |found| !found.is_empty()).await;
    // The older has stopped, the newer goes on.
    let sent = stage.seen().count(&class, "sent");
    let enough = |one: &serde_json::Value| one["delivered"].as_u64().is_some_and(|n| n >= 200);
    for class in &run.classes {
        newer.await_canary(class, SOON, enough).await;
    }
    stage.daemon.await_turns(3).await;
    let after = stage.seen().count(&class, "sent");
    let mut of_newer = Vec::new();
    for class in &run.classes {
        let one = newer.canary(class).await;
        of_newer.extend(crate::daemon::broken_sum(&one));
        for word in ["lost", "truncated_after_delivery", "duplicated", "phantom"] {
            if one[word] != 0 {
                of_newer.push(format!("the newer says {class} {word} {}", one[word]));
            }
        }
    }
    let quiet = newer.findings_of("canary_second_instance").await;
    let mut outcome = stage.judged().await;
    unharmed(&mut outcome);
    outcome.problems.extend(of_newer);
    outcome.require(told.len() == 1, || format!("{} findings of a second instance, of one", told.len()));
    outcome.require(quiet.is_empty(), || "the newer called itself the older".to_owned());
    outcome.require(after <= sent + 60, || format!("the older went on sending: {sent}, then {after}"));
    outcome
}

/// S30: transactions are committed and aborted all the time; twice the auditor dies with one open.
pub(super) async fn transactions(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.flow(300).await;
    for _ in 0..2 {
        stage.daemon.kill().await;
        stage.daemon.launch().await;
        stage.flow(100).await;
    }
    // On a slow machine it takes longer until one is aborted.
    for _ in 0..10 {
        if stage.seen().count("transactional", "aborted") > 0 {
            break;
        }
        stage.flow(100).await;
    }
    stage.mark();
    let aborted = stage.seen().count("transactional", "aborted");
    let mut outcome = stage.verdict().await;
    unharmed(&mut outcome);
    outcome.exactly(&["transactional"], "aborted_visible", 0);
    outcome.require(aborted > 0, || "no transaction was aborted on purpose".to_owned());
    outcome.note(format!("{aborted} records of transactions aborted on purpose"));
    outcome
}
