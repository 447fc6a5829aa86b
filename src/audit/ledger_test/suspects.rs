//! Passed offsets, replaced leaders, truncation after delivery, and what is asked.

use super::scene::*;

#[test]
fn a_passed_offset_is_a_suspect_and_no_loss() {
    /// Sequence 0 acknowledged at 100, bounded, and the reader reads past it.
    fn passed(s: &mut Scene) {
        s.ack(0, 100);
        s.wait(1);
        s.quiet(0);
        s.read(9, 101, 0);
        s.wait(6);
        assert!(s.ask().contains(&"reread 100".to_owned()));
    }
    run(&[
        (
            "our reader skipped it",
            |s| {
                passed(s);
                let found = s.found(0, 0);
                s.reread(100, found);
                assert_eq!(s.ledger.consumer_skipped(), 1);
            },
            "delivered 1, unknown_incarnation 1",
        ),
        (
            "found at last after the time",
            |s| {
                s.ack(0, 100);
                s.wait(15);
                s.quiet(0);
                s.read(9, 101, 0);
                s.wait(6);
                let found = s.found(0, 0);
                s.reread(100, found);
            },
            "late 1, unknown_incarnation 1",
        ),
        (
            "another record of its own term",
            |s| {
                passed(s);
                let other = s.found(9, 0);
                s.reread(100, other);
                s.topic();
            },
            "lost 1, unknown_incarnation 1",
        ),
        (
            "the same before the topic was seen again",
            |s| {
                passed(s);
                s.wait(1);
                let other = s.found(9, 0);
                s.reread(100, other);
            },
            "pending 1, unknown_incarnation 1",
        ),
        (
            "a gap",
            |s| {
                passed(s);
                s.reread(100, Reread::Beyond { next: offset(101), leader_epoch: None });
                s.topic();
            },
            "lost 1, unknown_incarnation 1",
        ),
        (
            "no canary",
            |s| {
                passed(s);
                s.reread(100, Reread::Other(Unreadable::Foreign));
                s.topic();
            },
            "lost 1, unknown_incarnation 1",
        ),
        (
            "at the end of a lagging high watermark",
            |s| {
                passed(s);
                s.reread(100, Reread::AtEnd { high_watermark: offset(90) });
                s.topic();
            },
            "pending 1, unknown_incarnation 1",
        ),
        (
            "below the log start",
            |s| {
                passed(s);
                s.reread(100, Reread::BelowLogStart { log_start: offset(101) });
                assert_eq!(s.ask(), Vec::<String>::new(), "asked a moment ago");
                s.wait(1);
                assert_eq!(s.ask(), ["ends of 0 from 0", "reread 100"]);
                s.end(0, 0, (0, 110), 101);
            },
            "expired 1, unknown_incarnation 1",
        ),
        (
            "no answer",
            |s| {
                passed(s);
                s.reread(100, Reread::Failed { why: String::new() });
                s.topic();
            },
            "pending 1, unknown_incarnation 1",
        ),
    ]);
}

#[test]
fn a_replaced_leader_that_still_answers_makes_no_loss() {
    /// Sent and acknowledged in epoch 5 of broker 2; broker 1 still acts in epoch 4, and the reader reads from it.
    fn zombie(s: &mut Scene) {
        s.sight(&[(1, 1, 4), (2, 2, 5), (3, 2, 5)]);
        s.ack(0, 100);
        s.wait(1);
        s.sight(&[(1, 1, 4), (2, 2, 5), (3, 2, 5)]);
        s.read(9, 101, 4);
        s.wait(6);
    }
    run(&[
        (
            "another record of the old term",
            |s| {
                zombie(s);
                let other = s.found(9, 4);
                s.reread(100, other);
                s.topic();
            },
            "pending 1, unknown_incarnation 1",
        ),
        (
            "a gap",
            |s| {
                zombie(s);
                s.reread(100, Reread::Beyond { next: offset(101), leader_epoch: None });
                s.topic();
            },
            "pending 1, unknown_incarnation 1",
        ),
        (
            "the present leader's log is of that term there",
            |s| {
                zombie(s);
                let other = s.found(9, 4);
                s.reread(100, other);
                s.end(3, 5, (3, 50), 0);
                s.end(4, 5, (4, 120), 0);
                s.end(5, 5, (5, 130), 0);
                let other = s.found(9, 4);
                s.reread(100, other);
                s.topic();
            },
            "lost 1, unknown_incarnation 1",
        ),
        (
            "the present leader's log is of the record's term there",
            |s| {
                zombie(s);
                let other = s.found(9, 4);
                s.reread(100, other);
                s.end(4, 5, (4, 100), 0);
                s.end(5, 5, (5, 130), 0);
                s.topic();
            },
            "pending 1, unknown_incarnation 1",
        ),
        (
            "all brokers know the term, then a gap",
            |s| {
                zombie(s);
                s.quiet(5);
                s.wait(1);
                s.reread(100, Reread::Beyond { next: offset(101), leader_epoch: None });
                s.topic();
            },
            "lost 1, unknown_incarnation 1",
        ),
    ]);
}

