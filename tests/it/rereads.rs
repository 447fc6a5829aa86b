//! Re-reads of a real Kafka: many offsets read by one client are answered as each of them alone, and as the log says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use kustody::audit::{
    CanaryClass, CanaryRecord, Event, Incarnation, Isolation, Lineage, RecordKey, Reread, TransactionEnd, payload,
};
use kustody::canary::{Canary, RereadQuestion, TransactionMix};
use kustody::model::{LeaderEpoch, Moment, Offset, PartitionId, Timestamp, TopicId};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::classes::{Bench, ends, start};
use crate::clusters::shared;
use crate::kafka::{Client, Log, values};

const SOON: Duration = Duration::from_secs(40);

fn at(offset: i64) -> Offset {
    Offset::new(offset).expect("an offset")
}

/// Asks for these offsets of partition 0 at once.
async fn rereads(
    canary: &Canary,
    isolation: Isolation,
    offsets: &BTreeSet<Offset>,
    within: Duration,
) -> BTreeMap<Offset, Reread> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let (ask, asked) = mpsc::unbounded_channel();
    for offset in offsets.iter().copied() {
        ask.send(RereadQuestion { offset, within }).expect("taken");
    }
    drop(ask);
    canary.answer_rereads(isolation, PartitionId(0), asked, &tell).await;
    drop(tell);
    let mut answers = BTreeMap::new();
    while let Some((event, _)) = told.recv().await {
        let Event::RereadTold { offset, outcome, .. } = event else { panic!("unexpected: {event:?}") };
        assert_eq!(answers.insert(offset, outcome), None, "one answer for {offset}");
    }
    assert!(answers.keys().eq(offsets), "an answer for each");
    answers
}

async fn reread(canary: &Canary, isolation: Isolation, offset: Offset, within: Duration) -> Reread {
    let mut answers = rereads(canary, isolation, &BTreeSet::from([offset]), within).await;
    answers.remove(&offset).expect("it was asked for")
}

/// A producer of transactions.
async fn transactional(client: &Client, id: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", client.bootstrap()).set("transactional.id", id);
    let producer: BaseProducer = config.create().expect("a producer");
    let begun = tokio::task::spawn_blocking(move || {
        producer.init_transactions(Duration::from_secs(20)).expect("its id");
        producer
    });
    begun.await.expect("no panic")
}

/// A transaction with these values in partition 0; left open where its end is not told.
async fn transaction(producer: BaseProducer, topic: &str, values: Vec<Vec<u8>>, commit: Option<bool>) -> BaseProducer {
    let topic = topic.to_owned();
    let appended = tokio::task::spawn_blocking(move || {
        producer.begin_transaction().expect("begun");
        for value in &values {
            producer.send(BaseRecord::<(), [u8]>::to(&topic).partition(0).payload(value)).expect("taken");
        }
        producer.flush(Duration::from_secs(20)).expect("appended");
        producer
    });
    let producer = appended.await.expect("no panic");
    match commit {
        Some(commit) => end_transaction(producer, commit).await,
        None => producer,
    }
}

async fn end_transaction(producer: BaseProducer, commit: bool) -> BaseProducer {
    let ended = tokio::task::spawn_blocking(move || {
        let within = Duration::from_secs(20);
        let ended = if commit { producer.commit_transaction(within) } else { producer.abort_transaction(within) };
        ended.expect("it ends");
        producer
    });
    ended.await.expect("no panic")
}

/// So many records of ours.
fn ours(lineage: Lineage, from: u64, count: u64) -> Vec<Vec<u8>> {
    let record = |sequence| {
        let class = CanaryClass::Transactional;
        let key = RecordKey { incarnation: Incarnation(1), class, partition: PartitionId(0), sequence };
        CanaryRecord { topic_id: TopicId([1; 16]), lineage, key, sent_at: Timestamp::from_millis(0) }
    };
    (from..from + count).map(|sequence| payload::encode(&record(sequence))).collect()
}

