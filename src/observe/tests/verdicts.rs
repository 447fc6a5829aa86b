//! Verdicts in whole turns of 15 s, window 5 min: 21 turns fill it.

use crate::model::{BrokerId, GroupState, Missing};
use crate::observe::world::{World, at};
use crate::observe::{GroupVerdict, Observation};

const WINDOW: usize = 21;

fn world(commit: i64, high: i64) -> World {
    World::new().with_topic("t", 1, &[high, high]).with_group("g", &[("t", 0, commit)])
}

fn verdict(observation: &Observation) -> GroupVerdict {
    observation.groups["g"].verdict
}

/// The verdicts of so many turns, each after `step`, without repetitions.
fn verdicts(world: &mut World, turns: usize, mut step: impl FnMut(&mut World, i64)) -> Vec<GroupVerdict> {
    let mut all = Vec::new();
    for turn in (1_i64..).take(turns) {
        step(world, turn);
        all.push(verdict(&world.turn()));
    }
    all.dedup();
    all
}

#[test]
fn stopped_is_lag_without_a_commit_for_a_whole_window() {
    use GroupVerdict::{Ok, Stopped, Unknown};
    type Step = fn(&mut World, i64);
    let cases: [(&str, World, Step, &[GroupVerdict]); 13] = [
        ("the log goes on, the group does not", world(100, 100), |w, n| w.log("t", 0).high = 100 + n, &[Ok, Stopped]),
        ("a backlog, found at our start", world(70, 100), |_, _| (), &[Ok, Stopped]),
        ("an empty group with lag: an outage", world(70, 100), |w, _| w.empty("g"), &[Ok, Stopped]),
        ("caught up and idle", world(100, 100), |_, _| (), &[Ok]),
        ("caught up and empty", world(100, 100), |w, _| w.empty("g"), &[Ok]),
        (
            "reads on",
            world(70, 100),
            |w, n| {
                w.log("t", 0).high = 100 + 10 * n;
                w.commit("g", "t", 0, 70 + 10 * n);
            },
            &[Ok],
        ),
        (
            "commits every four minutes",
            world(100, 100),
            |w, n| {
                w.log("t", 0).high = 100 + n;
                if n % 16 == 0 {
                    w.commit("g", "t", 0, 100 + n)
                }
            },
            &[Ok],
        ),
        (
            "a topic that is idle for an hour, then a record",
            world(100, 100),
            |w, n| {
                if n > 40 {
                    w.log("t", 0).high = 105
                }
                if n > 42 {
                    w.commit("g", "t", 0, 105)
                }
            },
            &[Ok],
        ),
        ("only the marker of a transaction is left", world(100, 100), |w, _| w.log("t", 0).high = 101, &[Ok]),
        (
            "hung coordinator",
            world(70, 100),
            |w, n| w.group("g").missing = (n > 5 && n < 60).then_some(Missing::TimedOut(BrokerId(2))),
            &[Ok, Unknown, Ok],
        ),
        (
            "hung leader",
            world(70, 100),
            |w, n| w.log("t", 0).missing = (n > 5 && n < 60).then_some(Missing::TimedOut(BrokerId(1))),
            &[Ok, Unknown, Ok],
        ),
        (
            "the wall clock jumps by an hour",
            world(70, 100),
            |w, n| {
                if n == 5 {
                    w.seconds += 3_600
                }
            },
            &[Ok],
        ),
        (
            "a transaction stays open",
            world(70, 100),
            |w, _| w.log("t", 0).stable = Some(70),
            &[GroupVerdict::BlockedByTransaction],
        ),
    ];
    for (name, mut world, step, want) in cases {
        let turns = match name {
            "the wall clock jumps by an hour" => 12,
            "hung coordinator" | "hung leader" => 70,
            _ => 2 * WINDOW + 8,
        };
        assert_eq!(verdicts(&mut world, turns, step), want, "{name}");
    }
}

#[test]
fn stopped_needs_the_whole_window_and_ends_with_the_next_commit() {
    let mut world = world(70, 100);
    assert_eq!(verdict(&world.turns(WINDOW)), GroupVerdict::Ok, "five minutes, not longer");
    assert_eq!(verdict(&world.turn()), GroupVerdict::Stopped);
    world.commit("g", "t", 0, 71);
    assert_eq!(verdict(&world.turn()), GroupVerdict::Ok);
}

