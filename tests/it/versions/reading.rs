//! What is read of a cluster without groups: held against what another implementation of the protocol reads.

use std::collections::BTreeMap;

use kustody::model::{BrokerId, LeaderEpoch, Missing, Offset, PartitionId, Reading, TopicPartition};
use kustody::wire::{self, Scope};

use super::turn_of;
use crate::kafka::{Client, Error, Partition, Version, until};
use crate::stage::{SOON, Stage, TOPIC};

/// Every broker is asked in the newest version that it and we speak.
pub(super) async fn apis_are_those_of_the_version(reader: &wire::Cluster, version: Version) {
    let want: [Option<i16>; 8] = match version {
        Version::V2_8 => [Some(11), Some(4), Some(5), None, Some(7), Some(6), Some(4), Some(4)],
        Version::V3_9 => [Some(12), Some(5), Some(5), Some(0), Some(9), Some(9), Some(4), Some(4)],
        Version::V4_3 => [Some(13), Some(5), Some(6), Some(1), Some(10), Some(11), Some(4), Some(4)],
    };
    let names = [
        "Metadata",
        "ListGroups",
        "DescribeGroups",
        "ConsumerGroupDescribe",
        "OffsetFetch",
        "ListOffsets",
        "OffsetForLeaderEpoch",
        "DescribeConfigs",
    ];
    let want: BTreeMap<_, _> = names.into_iter().zip(want).collect();
    let greetings = reader.greetings(&TOPIC.into()).await;
    assert!(greetings.len() >= 3, "{greetings:?}");
    for greeting in greetings {
        let greeted = greeting.answer.expect("the broker answers");
        assert_eq!(greeted.apis.into_iter().collect::<BTreeMap<_, _>>(), want, "{}", greeting.address);
    }
}

/// Brokers, leaders, replicas, settings and the ends of logs.
pub(super) async fn topics_are_as_the_brokers_say(reader: &mut wire::Cluster, stage: &Stage) -> Result<(), Error> {
    let scope = Scope { canary_topic: Some(TOPIC.into()), ..Scope::default() };
    let snapshot = until("a complete turn", SOON, async || turn_of(reader, &scope).await).await?;
    assert_eq!(snapshot.cluster_id, Reading::Read(stage.cluster.cluster_id().to_owned()));
    let brokers = snapshot.brokers.as_ref().value().expect("it was read");
    let ports: Vec<(i32, u16)> = brokers.values().map(|broker| (broker.id.0, broker.port)).collect();
    assert_eq!(ports, [1, 2, 3].map(|id| (id, stage.cluster.port(id))));
    let topics = snapshot.topics.as_ref().value().expect("it was read");
    for name in ["orders", TOPIC] {
        let topic = topics.get(name).expect("it exists");
        assert!(topic.id.is_some(), "{name}: topics have ids from Kafka 2.8 on");
        let partitions = topic.partitions.as_ref().value().expect("it was read");
        let read: Vec<Partition> = partitions.values().map(partition).collect();
        assert_eq!(read, stage.client.metadata(2, name).await?, "{name}");
        let config = topic.config.as_ref().value().expect("it was read");
        assert_eq!(config.min_insync_replicas, Some(2), "{name}");
        assert_eq!(config.cleanup_policy.as_deref(), Some("delete"), "{name}");
    }
    for index in [0, 1] {
        let log = stage.client.read_all("orders", index).await?;
        let ends = snapshot.watermarks.get(&TopicPartition::new("orders", index)).expect("it was read");
        let (start, end) = (Offset::new(log.log_start_offset), Offset::new(log.high_watermark));
        let read = [ends.log_start, ends.last_stable, ends.high_watermark].map(Reading::value);
        assert_eq!(read, [start, end, end], "orders-{index}");
    }
    let sighted: Vec<i32> = snapshot.canary_sightings.iter().map(|sighting| sighting.broker.0).collect();
    assert_eq!(sighted, [1, 2, 3], "every broker says itself who leads");
    Ok(())
}

fn partition(read: &kustody::model::Partition) -> Partition {
    let ids = |brokers: &[BrokerId]| brokers.iter().map(|broker| broker.0).collect::<Vec<_>>();
    let ascending = |brokers: &[BrokerId]| {
        let mut ids = ids(brokers);
        ids.sort_unstable();
        ids
    };
    Partition {
        index: read.id.0,
        leader: read.leader.map(|leader| leader.0),
        leader_epoch: read.leader_epoch.map_or(-1, LeaderEpoch::get),
        replicas: ids(&read.replicas),
        in_sync: ascending(&read.in_sync),
        offline: ascending(&read.offline_replicas),
    }
}

