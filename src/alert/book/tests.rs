use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::finding::{CountIs, Kind, Subject};
use crate::model::Timestamp;

fn at(seconds: u64) -> Moment {
    Moment {
        wall: Timestamp::from_millis(1_790_000_000_000) + Duration::from_secs(seconds),
        mono: Duration::from_secs(seconds),
    }
}

fn finding(id: &str, kind: Kind, severity: Severity, state: FindingState) -> Finding {
    Finding {
        id: id.to_owned(),
        key: format!("key of {id}"),
        kind,
        grade: kind.grade(),
        severity,
        nature: kind.nature(),
        state,
        cluster: "main".into(),
        subject: Subject::default(),
        count: Some(1),
        count_is: CountIs::Exact,
        opened_at: at(0).wall,
        last_seen_at: at(0).wall,
        closed_at: None,
        summary: "so it is".to_owned(),
        advice: "do this".to_owned(),
        evidence: serde_json::json!({}),
        verify: Vec::new(),
    }
}

fn book() -> AlertBook {
    AlertBook::new(Options { receivers: vec!["ops".to_owned()], ..Options::default() })
}

fn ids(step: &Step) -> Vec<&str> {
    step.notices.iter().map(|notice| notice.id.as_str()).collect()
}

#[test]
fn what_is_urgent_fires_at_once_and_what_may_pass_is_held() {
    use Kind::{CanaryLost, GroupStopped, GroupStranded, LeaderMoved, PartitionOffline};
    use Severity::{Critical, Info, Warning};
    let cases = [
        ("a state that is observed waits", GroupStopped, Warning, Some(AlertState::Pending)),
        ("critical fires", PartitionOffline, Critical, Some(AlertState::Firing)),
        ("proven fires", GroupStranded, Warning, Some(AlertState::Firing)),
        ("an event fires", LeaderMoved, Warning, Some(AlertState::Firing)),
        ("below the severity is not told", CanaryLost, Info, None),
    ];
    for (name, kind, severity, want) in cases {
        let step = book().step(at(0), &[finding("f", kind, severity, FindingState::Open)]);
        assert_eq!(step.changed.first().map(|alert| alert.state), want, "{name}");
        assert_eq!(step.notices.len(), usize::from(want == Some(AlertState::Firing)), "{name}");
    }
}

#[test]
fn a_held_alert_fires_by_time_alone_and_once() {
    let mut book = book();
    let open = finding("f", Kind::GroupStopped, Severity::Warning, FindingState::Open);
    assert!(book.step(at(0), std::slice::from_ref(&open)).notices.is_empty());
    assert_eq!(book.step(at(29), &[]), Step::default(), "still held");
    assert_eq!(ids(&book.step(at(30), &[])), ["f/firing/ops"]);
    assert_eq!(book.step(at(45), &[open]), Step::default(), "nothing is different");
}

#[test]
fn a_finding_that_grows_updates_its_alert_and_does_not_page_again() {
    let mut book = book();
    let mut lost = finding("f", Kind::CanaryLost, Severity::Critical, FindingState::Open);
    assert_eq!(ids(&book.step(at(0), std::slice::from_ref(&lost))), ["f/firing/ops"]);
    lost.count = Some(7);
    let step = book.step(at(15), std::slice::from_ref(&lost));
    assert!(step.notices.is_empty());
    assert_eq!(step.changed.first().and_then(|alert| alert.finding.count), Some(7));
    lost.state = FindingState::Closed;
    let step = book.step(at(3_700), std::slice::from_ref(&lost));
    assert_eq!(ids(&step), ["f/resolved/ops"]);
    assert_eq!(step.notices.first().and_then(|notice| notice.alert.resolved_at), Some(at(3_700).wall));
    lost.state = FindingState::Open;
    assert_eq!(book.step(at(3_800), &[lost]), Step::default(), "resolved stays resolved");
}

#[test]
fn a_pending_alert_becomes_urgent_with_its_finding() {
    let mut book = book();
    let mut open = finding("f", Kind::GroupStopped, Severity::Warning, FindingState::Open);
    book.step(at(0), std::slice::from_ref(&open));
    open.severity = Severity::Critical;
    assert_eq!(ids(&book.step(at(5), &[open])), ["f/firing/ops"]);
}

#[test]
fn what_closes_or_loses_weight_while_pending_vanishes_without_notice() {
    let cases = [
        ("closed", Severity::Warning, FindingState::Closed),
        ("below the severity", Severity::Info, FindingState::Open),
    ];
    for (name, severity, state) in cases {
        let mut book = book();
        book.step(at(0), &[finding("f", Kind::GroupStopped, Severity::Warning, FindingState::Open)]);
        let step = book.step(at(10), &[finding("f", Kind::GroupStopped, severity, state)]);
        assert!(step.notices.is_empty(), "{name}");
        let after = step.changed.first().map(|alert| (alert.state, alert.fired_at));
        assert_eq!(after, Some((AlertState::Resolved, None)), "{name}");
        assert!(book.alerts().is_empty(), "{name}");
    }
}

