//! Records whose offset nobody told: acks=0, and implicit acknowledgements.

use super::scene::*;

/// Another record of this topic at the offset, in this term.
fn other(s: &Scene, number: i32) -> Reread {
    s.found(77, number)
}

/// 0 was read at 100; 1 was not read; 2 was read at 103, through the same connection.
fn missing_between(s: &mut Scene) {
    s.link(1);
    write(s, 0);
    s.read(0, 100, 0);
    write(s, 1);
    write(s, 2);
    s.read(2, 103, 0);
    s.wait(1);
    s.link(1);
}

#[test]
fn what_a_later_record_of_its_connection_has_overtaken_is_searched_for() {
    run_acks0(&[
        (
            "written",
            |s| {
                s.link(1);
                write(s, 0);
                s.wait(60);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "pending 1, unacknowledged 1",
        ),
        (
            "read",
            |s| {
                write(s, 0);
                s.read(0, 100, 0);
            },
            "delivered 1, unacknowledged 1",
        ),
        (
            "no grace yet",
            |s| {
                missing_between(s);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "at none of the offsets between its neighbours",
            |s| {
                missing_between(s);
                s.wait(5);
                assert_eq!(s.ask(), ["ends of 0 from 0", "reread 101", "reread 102"]);
                let another = other(s, 0);
                s.reread(101, another);
                assert_eq!(s.sums(), "delivered 2, pending 1, unacknowledged 3");
                s.wait(1);
                s.reread(102, beyond(103, 0));
                assert!(s.ledger.wants_sighting(s.now));
                assert_eq!(s.sums(), "delivered 2, pending 1, unacknowledged 3", "the topic was not seen since");
                s.wait(1);
                s.topic();
                let evidence = s.ledger.anomalies().next().map(Anomaly::evidence).unwrap_or_default();
                let want = serde_json::json!({
                    "by": "same_connection", "from": 101, "to": 103, "epochs": { "low": 0, "high": 0 }, "reread": 2,
                });
                assert_eq!(
                    (&evidence["records"][0]["searched"], &evidence["offset"]),
                    (&want, &serde_json::json!(101))
                );
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "one re-read covers the offsets of a gap",
            |s| {
                missing_between(s);
                s.wait(5);
                s.ask();
                s.reread(101, beyond(103, 0));
                s.topic();
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "our own reader skipped it",
            |s| {
                missing_between(s);
                s.wait(5);
                s.ask();
                let found = s.found(1, 0);
                s.reread(102, found);
                assert_eq!(s.ledger.consumer_skipped(), 1);
                assert_eq!(s.anomalies(), ["ConsumerSkipped 1 acks0 in 0 at 102"]);
            },
            "delivered 3, unacknowledged 3",
        ),
        (
            "lost, and it comes back",
            |s| {
                missing_between(s);
                s.wait(5);
                s.ask();
                s.reread(101, beyond(103, 0));
                s.topic();
                s.read(1, 101, 0);
            },
            "delivered 2, lost 1, resurfaced 1, unacknowledged 3",
        ),
        (
            "re-reads without an answer",
            |s| {
                missing_between(s);
                s.wait(5);
                s.ask();
                for _ in 0..5 {
                    s.reread(101, Reread::Failed { why: String::new() });
                    s.reread(102, Reread::AtEnd { high_watermark: offset(90) });
                    s.wait(1);
                    s.topic();
                }
                assert_eq!(s.ask(), ["ends of 0 from 0", "reread 101", "reread 102"]);
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "a re-read out of another life of the topic",
            |s| {
                missing_between(s);
                s.wait(5);
                s.ask();
                let mut record = s.record(77);
                record.topic_id = TopicId([9; 16]);
                s.reread(101, Reread::Found { record, leader_epoch: Some(epoch(0)) });
                s.reread(102, beyond(103, 0));
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "the connection changed in between",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                write(s, 1);
                s.link(2);
                write(s, 2);
                s.read(2, 103, 0);
                s.link(2);
                s.wait(60);
                s.ask();
                s.reread(101, beyond(103, 0));
                s.topic();
                assert_eq!(s.ledger.partitions(s.now).first().map(|p| (p.overdue, p.suspected)), Some((1, 1)));
                s.wait(3_600);
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "nobody looked at the connection since",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                write(s, 1);
                write(s, 2);
                s.link(1);
                s.wait(1);
                s.read(2, 103, 0);
                s.wait(60);
                s.ask();
                s.reread(101, beyond(103, 0));
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "its window ends without a proof",
            |s| {
                write(s, 0);
                write(s, 1);
                s.read(1, 103, 0);
                s.wait(3_600);
                write(s, 2);
                s.read(2, 104, 0);
                s.wait(60);
                s.ask();
            },
            "delivered 2, unacknowledged 3, untracked 1",
        ),
    ]);
}

#[test]
fn what_was_read_in_a_former_life_of_the_topic_limits_no_search() {
    let mut s = Scene::new();
    s.class = CanaryClass::Acks0;
    s.link(1);
    write(&mut s, 0);
    s.read(0, 100, 0);
    s.wait(1);
    s.topic = TopicId([2; 16]);
    s.topic();
    s.quiet(0);
    write(&mut s, 1);
    write(&mut s, 2);
    s.read(2, 101, 0);
    s.wait(1);
    s.link(1);
    s.wait(5);
    assert!(s.ask().contains(&"reread 0".to_owned()), "it may be anywhere before its neighbour");
    s.reread(100, beyond(101, 0));
    s.topic();
    assert_eq!(s.sums(), "delivered 2, pending 1, unacknowledged 3");
}

#[test]
fn another_class_may_have_changed_places() {
    let mut s = Scene::new();
    missing_between(&mut s);
    s.wait(60);
    s.ask();
    s.reread(101, beyond(103, 0));
    s.topic();
    assert_eq!(s.sums(), "acked_without_offset 3, delivered 2, pending 1");
}

#[test]
fn a_search_counts_only_what_is_of_the_log_in_question() {
    /// The same, in epoch 1; broker 1 still acts in epoch 0.
    fn with_zombie(s: &mut Scene) {
        s.sight(&[(1, 1, 0), (2, 2, 1), (3, 2, 1)]);
        s.link(1);
        write(s, 0);
        s.read(0, 100, 1);
        write(s, 1);
        write(s, 2);
        s.read(2, 102, 1);
        s.wait(1);
        s.link(1);
        s.wait(5);
        s.ask();
    }
    run_acks0(&[
        (
            "the old leader's log",
            |s| {
                with_zombie(s);
                let another = other(s, 0);
                s.reread(101, another);
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "a gap in the old leader's log",
            |s| {
                with_zombie(s);
                s.reread(101, beyond(103, 0));
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "a reader that does not tell the term",
            |s| {
                with_zombie(s);
                s.reread(101, Reread::Other(Unreadable::Foreign));
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "all know the term, and it does not matter who answers",
            |s| {
                with_zombie(s);
                s.quiet(1);
                s.wait(1);
                s.reread(101, Reread::Other(Unreadable::Foreign));
                s.topic();
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "the new leader's log",
            |s| {
                with_zombie(s);
                let another = other(s, 1);
                s.reread(101, another);
                s.topic();
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "the neighbours are of two terms, and the earlier one stands",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                s.quiet(1);
                write(s, 1);
                write(s, 2);
                s.read(2, 102, 1);
                s.wait(1);
                s.link(1);
                s.wait(5);
                assert_eq!(s.ask(), ["ends of 0 1 from 1"]);
                s.end(0, 1, (0, 101), 0);
                s.wait(1);
                assert_eq!(s.ask(), ["reread 101"]);
                let another = other(s, 1);
                s.reread(101, another);
                s.topic();
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "the neighbours are of two terms, and the earlier one was cut off",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                s.quiet(1);
                write(s, 1);
                write(s, 2);
                s.read(2, 102, 1);
                s.wait(1);
                s.link(1);
                s.wait(5);
                s.ask();
                s.end(0, 1, (0, 90), 0);
                s.wait(1);
                let asked = s.ask();
                assert!(asked.contains(&"reread 0".to_owned()), "it may be anywhere: {asked:?}");
                let another = other(s, 1);
                s.reread(101, another);
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
    ]);
}

/// The topic is seen again by all that are still waited for.
fn confirm(s: &mut Scene) {
    s.wait(6);
    s.topic();
    s.wait(1);
    s.topic();
}

/// Written in epoch 0 and never read; its leader died, and the reader has read a record of epoch 1 at 102.
fn beyond_its_epoch(s: &mut Scene) {
    write(s, 0);
    s.read(0, 100, 0);
    s.wait(1);
    write(s, 1);
    s.wait(5);
    s.quiet(0);
    s.wait(9);
    s.sight(&[(2, 2, 1), (3, 2, 1)]);
    s.wait(6);
    write(s, 2);
    s.read(2, 102, 1);
    s.wait(6);
    assert_eq!(s.ask().first().map(String::as_str), Some("ends of 0 1 from 1"));
}

#[test]
fn what_is_in_no_epoch_it_can_be_of_is_lost() {
    run_acks0(&[
        (
            "another record at the only offset left",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (0, 102), 0);
                s.wait(1);
                assert_eq!(s.ask(), ["reread 101"]);
                let another = other(s, 0);
                s.reread(101, another);
                confirm(s);
                assert_eq!(s.anomalies(), ["Lost 1 acks0 in 0 at "]);
                let evidence = s.ledger.anomalies().next().map(Anomaly::evidence).unwrap_or_default();
                assert_eq!(evidence["records"][0]["searched"]["by"], "later_epoch");
                assert_eq!(evidence["records"][0]["epoch_answer"]["end"]["end_offset"], 102);
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "no offset is left",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (0, 101), 0);
                s.wait(1);
                assert_eq!(s.ask(), Vec::<String>::new());
                confirm(s);
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "it is there, and our reader skipped it",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (0, 102), 0);
                s.wait(1);
                s.ask();
                let found = s.found(1, 0);
                s.reread(101, found);
            },
            "delivered 2, late 1, unacknowledged 3",
        ),
        (
            "nothing had been read before it, and of where it can be only the end was not trimmed",
            |s| {
                write(s, 1);
                s.wait(5);
                s.quiet(0);
                s.wait(9);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.wait(6);
                write(s, 2);
                s.read(2, 102, 1);
                s.wait(6);
                s.ask();
                s.end(0, 1, (0, 102), 101);
                s.wait(1);
                assert_eq!(s.ask(), ["reread 101"]);
                s.reread(101, beyond(102, 1));
                confirm(s);
            },
            "delivered 1, expired 1, unacknowledged 2",
        ),
        (
            "trimmed",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (0, 102), 102);
                s.wait(1);
                s.ask();
            },
            "delivered 2, expired 1, unacknowledged 3",
        ),
        (
            "the leader does not know its epoch",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (-1, 0), 0);
                s.wait(1);
                s.ask();
                s.reread(101, beyond(102, 1));
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "it may be of the new epoch too",
            |s| {
                write(s, 0);
                s.read(0, 100, 0);
                write(s, 1);
                s.wait(1);
                s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
                write(s, 2);
                s.read(2, 102, 1);
                s.wait(6);
                s.ask();
                s.end(0, 1, (0, 101), 0);
                s.end(1, 1, (1, 103), 0);
                s.wait(1);
                s.ask();
                s.reread(101, beyond(102, 1));
                s.topic();
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "a replaced leader wrote it in an older epoch, and leads again",
            |s| {
                s.sight(&[(1, 1, 0), (2, 2, 1), (3, 2, 1)]);
                write(s, 1);
                s.wait(5);
                s.sight(&[(1, 1, 0), (2, 2, 1), (3, 2, 1)]);
                s.wait(9);
                s.quiet(2);
                write(s, 2);
                s.read(2, 1, 2);
                s.wait(6);
                s.ask();
                s.end(0, 2, (0, 1), 0);
                s.end(1, 2, (0, 1), 0);
                s.wait(1);
                assert_eq!(s.ask(), ["reread 0"], "below the epoch that was sighted before it was sent");
                confirm(s);
            },
            "delivered 1, pending 1, unacknowledged 2",
        ),
        (
            "another leader is elected meanwhile",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (0, 102), 0);
                s.wait(1);
                s.ask();
                s.sight(&[(2, 3, 2), (3, 3, 2)]);
                let another = other(s, 0);
                s.reread(101, another);
                confirm(s);
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "the reader was set back",
            |s| {
                beyond_its_epoch(s);
                s.end(0, 1, (0, 102), 0);
                s.wait(1);
                s.ask();
                s.tell(Event::ReaderMoved { isolation: Isolation::ReadUncommitted, partition: P, to: offset(101) });
                let another = other(s, 0);
                s.reread(101, another);
                confirm(s);
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
    ]);
}

#[test]
fn an_implicit_acknowledgement_is_judged_by_its_epoch_too() {
    let mut s = Scene::new();
    beyond_its_epoch(&mut s);
    s.end(0, 1, (0, 102), 0);
    s.wait(1);
    s.ask();
    let another = other(&s, 0);
    s.reread(101, another);
    confirm(&mut s);
    assert_eq!(s.sums(), "acked_without_offset 3, delivered 2, lost 1");
}

#[test]
fn many_missing_in_a_row_are_searched_by_what_our_reader_did_not_receive() {
    let mut s = Scene::new();
    s.class = CanaryClass::Acks0;
    s.link(1);
    write(&mut s, 0);
    s.read(0, 100, 0);
    write(&mut s, 1);
    s.class = CanaryClass::Acks1;
    // All but two of a hundred offsets are known to hold others.
    for n in 0..98 {
        let at = 101 + i64::try_from(n).expect("small");
        s.send(n);
        s.read(n, at, 0);
    }
    s.class = CanaryClass::Acks0;
    write(&mut s, 2);
    s.read(2, 201, 0);
    s.wait(1);
    s.link(1);
    s.wait(5);
    let asked = s.ask();
    assert_eq!(asked, ["ends of 0 from 0", "reread 199", "reread 200"]);
    s.reread(199, beyond(201, 0));
    s.topic();
    assert_eq!(s.sums(), "delivered 2, lost 1, unacknowledged 3");
}
