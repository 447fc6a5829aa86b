//! When a loss is stated, and with which evidence.

use super::scene::*;

/// What was acknowledged at offset 100 in term 3 is of term 2 there, says the leader of term 5.
fn term_vanished(s: &mut Scene) {
    s.quiet(3);
    s.ack(0, 100);
    s.wait(1);
    s.sight(&[(2, 1, 3), (3, 1, 3)]);
    s.wait(9);
    s.sight(&[(2, 2, 5), (3, 2, 5)]);
    s.end(4, 5, (2, 140), 0);
}

#[test]
fn a_truncated_ack_is_lost_only_by_proof_reread_and_topic() {
    run(&[
        (
            "the leader died, all is there",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 103), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "pending 3",
        ),
        (
            "one answer proves it, nobody re-read",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 102), 0);
                s.topic();
            },
            "pending 3",
        ),
        (
            "re-read, but the topic was not seen since",
            |s| {
                after_election(s, 3);
                s.wait(1);
                s.end(0, 1, (0, 102), 0);
                s.reread(102, Reread::AtEnd { high_watermark: offset(102) });
            },
            "pending 3",
        ),
        (
            "proven",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 102), 0);
                s.reread(102, Reread::AtEnd { high_watermark: offset(102) });
                s.topic();
            },
            "lost 1, pending 2",
        ),
        (
            "one re-read at the end answers for all behind it",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 101), 0);
                s.reread(101, Reread::AtEnd { high_watermark: offset(101) });
                s.topic();
            },
            "lost 2, pending 1",
        ),
        (
            "a fresh connection finds it",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 102), 0);
                let found = s.found(2, 0);
                s.reread(102, found);
                s.topic();
            },
            "pending 3",
        ),
        (
            "-1 proves nothing",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (-1, 0), 0);
                s.reread(102, Reread::AtEnd { high_watermark: offset(0) });
                s.topic();
            },
            "pending 3",
        ),
        (
            "a zombie of the old term",
            |s| {
                after_election(s, 3);
                s.sight(&[(1, 1, 0), (2, 2, 1), (3, 2, 1)]);
                s.end_by(1, (0, 0), (0, 50), 0);
                s.reread(102, Reread::AtEnd { high_watermark: offset(50) });
                s.topic();
            },
            "pending 3",
        ),
        (
            "the end lies before it, but so does the log start lie behind it",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 102), 110);
                s.topic();
            },
            "expired 3",
        ),
        (
            "trimmed between the answer and the re-read",
            |s| {
                after_election(s, 3);
                s.end(0, 1, (0, 102), 0);
                s.wait(1);
                s.reread(102, Reread::BelowLogStart { log_start: offset(110) });
                s.topic();
                assert_eq!(s.sums(), "pending 3");
                s.end(0, 1, (0, 102), 110);
            },
            "expired 3",
        ),
        (
            "its term vanished, its offsets were used again",
            |s| {
                term_vanished(s);
                let other = s.found(77, 2);
                s.reread(100, other);
                s.end(2, 5, (2, 140), 0);
                s.end(1, 5, (1, 90), 0);
                s.topic();
            },
            "lost 1",
        ),
        (
            "a replaced leader may have written it in an older term, and an isolated broker shows its own log",
            |s| {
                term_vanished(s);
                let other = s.found(77, 1);
                s.reread(100, other);
                s.end(2, 5, (2, 140), 0);
                s.end(1, 5, (1, 90), 0);
                s.end(0, 5, (0, 20), 0);
                s.topic();
            },
            "pending 1",
        ),
        (
            "no re-read is ever answered",
            |s| {
                after_election(s, 1);
                s.end(0, 1, (0, 100), 0);
                for _ in 0..3 {
                    s.wait(1);
                    s.reread(100, Reread::Failed { why: "refused".into() });
                }
                s.topic();
            },
            "lost 1",
        ),
        (
            "no re-read is answered, twice only",
            |s| {
                after_election(s, 1);
                s.end(0, 1, (0, 100), 0);
                for _ in 0..2 {
                    s.wait(1);
                    s.reread(100, Reread::Failed { why: "refused".into() });
                }
                s.topic();
            },
            "pending 1",
        ),
        (
            "the log start could not be read",
            |s| {
                after_election(s, 1);
                let (now, broker) = (s.now, BrokerId(s.leader()));
                s.tell(Event::EpochEndTold {
                    broker,
                    partition: P,
                    asked: epoch(0),
                    current: epoch(1),
                    begun: now,
                    end: Reading::Read(Some(EpochEnd { leader_epoch: epoch(0), end_offset: offset(50) })),
                    log_start: Reading::Missing(Missing::LeaderMoving),
                });
                s.reread(100, Reread::AtEnd { high_watermark: offset(50) });
                s.topic();
            },
            "pending 1",
        ),
        (
            "asked before the ack",
            |s| {
                let before = s.now;
                s.wait(1);
                after_election(s, 1);
                let broker = BrokerId(s.leader());
                s.tell(Event::EpochEndTold {
                    broker,
                    partition: P,
                    asked: epoch(0),
                    current: epoch(1),
                    begun: before,
                    end: Reading::Read(Some(EpochEnd { leader_epoch: epoch(0), end_offset: offset(50) })),
                    log_start: Reading::Read(offset(0)),
                });
                s.reread(100, Reread::AtEnd { high_watermark: offset(50) });
                s.topic();
            },
            "pending 1",
        ),
        (
            "the acknowledging broker may know a later term",
            |s| {
                s.ack(0, 100);
                s.wait(9);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.end(0, 1, (0, 100), 0);
                s.end(1, 1, (1, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "pending 1",
        ),
        (
            "lost, and an old log comes back",
            |s| {
                after_election(s, 1);
                s.end(0, 1, (0, 100), 0);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
                s.read(0, 100, 0);
                s.read(0, 100, 0);
            },
            "lost 1, reread 1, resurfaced 1",
        ),
    ]);
}

