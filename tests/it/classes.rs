//! The five classes against a real Kafka, without the daemon: what is told of them equals what lies in the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kustody::audit::{
    CanaryClass, CanaryRecord, Event, Incarnation, Isolation, Lineage, RecordKey, TransactionEnd, payload,
};
use kustody::canary::{Canary, CanaryLinkOptions, ReadStart, ReaderCommand, ReaderNotice, Standstill, TransactionMix};
use kustody::clock::Clock;
use kustody::model::{BrokerId, Moment, Offset, PartitionId, Timestamp, TopicId};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clusters::{own, shared};
use crate::kafka::{Client, Log, Options};

const SOON: Duration = Duration::from_secs(40);
const PARTITIONS: i32 = 3;

/// A canary, and what it tells.
pub(crate) struct Bench {
    pub(crate) canary: Canary,
    events: mpsc::Receiver<(Event, Moment)>,
    _notices: mpsc::Receiver<(Isolation, ReaderNotice)>,
    pub(crate) lineage: Lineage,
    next: BTreeMap<(CanaryClass, i32), u64>,
    pub(crate) told: Vec<(Event, Moment)>,
}

pub(crate) fn start(
    bootstrap: &str,
    topic: &str,
    lineage: u8,
    classes: &[CanaryClass],
    transactions: TransactionMix,
) -> Bench {
    let lineage = Lineage([lineage; 16]);
    let start = |partition| ReadStart { partition: PartitionId(partition), offset: None };
    let options = CanaryLinkOptions {
        kafka: [("bootstrap.servers", bootstrap)].into_iter().collect::<kustody::model::Properties>().into(),
        topic: topic.into(),
        lineage,
        classes: classes.iter().copied().collect(),
        transactions,
    };
    let (tell, events) = mpsc::channel(8_192);
    let (notify, notices) = mpsc::channel(256);
    let canary = Canary::start(&options, Clock::start(), tell, notify).expect("a canary");
    for isolation in Isolation::ALL {
        canary.command(isolation, ReaderCommand::Add((0..PARTITIONS).map(start).collect()));
    }
    Bench { canary, events, _notices: notices, lineage, next: BTreeMap::new(), told: Vec::new() }
}

impl Bench {
    /// Offers one record of each class to each partition; one that is refused is offered again the next time.
    async fn offer(&mut self, classes: &[CanaryClass], partitions: i32) {
        for class in classes {
            for partition in 0..partitions {
                let next = self.next.entry((*class, partition)).or_default();
                let key = RecordKey {
                    incarnation: Incarnation(1),
                    class: *class,
                    partition: PartitionId(partition),
                    sequence: *next,
                };
                let sent_at = Timestamp::from_millis(0);
                let record = CanaryRecord { topic_id: TopicId([1; 16]), lineage: self.lineage, key, sent_at };
                if self.canary.send(&record).await.is_ok() {
                    *next += 1;
                }
            }
        }
    }

    /// Sends at 25 records a second, class and partition until what was told is enough.
    pub(crate) async fn send_until(
        &mut self,
        classes: &[CanaryClass],
        partitions: i32,
        enough: impl Fn(&[(Event, Moment)]) -> bool,
    ) {
        let mut ticks = interval(Duration::from_millis(40));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sending = async {
            while !enough(&self.told) {
                ticks.tick().await;
                self.offer(classes, partitions).await;
                while let Ok(told) = self.events.try_recv() {
                    self.told.push(told);
                }
            }
        };
        let in_time = timeout(SOON, sending).await;
        in_time
            .unwrap_or_else(|_| panic!("not enough was told: {:?}; {:?}", self.canary.standstills(), self.told.last()));
    }

    /// Stops, and tells everything that was told.
    pub(crate) async fn stop(mut self) -> Vec<(Event, Moment)> {
        let rest = async {
            while let Some(told) = self.events.recv().await {
                self.told.push(told);
            }
        };
        let stopping = async { tokio::join!(self.canary.stop(Duration::from_secs(20)), rest) };
        let (flushed, ()) = timeout(SOON, stopping).await.expect("it stops");
        assert_eq!(flushed.unresolved, 0);
        self.told
    }
}

/// What was told, by record and by kind.
#[derive(Default)]
struct Account {
    sent: BTreeSet<RecordKey>,
    acked: BTreeMap<RecordKey, (Option<Offset>, Option<BrokerId>, Moment)>,
    received: BTreeMap<RecordKey, Vec<Offset>>,
    ends: Vec<(Vec<RecordKey>, TransactionEnd, Moment)>,
    links: BTreeMap<i32, Vec<Option<u64>>>,
}

