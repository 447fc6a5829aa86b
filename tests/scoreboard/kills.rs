//! The daemon is killed again and again while a scenario goes on, and what each kill leaves on disk is replayed.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::daemon::{Launcher, Ledger};
use crate::stage::copy_files;
use crate::verdict::replay_against_sums;

/// How often, and at which moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// So many kills, each after the daemon has been ready for up to one and a half seconds.
    pub(crate) times: u32,
    /// Other moments for another number, the same for the same.
    pub(crate) seed: u32,
}

impl Plan {
    /// How long after the daemon was ready.
    fn moments(self) -> impl Iterator<Item = Duration> {
        // 617 and 389 have no divisor in common with 1500.
        let millis = move |number: u32| (number * 617 + self.seed * 389) % 1500;
        (1..=self.times).map(move |number| Duration::from_millis(u64::from(millis(number))))
    }
}

/// Kills that go on beside a scenario.
#[derive(Debug)]
pub(crate) struct Kills(JoinHandle<Vec<String>>);

impl Kills {
    /// Begins them.
    pub(crate) fn begin(launcher: Launcher, plan: Plan) -> Self {
        Self(tokio::spawn(async move {
            let mut problems = Vec::new();
            for (number, moment) in (1_u32..).zip(plan.moments()) {
                tokio::time::sleep(moment).await;
                launcher.kill();
                let left = left_by(&launcher.data(), number).await;
                launcher.launch().await;
                problems.extend(left);
            }
            problems
        }))
    }

    /// Waits until all are done and the daemon is ready again; what did not replay.
    pub(crate) async fn over(self) -> Vec<String> {
        self.0.await.unwrap_or_else(|error| vec![format!("the kills were not finished: {error}")])
    }
}

/// Replays a copy of what is on disk: reading the ledger itself would tidy it up for the next process.
async fn left_by(data: &Path, number: u32) -> Vec<String> {
    let copy = tempfile::tempdir().expect("a temporary directory");
    copy_files(data, copy.path()).expect("the data can be copied");
    let problems = replay_against_sums(&Ledger::of(copy.path())).await;
    problems.into_iter().map(|problem| format!("after kill {number}: {problem}")).collect()
}
