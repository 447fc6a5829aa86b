//! One reading of the cluster, in the order that makes a race into evidence: metadata, groups, commits, then
//! watermarks, then epoch ends and settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::api::api_versions::ApiVersions;
use super::api::metadata::Metadata;
use super::cluster::{Cluster, Memory};
use super::gaps::Gaps;
use super::group_list::group_list;
use super::hedge::{self, Source};
use super::hidden;
use super::options::Scope;
use super::poll::Poll;
use super::pool::{Lane, Peer};
use super::sightings::sightings;
use super::topology::Topology;
use super::transport::Address;
use super::turn::Turn;
use crate::clock::Clock;
use crate::model::{
    BrokerId, ClusterSnapshot, ConsumerGroup, EpochEnd, EpochSighting, GroupId, GroupType, LeaderEpoch, Missing,
    Moment, Part, ReadSpan, Reading, Timestamp, TopicPartition, Watermarks,
};

impl Cluster {
    /// Reads the cluster once. It always returns within the poll deadline; what could not be read is missing.
    pub async fn snapshot(&mut self, scope: &Scope) -> ClusterSnapshot {
        let began = self.shared.clock.now();
        let options = &self.shared.options;
        self.shared.pool.look_at_files().await;
        let view = self.shared.view();
        let mut turn = Turn::new(&self.shared.pool, Lane::Poll, options.request_timeout, self.shared.deadline());
        turn.admit(view.addresses.clone());
        let sources = view.sources(&self.shared.bootstrap);
        let topology = hedge::topology(&turn, &Metadata::AllTopics, sources, options.hedge_after, &view.topology).await;
        let Some((source, mut topology)) = topology else {
            let answering = unreachable(turn.answering());
            return self.blind(scope, began, answering);
        };
        if topology.cluster_id != view.topology.cluster_id {
            self.memory = Memory::default();
        }
        let mut gaps = Gaps::default();
        if topology.cluster_id == view.topology.cluster_id {
            let both = (&mut topology, &view.topology);
            hidden::put_back(&turn, &source, both, |name| scope.covers_topic(name), &mut gaps).await;
        }
        let source_id = match &source {
            Source::Broker(id) => Some(*id),
            Source::Bootstrap(_) => None,
        };
        let view = view.next(topology.clone(), source_id);
        self.shared.pool.keep(&peers(&view.addresses)).await;
        turn.admit(view.addresses.clone());
        self.shared.view.send_replace(view.into());
        let poll = Poll {
            options,
            clock: &self.shared.clock,
            scope,
            turn,
            topology,
            gaps,
            source,
            now: Instant::now(),
            refreshed: false,
        };
        let (poll, parts) = read(poll, &mut self.memory).await;
        if poll.refreshed {
            self.shared.view.send_modify(|view| Arc::make_mut(view).topology.take_fresher(&poll.topology));
        }
        let Topology { cluster_id, brokers, controller, mut topics } = poll.topology;
        topics.retain(|name, _| scope.covers_topic(name.as_str()));
        let finished = self.shared.clock.now();
        ClusterSnapshot {
            cluster: self.name.clone(),
            cluster_id: cluster_id.map_or(Reading::Missing(Missing::Unsupported), Reading::Read),
            span: ReadSpan { started: began.wall, finished: finished.wall },
            took: finished.mono.saturating_sub(began.mono),
            brokers: Reading::Read(brokers),
            answering: parts.answering,
            controller,
            topics: Reading::Read(topics),
            watermarks: parts.watermarks,
            groups: parts.groups,
            group_list_complete: parts.group_list_complete,
            epoch_ends: parts.epoch_ends,
            canary_sightings: parts.canary_sightings,
            missing: poll.gaps.into_parts(),
            requests: self.shared.pool.counts.take(),
        }
    }

    /// The reading of a turn in which no broker answered.
    fn blind(&self, scope: &Scope, began: Moment, answering: BTreeMap<BrokerId, Reading<()>>) -> ClusterSnapshot {
        let why = Missing::ClusterUnreachable;
        let finished = self.shared.clock.now();
        let mut gaps = Gaps::default();
        gaps.add(Part::Metadata, None, why);
        let groups = self.memory.groups.groups.iter().filter(|(id, _)| scope.covers_group(id));
        ClusterSnapshot {
            cluster: self.name.clone(),
            cluster_id: Reading::Missing(why),
            span: ReadSpan { started: began.wall, finished: finished.wall },
            took: finished.mono.saturating_sub(began.mono),
            brokers: Reading::Missing(why),
            answering,
            controller: None,
            topics: Reading::Missing(why),
            watermarks: BTreeMap::new(),
            groups: groups.map(|(id, group)| (id.clone(), unread(id, group.group_type, why, began.wall))).collect(),
            group_list_complete: false,
            epoch_ends: BTreeMap::new(),
            canary_sightings: Vec::new(),
            missing: gaps.into_parts(),
            requests: self.shared.pool.counts.take(),
        }
    }
}

