use bytes::{Buf, Bytes};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{self as theirs, BrokerId, GroupId, RequestHeader, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::super::api_versions::ApiVersions;
use super::super::consumer_group_describe::ConsumerGroupDescribe;
use super::super::describe_configs::DescribeConfigs;
use super::super::describe_groups::DescribeGroups;
use super::super::list_groups::ListGroups;
use super::super::list_offsets::{ListOffsets, LogEnd};
use super::super::metadata::Metadata;
use super::super::offset_fetch::{MANY_GROUPS_FROM, OffsetFetch};
use super::super::offset_for_leader_epoch::{EpochQuestion, OffsetForLeaderEpoch};
use super::super::{Request, frame};
use super::{encoded, text, versions};

/// Our bytes are read there as `want`, header included, and are byte for byte what is written there.
fn agrees<R, T>(ours: &R, want: impl Fn(i16) -> T)
where
    R: Request,
    T: Encodable + Decodable + HeaderVersion + kafka_protocol::protocol::Request + PartialEq + std::fmt::Debug,
{
    assert_eq!(R::KEY, T::KEY);
    for version in versions::<R>() {
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
    agrees(&ConsumerGroupDescribe { ids }, |_| {
        theirs::ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g"), group(STRANGE)])
    });
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
