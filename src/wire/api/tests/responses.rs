use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::{ApiVersion, SupportedFeatureKey};
use kafka_protocol::messages::consumer_group_describe_response::{self as group_describe, Assignment, TopicPartitions};
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{self as theirs, BrokerId, GroupId, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

use super::super::api_versions::{ApiVersions, Offered};
use super::super::consumer_group_describe::ConsumerGroupDescribe;
use super::super::describe_configs::{DescribeConfigs, TopicSettings};
use super::super::describe_groups::{DescribeGroups, Described, DescribedMember};
use super::super::list_groups::{ListGroups, Listed, Listing};
use super::super::list_offsets::{ListOffsets, ListedOffset};
use super::super::metadata::{Metadata, Node, PartitionLeader, TopicLeaders, Topology};
use super::super::offset_fetch::{Commit, GroupCommits, MANY_GROUPS_FROM, OffsetFetch};
use super::super::offset_for_leader_epoch::{EpochAnswer, OffsetForLeaderEpoch};
use super::super::{Request, response};
use super::{encoded, text, versions};

/// What follows the correlation id when `answer` is sent in `version`.
fn answer_bytes<T: Encodable + HeaderVersion>(answer: &T, version: i16) -> Bytes {
    let header = encoded(&ResponseHeader::default().with_correlation_id(0), T::header_version(version));
    [header.get(4..).expect("the correlation id is four bytes"), &encoded(answer, version)].concat().into()
}

/// One answer of each API in each version of ours, as another implementation writes it.
pub(super) fn samples() -> Vec<(&'static str, i16, Bytes)> {
    fn of<R: Request, T: Encodable + HeaderVersion>(answer: impl Fn(i16) -> T) -> Vec<(&'static str, i16, Bytes)> {
        versions::<R>().map(|version| (R::NAME, version, answer_bytes(&answer(version), version))).collect()
    }
    [
        of::<ApiVersions, _>(api_versions_answer),
        of::<Metadata, _>(metadata_answer),
        of::<ListGroups, _>(list_groups_answer),
        of::<DescribeGroups, _>(describe_groups_answer),
        of::<ConsumerGroupDescribe, _>(consumer_group_describe_answer),
        of::<OffsetFetch, _>(offset_fetch_answer),
        of::<ListOffsets, _>(list_offsets_answer),
        of::<OffsetForLeaderEpoch, _>(offset_for_leader_epoch_answer),
        of::<DescribeConfigs, _>(describe_configs_answer),
    ]
    .concat()
}

fn agrees<R, T>(answer: impl Fn(i16) -> T, want: impl Fn(i16) -> R::Response)
where
    R: Request<Response: PartialEq + std::fmt::Debug>,
    T: Encodable + HeaderVersion,
{
    for version in versions::<R>() {
        let bytes = answer_bytes(&answer(version), version);
        assert_eq!(response::<R>(version, &bytes), Ok(want(version)), "{} {version}", R::NAME);
    }
}

/// `value` from version `first` on, nothing before.
fn from<T: Default>(version: i16, first: i16, value: T) -> T {
    if version >= first { value } else { T::default() }
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn api_versions_answer(version: i16) -> theirs::ApiVersionsResponse {
    let answer = theirs::ApiVersionsResponse::default()
        .with_api_keys(vec![
            ApiVersion::default().with_api_key(3).with_min_version(0).with_max_version(13),
            ApiVersion::default().with_api_key(18).with_min_version(0).with_max_version(4),
        ])
        .with_throttle_time_ms(from(version, 1, 7));
    // Features are tagged fields: to be skipped.
    let feature = SupportedFeatureKey::default().with_name(text("metadata.version")).with_max_version(29);
    answer.with_supported_features(from(version, 3, vec![feature]))
}

#[test]
fn api_versions() {
    let ranges = || [(3, 0..=13), (18, 0..=4)].into_iter().collect();
    agrees::<ApiVersions, _>(api_versions_answer, |_| Offered { error_code: 0, ranges: ranges() });
    // KIP-511: an unsupported version is answered in version 0, whatever was asked.
    let refused = answer_bytes(
        &theirs::ApiVersionsResponse::default()
            .with_error_code(35)
            .with_api_keys(vec![ApiVersion::default().with_api_key(18).with_max_version(2)]),
        0,
    );
    let want = Offered { error_code: 35, ranges: [(18, 0..=2)].into_iter().collect() };
    assert_eq!(response::<ApiVersions>(3, &refused), Ok(want));
}

fn metadata_answer(version: i16) -> theirs::MetadataResponse {
    let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let partition = MetadataResponsePartition::default()
        .with_error_code(5)
        .with_partition_index(2)
        .with_leader_id(BrokerId(-1))
        .with_leader_epoch(from(version, 7, 12))
        .with_replica_nodes(brokers(&[1, 2, 3]))
        .with_isr_nodes(brokers(&[2]))
        .with_offline_replicas(from(version, 5, brokers(&[1, 3])));
    let topic = MetadataResponseTopic::default()
        .with_name(Some(topic("t")))
        .with_is_internal(true)
        .with_partitions(vec![partition]);
    let topic = if version >= 10 {
        topic.with_topic_id("00010203-0405-0607-0809-0a0b0c0d0e0f".parse().expect("an id"))
    } else {
        topic
    };
    theirs::MetadataResponse::default()
        .with_throttle_time_ms(from(version, 3, 9))
        .with_brokers(vec![
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(2))
                .with_host(text("b2.example"))
                .with_port(9092)
                .with_rack(Some(text("r"))),
        ])
        .with_cluster_id(from(version, 2, Some(text("cluster"))))
        .with_controller_id(BrokerId(2))
        .with_topics(vec![
            topic,
            MetadataResponseTopic::default().with_error_code(29).with_name(Some(TopicName::default())),
        ])
        .with_error_code(from(version, 13, 104))
}

#[test]
fn metadata() {
    agrees::<Metadata, _>(metadata_answer, |version| {
        let id = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let partition = PartitionLeader {
            error_code: 5,
            index: 2,
            leader: -1,
            leader_epoch: if version >= 7 { 12 } else { -1 },
            replicas: vec![1, 2, 3],
            in_sync: vec![2],
            offline: from(version, 5, vec![1, 3]),
        };
        let seen = TopicLeaders {
            error_code: 0,
            name: Some("t".to_owned()),
            id: from(version, 10, id),
            internal: true,
            partitions: vec![partition],
        };
        let refused = TopicLeaders { error_code: 29, name: Some(String::new()), ..TopicLeaders::default() };
        Topology {
            brokers: vec![Node { id: 2, host: "b2.example".to_owned(), port: 9092, rack: Some("r".to_owned()) }],
            cluster_id: from(version, 2, Some("cluster".to_owned())),
            controller: 2,
            topics: vec![seen, refused],
            error_code: from(version, 13, 104),
        }
    });
}

fn list_groups_answer(version: i16) -> theirs::ListGroupsResponse {
    theirs::ListGroupsResponse::default().with_throttle_time_ms(from(version, 1, 9)).with_error_code(14).with_groups(
        vec![
            ListedGroup::default()
                .with_group_id(group("g"))
                .with_protocol_type(text("consumer"))
                .with_group_state(from(version, 4, text("Stable")))
                .with_group_type(from(version, 5, text("classic"))),
        ],
    )
}

#[test]
fn list_groups() {
    agrees::<ListGroups, _>(list_groups_answer, |version| Listing {
        error_code: 14,
        groups: vec![Listed {
            id: "g".to_owned(),
            protocol_type: "consumer".to_owned(),
            state: from(version, 4, Some("Stable".to_owned())),
            group_type: from(version, 5, Some("classic".to_owned())),
        }],
    });
}

fn member(version: i16, assignment: &'static [u8]) -> DescribedGroupMember {
    DescribedGroupMember::default()
        .with_member_id(text("m"))
        .with_group_instance_id(from(version, 4, Some(text("i"))))
        .with_client_id(text("c"))
        .with_client_host(text("/10.0.0.1"))
        .with_member_metadata(Bytes::from_static(&[1, 2, 3]))
        .with_member_assignment(Bytes::from_static(assignment))
}

fn describe_groups_answer(version: i16) -> theirs::DescribeGroupsResponse {
    let of = |protocol: &str| {
        DescribedGroup::default()
            .with_error_code(from(version, 6, 69))
            .with_error_message(from(version, 6, Some(text("gone"))))
            .with_group_id(group("g"))
            .with_group_state(text("Stable"))
            .with_protocol_type(text(protocol))
            .with_protocol_data(text("range"))
            .with_members(vec![member(
                version,
                &[0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 4, 255, 255, 255, 255],
            )])
    };
    theirs::DescribeGroupsResponse::default()
        .with_throttle_time_ms(from(version, 1, 9))
        .with_groups(vec![of("consumer"), of("connect")])
}

#[test]
fn describe_groups() {
    agrees::<DescribeGroups, _>(describe_groups_answer, |version| {
        let of = |assignment| Described {
            error_code: from(version, 6, 69),
            id: "g".to_owned(),
            state: "Stable".to_owned(),
            members: vec![DescribedMember {
                id: "m".to_owned(),
                client_id: "c".to_owned(),
                host: "/10.0.0.1".to_owned(),
                assignment,
            }],
        };
        vec![of(vec![("t".to_owned(), vec![4])]), of(Vec::new())]
    });
}

fn consumer_group_describe_answer(version: i16) -> theirs::ConsumerGroupDescribeResponse {
    let assignment = |partitions| {
        Assignment::default().with_topic_partitions(vec![
            TopicPartitions::default().with_topic_name(topic("t")).with_partitions(partitions),
        ])
    };
    let member = group_describe::Member::default()
        .with_member_id(text("m"))
        .with_rack_id(Some(text("r")))
        .with_client_id(text("c"))
        .with_client_host(text("/10.0.0.1"))
        .with_subscribed_topic_names(vec![topic("t"), topic("u")])
        .with_assignment(assignment(vec![1, 2]))
        .with_target_assignment(assignment(vec![1, 2, 3]))
        .with_member_type(if version >= 1 { 1 } else { -1 });
    theirs::ConsumerGroupDescribeResponse::default().with_groups(vec![
        group_describe::DescribedGroup::default()
            .with_group_id(group("g"))
            .with_group_state(text("Reconciling"))
            .with_assignor_name(text("uniform"))
            .with_members(vec![member]),
    ])
}

#[test]
fn consumer_group_describe() {
    agrees::<ConsumerGroupDescribe, _>(consumer_group_describe_answer, |_| {
        vec![Described {
            error_code: 0,
            id: "g".to_owned(),
            state: "Reconciling".to_owned(),
            members: vec![DescribedMember {
                id: "m".to_owned(),
                client_id: "c".to_owned(),
                host: "/10.0.0.1".to_owned(),
                assignment: vec![("t".to_owned(), vec![1, 2])],
            }],
        }]
    });
}

fn offset_fetch_answer(version: i16) -> theirs::OffsetFetchResponse {
    let answer = theirs::OffsetFetchResponse::default().with_throttle_time_ms(from(version, 3, 9));
    let epoch = if version >= 5 { 6 } else { -1 };
    if version < MANY_GROUPS_FROM {
        let partition = OffsetFetchResponsePartition::default()
            .with_partition_index(4)
            .with_committed_offset(1 << 40)
            .with_committed_leader_epoch(epoch)
            .with_metadata(Some(text("mine")))
            .with_error_code(3);
        return answer.with_error_code(16).with_topics(vec![
            OffsetFetchResponseTopic::default().with_name(topic("t")).with_partitions(vec![partition]),
        ]);
    }
    let partition = OffsetFetchResponsePartitions::default()
        .with_partition_index(4)
        .with_committed_offset(1 << 40)
        .with_committed_leader_epoch(epoch)
        .with_metadata(None)
        .with_error_code(3);
    answer.with_groups(vec![
        OffsetFetchResponseGroup::default().with_group_id(group("g")).with_error_code(16).with_topics(vec![
            OffsetFetchResponseTopics::default().with_name(topic("t")).with_partitions(vec![partition]),
        ]),
    ])
}

#[test]
fn offset_fetch() {
    agrees::<OffsetFetch, _>(offset_fetch_answer, |version| {
        let leader_epoch = if version >= 5 { 6 } else { -1 };
        vec![GroupCommits {
            id: from(version, MANY_GROUPS_FROM, "g".to_owned()),
            error_code: 16,
            topics: vec![("t".to_owned(), vec![Commit { partition: 4, offset: 1 << 40, leader_epoch, error_code: 3 }])],
        }]
    });
}

fn list_offsets_answer(version: i16) -> theirs::ListOffsetsResponse {
    let partition = ListOffsetsPartitionResponse::default()
        .with_partition_index(4)
        .with_error_code(78)
        .with_timestamp(1)
        .with_offset(1 << 40)
        .with_leader_epoch(if version >= 4 { 6 } else { -1 });
    theirs::ListOffsetsResponse::default()
        .with_throttle_time_ms(from(version, 2, 9))
        .with_topics(vec![ListOffsetsTopicResponse::default().with_name(topic("t")).with_partitions(vec![partition])])
}

#[test]
fn list_offsets() {
    agrees::<ListOffsets, _>(list_offsets_answer, |_| {
        vec![("t".to_owned(), vec![ListedOffset { partition: 4, error_code: 78, offset: 1 << 40 }])]
    });
}

fn offset_for_leader_epoch_answer(_version: i16) -> theirs::OffsetForLeaderEpochResponse {
    let end =
        EpochEndOffset::default().with_error_code(74).with_partition(4).with_leader_epoch(6).with_end_offset(1 << 40);
    theirs::OffsetForLeaderEpochResponse::default()
        .with_throttle_time_ms(9)
        .with_topics(vec![OffsetForLeaderTopicResult::default().with_topic(topic("t")).with_partitions(vec![end])])
}

#[test]
fn offset_for_leader_epoch() {
    agrees::<OffsetForLeaderEpoch, _>(offset_for_leader_epoch_answer, |_| {
        vec![("t".to_owned(), vec![EpochAnswer { error_code: 74, partition: 4, leader_epoch: 6, end_offset: 1 << 40 }])]
    });
}

fn describe_configs_answer(version: i16) -> theirs::DescribeConfigsResponse {
    let setting = DescribeConfigsResourceResult::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("-1")))
        .with_config_source(5)
        .with_synonyms(vec![
            DescribeConfigsSynonym::default().with_name(text("log.retention.hours")).with_value(None).with_source(5),
        ])
        .with_config_type(from(version, 3, 5))
        .with_documentation(from(version, 3, Some(text("how long"))));
    let secret = DescribeConfigsResourceResult::default()
        .with_name(text("x"))
        .with_value(None)
        .with_is_sensitive(true)
        .with_documentation(from(version, 3, None));
    theirs::DescribeConfigsResponse::default().with_throttle_time_ms(9).with_results(vec![
        DescribeConfigsResult::default()
            .with_error_code(29)
            .with_error_message(Some(text("no")))
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![setting, secret]),
    ])
}

#[test]
fn describe_configs() {
    agrees::<DescribeConfigs, _>(describe_configs_answer, |_| {
        vec![TopicSettings {
            error_code: 29,
            topic: "t".to_owned(),
            settings: vec![("retention.ms".to_owned(), Some("-1".to_owned())), ("x".to_owned(), None)],
        }]
    });
}
