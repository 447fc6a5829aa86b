//! What a receipt decides.

use super::scene::*;

#[test]
fn a_receipt_decides() {
    run(&[
        ("sent", |s| s.send(0), "in_flight 1"),
        ("acknowledged", |s| s.ack(0, 100), "pending 1"),
        (
            "read in time",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
            },
            "delivered 1",
        ),
        (
            "read late",
            |s| {
                s.ack(0, 100);
                s.wait(15);
                s.read(0, 100, 0);
            },
            "late 1",
        ),
        (
            "read before its ack",
            |s| {
                s.send(0);
                s.read(0, 100, 0);
                assert_eq!(s.sums(), "in_flight 1");
                s.ack(0, 100);
            },
            "delivered 1",
        ),
        (
            "refused",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Rejected { key, error: "NOT_ENOUGH_REPLICAS".into() });
            },
            "rejected 1",
        ),
        (
            "refused, and read",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Rejected { key, error: String::new() });
                s.read(0, 100, 0);
            },
            "phantom 1, rejected 1",
        ),
        (
            "read, then refused",
            |s| {
                s.send(0);
                s.read(0, 100, 0);
                let key = s.key(0);
                s.tell(Event::Rejected { key, error: String::new() });
            },
            "phantom 1, rejected 1",
        ),
        (
            "timed out",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Indeterminate { key, error: String::new() });
            },
            "indeterminate_pending 1",
        ),
        (
            "timed out, and read",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Indeterminate { key, error: String::new() });
                s.read(0, 100, 0);
            },
            "indeterminate_delivered 1",
        ),
        (
            "an ack without offset",
            |s| {
                s.ack(0, -1);
                s.wait(60);
            },
            "acked_without_offset 1, pending 1",
        ),
        ("never heard of", |s| s.read(9, 100, 0), "unknown_incarnation 1"),
    ]);
}

#[test]
fn copies_are_duplicates_and_rereads_are_not() {
    run(&[
        (
            "the same offset twice",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.read(0, 100, 0);
            },
            "delivered 1, reread 1",
        ),
        (
            "another offset",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.read(0, 105, 0);
            },
            "delivered 1, duplicated 1",
        ),
        (
            "another offset, then both again",
            |s| {
                s.ack(0, 100);
                for at in [100, 105, 100, 105] {
                    s.read(0, at, 0);
                }
            },
            "delivered 1, duplicated 1, reread 2",
        ),
        (
            "twice before the ack",
            |s| {
                s.send(0);
                s.read(0, 100, 0);
                s.read(0, 101, 0);
                s.ack(0, 100);
            },
            "delivered 1, duplicated 1",
        ),
        (
            "an inversion",
            |s| {
                for n in 0..3 {
                    s.ack(n, 100);
                }
                s.read(0, 100, 0);
                s.read(2, 101, 0);
                s.read(1, 102, 0);
            },
            "delivered 3, reordered 1",
        ),
        (
            "the reader moved back",
            |s| {
                for n in 0..3 {
                    s.ack(n, 100);
                }
                s.read(2, 102, 0);
                s.tell(Event::ReaderMoved { isolation: Isolation::ReadUncommitted, partition: P, to: offset(100) });
                s.read(0, 100, 0);
                s.read(1, 101, 0);
                s.read(2, 102, 0);
            },
            "delivered 3, reread 1",
        ),
        (
            "in another partition too",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                let record = s.record(0);
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: PartitionId(1),
                    offset: offset(100),
                    leader_epoch: None,
                });
            },
            "delivered 1, duplicated 1",
        ),
        (
            "only in another partition",
            |s| {
                s.ack(0, 100);
                let record = s.record(0);
                s.tell(Event::Received {
                    isolation: Isolation::ReadUncommitted,
                    record,
                    partition: PartitionId(1),
                    offset: offset(100),
                    leader_epoch: None,
                });
            },
            "pending 1",
        ),
    ]);
}

#[test]
fn an_indeterminate_record_becomes_absent_when_its_terms_are_behind_the_reader() {
    fn timed_out(s: &mut Scene) {
        s.send(0);
        s.wait(1);
        let key = s.key(0);
        s.tell(Event::Indeterminate { key, error: String::new() });
        s.wait(1);
        s.quiet(0);
    }
    run(&[
        (
            "the reader is in the same term",
            |s| {
                timed_out(s);
                s.ack(1, 100);
                s.read(1, 100, 0);
            },
            "delivered 1, indeterminate_pending 1",
        ),
        (
            "the reader is in a later term",
            |s| {
                timed_out(s);
                s.quiet(1);
                s.ack(1, 100);
                s.read(1, 100, 1);
            },
            "delivered 1, indeterminate_absent 1",
        ),
        (
            "it comes after all",
            |s| {
                timed_out(s);
                s.quiet(1);
                s.ack(1, 100);
                s.read(1, 100, 1);
                s.read(0, 101, 1);
            },
            "delivered 1, indeterminate_delivered 1, reordered 1",
        ),
        (
            "its window ends",
            |s| {
                timed_out(s);
                s.ack(1, 100);
                s.read(1, 100, 0);
                s.wait(3600);
                s.ask();
            },
            "delivered 1, indeterminate_absent 1",
        ),
        (
            "its window ends, but nothing was read since",
            |s| {
                timed_out(s);
                s.wait(3600);
                s.ask();
            },
            "indeterminate_pending 1",
        ),
    ]);
}

