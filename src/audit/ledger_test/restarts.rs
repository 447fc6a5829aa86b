//! Restarts, re-creations, windows and the cap.

use super::scene::*;

#[test]
fn a_recreated_topic_expires_and_loses_nothing() {
    fn recreate(s: &mut Scene) {
        s.topic = TopicId([2; 16]);
        s.topic();
        s.quiet(0);
    }
    run(&[
        (
            "pending",
            |s| {
                s.ack(0, 100);
                s.wait(1);
                recreate(s);
            },
            "expired 1",
        ),
        (
            "indeterminate",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Indeterminate { key, error: String::new() });
                recreate(s);
            },
            "indeterminate_expired 1",
        ),
        (
            "in flight, acknowledged later",
            |s| {
                s.send(0);
                s.wait(1);
                recreate(s);
                s.ack(0, 0);
            },
            "expired 1",
        ),
        (
            "delivered",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.wait(1);
                recreate(s);
                s.end(0, 0, (0, 0), 0);
                s.topic();
            },
            "delivered 1",
        ),
        (
            "its successor answers before we know",
            |s| {
                s.ack(0, 100);
                s.wait(1);
                s.quiet(0);
                s.wait(20);
                s.end(0, 0, (0, 0), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(0) });
                assert!(s.ledger.wants_sighting(s.now));
                s.wait(1);
                recreate(s);
            },
            "expired 1",
        ),
        (
            "a lagging broker names the former id",
            |s| {
                recreate(s);
                s.ack(0, 0);
                let now = s.now;
                s.tell(Event::TopicSighted { topic_id: TopicId([1; 16]), partitions: vec![P], begun: now });
                s.topic();
            },
            "pending 1",
        ),
        (
            "one broker knows before the others",
            |s| {
                s.ack(0, 100);
                let now = s.now;
                s.tell(Event::TopicSighted { topic_id: TopicId([2; 16]), partitions: vec![P], begun: now });
                assert_eq!(s.sums(), "pending 1");
                s.topic = TopicId([2; 16]);
                s.sight(&[(2, 2, 0)]);
            },
            "expired 1",
        ),
    ]);
}

