//! Disks: the end of a log is gone, on one replica or on all; the disk under the auditor is full.

use super::elections::promised;
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage, TOPIC};

/// S9: all brokers die, and the last 25 records of partition 0 were never written to any disk.
pub(super) async fn page_cache_lost(run: Run) -> Outcome {
    const CUT: i64 = 25;
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.flow(100).await;
    let (brokers, replica) = (stage.cluster.ids(), format!("{TOPIC}-0"));
    for broker in &brokers {
        stage.cluster.kill(*broker).await.expect("it ran");
    }
    let on_disk: Vec<_> = brokers
        .iter()
        .map(|broker| stage.cluster.batches_on_disk(*broker, &replica).expect("the replica is there"))
        .collect();
    // What one replica has beyond the others was acknowledged by none: 25 records that all of them have.
    let common = on_disk.iter().filter_map(|batches| batches.last().map(|batch| batch.next)).min().expect("three");
    let first = on_disk.first().expect("three");
    let cut = first.iter().map(|batch| batch.first).filter(|first| *first <= common - CUT).max().expect("it is long");
    for broker in &brokers {
        stage.cluster.cut_log(*broker, &replica, cut).expect("it is cut");
    }
    for broker in &brokers {
        stage.cluster.launch(*broker).await.expect("it starts");
    }
    stage.cluster.ready(&brokers).await.expect("all are back");
    stage.client.until_partition("a leader", TOPIC, 0, |seen| seen.leader.is_some()).await.expect("a leader");
    stage.mark();
    let mut outcome = stage.verdict().await;
    let lost: u64 = run.classes.iter().map(|class| outcome.oracle(class, "lost")).sum();
    let cut_records = u64::try_from(common - cut).expect("more is before the end");
    outcome.require(lost >= 20, || format!("only {lost} of {cut_records} records that were cut off were acknowledged"));
    outcome.note(format!("{cut_records} records cut off each replica, {lost} of them acknowledged"));
    outcome
}

/// S10: the same on one follower.
pub(super) async fn one_replica_cut(run: Run) -> Outcome {
    const CUT: i64 = 25;
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.flow(100).await;
    let replica = format!("{TOPIC}-0");
    stage.cluster.kill(2).await.expect("it ran");
    let batches = stage.cluster.batches_on_disk(2, &replica).expect("the replica is there");
    let end = batches.last().expect("it is not empty").next;
    let cut = batches.iter().map(|batch| batch.first).filter(|first| *first <= end - CUT).max().expect("it is long");
    stage.cluster.cut_log(2, &replica, cut).expect("it is cut");
    stage.until_led_without(2).await;
    stage.daemon.await_turns(2).await;
    let told = stage.daemon.findings_of("partition_under_replicated").await.len();
    stage.mark();
    stage.bring_back(2).await;
    let mut outcome = stage.verdict().await;
    // Broker 2 led partition 1: what acks=1 acknowledged there last may be gone.
    promised(&mut outcome);
    outcome.require(told > 0, || "no partition was seen to lack a replica".to_owned());
    outcome
}

/// S35: there is no room under the auditor's databases for a minute.
pub(super) async fn disk_full(run: Run) -> Outcome {
    let mut stage = Stage::set(&run, Setting::default()).await;
    let data = stage.daemon.data();
    std::fs::create_dir(&data).expect("the directory is new");
    let disk = SmallDisk::mount(data);
    stage.raise().await;
    let filled = disk.fill();
    // What was reserved may still be sent; then the canary has to wait.
    stage.last(15.0).await;
    let before = stage.seen();
    stage.last(45.0).await;
    let after = stage.seen();
    let paused = stage.daemon.json("/clusters/main/canary").await["paused"].clone();
    disk.empty(filled);
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    for class in &run.classes {
        let sent = [before.count(class, "sent"), after.count(class, "sent")];
        outcome.require(sent[0] == sent[1], || {
            format!("{class}: {sent:?} were sent while the ledger could not be written")
        });
    }
    outcome.note(format!("while the disk was full it said: paused {paused}"));
    outcome.require(paused.is_string(), || "it does not say that it is paused".to_owned());
    drop(disk);
    outcome
}

/// A file system of 32 MiB in memory; unmounted at the end, whoever still uses it.
struct SmallDisk {
    path: std::path::PathBuf,
}

impl SmallDisk {
    fn mount(path: std::path::PathBuf) -> Self {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m", "kustody-scoreboard"])
            .arg(&path)
            .status();
        let is_mounted = mounted.as_ref().is_ok_and(std::process::ExitStatus::success);
        assert!(is_mounted, "a small file system needs root: {mounted:?}");
        Self { path }
    }

    /// Leaves no byte free.
    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write as _;
        let path = self.path.join("filler");
        let mut file = std::fs::File::create(&path).expect("there is room for a file");
        for size in [1 << 20, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }

    fn empty(&self, filled: std::path::PathBuf) {
        std::fs::remove_file(filled).expect("it was made above");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the daemon of a scenario that failed may still have its files open.
        std::process::Command::new("umount").arg("-l").arg(&self.path).status().ok();
    }
}
