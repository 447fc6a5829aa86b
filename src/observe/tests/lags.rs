//! The odd groups that other monitors get wrong, truncation, time lag, restarts.

use crate::model::{GroupState, GroupType, Missing, Offset, Reading, ShareOffset, Timestamp};
use crate::observe::world::{World, at, epoch, offset};
use crate::observe::{CommitPoint, GroupVerdict, HighWatermarkPoint, Lag, Observation, Restored, TimeLag};

fn lag(observation: &Observation, group: &str, partition: i32) -> Lag {
    let group = &observation.groups[group];
    group.partitions.iter().find(|view| view.at.partition.0 == partition).expect("listed").lag
}

fn verdict(observation: &Observation, group: &str) -> GroupVerdict {
    observation.groups[group].verdict
}

#[test]
fn odd_groups_are_told_as_they_are() {
    let world = || World::new().with_topic("t", 1, &[100, 100, 100]);
    let one = |commit| world().with_group("g", &[("t", 0, commit)]);
    let with = |mut world: World, change: fn(&mut World)| {
        change(&mut world);
        world
    };
    let cases = [
        (
            "KIP-848, stable",
            with(one(90), |w| w.group("g").group_type = GroupType::Consumer),
            Lag::Behind(10),
            GroupVerdict::Ok,
            Some(10),
        ),
        (
            "share group: no commits to measure",
            with(one(90), |w| {
                w.group("g").group_type = GroupType::Share;
                w.group("g").commits.clear();
            }),
            Lag::Uncommitted,
            GroupVerdict::NotMeasurable,
            None,
        ),
        (
            "committed 10, log start 60",
            with(one(10), |w| w.log("t", 0).start = 60),
            Lag::Expired { behind: 40, lost: 50 },
            GroupVerdict::LosingToRetention,
            Some(40),
        ),
        (
            "committed 1000, log end 7",
            with(one(1_000), |w| w.log("t", 0).high = 7),
            Lag::Ahead(993),
            GroupVerdict::AheadOfLog,
            None,
        ),
        ("idle topic, lag 30", one(70), Lag::Behind(30), GroupVerdict::Ok, Some(30)),
        (
            "open transaction, last stable offset 0",
            with(one(0), |w| {
                w.log("t", 0).high = 6;
                w.log("t", 0).stable = Some(0);
            }),
            Lag::Behind(6),
            GroupVerdict::BlockedByTransaction,
            Some(6),
        ),
        (
            "topic deleted, commits still there",
            with(one(70), |w| w.topics.clear()),
            Lag::Unknown(Missing::TopicNotInMetadata),
            GroupVerdict::Unknown,
            None,
        ),
        (
            "leader hung",
            with(one(70), |w| {
                w.silent.insert(1, Missing::TimedOut(crate::model::BrokerId(1)));
            }),
            Lag::Unknown(Missing::TimedOut(crate::model::BrokerId(1))),
            GroupVerdict::Unknown,
            None,
        ),
        (
            "a partition without a leader",
            with(one(70), |w| w.log("t", 0).leader = None),
            Lag::Unknown(Missing::NoLeader),
            GroupVerdict::Unknown,
            None,
        ),
    ];
    for (name, mut world, want, verdict_wanted, records) in cases {
        let observation = world.turn();
        assert_eq!(lag(&observation, "g", 0), want, "{name}");
        assert_eq!(verdict(&observation, "g"), verdict_wanted, "{name}");
        assert_eq!(observation.groups["g"].lag_records, records, "{name}");
    }
}

#[test]
fn a_commit_on_one_of_three_partitions_is_no_negative_lag_on_the_others() {
    let mut world =
        World::new().with_topic("t", 1, &[30, 30, 30]).with_group("g", &[("t", 0, 28), ("t", 1, 0), ("t", 2, 0)]);
    world.group("g").commits.retain(|at, _| at.partition.0 == 0);
    let observation = world.turn();
    let group = &observation.groups["g"];
    assert_eq!((group.lag_records, group.lag_records_exact), (Some(2), true));
    assert_eq!((group.partitions_without_commit, group.partitions_unknown), (2, 0));
    assert_eq!(group.partitions.len(), 3);
    assert_eq!(lag(&observation, "g", 1), Lag::Uncommitted);
}