/// What the log says of an offset, where another client read it whole.
fn said(offset: Offset, log: &Log, high_watermark: i64, lineage: Lineage) -> Reread {
    let end = log.high_watermark;
    let leader_epoch = LeaderEpoch::new(0);
    if offset < at(log.log_start_offset) {
        return Reread::BelowLogStart { log_start: at(log.log_start_offset) };
    }
    if offset >= at(high_watermark) {
        return Reread::AtEnd { high_watermark: at(high_watermark) };
    }
    match log.records.iter().find(|record| at(record.offset) >= offset) {
        Some(record) if at(record.offset) > offset => Reread::Beyond { next: at(record.offset), leader_epoch },
        Some(record) => match payload::decode(record.value.as_deref().unwrap_or_default(), lineage) {
            Ok(record) => Reread::Found { record, leader_epoch },
            Err(what) => Reread::Other(what),
        },
        None if offset < at(end) => Reread::Beyond { next: at(end), leader_epoch: None },
        None => {
            let why = format!("the last stable offset is {end}, and the high watermark is beyond it");
            Reread::Failed { why }
        }
    }
}

/// A log with everything in it that a re-read may meet.
async fn fill(client: &Client, topic: &str, lineage: Lineage) -> BaseProducer {
    client.produce(topic, 0, &values("trimmed", 20), "all", &[]).await.expect("produced");
    assert_eq!(client.delete_records(topic, 0, 12).await.expect("trimmed"), 12);
    let producer = transactional(client, topic).await;
    let producer = transaction(producer, topic, ours(lineage, 0, 6), Some(false)).await;
    let producer = transaction(producer, topic, ours(lineage, 6, 5), Some(true)).await;
    let producer = transaction(producer, topic, vec![b"another's".to_vec()], Some(true)).await;
    // More than is read through.
    client.produce(topic, 0, &values("far", 2_500), "all", &[]).await.expect("produced");
    let producer = transaction(producer, topic, ours(lineage, 11, 4), Some(true)).await;
    // At the end: an aborted one, with nothing committed behind it, and an open one.
    let producer = transaction(producer, topic, ours(lineage, 15, 3), Some(false)).await;
    transaction(producer, topic, ours(lineage, 18, 2), None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_offsets_are_answered_as_each_of_them_alone_and_as_the_log_says() {
    const TOPIC: &str = "many-rereads";
    let cluster = shared().await;
    let client = cluster.client();
    client.create_topic(TOPIC, &[&[1, 2], &[2, 3], &[3, 1]], &[]).await.expect("the topic is created");
    let classes = [CanaryClass::Transactional, CanaryClass::All];
    let Bench { canary, lineage, .. } = start(&client.bootstrap(), TOPIC, 25, &classes, TransactionMix::default());
    let open = fill(&client, TOPIC, lineage).await;
    let whole = client.read_all(TOPIC, 0).await.expect("the log is readable");
    let high_watermark = whole.high_watermark;
    let far = [0, 5, 11, 600, 900, 1_700, 2_000].into_iter();
    let asked = far.chain(12..36).chain(high_watermark - 14..high_watermark + 4).chain([high_watermark + 90_000]);
    let asked: BTreeSet<Offset> = asked.map(at).collect();
    for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
        let settings = [("isolation.level", isolation.as_str())];
        let log = client.read_all_with(TOPIC, 0, &settings).await.expect("the log is readable");
        let mut together = rereads(&canary, isolation, &asked, Duration::from_secs(5)).await;
        for (offset, answer) in &together {
            let want = said(*offset, &log, high_watermark, lineage);
            assert_eq!(*answer, want, "{isolation:?} {offset} of {high_watermark}");
        }
        // Those of the open transaction have no answer, however they are asked for.
        together.retain(|_, answer| !matches!(answer, Reread::Failed { .. }));
        let alone = together.keys().map(async |offset| reread(&canary, isolation, *offset, SOON).await);
        for ((offset, together), alone) in together.iter().zip(join_all(alone).await) {
            assert_eq!(*together, alone, "{isolation:?} {offset}");
        }
    }
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committed_reread_tells_what_is_aborted_from_what_is_open() {
    const TOPIC: &str = "committed-rereads";
    let cluster = shared().await;
    let client = cluster.client();
    client.create_topic(TOPIC, &[&[1, 2], &[2, 3], &[3, 1]], &[]).await.expect("the topic is created");
    let mix = TransactionMix { abort_every: 2, abandon_every: 0, ..TransactionMix::default() };
    let classes = [CanaryClass::Transactional];
    let mut bench = start(&client.bootstrap(), TOPIC, 22, &classes, mix);
    bench.send_until(&classes, 1, |told| ends(told) >= 2).await;
    let last = |bench: &Bench, how| {
        let ended = |(event, _): &(Event, Moment)| {
            let Event::TransactionEnded { records, end } = event else { return None };
            records.last().filter(|_| *end == how).copied()
        };
        let key = bench.told.iter().filter_map(ended).next_back().expect("a transaction ended so");
        let acked = bench.told.iter().find_map(|(event, _)| {
            let Event::Acked { key: acked, offset, .. } = event else { return None };
            offset.filter(|_| *acked == key)
        });
        (key, acked.expect("acknowledged"))
    };
    let (committed, aborted) = (last(&bench, TransactionEnd::Committed), last(&bench, TransactionEnd::Aborted));
    let ask = async |offset: Offset, seconds| {
        reread(&bench.canary, Isolation::ReadCommitted, offset, Duration::from_secs(seconds)).await
    };
    assert!(matches!(ask(committed.1, 10).await, Reread::Found { record, .. } if record.key == committed.0));
    // The canary's own open transaction ends within its span, so that this may be the last of the log.
    let Reread::Beyond { next, .. } = ask(aborted.1, 10).await else { panic!("the aborted one is passed") };
    assert!(next > aborted.1);
    bench.stop().await;

    // Another producer's transaction, open for as long as we look.
    let bench = start(&client.bootstrap(), TOPIC, 22, &[CanaryClass::Transactional], mix);
    let ask = async |offset: i64, seconds| {
        reread(&bench.canary, Isolation::ReadCommitted, at(offset), Duration::from_secs(seconds)).await
    };
    let producer = transactional(&client, TOPIC).await;
    let producer = transaction(producer, TOPIC, vec![b"open".to_vec()], None).await;
    let high_watermark = client.read_all(TOPIC, 0).await.expect("the log is readable").high_watermark;
    let stable = client.read_all_with(TOPIC, 0, &[("isolation.level", "read_committed")]).await;
    assert_eq!(stable.expect("readable").high_watermark, high_watermark - 1, "the last stable offset");
    let Reread::Failed { why } = ask(high_watermark - 1, 2).await else { panic!("it may be committed yet") };
    assert_eq!(why, format!("the last stable offset is {}, and the high watermark is beyond it", high_watermark - 1));
    let end = at(high_watermark);
    assert_eq!(ask(high_watermark, 5).await, Reread::AtEnd { high_watermark: end });
    assert_eq!(ask(high_watermark + 5, 5).await, Reread::AtEnd { high_watermark: end });
    // Another question is not held up by one that has no answer yet, nor does that one lose its time.
    let (tell, mut told) = mpsc::unbounded_channel();
    let (ask_also, asked) = mpsc::unbounded_channel();
    let answering = bench.canary.answer_rereads(Isolation::ReadCommitted, PartitionId(0), asked, &tell);
    let asking = async {
        let question = |offset| RereadQuestion { offset, within: SOON };
        ask_also.send(question(at(high_watermark - 1))).expect("taken");
        let idle = timeout(Duration::from_secs(1), told.recv()).await;
        idle.expect_err("it may be committed yet");
        ask_also.send(question(committed.1)).expect("taken");
        let (event, _) = timeout(Duration::from_secs(10), told.recv()).await.expect("in time").expect("an answer");
        assert!(matches!(event, Event::RereadTold { offset, .. } if offset == committed.1), "{event:?}");
        end_transaction(producer, false).await;
        drop(ask_also);
        timeout(Duration::from_secs(10), told.recv()).await.expect("in time").expect("an answer").0
    };
    let ((), event) = tokio::join!(answering, asking);
    let Event::RereadTold { offset, outcome: Reread::Beyond { next, .. }, .. } = event else { panic!("{event:?}") };
    assert!(offset == at(high_watermark - 1) && next >= end, "{offset} {next}");
    // Nothing but the marker lies behind it.
    assert!(matches!(ask(high_watermark - 1, 10).await, Reread::Beyond { next, .. } if next >= end));
    bench.stop().await;
    client.delete_topic(TOPIC).await.expect("it is deleted");
}