#[test]
fn opened_and_closed_in_one_step_is_told_both_ways_when_urgent() {
    let open = finding("f", Kind::CanaryLost, Severity::Critical, FindingState::Open);
    let closed = Finding { state: FindingState::Closed, ..open.clone() };
    assert_eq!(ids(&book().step(at(0), &[open, closed])), ["f/firing/ops", "f/resolved/ops"]);
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let mut before = book();
    let lost = finding("lost", Kind::CanaryLost, Severity::Critical, FindingState::Open);
    let mut stopped = finding("stopped", Kind::GroupStopped, Severity::Warning, FindingState::Open);
    before.step(at(0), &[lost.clone(), stopped.clone()]);
    stopped.last_seen_at = at(20).wall;
    before.step(at(20), std::slice::from_ref(&stopped));

    // The new process's monotonic clock starts at 0, a day later.
    let restarted = |seconds| Moment { wall: at(86_400 + seconds).wall, mono: Duration::from_secs(seconds) };
    let mut after = book();
    after.restore(restarted(0), before.alerts());
    assert!(after.step(restarted(1), &[lost.clone(), stopped]).notices.is_empty(), "told already, and held 20 of 30 s");
    assert_eq!(ids(&after.step(restarted(10), &[])), ["stopped/firing/ops"]);
    let closed = Finding { state: FindingState::Closed, ..lost };
    assert_eq!(ids(&after.step(restarted(11), &[closed])), ["lost/resolved/ops"]);
}

#[test]
fn a_jump_of_the_wall_clock_ends_no_hold() {
    let mut book = book();
    book.step(at(0), &[finding("f", Kind::GroupStopped, Severity::Warning, FindingState::Open)]);
    let jumped = Moment { wall: at(31_536_000).wall, mono: Duration::from_secs(1) };
    assert_eq!(book.step(jumped, &[]), Step::default());
}

#[derive(Clone, Debug)]
enum Op {
    Open(u8, Kind, Severity),
    Close(u8),
    Wait(u64),
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let kind = prop_oneof![Just(Kind::GroupStopped), Just(Kind::CanaryLost), Just(Kind::PartitionUnderReplicated)];
    let severity = prop_oneof![Just(Severity::Critical), Just(Severity::Warning), Just(Severity::Info)];
    let op = prop_oneof![
        4 => (0_u8..5, kind, severity).prop_map(|(n, kind, severity)| Op::Open(n, kind, severity)),
        3 => (0_u8..5).prop_map(Op::Close),
        3 => (0_u64..40).prop_map(Op::Wait),
        1 => Just(Op::Restart),
    ];
    proptest::collection::vec(op, 0..80)
}

proptest! {
    #[test]
    fn each_alert_is_told_at_most_once_per_way_and_each_firing_is_resolved(ops in ops()) {
        let receivers = vec!["ops".to_owned(), "dev".to_owned()];
        let options = Options { receivers: receivers.clone(), ..Options::default() };
        let mut book = AlertBook::new(options.clone());
        let (mut now, mut told) = (0_u64, Vec::<Notice>::new());
        // As in the finding book: a subject that opens again is a new finding with a new id.
        let mut life = [0_u32; 5];
        let mut open: [Option<Finding>; 5] = Default::default();
        for op in ops {
            let step = match op {
                Op::Open(n, kind, severity) => {
                    let n = usize::from(n);
                    let mut now_open = finding(&format!("{n}-{}", life[n]), kind, severity, FindingState::Open);
                    now_open.last_seen_at = at(now).wall;
                    open[n] = Some(now_open.clone());
                    book.step(at(now), &[now_open])
                }
                Op::Close(n) => {
                    let n = usize::from(n);
                    life[n] += 1;
                    let closed: Vec<Finding> =
                        open[n].take().map(|f| Finding { state: FindingState::Closed, ..f }).into_iter().collect();
                    book.step(at(now), &closed)
                }
                Op::Wait(seconds) => {
                    now += seconds;
                    book.step(at(now), &[])
                }
                Op::Restart => {
                    let kept = book.alerts();
                    book = AlertBook::new(options.clone());
                    book.restore(at(now), kept);
                    Step::default()
                }
            };
            told.extend(step.notices);
            for alert in book.alerts().iter().filter(|alert| alert.state == AlertState::Firing) {
                prop_assert!(alert.fired_at.is_some() && alert.resolved_at.is_none());
            }
        }
        let closing: Vec<Finding> =
            open.into_iter().flatten().map(|f| Finding { state: FindingState::Closed, ..f }).collect();
        told.extend(book.step(at(now), &closing).notices);
        prop_assert!(book.alerts().iter().all(|alert| alert.state == AlertState::Resolved));

        let ids: BTreeSet<&str> = told.iter().map(|notice| notice.id.as_str()).collect();
        prop_assert_eq!(ids.len(), told.len(), "no notice twice");
        let mut firing = BTreeSet::new();
        for notice in &told {
            let key = (&notice.alert.id, &notice.receiver);
            match notice.status {
                NoticeStatus::Firing => prop_assert!(firing.insert(key)),
                NoticeStatus::Resolved => prop_assert!(firing.remove(&key), "resolved before it fired"),
            }
        }
        prop_assert!(firing.is_empty(), "fired and never resolved");
    }

    #[test]
    fn an_open_finding_is_told_when_its_hold_is_over(waits in proptest::collection::vec(0_u64..20, 1..10)) {
        let mut book = book();
        let mut fired = book.step(at(0), &[finding("f", Kind::GroupStopped, Severity::Warning, FindingState::Open)]);
        let mut now = 0;
        for wait in waits {
            now += wait;
            fired.notices.extend(book.step(at(now), &[]).notices);
            prop_assert_eq!(fired.notices.len(), usize::from(now >= 30));
        }
    }
}
