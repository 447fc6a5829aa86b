//! Rewinds in whole turns: what counts as one, and what only looks like one.

use crate::model::{BrokerId, Missing};
use crate::observe::world::{World, at};
use crate::observe::{Change, GroupVerdict, Observation};

fn world() -> World {
    World::new().with_topic("t", 1, &[1_000]).with_group("g", &[("t", 0, 1_000)])
}

/// From, to, and whether the group was empty, of each rewind.
fn rewinds(observation: &Observation) -> Vec<(i64, i64, bool)> {
    let of = |change: &Change| match change {
        Change::CommitRewound { from, to, group_was_empty, .. } => {
            Some((from.offset.get(), to.offset.get(), *group_was_empty))
        }
        Change::LeaderMoved { .. } | Change::TopicRecreated { .. } => None,
    };
    observation.changes.iter().filter_map(of).collect()
}

fn told(world: &mut World, turns: usize) -> Vec<(i64, i64, bool)> {
    (0..turns).flat_map(|_| rewinds(&world.turn())).collect()
}

#[test]
fn a_reset_by_500_is_a_rewind_by_500_told_once() {
    let mut world = world();
    world.turn();
    world.empty("g");
    world.commit("g", "t", 0, 500);
    let first = world.turn();
    assert_eq!(rewinds(&first), [], "one read proves nothing");
    let second = world.turn();
    assert_eq!(rewinds(&second), [(1_000, 500, true)]);
    assert_eq!(second.groups["g"].verdict, GroupVerdict::Rewound);
    assert_eq!(told(&mut world, 5), []);
    world.commit("g", "t", 0, 1_000);
    assert_eq!(world.turn().groups["g"].verdict, GroupVerdict::Ok, "recovered");
}

#[test]
fn what_looks_like_a_rewind_and_is_none() {
    let hung = Missing::TimedOut(BrokerId(2));
    type Steps = fn(&mut World);
    let cases: [(&str, Vec<Steps>); 9] = [
        (
            "normal consumption",
            vec![|w| w.log("t", 0).high = 2_000, |w| w.commit("g", "t", 0, 1_500), |w| w.commit("g", "t", 0, 2_000)],
        ),
        (
            "a coordinator hung past its session answers of the past, by its own metadata",
            vec![
                |w| w.group("g").coordinator = 3,
                |w| w.commit("g", "t", 0, 1_000),
                |w| {
                    w.group("g").coordinator = 2;
                    w.commit("g", "t", 0, 400);
                },
                |w| {
                    w.group("g").coordinator = 3;
                    w.commit("g", "t", 0, 1_000);
                },
                |w| w.commit("g", "t", 0, 1_000),
            ],
        ),
        (
            "a hung coordinator",
            vec![|w| w.group("g").missing = Some(Missing::TimedOut(BrokerId(2))), |_| (), |w| {
                w.group("g").missing = None
            }],
        ),
        (
            "a stale read, then a hung coordinator, then the truth",
            vec![
                |w| w.commit("g", "t", 0, 400),
                |w| w.group("g").missing = Some(Missing::TimedOut(BrokerId(2))),
                |w| {
                    w.group("g").missing = None;
                    w.commit("g", "t", 0, 1_000);
                },
            ],
        ),
        (
            "the topic was made anew",
            vec![
                |w| {
                    w.topics.get_mut("t").expect("made").id = Some(2);
                    w.log("t", 0).high = 7;
                    w.commit("g", "t", 0, 5);
                },
                |_| (),
                |_| (),
            ],
        ),
        (
            "truncated, and the consumer went back to where the log ends",
            vec![
                |w| {
                    w.elect("t", 0, 2, 600);
                    w.log("t", 0).high = 700;
                    w.commit("g", "t", 0, 650);
                },
                |_| (),
                |_| (),
                |_| (),
            ],
        ),
        (
            "back from beyond the log",
            vec![|w| w.commit("g", "t", 0, 9_000), |w| w.commit("g", "t", 0, 1_000), |_| (), |_| ()],
        ),
        (
            "another epoch, and the leader cannot tell",
            vec![
                |w| {
                    w.elect("t", 0, 2, 1_000);
                    w.log("t", 0).ends.clear();
                    w.commit("g", "t", 0, 650);
                },
                |_| (),
                |_| (),
                |_| (),
                |_| (),
                |_| (),
            ],
        ),
        (
            "the commit was deleted and made anew",
            vec![|w| w.group("g").commits.clear(), |_| (), |w| w.commit("g", "t", 0, 10), |_| (), |_| ()],
        ),
    ];
    for (name, steps) in cases {
        let mut world = world();
        world.turn();
        for step in steps {
            step(&mut world);
            assert_eq!(rewinds(&world.turn()), [], "{name}");
        }
    }
    let mut missing = world();
    missing.group("g").missing = Some(hung);
    assert_eq!(told(&mut missing, 3), []);
}