#[test]
fn a_deleted_group_is_gone_and_a_hidden_one_is_unknown() {
    let mut world = World::new().with_topic("t", 1, &[100]).with_group("g", &[("t", 0, 70)]);
    world.turn();
    let mut hidden = world.clone();
    hidden.silent.insert(2, Missing::TimedOut(crate::model::BrokerId(2)));
    hidden.groups.clear();
    let observation = hidden.turn();
    let group = &observation.groups["g"];
    assert_eq!((group.verdict, group.lag_records), (GroupVerdict::Unknown, None));
    assert_eq!((group.partitions.len(), group.partitions_unknown), (1, 1));
    assert_eq!(group.as_of, Timestamp::from_millis(15_000), "of when it was last read");
    world.groups.clear();
    assert!(world.turn().groups.is_empty());
}

#[test]
fn a_truncation_strands_a_commit_by_its_own_epoch() {
    let mut world = World::new().with_topic("t", 1, &[140]).with_group("g", &[("t", 0, 140)]);
    world.group("g").commits.insert(at("t", 0), (140, Some(0)));
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Behind(0));
    world.elect("t", 0, 2, 100);
    let stranded = Lag::Stranded { skip: 40, epoch_end: offset(100) };
    for high in [100, 110, 140, 180] {
        world.log("t", 0).high = high;
        let observation = world.turn();
        assert_eq!(lag(&observation, "g", 0), stranded, "high watermark {high}");
        assert_eq!(verdict(&observation, "g"), GroupVerdict::Stranded);
        let group = &observation.groups["g"];
        assert_eq!((group.lag_records, group.lag_records_exact, group.time_lag), (None, false, TimeLag::Unknown));
    }
    // A clean election ends the epoch at or beyond the commit.
    world.commit("g", "t", 0, 180);
    world.elect("t", 0, 3, 180);
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Behind(0));
}

#[test]
fn a_truncation_strands_a_commit_without_an_epoch_by_our_history() {
    let mut world = World::new().with_topic("t", 1, &[140]).with_group("g", &[("t", 0, 140)]);
    world.turn();
    world.elect("t", 0, 2, 100);
    world.log("t", 0).high = 110;
    assert_eq!(
        lag(&world.turn(), "g", 0),
        Lag::Unknown(Missing::Unconfirmed),
        "the question goes out with the next turn"
    );
    assert_eq!(world.history.questions(), [(at("t", 0), epoch(0))]);
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Stranded { skip: 40, epoch_end: offset(100) });
    world.log("t", 0).high = 180;
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Stranded { skip: 40, epoch_end: offset(100) }, "regrown");
    world.log("t", 0).ends.clear();
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Stranded { skip: 40, epoch_end: offset(100) }, "told once is told");
}

#[test]
fn a_truncated_log_that_regrew_between_two_turns_still_strands() {
    let mut world = World::new().with_topic("t", 1, &[140]).with_group("g", &[("t", 0, 140)]);
    world.turn();
    world.elect("t", 0, 2, 100);
    world.log("t", 0).high = 180;
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Behind(40));
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Stranded { skip: 40, epoch_end: offset(100) });
}

#[test]
fn a_group_that_read_the_regrown_log_is_not_stranded() {
    let mut world = World::new().with_topic("t", 1, &[140]).with_group("g", &[("t", 0, 120)]);
    world.turn();
    world.elect("t", 0, 2, 130);
    world.log("t", 0).high = 180;
    world.commit("g", "t", 0, 140);
    for _ in 0..3 {
        assert_eq!(lag(&world.turn(), "g", 0), Lag::Behind(40), "it committed 140 in the new epoch");
    }
    assert_eq!(world.history.questions(), []);
}

#[test]
fn a_clean_election_is_asked_about_once_and_strands_nobody() {
    let mut world = World::new().with_topic("t", 1, &[140]).with_group("g", &[("t", 0, 140)]);
    world.turn();
    world.elect("t", 0, 2, 140);
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Behind(0));
    assert_eq!(world.history.questions().len(), 1);
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Behind(0));
    assert_eq!(world.history.questions(), [], "answered for this term");
}

#[test]
fn beyond_the_log_is_ahead_where_no_epoch_decides() {
    let mut world = World::new().with_topic("t", 1, &[7]).with_group("g", &[("t", 0, 1_000)]);
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Ahead(993), "no epoch, no history");
    world.group("g").commits.insert(at("t", 0), (1_000, Some(5)));
    let mut fresh = world.clone();
    fresh.history = crate::observe::History::new(crate::observe::Options::default());
    assert_eq!(lag(&fresh.turn(), "g", 0), Lag::Unknown(Missing::Unconfirmed), "an epoch this log never had");
    assert_eq!(lag(&fresh.turn(), "g", 0), Lag::Ahead(993), "waited once");
    assert_eq!(lag(&fresh.turn(), "g", 0), Lag::Ahead(993), "and not again");
}

