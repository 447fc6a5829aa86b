//! Whole readings: a small world, what the judge drafts of it, and how long it stays in the book.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    BookOptions, CountIs, Draft, Finding, FindingBook, FindingState, JudgeOptions, Judged, Kind, Severity, judge,
};
use crate::model::{BrokerId, GroupState, Missing, Timestamp};
use crate::observe::world::{World, at};

/// A world and its book.
struct Watched {
    world: World,
    book: FindingBook,
}

impl Watched {
    fn new(world: World) -> Self {
        Self { world, book: FindingBook::new("main".into(), BookOptions::default()) }
    }

    /// One turn: what changed in the book.
    fn turn(&mut self) -> Vec<Finding> {
        let observation = self.world.turn();
        self.book.step(observation.finished, &judge(&observation, &JudgeOptions::default()))
    }

    fn turns(&mut self, number: usize) -> Vec<Finding> {
        (0..number).flat_map(|_| self.turn()).collect()
    }

    fn open(&self) -> Vec<&'static str> {
        self.book.open().map(|finding| finding.kind.as_str()).collect()
    }

    fn one(&self, kind: Kind) -> &Finding {
        let mut of_kind = self.book.open().filter(|finding| finding.kind == kind);
        let one = of_kind.next().expect("open");
        assert_eq!(of_kind.next(), None);
        one
    }
}

fn healthy() -> World {
    World::new().with_topic("t", 1, &[100, 100, 100]).with_group("g", &[("t", 0, 90), ("t", 1, 90), ("t", 2, 100)])
}

#[test]
fn a_healthy_cluster_has_no_findings() {
    let mut watched = Watched::new(healthy());
    assert_eq!(watched.turns(5), []);
}

#[test]
fn each_state_opens_at_once_and_closes_after_two_readings_without_it() {
    type Step = fn(&mut World);
    let cases: [(&str, Step, Step, &[&str]); 8] = [
        (
            "one follower gone",
            |w| w.log("t", 0).in_sync = vec![1, 2],
            |w| w.log("t", 0).in_sync = vec![1, 2, 3],
            &["partition_at_min_isr", "partition_under_replicated"],
        ),
        (
            "under min ISR",
            |w| w.log("t", 0).in_sync = vec![1],
            |w| w.log("t", 0).in_sync = vec![1, 2, 3],
            &["partition_under_min_isr", "partition_under_replicated"],
        ),
        ("offline", |w| w.log("t", 0).leader = None, |w| w.log("t", 0).leader = Some(1), &["partition_offline"]),
        ("a broker hangs", |w| drop_in(w, 3), |w| w.silent.clear(), &["broker_unreachable"]),
        (
            "committed beyond the log",
            |w| w.commit("g", "t", 0, 1_000),
            |w| w.commit("g", "t", 0, 100),
            &["commit_ahead_of_log"],
        ),
        (
            "retention overtook the group",
            |w| w.log("t", 0).start = 95,
            |w| w.commit("g", "t", 0, 95),
            &["retention_overtook_group"],
        ),
        (
            "stranded",
            |w| {
                w.group("g").commits.insert(at("t", 0), (100, Some(0)));
                w.elect("t", 0, 1, 60);
            },
            |w| w.commit("g", "t", 0, 60),
            &["group_stranded", "leader_moved"],
        ),
        (
            "no broker answers",
            |w| w.dark = true,
            |w| w.dark = false,
            &["broker_unreachable", "broker_unreachable", "broker_unreachable", "monitor_blind"],
        ),
    ];
    for (name, breaks, heals, want) in cases {
        let mut watched = Watched::new(healthy());
        watched.turns(2);
        breaks(&mut watched.world);
        watched.turn();
        assert_eq!(watched.open(), want, "{name}");
        let ids: BTreeSet<String> = watched.book.open().map(|finding| finding.id.clone()).collect();
        assert_eq!(ids.len(), want.len(), "{name}: ids differ");
        heals(&mut watched.world);
        watched.turn();
        assert_eq!(watched.open(), want, "{name}: one reading without it closes nothing");
        watched.turn();
        let left: Vec<_> = want.iter().copied().filter(|kind| *kind == "leader_moved").collect();
        assert_eq!(watched.open(), left, "{name}: two do");
        assert!(
            watched.book.recent().all(|finding| finding.state == FindingState::Closed && finding.closed_at.is_some())
        );
    }
}

