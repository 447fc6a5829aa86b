//! Buckets by send time: what is counted where, when a bucket is final, and what is a correction.

use super::scene::*;

/// The counts of a bucket that are not 0, without `sent`.
fn shown(scene: &Scene, sent: Timestamp) -> String {
    let bucket = serde_json::to_value(scene.ledger.bucket(CLASS, sent)).expect("numbers are JSON");
    let object = bucket.as_object().expect("an object");
    let counts = object.iter().filter(|(word, _)| word.as_str() != "sent");
    counts.map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>().join(", ")
}

/// On the full minute, so that waiting for seconds stays in it.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.now.wall = Timestamp::from_millis(60_000 * 1_000);
    scene
}

#[test]
fn a_record_is_counted_in_the_minute_it_was_sent_in() {
    type Play = fn(&mut Scene);
    let cases: [(&str, Play, &str); 14] = [
        ("in flight", |s| s.send(0), "in_flight 1"),
        ("pending", |s| s.ack(0, 100), "acked 1, acked_in_time 1, pending 1"),
        (
            "delivered two minutes after",
            |s| {
                s.ack(0, 100);
                s.wait(120);
                s.read(0, 100, 0);
            },
            "acked 1, acked_in_time 1, late 1, received 1",
        ),
        (
            "acknowledged late",
            |s| {
                s.send(0);
                s.wait(11);
                let key = s.key(0);
                s.tell(Event::Acked { key, offset: Offset::new(100), broker: None });
                s.read(0, 100, 0);
            },
            "acked 1, delivered 1, received 1",
        ),
        (
            "read before its ack",
            |s| {
                s.send(0);
                s.read(0, 100, 0);
                let key = s.key(0);
                s.tell(Event::Acked { key, offset: Offset::new(100), broker: None });
            },
            "acked 1, acked_in_time 1, delivered 1, received 1",
        ),
        (
            "refused, and read",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Rejected { key, error: String::new() });
                s.read(0, 100, 0);
            },
            "phantom 1, received 1, rejected 1",
        ),
        (
            "timed out, and read",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Indeterminate { key, error: String::new() });
                s.read(0, 100, 0);
            },
            "indeterminate 1, received 1",
        ),
        (
            "twice",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.read(0, 101, 0);
            },
            "acked 1, acked_in_time 1, delivered 1, duplicated 1, received 1",
        ),
        (
            "lost",
            |s| {
                after_election(s, 1);
                s.end(0, 1, (0, 100), 0);
                s.wait(1);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "acked 1, acked_in_time 1, lost 1",
        ),
        (
            "lost, and read again",
            |s| {
                after_election(s, 1);
                s.end(0, 1, (0, 100), 0);
                s.wait(1);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
                s.read(0, 100, 0);
            },
            "acked 1, acked_in_time 1, lost 1, resurfaced 1",
        ),
        (
            "out of order",
            |s| {
                s.ack(0, 101);
                s.ack(1, 100);
                s.read(1, 100, 0);
                s.read(0, 101, 0);
            },
            "acked 2, acked_in_time 2, delivered 2, received 2, reordered 1",
        ),
        (
            "sent and not known of when the process was killed",
            |s| {
                s.ledger.reserve(CLASS, P, 1);
                s.flush();
                s.crash();
            },
            "ack_unmeasured 1, indeterminate 1",
        ),
        (
            "in flight when the process was killed",
            |s| {
                s.send(0);
                s.flush();
                s.crash();
            },
            "ack_unmeasured 1, indeterminate 1",
        ),
        (
            "pending when the process was killed, and late because of it",
            |s| {
                s.ack(0, 100);
                s.flush();
                let record = s.record(0);
                s.crash();
                s.wait(600);
                s.tell(Event::Received {
                    record,
                    isolation: Isolation::of(CLASS),
                    partition: P,
                    offset: offset(100),
                    leader_epoch: None,
                });
            },
            "acked 1, acked_in_time 1, late 1, receipt_unmeasured 1, received 1",
        ),
    ];
    for (name, play, want) in cases {
        let mut scene = scene();
        let sent = scene.now.wall;
        play(&mut scene);
        assert_eq!(shown(&scene, sent), want, "{name}");
    }
}