#[test]
fn time_lag_is_a_bracket_of_our_own_readings() {
    let mut world = World::new().with_topic("t", 1, &[100]).with_group("g", &[("t", 0, 100)]);
    let age = |observation: &Observation| observation.groups["g"].time_lag;
    assert_eq!(age(&world.turn()), TimeLag::CaughtUp);
    world.log("t", 0).high = 130;
    assert_eq!(age(&world.turn()), TimeLag::Between { low: 0.0, high: 15.0 });
    assert_eq!(age(&world.turns(4)), TimeLag::Between { low: 60.0, high: 75.0 }, "an idle backlog grows older");
    world.commit("g", "t", 0, 130);
    assert_eq!(age(&world.turn()), TimeLag::CaughtUp);
    let mut late = World::new().with_topic("t", 1, &[100]).with_group("g", &[("t", 0, 40)]);
    assert_eq!(age(&late.turns(3)), TimeLag::AtLeast(30.0), "it was there at our first reading");
}

#[test]
fn time_lag_and_epochs_go_on_after_a_restart() {
    let mut world = World::new().with_topic("t", 1, &[140]).with_group("g", &[("t", 0, 120)]);
    let topic_id = crate::model::TopicId([1; 16]);
    let partition = crate::model::PartitionId(0);
    let high = |seconds: i64, high: i64| HighWatermarkPoint {
        topic_id,
        partition,
        at: Timestamp::from_millis(seconds * 1000),
        high_watermark: offset(high),
        leader_epoch: Some(epoch(0)),
    };
    let commit = |seconds: i64, number: i64| CommitPoint {
        group: "g".into(),
        topic_id,
        partition,
        at: Timestamp::from_millis(seconds * 1000),
        offset: offset(number),
        leader_epoch: None,
    };
    let restored = Restored {
        topics: vec![("t".into(), topic_id)],
        high_watermarks: vec![high(30, 130), high(0, 110), high(15, 120), high(45, 140)],
        commits: vec![commit(0, 100), commit(30, 120), commit(15, 120), commit(45, 120)],
    };
    world.history.restore(restored);
    world.seconds = 60;
    let mut clean = world.clone();
    let observation = clean.turn();
    let group = &observation.groups["g"];
    assert_eq!(group.time_lag, TimeLag::Between { low: 45.0, high: 60.0 });
    assert_eq!(group.last_commit_seen, Some(Timestamp::from_millis(15_000)));
    // Truncated while the daemon was down.
    world.elect("t", 0, 2, 105);
    world.turn();
    assert_eq!(lag(&world.turn(), "g", 0), Lag::Stranded { skip: 15, epoch_end: offset(105) });
}

#[test]
fn a_total_names_only_what_is_known() {
    let mut world =
        World::new().with_topic("t", 1, &[100, 100, 100]).with_group("g", &[("t", 0, 90), ("t", 1, 80), ("t", 2, 70)]);
    world.log("t", 1).missing = Some(Missing::LeaderMoving);
    let observation = world.turn();
    let group = &observation.groups["g"];
    assert_eq!((group.lag_records, group.lag_records_exact, group.partitions_unknown), (Some(40), false, 1));
    assert_eq!(group.verdict, GroupVerdict::Unknown);
    assert_eq!(observation.unknown_readings[Missing::LeaderMoving.reason()], 1);
    assert_eq!(observation.topics["t"].partitions[&crate::model::PartitionId(1)].last_high_watermark, None);
}

#[test]
fn what_was_last_read_of_a_hung_leader_is_kept_with_its_time() {
    let mut world = World::new().with_topic("t", 1, &[100]);
    world.turn();
    world.silent.insert(1, Missing::TimedOut(crate::model::BrokerId(1)));
    world.log("t", 0).high = 200;
    let partition = &world.turn().topics["t"].partitions[&crate::model::PartitionId(0)].clone();
    assert_eq!(partition.last_high_watermark, Offset::new(100).map(|high| (high, Timestamp::from_millis(15_000))));
    assert!(partition.flags.unknown && matches!(partition.watermarks.high_watermark, Reading::Missing(_)));
}

