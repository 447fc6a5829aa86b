//! Anomalies that are no loss, each with its evidence and its counter-case.

use super::scene::*;

type Shown = (&'static str, fn(&mut Scene), &'static [&'static str]);

fn run_anomalies(cases: &[Shown]) {
    for (name, play, want) in cases {
        let mut scene = Scene::new();
        play(&mut scene);
        assert_eq!(scene.anomalies(), *want, "{name}");
    }
}

#[test]
fn what_is_read_where_it_may_not_be_is_told_with_its_place() {
    run_anomalies(&[
        (
            "in order",
            |s| {
                for n in 0..3 {
                    s.ack(n, 100 + i64::try_from(n).expect("small"));
                    s.read(n, 100 + i64::try_from(n).expect("small"), 0);
                }
            },
            &[],
        ),
        (
            "an inversion names what it came behind",
            |s| {
                for (n, at) in [(0, 100), (3, 101), (1, 102), (2, 103)] {
                    s.ack(n, at);
                    s.read(n, at, 0);
                }
            },
            &["Reordered 2 idempotent in 0 at 102 103 beside idempotent 3 at 101"],
        ),
        (
            "what it came behind was read before the reader was set back",
            |s| {
                s.ack(3, 101);
                s.read(3, 101, 0);
                let isolation = Isolation::of(s.class);
                s.tell(Event::ReaderMoved { isolation, partition: P, to: offset(101) });
                s.read(3, 101, 0);
                s.ack(1, 102);
                s.read(1, 102, 0);
                s.tell(Event::ReaderMoved { isolation, partition: P, to: offset(101) });
                s.read(3, 101, 0);
                s.read(1, 102, 0);
            },
            &["Reordered 1 idempotent in 0 at 102 beside idempotent 3 at 101"],
        ),
        (
            "another class in between",
            |s| {
                s.ack(1, 100);
                s.read(1, 100, 0);
                s.class = CanaryClass::All;
                s.ack(0, 101);
                s.read(0, 101, 0);
            },
            &[],
        ),
        (
            "refused, and read",
            |s| {
                s.send(0);
                let key = s.key(0);
                s.tell(Event::Rejected { key, error: String::new() });
                s.read(0, 100, 0);
                s.read(0, 100, 0);
            },
            &["Phantom 1 idempotent in 0 at 100"],
        ),
        (
            "read, and refused",
            |s| {
                s.send(0);
                s.read(0, 100, 0);
                let key = s.key(0);
                s.tell(Event::Rejected { key, error: String::new() });
            },
            &["Phantom 1 idempotent in 0 at 100"],
        ),
        (
            "aborted, and read",
            |s| {
                s.append(0, 100);
                s.append(1, 101);
                s.read(1, 101, 0);
                s.end_transaction(&[0, 1], TransactionEnd::Aborted);
                s.read(0, 100, 0);
            },
            &["AbortedVisible 2 transactional in 0 at 100 101"],
        ),
        (
            "committed, and read",
            |s| {
                s.append(0, 100);
                s.end_transaction(&[0], TransactionEnd::Committed);
                s.read(0, 100, 0);
            },
            &[],
        ),
        (
            "our reader skipped it",
            |s| {
                s.ack(0, 100);
                s.wait(1);
                s.quiet(0);
                s.read(9, 101, 0);
                s.wait(6);
                let found = s.found(0, 0);
                s.reread(100, found);
            },
            &["ConsumerSkipped 1 idempotent in 0 at 100"],
        ),
    ]);
}

#[test]
fn a_copy_elsewhere_names_both_places() {
    let mut s = Scene::new();
    s.ack(0, 100);
    s.read(0, 100, 0);
    let record = s.record(0);
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: PartitionId(1),
        offset: offset(7),
        leader_epoch: Some(epoch(0)),
    });
    let evidence = s.ledger.anomalies().next().map(Anomaly::evidence).unwrap_or_default();
    let places = serde_json::json!([
        { "partition": 0, "offset": 100, "leader_epoch": 0 },
        { "partition": 1, "offset": 7, "leader_epoch": 0 },
    ]);
    assert_eq!(evidence["records"][0]["copies"], places);
}

