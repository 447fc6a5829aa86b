//! What Prometheus sees: the text format 0.0.4, put together at each scrape from what is published. A value that is not
//! known has no sample.

mod cluster;
mod families;
mod groups;
pub mod table;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use cluster::{canary_states, flag_words, partition_counts, partition_states, shown_flags};
use families::{Families, number};

use crate::alert::AlertState;
use crate::finding::Severity;
use crate::publish::Published;

/// The content type of [`exposition`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The most series of one exposition.
pub const SERIES_CAP: usize = 50_000;

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version of kustody.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The version of librdkafka.
    pub librdkafka: String,
}

/// Everything that is published, in the text format 0.0.4.
#[must_use]
pub fn exposition(published: &Published, build: &BuildInfo) -> String {
    capped(published, build, SERIES_CAP)
}

fn capped(published: &Published, build: &BuildInfo, cap: usize) -> String {
    let mut families = Families::default();
    families.gauge(&table::BUILD_INFO, &[&build.version, &build.commit, &build.librdkafka], 1.0);
    own(&mut families, published);
    let mut views = Vec::new();
    for (name, cluster) in &published.clusters {
        cluster::write(&mut families, name, cluster);
        if let Some(observation) = &cluster.observation {
            views.extend(observation.groups.values().map(|view| (name, view)));
        }
    }
    let left_out = groups::write(&mut families, &views, cap.saturating_sub(1));
    families.gauge(&table::TRUNCATED_SERIES, &[], number(left_out));
    families.text().expect("the names of the table are valid, and no family is without a sample")
}

fn own(families: &mut Families, published: &Published) {
    // The latest resolved alerts are published too; how many those are says nothing.
    for state in [AlertState::Pending, AlertState::Firing] {
        for severity in Severity::ALL {
            let alerts = published.alerts.iter().filter(|alert| alert.state == state && alert.severity == *severity);
            families.gauge(&table::ALERTS, &[&word(&state), severity.as_str()], number(count(alerts)));
        }
    }
    let own = &published.own;
    for ((receiver, outcome), notices) in &own.notifications {
        families.counter(&table::NOTIFICATIONS, &[receiver, outcome], *notices);
    }
    families.gauge(&table::OUTBOX_PENDING, &[], number(own.outbox_pending));
    for (file, bytes) in &own.storage_bytes {
        families.gauge(&table::STORAGE_BYTES, &[file], number(*bytes));
    }
    for (outcome, writes) in &own.storage_writes {
        families.counter(&table::STORAGE_WRITES, &[outcome], *writes);
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

/// The word of the contract that serde writes for a variant without fields.
fn word(of: &impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}
