//! What we write, `kafka-protocol` reads as it was meant, and would have written byte for byte.

use bytes::{Buf, Bytes};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{self as theirs, BrokerId, GroupId, RequestHeader, TopicName};
use kafka_protocol::messages::{
    describe_producers_request, describe_quorum_request, describe_topic_partitions_request,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message};

use super::samples::versions;
use super::wire::api::api_versions::ApiVersions;
use super::wire::api::consumer_group_describe::ConsumerGroupDescribe;
use super::wire::api::describe_cluster::DescribeCluster;
use super::wire::api::describe_configs::DescribeConfigs;
use super::wire::api::describe_groups::DescribeGroups;
use super::wire::api::describe_log_dirs::DescribeLogDirs;
use super::wire::api::describe_producers::DescribeProducers;
use super::wire::api::describe_quorum::DescribeQuorum;
use super::wire::api::describe_share_group_offsets::DescribeShareGroupOffsets;
use super::wire::api::describe_topic_partitions::{Cursor, DescribeTopicPartitions};
use super::wire::api::describe_transactions::DescribeTransactions;
use super::wire::api::find_coordinator::{Coordinated, FindCoordinator, MANY_KEYS_FROM};
use super::wire::api::list_groups::ListGroups;
use super::wire::api::list_offsets::{ListOffsets, LogEnd};
use super::wire::api::list_partition_reassignments::ListPartitionReassignments;
use super::wire::api::list_transactions::ListTransactions;
use super::wire::api::metadata::Metadata;
use super::wire::api::offset_fetch::{MANY_GROUPS_FROM, OffsetFetch};
use super::wire::api::offset_for_leader_epoch::{EpochQuestion, OffsetForLeaderEpoch};
use super::wire::api::sasl_authenticate::SaslAuthenticate;
use super::wire::api::sasl_handshake::SaslHandshake;
use super::wire::api::share_group_describe::ShareGroupDescribe;
use super::wire::api::{Request, frame};
use super::{encoded, text};

/// Our bytes are read there as `want`, header included, and are byte for byte what is written there.
fn agrees<R, T>(ours: &R, want: impl Fn(i16) -> T)
where
    R: Request,
    T: Encodable
        + Decodable
        + HeaderVersion
        + Message
        + kafka_protocol::protocol::Request
        + PartialEq
        + std::fmt::Debug,
{
    assert_eq!(R::KEY, T::KEY);
    for version in versions::<R, T>() {
        let name = format!("{} {version}", R::NAME);
        let bytes = Bytes::from(frame(ours, version, 77, "it's us").expect("short names"));
        let mut left = bytes.clone();
        assert_eq!(usize::try_from(left.get_i32()).ok(), Some(left.len()), "{name}");
        let header = RequestHeader::decode(&mut left, T::header_version(version)).expect("our header");
        assert_eq!(header.request_api_key, R::KEY, "{name}");
        assert_eq!(header.request_api_version, version, "{name}");
        assert_eq!(header.correlation_id, 77, "{name}");
        assert_eq!(header.client_id, Some(text("it's us")), "{name}");
        let want = want(version);
        assert_eq!(left, encoded(&want, version), "{name}");
        assert_eq!(T::decode(&mut left, version).expect("our body"), want, "{name}");
        assert!(left.is_empty(), "{name}");
    }
}

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

const STRANGE: &str = "a\"<b>\0\n\u{1f980}";

/// The longest name that the protocol can say.
fn longest() -> String {
    "x".repeat(0x7fff)
}

#[test]
fn api_versions() {
    agrees(&ApiVersions, |version| {
        let request = theirs::ApiVersionsRequest::default();
        if version < 3 {
            return request;
        }
        request.with_client_software_name(text("kustody")).with_client_software_version(text(env!("CARGO_PKG_VERSION")))
    });
}

#[test]
fn sasl() {
    agrees(&SaslHandshake { mechanism: "SCRAM-SHA-512" }, |_| {
        theirs::SaslHandshakeRequest::default().with_mechanism(text("SCRAM-SHA-512"))
    });
    for message in [vec![], vec![0, 1, 255], vec![7; 300]] {
        agrees(&SaslAuthenticate { message: message.clone() }, |_| {
            theirs::SaslAuthenticateRequest::default().with_auth_bytes(message.clone().into())
        });
    }
}

