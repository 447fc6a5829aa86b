//! The link against librdkafka's mock cluster: real sockets, no Java.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::audit::{Incarnation, Isolation, RecordKey, Unreadable};
use crate::model::{Offset, Properties, Timestamp, TopicId};

mod classes;
mod rereads;

const TOPIC: &str = "canary";
const OURS: Lineage = Lineage([7; 16]);
/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

type Mock = MockCluster<'static, DefaultProducerContext>;

/// A cluster with the topic, a canary on it, and both its queues.
struct Bench {
    canary: Canary,
    events: mpsc::Receiver<(Event, Moment)>,
    notices: mpsc::Receiver<(Isolation, ReaderNotice)>,
    mock: Mock,
}

fn offset(number: i64) -> Offset {
    Offset::new(number).expect("not negative")
}

fn mock(brokers: i32, partitions: i32) -> Mock {
    let mock = MockCluster::new(brokers).expect("a mock cluster");
    mock.create_topic(TOPIC, partitions, brokers).expect("a topic");
    mock
}

fn kafka(mock: &Mock) -> Properties {
    let bootstrap = mock.bootstrap_servers();
    [("bootstrap.servers", bootstrap.as_str()), ("topic.metadata.refresh.interval.ms", "500")].into_iter().collect()
}

fn start(mock: Mock, starts: Vec<ReadStart>) -> Bench {
    start_with_room(mock, starts, 64)
}

fn start_with_room(mock: Mock, starts: Vec<ReadStart>, room: usize) -> Bench {
    start_classes(mock, &[CanaryClass::Idempotent], starts, room)
}

fn start_classes(mock: Mock, classes: &[CanaryClass], starts: Vec<ReadStart>, room: usize) -> Bench {
    let options = CanaryLinkOptions {
        kafka: kafka(&mock).into(),
        topic: TOPIC.into(),
        lineage: OURS,
        classes: classes.iter().copied().collect(),
        transactions: TransactionMix {
            span: Duration::from_millis(100),
            abort_every: 3,
            abandon_every: 5,
            ..TransactionMix::default()
        },
    };
    let (tell, events) = mpsc::channel(room);
    let (notify, notices) = mpsc::channel(64);
    let canary = Canary::start(&options, Clock::start(), tell, notify).expect("a canary");
    for isolation in Isolation::ALL {
        canary.command(isolation, ReaderCommand::Add(starts.clone()));
    }
    Bench { canary, events, notices, mock }
}

fn from_log_start(partitions: i32) -> Vec<ReadStart> {
    (0..partitions).map(|partition| ReadStart { partition: PartitionId(partition), offset: None }).collect()
}

fn record(partition: i32, sequence: u64) -> CanaryRecord {
    record_of(CanaryClass::Idempotent, partition, sequence)
}

fn record_of(class: CanaryClass, partition: i32, sequence: u64) -> CanaryRecord {
    CanaryRecord {
        topic_id: TopicId([3; 16]),
        lineage: OURS,
        key: RecordKey { incarnation: Incarnation(1), class, partition: PartitionId(partition), sequence },
        sent_at: Timestamp::from_millis(0),
    }
}

impl Bench {
    async fn event(&mut self) -> Event {
        let (event, _) = timeout(LONG, self.events.recv()).await.expect("in time").expect("the canary runs");
        event
    }

    async fn notice(&mut self) -> ReaderNotice {
        timeout(LONG, self.notices.recv()).await.expect("in time").expect("the canary runs").1
    }

    /// The first event that the question has an answer to; the others are passed over.
    async fn until<T>(&mut self, question: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            if let Some(answer) = question(&self.event().await) {
                return answer;
            }
        }
    }

    async fn acked(&mut self, record: &CanaryRecord) -> Offset {
        self.canary.send(record).await.expect("taken");
        self.until(|event| {
            if let Event::Acked { key, offset, .. } = event
                && *key == record.key
            {
                *offset
            } else {
                None
            }
        })
        .await
    }

    async fn stop(mut self, deadline: Duration) -> (Flushed, Vec<Event>) {
        let mut rest = Vec::new();
        let draining = async {
            while let Some((event, _)) = self.events.recv().await {
                rest.push(event);
            }
        };
        let (flushed, ()) =
            timeout(LONG, async { tokio::join!(self.canary.stop(deadline), draining) }).await.expect("ends");
        (flushed, rest)
    }
}