#[test]
fn what_moves_in_a_final_bucket_is_a_correction() {
    type Play = fn(&mut Scene);
    /// Read and judged; then the minute ends.
    fn delivered(s: &mut Scene) {
        s.ack(0, 100);
        s.read(0, 100, 0);
        s.wait(60);
    }
    let cases: [(&str, Play, &[&str]); 6] = [
        ("none", delivered, &[]),
        (
            "a copy within the minute",
            |s| {
                s.ack(0, 100);
                s.read(0, 100, 0);
                s.read(0, 101, 0);
            },
            &[],
        ),
        (
            "a copy after it",
            |s| {
                delivered(s);
                s.read(0, 101, 0);
            },
            &["delivered → duplicated × 1"],
        ),
        (
            "two copies after it, while another is pending",
            |s| {
                s.ack(1, 200);
                delivered(s);
                s.read(0, 101, 0);
                s.read(0, 102, 0);
            },
            &[],
        ),
        (
            "its first receipt",
            |s| {
                s.ack(0, 100);
                s.wait(60);
                s.read(0, 100, 0);
            },
            &[],
        ),
        (
            "two truncated after delivery",
            |s| {
                s.ack(0, 100);
                s.ack(1, 101);
                s.read(0, 100, 0);
                s.read(1, 101, 0);
                s.wait(60);
                s.sight(&[(2, 1, 0), (3, 1, 0)]);
                s.wait(9);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.end(0, 1, (0, 100), 0);
                s.wait(1);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            &["delivered → truncated_after_delivery × 2"],
        ),
    ];
    for (name, play, want) in cases {
        let mut scene = scene();
        play(&mut scene);
        assert_eq!(scene.ledger.corrections_in_words(), want, "{name}");
        scene.flush();
        let before = scene.ledger.corrections_in_words();
        scene.crash();
        assert_eq!(scene.ledger.corrections_in_words(), before, "{name}: kept over a restart");
    }
}

#[test]
fn what_is_open_for_days_moves_in_the_sum_of_its_day() {
    let mut s = scene();
    let sent = s.now.wall;
    s.ack(0, 100);
    s.ack(1, 101);
    s.flush();
    s.wait(4 * 24 * 3_600);
    s.ledger.look(s.now);
    assert_eq!(shown(&s, sent), "acked 2, acked_in_time 2, minutes 1, pending 2");
    s.flush();
    s.read(0, 100, 0);
    assert_eq!(shown(&s, sent), "acked 2, acked_in_time 2, late 1, minutes 1, pending 1, received 1");
    s.flush();
    s.crash();
    s.ledger.check_rates().expect("also after a restart");
    assert_eq!(shown(&s, sent), "acked 2, acked_in_time 2, late 1, minutes 1, pending 1, received 1");
    assert_eq!(s.saved.buckets.len(), 1, "the minute's row is gone: {:?}", s.saved.buckets);
}

#[test]
fn corrections_are_only_ever_added() {
    let mut s = scene();
    s.ack(0, 100);
    s.read(0, 100, 0);
    s.wait(60);
    for copy in 1..4 {
        s.read(0, 100 + copy, 0);
        s.flush();
    }
    let numbers = |s: &Scene| s.saved.corrections.iter().map(|one| (one.number, one.records)).collect::<Vec<_>>();
    assert_eq!(numbers(&s), [(0, 1), (1, 1), (2, 1)]);
    s.crash();
    s.read(0, 110, 0);
    s.flush();
    // Of another incarnation: not ours by now.
    assert_eq!(numbers(&s).len(), 3);
}

#[test]
fn a_set_clock_leaves_a_note_and_an_adjusted_one_does_not() {
    for (name, moved, want) in
        [("adjusted", 900, None), ("set ahead", 5_000, Some(5_000)), ("set back", -5_000, Some(-5_000))]
    {
        let mut s = scene();
        s.wait(30);
        s.ack(0, 100);
        s.now.wall = Timestamp::from_millis(s.now.wall.as_millis() + moved);
        s.ledger.look(s.now);
        assert_eq!(s.ledger.bucket(CLASS, s.now.wall).clock_moved_millis, want, "{name}");
    }
}

#[test]
fn a_process_that_stood_still_blames_nobody() {
    for (name, gap, want) in [
        ("it stood still", 40, "acked 1, acked_in_time 1, late 1, receipt_unmeasured 1, received 1"),
        ("it looked on", 1, "acked 1, acked_in_time 1, late 1, received 1"),
    ] {
        let mut s = scene();
        let sent = s.now.wall;
        s.ack(0, 100);
        for _ in 0..40 / gap {
            s.wait(gap);
            s.ledger.look(s.now);
        }
        s.read(0, 100, 0);
        let looked = shown(&s, sent);
        if gap == 40 {
            // The first look is the first ever: only the next gap is one.
            s = scene();
            s.ledger.look(s.now);
            s.ack(0, 100);
            s.wait(gap);
            s.ledger.look(s.now);
            s.read(0, 100, 0);
            assert_eq!(shown(&s, sent), want, "{name}");
        } else {
            assert_eq!(looked, want, "{name}");
        }
    }
}

#[test]
fn a_ledger_from_before_buckets_is_counted_by_what_is_tracked() {
    let mut s = Scene::with(LedgerOptions { window: Duration::from_secs(300), ..LedgerOptions::default() });
    s.now.wall = Timestamp::from_millis(60_000 * 1_000);
    for sequence in 0..5 {
        s.ack(sequence, 100 + i64::try_from(sequence).expect("small"));
        s.read(sequence, 100 + i64::try_from(sequence).expect("small"), 0);
    }
    s.wait(400);
    s.ack(5, 105);
    let sent = s.now.wall;
    s.flush();
    s.saved.buckets.clear();
    s.crash();
    s.ledger.check_rates().expect("the older ones are in the last bucket");
    assert_eq!(shown(&s, sent), "acked 1, acked_in_time 1, pending 1");
    let record = CanaryRecord { key: RecordKey { incarnation: Incarnation(1), ..s.key(5) }, ..s.record(5) };
    s.tell(Event::Received {
        record,
        isolation: Isolation::of(CLASS),
        partition: P,
        offset: offset(105),
        leader_epoch: None,
    });
    assert_eq!(shown(&s, sent), "acked 1, acked_in_time 1, delivered 1, received 1");
}