/// A question that a broker does not know is told apart from one that has no answer.
pub(super) async fn what_a_broker_lacks_is_not_supported(reader: &wire::Cluster, version: Version) {
    /// The answer to a question, where the version can answer it.
    fn told<T: std::fmt::Debug>(question: &str, reading: Reading<T>, is_supported: bool) -> Option<T> {
        match (reading, is_supported) {
            (Reading::Read(answer), true) => Some(answer),
            (Reading::Missing(Missing::Unsupported), false) => None,
            (reading, _) => panic!("{question}: {reading:?}, supported: {is_supported}"),
        }
    }
    let surveyor = reader.surveyor();
    let (from_3_0, has_kraft) = (version >= Version::V3_9, version >= Version::V3_9);
    let registered = told("DescribeCluster", surveyor.registered_brokers().await, true);
    assert_eq!(registered.map(|brokers| brokers.len()), Some(3));
    let quorum = told("DescribeQuorum", surveyor.quorum().await, has_kraft);
    assert!(quorum.is_none_or(|quorum| quorum.leader.is_some() && quorum.high_watermark.is_some()));
    let moving = told("ListPartitionReassignments", surveyor.reassignments().await, true);
    assert_eq!(moving, Some(Vec::new()));
    let mut leaders = surveyor.eligible_leaders(&["orders".into()]).await;
    let leaders = told("DescribeTopicPartitions", leaders.remove("orders").expect("it was asked for"), has_kraft);
    assert!(leaders.is_none_or(|leaders| leaders.len() == 2));
    let directories = surveyor.log_directories().await;
    assert_eq!(directories.len(), 3);
    for directories in directories.into_values() {
        let directories = told("DescribeLogDirs", directories, true).expect("it is supported");
        // KIP-827, Kafka 3.3.
        assert!(directories.iter().all(|directory| directory.total_bytes.is_some() == from_3_0), "{directories:?}");
    }
    for transactions in surveyor.open_transactions().await.into_values() {
        told("ListTransactions", transactions, from_3_0);
    }
    let transactions = surveyor.transactions(&["nobody's".to_owned()]).await;
    let nobodys = transactions.get("nobody's").and_then(Reading::missing);
    // TRANSACTIONAL_ID_NOT_FOUND where that is a question.
    let want = if from_3_0 { Missing::KafkaError(105) } else { Missing::Unsupported };
    assert_eq!(nobodys, Some(want));
    told("DescribeProducers", surveyor.producers(&TopicPartition::new("orders", 0)).await, true);
}

/// The proof of truncation: the next leader knows where its predecessor's epoch ended.
pub(super) async fn the_epoch_of_a_dead_leader_ends_where_it_did(
    reader: &mut wire::Cluster,
    client: &Client,
    before: &Partition,
) -> Result<(), Error> {
    let moved = |seen: &Partition| seen.leader.is_some() && seen.leader != before.leader;
    let after = client.until_partition("another leads", "orders", 0, moved).await?;
    assert!(after.leader_epoch > before.leader_epoch, "{before:?} {after:?}");
    let produced = client.produce("orders", 0, &["late".to_owned()], "all", &[]).await?;
    assert_eq!(produced.acked, [("late".to_owned(), 10)]);
    let epoch = |number| LeaderEpoch::new(number).expect("it is no sentinel");
    let (former, now) = (epoch(before.leader_epoch), epoch(after.leader_epoch));
    let at = TopicPartition::new("orders", 0);
    let scope = Scope { epoch_questions: vec![(at.clone(), former)], ..Scope::default() };
    // The dead broker is missing from each of these turns; its part of the logs is not.
    let end = until("the end of the former epoch", SOON, async || {
        let snapshot = reader.snapshot(&scope).await;
        let end = snapshot.epoch_ends.get(&(at.clone(), former)).copied();
        end.and_then(Reading::value).ok_or_else(|| Error::NotYet(format!("{end:?}")))
    })
    .await?;
    assert_eq!((end.leader_epoch, end.end_offset.get()), (former, 10));

    let witness = reader.witness();
    let (topic, partition) = ("orders".into(), PartitionId(0));
    let ends = witness.epoch_ends(&topic, partition, &[former, now], now).await;
    let ends: Vec<_> = ends.into_iter().map(|(_, end)| end.value().flatten().map(|end| end.end_offset.get())).collect();
    assert_eq!(ends, [Some(10), Some(11)]);
    assert_eq!(witness.log_start(&topic, partition, now).await, Reading::Read(Offset::ZERO));
    let fenced = witness.epoch_ends(&topic, partition, &[former], former).await;
    let fenced = fenced.first().and_then(|(_, end)| end.missing());
    assert_eq!(fenced, Some(Missing::LeaderMoving), "a question in a former term is refused");
    Ok(())
}