fn drop_in(world: &mut World, broker: i32) {
    world.silent.insert(broker, Missing::TimedOut(BrokerId(broker)));
}

#[test]
fn what_is_unknown_neither_opens_nor_closes() {
    let mut watched = Watched::new(healthy());
    watched.world.commit("g", "t", 0, 1_000);
    watched.world.log("t", 1).in_sync = vec![2];
    watched.turns(2);
    let before = watched.open();
    assert_eq!(before, ["commit_ahead_of_log", "partition_under_min_isr", "partition_under_replicated"]);
    // The state heals, and nothing of it can be read.
    watched.world.commit("g", "t", 0, 90);
    watched.world.log("t", 1).in_sync = vec![1, 2, 3];
    watched.world.dark = true;
    watched.turns(5);
    let of_cluster: Vec<_> = watched.open().into_iter().filter(|kind| before.contains(kind)).collect();
    assert_eq!(of_cluster, before);
    watched.world.dark = false;
    watched.turns(2);
    assert_eq!(watched.open(), Vec::<&str>::new());
    // Another world breaks where nobody can look.
    watched.world.log("t", 1).in_sync = vec![2];
    watched.world.log("t", 1).leader = None;
    watched.world.dark = true;
    watched.turns(3);
    assert!(watched.open().iter().all(|kind| matches!(*kind, "monitor_blind" | "broker_unreachable")));
}

#[test]
fn the_minimum_of_in_sync_replicas_is_not_guessed() {
    let mut watched = Watched::new(healthy());
    watched.world.log("t", 0).in_sync = vec![1];
    watched.turn();
    assert_eq!(watched.open(), ["partition_under_min_isr", "partition_under_replicated"]);
    watched.world.topics.get_mut("t").expect("made").min_isr = None;
    watched.turns(4);
    assert_eq!(watched.open(), ["partition_under_min_isr", "partition_under_replicated"], "unknown closes nothing");
}

