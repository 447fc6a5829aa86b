//! What a scenario found out, as it is kept in the file of results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One count, by the oracle and by the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// What the logs and the acknowledgements say.
    pub(crate) oracle: u64,
    /// What the daemon says.
    pub(crate) said: u64,
}

/// One class of canaries in one scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClassOutcome {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    /// Counts that have to be equal, by the contract's words; `lost` includes what was truncated after delivery.
    pub(crate) counts: BTreeMap<String, Count>,
    /// Records called lost or truncated that are in the log, and those that ever were counted so beyond the truth.
    pub(crate) false_lost: u64,
    /// Records that are gone and not called so.
    pub(crate) missed_lost: u64,
    /// Copies counted that are not in the log.
    pub(crate) false_duplicates: u64,
    pub(crate) late: u64,
    /// The most that were overdue at one time.
    pub(crate) overdue_most: u64,
    /// Produced, rejected and indeterminate at the end, for the record.
    pub(crate) rejected: u64,
    pub(crate) indeterminate: u64,
}

/// One run of one scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) classes: BTreeMap<String, ClassOutcome>,
    /// Seconds from the moment at which it could be known until all of it was in the answers.
    pub(crate) detection_seconds: Option<f64>,
    /// How the lost records of all classes were told: seconds after that moment, and how many by then.
    #[serde(default)]
    pub(crate) loss_steps: Vec<(f64, u64)>,
    /// Why it did not pass; empty when it did.
    pub(crate) problems: Vec<String>,
    /// What else was seen.
    pub(crate) notes: Vec<String>,
    /// How often the daemon was killed meanwhile.
    #[serde(default)]
    pub(crate) kills: u32,
    /// What a peer beside us counted, by its own words.
    #[serde(default)]
    pub(crate) peer: BTreeMap<String, f64>,
}

impl Outcome {
    /// Notes a problem unless it holds.
    pub(crate) fn require(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// Notes something for the reader.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// The oracle's count of a class; 0 where the class did not run.
    pub(crate) fn oracle(&self, class: &str, count: &str) -> u64 {
        self.classes.get(class).and_then(|class| class.counts.get(count)).map_or(0, |count| count.oracle)
    }

    /// Requires what the scenario is about: that these classes' count is this by the oracle.
    pub(crate) fn exactly(&mut self, classes: &[&str], count: &str, want: u64) {
        for class in classes {
            let seen = self.oracle(class, count);
            self.require(seen == want, || format!("{class}: {count} is {seen} by the oracle, expected {want}"));
        }
    }

    /// Requires that the fault had an effect: without one nothing is shown. A daemon that is killed meanwhile may send
    /// nothing while it lasts.
    pub(crate) fn at_least(&mut self, class: &str, count: &str, least: u64) {
        if self.kills == 0 && self.classes.contains_key(class) {
            let seen = self.oracle(class, count);
            self.require(seen >= least, || {
                format!("{class}: {count} is only {seen} by the oracle, at least {least} show the fault")
            });
        }
    }
}