#[test]
fn what_was_delivered_and_truncated_is_told_apart_from_what_stands() {
    fn delivered(s: &mut Scene) {
        s.ack(0, 100);
        s.read(0, 100, 0);
        s.wait(6);
        s.sight(&[(2, 2, 1), (3, 2, 1)]);
        // A broker that does not answer twice is not waited for.
        s.sight(&[(2, 2, 1), (3, 2, 1)]);
        assert_eq!(s.ask(), ["ends of 0 1 from 1"]);
    }
    fn proven_at_a_low_offset(s: &mut Scene) {
        s.ack(0, 3);
        s.read(0, 3, 0);
        s.wait(6);
        s.sight(&[(2, 2, 1), (3, 2, 1)]);
        s.sight(&[(2, 2, 1), (3, 2, 1)]);
        s.end(0, 1, (0, 3), 0);
        s.reread(3, Reread::AtEnd { high_watermark: offset(3) });
        s.topic();
    }
    run(&[
        (
            "it stands",
            |s| {
                delivered(s);
                s.end(0, 1, (0, 101), 0);
                s.end(1, 1, (1, 101), 0);
                assert_eq!(s.ask(), Vec::<String>::new());
            },
            "delivered 1",
        ),
        (
            "truncated",
            |s| {
                delivered(s);
                s.end(0, 1, (0, 100), 0);
                assert_eq!(s.ask(), ["reread 100"]);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "truncated_after_delivery 1",
        ),
        (
            "at a low offset, and who served the read was not heard since: perhaps out of a topic made anew",
            proven_at_a_low_offset,
            "delivered 1",
        ),
        (
            "at a low offset, and all named the topic since the read",
            |s| {
                proven_at_a_low_offset(s);
                s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
            },
            "truncated_after_delivery 1",
        ),
        (
            "trimmed",
            |s| {
                delivered(s);
                s.end(0, 1, (0, 90), 101);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "delivered 1",
        ),
        (
            "found again",
            |s| {
                delivered(s);
                s.end(0, 1, (0, 100), 0);
                let found = s.found(0, 0);
                s.reread(100, found);
                s.topic();
            },
            "delivered 1",
        ),
        (
            "written again at the same offset in the new term",
            |s| {
                delivered(s);
                s.read(0, 100, 1);
                s.end(0, 1, (0, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "delivered 1, reread 1",
        ),
        (
            "one of two copies stands",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.read(0, 103, 0);
                s.wait(1);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.end(0, 1, (0, 102), 0);
                s.reread(103, Reread::AtEnd { high_watermark: offset(102) });
                s.topic();
            },
            "delivered 1, duplicated 1",
        ),
    ]);
}

#[test]
fn quiet_times_ask_nothing_and_overdue_ones_ask_sparingly() {
    let mut s = Scene::new();
    s.ack(0, 100);
    s.wait(1);
    s.quiet(0);
    assert_eq!(s.ask(), Vec::<String>::new());
    assert!(!s.ledger.wants_sighting(s.now));
    let mut asked = 0;
    for _ in 0..100 {
        s.wait(1);
        asked += s.ask().len();
    }
    assert!((9..=13).contains(&asked), "{asked} in 100 s");
    let summary = s.ledger.summary(CLASS, s.now);
    assert_eq!((summary.counts.overdue, summary.counts.pending), (1, 1));
    assert_eq!(s.ledger.partitions(s.now).first().map(|p| (p.pending, p.overdue)), Some((1, 1)));
}
