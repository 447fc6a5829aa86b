//! What is not read in every turn: it stands as last read, and is read at once where something speaks against it.

use kustody::model::{ClusterSnapshot, GroupId, GroupState, Reading, TopicPartition};
use kustody::wire::{Options, Scope, Share};

use super::broker::Scripted;
use super::{cluster, offset, patient, script};

const DESCRIBE_GROUPS: i16 = 15;
const OFFSET_FETCH: i16 = 9;
const LIST_OFFSETS: i16 = 2;

/// A turn of no group's share.
fn sparing() -> Scope {
    Scope {
        described: Some(Share { turn: 1, of: u64::MAX }),
        read_earliest: false,
        read_configs: false,
        ..Scope::default()
    }
}

fn state(read: &ClusterSnapshot, group: &str) -> Reading<GroupState> {
    read.groups.get(&GroupId::from(group)).expect("it is known").state
}

#[tokio::test]
async fn a_settled_group_is_described_once_more_and_then_when_it_changes() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let mut cluster = cluster(patient(&scripted));
    let described = || [scripted.requests(1, DESCRIBE_GROUPS), scripted.requests(2, DESCRIBE_GROUPS)];
    for (turn, want) in [[1, 1], [2, 2], [2, 2], [2, 2]].into_iter().enumerate() {
        let read = cluster.snapshot(&sparing()).await;
        assert_eq!(described(), want, "turn {turn}");
        assert!(read.is_complete(), "turn {turn}: {:?}", read.missing);
        for group in ["ga", "gb"] {
            let group = read.groups.get(&GroupId::from(group)).expect("it is known");
            assert_eq!(group.state, Reading::Read(GroupState::Stable), "turn {turn}");
            assert_eq!(group.members, Reading::Read(Vec::new()), "turn {turn}: as last read");
            assert_eq!(group.commits.as_ref().map(std::collections::BTreeMap::len), Reading::Read(1), "turn {turn}");
        }
    }
    scripted.change(|script| {
        script.states.insert("gb", "Empty");
        script.listed.insert("gc", (vec![1], "classic"));
    });
    let read = cluster.snapshot(&sparing()).await;
    assert_eq!(described(), [3, 3], "one is new, one is in another state");
    assert_eq!(state(&read, "gb"), Reading::Read(GroupState::Empty));
    let read = cluster.snapshot(&Scope { described: Some(Share { turn: 0, of: 1 }), ..sparing() }).await;
    assert_eq!(described(), [4, 4], "it is the turn of all");
    assert!(read.is_complete());
    cluster.snapshot(&Scope { described: None, ..sparing() }).await;
    assert_eq!(described(), [5, 5], "all, whatever stands");
}

#[tokio::test]
async fn few_groups_are_described_in_every_turn() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let mut cluster = cluster(Options { always_described: 1, always_earliest: 2, ..patient(&scripted) });
    for turn in 1..=4 {
        cluster.snapshot(&sparing()).await;
        let asked = [DESCRIBE_GROUPS, LIST_OFFSETS].map(|api| scripted.requests(1, api));
        assert_eq!(asked, [turn, 3 * turn], "turn {turn}");
    }
}

#[tokio::test]
async fn a_silent_coordinator_leaves_no_description_standing() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let mut cluster = cluster(patient(&scripted));
    for _ in 0..3 {
        cluster.snapshot(&sparing()).await;
    }
    scripted.change(|script| {
        script.listed.remove("gb");
        script.errors.insert((2, DESCRIBE_GROUPS), 15);
    });
    let read = cluster.snapshot(&sparing()).await;
    assert!(state(&read, "gb").missing().is_some(), "it is not listed any more");
    assert_eq!(state(&read, "ga"), Reading::Read(GroupState::Stable));
}

#[tokio::test]
async fn a_log_start_is_read_at_once_where_a_group_is_near_it_or_another_leads() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    // Of partition 0, "ga" has 60 records left and read 10 of those that exist; of partition 1, "gb" has 10 left.
    scripted.change(|script| {
        script.commits = [("ga", vec![("t", 0, 20, 5)]), ("gb", vec![("t", 1, 95, 6)])].into_iter().collect();
    });
    let mut cluster = cluster(patient(&scripted));
    let log_start = |read: &ClusterSnapshot, partition| {
        read.watermarks.get(&TopicPartition::new("t", partition)).expect("it is there").log_start
    };
    let first = cluster.snapshot(&sparing()).await;
    assert_eq!((log_start(&first, 0), log_start(&first, 1)), (Reading::Read(offset(10)), Reading::Read(offset(10))));
    scripted.change(|script| script.ends = (30, 100, 100));
    let second = cluster.snapshot(&sparing()).await;
    assert_eq!(log_start(&second, 0), Reading::Read(offset(30)), "retention overtook the group");
    assert_eq!(log_start(&second, 1), Reading::Read(offset(10)), "as last read");
    scripted.change(|script| {
        script.topics.insert("t", vec![(1, 5), (2, 7)]);
    });
    let third = cluster.snapshot(&sparing()).await;
    assert_eq!(log_start(&third, 1), Reading::Read(offset(30)), "another term");
    scripted.change(|script| script.ends = (5, 20, 20));
    let fourth = cluster.snapshot(&sparing()).await;
    assert_eq!(log_start(&fourth, 1), Reading::Read(offset(5)), "the log ends before its start");
}

#[tokio::test]
async fn commits_are_asked_for_by_what_they_took_last_time() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    scripted.change(|script| {
        script.listed.insert("gc", (vec![1], "classic"));
        script.topics.insert("wide", vec![(1, 0); 150]);
        script.commits.insert("ga", (0..150).map(|partition| ("wide", partition, 40, 0)).collect());
    });
    // Two groups that were never read; then 150 commits, which alone take more.
    let mut cluster = cluster(Options { offset_fetch_bytes: 2_048, ..patient(&scripted) });
    for (turn, want) in [(1, 1), (2, 3), (3, 5)] {
        let read = cluster.snapshot(&sparing()).await;
        assert_eq!(scripted.requests(1, OFFSET_FETCH), want, "turn {turn}");
        let commits = |group: &str| {
            let group = read.groups.get(&GroupId::from(group)).expect("it is known");
            group.commits.as_ref().map(std::collections::BTreeMap::len)
        };
        assert_eq!((commits("ga"), commits("gc")), (Reading::Read(150), Reading::Read(0)), "turn {turn}");
    }
}