#[test]
fn acknowledgements_contradict_each_other_only_within_one_term_of_one_broker() {
    run_anomalies(&[
        (
            "in order",
            |s| {
                s.ack_by(1, 0, 100);
                s.ack_by(1, 1, 101);
                s.quiet(0);
            },
            &[],
        ),
        (
            "told out of order",
            |s| {
                s.send(0);
                s.ack_by(1, 1, 101);
                let key = s.key(0);
                s.tell(Event::Acked { key, offset: Some(offset(100)), broker: Some(BrokerId(1)) });
                s.quiet(0);
            },
            &[],
        ),
        (
            "a later one at a lower offset",
            |s| {
                s.ack_by(1, 0, 100);
                s.ack_by(1, 1, 90);
                assert_eq!(s.anomalies(), Vec::<String>::new(), "their term is not known yet");
                s.quiet(0);
                s.quiet(0);
            },
            &["AckRegression 1 idempotent in 0 at 90 beside idempotent 0 at 100"],
        ),
        (
            "an earlier one, told later, at a higher offset",
            |s| {
                s.send(0);
                s.ack_by(1, 1, 90);
                let key = s.key(0);
                s.tell(Event::Acked { key, offset: Some(offset(100)), broker: Some(BrokerId(1)) });
                s.wait(1);
                s.quiet(0);
            },
            &["AckRegression 1 idempotent in 0 at 90 beside idempotent 0 at 100"],
        ),
        (
            "one offset twice",
            |s| {
                s.ack_by(1, 0, 100);
                s.ack_by(1, 1, 100);
                s.quiet(0);
            },
            &["AckRegression 1 idempotent in 0 at 100 beside idempotent 0 at 100"],
        ),
        (
            "one offset for two classes",
            |s| {
                s.ack_by(1, 0, 100);
                s.class = CanaryClass::Acks1;
                s.ack_by(1, 0, 100);
                s.quiet(0);
            },
            &["AckRegression 1 acks1 in 0 at 100 beside idempotent 0 at 100"],
        ),
        (
            "several in flight without idempotence may change places",
            |s| {
                s.class = CanaryClass::All;
                s.ack_by(1, 0, 101);
                s.ack_by(1, 1, 100);
                s.quiet(0);
            },
            &[],
        ),
        (
            "several in flight, one offset twice",
            |s| {
                s.class = CanaryClass::All;
                s.ack_by(1, 0, 100);
                s.ack_by(1, 1, 100);
                s.quiet(0);
            },
            &["AckRegression 1 all in 0 at 100 beside all 0 at 100"],
        ),
        (
            "truncated in between",
            |s| {
                s.ack_by(1, 0, 100);
                s.wait(1);
                s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
                s.ack_by(2, 1, 90);
                s.wait(1);
                s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
            },
            &[],
        ),
        (
            "a replaced leader that does not know it",
            |s| {
                s.sight(&[(1, 1, 0), (2, 2, 1), (3, 2, 1)]);
                s.ack_by(1, 0, 100);
                s.ack_by(2, 1, 90);
                s.wait(1);
                s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
            },
            &[],
        ),
        (
            "the term is never known",
            |s| {
                s.ack_by(1, 0, 100);
                s.ack_by(1, 1, 90);
                s.sight(&[(2, 1, 0), (3, 1, 0)]);
            },
            &[],
        ),
        (
            "in another life of the topic",
            |s| {
                s.ack_by(1, 0, 100);
                s.send(1);
                s.topic = TopicId([2; 16]);
                s.topic();
                let key = s.key(1);
                s.tell(Event::Acked { key, offset: Some(offset(0)), broker: Some(BrokerId(1)) });
                s.wait(1);
                s.ack_by(1, 2, 0);
                s.wait(1);
                s.quiet(0);
            },
            &[],
        ),
        (
            "the broker was still in the former life when it was sent",
            |s| {
                s.topic = TopicId([2; 16]);
                s.sight(&[(2, 1, 0), (3, 1, 0)]);
                s.ack_by(1, 0, 0);
                s.wait(1);
                s.quiet(0);
                s.ack_by(1, 1, 0);
                s.wait(1);
                s.quiet(0);
            },
            &[],
        ),
    ]);
}