#[test]
fn what_is_a_rewind_all_the_same() {
    type Step = fn(&mut World);
    type Case = (&'static str, Vec<Step>, (i64, i64, bool));
    let cases: [Case; 5] = [
        (
            "the group was not read in between",
            vec![|w| w.commit("g", "t", 0, 500), |w| w.group("g").missing = Some(Missing::CoordinatorMoving), |w| {
                w.group("g").missing = None
            }],
            (1_000, 500, false),
        ),
        (
            "the group was not listed in between",
            vec![
                |w| w.commit("g", "t", 0, 500),
                |w| {
                    w.list_complete = false;
                    let group = w.groups.remove("g").expect("there");
                    w.groups.insert("hidden".to_owned(), group);
                },
                |w| {
                    let group = w.groups.remove("hidden").expect("there");
                    w.groups.insert("g".to_owned(), group);
                },
            ],
            (1_000, 500, false),
        ),
        (
            "the coordinator moved in between: its second read decides",
            vec![
                |w| {
                    w.group("g").coordinator = 3;
                    w.commit("g", "t", 0, 500);
                },
                |_| (),
            ],
            (1_000, 500, false),
        ),
        (
            "a clean election besides",
            vec![
                |w| {
                    w.elect("t", 0, 2, 1_000);
                    w.commit("g", "t", 0, 500);
                },
                |_| (),
            ],
            (1_000, 500, false),
        ),
        (
            "read on before the second read",
            vec![|w| w.commit("g", "t", 0, 500), |w| w.commit("g", "t", 0, 900)],
            (1_000, 500, false),
        ),
    ];
    for (name, steps, want) in cases {
        let mut world = world();
        world.turn();
        let mut all = Vec::new();
        for step in steps {
            step(&mut world);
            all.extend(rewinds(&world.turn()));
        }
        assert_eq!(all, [want], "{name}");
    }
}

#[test]
fn a_rewind_while_the_daemon_was_down_is_told() {
    let mut world = world();
    world.history.restore(crate::observe::Restored {
        commits: vec![crate::observe::CommitPoint {
            group: "g".into(),
            topic_id: crate::model::TopicId([1; 16]),
            partition: at("t", 0).partition,
            at: crate::model::Timestamp::from_millis(0),
            offset: crate::observe::world::offset(1_000),
            leader_epoch: None,
        }],
        ..crate::observe::Restored::default()
    });
    world.seconds = 600;
    world.commit("g", "t", 0, 500);
    let mut made_anew = world.clone();
    assert_eq!(told(&mut world, 3), [(1_000, 500, false)]);
    // The counter-case: the commit of the earlier run does not outlive its deletion.
    made_anew.commit("g", "t", 0, 1_000);
    made_anew.turn();
    made_anew.group("g").commits.clear();
    made_anew.turns(2);
    made_anew.commit("g", "t", 0, 10);
    assert_eq!(told(&mut made_anew, 3), []);
}
