//! Topics, leaders and brokers over turns.

use crate::model::{BrokerId, Missing, PartitionId, TopicId};
use crate::observe::world::World;
use crate::observe::{BrokerState, Change, Lag, Observation, PartitionCounts};

/// Partition, leader before and now, epoch before and now.
type Moved = (i32, Option<i32>, Option<i32>, i32, i32);

fn moves(observation: &Observation) -> Vec<Moved> {
    let of = |change: &Change| match change {
        Change::LeaderMoved { at, from, to, epoch_before, epoch_now, .. } => {
            Some((at.partition.0, from.map(|b| b.0), to.map(|b| b.0), epoch_before.get(), epoch_now.get()))
        }
        Change::TopicRecreated { .. } | Change::CommitRewound { .. } => None,
    };
    observation.changes.iter().filter_map(of).collect()
}

fn recreated(observation: &Observation) -> usize {
    observation.changes.iter().filter(|change| matches!(change, Change::TopicRecreated { .. })).count()
}

#[test]
fn a_killed_leader_gives_one_move_per_partition_it_led() {
    let mut world = World::new().with_topic("t", 1, &[10, 10, 10]);
    assert_eq!(moves(&world.turn()), [], "the first sight is no move");
    world.elect("t", 0, 2, 10);
    assert_eq!(moves(&world.turn()), [(0, Some(1), Some(2), 0, 1)]);
    assert_eq!(moves(&world.turn()), []);
    // Offline for two turns, then led again: one move.
    world.log("t", 1).leader = None;
    world.log("t", 1).epoch = Some(1);
    let offline = world.turns(2);
    assert_eq!(moves(&offline), []);
    assert_eq!(PartitionCounts::over(&offline.topics).offline, 1);
    world.log("t", 1).leader = Some(3);
    world.log("t", 1).epoch = Some(2);
    assert_eq!(moves(&world.turn()), [(1, Some(2), Some(3), 0, 2)]);
}

#[test]
fn metadata_of_an_earlier_term_moves_nothing() {
    let mut world = World::new().with_topic("t", 1, &[10]);
    world.turn();
    world.elect("t", 0, 2, 10);
    world.turn();
    let mut stale = world.clone();
    stale.log("t", 0).epoch = Some(0);
    stale.log("t", 0).leader = Some(1);
    let observation = stale.turn();
    assert_eq!(moves(&observation), []);
    let partition = &observation.topics["t"].partitions[&PartitionId(0)];
    assert!(partition.flags.unknown);
    assert_eq!(partition.leader, Some(BrokerId(2)), "the newer answer stands");
}

#[test]
fn a_topic_made_anew_is_told_once_and_begins_anew() {
    let mut world = World::new().with_topic("t", 1, &[1_000]).with_group("g", &[("t", 0, 900)]);
    world.turns(3);
    let before = world.clone();
    world = World { history: world.history.clone(), seconds: world.seconds, ..World::new().with_topic("t", 2, &[7]) };
    let observation = world.turn();
    assert_eq!(recreated(&observation), 1);
    assert!(observation.changes.contains(&Change::TopicRecreated {
        topic: "t".into(),
        id_before: TopicId([1; 16]),
        id_now: TopicId([2; 16])
    }));
    assert_eq!(moves(&observation), [], "another topic has no leader before");
    assert_eq!(
        observation.topics["t"].partitions[&PartitionId(0)].last_high_watermark.map(|(high, _)| high.get()),
        Some(7)
    );
    assert_eq!(recreated(&world.turn()), 0);
    // A broker that is behind still tells the old id.
    let mut stale = World { history: world.history.clone(), seconds: world.seconds, ..before };
    let observation = stale.turn();
    assert_eq!(recreated(&observation), 0);
    assert_eq!(observation.topics["t"].unknown, Some(Missing::Unconfirmed));
    assert!(matches!(observation.groups["g"].partitions[0].lag, Lag::Unknown(_)));
    assert_eq!(recreated(&World { history: stale.history, seconds: stale.seconds, ..world }.turn()), 0);
}

#[test]
fn deleted_and_made_anew_later_is_made_anew() {
    let mut world = World::new().with_topic("t", 1, &[10]);
    world.turn();
    world.topics.clear();
    assert!(world.turn().topics.is_empty());
    let mut world = World { history: world.history, seconds: world.seconds, ..World::new().with_topic("t", 2, &[10]) };
    assert_eq!(recreated(&world.turn()), 1);
}

#[test]
fn an_unreachable_cluster_keeps_its_topics_as_unknown() {
    let mut world = World::new().with_topic("t", 1, &[10, 10]).with_group("g", &[("t", 0, 5)]);
    world.log("t", 0).in_sync = vec![1];
    world.turn();
    world.dark = true;
    let observation = world.turn();
    assert!(!observation.reachable && !observation.complete);
    assert_eq!(observation.changes, []);
    let counts = PartitionCounts::over(&observation.topics);
    assert_eq!((counts.total, counts.unknown, counts.under_min_isr), (2, 2, 0), "what was is not what is");
    assert_eq!(observation.topics["t"].unknown, Some(Missing::ClusterUnreachable));
    assert!(observation.brokers.values().all(|broker| matches!(broker.state, BrokerState::NotAnswering(_))));
    world.dark = false;
    assert_eq!(PartitionCounts::over(&world.turn().topics).under_min_isr, 1);
}

#[test]
fn brokers_keep_since_when_they_are_missed() {
    let mut world = World::new().with_topic("t", 1, &[10, 10, 10]);
    world.turn();
    world.silent.insert(3, Missing::TimedOut(BrokerId(3)));
    let silent = world.turns(2);
    let broker = &silent.brokers[&BrokerId(3)];
    assert_eq!(
        (broker.state, broker.since.as_millis()),
        (BrokerState::NotAnswering(Missing::TimedOut(BrokerId(3))), 30_000)
    );
    assert_eq!((broker.leads, broker.replicas), (1, 3));
    world.silent.clear();
    world.brokers.remove(&3);
    let left = world.turns(200);
    let broker = &left.brokers[&BrokerId(3)];
    assert_eq!(
        (broker.state, broker.since.as_millis()),
        (BrokerState::LeftMetadata, 30_000),
        "one outage, and its replicas miss it"
    );
    assert_eq!(broker.address, "broker-3:9092");
    for partition in 0..3 {
        world.log("t", partition).replicas = vec![1, 2];
        world.log("t", partition).in_sync = vec![1, 2];
        world.log("t", partition).leader = Some(1);
    }
    assert!(!world.turn().brokers.contains_key(&BrokerId(3)), "decommissioned: nothing is placed on it");
    // After a restart the replicas still name a broker that the metadata does not.
    let mut fresh = World::new().with_topic("t", 1, &[10]);
    fresh.brokers.remove(&3);
    assert_eq!(fresh.turn().brokers[&BrokerId(3)].state, BrokerState::LeftMetadata);
}
