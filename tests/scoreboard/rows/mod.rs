//! The scenarios, in the order of the table. A row is a short async function from a run to what came of it.

mod auditor;
mod clock;
mod disks;
mod elections;
mod hangs;
mod network;
mod replicas;
mod rights;
mod steady;
mod topic;
mod upgrade;

use std::pin::Pin;

use crate::outcome::Outcome;
use crate::stage::Run;

/// A scenario's play. It stays on one thread, as what waits by `until` does.
pub(crate) type Play = fn(Run) -> Pin<Box<dyn Future<Output = Outcome>>>;

/// One row of the scoreboard.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// What is done to the cluster or to the daemon.
    pub(crate) fault: &'static str,
    /// Classes without which the row shows nothing.
    pub(crate) needs: &'static [&'static str],
    /// The classes it is played with, as far as the binary has them; empty for all.
    pub(crate) classes: &'static [&'static str],
    pub(crate) play: Play,
}

impl Row {
    /// The run with the row's own classes, or why it shows nothing.
    pub(crate) fn run(&self, run: &Run) -> Result<Run, String> {
        match self.needs.iter().find(|class| !run.has(class)) {
            Some(missing) => Err(format!("class {missing} not offered")),
            None if self.classes.is_empty() => Ok(run.clone()),
            None => Ok(run.only(self.classes)),
        }
    }
}

/// A play that is an async function.
macro_rules! play {
    ($play:path) => {
        |run| Box::pin($play(run))
    };
}

const fn row(id: &'static str, fault: &'static str, play: Play) -> Row {
    Row { id, fault, needs: &[], classes: &[], play }
}

impl Row {
    /// The row shows something with these classes only, and is played with no others.
    const fn of(self, classes: &'static [&'static str]) -> Self {
        Self { needs: classes, classes, ..self }
    }

    /// The row shows nothing without these classes.
    const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    /// The row is played with no other classes.
    const fn with(self, classes: &'static [&'static str]) -> Self {
        Self { classes, ..self }
    }
}

/// All rows.
pub(crate) const ROWS: &[Row] = &[
    row("S1", "no fault, 60 s", play!(steady::no_fault)),
    row("S2", "clean restart of each broker", play!(elections::clean_restarts)),
    row("S3", "KILL leader", play!(elections::leader_killed)),
    row("S4", "KILL leader, acks=all without idempotence", play!(elections::leader_killed)).of(&["all"]),
    row("S5", "STOP followers 4 s, acks=1, KILL leader", play!(elections::acks1_lost)).of(&["acks1"]),
    row("S6", "STOP followers 4 s, acks=all, KILL leader", play!(elections::acks_all_kept)).with(SAFE),
    row("S7", "acks=0, STOP leader, KILL", play!(elections::acks0_lost)).of(&["acks0"]),
    row("S8", "unclean election, RF 2, min ISR 1", play!(elections::unclean)),
    row("S9", "last 25 records cut off all replicas", play!(disks::page_cache_lost)),
    row("S10", "last 25 records cut off a follower", play!(disks::one_replica_cut)),
    row("S11", "two of three replicas gone", play!(replicas::not_enough)).needs(&["idempotent"]),
    row("S12", "followers hang, producer gives up", play!(replicas::shrinking)).needs(&["idempotent"]),
    row("S13", "STOP followers 4 s, retries, no idempotence", play!(hangs::followers_hang))
        .needs(&["all"])
        .with(&["acks0", "acks1", "all"]),
    row("S14", "the same, idempotent", play!(hangs::followers_hang)).with(&["idempotent", "transactional"]),
    row("S15", "proxy drops 1 of 10 produce responses", play!(network::answers_dropped)).needs(&["all"]),
    row("S16", "proxy refuses the first of 2 in flight", play!(network::requests_overtake)).needs(&["all"]),
    row("S17", "broker 1 cut off from the others 30 s", play!(network::partitioned)).needs(&["acks1"]),
    row("S18", "STOP leader 5 s every 10 s", play!(hangs::slow_disk)),
    row("S19", "auditor SIGKILL × 50", play!(auditor::killed_often)),
    row("S20", "auditor away 60 s", play!(auditor::away)),
    row("S21", "auditor away, DeleteRecords past its frontier", play!(auditor::trimmed_meanwhile)),
    row("S22", "frontier restored from a backup, 500 records back", play!(auditor::frontier_back)),
    row("S23", "topic deleted and created again", play!(topic::recreated)),
    row("S24", "partitions 3 → 6", play!(topic::more_partitions)),
    row("S25", "wall clock +1 h, −1 h, 2 % too fast", play!(clock::jumps)),
    row("S26", "LogAppendTime switched on", play!(topic::log_append_time)),
    row("S27", "max.message.bytes below a canary's size", play!(topic::too_large)),
    row("S28", "WRITE, then READ denied", play!(rights::forbidden)),
    row("S29", "quota of 1 kB/s", play!(rights::throttled)),
    row("S30", "transactions committed, aborted, left open", play!(auditor::transactions)).of(&["transactional"]),
    row("S31", "reassignment of all partitions", play!(replicas::reassigned)),
    row("S32", "controllers: leader, then majority 60 s killed", play!(replicas::controllers)),
    row("S33", "rolling upgrade 3.9.2 → 4.3.1", play!(upgrade::rolling)),
    row("S34", "two auditors of one lineage", play!(auditor::two_at_once)),
    row("S35", "disk full under SQLite 60 s", play!(disks::disk_full)),
    row("S36", "10⁵ foreign records of hostile sizes", play!(topic::garbage)),
];

/// Classes whose acknowledgement outlives any one broker.
const SAFE: &[&str] = &["all", "idempotent", "transactional"];