impl Account {
    fn of(told: Vec<(Event, Moment)>) -> Self {
        let mut account = Self::default();
        for (event, at) in told {
            if let Event::Sent(key) = event {
                assert!(account.sent.insert(key), "sent twice: {key:?}");
            } else if let Event::Acked { key, offset, broker } = event {
                assert!(account.sent.contains(&key), "acknowledged before it was sent: {key:?}");
                assert!(account.acked.insert(key, (offset, broker, at)).is_none(), "two outcomes: {key:?}");
            } else if let Event::Received { record, offset, isolation, .. } = event {
                assert_eq!(isolation, Isolation::of(record.key.class));
                account.received.entry(record.key).or_default().push(offset);
            } else if let Event::TransactionEnded { records, end } = event {
                assert!(records.iter().all(|key| account.acked.contains_key(key)), "{records:?}");
                account.ends.push((records, end, at));
            } else if let Event::LinkSighted { partition, link, .. } = event {
                account.links.entry(partition.0).or_default().push(link);
            } else {
                panic!("unexpected: {event:?}");
            }
        }
        account
    }

    /// The records of transactions that ended so.
    fn ended(&self, how: TransactionEnd) -> BTreeSet<RecordKey> {
        self.ends.iter().filter(|(_, end, _)| *end == how).flat_map(|(records, _, _)| records.clone()).collect()
    }
}

pub(crate) fn ends(told: &[(Event, Moment)]) -> usize {
    told.iter().filter(|(event, _)| matches!(event, Event::TransactionEnded { .. })).count()
}

