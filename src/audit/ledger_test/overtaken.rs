//! What was shown too soon: before the acknowledgement, or by a broker of whom nobody knows in which life it is.

use super::scene::*;

#[test]
fn what_a_fresh_connection_showed_before_the_ack_is_no_sign_of_absence() {
    let mut s = Scene::new();
    s.class = CanaryClass::Acks0;
    s.link(1);
    s.ack(0, -1);
    s.read(0, 100, 0);
    s.ack(1, -1);
    s.send(2);
    s.ack(3, -1);
    s.read(3, 103, 0);
    s.wait(1);
    s.link(1);
    s.wait(5);
    assert_eq!(s.ask(), ["ends of 0 from 0", "reread 101", "reread 102"]);
    // 1 is searched for, 2 is not yet, and our reader had skipped it.
    let (other, skipped) = (s.found(77, 0), s.found(2, 0));
    s.reread(101, other);
    s.reread(102, skipped.clone());
    s.wait(1);
    s.topic();
    assert_eq!(s.sums(), "delivered 2, in_flight 1, lost 1, unacknowledged 3");
    let key = s.key(2);
    s.tell(Event::Acked { key, offset: None, broker: None });
    s.wait(6);
    s.link(1);
    assert_eq!(s.ask(), ["ends of 0 from 0", "reread 102"]);
    s.wait(1);
    s.topic();
    assert_eq!(s.sums(), "delivered 2, lost 1, pending 1, unacknowledged 4");
    s.reread(102, skipped);
    assert_eq!(s.sums(), "delivered 3, lost 1, unacknowledged 4");
}

#[test]
fn what_was_read_in_an_older_term_than_was_known_waits_for_every_broker() {
    let mut s = Scene::new();
    s.sight(&[(1, 1, 0), (2, 2, 1), (3, 2, 1)]);
    s.send(0);
    // By broker 1, which was replaced; or it is in another life of the topic already, and no answer tells yet.
    s.read(0, 100, 0);
    let key = s.key(0);
    s.tell(Event::Acked { key, offset: Offset::new(100), broker: Some(BrokerId(1)) });
    s.wait(1);
    s.sight(&[(2, 2, 1), (3, 2, 1)]);
    s.end_by(2, (0, 1), (0, 100), 0);
    let other = s.found(77, 1);
    s.wait(1);
    s.reread(100, other);
    for _ in 0..3 {
        s.wait(1);
        s.topic();
    }
    assert_eq!(s.sums(), "delivered 1", "broker 1 is silent");
    s.sight(&[(1, 2, 1), (2, 2, 1), (3, 2, 1)]);
    assert_eq!(s.sums(), "truncated_after_delivery 1");
}

#[test]
fn an_answer_from_before_the_record_was_found_counts_no_more() {
    let mut s = Scene::new();
    after_election(&mut s, 3);
    s.end(0, 1, (0, 102), 0);
    assert!(s.ask().contains(&"reread 102".to_owned()));
    s.wait(1);
    let found = s.found(2, 0);
    s.reread(102, found);
    s.wait(20);
    // Another answer lets all answers be held against the record again.
    s.end(1, 1, (1, 110), 0);
    assert!(!s.ask().contains(&"reread 102".to_owned()), "it stands, and the answer is of before");
    s.end(0, 1, (0, 102), 0);
    assert!(s.ask().contains(&"reread 102".to_owned()), "cut off since");
}
