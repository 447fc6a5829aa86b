//! What went to a connection that was closed, and whose offset nobody told.

use super::scene::*;

/// 0 was read at 100; 1 was written to a connection that was closed; 2 went through the next one, and was read at 103.
fn missing_since_its_connection_closed(s: &mut Scene) {
    s.link(1);
    write(s, 0);
    s.read(0, 100, 0);
    write(s, 1);
    s.link(2);
    write(s, 2);
    s.read(2, 103, 0);
}

/// The leader says that its epoch 0 is the present one, so what was read in it stands.
fn epoch_stands(s: &mut Scene) {
    s.ask();
    s.end(0, 0, (0, 104), 0);
    s.wait(1);
}

#[test]
fn what_went_to_a_closed_connection_is_seen_to_be_lost() {
    run_acks0(&[
        (
            "a record of the next connection is there, and it is not",
            |s| {
                missing_since_its_connection_closed(s);
                s.wait(20);
                epoch_stands(s);
                assert_eq!(s.ask(), ["reread 101", "reread 102"]);
                s.reread(101, beyond(103, 0));
                assert_eq!(s.sums(), "delivered 2, pending 1, unacknowledged 3", "the topic was not seen since");
                s.topic();
                assert_eq!(s.anomalies(), ["LostObserved 1 acks0 in 0 at "]);
                let evidence = s.ledger.anomalies().next().map(Anomaly::evidence).unwrap_or_default();
                assert_eq!(evidence["records"][0]["searched"]["by"], "closed_connection");
            },
            "delivered 2, lost 1, unacknowledged 3",
        ),
        (
            "what proved it was cut off, and the next one proves it",
            |s| {
                missing_since_its_connection_closed(s);
                s.wait(20);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.ask();
                s.end(0, 1, (0, 101), 0);
                s.reread(103, Reread::AtEnd { high_watermark: offset(101) });
                s.topic();
                assert_eq!(s.sums(), "delivered 1, pending 1, truncated_after_delivery 1, unacknowledged 3");
                write(s, 3);
                s.tell(Event::ReaderMoved { isolation: Isolation::ReadUncommitted, partition: P, to: offset(101) });
                s.read(3, 101, 1);
                s.wait(6);
                assert_eq!(s.ask(), ["ends of 0 1 from 1"]);
                s.end(0, 1, (0, 101), 0);
                s.end(1, 1, (1, 102), 0);
                s.wait(1);
                s.ask();
                s.topic();
                assert_eq!(
                    s.anomalies(),
                    ["LostObserved 1 acks0 in 0 at ", "TruncatedAfterDelivery 1 acks0 in 0 at 103"]
                );
            },
            "delivered 2, lost 1, truncated_after_delivery 1, unacknowledged 4",
        ),
        (
            "the log of an unclean election has another record where that one was",
            |s| {
                missing_since_its_connection_closed(s);
                s.wait(20);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.ask();
                // Its epoch 0 ends before the place of the record that was read.
                s.end(0, 1, (0, 103), 0);
                s.wait(1);
                s.ask();
                s.reread(101, beyond(104, 1));
                s.wait(6);
                s.topic();
                s.wait(1);
                s.topic();
            },
            "delivered 1, pending 1, truncated_after_delivery 1, unacknowledged 3",
        ),
        (
            "a hung broker may append it still",
            |s| {
                missing_since_its_connection_closed(s);
                s.wait(6);
                epoch_stands(s);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "no other connection was seen",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                write(s, 1);
                write(s, 2);
                s.read(2, 103, 0);
                s.wait(20);
                epoch_stands(s);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "what was read had been sent before the connection was closed",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                write(s, 1);
                write(s, 2);
                s.link(2);
                s.read(2, 103, 0);
                s.wait(20);
                epoch_stands(s);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 2, pending 1, unacknowledged 3",
        ),
        (
            "our own reader had skipped it",
            |s| {
                missing_since_its_connection_closed(s);
                s.wait(20);
                epoch_stands(s);
                s.ask();
                let found = s.found(1, 0);
                s.reread(101, found);
                assert_eq!(s.anomalies(), ["ConsumerSkipped 1 acks0 in 0 at 101"]);
            },
            "delivered 3, unacknowledged 3",
        ),
        (
            "it was appended after all",
            |s| {
                missing_since_its_connection_closed(s);
                s.wait(20);
                epoch_stands(s);
                s.ask();
                s.reread(101, beyond(103, 0));
                s.topic();
                s.read(1, 104, 0);
                assert_eq!(s.ledger.anomalies().map(|anomaly| anomaly.resurfaced).max(), Some(1));
            },
            "delivered 2, lost 1, reordered 1, resurfaced 1, unacknowledged 3",
        ),
        (
            "the process died, and its connections with it",
            |s| {
                s.link(1);
                write(s, 0);
                s.read(0, 100, 0);
                write(s, 1);
                s.flush();
                s.crash();
                s.topic();
                s.quiet(0);
                s.link(9);
                write(s, 0);
                s.read(0, 103, 0);
                s.wait(20);
                epoch_stands(s);
                assert_eq!(s.ask(), ["reread 101", "reread 102"]);
                s.reread(101, beyond(103, 0));
                s.topic();
                s.flush();
                s.crash();
                assert_eq!(s.anomalies(), ["LostObserved 1 acks0 in 0 at "]);
                s.incarnation = Incarnation(1);
                s.topic();
                s.read(1, 104, 0);
                assert_eq!(
                    s.ledger.anomalies().map(|anomaly| anomaly.resurfaced).max(),
                    Some(1),
                    "also by the next process"
                );
            },
            "delivered 2, lost 1, resurfaced 1, unacknowledged 3",
        ),
    ]);
}

#[test]
fn what_waited_for_a_leader_does_not_hide_the_records_after_it() {
    let mut s = Scene::new();
    s.class = CanaryClass::Acks0;
    s.link(1);
    write(&mut s, 0);
    s.read(0, 100, 0);
    // All of these waited, and were written to the next connection when there was one.
    for sequence in 1..=100 {
        s.send(sequence);
    }
    s.wait(10);
    s.link(2);
    for sequence in 1..=100 {
        let key = s.key(sequence);
        s.tell(Event::Acked { key, offset: None, broker: None });
    }
    for sequence in 2..=100 {
        s.read(sequence, 100 + i64::try_from(sequence).expect("small"), 0);
    }
    s.wait(1);
    write(&mut s, 101);
    s.read(101, 201, 0);
    s.wait(20);
    s.ask();
    s.end(0, 0, (0, 202), 0);
    s.wait(1);
    let asked = s.ask();
    assert!(asked.contains(&"reread 101".to_owned()), "{asked:?}");
}

#[test]
fn many_that_were_lost_do_not_hide_what_comes_after_them() {
    let mut s = Scene::new();
    s.class = CanaryClass::Acks0;
    s.link(1);
    write(&mut s, 0);
    s.read(0, 100, 0);
    for sequence in 1..=200 {
        write(&mut s, sequence);
    }
    s.link(2);
    write(&mut s, 201);
    s.read(201, 101, 0);
    s.wait(20);
    s.ask();
    s.end(0, 0, (0, 102), 0);
    for _ in 0..10 {
        s.wait(1);
        s.ask();
        s.topic();
    }
    assert_eq!(s.sums(), "delivered 2, lost 200, unacknowledged 202");
}