#[test]
fn metadata() {
    let quiet = |version: i16| theirs::MetadataRequest::default().with_allow_auto_topic_creation(version < 4);
    agrees(&Metadata::AllTopics, |version| quiet(version).with_topics(None));
    agrees(&Metadata::Topic("kustody.canary".to_owned()), |version| {
        quiet(version).with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic("kustody.canary")))]))
    });
}

#[test]
fn groups() {
    let ids = vec!["g".to_owned(), STRANGE.to_owned()];
    agrees(&ListGroups, |_| theirs::ListGroupsRequest::default());
    agrees(&DescribeGroups { ids: ids.clone() }, |_| {
        theirs::DescribeGroupsRequest::default().with_groups(vec![group("g"), group(STRANGE)])
    });
    agrees(&ConsumerGroupDescribe { ids: ids.clone() }, |_| {
        theirs::ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g"), group(STRANGE)])
    });
    agrees(&ShareGroupDescribe { ids: ids.clone() }, |_| {
        theirs::ShareGroupDescribeRequest::default().with_group_ids(vec![group("g"), group(STRANGE)])
    });
    agrees(&DescribeShareGroupOffsets { ids }, |_| {
        let of = |id| DescribeShareGroupOffsetsRequestGroup::default().with_group_id(group(id)).with_topics(None);
        theirs::DescribeShareGroupOffsetsRequest::default().with_groups(vec![of("g"), of(STRANGE)])
    });
    for names in [Vec::new(), vec![String::new()], vec![longest()]] {
        let wanted: Vec<_> = names.iter().map(|name| group(name)).collect();
        agrees(&DescribeGroups { ids: names }, |_| {
            theirs::DescribeGroupsRequest::default().with_groups(wanted.clone())
        });
    }
}

#[test]
fn what_is_too_long_is_not_sent() {
    let request = DescribeGroups { ids: vec![longest() + "x"] };
    for version in DescribeGroups::VERSIONS {
        assert!(frame(&request, version, 1, "us").is_err(), "{version}");
    }
}

#[test]
fn find_coordinator() {
    for (of, key_type) in [(Coordinated::Group, 0), (Coordinated::Transaction, 1)] {
        agrees(&FindCoordinator { of, keys: vec!["g".to_owned(), STRANGE.to_owned()] }, |version| {
            let request = theirs::FindCoordinatorRequest::default().with_key_type(key_type);
            if version < MANY_KEYS_FROM {
                request.with_key(text("g"))
            } else {
                request.with_coordinator_keys(vec![text("g"), text(STRANGE)])
            }
        });
    }
}

#[test]
fn cluster() {
    agrees(&DescribeCluster, |version| {
        theirs::DescribeClusterRequest::default().with_endpoint_type(1).with_include_fenced_brokers(version >= 2)
    });
    agrees(&DescribeQuorum, |_| {
        let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
        let topic = describe_quorum_request::TopicData::default().with_topic_name(topic("__cluster_metadata"));
        theirs::DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![partition])])
    });
    agrees(&DescribeLogDirs, |_| theirs::DescribeLogDirsRequest::default().with_topics(None));
    agrees(&ListPartitionReassignments { timeout_ms: 900 }, |_| {
        theirs::ListPartitionReassignmentsRequest::default().with_timeout_ms(900).with_topics(None)
    });
}