#[test]
fn another_instance_is_told_by_its_later_start() {
    let mut s = Scene::new();
    let mut record = s.record(0);
    record.key.incarnation = Incarnation(99);
    record.sent_at = Timestamp::from_millis(0);
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: P,
        offset: offset(5),
        leader_epoch: None,
    });
    assert_eq!((s.sums().as_str(), s.ledger.second_instance()), ("unknown_incarnation 1", None), "an older one");
    s.wait(1);
    record.sent_at = s.now.wall;
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: P,
        offset: offset(6),
        leader_epoch: None,
    });
    assert_eq!(s.ledger.second_instance(), None, "it was there before us, and goes on: it is to stop");
    record.key.incarnation = Incarnation(100);
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: P,
        offset: offset(7),
        leader_epoch: None,
    });
    assert_eq!(s.ledger.second_instance().map(|second| second.incarnation), Some(Incarnation(100)));
    record.sent_at = Timestamp::from_millis(0);
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: PartitionId(1),
        offset: offset(7),
        leader_epoch: None,
    });
    assert_eq!(s.ledger.second_instance(), None, "an earlier record of it was read later");
}

#[test]
fn unreadable_records_count_and_move_the_reader() {
    let mut s = Scene::new();
    s.ack(0, 100);
    s.tell(Event::Unreadable {
        isolation: Isolation::ReadUncommitted,
        partition: P,
        offset: offset(4),
        what: Unreadable::Corrupt,
    });
    s.tell(Event::Unreadable {
        isolation: Isolation::ReadUncommitted,
        partition: P,
        offset: offset(5),
        what: Unreadable::Foreign,
    });
    let mut record = s.record(0);
    record.lineage = Lineage([8; 16]);
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: P,
        offset: offset(6),
        leader_epoch: None,
    });
    assert_eq!(s.sums(), "corrupt 1, foreign 2, pending 1");
    assert_eq!(s.ledger.next_to_read(Isolation::ReadUncommitted, P), Some(offset(7)));
}

#[test]
fn entries_into_an_outcome_are_counted_whatever_comes_first() {
    let mut scene = Scene::new();
    scene.ack(0, 100);
    scene.read(0, 100, 0);
    scene.send(1);
    scene.read(1, 101, 0);
    scene.ack(1, 101);
    scene.read(1, 102, 0);
    let class = scene.key(0).class;
    for (outcome, want) in [("acked", 2), ("delivered", 2), ("duplicated", 1), ("lost", 0)] {
        let counted = scene.ledger.outcomes().get(&(class, outcome)).copied().unwrap_or(0);
        assert_eq!(counted, want, "{outcome}");
    }
}

#[test]
fn each_reader_has_its_own_position() {
    let (all, committed) = (Isolation::ReadUncommitted, Isolation::ReadCommitted);
    let mut s = Scene::new();
    s.ack(0, 100);
    s.wait(1);
    s.quiet(0);
    s.tell(Event::Unreadable { isolation: committed, partition: P, offset: offset(105), what: Unreadable::Foreign });
    s.wait(6);
    assert_eq!(s.ask(), Vec::<String>::new(), "passed by the reader of another class");
    s.tell(Event::ReaderMoved { isolation: committed, partition: P, to: offset(90) });
    s.tell(Event::ReaderMoved { isolation: all, partition: P, to: offset(90) });
    s.tell(Event::Unreadable { isolation: all, partition: P, offset: offset(100), what: Unreadable::Foreign });
    s.wait(6);
    assert_eq!(s.ask(), ["ends of 0 from 0", "reread 100"]);
    let next = |s: &Scene| (s.ledger.next_to_read(all, P), s.ledger.next_to_read(committed, P));
    assert_eq!(next(&s), (Some(offset(101)), Some(offset(90))));
    s.flush();
    s.crash();
    assert_eq!(next(&s), (Some(offset(101)), Some(offset(90))), "after a restart");
    let page = s.ledger.partitions(s.now);
    assert_eq!(page.first().map(|p| (p.frontier, p.frontier_committed)), Some((Some(101), Some(90))));
}

#[test]
fn what_the_other_reader_sees_of_a_class_is_no_receipt() {
    let mut s = Scene::new();
    s.class = CanaryClass::Transactional;
    s.send(0);
    let record = s.record(0);
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: P,
        offset: offset(100),
        leader_epoch: Some(epoch(0)),
    });
    assert_eq!(s.sums(), "in_flight 1");
    assert_eq!(s.ledger.next_to_read(Isolation::ReadUncommitted, P), Some(offset(101)));
    assert_eq!(s.ledger.next_to_read(Isolation::ReadCommitted, P), None);
}

#[test]
fn what_is_overdue_is_told_by_class() {
    let mut s = Scene::new();
    s.ack(0, 100);
    s.class = CanaryClass::Acks1;
    s.ack(0, 101);
    s.ack(1, 102);
    s.wait(60);
    let page = s.ledger.partitions(s.now);
    let partition = page.first().expect("one partition");
    let want = BTreeMap::from([(CanaryClass::Idempotent, 1), (CanaryClass::Acks1, 2)]);
    assert_eq!((partition.pending, partition.overdue, &partition.overdue_by_class), (3, 3, &want));
}
