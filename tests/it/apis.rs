//! Every API that the poll plane speaks, on real brokers: what it says of a cluster whose state is known.
//!
//! What no other implementation can write is recorded here for `tests/decoders`, byte for byte, when `RECORD_FRAMES` names
//! a directory (it is `tests/frames`). Its requests are written out by hand.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::share_acknowledge_request as acknowledge;
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    GroupId as TheirGroup, IncrementalAlterConfigsRequest, RequestHeader, ResponseHeader, ShareAcknowledgeRequest,
    ShareFetchRequest, ShareGroupHeartbeatRequest, TopicName as TheirTopic,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use kustody::clock::Clock;
use kustody::model::{
    BrokerId, ClusterName, ClusterSnapshot, ConsumerGroup, GroupState, GroupType, Missing, Offset, Reading,
    ShareOffset, TopicPartition,
};
use kustody::wire::{self, Scope};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clusters::own;
use crate::kafka::{Cluster, Error, Options, until, values};

const SOON: Duration = Duration::from_secs(60);

/// A connection to one broker.
async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.expect("the broker listens")
}

/// The answer to a frame, correlation id first.
async fn exchange(stream: &mut TcpStream, frame: &[u8]) -> Vec<u8> {
    let exchange = async {
        stream.write_u32(u32::try_from(frame.len()).expect("it is short")).await?;
        stream.write_all(frame).await?;
        let mut answer = vec![0; usize::try_from(stream.read_u32().await?).expect("32 bits fit")];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), exchange).await;
    answer.expect("an answer in time").expect("a connection that lasts")
}

fn encoded<R: Request>(version: i16, request: &R) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = RequestHeader::default().with_request_api_key(R::KEY).with_request_api_version(version);
    header.encode(&mut frame, R::header_version(version)).expect("a header");
    request.encode(&mut frame, version).expect("a request of that version");
    frame
}

fn decoded<R: Request>(version: i16, answer: Vec<u8>) -> R::Response {
    let mut answer = Bytes::from(answer);
    ResponseHeader::decode(&mut answer, R::Response::header_version(version)).expect("a header");
    R::Response::decode(&mut answer, version).expect("an answer of that version")
}

pub(crate) async fn ask<R: Request>(port: u16, version: i16, request: &R) -> R::Response {
    ask_over(&mut connect(port).await, version, request).await
}

