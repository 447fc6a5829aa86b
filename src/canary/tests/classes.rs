//! What the classes have of their own.

use super::*;
use crate::audit::TransactionEnd;

#[tokio::test]
async fn each_level_of_acknowledgement_tells_who_acknowledged_and_where() {
    for class in [CanaryClass::Acks1, CanaryClass::All] {
        let mut bench = start_classes(mock(3, 1), &[class], from_log_start(1), 64);
        bench.mock.partition_leader(TOPIC, 0, Some(2)).expect("a leader");
        for sequence in 0..3 {
            bench.canary.send(&record_of(class, 0, sequence)).await.expect("taken");
            let acked = bench.until(|event| matches!(event, Event::Acked { .. }).then(|| event.clone())).await;
            let Event::Acked { key, offset: Some(_), broker: Some(_) } = acked else { panic!("{class}: {acked:?}") };
            assert_eq!(key, record_of(class, 0, sequence).key);
        }
        assert_eq!(bench.canary.standstills(), BTreeMap::new());
    }
}

#[tokio::test]
async fn a_retry_of_class_all_is_overtaken_by_its_neighbours() {
    let mut bench = start_classes(mock(1, 1), &[CanaryClass::All], from_log_start(1), 64);
    let record = |sequence| record_of(CanaryClass::All, 0, sequence);
    assert_eq!(bench.acked(&record(0)).await, offset(0));
    bench.mock.broker_round_trip_time(1, Duration::from_millis(400)).expect("slow");
    bench.mock.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT]);
    // 50 a second, as the canary sends.
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for sequence in 1..6 {
        ticks.tick().await;
        bench.canary.send(&record(sequence)).await.expect("taken");
    }
    let mut order = Vec::new();
    while order.len() < 6 {
        if let Event::Received { record, .. } = bench.event().await {
            order.push(record.key.sequence);
        }
    }
    // All five were under way at once, each for itself: the first came to nothing, and was tried again behind the others.
    assert_eq!(order, [0, 2, 3, 4, 5, 1]);
}

#[tokio::test]
async fn what_nobody_acknowledges_is_told_without_a_place_and_with_its_link() {
    let mut bench = start_classes(mock(2, 1), &[CanaryClass::Acks0], from_log_start(1), 64);
    bench.mock.partition_leader(TOPIC, 0, Some(1)).expect("a leader");
    let record = |sequence| record_of(CanaryClass::Acks0, 0, sequence);
    bench.canary.send(&record(0)).await.expect("taken");
    let acked = bench.until(|event| matches!(event, Event::Acked { .. }).then(|| event.clone())).await;
    assert_eq!(acked, Event::Acked { key: record(0).key, offset: None, broker: None });
    let link = |event: &Event| if let Event::LinkSighted { link: Some(link), .. } = event { Some(*link) } else { None };
    let first = bench.until(link).await;
    assert_eq!(bench.until(link).await, first, "nothing happened");
    bench.mock.broker_down(1).expect("down");
    bench.mock.broker_up(1).expect("up");
    // Connections are made when there is something to send.
    let second = timeout(LONG, async {
        for sequence in 1.. {
            bench.canary.send(&record(sequence)).await.expect("taken");
            tokio::time::sleep(Duration::from_millis(20)).await;
            while let Ok((event, _)) = bench.events.try_recv() {
                if let Some(now) = link(&event).filter(|now| *now != first) {
                    return now;
                }
            }
        }
        first
    });
    assert!(second.await.expect("another number") > first);
}

/// What is told of the first transactions, in their order: the sequences of each, and how it ended.
async fn endings(bench: &mut Bench, count: usize) -> Vec<(Vec<u64>, TransactionEnd)> {
    let (mut sequence, mut sent, mut outcomes) = (0, BTreeSet::new(), BTreeSet::new());
    let mut endings = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let all = async {
        while endings.len() < count {
            tokio::select! {
                _ = ticks.tick() => {
                    if bench.canary.send(&record_of(CanaryClass::Transactional, 0, sequence)).await.is_ok() {
                        sequence += 1;
                    }
                }
                Some((event, _)) = bench.events.recv() => {
                    if let Event::Sent(key) = event {
                        assert!(sent.insert(key), "{key:?}");
                    } else if let Event::Acked { key, offset, .. } = event {
                        assert!(offset.is_some() && sent.contains(&key) && outcomes.insert(key), "{key:?}");
                    } else if let Event::TransactionEnded { records, end } = event {
                        assert!(records.iter().all(|key| outcomes.contains(key)), "{records:?}");
                        endings.push((records.iter().map(|key| key.sequence).collect(), end));
                    } else {
                        panic!("unexpected: {event:?}");
                    }
                }
            }
        }
    };
    timeout(LONG, all).await.expect("in time");
    endings
}