#[test]
fn a_restart_makes_no_loss_and_no_duplicate() {
    fn reserve(s: &mut Scene, n: u64) {
        s.ledger.reserve(CLASS, P, n);
        s.flush();
    }
    run(&[
        (
            "reserved and not sent",
            |s| {
                reserve(s, 3);
                s.crash();
            },
            "indeterminate_pending 3",
        ),
        (
            "reserved, given back",
            |s| {
                reserve(s, 3);
                s.ack(0, 100);
                s.ledger.release(CLASS, P);
                s.flush();
                s.crash();
            },
            "pending 1",
        ),
        (
            "sent, not flushed, and read",
            |s| {
                reserve(s, 2);
                s.ack(0, 100);
                let record = s.record(0);
                s.crash();
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: P,
                    offset: offset(100),
                    leader_epoch: Some(epoch(0)),
                });
            },
            "indeterminate_delivered 1, indeterminate_pending 1",
        ),
        (
            "sent and flushed, no outcome",
            |s| {
                reserve(s, 1);
                s.send(0);
                s.flush();
                s.crash();
            },
            "indeterminate_pending 1",
        ),
        (
            "acknowledged and flushed",
            |s| {
                reserve(s, 1);
                s.ack(0, 100);
                s.flush();
                s.crash();
            },
            "pending 1",
        ),
        (
            "acknowledged, read by the next process in time",
            |s| {
                reserve(s, 1);
                s.ack(0, 100);
                s.flush();
                let record = s.record(0);
                s.crash();
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: P,
                    offset: offset(100),
                    leader_epoch: None,
                });
            },
            "delivered 1",
        ),
        (
            "acknowledged, read by the next process late",
            |s| {
                reserve(s, 1);
                s.ack(0, 100);
                s.flush();
                let record = s.record(0);
                s.crash();
                s.wait(60);
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: P,
                    offset: offset(100),
                    leader_epoch: None,
                });
            },
            "late 1",
        ),
        (
            "read, flushed, read again",
            |s| {
                reserve(s, 1);
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.flush();
                let record = s.record(0);
                s.crash();
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: P,
                    offset: offset(100),
                    leader_epoch: None,
                });
            },
            "delivered 1, reread 1",
        ),
        (
            "truncated meanwhile",
            |s| {
                reserve(s, 2);
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.ack(1, 101);
                s.wait(1);
                s.sight(&[(1, 1, 0), (2, 1, 0), (3, 1, 0)]);
                s.flush();
                s.crash();
                s.wait(1);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                assert_eq!(s.ask(), ["ends of 0 1 from 1"]);
                s.end(0, 1, (0, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "lost 1, truncated_after_delivery 1",
        ),
        (
            "truncated meanwhile, and read when nobody knew whether it is the same topic still",
            |s| {
                reserve(s, 1);
                s.wait(1);
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.flush();
                s.crash();
                s.wait(1);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.ask();
                s.end(0, 1, (0, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "delivered 1",
        ),
        (
            "recreated meanwhile",
            |s| {
                reserve(s, 1);
                s.ack(0, 100);
                s.flush();
                s.crash();
                s.topic = TopicId([2; 16]);
                s.topic();
            },
            "expired 1",
        ),
    ]);
}

#[test]
fn a_restart_remembers_former_lives_and_a_restored_ledger_makes_no_duplicates() {
    run(&[
        (
            "only a broker that lags answers after the restart",
            |s| {
                let former = std::mem::replace(&mut s.topic, TopicId([2; 16]));
                s.topic();
                s.quiet(0);
                s.ledger.reserve(CLASS, P, 1);
                s.ack(0, 100);
                s.flush();
                s.crash();
                let own = std::mem::replace(&mut s.topic, former);
                s.tell(Event::TopicSighted { topic_id: former, partitions: vec![P], begun: s.now });
                s.sight(&[(3, 1, 0)]);
                assert_eq!(s.ledger.topic_id(), Some(own));
            },
            "pending 1",
        ),
        (
            "acknowledged by nobody knows whom, and one broker was in another life",
            |s| {
                s.ledger.reserve(CLASS, P, 1);
                let own = std::mem::replace(&mut s.topic, TopicId([9; 16]));
                s.sight(&[(4, 4, 0)]);
                s.topic = own;
                s.ack(0, 100);
                s.wait(6);
                s.quiet(0);
                s.flush();
                s.crash();
                s.sight(&[(1, 1, 0), (2, 1, 0), (3, 1, 0)]);
                s.wait(20);
                s.end(0, 0, (0, 90), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(90) });
                s.wait(1);
                s.topic();
            },
            "pending 1",
        ),
        (
            "the same, and nobody ever named the other id before",
            |s| {
                s.ledger.reserve(CLASS, P, 1);
                s.ack(0, 100);
                s.flush();
                s.crash();
                s.topic = TopicId([2; 16]);
                s.sight(&[(3, 1, 0)]);
            },
            "expired 1",
        ),
        (
            "a copy of the ledger from before is restored",
            |s| {
                s.ledger.reserve(CLASS, P, 2);
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.flush();
                let (old, incarnation) = (s.saved.clone(), s.incarnation);
                s.ack(1, 101);
                s.read(1, 101, 0);
                s.ledger.reserve(CLASS, P, 1);
                s.ack(2, 102);
                s.read(2, 102, 0);
                s.flush();
                let records: Vec<CanaryRecord> = (0..3).map(|sequence| s.record(sequence)).collect();
                s.saved = old;
                s.crash();
                assert_ne!(s.incarnation, incarnation);
                for (record, at) in records.into_iter().zip(100..) {
                    s.tell(Event::Received {
                        isolation: Isolation::ReadUncommitted,
                        record,
                        partition: P,
                        offset: offset(at),
                        leader_epoch: Some(epoch(0)),
                    });
                }
                assert_eq!(s.ledger.second_instance(), None);
            },
            "delivered 1, indeterminate_delivered 1, reread 1, unknown_incarnation 1",
        ),
    ]);
}

#[test]
fn beyond_the_cap_the_oldest_go_and_the_sums_stay() {
    let mut s = Scene::with(LedgerOptions { records_max: 3, ..LedgerOptions::default() });
    for sequence in 0..5 {
        s.ack(sequence, 100 + i64::try_from(sequence).expect("small"));
    }
    assert_eq!(s.sums(), "pending 3, untracked 2");
    s.read(3, 103, 0);
    s.ack(5, 105);
    assert_eq!(s.sums(), "delivered 1, pending 3, untracked 2", "a judged record goes before a pending one");
    assert_eq!(s.ledger.records.len(), 3);
}

#[test]
fn a_window_ends_and_the_row_goes() {
    let mut s = Scene::new();
    s.ack(0, 100);
    s.read(0, 100, 0);
    s.flush();
    assert_eq!(s.saved.records.len(), 1);
    s.wait(1801);
    s.ask();
    s.flush();
    assert_eq!((s.saved.records.len(), s.sums().as_str()), (0, "delivered 1"));
    s.read(0, 100, 0);
    assert_eq!(s.sums(), "delivered 1, reread 1", "known by its sequence");
}