#[tokio::test]
async fn what_is_sent_is_acknowledged_and_comes_back_where_it_was_acknowledged() {
    let mut bench = start(mock(3, 3), from_log_start(3));
    let mut acked = BTreeMap::new();
    let mut received = BTreeMap::new();
    for partition in 0..3 {
        for sequence in 0..4 {
            bench.canary.send(&record(partition, sequence)).await.expect("taken");
        }
    }
    let mut sent = BTreeSet::new();
    while acked.len() < 12 || received.len() < 12 {
        let event = bench.event().await;
        if let Event::Sent(key) = event {
            assert!(sent.insert(key));
        } else if let Event::Acked { key, offset, broker } = event {
            assert!(sent.contains(&key), "sent before it is acknowledged");
            assert!(broker.is_some(), "librdkafka knows who answered");
            assert_eq!(acked.insert(key, offset), None, "one outcome");
        } else if let Event::Received { record, partition, offset, .. } = event {
            assert_eq!(partition, record.key.partition);
            received.insert(record.key, Some(offset));
        } else {
            panic!("unexpected: {event:?}");
        }
    }
    assert_eq!(acked, received);
    assert_eq!(bench.stop(LONG).await.0, Flushed { unresolved: 0 });
}

#[tokio::test]
async fn a_definite_refusal_is_a_rejection_and_anything_else_is_tried_again() {
    let mut bench = start(mock(1, 1), from_log_start(1));
    assert_eq!(bench.acked(&record(0, 0)).await, offset(0));
    bench.mock.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    bench.canary.send(&record(0, 1)).await.expect("taken");
    let outcome =
        bench.until(|event| (!matches!(event, Event::Received { .. } | Event::Sent(_))).then(|| event.clone())).await;
    let Event::Rejected { key, error } = outcome else { panic!("not rejected: {outcome:?}") };
    assert_eq!(key, record(0, 1).key);
    assert!(error.starts_with("InvalidRecord"), "{error}");
    bench.mock.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    assert_eq!(bench.acked(&record(0, 2)).await, offset(1));
}

#[tokio::test]
async fn a_producer_that_fails_for_good_is_replaced() {
    let mut bench = start(mock(1, 1), Vec::new());
    assert_eq!(bench.acked(&record(0, 0)).await, offset(0));
    let out_of_order = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    bench.mock.request_errors(RDKafkaApiKey::Produce, &[out_of_order]);
    bench.canary.send(&record(0, 1)).await.expect("taken");
    let outcome = bench.until(|event| (!matches!(event, Event::Sent(_))).then(|| event.clone())).await;
    assert!(matches!(&outcome, Event::Indeterminate { key, .. } if key.sequence == 1), "{outcome:?}");
    let again = async {
        let mut sequence = 2;
        while bench.canary.send(&record(0, sequence)).await.is_err() {
            // What the old client refuses is told, and needs room.
            while bench.events.try_recv().is_ok() {}
            sequence += 1;
            tokio::task::yield_now().await;
        }
        sequence
    };
    let taken = timeout(LONG, again).await.expect("a new producer");
    let acked = |event: &Event| matches!(event, Event::Acked { key, .. } if key.sequence == taken).then_some(());
    bench.until(acked).await;
}

#[tokio::test]
async fn no_outcome_is_dropped_where_there_is_hardly_any_room() {
    let Bench { canary, mut events, notices: _notices, mock: _mock } =
        start_with_room(mock(1, 1), from_log_start(1), 2);
    let sending = async {
        for sequence in 0..50 {
            canary.send(&record(0, sequence)).await.expect("taken");
        }
    };
    let receiving = async {
        let (mut acked, mut received) = (0, 0);
        while acked < 50 || received < 50 {
            let (event, _) = events.recv().await.expect("the canary runs");
            acked += u32::from(matches!(event, Event::Acked { .. }));
            received += u32::from(matches!(event, Event::Received { .. }));
        }
        (acked, received)
    };
    let ((), told) = timeout(LONG, async { tokio::join!(sending, receiving) }).await.expect("in time");
    assert_eq!(told, (50, 50));
}

#[tokio::test]
async fn a_reader_stops_though_nobody_receives() {
    let mut bench = start(mock(1, 1), Vec::new());
    for sequence in 0..8 {
        bench.acked(&record(0, sequence)).await;
    }
    let (tell, full) = mpsc::channel(2);
    let outlets = Outlets { events: tell, notices: mpsc::channel(1).0 };
    let place = (TopicName::from(TOPIC), OURS);
    let scope = Scope { isolation: Isolation::ReadUncommitted, tells_strangers: true };
    let reader = Reader::start(&kafka(&bench.mock).into(), scope, place, Clock::start(), outlets).expect("a reader");
    reader.command(ReaderCommand::Add(from_log_start(1)));
    let filled = async {
        while full.len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, filled).await.expect("the queue fills");
    timeout(LONG, reader.stop()).await.expect("it stops");
}

#[tokio::test]
async fn what_has_no_outcome_at_the_stop_is_indeterminate() {
    let mut bench = start(mock(1, 1), from_log_start(1));
    bench.acked(&record(0, 0)).await;
    bench.mock.broker_down(1).expect("down");
    bench.canary.send(&record(0, 1)).await.expect("taken");
    let (flushed, rest) = bench.stop(Duration::from_millis(200)).await;
    assert_eq!(flushed, Flushed { unresolved: 1 });
    assert!(
        rest.iter().any(|event| matches!(event, Event::Indeterminate { key, .. } if key.sequence == 1)),
        "{rest:?}"
    );
}

