//! The class transactional: accounted for by whole transactions, read by a reader of committed records.

use super::scene::*;
use TransactionEnd::{Aborted, Committed, Unknown};

#[test]
fn a_transaction_ends_as_a_whole() {
    run_transactional(&[
        (
            "appended",
            |s| {
                s.append(0, 100);
                s.wait(60);
            },
            "in_flight 1",
        ),
        (
            "committed",
            |s| {
                s.append(0, 100);
                s.append(1, 101);
                s.end_transaction(&[0, 1], Committed);
            },
            "pending 2",
        ),
        (
            "committed, another one is open",
            |s| {
                s.append(0, 100);
                s.append(1, 101);
                s.end_transaction(&[0], Committed);
            },
            "in_flight 1, pending 1",
        ),
        (
            "committed without an acknowledgement of each",
            |s| {
                s.append(0, 100);
                s.send(1);
                s.end_transaction(&[0, 1], Committed);
            },
            "indeterminate_pending 1, pending 1",
        ),
        (
            "committed, acknowledged without an offset",
            |s| {
                s.append(0, -1);
                s.end_transaction(&[0], Committed);
            },
            "acked_without_offset 1, pending 1",
        ),
        (
            "committed, then read",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Committed);
                s.read(0, 100, 0);
            },
            "delivered 1",
        ),
        (
            "read before we know of the commit",
            |s| {
                s.append(0, 100);
                s.read(0, 100, 0);
                assert_eq!(s.sums(), "in_flight 1");
                s.end_transaction(&[0], Committed);
            },
            "delivered 1",
        ),
        (
            "read too late before we know of the commit",
            |s| {
                s.append(0, 100);
                s.wait(15);
                s.read(0, 100, 0);
                s.end_transaction(&[0], Committed);
            },
            "late 1",
        ),
        (
            "aborted, one record of it not acknowledged",
            |s| {
                s.append(0, 100);
                s.send(1);
                s.end_transaction(&[0, 1], Aborted);
                s.wait(60);
            },
            "aborted 2",
        ),
        (
            "aborted because one record of it timed out",
            |s| {
                s.append(0, 100);
                s.send(1);
                let key = s.key(1);
                s.tell(Event::Indeterminate { key, error: String::new() });
                s.end_transaction(&[0, 1], Aborted);
            },
            "aborted 2",
        ),
        (
            "aborted because one record of it was refused",
            |s| {
                s.append(0, 100);
                s.send(1);
                let key = s.key(1);
                s.tell(Event::Rejected { key, error: String::new() });
                s.end_transaction(&[0, 1], Aborted);
            },
            "aborted 1, rejected 1",
        ),
        (
            "aborted, and read",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Aborted);
                s.read(0, 100, 0);
            },
            "aborted 1, aborted_visible 1",
        ),
        (
            "read, and aborted",
            |s| {
                s.append(0, 100);
                s.read(0, 100, 0);
                s.end_transaction(&[0], Aborted);
            },
            "aborted 1, aborted_visible 1",
        ),
        (
            "aborted, and read without committed isolation",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Aborted);
                let record = s.record(0);
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: P,
                    offset: offset(100),
                    leader_epoch: Some(epoch(0)),
                });
            },
            "aborted 1",
        ),
        (
            "nobody knows how it ended",
            |s| {
                s.append(0, 100);
                s.append(1, 101);
                s.read(1, 101, 0);
                s.end_transaction(&[0, 1], Unknown);
            },
            "indeterminate_delivered 1, indeterminate_pending 1",
        ),
        (
            "nobody knew, and it was aborted",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Unknown);
                s.end_transaction(&[0], Aborted);
            },
            "aborted 1",
        ),
        (
            "a commit is not taken back",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Committed);
                s.end_transaction(&[0], Aborted);
            },
            "pending 1",
        ),
        (
            "killed within it",
            |s| {
                s.ledger.reserve(s.class, P, 2);
                s.append(0, 100);
                s.flush();
                s.crash();
            },
            "indeterminate_pending 2",
        ),
        (
            "killed after it was aborted",
            |s| {
                s.ledger.reserve(s.class, P, 1);
                s.append(0, 100);
                s.end_transaction(&[0], Aborted);
                s.flush();
                s.crash();
                s.wait(60);
            },
            "aborted 1",
        ),
        (
            "the topic was re-created within it",
            |s| {
                s.append(0, 100);
                s.wait(1);
                s.topic = TopicId([2; 16]);
                s.topic();
                s.end_transaction(&[0], Committed);
            },
            "expired 1",
        ),
    ]);
}