#[tokio::test]
async fn transactions_are_committed_aborted_and_abandoned_by_their_number() {
    use TransactionEnd::{Aborted, Committed};
    let mut bench = start_classes(mock(1, 1), &[CanaryClass::Transactional], Vec::new(), 64);
    let endings = endings(&mut bench, 7).await;
    let how: Vec<TransactionEnd> = endings.iter().map(|(_, end)| *end).collect();
    // The third is aborted on purpose, the fifth when the next client has its producer id, the sixth on purpose.
    assert_eq!(how, [Committed, Committed, Aborted, Committed, Aborted, Aborted, Committed]);
    let sequences: Vec<u64> = endings.into_iter().flat_map(|(sequences, _)| sequences).collect();
    assert!(sequences.iter().copied().eq((0..).take(sequences.len())), "each once, in order: {sequences:?}");
    assert_eq!(bench.canary.standstills(), BTreeMap::new());
}

#[tokio::test]
async fn a_fence_stops_the_class_for_good() {
    let mut bench = start_classes(mock(1, 1), &[CanaryClass::Transactional], Vec::new(), 64);
    endings(&mut bench, 1).await;
    bench.mock.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    let mut ends = Vec::new();
    let is_fenced = async {
        for sequence in 1_000.. {
            // Refused at last.
            bench.canary.send(&record_of(CanaryClass::Transactional, 0, sequence)).await.ok();
            tokio::time::sleep(Duration::from_millis(5)).await;
            while let Ok((event, _)) = bench.events.try_recv() {
                if let Event::TransactionEnded { end, .. } = event {
                    ends.push(end);
                }
            }
            if let Some(Standstill::Fenced { why }) = bench.canary.standstills().remove(&CanaryClass::Transactional) {
                return why;
            }
        }
        String::new()
    };
    let why = timeout(LONG, is_fenced).await.expect("it is fenced");
    assert!(why.to_lowercase().contains("fenced"), "{why}");
    assert_eq!(ends.last(), Some(&TransactionEnd::Unknown), "a commit was asked for");
    let refused = bench.canary.send(&record_of(CanaryClass::Transactional, 0, 9_999)).await;
    assert_eq!(refused, Err(SendRefused::NotRunning));
    bench.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_commit_nobody_answers_is_unknown_and_no_other_class_waits_for_it() {
    let classes = [CanaryClass::Transactional, CanaryClass::Acks1];
    let mut bench = start_classes(mock(2, 1), &classes, Vec::new(), 64);
    bench.mock.partition_leader(TOPIC, 0, Some(1)).expect("a leader");
    let id = "kustody-canary-07070707070707070707070707070707";
    let coordinator = rdkafka::mocking::MockCoordinator::Transaction(id.to_owned());
    bench.mock.coordinator(coordinator, 2).expect("a coordinator");
    endings(&mut bench, 1).await;
    bench.mock.broker_down(2).expect("down");
    let mut sequence = 0;
    let acked = async {
        let mut acked = 0;
        while acked < 20 {
            bench.canary.send(&record_of(CanaryClass::Transactional, 0, 1_000 + sequence)).await.ok();
            bench.canary.send(&record_of(CanaryClass::Acks1, 0, sequence)).await.expect("taken");
            sequence += 1;
            while let Ok((event, _)) = bench.events.try_recv() {
                acked += u32::from(matches!(event, Event::Acked { key, .. } if key.class == CanaryClass::Acks1));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), acked).await.expect("acks1 goes on");
    // Told to stop while the coordinator is gone: neither a commit nor an abort is acknowledged in time.
    let (_, rest) = bench.stop(Duration::from_secs(1)).await;
    let ends: Vec<TransactionEnd> = rest
        .iter()
        .filter_map(|event| if let Event::TransactionEnded { end, .. } = event { Some(*end) } else { None })
        .collect();
    assert_eq!(ends, [TransactionEnd::Unknown], "{rest:?}");
}

#[tokio::test]
async fn a_stranger_is_told_by_the_reader_that_sees_most_and_by_no_other() {
    use CanaryClass::{Acks1, Transactional};
    let cases =
        [(vec![Transactional], Isolation::ReadCommitted), (vec![Acks1, Transactional], Isolation::ReadUncommitted)];
    for (classes, want) in cases {
        let mut bench = start_classes(mock(1, 1), &classes, from_log_start(1), 64);
        let stranger: BaseProducer =
            client::config(&kafka(&bench.mock).into(), client::Role::Producer(CanaryClass::All))
                .create()
                .expect("a producer");
        for text in ["one", "two"] {
            stranger.send(BaseRecord::<(), str>::to(TOPIC).partition(0).payload(text)).expect("taken");
            stranger.flush(LONG).expect("acknowledged");
        }
        let who = |event: &Event| {
            if let Event::Unreadable { isolation, offset, .. } = event { Some((*isolation, *offset)) } else { None }
        };
        assert_eq!(bench.until(who).await, (want, offset(0)), "{classes:?}");
        assert_eq!(bench.until(who).await, (want, offset(1)), "{classes:?}");
        // Both readers are at the end by now, and neither has more to say.
        while bench.notices.len() < classes.len() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (_, rest) = bench.stop(LONG).await;
        assert_eq!(rest.iter().filter_map(who).count(), 0, "{rest:?}");
    }
}