#[test]
fn stalled_is_one_partition_while_the_group_goes_on() {
    let mut world = World::new().with_topic("t", 1, &[100, 100]).with_group("g", &[("t", 0, 70), ("t", 1, 70)]);
    let seen = verdicts(&mut world, 40, |w, n| {
        w.log("t", 1).high = 100 + n;
        w.commit("g", "t", 1, 70 + n);
    });
    assert_eq!(seen, [GroupVerdict::Ok, GroupVerdict::Stalled]);
}

#[test]
fn falling_behind_is_a_trend_over_the_window() {
    let mut half_speed = world(1_000, 1_000);
    let seen = verdicts(&mut half_speed, 60, |w, n| {
        w.log("t", 0).high = 1_000 + 200 * n;
        w.commit("g", "t", 0, 1_000 + 100 * n);
    });
    assert_eq!(seen, [GroupVerdict::Ok, GroupVerdict::FallingBehind]);
    let mut keeps_pace = world(1_000, 9_000);
    let seen = verdicts(&mut keeps_pace, 60, |w, n| {
        w.log("t", 0).high = 9_000 + 200 * n;
        w.commit("g", "t", 0, 1_000 + 200 * n);
    });
    assert_eq!(seen, [GroupVerdict::Ok]);
}

#[test]
fn a_topic_that_no_member_owns_is_abandoned_and_not_counted() {
    let mut world = World::new()
        .with_topic("t", 1, &[100])
        .with_topic("old", 2, &[500])
        .with_group("g", &[("t", 0, 90), ("old", 0, 100)]);
    world.group("g").members.insert("member-1".to_owned(), vec![at("t", 0)]);
    let step = |w: &mut World, n: i64| {
        w.log("t", 0).high = 100 + n;
        w.commit("g", "t", 0, 90 + n);
        w.log("old", 0).high = 500 + n;
    };
    let mut settled = world.clone();
    assert_eq!(verdicts(&mut settled, 40, step), [GroupVerdict::Ok, GroupVerdict::Abandoned]);
    let observation = settled.turn();
    let group = &observation.groups["g"];
    assert_eq!((group.lag_records, group.partitions.len()), (Some(10), 2), "listed, not counted");
    // Retention takes nothing from a group that does not read.
    settled.log("old", 0).start = 300;
    assert_eq!(verdict(&settled.turn()), GroupVerdict::Abandoned);
    // While members join nobody owns anything.
    settled.group("g").state = GroupState::PreparingRebalance;
    settled.group("g").members.insert("member-1".to_owned(), Vec::new());
    assert_eq!(verdict(&settled.turn()), GroupVerdict::Abandoned);
    // The counter-case: the group is empty, so all of it is an outage.
    world.empty("g");
    assert_eq!(
        verdicts(&mut world, 40, |w, n| w.log("t", 0).high = 100 + n),
        [GroupVerdict::Ok, GroupVerdict::Stopped]
    );
}

#[test]
fn the_worst_partition_gives_the_verdict() {
    let mut world =
        World::new().with_topic("t", 1, &[100, 100, 100]).with_group("g", &[("t", 0, 10), ("t", 1, 500), ("t", 2, 90)]);
    world.log("t", 2).missing = Some(Missing::LeaderMoving);
    assert_eq!(verdict(&world.turn()), GroupVerdict::AheadOfLog);
    world.log("t", 0).start = 60;
    assert_eq!(verdict(&world.turn()), GroupVerdict::LosingToRetention);
    world.commit("g", "t", 0, 70);
    world.commit("g", "t", 1, 100);
    assert_eq!(verdict(&world.turn()), GroupVerdict::Unknown, "one partition unknown makes ok impossible");
    world.log("t", 2).missing = None;
    assert_eq!(verdict(&world.turn()), GroupVerdict::Ok);
}

#[test]
fn stopped_goes_on_after_a_restart() {
    use crate::model::{PartitionId, Timestamp, TopicId};
    use crate::observe::world::offset;
    let mut world = world(70, 100);
    let at = |n: i64| Timestamp::from_millis(n * 15_000);
    let (topic_id, partition) = (TopicId([1; 16]), PartitionId(0));
    world.history.restore(crate::observe::Restored {
        topics: Vec::new(),
        high_watermarks: (0..=20)
            .map(|n| crate::observe::HighWatermarkPoint {
                topic_id,
                partition,
                at: at(n),
                high_watermark: offset(100),
                leader_epoch: None,
            })
            .collect(),
        commits: (0..=20)
            .map(|n| crate::observe::CommitPoint {
                group: "g".into(),
                topic_id,
                partition,
                at: at(n),
                offset: offset(70),
                leader_epoch: None,
            })
            .collect(),
    });
    world.seconds = 20 * 15;
    assert_eq!(verdict(&world.turn()), GroupVerdict::Stopped);
}
