//! After a broker started, ListGroups answers "no groups, no error" for up to a minute. No group may vanish by that.

use kustody::model::{ClusterSnapshot, GroupId, Missing, Reading};
use kustody::wire::{Options, Scope};

use super::broker::Scripted;
use super::{cluster, patient, script};

fn commits(read: &ClusterSnapshot, group: &str) -> Reading<usize> {
    let group = read.groups.get(&GroupId::from(group)).expect("no group vanishes");
    group.commits.as_ref().map(std::collections::BTreeMap::len)
}

#[tokio::test]
async fn a_restarted_broker_that_lists_nothing_makes_no_group_vanish() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    // As served: a coordinator counts once it has been in place for a minute.
    let defaults = Options::default();
    let settling = Options {
        group_list_settle: defaults.group_list_settle,
        forget_after: defaults.forget_after,
        ..patient(&scripted)
    };
    let mut cluster = cluster(settling);
    cluster.snapshot(&Scope::default()).await;
    let before = scripted.script.borrow().clone();

    // Its shards are not loaded: neither lists, nor commits, nor descriptions, and no error anywhere.
    scripted.change(|script| {
        script.listed.remove("gb");
        script.commits.remove("gb");
    });
    scripted.start_again(2);
    for turn in 0..20 {
        let read = cluster.snapshot(&Scope::default()).await;
        assert_eq!(read.groups.len(), 2, "turn {turn}");
        assert!(!read.group_list_complete, "turn {turn}: an absence counts for nothing");
        let group = read.groups.get(&GroupId::from("gb")).expect("no group vanishes");
        let unknown = Missing::CoordinatorMoving;
        assert_eq!(group.state, Reading::Missing(unknown), "turn {turn}: not Dead");
        assert_eq!(group.members, Reading::Missing(unknown), "turn {turn}: not none");
        assert_eq!(commits(&read, "gb"), Reading::Missing(unknown), "turn {turn}: not empty");
        assert_eq!(commits(&read, "ga"), Reading::Read(1), "turn {turn}: of the other broker");
    }

    scripted.change(|script| (script.listed, script.commits) = (before.listed.clone(), before.commits.clone()));
    let read = cluster.snapshot(&Scope::default()).await;
    assert_eq!(commits(&read, "gb"), Reading::Read(1), "it was there all the time");
    assert!(read.is_complete(), "{:?}", read.missing);
}

#[tokio::test]
async fn a_whole_cluster_that_was_restarted_makes_no_group_vanish() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let defaults = Options::default();
    let settling = Options { group_list_settle: defaults.group_list_settle, ..patient(&scripted) };
    let mut cluster = cluster(settling);
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| {
        script.listed.clear();
        script.commits.clear();
        // Everything was elected anew.
        script.topics.insert("__consumer_offsets", vec![(1, 4), (2, 5)]);
    });
    scripted.start_again(1);
    scripted.start_again(2);
    for turn in 0..20 {
        let read = cluster.snapshot(&Scope::default()).await;
        for group in ["ga", "gb"] {
            assert_eq!(commits(&read, group), Reading::Missing(Missing::CoordinatorMoving), "turn {turn}");
        }
    }
}

#[tokio::test]
async fn a_group_that_is_deleted_on_a_broker_long_in_place_is_forgotten() {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let mut cluster = cluster(patient(&scripted));
    cluster.snapshot(&Scope::default()).await;
    scripted.change(|script| {
        script.listed.remove("gb");
        script.commits.remove("gb");
    });
    let mut turns = 0;
    while cluster.snapshot(&Scope::default()).await.groups.len() > 1 {
        turns += 1;
        assert!(turns < 5, "complete lists without it count");
    }
}