#[test]
fn counts_are_exact_and_findings_carry_their_proof() {
    let mut watched = Watched::new(healthy());
    watched.turn();
    watched.world.commit("g", "t", 0, 10);
    watched.world.log("t", 0).start = 60;
    watched.world.group("g").commits.insert(at("t", 1), (90, Some(0)));
    watched.world.elect("t", 1, 1, 50);
    watched.world.commit("g", "t", 2, 107);
    watched.turn();
    let lost = watched.one(Kind::RetentionOvertookGroup);
    assert_eq!((lost.count, lost.count_is, lost.severity), (Some(50), CountIs::Exact, Severity::Critical));
    insta::assert_snapshot!(lost.summary, @"Group g committed 10 on t-0, but the log starts at 60: 50 offsets were removed before it read them.");
    insta::assert_snapshot!(lost.evidence, @r#"{"as_of":"1970-01-01T00:00:30.000Z","committed_leader_epoch":null,"committed_offset":10,"group_state":"stable","high_watermark":100,"lag_records":40,"last_stable_offset":100,"log_start_offset":60,"lost_records":50,"members":1}"#);
    insta::assert_snapshot!(lost.verify.join("\n"), @r#"
    kafka-consumer-groups.sh --bootstrap-server "$BOOTSTRAP_SERVERS" --describe --group 'g'
    kafka-get-offsets.sh --bootstrap-server "$BOOTSTRAP_SERVERS" --topic-partitions 't:0' --time earliest
    kafka-get-offsets.sh --bootstrap-server "$BOOTSTRAP_SERVERS" --topic-partitions 't:0' --time latest
    "#);
    let stranded = watched.one(Kind::GroupStranded);
    assert_eq!((stranded.count, stranded.severity), (Some(40), Severity::Critical));
    insta::assert_snapshot!(stranded.summary, @"Group g committed 90 on t-1, but the leader epoch of that commit ends at 50: 40 offsets will be skipped, or read twice, once the log has regrown.");
    assert_eq!(
        (&stranded.evidence["epoch_end_offset"], &stranded.evidence["committed_leader_epoch"]),
        (&50.into(), &0.into())
    );
    let ahead = watched.one(Kind::CommitAheadOfLog);
    assert_eq!(ahead.count, Some(7));
    insta::assert_snapshot!(ahead.summary, @"Group g committed 107 on t-2, 7 offsets beyond the high watermark 100.");
    insta::assert_snapshot!(watched.one(Kind::LeaderMoved).summary, @"The leader of t-1 moved from broker 2 to broker 1, epoch 0 to 1.");
    insta::assert_snapshot!(watched.one(Kind::LeaderMoved).key, @"main/leader_moved/topic=t/topic_id=AQEBAQEBAQEBAQEBAQEBAQ/partition=1/occurrence=epoch-1");
}

#[test]
fn a_rewind_says_how_many_and_who() {
    let mut watched = Watched::new(healthy());
    watched.world.log("t", 0).high = 2_000;
    watched.world.commit("g", "t", 0, 1_000);
    watched.turn();
    watched.world.group("g").state = GroupState::Empty;
    watched.world.group("g").members.clear();
    watched.world.commit("g", "t", 0, 500);
    assert_eq!(watched.turn(), []);
    let told = watched.turn();
    let [rewound] = told.as_slice() else { panic!("one finding: {told:?}") };
    assert_eq!((rewound.kind, rewound.count, rewound.count_is), (Kind::CommitRewound, Some(500), CountIs::Exact));
    insta::assert_snapshot!(rewound.summary, @"The commit of group g on t-0 went back from 1000 to 500: 500 records will be read again; the group was empty, so an operator reset it.");
    assert_eq!(rewound.evidence["coordinator"], 2);
    assert_eq!(watched.turns(4), [], "told once");
    watched.world.commit("g", "t", 0, 200);
    watched.turns(2);
    let counts: Vec<_> = watched.book.open().filter(|f| f.kind == Kind::CommitRewound).map(|f| f.count).collect();
    assert_eq!(counts, [Some(500), Some(300)], "each its own finding");
}

#[test]
fn a_killed_leader_gives_one_event_per_led_partition_and_they_close_after_the_hold() {
    let mut watched = Watched::new(World { groups: [].into(), ..healthy() });
    watched.turn();
    for partition in [0, 2] {
        watched.world.elect("t", partition, 2, 100);
    }
    let moved = watched.turns(3);
    assert_eq!(moved.iter().filter(|finding| finding.kind == Kind::LeaderMoved).count(), 2);
    assert_eq!(watched.open(), ["leader_moved", "leader_moved"]);
    watched.turns(236);
    assert_eq!(watched.open().len(), 2, "an hour is not over");
    watched.turns(4);
    assert_eq!(watched.open(), Vec::<&str>::new());
}

#[test]
fn a_stopped_group_is_one_finding_that_ends_with_its_next_commit() {
    let mut watched = Watched::new(healthy());
    watched.turns(22);
    let stopped = watched.one(Kind::GroupStopped);
    assert_eq!((stopped.count, stopped.count_is), (Some(20), CountIs::Exact));
    insta::assert_snapshot!(stopped.summary, @"Group g has 1 member and commits nothing while 20 records wait, the oldest unread for 315 s at least.");
    // Its coordinator hangs: nothing is known, nothing closes.
    drop_in(&mut watched.world, 2);
    watched.turns(4);
    watched.one(Kind::GroupStopped);
    watched.world.silent.clear();
    watched.world.commit("g", "t", 0, 100);
    watched.world.commit("g", "t", 1, 100);
    watched.turns(2);
    assert_eq!(watched.book.open().filter(|finding| finding.kind == Kind::GroupStopped).count(), 0);
}

#[test]
fn blindness_is_told_with_its_reason() {
    let mut watched = Watched::new(healthy());
    watched.turn();
    watched.world.topics.get_mut("t").expect("made").missing = Some(Missing::TopicNotAuthorized);
    watched.turn();
    let blind = watched.one(Kind::MonitorBlind);
    insta::assert_snapshot!(blind.summary, @"Cannot read 3 partitions: not authorized: grant DESCRIBE on the topic.");
    assert!(blind.advice.contains("--operation Describe"));
    watched.world.topics.get_mut("t").expect("made").missing = None;
    watched.turns(2);
    assert_eq!(watched.open(), Vec::<&str>::new());
    // A hung broker: at once unreachable, blind after two readings.
    drop_in(&mut watched.world, 2);
    watched.turn();
    assert_eq!(watched.open(), ["broker_unreachable"]);
    watched.turn();
    assert_eq!(watched.open(), ["broker_unreachable", "monitor_blind"]);
    insta::assert_snapshot!(watched.one(Kind::MonitorBlind).summary, @"Cannot read 1 partition and 1 group: broker 2 did not answer within the deadline.");
    watched.world.silent.clear();
    watched.turns(2);
    watched.world.dark = true;
    watched.turn();
    let dark = watched.one(Kind::MonitorBlind);
    assert_eq!(dark.severity, Severity::Critical);
    insta::assert_snapshot!(dark.summary, @"No broker of cluster main answers (3 brokers known): nothing of it can be read.");
}

#[test]
fn a_broker_that_left_stays_open_over_a_restart() {
    let mut watched = Watched::new(healthy());
    watched.turn();
    watched.world.brokers.remove(&3);
    watched.turn();
    let kept: Vec<Finding> = watched.book.open().cloned().collect();
    watched.world.history = crate::observe::History::new(crate::observe::Options::default());
    watched.book = FindingBook::new("main".into(), BookOptions::default());
    watched.book.restore(kept.clone());
    assert_eq!(watched.turns(4), []);
    assert_eq!(watched.one(Kind::BrokerUnreachable).id, kept[0].id, "the same finding");
}

#[test]
fn a_group_that_a_new_daemon_cannot_see_yet_keeps_its_findings() {
    let mut watched = Watched::new(healthy());
    watched.world.commit("g", "t", 0, 1_000);
    watched.turns(2);
    let kept: Vec<Finding> = watched.book.open().cloned().collect();
    let mut fresh = Watched::new(World { groups: [].into(), ..healthy() });
    fresh.book.restore(kept);
    drop_in(&mut fresh.world, 2);
    fresh.turns(4);
    fresh.one(Kind::CommitAheadOfLog);
    fresh.world.silent.clear();
    fresh.turns(2);
    assert_eq!(
        fresh.book.open().filter(|f| f.kind == Kind::CommitAheadOfLog).count(),
        0,
        "listed completely, and not there"
    );
}

#[test]
fn hostile_group_ids_are_data() {
    let hostile = format!("a'b\n<script>\u{202e}{}", "x".repeat(32_000));
    let mut watched = Watched::new(World::new().with_topic("t", 1, &[100]).with_group(&hostile, &[("t", 0, 1_000)]));
    watched.turn();
    let finding = watched.one(Kind::CommitAheadOfLog);
    assert!(finding.summary.len() < 400 && finding.key.len() < 600 && finding.id.len() < 60);
    assert_eq!(finding.subject.group.as_ref().map(|group| group.as_str()), Some(hostile.as_str()));
    assert!(finding.verify[0].contains(r"--group $'a\'b\U0000000a<script>\U0000202e"));
}

mod canary {
    use super::*;
    use crate::audit::CanaryClass;
    use crate::finding::canary::{CanaryLoss, CanaryLossKind, draft};
    use crate::model::PartitionId;
    use crate::observe::world::{epoch, offset};

    fn loss(class: CanaryClass, kind: CanaryLossKind, offsets: &[i64]) -> CanaryLoss {
        CanaryLoss {
            class,
            topic: "__kustody.canary".into(),
            topic_id: None,
            partition: PartitionId(3),
            leader_epoch: Some(epoch(7)),
            kind,
            records: u64::try_from(offsets.len()).expect("few"),
            offsets: offsets.iter().map(|number| offset(*number)).collect(),
            log_end: Some(offset(140)),
            evidence: serde_json::json!({"epoch_end": 100}),
        }
    }

    #[test]
    fn a_loss_is_one_finding_that_grows() {
        let mut book = FindingBook::new("main".into(), BookOptions::default());
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let told =
            |offsets: &[i64]| Judged::of_canary(vec![draft(&loss(CanaryClass::All, CanaryLossKind::Lost, offsets))]);
        let opened = book.step(at(0), &told(&[102, 100]));
        let [finding] = opened.as_slice() else { panic!("one finding") };
        assert_eq!((finding.kind, finding.severity, finding.count), (Kind::CanaryLost, Severity::Critical, Some(2)));
        insta::assert_snapshot!(finding.summary, @"2 records of class all acknowledged on __kustody.canary-3 in leader epoch 7 are lost, the first at offset 100; the log ends at 140.");
        insta::assert_snapshot!(finding.evidence, @r#"{"epoch_end":100,"leader_epoch":7,"log_end":140,"lost_offsets":[100,102],"offset":100}"#);
        assert_eq!(book.step(at(1), &told(&[102, 100])), [], "the same again is no news");
        let grown = book.step(at(2), &told(&[102, 100, 101]));
        assert_eq!(grown.iter().map(|f| (f.count, f.id == finding.id)).collect::<Vec<_>>(), [(Some(3), true)]);
        assert_eq!(book.step(at(3_601), &Judged::of_canary(vec![])), []);
        assert_eq!(book.step(at(3_602), &told(&[102, 100, 101])).len(), 1, "closed an hour after the last news");
        assert_eq!(book.step(at(3_603), &told(&[102, 100, 101])), [], "and not opened by the same again");
    }

    #[test]
    fn severity_is_by_what_the_class_promises() {
        use CanaryClass::{Acks0, Acks1, All, Idempotent, Transactional};
        use CanaryLossKind::{
            AbortedVisible, AckRegression, ConsumerSkipped, Duplicated, Lost, Overdue, Phantom, Reordered,
            TruncatedAfterDelivery,
        };
        let cases = [
            (Acks0, Lost, Severity::Info),
            (Acks1, Lost, Severity::Info),
            (All, Lost, Severity::Critical),
            (Idempotent, TruncatedAfterDelivery, Severity::Critical),
            (Transactional, Lost, Severity::Critical),
            (All, Duplicated, Severity::Info),
            (Idempotent, Duplicated, Severity::Warning),
            (Transactional, Duplicated, Severity::Warning),
            (Acks1, Reordered, Severity::Info),
            (All, Reordered, Severity::Info),
            (Idempotent, Reordered, Severity::Warning),
            (All, Phantom, Severity::Warning),
            (Transactional, AbortedVisible, Severity::Critical),
            (Acks1, ConsumerSkipped, Severity::Warning),
            (Acks1, AckRegression, Severity::Critical),
            (All, Overdue, Severity::Warning),
        ];
        for (class, kind, want) in cases {
            assert_eq!(draft(&loss(class, kind, &[1])).severity, want, "{class} {kind:?}");
        }
    }

    #[test]
    fn each_anomaly_says_what_it_is() {
        use CanaryLossKind::{AbortedVisible, AckRegression, ConsumerSkipped, LostObserved, Phantom, Reordered};
        let said = [LostObserved, Reordered, Phantom, AbortedVisible, ConsumerSkipped, AckRegression].map(|kind| {
            let draft = draft(&loss(CanaryClass::Transactional, kind, &[100, 101]));
            format!("{} ({}): {}", draft.kind.as_str(), draft.grade.as_str(), draft.summary)
        });
        insta::assert_snapshot!(said.join("\n"), @r"
        canary_lost (observed): 2 records of class transactional on __kustody.canary-3, written to connections that were closed since, are not there though later ones are: lost, as far as can be seen.
        canary_reordered (proven): 2 records of class transactional on __kustody.canary-3 lie behind a later record of the same sender, the first at offset 100.
        canary_phantom (proven): 2 records of class transactional on __kustody.canary-3 were refused for sure, and are in the log, the first at offset 100.
        canary_aborted_visible (proven): 2 records of aborted transactions on __kustody.canary-3 are shown to readers of committed records, the first at offset 100.
        canary_consumer_skipped (observed): Our own reader skipped 2 records of class transactional on __kustody.canary-3, and a fresh connection found them, the first at offset 100.
        canary_ack_regression (proven): 2 records of class transactional on __kustody.canary-3 were acknowledged in leader epoch 7 at or below an offset acknowledged before, the first at offset 100.
        ");
    }

    #[test]
    fn what_has_no_offset_keeps_the_first_it_could_have_had() {
        let searched = CanaryLoss {
            records: 3,
            evidence: serde_json::json!({"offset": 17}),
            ..loss(CanaryClass::Acks0, CanaryLossKind::Lost, &[])
        };
        let draft = draft(&searched);
        assert_eq!((draft.count, &draft.evidence["offset"]), (Some(3), &serde_json::json!(17)));
        assert_eq!(draft.evidence["lost_offsets"], serde_json::json!([]));
    }

    #[test]
    fn a_poll_does_not_close_what_the_canary_found() {
        let mut watched = Watched::new(healthy());
        let overdue = draft(&loss(CanaryClass::All, CanaryLossKind::Overdue, &[]));
        watched.book.step(Timestamp::from_millis(0), &Judged::of_canary(vec![overdue]));
        watched.turns(5);
        assert_eq!(watched.open(), ["canary_overdue"]);
        for seconds in [100, 101] {
            watched.book.step(Timestamp::from_millis(seconds * 1000), &Judged::of_canary(vec![]));
        }
        assert_eq!(watched.open(), Vec::<&str>::new());
    }
}

proptest! {
    #[test]
    fn keys_are_unique_and_steps_deterministic(breaks in prop::collection::vec((0_i32..3, 0_usize..6), 0..20)) {
        let run = || {
            let mut watched = Watched::new(healthy());
            let mut all = Vec::new();
            for (partition, what) in &breaks {
                match what {
                    0 => watched.world.log("t", *partition).in_sync = vec![1],
                    1 => watched.world.log("t", *partition).in_sync = vec![1, 2, 3],
                    2 => watched.world.commit("g", "t", *partition, 1_000),
                    3 => watched.world.commit("g", "t", *partition, 95),
                    4 => drop_in(&mut watched.world, partition + 1),
                    _ => watched.world.silent.clear(),
                }
                let observation = watched.world.turn();
                let judged = judge(&observation, &JudgeOptions::default());
                let keys: BTreeSet<String> = judged.holds.iter().map(|draft: &Draft| draft.key(&"main".into())).collect();
                assert_eq!(keys.len(), judged.holds.len());
                all.extend(watched.book.step(observation.finished, &judged));
            }
            all
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_dark_turn_changes_only_what_is_said_of_ourselves(breaks in prop::collection::vec(0_i32..3, 0..6)) {
        let mut watched = Watched::new(healthy());
        for partition in &breaks {
            watched.world.log("t", *partition).in_sync = vec![1];
            watched.world.commit("g", "t", *partition, 1_000);
            watched.turn();
        }
        watched.world.dark = true;
        for finding in watched.turns(4) {
            prop_assert!(matches!(finding.kind, Kind::MonitorBlind | Kind::BrokerUnreachable), "{:?}", finding.kind);
        }
    }
}

#[test]
fn nothing_is_found_on_the_probe_of_our_own() {
    let groups = [("g", 2), (crate::audit::PROBE_GROUP, 0)];
    for (group, found) in groups {
        let mut watched =
            Watched::new(World::new().with_topic("t", 1, &[100, 100]).with_group(group, &[("t", 0, 90), ("t", 1, 90)]));
        watched.turns(2);
        watched.world.commit(group, "t", 0, 1_000);
        watched.world.log("t", 1).start = 95;
        watched.turns(3);
        assert_eq!(watched.open().len(), found, "{group}: {:?}", watched.open());
        watched.world.commit(group, "t", 0, 100);
        watched.turns(30);
        watched.world.commit(group, "t", 0, 10);
        watched.turns(3);
        assert_eq!(watched.open().is_empty(), found == 0, "{group}: {:?}", watched.open());
    }
}