/// What is read behind the metadata.
struct Parts {
    answering: BTreeMap<BrokerId, Reading<()>>,
    group_list_complete: bool,
    groups: BTreeMap<GroupId, ConsumerGroup>,
    watermarks: BTreeMap<TopicPartition, Watermarks>,
    epoch_ends: BTreeMap<(TopicPartition, LeaderEpoch), Reading<EpochEnd>>,
    canary_sightings: Vec<EpochSighting>,
}

/// The order of reads. Commits are all in, or given up, before the first watermark is asked for.
async fn read<'a>(mut poll: Poll<'a>, memory: &mut Memory) -> (Poll<'a>, Parts) {
    let present: Vec<BrokerId> = poll.topology.brokers.keys().copied().collect();
    let absent = poll.turn.split_absent(&present, poll.options.hedge_after);
    let ((), mut parts) = tokio::join!(greet(&absent), read_present(&mut poll, &present, memory));
    parts.answering = poll.turn.answering();
    parts.answering.extend(absent.answering());
    (poll, parts)
}

async fn read_present(poll: &mut Poll<'_>, present: &[BrokerId], memory: &mut Memory) -> Parts {
    let (list, canary_sightings) = tokio::join!(
        group_list(&poll.turn, present, &mut poll.gaps),
        canary_sightings(&poll.turn, poll.clock, present, poll.scope),
    );
    let settle = poll.options.group_list_settle;
    let complete = memory.groups.is_complete(&list, &poll.coordinators(), poll.now, settle);
    let groups = poll.groups(&list, complete, &mut memory.groups).await;
    let watermarks = poll.watermarks(&groups, &mut memory.log_starts).await;
    let epoch_ends = poll.epoch_ends(&groups).await;
    poll.configs(&mut memory.configs).await;
    let answering = BTreeMap::new();
    Parts { answering, group_list_complete: complete, groups, watermarks, epoch_ends, canary_sightings }
}

async fn canary_sightings(turn: &Turn<'_>, clock: &Clock, brokers: &[BrokerId], scope: &Scope) -> Vec<EpochSighting> {
    match &scope.canary_topic {
        Some(topic) => sightings(turn, clock, brokers, topic).await,
        None => Vec::new(),
    }
}

/// Finds out whether the brokers that left the metadata still answer.
async fn greet(turn: &Turn<'_>) {
    let absent = turn.brokers();
    let greeted = absent.iter().map(|broker| turn.ask(*broker, &ApiVersions));
    // Only whether they answer counts, and the turn keeps that.
    drop(join_all(greeted).await);
}

/// In a turn without metadata no broker counts as answering.
fn unreachable(answering: BTreeMap<BrokerId, Reading<()>>) -> BTreeMap<BrokerId, Reading<()>> {
    let why = |reading: Reading<()>| reading.missing().unwrap_or(Missing::ClusterUnreachable);
    answering.into_iter().map(|(id, reading)| (id, Reading::Missing(why(reading)))).collect()
}

fn peers(addresses: &BTreeMap<BrokerId, Address>) -> Vec<Peer> {
    addresses.iter().map(|(id, address)| Peer::Broker(*id, address.clone())).collect()
}

fn unread(id: &GroupId, group_type: GroupType, why: Missing, at: Timestamp) -> ConsumerGroup {
    ConsumerGroup {
        id: id.clone(),
        group_type,
        state: Reading::Missing(why),
        coordinator: None,
        members: Reading::Missing(why),
        commits: Reading::Missing(why),
        share_offsets: Reading::Missing(why),
        commits_as_of: at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClusterName;
    use crate::wire::Options;

    #[test]
    fn a_turn_can_run_on_any_thread() {
        fn sent<T: Send>(_: &T) {}
        let mut cluster = Cluster::new(ClusterName::from("c"), Options::default(), Clock::start());
        let witness = cluster.witness();
        let scope = Scope::default();
        sent(&cluster.snapshot(&scope));
        sent(&witness.sightings(&"t".into()));
        let (surveyor, at) = (cluster.surveyor(), TopicPartition::new("t", 0));
        sent(&surveyor.log_directories());
        sent(&surveyor.registered_brokers());
        sent(&surveyor.quorum());
        sent(&surveyor.reassignments());
        sent(&surveyor.eligible_leaders(&[]));
        sent(&surveyor.open_transactions());
        sent(&surveyor.transactions(&[]));
        sent(&surveyor.producers(&at));
    }
}
