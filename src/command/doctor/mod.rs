//! `kustody doctor`: whether everything that the daemon needs is there. It asks, and never writes to a cluster.

mod checks;
mod report;
#[cfg(test)]
mod tests;

use crate::app::wire_options;
use crate::clock::Clock;
use crate::config::{ClusterConfig, Config};
use crate::model::{ClusterName, TopicName};
use crate::observe::{self, History, observe};
use crate::wire::{Cluster, Scope};
use checks::{Seen, checks};
use report::{Check, Report};

/// What is printed, and whether nothing is a problem.
#[derive(Clone, Debug)]
pub(super) struct Diagnosis {
    pub(super) text: String,
    pub(super) is_well: bool,
}

/// Looks at every cluster of the configuration, one after the other.
pub(super) async fn diagnosis(config: &Config, json: bool) -> Diagnosis {
    let clock = Clock::start();
    let mut found: Vec<Check> = Vec::new();
    for cluster in &config.clusters {
        found.extend(of_cluster(cluster, clock).await);
    }
    let report = Report::of(found);
    Diagnosis { text: if json { report.json() } else { report.text() }, is_well: report.is_well }
}

async fn of_cluster(config: &ClusterConfig, clock: Clock) -> Vec<Check> {
    let topic = TopicName::from(config.canary.topic.as_str());
    let mut cluster = Cluster::new(ClusterName::from(config.name.as_str()), wire_options(config), clock);
    let of_canary = topic.clone();
    let scope = Scope {
        canary_topic: Some(topic.clone()),
        topics: Some(Box::new(move |name| name == of_canary.as_str())),
        groups: Some(Box::new(|_| false)),
        ..Scope::default()
    };
    let snapshot = cluster.snapshot(&scope).await;
    let greetings = cluster.greetings(&topic).await;
    let observation = observe(&mut History::new(observe::Options::default()), &snapshot);
    checks(Seen { config, greetings: &greetings, observation: &observation })
}