#[test]
fn transactions() {
    agrees(&ListTransactions { states: &["Ongoing", "PrepareAbort"] }, |_| {
        theirs::ListTransactionsRequest::default()
            .with_state_filters(vec![text("Ongoing"), text("PrepareAbort")])
            .with_duration_filter(-1)
            .with_transactional_id_pattern(None)
    });
    agrees(&DescribeTransactions { ids: vec!["x".to_owned(), STRANGE.to_owned()] }, |_| {
        let ids = ["x", STRANGE].map(|id| theirs::TransactionalId(text(id)));
        theirs::DescribeTransactionsRequest::default().with_transactional_ids(ids.into())
    });
    agrees(&DescribeProducers { topics: vec![("t".to_owned(), vec![0, 7]), ("u".to_owned(), Vec::new())] }, |_| {
        let of = |name, partitions: &[i32]| {
            let of = describe_producers_request::TopicRequest::default().with_name(topic(name));
            of.with_partition_indexes(partitions.to_vec())
        };
        theirs::DescribeProducersRequest::default().with_topics(vec![of("t", &[0, 7]), of("u", &[])])
    });
}

#[test]
fn describe_topic_partitions() {
    let cursor = Cursor { topic: "t".to_owned(), partition: 4 };
    for cursor in [None, Some(cursor)] {
        let topics = vec!["t".to_owned(), "u".to_owned()];
        agrees(&DescribeTopicPartitions { topics, limit: 2_000, cursor: cursor.clone() }, |_| {
            let of = |name| describe_topic_partitions_request::TopicRequest::default().with_name(topic(name));
            let place = cursor.as_ref().map(|cursor| {
                let place = describe_topic_partitions_request::Cursor::default().with_topic_name(topic(&cursor.topic));
                place.with_partition_index(cursor.partition)
            });
            theirs::DescribeTopicPartitionsRequest::default()
                .with_topics(vec![of("t"), of("u")])
                .with_response_partition_limit(2_000)
                .with_cursor(place)
        });
    }
}

#[test]
fn offset_fetch() {
    let many = OffsetFetch { ids: vec!["g".to_owned(), STRANGE.to_owned()] };
    agrees(&many, |version| {
        let request = theirs::OffsetFetchRequest::default();
        if version < MANY_GROUPS_FROM {
            return request.with_group_id(group("g")).with_topics(None);
        }
        let of = |id| OffsetFetchRequestGroup::default().with_group_id(group(id)).with_topics(None);
        request.with_topics(Some(Vec::new())).with_groups(vec![of("g"), of(STRANGE)])
    });
}

#[test]
fn list_offsets() {
    let ends = [(LogEnd::LogStart, -2, 0), (LogEnd::LastStable, -1, 1), (LogEnd::HighWatermark, -1, 0)];
    for (end, timestamp, isolation) in ends {
        let topics = vec![("t".to_owned(), vec![(0, 5), (3, -1)])];
        agrees(&ListOffsets { end, timeout_ms: 900, topics }, |version| {
            let of = |partition, epoch| {
                ListOffsetsPartition::default()
                    .with_partition_index(partition)
                    .with_current_leader_epoch(if version < 4 { -1 } else { epoch })
                    .with_timestamp(timestamp)
            };
            theirs::ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_isolation_level(if version < 2 { 0 } else { isolation })
                .with_topics(vec![
                    ListOffsetsTopic::default().with_name(topic("t")).with_partitions(vec![of(0, 5), of(3, -1)]),
                ])
                .with_timeout_ms(if version < 10 { 0 } else { 900 })
        });
    }
}

#[test]
fn offset_for_leader_epoch() {
    let question = EpochQuestion { partition: 4, current: 9, epoch: 7 };
    agrees(&OffsetForLeaderEpoch { topics: vec![("t".to_owned(), vec![question])] }, |version| {
        theirs::OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(if version < 3 { -2 } else { -1 }))
            .with_topics(vec![OffsetForLeaderTopic::default().with_topic(topic("t")).with_partitions(vec![
                OffsetForLeaderPartition::default().with_partition(4).with_current_leader_epoch(9).with_leader_epoch(7),
            ])])
    });
}

#[test]
fn describe_configs() {
    let ours = DescribeConfigs { topics: vec!["t".to_owned()], keys: &["retention.ms", "cleanup.policy"] };
    agrees(&ours, |_| {
        theirs::DescribeConfigsRequest::default().with_resources(vec![
            DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configuration_keys(Some(vec![text("retention.ms"), text("cleanup.policy")])),
        ])
    });
}