async fn ask_over<R: Request>(stream: &mut TcpStream, version: i16, request: &R) -> R::Response {
    decoded::<R>(version, exchange(stream, &encoded(version, request)).await)
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Bytes in the order they are written.
#[derive(Default)]
struct Written(Vec<u8>);

impl Written {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn i32(self, number: i32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn i64(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// A compact string.
    fn text(self, text: &str) -> Self {
        let length = u8::try_from(text.len() + 1).expect("it is short");
        self.bytes(&[length]).bytes(text.as_bytes())
    }
}

/// A flexible request as it follows its length prefix.
fn request(key: i16, version: i16, body: Written) -> Vec<u8> {
    let header = Written::default().bytes(&key.to_be_bytes()).bytes(&version.to_be_bytes()).i32(1);
    header.bytes(&[0, 7]).bytes(b"kustody").bytes(&[0]).bytes(&body.0).0
}

/// Keeps a request and its answer where that is asked for.
fn record(api: &str, version: i16, request: &[u8], answer: &[u8]) {
    let Ok(directory) = std::env::var("RECORD_FRAMES") else { return };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = answer.get(4..).expect("a correlation id");
    let text = format!(
        "recorded by RECORD_FRAMES=tests/frames cargo test --test it apis:: from Apache Kafka 4.3.1\nrequest: {}\nresponse: {}\n",
        hex(request),
        hex(body)
    );
    std::fs::write(std::path::Path::new(&directory).join(format!("{api}.{version}")), text).expect("it can be written");
}

async fn recorded(api: &str, key: i16, version: i16, port: u16, body: Written) {
    let frame = request(key, version, body);
    let answer = exchange(&mut connect(port).await, &frame).await;
    assert!(answer.len() > 12, "{api} {version} says something");
    record(api, version, &frame, &answer);
}

/// A share group of one member, which has taken 10 records of `orders` and is done with 0, 1, 2 and 5.
pub(crate) async fn share_group(cluster: &Cluster, group: &str) -> Result<(), Error> {
    let resource = AlterConfigsResource::default().with_resource_type(32).with_resource_name(text(group));
    let earliest =
        AlterableConfig::default().with_name(text("share.auto.offset.reset")).with_value(Some(text("earliest")));
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource.with_configs(vec![earliest])]);
    let altered = ask(cluster.port(1), 1, &request).await;
    assert_eq!(altered.responses.iter().map(|one| one.error_code).collect::<Vec<_>>(), [0], "{altered:?}");

    let member = text("share-member-1");
    let mut epoch = 0;
    let (id, partitions) = until("the share group's member is assigned its partitions", SOON, async || {
        let beat =
            ShareGroupHeartbeatRequest::default().with_group_id(TheirGroup(text(group))).with_member_id(member.clone());
        let beat = beat.with_member_epoch(epoch).with_subscribed_topic_names(Some(vec![TheirTopic(text("orders"))]));
        let coordinator = cluster.client().coordinator(group).await?;
        let answer = ask(cluster.port(coordinator), 1, &beat).await;
        if answer.error_code == 0 {
            epoch = answer.member_epoch;
        }
        let owned = answer.assignment.as_ref().and_then(|assignment| assignment.topic_partitions.first());
        owned
            .map(|owned| (owned.topic_id, owned.partitions.clone()))
            .ok_or_else(|| Error::NotYet(format!("{answer:?}")))
    })
    .await?;
    assert_eq!(partitions, [0, 1]);

    // Broker 1 leads partition 0. A share session is its connection's.
    let mut leader = connect(cluster.port(1)).await;
    let acquired = until("ten records are taken", SOON, async || {
        let fetch = |session| {
            let partition = FetchPartition::default().with_partition_index(0);
            ShareFetchRequest::default()
                .with_group_id(Some(TheirGroup(text(group))))
                .with_member_id(Some(member.clone()))
                .with_share_session_epoch(session)
                .with_max_wait_ms(500)
                .with_min_bytes(1)
                .with_max_bytes(1 << 20)
                .with_max_records(100)
                .with_batch_size(100)
                .with_topics(if session == 0 {
                    vec![FetchTopic::default().with_topic_id(id).with_partitions(vec![partition])]
                } else {
                    Vec::new()
                })
        };
        let begun = ask_over(&mut leader, 1, &fetch(0)).await;
        let mut session = 1;
        let mut answer = begun;
        while answer.error_code == 0 && session < 20 {
            let acquired =
                answer.responses.iter().flat_map(|topic| &topic.partitions).map(|one| one.acquired_records.clone());
            let acquired = acquired.flatten().map(|batch| (batch.first_offset, batch.last_offset)).collect::<Vec<_>>();
            if !acquired.is_empty() {
                return Ok((session, acquired));
            }
            answer = ask_over(&mut leader, 1, &fetch(session)).await;
            session += 1;
        }
        Err(Error::NotYet(format!("{answer:?}")))
    })
    .await?;
    let (session, batches) = acquired;
    assert_eq!((batches.first().map(|batch| batch.0), batches.last().map(|batch| batch.1)), (Some(0), Some(9)));
    let accept = |first, last| {
        let batch = acknowledge::AcknowledgementBatch::default().with_first_offset(first).with_last_offset(last);
        batch.with_acknowledge_types(vec![1])
    };
    let of_partition = acknowledge::AcknowledgePartition::default().with_partition_index(0);
    let of_partition = of_partition.with_acknowledgement_batches(vec![accept(0, 2), accept(5, 5)]);
    let of_topic = acknowledge::AcknowledgeTopic::default().with_topic_id(id).with_partitions(vec![of_partition]);
    let request = ShareAcknowledgeRequest::default()
        .with_group_id(Some(TheirGroup(text(group))))
        .with_member_id(Some(member.clone()))
        .with_share_session_epoch(session)
        .with_topics(vec![of_topic]);
    let answer = ask_over(&mut leader, 1, &request).await;
    let codes = answer.responses.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
    assert_eq!((answer.error_code, codes.collect::<Vec<_>>()), (0, vec![0]), "{answer:?}");
    Ok(())
}

/// A streams group of one member that reads `orders`, with commits by hand.
pub(crate) async fn streams_group(cluster: &Cluster, group: &str) -> Result<(), Error> {
    let coordinator = cluster.client().coordinator(group).await?;
    let beat = |epoch: i32, joining: bool| {
        let body = Written::default().text(group).text("streams-member-1").i32(epoch).i32(0).bytes(&[0, 0]).i32(30_000);
        let body = if joining {
            let topology = body.bytes(&[1]).i32(1).bytes(&[2]).text("0").bytes(&[2]).text("orders");
            // No patterns, changelogs, repartition topics, co-partitions; the end of the subtopology and of the topology.
            topology.bytes(&[1, 1, 1, 1, 1, 0, 0])
        } else {
            body.bytes(&[0xff])
        };
        // No tasks yet, the process, no endpoint, no client tags, no offsets, no shutdown.
        request(88, 0, body.bytes(&[1, 1, 1]).text("process-1").bytes(&[0xff, 1, 0, 0, 0, 0]))
    };
    let mut epoch = 0;
    until("the streams group is stable", SOON, async || {
        let frame = beat(epoch, epoch == 0);
        let answer = exchange(&mut connect(cluster.port(coordinator)).await, &frame).await;
        let snapshot = snapshot(cluster).await;
        let found = snapshot.groups.get(group).map(|group| (group.state, group.members.clone()));
        // Behind the correlation id, a tag and the throttle time.
        let code = answer.get(9..11).map(|code| i16::from_be_bytes(code.try_into().expect("two bytes")));
        match found {
            Some((Reading::Read(GroupState::Stable), Reading::Read(members))) if !members.is_empty() => Ok(()),
            // It is told its tasks in answer, and has them once it says so; for reading it this need not be.
            Some((Reading::Read(GroupState::Reconciling), Reading::Read(members)))
                if members.iter().any(|member| !member.assignment.is_empty()) =>
            {
                Ok(())
            }
            other => {
                if code == Some(0) && epoch == 0 {
                    let member = 11 + 1;
                    let length = usize::from(*answer.get(member).expect("an id")) - 1;
                    let at = member + 1 + length;
                    let told = answer.get(at..at + 4).map(|epoch| i32::from_be_bytes(epoch.try_into().expect("four")));
                    epoch = told.expect("a member epoch");
                }
                Err(Error::NotYet(format!("{code:?} {epoch} {other:?} {answer:02x?}")))
            }
        }
    })
    .await
}

async fn snapshot(cluster: &Cluster) -> ClusterSnapshot {
    let options = wire::Options {
        bootstrap: vec![cluster.bootstrap().split(',').next().expect("one").to_owned()],
        ..wire::Options::default()
    };
    wire::Cluster::new(ClusterName::from("c"), options, Clock::start()).snapshot(&Scope::default()).await
}

fn offset(number: i64) -> Option<Offset> {
    Offset::new(number)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_group_is_described_rightly() -> Result<(), Error> {
    let cluster = own(Options::default()).await;
    let client = cluster.client();
    client.create_topic("orders", &[&[1, 2, 3], &[2, 3, 1]], &[]).await?;
    client.produce("orders", 0, &values("v", 10), "all", &[]).await?;
    client.commit("by-hand", "orders", 0, 4).await?;
    share_group(&cluster, "shared").await?;
    streams_group(&cluster, "topology").await?;
    let modern = client.consume("modern", "orders", &[("group.protocol", "consumer")])?;
    modern.until_consumed(10).await?;

    let read = until("all groups are read", SOON, async || {
        let snapshot = snapshot(&cluster).await;
        let types = snapshot.groups.values().map(|group| (group.id.as_str().to_owned(), group.group_type));
        let wanted = [
            ("by-hand".to_owned(), GroupType::Classic),
            ("modern".to_owned(), GroupType::Consumer),
            ("shared".to_owned(), GroupType::Share),
            ("topology".to_owned(), GroupType::Streams),
        ];
        if snapshot.is_complete() && types.eq(wanted) {
            Ok(snapshot)
        } else {
            Err(Error::NotYet(format!("{snapshot:#?}")))
        }
    })
    .await?;
    let group = |id: &str| -> &ConsumerGroup { read.groups.get(id).expect("it is listed") };
    let owned = |id: &str| {
        let members = group(id).members.as_ref().value().expect("it was described");
        let of = members.iter().flat_map(|member| &member.assignment).map(|at| (at.topic.to_string(), at.partition.0));
        of.collect::<Vec<_>>()
    };
    let both = [("orders".to_owned(), 0), ("orders".to_owned(), 1)];
    let first = TopicPartition::new("orders", 0);

    assert_eq!((group("by-hand").state, owned("by-hand").len()), (Reading::Read(GroupState::Empty), 0));
    let commits = group("by-hand").commits.as_ref().value().expect("it was read");
    let committed = commits.get(&first).and_then(|commit| commit.value()).map(|commit| commit.offset);
    assert_eq!((commits.len(), committed), (1, offset(4)), "by topic id");
    assert_eq!(group("by-hand").share_offsets, Reading::Missing(Missing::NotAsked));

    assert_eq!((group("modern").state, owned("modern")), (Reading::Read(GroupState::Stable), both.to_vec()));

    assert_eq!((group("shared").state, owned("shared")), (Reading::Read(GroupState::Stable), both.to_vec()));
    assert!(group("shared").commits.missing().is_some(), "a share group commits nothing");
    let offsets = group("shared").share_offsets.as_ref().value().expect("it was read");
    // Ten records, the first three and one of the others done with.
    let want = Reading::Read(ShareOffset { start: offset(3), lag: Some(6) });
    assert_eq!(offsets.get(&first), Some(&want), "{offsets:?}");

    assert_eq!(owned("topology"), both.to_vec());
    assert!(matches!(group("topology").commits, Reading::Read(_)), "it commits as consumers do");
    modern.stop().await;

    // The frames that nobody else can write.
    let coordinator = async |group: &str| Ok::<u16, Error>(cluster.port(client.coordinator(group).await?));
    let of_share = Written::default().bytes(&[2]).text("shared").bytes(&[0, 0, 0]);
    recorded("DescribeShareGroupOffsets", 90, 1, coordinator("shared").await?, of_share).await;
    let of_streams = Written::default().bytes(&[2]).text("topology").bytes(&[0, 0]);
    recorded("StreamsGroupDescribe", 89, 0, coordinator("topology").await?, of_streams).await;
    let of_commits = Written::default().bytes(&[2]).text("by-hand").bytes(&[0]).i32(-1).bytes(&[0, 0, 0, 0]);
    recorded("OffsetFetch", 9, 10, coordinator("by-hand").await?, of_commits).await;
    let of_ends = Written::default().i32(-1).bytes(&[0, 2]).text("orders").bytes(&[2]).i32(0).i32(-1).i64(-1);
    recorded("ListOffsets", 2, 11, cluster.port(1), of_ends.bytes(&[0, 0]).i32(900).bytes(&[0])).await;
    recorded("DescribeLogDirs", 35, 5, cluster.port(1), Written::default().bytes(&[0, 0])).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_turn_reads_is_told_when_asked() -> Result<(), Error> {
    let cluster = own(Options::default()).await;
    let client = cluster.client();
    client.create_topic("orders", &[&[1, 2, 3], &[2, 3, 1]], &[]).await?;
    client.produce("orders", 0, &values("v", 10), "all", &[]).await?;
    let open = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap())
        .set("transactional.id", "tx <1>")
        .create::<BaseProducer>()
        .expect("it is configured rightly");
    let open = tokio::task::spawn_blocking(move || {
        open.init_transactions(SOON).and_then(|()| open.begin_transaction()).expect("a transaction begins");
        open.send(BaseRecord::<(), str>::to("orders").partition(1).payload("pending")).expect("there is room");
        open.flush(SOON).expect("it is written");
        open
    })
    .await
    .expect("it ends");

    let options = wire::Options { bootstrap: vec![cluster.bootstrap()], ..wire::Options::default() };
    let options = wire::Options { bootstrap: options.bootstrap[0].split(',').map(str::to_owned).collect(), ..options };
    let mut reader = wire::Cluster::new(ClusterName::from("c"), options, Clock::start());
    reader.snapshot(&Scope::default()).await;
    let surveyor = reader.surveyor();
    let brokers = [1, 2, 3].map(BrokerId);

    let registered = surveyor.registered_brokers().await.value().expect("it is told");
    assert!(registered.keys().copied().eq(brokers) && registered.values().all(|one| one.fenced == Some(false)));

    let quorum = surveyor.quorum().await.value().expect("it is told");
    assert!(quorum.leader.is_some_and(|leader| brokers.contains(&leader)), "{quorum:?}");
    assert_eq!(quorum.voters.len(), 3);
    assert!(quorum.high_watermark.is_some() && quorum.voters.iter().all(|voter| voter.log_end.is_some()), "{quorum:?}");

    let directories = surveyor.log_directories().await;
    assert!(directories.keys().copied().eq(brokers));
    for (broker, directories) in directories {
        let directories = directories.value().expect("it is told");
        let [directory] = directories.as_slice() else { panic!("{broker}: {directories:?}") };
        assert!(directory.total_bytes > directory.usable_bytes && directory.usable_bytes.is_some(), "{directory:?}");
        let replicas = directory.replicas.as_ref().value().expect("it is online");
        let ours = replicas.iter().filter(|replica| replica.at.topic.as_str() == "orders").count();
        assert_eq!(ours, 2, "{broker}");
        assert!(replicas.iter().any(|replica| replica.bytes > Some(0)), "{broker}");
    }

    assert_eq!(surveyor.reassignments().await, Reading::Read(Vec::new()));

    let leaders = surveyor.eligible_leaders(&["orders".into(), "unknown".into()]).await;
    let orders = leaders.get("orders").cloned().and_then(Reading::value).expect("it is told");
    let told: Vec<_> = orders.iter().map(|one| (one.partition.0, one.leader, one.eligible.clone())).collect();
    assert_eq!(told, [(0, Some(BrokerId(1)), Some(Vec::new())), (1, Some(BrokerId(2)), Some(Vec::new()))]);
    assert_eq!(leaders.get("unknown").and_then(Reading::missing), Some(Missing::KafkaError(3)));

    let listed: Vec<_> =
        surveyor.open_transactions().await.into_values().filter_map(Reading::value).flatten().collect();
    let [listed] = listed.as_slice() else { panic!("one is open: {listed:?}") };
    assert_eq!((listed.id.as_str(), listed.state.as_str()), ("tx <1>", "Ongoing"));
    let ids = ["tx <1>".to_owned(), "nobody's".to_owned()];
    let transactions = surveyor.transactions(&ids).await;
    let transaction = transactions.get("tx <1>").cloned().and_then(Reading::value).expect("it is told");
    assert_eq!(transaction.partitions, [TopicPartition::new("orders", 1)]);
    assert_eq!((transaction.producer_id, transaction.started.is_some()), (listed.producer_id, true));
    let unknown = transactions.get("nobody's").and_then(Reading::missing);
    assert_eq!(unknown, Some(Missing::KafkaError(105)), "TRANSACTIONAL_ID_NOT_FOUND");
    let producers = surveyor.producers(&TopicPartition::new("orders", 1)).await.value().expect("it is told");
    let begins: Vec<_> = producers.iter().map(|one| (one.producer_id, one.transaction_start)).collect();
    assert_eq!(begins, [(listed.producer_id, offset(0))]);
    drop(open);
    Ok(())
}
