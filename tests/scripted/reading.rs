//! What a turn reads when nothing is wrong, and what it does with answers that disagree.

use kustody::model::{
    CommittedOffset, EpochEnd, GroupId, GroupState, GroupType, LedPartition, Missing, PartitionId, Reading, TopicName,
    TopicPartition, Watermarks,
};
use kustody::wire::Scope;

use super::{ONE, TWO, broker::Scripted, cluster, epoch, offset, options, script, started};

#[tokio::test]
async fn a_whole_cluster_is_read_in_one_turn() {
    let (_scripted, mut cluster) = started().await;
    let scope = Scope {
        canary_topic: Some("t".into()),
        epoch_questions: vec![(TopicPartition::new("t", 0), epoch(5))],
        ..Scope::default()
    };
    let read = cluster.snapshot(&scope).await;
    assert_eq!(read.missing, []);
    assert!(read.is_complete());
    assert_eq!(read.cluster_id, Reading::Read("scripted".to_owned()));
    assert_eq!(read.controller, Some(ONE));
    let both = [(ONE, Reading::Read(())), (TWO, Reading::Read(()))];
    assert_eq!(read.answering, both.into_iter().collect());
    assert!(read.group_list_complete);

    let commit = |at, number, term| {
        let commit = CommittedOffset { offset: offset(number), leader_epoch: Some(epoch(term)) };
        Reading::Read([(TopicPartition::new("t", at), Reading::Read(commit))].into_iter().collect())
    };
    let ga = read.groups.get(&GroupId::from("ga")).expect("it was listed");
    assert_eq!((ga.coordinator, ga.group_type), (Some(ONE), GroupType::Classic));
    assert_eq!(ga.state, Reading::Read(GroupState::Stable));
    assert_eq!(ga.commits, commit(0, 40, 5));
    let gb = read.groups.get(&GroupId::from("gb")).expect("it was listed");
    assert_eq!((gb.coordinator, gb.commits.clone()), (Some(TWO), commit(1, 41, 4)));

    let ends = Watermarks {
        log_start: Reading::Read(offset(10)),
        last_stable: Reading::Read(offset(90)),
        high_watermark: Reading::Read(offset(100)),
    };
    assert_eq!(read.watermarks.len(), 4);
    assert!(read.watermarks.values().all(|read| *read == ends));

    // The commit of "gb" is of an earlier term than the leader's, that of "ga" is not, but was asked about.
    let end = Reading::Read(EpochEnd { leader_epoch: epoch(4), end_offset: offset(40) });
    let want = [((TopicPartition::new("t", 0), epoch(5)), end), ((TopicPartition::new("t", 1), epoch(4)), end)];
    assert_eq!(read.epoch_ends, want.into_iter().collect());

    let topics = read.topics.value().expect("it was read");
    let config = topics.get(&TopicName::from("t")).expect("it is there").config.clone();
    assert_eq!(config.value().expect("it was asked for").min_insync_replicas, Some(2));

    let led = |leader, term| LedPartition { leader: Some(leader), leader_epoch: epoch(term) };
    let view = [(PartitionId(0), led(ONE, 5)), (PartitionId(1), led(TWO, 6))].into_iter().collect();
    let seen: Vec<_> = read.canary_sightings.iter().map(|sighting| (sighting.broker, &sighting.partitions)).collect();
    assert_eq!(seen, [(ONE, &view), (TWO, &view)]);
    assert_eq!(read.requests.get(&("ListOffsets", "answered")), Some(&6));
    assert_eq!(read.requests.get(&("ListOffsets", "failed")), None);
}

#[tokio::test]
async fn all_commits_are_read_before_any_watermark() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    let seen = scripted.seen.borrow().clone();
    let last_commit = seen.iter().rposition(|(_, api)| *api == 9);
    let first_watermark = seen.iter().position(|(_, api)| *api == 2);
    assert!(last_commit < first_watermark, "{seen:?}");
    // Nothing is asked for twice: commits in one request, three ends, one description, one list.
    assert_eq!([9, 2, 15, 16].map(|api| scripted.requests(2, api)), [1, 3, 1, 1]);
}

#[tokio::test]
async fn what_is_not_asked_for_stands_as_last_read() {
    let (scripted, mut cluster) = started().await;
    let sparing = Scope { read_earliest: false, read_configs: false, ..Scope::default() };
    let first = cluster.snapshot(&sparing).await;
    assert_eq!(first.missing, [], "what was never read is read at once");
    scripted.change(|script| script.ends = (20, 91, 101));
    let second = cluster.snapshot(&sparing).await;
    let at = TopicPartition::new("__consumer_offsets", 0);
    let ends = second.watermarks.get(&at).expect("it is led");
    assert_eq!(ends.log_start, Reading::Read(offset(10)), "the last known");
    assert_eq!(ends.high_watermark, Reading::Read(offset(101)));
    assert_eq!(second.requests.get(&("DescribeConfigs", "answered")), None);
    let canary =
        Scope { canary_topic: Some("t".into()), read_earliest: false, read_configs: false, ..Scope::default() };
    let of_canary = cluster.snapshot(&canary).await;
    assert_eq!(of_canary.requests.get(&("DescribeConfigs", "answered")), Some(&1), "its topic's are never old");
    let third = cluster.snapshot(&Scope::default()).await;
    assert_eq!(third.watermarks.get(&at).expect("it is led").log_start, Reading::Read(offset(20)));
}

