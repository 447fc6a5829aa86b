//! How often brokers are asked, and how many connections they have to keep for us.

use std::time::Duration;

use kustody::model::{ClusterSnapshot, GroupId, Missing, PartitionId, Reading, TopicName};
use kustody::wire::{Options, Scope};
use tokio::time::{Instant, timeout};

use super::broker::{Manner, Scripted};
use super::{ONE, TWO, cluster, epoch, options, patient, script, started};

const API_VERSIONS: i16 = 18;
const LIST_GROUPS: i16 = 16;
const OFFSET_FETCH: i16 = 9;

fn commits(read: &ClusterSnapshot, group: &str) -> Reading<usize> {
    read.groups.get(&GroupId::from(group)).expect("it is known").commits.as_ref().map(std::collections::BTreeMap::len)
}

#[tokio::test]
async fn a_broker_that_throttles_is_left_alone_for_its_time() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    scripted.change(|script| {
        script.throttles.insert((2, LIST_GROUPS), 500);
    });
    let read = cluster(patient(&scripted)).snapshot(&Scope::default()).await;
    assert!(read.is_complete(), "{:?}", read.missing);
    assert_eq!(read.requests.get(&("ListGroups", "throttled")), Some(&1));
    assert_eq!(read.requests.get(&("ListGroups", "answered")), Some(&1));
    let waited = |id| scripted.asked_at(id, OFFSET_FETCH) - scripted.asked_at(id, LIST_GROUPS);
    assert!(waited(2) >= Duration::from_millis(490), "{:?}", waited(2));
    assert!(scripted.asked_at(1, OFFSET_FETCH) < scripted.asked_at(2, OFFSET_FETCH), "nobody else waits");
}

#[tokio::test]
async fn a_throttle_beyond_the_turn_costs_that_brokers_part_and_is_no_silence() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let mut cluster = cluster(options(&scripted));
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| {
        script.throttles.insert((2, LIST_GROUPS), 30_000);
    });
    for turn in 0..2 {
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(commits(&read, "gb"), Reading::Missing(Missing::Throttled), "turn {turn}");
        assert_eq!(commits(&read, "ga"), Reading::Read(1), "turn {turn}");
        assert_eq!(read.answering.get(&TWO), Some(&Reading::Read(())), "turn {turn}: it did nothing wrong");
        assert_eq!(read.answering.get(&ONE), Some(&Reading::Read(())), "turn {turn}");
        assert!(!read.is_complete(), "turn {turn}");
    }
    assert_eq!(scripted.requests(2, LIST_GROUPS), 2, "the first of them is the last that it got");
}

#[tokio::test]
async fn no_second_has_more_requests_than_the_limit_and_another_cluster_does_not_wait() {
    const LIMIT: u32 = 8;
    let (limited, free) = tokio::join!(Scripted::start(&[1, 2], script()), Scripted::start(&[1, 2], script()));
    let mut cluster_limited = cluster(Options { max_requests_per_second: LIMIT, ..patient(&limited) });
    let mut cluster_free = cluster(patient(&free));
    let scope = Scope::default();
    let begun = Instant::now();
    let (read, other) = tokio::join!(cluster_limited.snapshot(&scope), async {
        let read = cluster_free.snapshot(&scope).await;
        (read, begun.elapsed())
    });
    assert!(read.is_complete(), "{:?}", read.missing);
    assert!(other.0.is_complete(), "{:?}", other.0.missing);
    assert!(other.1 < begun.elapsed(), "the other cluster was read before");
    let (seen, times) = (limited.seen.borrow(), limited.times.borrow());
    // What opens a connection is not counted.
    let times: Vec<Instant> =
        seen.iter().zip(times.iter()).filter(|((_, api), _)| *api != API_VERSIONS).map(|(_, at)| *at).collect();
    let limit = usize::try_from(LIMIT).expect("small");
    assert!(times.len() > limit, "{} requests", times.len());
    for (first, behind) in times.iter().zip(times.iter().skip(limit)) {
        // They are let pass a second apart; on their way they may come a little closer.
        assert!(*behind - *first >= Duration::from_millis(800), "{:?}", *behind - *first);
    }
}

#[tokio::test]
async fn a_limit_too_low_makes_a_turn_incomplete_and_blames_no_broker() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let read = cluster(Options { max_requests_per_second: 1, ..options(&scripted) }).snapshot(&Scope::default()).await;
    assert!(!read.is_complete());
    let reasons: Vec<Missing> = read.missing.iter().map(|missing| missing.why).collect();
    assert!(reasons.contains(&Missing::Throttled), "{reasons:?}");
    assert!(read.answering.values().all(|answering| *answering == Reading::Read(())), "{:?}", read.answering);
    assert!(scripted.asked(3) >= 1);
}

#[tokio::test]
async fn a_broker_has_two_connections_at_most() {
    let (scripted, mut cluster) = started().await;
    let (witness, surveyor, topic) = (cluster.witness(), cluster.surveyor(), TopicName::from("t"));
    let scope = Scope { canary_topic: Some(topic.clone()), ..Scope::default() };
    // By the bootstrap address; from the first metadata on, brokers are known by their own.
    cluster.snapshot(&scope).await;
    let manners = [
        Manner::Healthy,
        Manner::Withholds(OFFSET_FETCH),
        Manner::Hung,
        Manner::Cuts(2),
        Manner::Confuses(16),
        Manner::Healthy,
    ];
    for manner in manners {
        scripted.change(|script| {
            script.manners.insert(2, manner.clone());
        });
        for _ in 0..2 {
            tokio::join!(
                cluster.snapshot(&scope),
                witness.sightings(&topic),
                witness.log_end(&topic, PartitionId(1), epoch(6)),
                surveyor.registered_brokers(),
            );
        }
        // A broker that hangs does not see either that we have closed a connection.
        scripted.change(|script| script.manners.clear());
        let mut connections = scripted.connections.subscribe();
        let settled = connections.wait_for(|brokers| brokers.values().all(|connections| connections.open <= 2));
        let settled = timeout(Duration::from_secs(10), settled).await;
        assert!(settled.is_ok(), "{manner:?}: {:?}", scripted.connections.borrow());
    }
    let connections = scripted.connections.borrow();
    let healthy = connections.get(&1).expect("it was connected to");
    assert!(healthy.most <= 2, "{healthy:?}");
}
