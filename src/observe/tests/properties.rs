//! What holds whatever is missing.

use proptest::prelude::*;

use crate::model::{BrokerId, Missing};
use crate::observe::world::World;
use crate::observe::{GroupVerdict, Lag, Observation};

#[derive(Clone, Debug)]
enum Step {
    Turn,
    Produce(i32, i64),
    Commit(i32, i64),
    Silence(i32, bool),
    Elect(i32, i64),
    Trim(i32, i64),
    Dark(bool),
    Empty,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Turn),
        2 => (0_i32..3, 1_i64..50).prop_map(|(p, n)| Step::Produce(p, n)),
        2 => (0_i32..3, 0_i64..400).prop_map(|(p, n)| Step::Commit(p, n)),
        1 => (1_i32..4, any::<bool>()).prop_map(|(b, on)| Step::Silence(b, on)),
        1 => (0_i32..3, 0_i64..60).prop_map(|(p, n)| Step::Elect(p, n)),
        1 => (0_i32..3, 0_i64..60).prop_map(|(p, n)| Step::Trim(p, n)),
        1 => any::<bool>().prop_map(Step::Dark),
        1 => Just(Step::Empty),
    ]
}

fn run(steps: &[Step]) -> Vec<Observation> {
    let mut world =
        World::new().with_topic("t", 1, &[100, 100, 100]).with_group("g", &[("t", 0, 90), ("t", 1, 80), ("t", 2, 100)]);
    let mut all = Vec::new();
    for step in steps {
        match step {
            Step::Turn => all.push(world.turn()),
            Step::Produce(partition, records) => world.log("t", *partition).high += records,
            Step::Commit(partition, offset) => world.commit("g", "t", *partition, *offset),
            Step::Silence(broker, true) => {
                world.silent.insert(*broker, Missing::TimedOut(BrokerId(*broker)));
            }
            Step::Silence(broker, false) => {
                world.silent.remove(broker);
            }
            Step::Elect(partition, truncated) => {
                let log = world.log("t", *partition);
                let end = (log.high - truncated).max(log.start);
                let leader = log.leader.expect("it has one") % 3 + 1;
                world.elect("t", *partition, leader, end);
            }
            Step::Trim(partition, records) => {
                let log = world.log("t", *partition);
                log.start = (log.start + records).min(log.high);
            }
            Step::Dark(dark) => world.dark = *dark,
            Step::Empty => world.empty("g"),
        }
    }
    all
}

proptest! {
    #[test]
    fn totals_and_verdicts_never_count_what_was_not_read(steps in prop::collection::vec(step(), 1..60)) {
        for observation in run(&steps) {
            for group in observation.groups.values() {
                let mut sum = None;
                for view in &group.partitions {
                    let (committed, high) = (view.committed.value().flatten(), view.watermarks.high_watermark.value());
                    match view.lag {
                        Lag::Behind(records) => {
                            let commit = committed.expect("a number has both sides").offset;
                            prop_assert_eq!(high.expect("a number has both sides").distance_from(commit), Some(records));
                        }
                        Lag::Expired { .. } | Lag::Ahead(_) | Lag::Stranded { .. } => {
                            prop_assert!(committed.is_some() && high.is_some());
                        }
                        Lag::Uncommitted => prop_assert!(view.committed.missing().is_none()),
                        Lag::Unknown(_) => prop_assert!(group.verdict != GroupVerdict::Ok),
                    }
                    sum = view.lag.records().map(|records| sum.unwrap_or(0) + records).or(sum);
                }
                if group.verdict != GroupVerdict::Abandoned {
                    prop_assert!(group.lag_records <= sum);
                }
                prop_assert!(!group.lag_records_exact || group.partitions_unknown == 0);
                prop_assert!(group.as_of <= observation.started);
            }
            for partition in observation.topics.values().flat_map(|topic| topic.partitions.values()) {
                if let Some((_, at)) = partition.last_high_watermark {
                    prop_assert!(at <= observation.finished);
                }
            }
        }
    }

    #[test]
    fn the_same_turns_give_the_same_observations(steps in prop::collection::vec(step(), 1..40)) {
        prop_assert_eq!(format!("{:?}", run(&steps)), format!("{:?}", run(&steps)));
    }
}
