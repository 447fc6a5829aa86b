//! From a snapshot to facts. Pure: what earlier turns taught is in the [`History`], the time is in the snapshot.

mod brokers;
mod commits;
mod groups;
mod history;
mod lag;
mod owners;
mod progress;
mod replication;
mod rewind;
mod share;
#[cfg(test)]
mod tests;
mod time_lag;
mod topics;
mod verdict;
pub mod view;
mod watch;
#[cfg(test)]
pub(crate) mod world;

use std::collections::BTreeMap;

pub use history::{CommitPoint, HighWatermarkPoint, History, Options, Restored};
pub use view::*;

use crate::model::{ClusterSnapshot, Missing, Reading};

/// What one snapshot says of the cluster, given what the turns before it said. Deterministic: the same history and
/// snapshot give the same observation.
#[must_use]
pub fn observe(history: &mut History, snapshot: &ClusterSnapshot) -> Observation {
    let mut changes = Vec::new();
    let topics = topics::topics(&mut history.topics, &mut history.seeds, &history.options, snapshot, &mut changes);
    let brokers = brokers::brokers(&mut history.brokers, &history.options, snapshot, &topics);
    let groups = groups::groups(history, snapshot, &topics, &mut changes);
    Observation {
        cluster: snapshot.cluster.clone(),
        cluster_id: snapshot.cluster_id.clone(),
        started: snapshot.span.started,
        finished: snapshot.span.finished,
        reachable: snapshot.brokers.missing().is_none(),
        complete: snapshot.is_complete(),
        unknown_readings: unknown_readings(&topics, &groups),
        brokers,
        topics,
        groups,
        changes,
        took: snapshot.took,
        requests: snapshot.requests.clone(),
        missing: snapshot.missing.clone(),
    }
}

/// Readings without a value by reason: one per partition whose high watermark, per group whose commits, per commit, and
/// per group whose description is missing.
fn unknown_readings(
    topics: &BTreeMap<crate::model::TopicName, TopicView>,
    groups: &BTreeMap<crate::model::GroupId, GroupView>,
) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    let mut count = |why: Option<Missing>| {
        if let Some(why) = why {
            *counts.entry(why.reason()).or_insert(0) += 1;
        }
    };
    for topic in topics.values() {
        if topic.partitions.is_empty() {
            count(topic.unknown);
        }
        for partition in topic.partitions.values() {
            count(partition.watermarks.high_watermark.missing());
        }
    }
    for group in groups.values() {
        count(group.state.missing());
        for partition in &group.partitions {
            match (&partition.committed, partition.lag) {
                (Reading::Missing(why), _) => count(Some(*why)),
                (Reading::Read(_), Lag::Unknown(Missing::Unconfirmed)) => count(Some(Missing::Unconfirmed)),
                (
                    Reading::Read(_),
                    Lag::Unknown(_)
                    | Lag::Behind(_)
                    | Lag::Expired { .. }
                    | Lag::Ahead(_)
                    | Lag::Stranded { .. }
                    | Lag::Uncommitted,
                ) => {}
            }
        }
    }
    counts
}
