//! The scenarios, in the order of the table. A row is a short async function from a run to what came of it.

mod auditor;
mod elections;
mod hangs;
mod network;
mod steady;
mod topic;

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
    pub(crate) play: Result<Play, &'static str>,
}

/// A row that is played: `row!(id, fault, needs, classes, function)`.
macro_rules! row {
    ($id:literal, $fault:literal, needs $needs:expr, classes $classes:expr, $play:path) => {
        Row { id: $id, fault: $fault, needs: $needs, classes: $classes, play: Ok(|run| Box::pin($play(run))) }
    };
    ($id:literal, $fault:literal, $play:path) => {
        row!($id, $fault, needs & [], classes & [], $play)
    };
}

/// A row that cannot be played here, with the reason.
const fn not_played(id: &'static str, fault: &'static str, reason: &'static str) -> Row {
    Row { id, fault, needs: &[], classes: &[], play: Err(reason) }
}

/// All rows.
pub(crate) const ROWS: &[Row] = &[
    row!("S1", "no fault, 60 s", steady::no_fault),
    row!("S2", "clean restart of each broker", elections::clean_restarts),
    row!("S3", "KILL leader", elections::leader_killed),
    row!("S4", "KILL leader, all without idempotence", needs & ["all"], classes & ["all"], elections::leader_killed),
    row!("S5", "STOP followers 4 s, acks1, KILL leader", needs & ["acks1"], classes & ["acks1"], elections::acks1_lost),
    row!(
        "S6",
        "STOP followers 4 s, acks=all, KILL leader",
        needs & ["idempotent"],
        classes & ["all", "idempotent", "transactional"],
        elections::acks_all_kept
    ),
    row!("S7", "acks0, STOP leader, KILL", needs & ["acks0"], classes & ["acks0"], elections::acks0_lost),
    row!("S8", "unclean election, RF 2, min ISR 1", elections::unclean),
    row!(
        "S13",
        "STOP followers 4 s, retries, no idempotence",
        needs & ["all"],
        classes & ["all", "acks1"],
        hangs::followers_hang
    ),
    row!(
        "S14",
        "the same, idempotent",
        needs & ["idempotent"],
        classes & ["idempotent", "transactional"],
        hangs::followers_hang
    ),
    row!("S15", "proxy drops 1 of 10 produce responses", needs & ["all"], classes & [], network::answers_dropped),
    row!("S16", "proxy refuses the first of 2 in flight", needs & ["all"], classes & [], network::requests_overtake),
    row!("S18", "STOP leader 5 s every 10 s", hangs::slow_disk),
    row!("S19", "auditor SIGKILL × 50", auditor::killed_often),
    row!("S20", "auditor stopped 60 s", auditor::away),
    row!("S21", "auditor stopped, DeleteRecords past its frontier", auditor::trimmed_meanwhile),
    row!("S22", "frontier restored from an older backup, 500 back", auditor::frontier_back),
    row!("S23", "topic deleted and created again", topic::recreated),
    row!("S24", "partitions 3 → 6", topic::more_partitions),
    row!("S26", "LogAppendTime switched on", topic::log_append_time),
    row!("S27", "max.message.bytes below a canary's size", topic::too_large),
    not_played("S33", "rolling upgrade 3.9 → 4.x", "the harness has one version of Kafka"),
    row!("S34", "two auditors by mistake", auditor::two_at_once),
    row!("S36", "10⁵ foreign records of hostile sizes", topic::garbage),
];