#[test]
fn the_anomaly_holds_the_evidence_and_survives_a_restart() {
    let mut s = Scene::new();
    s.ledger.reserve(CLASS, P, 3);
    after_election(&mut s, 3);
    s.end(0, 1, (0, 101), 0);
    s.end(1, 1, (1, 101), 0);
    s.reread(101, Reread::AtEnd { high_watermark: offset(101) });
    s.topic();
    s.flush();
    s.crash();
    let anomalies: Vec<&Anomaly> = s.ledger.anomalies().collect();
    let [anomaly] = anomalies.as_slice() else { panic!("one anomaly, not {anomalies:?}") };
    assert_eq!((anomaly.key.kind, anomaly.count, anomaly.key.leader_epoch), (AnomalyKind::Lost, 2, Some(epoch(0))));
    let evidence = anomaly.evidence();
    assert_eq!(evidence["lost_offsets"], serde_json::json!([101, 102]));
    assert_eq!(evidence["offset"], 101);
    assert_eq!(evidence["leader_epoch"], 0);
    assert_eq!(evidence["log_end"], 101);
    assert_eq!(evidence["records"][0]["epoch_answer"]["end"]["end_offset"], 101);
    assert_eq!(evidence["records"][0]["bracket"], serde_json::json!({"low": 0, "high": 0}));
    assert_eq!(evidence["records"][0]["reread"], serde_json::json!({"at_end": {"high_watermark": 101}}));
    assert_eq!(s.ledger.next_to_read(Isolation::ReadUncommitted, P), None);
}

#[test]
fn only_the_broker_that_answers_has_to_confirm_the_topic() {
    /// Acknowledged and bounded; one second later its leader is dead, and broker 2 leads and has been sighted.
    fn dead(s: &mut Scene) {
        s.ack(0, 100);
        s.wait(5);
        s.quiet(0);
        s.wait(1);
        s.sight(&[(2, 2, 1), (3, 2, 1)]);
        s.wait(1);
    }
    fn told(s: &mut Scene) {
        s.end(0, 1, (0, 100), 0);
        s.wait(1);
        s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
    }
    run(&[
        (
            "the leader died one second ago, the new one answers and confirms",
            |s| {
                dead(s);
                told(s);
                assert!(s.ledger.wants_sighting(s.now));
                s.sight(&[(2, 2, 1)]);
            },
            "lost 1",
        ),
        (
            "another broker confirms",
            |s| {
                dead(s);
                told(s);
                s.sight(&[(3, 2, 1)]);
                assert!(s.ledger.wants_sighting(s.now));
            },
            "pending 1",
        ),
        (
            "it confirmed before it answered",
            |s| {
                dead(s);
                s.sight(&[(2, 2, 1)]);
                s.wait(1);
                told(s);
            },
            "pending 1",
        ),
        (
            "it had never been sighted",
            |s| {
                s.ack(0, 100);
                s.wait(5);
                s.quiet(0);
                s.wait(1);
                s.sight(&[(2, 4, 1), (3, 4, 1)]);
                assert_eq!(s.ask(), ["ends of 0 1 from 1"]);
                s.end(0, 1, (0, 100), 0);
                assert!(s.ledger.wants_sighting(s.now));
                s.sight(&[(2, 4, 1), (3, 4, 1), (4, 4, 1)]);
                assert_eq!(s.ask(), ["ends of 0 1 from 1"], "asked again at once");
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.topic();
            },
            "pending 1",
        ),
        (
            "a broker that is silent by now named another life",
            |s| {
                s.ack(0, 100);
                s.wait(5);
                s.quiet(0);
                let own = std::mem::replace(&mut s.topic, TopicId([9; 16]));
                s.sight(&[(4, 4, 1)]);
                s.topic = own;
                s.wait(1);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.wait(6);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.wait(1);
                s.sight(&[(2, 2, 1), (3, 2, 1)]);
                s.wait(1);
                told(s);
                s.wait(1);
                s.topic();
            },
            "pending 1",
        ),
        (
            "it was still in a former life when it was asked",
            |s| {
                s.ack(0, 100);
                s.wait(5);
                s.quiet(0);
                s.wait(1);
                let own = std::mem::replace(&mut s.topic, TopicId([9; 16]));
                s.sight(&[(4, 2, 1)]);
                s.topic = own;
                s.sight(&[(2, 4, 1), (3, 4, 1)]);
                s.wait(1);
                told(s);
                s.wait(1);
                s.sight(&[(2, 4, 1), (3, 4, 1), (4, 4, 1)]);
                s.reread(100, Reread::AtEnd { high_watermark: offset(100) });
                s.wait(1);
                s.topic();
            },
            "pending 1",
        ),
    ]);
}

#[test]
fn a_reader_in_a_truncated_log_has_skipped_nothing_of_the_next_one() {
    let mut s = Scene::new();
    after_election(&mut s, 3);
    s.read(0, 100, 0);
    s.read(1, 101, 0);
    s.read(2, 102, 0);
    s.ack(5, 101);
    s.wait(6);
    let found = s.found(5, 1);
    s.reread(101, found);
    assert_eq!((s.ledger.consumer_skipped(), s.anomalies()), (0, Vec::new()));
    s.read(5, 101, 1);
    assert!(!s.anomalies().iter().any(|one| one.starts_with("Duplicated")), "{:?}", s.anomalies());
}