#[test]
fn an_aborted_record_is_never_lost_and_a_committed_one_is_by_what_its_reader_sees() {
    run_transactional(&[
        (
            "aborted, and truncated",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Aborted);
                s.wait(6);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                assert_eq!(s.ask(), Vec::<String>::new());
                s.end(0, 1, (0, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "aborted 1",
        ),
        (
            "committed, and truncated",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Committed);
                s.wait(6);
                s.quiet(0);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                assert_eq!(s.ask(), ["ends of 0 1 from 1"]);
                s.end(0, 1, (0, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "lost 1",
        ),
        (
            "committed, and its reader goes on without it",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Committed);
                s.wait(1);
                s.quiet(0);
                s.read(9, 105, 0);
                s.wait(6);
                assert_eq!(s.ask(), ["ends of 0 from 0", "reread 100"]);
                s.reread(100, Reread::Beyond { next: offset(103), leader_epoch: None });
                s.topic();
                let evidence = s.ledger.anomalies().next().map(|anomaly| anomaly.evidence()).unwrap_or_default();
                assert_eq!(evidence["records"][0]["isolation"], "read_committed");
            },
            "lost 1, unknown_incarnation 1",
        ),
        (
            "the other reader goes on without it",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Committed);
                s.wait(1);
                s.quiet(0);
                s.tell(Event::ReaderMoved { isolation: Isolation::ReadUncommitted, partition: P, to: offset(110) });
                s.wait(6);
                assert_eq!(s.ask(), Vec::<String>::new());
                s.tell(Event::RereadTold {
                    isolation: Isolation::ReadUncommitted,
                    partition: P,
                    offset: offset(100),
                    begun: s.now,
                    outcome: Reread::Beyond { next: offset(103), leader_epoch: None },
                });
                s.topic();
            },
            "pending 1",
        ),
        (
            "the last stable offset is before it",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], Committed);
                s.wait(1);
                s.quiet(0);
                s.read(9, 105, 0);
                s.wait(6);
                s.ask();
                s.reread(100, Reread::AtEnd { high_watermark: offset(99) });
                s.topic();
            },
            "pending 1, unknown_incarnation 1",
        ),
        (
            "answers before the commit prove nothing",
            |s| {
                s.append(0, 100);
                s.wait(6);
                s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
                s.end(0, 1, (0, 100), 0);
                s.end(1, 1, (1, 100), 0);
                s.wait(1);
                s.end_transaction(&[0], Committed);
                s.wait(1);
                s.quiet(1);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "pending 1",
        ),
    ]);
}

fn run_transactional(cases: &[Case]) {
    for (name, play, want) in cases {
        let mut scene = Scene::new();
        scene.class = CanaryClass::Transactional;
        play(&mut scene);
        assert_eq!(scene.sums(), *want, "{name}");
    }
}

/// 0 was committed at 100 and read, broker 1 died, and in the log of broker 2 epoch 0 ends at this offset.
fn committed_before_an_election(s: &mut Scene, end: i64) {
    s.append(0, 100);
    s.end_transaction(&[0], TransactionEnd::Committed);
    s.read(0, 100, 0);
    s.wait(1);
    s.sight(&[(2, 1, 0), (3, 1, 0)]);
    s.wait(9);
    s.sight(&[(2, 2, 1), (3, 2, 1)]);
    s.wait(1);
    s.topic();
    assert!(s.ask().contains(&"ends of 0 1 from 1".to_owned()));
    s.end(0, 1, (0, end), 0);
    s.wait(1);
}

#[test]
fn what_was_committed_by_a_marker_that_is_cut_is_truncated() {
    let beyond = || Reread::Beyond { next: offset(105), leader_epoch: LeaderEpoch::new(1) };
    let cases: [Case; 5] = [
        (
            "the record stands and is shown to nobody any more",
            |s| {
                committed_before_an_election(s, 101);
                assert_eq!(s.ask(), ["reread 100"]);
                s.reread(100, Reread::Beyond { next: offset(105), leader_epoch: LeaderEpoch::new(1) });
                assert_eq!(s.sums(), "delivered 1", "the topic was not seen since");
                s.topic();
                assert_eq!(s.anomalies(), ["TruncatedAfterDelivery 1 transactional in 0 at 100"]);
            },
            "truncated_after_delivery 1",
        ),
        (
            "it is shown, and not asked for again in this term",
            |s| {
                committed_before_an_election(s, 101);
                s.ask();
                let found = s.found(0, 0);
                s.reread(100, found);
                s.topic();
                s.wait(20);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 1",
        ),
        (
            "its transaction is open again, and perhaps for long",
            |s| {
                committed_before_an_election(s, 101);
                s.ask();
                s.reread(100, Reread::AtEnd { high_watermark: offset(110) });
                s.topic();
                s.wait(20);
                assert_eq!(s.ask(), ["reread 100"]);
            },
            "delivered 1",
        ),
        (
            "trimmed since",
            |s| {
                committed_before_an_election(s, 101);
                s.ask();
                s.reread(100, Reread::BelowLogStart { log_start: offset(104) });
                s.topic();
                s.wait(20);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 1",
        ),
        (
            "far before the end",
            |s| {
                committed_before_an_election(s, 5_000);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 1",
        ),
    ];
    run(&cases);
    let mut other = Scene::new();
    other.ack(0, 100);
    other.read(0, 100, 0);
    other.wait(10);
    other.sight(&[(2, 2, 1), (3, 2, 1)]);
    other.wait(1);
    other.topic();
    other.ask();
    other.end(0, 1, (0, 101), 0);
    other.wait(1);
    assert_eq!(other.ask(), Vec::<String>::new(), "no other class has markers");
    other.reread(100, beyond());
    other.topic();
    assert_eq!(other.sums(), "delivered 1");
}
