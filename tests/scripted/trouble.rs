//! What a turn makes of brokers that hang, break, confuse or refuse.

use kustody::model::{
    ClusterSnapshot, EpochEnd, GroupId, Missing, MissingPart, Part, PartitionId, Reading, TopicName, TopicPartition,
};
use kustody::wire::{Options, Scope};

use super::broker::{Manner, Scripted};
use super::{DEADLINE, ONE, PATIENCE, TWO, cluster, epoch, offset, options, script, started};

fn high_watermark(read: &ClusterSnapshot, partition: i32) -> Reading<kustody::model::Offset> {
    read.watermarks.get(&TopicPartition::new("t", partition)).expect("it is in the metadata").high_watermark
}

fn commits(read: &ClusterSnapshot, group: &str) -> Reading<usize> {
    read.groups.get(&GroupId::from(group)).expect("it is known").commits.as_ref().map(std::collections::BTreeMap::len)
}

#[tokio::test]
async fn a_hung_broker_costs_its_own_part_only() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| {
        script.manners.insert(2, Manner::Hung);
    });
    let hung = Missing::TimedOut(TWO);
    for turn in 0..3 {
        let read = cluster.snapshot(&Scope { canary_topic: Some("t".into()), ..Scope::default() }).await;
        assert!(read.took < DEADLINE, "turn {turn}: {:?}", read.took);
        assert_eq!(read.answering.get(&ONE), Some(&Reading::Read(())), "turn {turn}");
        assert_eq!(read.answering.get(&TWO), Some(&Reading::Missing(hung)), "turn {turn}");
        assert_eq!(high_watermark(&read, 0), Reading::Read(offset(100)), "turn {turn}");
        assert_eq!(high_watermark(&read, 1), Reading::Missing(hung), "turn {turn}");
        assert_eq!(commits(&read, "ga"), Reading::Read(1), "turn {turn}");
        assert_eq!(commits(&read, "gb"), Reading::Missing(hung), "turn {turn}: not gone");
        assert!(!read.group_list_complete, "turn {turn}");
        assert_eq!(read.canary_sightings.len(), 1, "turn {turn}");
        let list = MissingPart { part: Part::GroupList, broker: Some(TWO), why: hung };
        assert!(read.missing.contains(&list), "turn {turn}: {:?}", read.missing);
    }
    scripted.change(|script| {
        script.manners.clear();
    });
    let mut read = cluster.snapshot(&Scope::default()).await;
    while !read.is_complete() {
        assert!(read.took < DEADLINE);
        read = cluster.snapshot(&Scope::default()).await;
    }
}

#[tokio::test]
async fn a_hung_broker_among_the_bootstrap_addresses_is_passed_over() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    for hung in [1, 2] {
        scripted.change(|script| script.manners = [(hung, Manner::Hung)].into_iter().collect());
        let read = cluster(options(&scripted)).snapshot(&Scope::default()).await;
        assert!(read.topics.as_ref().value().is_some(), "{hung} hangs");
        assert!(read.took < DEADLINE, "{hung} hangs: {:?}", read.took);
    }
}