/// Our records of a class, with their offsets, as another client reads the topic.
async fn read(
    client: &Client,
    topic: &str,
    class: CanaryClass,
    isolation: &str,
    lineage: Lineage,
) -> BTreeMap<RecordKey, Vec<Offset>> {
    let mut found: BTreeMap<RecordKey, Vec<Offset>> = BTreeMap::new();
    for partition in 0..PARTITIONS {
        let settings = [("isolation.level", isolation)];
        let Log { records, .. } = client.read_all_with(topic, partition, &settings).await.expect("the log is readable");
        for record in records {
            let Ok(canary) = payload::decode(&record.value.unwrap_or_default(), lineage) else { continue };
            if canary.key.class == class {
                found.entry(canary.key).or_default().push(Offset::new(record.offset).expect("an offset"));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_comes_back_and_transactions_end_as_they_are_said_to() {
    const TOPIC: &str = "classes";
    let cluster = shared().await;
    let client = cluster.client();
    let configs = [("min.insync.replicas", "2")];
    client.create_topic(TOPIC, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], &configs).await.expect("the topic is created");
    let mix = TransactionMix {
        span: Duration::from_millis(150),
        abort_every: 4,
        abandon_every: 9,
        abandoned_for: Duration::from_millis(300),
    };
    let mut bench = start(&client.bootstrap(), TOPIC, 21, CanaryClass::ALL, mix);
    let lineage = bench.lineage;
    bench.send_until(CanaryClass::ALL, PARTITIONS, |told| ends(told) >= 34).await;
    let account = Account::of(bench.stop().await);

    // What the abandoned are told as, they are told once they were fenced: not while they were left open.
    let abandoned: Vec<_> = (1..).zip(&account.ends).filter(|(number, _)| number % 9 == 0).collect();
    assert!(abandoned.len() >= 3, "{}", account.ends.len());
    for (number, (records, end, at)) in (1_u64..).zip(&account.ends) {
        let want = if number % 9 == 0 || number % 4 == 0 { TransactionEnd::Aborted } else { TransactionEnd::Committed };
        // The last one was cut short by the stop, and is committed or, for its number, aborted all the same.
        assert_eq!(*end, want, "transaction {number}");
        let last = records.iter().filter_map(|key| account.acked.get(key)).map(|(_, _, at)| at.mono).max();
        let open_for = at.mono.checked_sub(last.expect("it has records")).expect("the end comes last");
        let is_last = usize::try_from(number).expect("a count") == account.ends.len();
        assert!(number % 9 != 0 || is_last || open_for >= Duration::from_millis(300), "{number}: {open_for:?}");
    }
    assert_eq!(account.ended(TransactionEnd::Unknown), BTreeSet::new());
    let (committed, aborted) = (account.ended(TransactionEnd::Committed), account.ended(TransactionEnd::Aborted));
    let acked_at =
        |key: &RecordKey| account.acked.get(key).and_then(|(offset, _, _)| *offset).into_iter().collect::<Vec<_>>();
    let told = |keys: &BTreeSet<RecordKey>| keys.iter().map(|key| (*key, acked_at(key))).collect::<BTreeMap<_, _>>();
    let class = CanaryClass::Transactional;
    let seen = read(&client, TOPIC, class, "read_committed", lineage).await;
    assert_eq!(seen, told(&committed), "exactly the committed ones, each where it was acknowledged");
    let all: BTreeSet<RecordKey> = committed.union(&aborted).copied().collect();
    assert_eq!(read(&client, TOPIC, class, "read_uncommitted", lineage).await, told(&all), "the aborted are there too");
    assert!(aborted.len() >= 30 && committed.len() >= 100, "{} {}", aborted.len(), committed.len());
    let ours: BTreeSet<_> = account.received.keys().filter(|key| key.class == class).copied().collect();
    assert!(ours.is_subset(&committed), "our reader sees no other");

    for class in [CanaryClass::Acks0, CanaryClass::Acks1, CanaryClass::All, CanaryClass::Idempotent] {
        let sent: BTreeSet<RecordKey> = account.sent.iter().filter(|key| key.class == class).copied().collect();
        assert!(sent.len() > 100, "{class}: {}", sent.len());
        let log = read(&client, TOPIC, class, "read_uncommitted", lineage).await;
        assert_eq!(log.keys().copied().collect::<BTreeSet<_>>(), sent, "{class}");
        let received = sent.iter().filter(|key| account.received.contains_key(key)).count();
        assert!(received * 10 >= sent.len() * 9, "{class}: {received} of {}", sent.len());
        for key in sent {
            assert!(account.received.get(&key).is_none_or(|offsets| log.get(&key) == Some(offsets)), "{key:?}");
            let leader = BrokerId(key.partition.0 + 1);
            let (offset, broker, _) = account.acked.get(&key).copied().expect("every record has its outcome");
            if class == CanaryClass::Acks0 {
                assert_eq!((offset, broker), (None, None));
            } else {
                assert_eq!((log.get(&key), broker), (Some(&offset.into_iter().collect()), Some(leader)), "{key:?}");
            }
        }
    }
    for (partition, links) in &account.links {
        let known: BTreeSet<u64> = links.iter().flatten().copied().collect();
        assert_eq!(known.len(), 1, "one connection all the time: {partition} {links:?}");
        assert!(links.iter().flatten().count() >= 4, "{partition} {links:?}");
    }
    assert_eq!(account.links.len(), 3);
    client.delete_topic(TOPIC).await.expect("it is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_instance_stops_the_transactions_of_the_older() {
    const TOPIC: &str = "two-instances";
    let cluster = shared().await;
    let client = cluster.client();
    client.create_topic(TOPIC, &[&[1, 2], &[2, 3], &[3, 1]], &[]).await.expect("the topic is created");
    let classes = [CanaryClass::Transactional, CanaryClass::Acks1];
    let mix = TransactionMix { abort_every: 0, abandon_every: 0, ..TransactionMix::default() };
    let mut older = start(&client.bootstrap(), TOPIC, 23, &classes, mix);
    older.send_until(&classes, 1, |told| ends(told) >= 2).await;
    let mut newer = start(&client.bootstrap(), TOPIC, 23, &classes, mix);
    newer.send_until(&classes, 1, |told| ends(told) >= 1).await;
    let is_fenced = async {
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            older.offer(&classes, 1).await;
            if let Some(Standstill::Fenced { why }) = older.canary.standstills().remove(&CanaryClass::Transactional) {
                return why;
            }
        }
    };
    let why = timeout(SOON, is_fenced).await.expect("the older is fenced");
    assert!(why.to_lowercase().contains("fenced"), "{why}");
    let before = ends(&newer.told);
    newer.send_until(&classes, 1, |told| ends(told) >= before + 3).await;
    assert_eq!(newer.canary.standstills(), BTreeMap::new(), "nobody fights back");
    assert_eq!(older.canary.standstills().len(), 1, "the other class goes on");
    older.stop().await;
    newer.stop().await;
    client.delete_topic(TOPIC).await.expect("it is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_connection_is_another_link() {
    const TOPIC: &str = "links";
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let told = proxy.local_addr().expect("an address").port();
    let options = Options { brokers: 1, advertised_ports: [(1, told)].into(), ..Options::default() };
    let cluster = own(options).await;
    let (client, port) = (cluster.client(), cluster.port(1));
    client.create_topic(TOPIC, &[&[1], &[1], &[1]], &[]).await.expect("the topic is created");
    let (cut, cuts) = watch::channel(());
    let forwarding = tokio::spawn(async move {
        loop {
            let (mut from, _) = proxy.accept().await.expect("a client connects");
            let mut cuts = cuts.clone();
            cuts.mark_unchanged();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", port)).await.expect("the broker listens");
                tokio::select! {
                    _ = cuts.changed() => {}
                    // How a connection ends is not its subject.
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                }
            });
        }
    });
    let classes = [CanaryClass::Acks0];
    let mut bench = start(&cluster.bootstrap(), TOPIC, 24, &classes, TransactionMix::default());
    let link = |told: &[(Event, Moment)]| {
        told.iter().rev().find_map(|(event, _)| {
            let Event::LinkSighted { partition: PartitionId(0), link, .. } = event else { return None };
            Some(*link)
        })
    };
    bench.send_until(&classes, 1, |told| link(told).flatten().is_some()).await;
    let first = link(&bench.told).flatten();
    let seen = bench.told.len();
    bench.send_until(&classes, 1, |told| told.len() > seen && ticked(told, seen) >= 2).await;
    assert_eq!(link(&bench.told).flatten(), first, "nothing happened");
    cut.send_replace(());
    bench.send_until(&classes, 1, |told| link(told).flatten().is_some_and(|now| Some(now) > first)).await;
    bench.stop().await;
    forwarding.abort();
}

/// Looks at partition 0 since the first `seen` events.
fn ticked(told: &[(Event, Moment)], seen: usize) -> usize {
    let looks = told
        .iter()
        .skip(seen)
        .filter(|(event, _)| matches!(event, Event::LinkSighted { partition: PartitionId(0), .. }));
    looks.count()
}
