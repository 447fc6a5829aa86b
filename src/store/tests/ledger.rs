use super::*;
use crate::audit::{
    Anomaly, AnomalyKey, AnomalyKind, Bracket, Bucket, BucketRow, CanaryClass, ClassRow, Copy, Correction, Counts,
    Incarnation, IncarnationRow, Isolation, LedgerChanges, PartitionRow, RecordKey, RecordRow, ReservationRow,
    SavedLedger, Span, State, Tally,
};
use crate::model::{LeaderEpoch, Offset, PartitionId, TopicId};

/// More than a signed number can hold.
const INCARNATION: Incarnation = Incarnation(u64::MAX - 5);

fn record(sequence: u64, state: State) -> RecordRow {
    let offset = Offset::new(40);
    RecordRow {
        key: RecordKey { incarnation: INCARNATION, class: CanaryClass::Acks1, partition: PartitionId(2), sequence },
        state,
        sent_at: T0,
        acked_at: Some(T0),
        received_at: None,
        offset,
        broker: None,
        bracket: Bracket { low: LeaderEpoch::new(3), high: None },
        copies: offset
            .map(|offset| Copy { partition: PartitionId(2), offset, leader_epoch: LeaderEpoch::new(3) })
            .into_iter()
            .collect(),
        on_time: Some(true),
        settled_at: None,
        of_former_topic: false,
        resurfaced: false,
        is_observed: false,
        floor: None,
        read_of: None,
    }
}

fn anomaly() -> Anomaly {
    let key = AnomalyKey {
        kind: AnomalyKind::Lost,
        class: CanaryClass::Acks1,
        partition: PartitionId(2),
        topic_id: Some(TopicId([9; 16])),
        leader_epoch: LeaderEpoch::new(3),
    };
    Anomaly {
        key,
        count: 2,
        offsets: [40, 41].into_iter().filter_map(Offset::new).collect(),
        log_end: Offset::new(40),
        records: Vec::new(),
        resurfaced: 0,
        first_at: T0,
        last_at: T0,
    }
}

fn bucket(span: Span) -> BucketRow {
    let tally = Tally { sent: 60, acked: 59, in_flight: 1, ..Tally::default() };
    BucketRow { class: CanaryClass::Acks1, span, bucket: Bucket { tally, clock_moved_millis: Some(-1_500) } }
}

fn correction(number: u64) -> Correction {
    let (from, to) = ("delivered".to_owned(), "duplicated".to_owned());
    Correction { number, class: CanaryClass::Acks1, bucket: T0, at: T0, from, to, records: 3 }
}

fn changes() -> LedgerChanges {
    LedgerChanges {
        records: (0..1_200).map(|sequence| record(sequence, State::Sent)).collect(),
        classes: vec![ClassRow {
            class: CanaryClass::Acks1,
            since: T0,
            counts: Counts { sent: 1_200, ..Counts::default() },
        }],
        partitions: vec![PartitionRow {
            confirmed_at: Some(T0),
            isolation: Isolation::ReadCommitted,
            partition: PartitionId(2),
            frontier: Offset::new(41),
            leader_epoch: LeaderEpoch::new(3),
        }],
        reservations: vec![ReservationRow {
            incarnation: INCARNATION,
            class: CanaryClass::Acks1,
            partition: PartitionId(2),
            sent_below: 1_200,
            reserved_below: 2_000,
        }],
        incarnations: vec![IncarnationRow { incarnation: INCARNATION, started_at: T0 }],
        anomalies: vec![anomaly()],
        topic_id: Some(TopicId([9; 16])),
        buckets: vec![bucket(Span::Day(20_000)), bucket(Span::Minute(28_800_001)), bucket(Span::Older)],
        corrections: vec![correction(0), correction(1)],
        former_topics: vec![TopicId([7; 16])],
        ..LedgerChanges::default()
    }
}

#[tokio::test]
async fn the_ledger_is_read_as_it_was_written() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let (main, other) = ("main".into(), "other".into());
    let written = changes();
    store.commit_ledger(&main, Arc::new(written.clone())).await.expect("there is room");
    store.close().await;

    let store = open(data.path()).await;
    let saved = store.saved_ledger(&main).await.expect("a read");
    let want = SavedLedger {
        records: written.records,
        classes: written.classes,
        partitions: written.partitions,
        reservations: written.reservations,
        incarnations: written.incarnations,
        anomalies: written.anomalies,
        topic_id: written.topic_id,
        buckets: written.buckets,
        corrections: written.corrections,
        former_topics: written.former_topics,
    };
    assert_eq!(saved, want);
    assert_eq!(store.saved_ledger(&other).await.expect("a read"), SavedLedger::default());

    let later = LedgerChanges {
        records: vec![record(1, State::Delivered)],
        removed_records: (2..1_200).map(|sequence| record(sequence, State::Sent).key).collect(),
        removed_incarnations: vec![INCARNATION],
        removed_anomalies: vec![anomaly().key],
        buckets: vec![bucket(Span::Minute(28_800_002))],
        removed_buckets: vec![(CanaryClass::Acks1, Span::Minute(28_800_001))],
        corrections: vec![correction(2)],
        ..LedgerChanges::default()
    };
    // Twice: whoever got an error tries the same again.
    for _ in 0..2 {
        store.commit_ledger(&main, Arc::new(later.clone())).await.expect("there is room");
    }
    let saved = store.saved_ledger(&main).await.expect("a read");
    assert_eq!(saved.records, vec![record(0, State::Sent), record(1, State::Delivered)]);
    assert_eq!((saved.reservations, saved.incarnations, saved.anomalies), (Vec::new(), Vec::new(), Vec::new()));
    assert_eq!(saved.classes, want.classes);
    let spans: Vec<Span> = saved.buckets.iter().map(|row| row.span).collect();
    assert_eq!(spans, [Span::Day(20_000), Span::Minute(28_800_002), Span::Older]);
    assert_eq!(saved.corrections, [correction(0), correction(1), correction(2)]);
    store.close().await;
}

#[tokio::test]
async fn a_full_ledger_says_so_to_the_canary_and_keeps_the_rest() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    store.limits[1].send_replace(Some(1));
    let refused = store.commit_ledger(&"main".into(), Arc::new(changes())).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    store.offer(told("f1"));
    store.limits[1].send_replace(None);
    store.commit_ledger(&"main".into(), Arc::new(changes())).await.expect("there is room");
    assert_eq!(store.saved_ledger(&"main".into()).await.expect("a read").records.len(), 1_200);
    assert_eq!(store.findings_to_restore(0).await.expect("a read").len(), 1);
    store.close().await;
}