#[tokio::test]
async fn one_slow_answer_does_not_blind_the_rest() {
    let (scripted, mut cluster) = started().await;
    scripted.change(|script| {
        script.manners.insert(2, Manner::Withholds(9));
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(commits(&read, "gb"), Reading::Missing(Missing::TimedOut(TWO)));
    assert_eq!(high_watermark(&read, 1), Reading::Read(offset(100)), "asked on a fresh connection");
    assert_eq!(read.answering.get(&TWO), Some(&Reading::Missing(Missing::TimedOut(TWO))));
}

#[tokio::test]
async fn a_broken_answer_costs_its_own_part_only() {
    let cases = [
        ("cut in the middle", Manner::Cuts(9), Missing::Unreachable(TWO)),
        ("of another request", Manner::Confuses(9), Missing::Garbled(TWO)),
    ];
    for (name, manner, want) in cases {
        let (scripted, mut cluster) = started().await;
        scripted.change(|script| {
            script.manners.insert(2, manner);
        });
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(commits(&read, "gb"), Reading::Missing(want), "{name}");
        assert_eq!(commits(&read, "ga"), Reading::Read(1), "{name}");
        assert_eq!(high_watermark(&read, 1), Reading::Read(offset(100)), "{name}");
        assert_eq!(read.answering.get(&TWO), Some(&Reading::Missing(want)), "{name}");
        assert_eq!(read.answering.get(&ONE), Some(&Reading::Read(())), "{name}");
    }
}

#[tokio::test]
async fn an_error_is_the_reason_that_nothing_was_read() {
    let moving = Missing::LeaderMoving;
    let commits_cases = [
        ("not coordinator", 16, Missing::CoordinatorMoving),
        ("coordinator loads", 14, Missing::CoordinatorMoving),
        ("group refused", 30, Missing::GroupNotAuthorized),
        ("unknown", -1, Missing::KafkaError(-1)),
    ];
    for (name, code, want) in commits_cases {
        let (scripted, mut cluster) = started().await;
        scripted.change(|script| {
            script.errors.insert((2, 9), code);
        });
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(commits(&read, "gb"), Reading::Missing(want), "{name}");
        assert_eq!(commits(&read, "ga"), Reading::Read(1), "{name}");
        assert_eq!(read.answering.get(&TWO), Some(&Reading::Read(())), "{name}: it answered");
        assert!(!read.is_complete(), "{name}");
    }
    let ends_cases = [
        ("not leader", 6, moving),
        ("fenced epoch", 74, moving),
        ("no high watermark yet", 78, Missing::OffsetNotAvailable),
        ("topic refused", 29, Missing::TopicNotAuthorized),
    ];
    for (name, code, want) in ends_cases {
        let (scripted, mut cluster) = started().await;
        scripted.change(|script| {
            script.errors.insert((2, 2), code);
        });
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(high_watermark(&read, 1), Reading::Missing(want), "{name}");
        assert_eq!(high_watermark(&read, 0), Reading::Read(offset(100)), "{name}");
    }
}

#[tokio::test]
async fn a_refused_list_is_not_an_empty_one() {
    for (name, code, want) in
        [("loading", 14, Missing::CoordinatorMoving), ("refused", 31, Missing::ClusterNotAuthorized)]
    {
        let (scripted, mut cluster) = started().await;
        scripted.change(|script| {
            script.errors.insert((2, 16), code);
        });
        let read = cluster.snapshot(&Scope::default()).await;
        assert!(!read.group_list_complete, "{name}");
        assert!(read.missing.contains(&MissingPart { part: Part::GroupList, broker: Some(TWO), why: want }), "{name}");
    }
}

#[tokio::test]
async fn a_leader_that_moves_within_the_turn_is_followed() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    let stale = scripted.script.borrow().topics.clone();
    // Broker 1 has heard of the election, broker 2 has not; the first metadata may come from either.
    scripted.change(|script| {
        script.topics.insert("t", vec![(1, 5), (1, 7)]);
        script.views.insert(2, stale);
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(high_watermark(&read, 1), Reading::Read(offset(100)));
}

#[tokio::test]
async fn nobody_answers() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| script.manners = [(1, Manner::Hung), (2, Manner::Hung)].into_iter().collect());
    let read = cluster.snapshot(&Scope::default()).await;
    assert!(read.took < DEADLINE, "{:?}", read.took);
    let why = Missing::ClusterUnreachable;
    assert_eq!(read.brokers, Reading::Missing(why));
    assert_eq!(read.missing, [MissingPart { part: Part::Metadata, broker: None, why }]);
    assert_eq!(commits(&read, "ga"), Reading::Missing(why), "known groups stay");
    assert!(read.answering.values().all(|answering| answering.missing().is_some()));
}

#[tokio::test]
async fn no_broker_is_known_and_none_answers() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = unused.local_addr().expect("bound").to_string();
    drop(unused);
    let read = cluster(Options { bootstrap: vec![address], ..Options::default() }).snapshot(&Scope::default()).await;
    assert_eq!(read.topics, Reading::Missing(Missing::ClusterUnreachable));
    assert!(read.answering.is_empty());
    assert!(read.took < PATIENCE, "a refusal takes no time: {:?}", read.took);
}

#[tokio::test]
async fn a_broker_that_left_the_metadata_is_still_greeted() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| {
        script.brokers.remove(&2);
        script.topics = [("t", vec![(1, 5), (1, 7)])].into_iter().collect();
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(read.answering.get(&TWO), Some(&Reading::Read(())), "fenced, but alive");
    scripted.change(|script| {
        script.manners.insert(2, Manner::Hung);
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(read.answering.get(&TWO), Some(&Reading::Missing(Missing::TimedOut(TWO))));
    assert_eq!(read.answering.get(&ONE), Some(&Reading::Read(())));
}

#[tokio::test]
async fn a_witness_answers_while_a_turn_hangs() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    let witness = cluster.witness();
    scripted.change(|script| {
        script.manners.insert(1, Manner::Withholds(16));
    });
    let topic = TopicName::from("t");
    let (scope, epochs) = (Scope::default(), [epoch(5), epoch(3)]);
    let (read, ends) =
        tokio::join!(cluster.snapshot(&scope), witness.epoch_ends(&topic, PartitionId(0), &epochs, epoch(5)),);
    assert!(!read.is_complete());
    let end = |term| Reading::Read(Some(EpochEnd { leader_epoch: epoch(term), end_offset: offset(40) }));
    assert_eq!(ends, [(epoch(5), end(4)), (epoch(3), end(3))]);
    assert_eq!(witness.log_start(&topic, PartitionId(1), epoch(6)).await, Reading::Read(offset(10)));
    assert_eq!(witness.high_watermark(&topic, PartitionId(1), epoch(6)).await, Reading::Read(offset(100)));
    assert_eq!(witness.log_end(&topic, PartitionId(1), epoch(6)).await, Reading::Read(offset(40)));
    assert_eq!(witness.sightings(&topic).await.len(), 2);
}

#[tokio::test]
async fn a_witness_follows_the_leader_and_believes_no_other_term() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    let witness = cluster.witness();
    let topic = TopicName::from("t");
    scripted.change(|script| {
        script.topics.insert("t", vec![(2, 6), (2, 6)]);
    });
    assert_eq!(
        witness.log_start(&topic, PartitionId(0), epoch(6)).await,
        Reading::Read(offset(10)),
        "at its new leader"
    );
    let stale = witness.log_start(&topic, PartitionId(0), epoch(5)).await;
    assert_eq!(stale, Reading::Missing(Missing::LeaderMoving), "not in the old term");
    scripted.change(|script| {
        script.manners.insert(2, Manner::Hung);
    });
    let hung = witness.log_start(&topic, PartitionId(0), epoch(6)).await;
    assert_eq!(hung, Reading::Missing(Missing::TimedOut(TWO)));
}