#[tokio::test]
async fn filters_leave_topics_and_groups_out() {
    let (_scripted, mut cluster) = started().await;
    let scope = Scope {
        topics: Some(Box::new(|name| name == "t")),
        groups: Some(Box::new(|id| id == "ga")),
        ..Scope::default()
    };
    let read = cluster.snapshot(&scope).await;
    assert_eq!(read.watermarks.len(), 2);
    assert_eq!(read.groups.keys().map(GroupId::as_str).collect::<Vec<_>>(), ["ga"]);
    assert_eq!(read.groups.values().next().expect("one").coordinator, Some(ONE));
}

#[tokio::test]
async fn old_brokers_are_asked_group_by_group() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    scripted.change(|script| {
        script.newest = [(9, 7), (16, 2), (15, 4), (3, 8), (2, 1), (23, 2)].into_iter().collect();
        script.listed.insert("gc", (vec![1], "classic"));
    });
    let mut cluster = cluster(options(&scripted));
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(scripted.requests(1, 9), 2);
    assert!(read.groups.values().all(|group| group.commits.as_ref().value().is_some()));
    let types: Vec<_> = read.groups.values().map(|group| group.group_type).collect();
    assert_eq!(types, [GroupType::Classic; 3], "the list does not tell, the description does");
    let ends = read.watermarks.get(&TopicPartition::new("t", 0)).expect("it is led");
    assert_eq!(ends.last_stable, Reading::Missing(Missing::Unsupported), "version 1 knows no isolation");
    assert_eq!(ends.high_watermark, Reading::Read(offset(100)));
}

#[tokio::test]
async fn the_leader_of_its_partition_is_asked_not_who_lists_the_group() {
    let (scripted, mut cluster) = started().await;
    // A zombie: broker 2 still lists the group of broker 1.
    scripted.change(|script| {
        script.listed.insert("ga", (vec![2], "classic"));
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(read.groups.get(&GroupId::from("ga")).expect("listed").coordinator, Some(ONE));
}

#[tokio::test]
async fn groups_without_commits_are_listed_with_their_type() {
    let (scripted, mut cluster) = started().await;
    scripted.change(|script| {
        script.listed.insert("gc", (vec![1], "share"));
        script.listed.insert("gd", (vec![2], "Consumer"));
    });
    let read = cluster.snapshot(&Scope::default()).await;
    let share = read.groups.get(&GroupId::from("gc")).expect("it was listed");
    assert_eq!((share.group_type, share.state), (GroupType::Share, Reading::Read(GroupState::Stable)));
    assert_eq!(share.commits, Reading::Missing(Missing::Unsupported));
    let consumer = read.groups.get(&GroupId::from("gd")).expect("it was listed");
    assert_eq!((consumer.group_type, consumer.state), (GroupType::Consumer, Reading::Read(GroupState::Assigning)));
    assert!(read.is_complete(), "{:?}", read.missing);
}

#[tokio::test]
async fn a_zombies_metadata_is_not_believed() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    // Broker 1 was cut off before the election in which broker 2 took over.
    let stale = scripted.script.borrow().topics.clone();
    scripted.change(|script| {
        script.topics.insert("t", vec![(2, 7), (2, 6)]);
    });
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| {
        script.views.insert(1, stale);
    });
    for _ in 0..3 {
        let read = cluster.snapshot(&Scope { canary_topic: Some("t".into()), ..Scope::default() }).await;
        let topics = read.topics.value().expect("it was read");
        let partitions = topics.get(&TopicName::from("t")).expect("it is there").partitions.as_ref().value();
        let led = partitions.and_then(|partitions| partitions.get(&PartitionId(0))).expect("it is there");
        assert_eq!((led.leader, led.leader_epoch), (Some(TWO), Some(epoch(7))));
        let seen: Vec<_> = read.canary_sightings.iter().map(|seen| seen.partitions[&PartitionId(0)]).collect();
        let led = |leader, term| LedPartition { leader: Some(leader), leader_epoch: epoch(term) };
        assert_eq!(seen, [led(ONE, 5), led(TWO, 7)], "but each broker's own view is kept");
    }
}

#[tokio::test]
async fn a_group_that_is_gone_is_forgotten_when_its_coordinator_says_so() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    let id = GroupId::from("ga");
    scripted.change(|script| {
        script.listed.remove("ga");
    });
    for turn in 0..4 {
        let read = cluster.snapshot(&Scope::default()).await;
        let group = read.groups.get(&id).expect("commits of it are still there");
        assert!(group.commits.as_ref().value().is_some(), "turn {turn}");
        assert_eq!(group.state, Reading::Missing(Missing::CoordinatorMoving), "turn {turn}: not Dead");
    }
    scripted.change(|script| {
        script.commits.remove("ga");
    });
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(read.groups.get(&id), None, "four complete lists without it, and no commits");
}

#[tokio::test]
async fn a_group_that_one_list_lacks_is_kept() {
    let (scripted, mut cluster) = started().await;
    cluster.snapshot(&Scope::default()).await;
    // As after the start of a broker: "no groups, no error".
    scripted.change(|script| {
        script.listed.clear();
        script.commits.clear();
    });
    for turn in 0..2 {
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(read.groups.len(), 2, "turn {turn}");
        for group in read.groups.values() {
            assert_eq!(group.commits, Reading::Missing(Missing::CoordinatorMoving), "turn {turn}: never empty");
        }
    }
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(read.groups.len(), 0);
}