#[test]
fn a_group_without_commits_and_members_is_no_alarm() {
    let mut world = World::new().with_topic("t", 1, &[100]).with_group("g", &[]);
    world.group("g").state = GroupState::Empty;
    world.group("g").members.clear();
    let observation = world.turn();
    assert_eq!(verdict(&observation, "g"), GroupVerdict::Ok);
    assert_eq!(observation.groups["g"].lag_records, None);
}

#[test]
fn a_topic_that_is_hidden_from_us_hides_its_commits_and_loses_none() {
    let mut world = World::new().with_topic("t", 1, &[1_000]).with_group("g", &[("t", 0, 400)]);
    world.turn();
    // Both the metadata and the coordinator leave out, without a word, what we may not describe.
    let commits = std::mem::take(&mut world.group("g").commits);
    world.topics.get_mut("t").expect("made").missing = Some(Missing::TopicNotAuthorized);
    for _ in 0..5 {
        let seen = world.turn();
        let group = &seen.groups["g"];
        let lags: Vec<Lag> = group.partitions.iter().map(|view| view.lag).collect();
        assert_eq!(lags, [Lag::Unknown(Missing::TopicNotAuthorized)], "neither gone nor 0");
        assert_eq!((group.lag_records, seen.changes.len()), (None, 0));
    }
    world.topics.get_mut("t").expect("made").missing = None;
    // Whoever forgot the commit would take a smaller one for the first.
    world.group("g").commits = commits;
    assert_eq!(world.turn().groups["g"].lag_records, Some(600));
    // The control: without the refusal the commit was deleted.
    world.group("g").commits.clear();
    world.turns(2);
    let lags: Vec<Lag> = world.turn().groups["g"].partitions.iter().map(|view| view.lag).collect();
    assert_eq!(lags, [Lag::Uncommitted]);
}

#[test]
fn a_share_group_is_as_far_behind_as_its_broker_counts() {
    let share = |start: Option<i64>, lag| Reading::Read(ShareOffset { start: start.map(offset), lag });
    let told = |partitions: &[(i32, Reading<ShareOffset>)]| {
        Reading::Read(partitions.iter().map(|(index, reading)| (at("t", *index), *reading)).collect())
    };
    let moving = Missing::CoordinatorMoving;
    let owned = (0, share(Some(90), Some(4)));
    let cases = [
        // By the start offset it would be 10: six records behind it are done with.
        ("counted", told(&[owned]), Lag::Behind(4), Some(4), GroupVerdict::NotMeasurable),
        ("nothing left", told(&[(0, share(Some(90), Some(0)))]), Lag::Behind(0), Some(0), GroupVerdict::NotMeasurable),
        (
            "not counted, before 4.2",
            told(&[(0, share(Some(90), None))]),
            Lag::Unknown(Missing::Unsupported),
            None,
            GroupVerdict::NotMeasurable,
        ),
        ("nothing handed out", told(&[(0, share(None, None))]), Lag::Uncommitted, None, GroupVerdict::NotMeasurable),
        ("not told at all", told(&[]), Lag::Uncommitted, None, GroupVerdict::NotMeasurable),
        (
            "one partition not read",
            told(&[(0, Reading::Missing(moving))]),
            Lag::Unknown(moving),
            None,
            GroupVerdict::NotMeasurable,
        ),
        (
            "an older broker",
            Reading::Missing(Missing::Unsupported),
            Lag::Uncommitted,
            None,
            GroupVerdict::NotMeasurable,
        ),
        ("the coordinator moves", Reading::Missing(moving), Lag::Unknown(moving), None, GroupVerdict::Unknown),
    ];
    for (name, offsets, want, records, verdict_wanted) in cases {
        let mut world = World::new().with_topic("t", 1, &[100]).with_group("g", &[("t", 0, 0)]);
        let group = world.group("g");
        group.group_type = GroupType::Share;
        group.commits.clear();
        group.share = Some(offsets);
        for _ in 0..3 {
            let observation = world.turn();
            assert_eq!(lag(&observation, "g", 0), want, "{name}");
            assert_eq!(verdict(&observation, "g"), verdict_wanted, "{name}");
            assert_eq!(observation.groups["g"].lag_records, records, "{name}");
            assert_eq!(observation.changes, [], "{name}: what a start offset does is no rewind");
            // An operator sets it back.
            if let Some(Reading::Read(offsets)) = &mut world.group("g").share
                && let Some(Reading::Read(offset)) = offsets.get_mut(&at("t", 0))
            {
                offset.start = offset.start.map(|_| Offset::ZERO);
            }
        }
    }
}