#[tokio::test]
async fn a_record_no_partition_takes_is_rejected_at_once() {
    let mut bench = start(mock(1, 1), from_log_start(1));
    bench.acked(&record(0, 0)).await;
    let refused = bench.canary.send(&record(9, 0)).await;
    assert!(matches!(refused, Err(SendRefused::Rejected { .. })), "{refused:?}");
    assert_eq!(
        bench.until(|event| matches!(event, Event::Sent(_)).then_some(event.clone())).await,
        Event::Sent(record(9, 0).key)
    );
    assert!(matches!(bench.event().await, Event::Rejected { key, .. } if key == record(9, 0).key));
}

#[tokio::test]
async fn a_position_that_does_not_exist_stops_the_partition_until_it_is_told() {
    let mut bench = start(
        mock(1, 2),
        vec![
            ReadStart { partition: PartitionId(0), offset: None },
            ReadStart { partition: PartitionId(1), offset: Some(offset(40)) },
        ],
    );
    loop {
        if let ReaderNotice::Stopped { partition, at, text } = bench.notice().await {
            assert_eq!((partition, at), (PartitionId(1), Some(offset(40))));
            assert!(text.contains("out of range"), "{text}");
            break;
        }
    }
    bench.acked(&record(1, 0)).await;
    bench.acked(&record(1, 1)).await;
    let seek = ReaderCommand::Seek { partition: PartitionId(1), offset: offset(1) };
    bench.canary.command(Isolation::ReadUncommitted, seek);
    let moved = Event::ReaderMoved { isolation: Isolation::ReadUncommitted, partition: PartitionId(1), to: offset(1) };
    assert_eq!(bench.event().await, moved);
    assert!(matches!(bench.event().await, Event::Received { offset: at, .. } if at == offset(1)));
    // The other direction, and from a partition that is being read.
    bench.canary.command(Isolation::ReadUncommitted, ReaderCommand::SeekBeginning { partition: PartitionId(1) });
    assert_eq!(
        bench.event().await,
        Event::ReaderMoved { isolation: Isolation::ReadUncommitted, partition: PartitionId(1), to: offset(0) }
    );
    assert!(matches!(bench.event().await, Event::Received { offset: at, .. } if at == offset(0)));
}

#[tokio::test]
async fn a_reader_that_may_not_read_says_so_until_it_may_again() {
    let mut bench = start(mock(1, 1), from_log_start(1));
    let key = (Isolation::ReadUncommitted, PartitionId(0));
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    let other = RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION;
    for (errors, is_denied) in [([denied; 2], true), ([other; 2], false)] {
        bench.acked(&record(0, 0)).await;
        bench.until(|event| matches!(event, Event::Received { .. }).then_some(())).await;
        bench.mock.request_errors(RDKafkaApiKey::Fetch, &errors);
        let seen = async |is_refused: bool| loop {
            let sight = bench.canary.sights().get(&key).cloned().expect("it is read");
            if sight.refusal.is_some() == is_refused {
                break sight;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let refused = timeout(LONG, seen(true)).await.expect("it is told");
        let refusal = refused.refusal.expect("waited for");
        assert_eq!(refusal.is_denied, is_denied, "{}", refusal.text);
        assert!(refusal.since.mono >= refused.heard.mono);
        bench.canary.send(&record(0, 1)).await.expect("taken");
        let heard = timeout(LONG, seen(false)).await.expect("it may again");
        assert!(heard.has_heard && heard.heard.mono >= refusal.last.mono && heard.next > refused.next, "{heard:?}");
        bench.until(|event| matches!(event, Event::Received { .. }).then_some(())).await;
    }
}

#[tokio::test]
async fn partitions_are_added_and_a_new_client_goes_on_where_the_old_one_was() {
    let mut bench = start(mock(1, 2), from_log_start(1));
    let received = |event: &Event| {
        if let Event::Received { partition, offset, .. } = event { Some((*partition, *offset)) } else { None }
    };
    bench.acked(&record(1, 0)).await;
    bench.canary.command(Isolation::ReadUncommitted, ReaderCommand::Add(from_log_start(2)));
    assert_eq!(bench.until(received).await, (PartitionId(1), offset(0)));
    bench.canary.command(Isolation::ReadUncommitted, ReaderCommand::Rebuild);
    while !matches!(bench.notice().await, ReaderNotice::Rebuilt { .. }) {}
    bench.acked(&record(1, 1)).await;
    // Sent after the rebuild and received once: neither skipped nor read again from the start.
    bench.acked(&record(0, 0)).await;
    let (_, rest) = bench.stop(LONG).await;
    let seen: Vec<_> = rest.iter().filter_map(received).collect();
    assert!(!seen.contains(&(PartitionId(1), offset(0))), "{seen:?}");
}
