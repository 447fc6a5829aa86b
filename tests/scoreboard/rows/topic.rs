//! The canary's topic is changed under it.

use super::elections::promised;
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage, TOPIC};
use crate::verdict::of_class;

/// S23: the topic is deleted and created again.
pub(super) async fn recreated(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    let setting = Setting::default();
    stage.client.delete_topic(TOPIC).await.expect("it is deleted");
    let replicas: Vec<&[i32]> = setting.replicas.iter().map(Vec::as_slice).collect();
    stage.client.create_topic(TOPIC, &replicas, &setting.configs).await.expect("it is created again");
    stage.topic_is_gone();
    stage.mark();
    let told = stage.daemon.await_findings("topic_recreated", crate::stage::SOON, |found| !found.is_empty()).await;
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome.require(told.len() == 1, || format!("{} re-creations were told, of one", told.len()));
    let expired: Vec<String> =
        outcome.classes.keys().map(|class| outcome.oracle(class, "expired").to_string()).collect();
    outcome.note(format!("expired {}", expired.join("/")));
    outcome
}

/// S24: three partitions become six.
pub(super) async fn more_partitions(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    let more: [&[i32]; 3] = [&[1, 3, 2], &[2, 1, 3], &[3, 2, 1]];
    stage.client.add_partitions(TOPIC, 3, &more).await.expect("partitions are added");
    stage.mark();
    stage.partitions = (0..6).collect();
    stage.flow(150).await;
    let rows = stage.daemon.records().await;
    let mut problems = Vec::new();
    for class in &run.classes {
        for partition in 3..6 {
            let of_partition = of_class(&rows, class).filter(|row| row.key.partition.0 == partition);
            match of_partition.map(|row| row.key.sequence).min() {
                Some(0) => {}
                first => problems.push(format!("{class}: partition {partition} begins at sequence {first:?}, not 0")),
            }
        }
    }
    let mut outcome = stage.verdict().await;
    outcome.problems.extend(problems);
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome.exactly(&["acks0", "acks1", "all"], "duplicated", 0);
    outcome
}

/// S26: the broker's clock replaces the producer's in every record.
pub(super) async fn log_append_time(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    let set = [("message.timestamp.type", "LogAppendTime")];
    stage.client.alter_topic(TOPIC, &set).await.expect("the topic is altered");
    stage.mark();
    stage.flow(150).await;
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome.exactly(&["acks0", "acks1", "all"], "duplicated", 0);
    outcome
}

/// S27: the topic takes no record as large as a canary for a while.
pub(super) async fn too_large(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.client.alter_topic(TOPIC, &[("max.message.bytes", "100")]).await.expect("the topic is altered");
    stage.last(4.0).await;
    stage.client.alter_topic(TOPIC, &[("max.message.bytes", "1048588")]).await.expect("the topic is altered");
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks1"], "lost", 0);
    for (name, class) in outcome.classes.clone() {
        if name != "acks0" {
            outcome.require(class.rejected >= 30, || format!("{name}: only {} rejected", class.rejected));
            outcome.require(class.indeterminate == 0, || {
                format!("{name}: {} indeterminate, though each was refused for sure", class.indeterminate)
            });
            outcome.note(format!("{name} rejected {}", class.rejected));
        }
    }
    outcome
}

/// S36: somebody else writes 100,000 records of all sizes to the canary's topic.
pub(super) async fn garbage(run: Run) -> Outcome {
    const SMALL: usize = 33_000;
    let stage = Stage::up(&run, Setting::default()).await;
    let resident = |stage: &Stage| resident_kib(stage.daemon.pid().expect("it runs"));
    let before = resident(&stage);
    let mut written: u64 = 0;
    for partition in 0..3 {
        let mut values: Vec<String> = (0..SMALL).map(|n| "x".repeat(n % 200)).collect();
        // "0xCA n r y" cannot be text; what only looks like the start of a record can.
        values.extend((0..333).map(|n| format!("\u{0}canry\u{1}{}", "<b>'\"".repeat(n % 50))));
        values.extend((0..5).map(|n| "y".repeat(200_000 * n)));
        let produced =
            stage.client.produce(TOPIC, partition, &values, "all", &[("message.timeout.ms", "120000")]).await;
        written += u64::try_from(produced.expect("it is produced").acked.len()).expect("a count");
    }
    let class = run.classes.first().cloned().unwrap_or_default();
    stage.until_seen("all garbage is read", |seen| seen.count(&class, "foreign") >= written).await;
    stage.flow(50).await;
    let seen = stage.seen();
    let after = resident(&stage);
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome.exactly(&["acks0", "acks1", "all"], "duplicated", 0);
    outcome.require(written >= 100_000, || format!("only {written} foreign records were written"));
    for class in &run.classes {
        let (foreign, corrupt) = (seen.count(class, "foreign"), seen.count(class, "corrupt"));
        outcome.require((foreign, corrupt) == (written, 0), || {
            format!("{class}: {foreign} foreign and {corrupt} corrupt, of {written} foreign")
        });
    }
    let grown = after.saturating_sub(before) / 1024;
    outcome.require(grown <= 40, || format!("resident memory grew by {grown} MiB"));
    outcome.note(format!("{written} foreign records; memory from {} to {} MiB", before / 1024, after / 1024));
    outcome
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number of KiB")
}
