//! Brokers over time: a broker that left the metadata is not gone, it is missed.

use std::collections::BTreeMap;

use super::history::Options;
use super::view::{BrokerState, BrokerView, TopicView};
use crate::model::{BrokerId, ClusterSnapshot, Missing, Reading, Timestamp, TopicName};

/// What is remembered of a broker.
#[derive(Clone, Debug)]
pub(crate) struct BrokerTrack {
    address: String,
    rack: Option<String>,
    state: BrokerState,
    since: Timestamp,
}

/// The brokers that are or were in the metadata.
pub(crate) fn brokers(
    tracks: &mut BTreeMap<BrokerId, BrokerTrack>,
    options: &Options,
    snapshot: &ClusterSnapshot,
    topics: &BTreeMap<TopicName, TopicView>,
) -> BTreeMap<BrokerId, BrokerView> {
    let now = snapshot.span.started;
    if let Reading::Read(brokers) = &snapshot.brokers {
        for broker in brokers.values() {
            let state = BrokerState::Answering;
            let new = || BrokerTrack { address: String::new(), rack: None, state, since: now };
            let track = tracks.entry(broker.id).or_insert_with(new);
            track.address = format!("{}:{}", broker.host, broker.port);
            track.rack.clone_from(&broker.rack);
        }
    }
    let mut placed: BTreeMap<BrokerId, (u64, u64)> = BTreeMap::new();
    for partition in topics.values().flat_map(|topic| topic.partitions.values()) {
        if let Some(leader) = partition.leader {
            placed.entry(leader).or_default().0 += 1;
        }
        for replica in &partition.replicas {
            placed.entry(*replica).or_default().1 += 1;
        }
    }
    let topology_read = topics.values().all(|topic| topic.unknown.is_none()) && snapshot.topics.missing().is_none();
    // A broker that is missed since before our start: replicas are placed on it, and the metadata has no address.
    if let Reading::Read(brokers) = &snapshot.brokers {
        for id in placed.keys().filter(|id| !brokers.contains_key(*id)) {
            let state = BrokerState::LeftMetadata;
            tracks.entry(*id).or_insert(BrokerTrack { address: String::new(), rack: None, state, since: now });
        }
    }
    tracks.retain(|id, track| {
        let state = state(*id, track.state, snapshot);
        // One outage has one beginning, whether the metadata still names the broker or not.
        if (state == BrokerState::Answering) != (track.state == BrokerState::Answering) {
            track.since = now;
        }
        track.state = state;
        // Killed and decommissioned look alike; what tells them apart is that the latter holds no replica any more.
        let decommissioned = topology_read && !placed.contains_key(id) && state == BrokerState::LeftMetadata;
        !decommissioned || now.since(track.since) < options.forget_brokers_after
    });
    let view = |(id, track): (&BrokerId, &BrokerTrack)| {
        let (leads, replicas) = placed.get(id).copied().unwrap_or_default();
        let BrokerTrack { address, rack, state, since } = track.clone();
        (*id, BrokerView { id: *id, address, rack, state, since, leads, replicas })
    };
    tracks.iter().map(view).collect()
}

fn state(id: BrokerId, before: BrokerState, snapshot: &ClusterSnapshot) -> BrokerState {
    match (&snapshot.brokers, snapshot.answering.get(&id)) {
        // It may still answer, as a fenced broker does: what it says is not the cluster's word.
        (Reading::Read(brokers), _) if !brokers.contains_key(&id) => BrokerState::LeftMetadata,
        (_, Some(Reading::Read(()))) => BrokerState::Answering,
        (_, Some(Reading::Missing(why))) => match before {
            BrokerState::LeftMetadata if snapshot.brokers.missing().is_some() => before,
            BrokerState::LeftMetadata | BrokerState::Answering | BrokerState::NotAnswering(_) => {
                BrokerState::NotAnswering(*why)
            }
        },
        (Reading::Read(_), None) => before,
        (Reading::Missing(why), None) => match before {
            BrokerState::LeftMetadata => before,
            BrokerState::Answering | BrokerState::NotAnswering(_) => BrokerState::NotAnswering(unheard(*why)),
        },
    }
}

/// A broker that was not even asked cannot have answered: the cluster was not reached.
fn unheard(why: Missing) -> Missing {
    if why == Missing::NotAsked { Missing::ClusterUnreachable } else { why }
}
