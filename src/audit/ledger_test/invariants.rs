//! What holds of any ledger, however long it lives.

use super::scene::*;

const OTHER: PartitionId = PartitionId(1);

#[test]
fn a_sequence_is_given_out_once() {
    let mut s = Scene::new();
    let mut given: Vec<(Incarnation, u64)> = Vec::new();
    for block in 0..6 {
        let reserved = s.ledger.reserve(CLASS, P, 3);
        assert_eq!(reserved.clone().count(), 3);
        given.extend(reserved.clone().map(|sequence| (s.incarnation, sequence)));
        // Of some blocks all are sent, of others one or none.
        for sequence in reserved.take(block % 3 + 1).filter(|_| block != 2) {
            s.send(sequence);
        }
        if block == 3 {
            s.flush();
            s.crash();
        }
    }
    let distinct: std::collections::BTreeSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len(), "{given:?}");
}

#[test]
fn a_partition_added_at_run_time_begins_at_its_beginning() {
    let mut s = Scene::new();
    for sequence in s.ledger.reserve(CLASS, P, 5) {
        s.ack(sequence, 100 + i64::try_from(sequence).expect("small"));
        s.read(sequence, 100 + i64::try_from(sequence).expect("small"), 0);
    }
    assert_eq!(s.ledger.next_to_read(Isolation::ReadUncommitted, P), Some(offset(105)));
    assert_eq!(s.ledger.next_to_read(Isolation::ReadUncommitted, OTHER), None, "nothing of it was read");
    assert_eq!(s.ledger.reserve(CLASS, OTHER, 5), 0..5);
    let key = RecordKey { partition: OTHER, ..s.key(0) };
    s.tell(Event::Sent(key));
    s.tell(Event::Acked { key, offset: Some(Offset::ZERO), broker: None });
    let record = CanaryRecord { key, ..s.record(0) };
    s.tell(Event::Received {
        isolation: Isolation::ReadUncommitted,
        record,
        partition: OTHER,
        offset: Offset::ZERO,
        leader_epoch: LeaderEpoch::new(0),
    });
    assert_eq!(s.sums(), "delivered 6");
    assert_eq!(s.ledger.next_to_read(Isolation::ReadUncommitted, OTHER), Some(offset(1)));
}

/// All that a ledger holds, in entries.
fn held(ledger: &Ledger) -> usize {
    let lanes = ledger.lanes.values().map(|lane| {
        lane.answers.len()
            + lane.pending.len()
            + lane.unseen.len()
            + lane.links.len()
            + lane.delivered.len()
            + lane.unchecked.len()
            + lane.indeterminate.len()
            + lane.order.len()
    });
    let copies = ledger.records.values().map(|record| record.copies.len() + record.gone.len());
    let sets = [
        ledger.open.len(),
        ledger.due.len(),
        ledger.unbounded.len(),
        ledger.inquiries.len(),
        ledger.searching.len(),
        ledger.rounds.len(),
        ledger.strangers.len(),
        ledger.reservations.len(),
        ledger.incarnations.len(),
        ledger.anomalies.len(),
        ledger.outcomes.len(),
        ledger.latencies.len(),
    ];
    ledger.records.len() + sets.into_iter().sum::<usize>() + lanes.sum::<usize>() + copies.sum::<usize>()
}

#[test]
fn a_long_life_keeps_no_more_than_its_window() {
    let options = LedgerOptions { window: Duration::from_secs(60), ..LedgerOptions::default() };
    let mut s = Scene::with(options);
    let mut most = [0, 0];
    for second in 0..2_000_u64 {
        s.ledger.reserve(CLASS, P, 1);
        let at = i64::try_from(second).expect("small");
        s.ack(second, at);
        s.quiet(0);
        s.read(second, at, 0);
        if second % 10 == 0 {
            s.flush();
            drop(s.ledger.take_latencies());
        }
        let half = usize::from(second >= 1_000);
        if second >= 200 {
            most[half] = most[half].max(held(&s.ledger));
        }
    }
    assert!(most[1] <= most[0] + 4, "it grows: {most:?}");
    assert!(most[1] < 60 * 12, "{most:?}");
}
