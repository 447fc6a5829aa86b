//! What an acknowledgement says, and what it does not.

use super::scene::*;

#[test]
fn an_offset_that_nobody_acknowledged_is_none() {
    let mut s = Scene::new();
    s.class = CanaryClass::Acks0;
    // librdkafka tells one of what was only written to a connection.
    s.ack(0, 100);
    s.ack(1, 101);
    s.read(1, 105, 0);
    s.wait(60);
    let asked = s.ask();
    assert!(!asked.iter().any(|question| question.starts_with("reread")), "{asked:?}");
    assert!(s.ledger.records.values().all(|record| record.offset.is_none()));
    s.class = CanaryClass::Acks1;
    s.ack(0, 200);
    let key = s.key(0);
    assert_eq!(s.ledger.records[&key].offset, Offset::new(200), "of any other class it is one");
}

#[test]
fn a_lower_offset_in_a_later_term_of_the_same_broker_is_a_truncation() {
    let mut s = Scene::new();
    s.ack_by(1, 0, 100);
    s.wait(1);
    s.quiet(0);
    s.wait(10);
    s.quiet(1);
    s.ack_by(1, 1, 90);
    s.wait(1);
    s.quiet(1);
    assert_eq!(s.anomalies(), Vec::<String>::new());
    s.ack_by(1, 2, 80);
    s.wait(1);
    s.quiet(1);
    assert_eq!(s.anomalies(), ["AckRegression 1 idempotent in 1 at 80 beside idempotent 1 at 90"]);
}
