use bytes::BufMut;
use bytes::BytesMut;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};

use super::super::{
    Request, api_versions, consumer_group_describe, describe_cluster, describe_configs, describe_groups,
    describe_log_dirs, describe_producers, describe_quorum, describe_share_group_offsets, describe_topic_partitions,
    describe_transactions, find_coordinator, list_groups, list_offsets, list_partition_reassignments,
    list_transactions, metadata, offset_fetch, offset_for_leader_epoch, share_group_describe, throttle_ms,
};
use super::encoded;

/// Compares what we take for the throttle time with theirs, in every version that both speak; none is a message that has
/// no such field. Says in how many versions it was told.
fn told<R: Request, T: Encodable + Decodable + Message>(answer: &T, theirs: impl Fn(&T) -> i32) -> usize {
    let mut told = 0;
    for version in R::VERSIONS.filter(|version| (T::VERSIONS.min..=T::VERSIONS.max).contains(version)) {
        let body = encoded(answer, version);
        let want = theirs(&T::decode(&mut body.clone(), version).expect("their own"));
        let mut bytes = BytesMut::new();
        if version >= R::FLEXIBLE_FROM {
            bytes.put_u8(0);
        }
        bytes.extend(body);
        assert_eq!(throttle_ms::<R>(version, &bytes), want, "{} version {version}", R::NAME);
        told += usize::from(want == 1_234);
    }
    told
}

/// What is told of an API, in one line.
macro_rules! told {
    ($ours:ty, $theirs:ident) => {
        told::<$ours, theirs::$theirs>(&theirs::$theirs::default().with_throttle_time_ms(1_234), |answer| {
            answer.throttle_time_ms
        })
    };
}

#[test]
fn a_throttle_time_is_found_where_their_answers_have_it() {
    let told = [
        told!(metadata::Metadata, MetadataResponse),
        told!(list_groups::ListGroups, ListGroupsResponse),
        told!(describe_groups::DescribeGroups, DescribeGroupsResponse),
        told!(consumer_group_describe::ConsumerGroupDescribe, ConsumerGroupDescribeResponse),
        told!(share_group_describe::ShareGroupDescribe, ShareGroupDescribeResponse),
        told!(describe_share_group_offsets::DescribeShareGroupOffsets, DescribeShareGroupOffsetsResponse),
        told!(offset_fetch::OffsetFetch, OffsetFetchResponse),
        told!(list_offsets::ListOffsets, ListOffsetsResponse),
        told!(offset_for_leader_epoch::OffsetForLeaderEpoch, OffsetForLeaderEpochResponse),
        told!(find_coordinator::FindCoordinator, FindCoordinatorResponse),
        told!(describe_configs::DescribeConfigs, DescribeConfigsResponse),
        told!(describe_log_dirs::DescribeLogDirs, DescribeLogDirsResponse),
        told!(describe_cluster::DescribeCluster, DescribeClusterResponse),
        told!(describe_producers::DescribeProducers, DescribeProducersResponse),
        told!(list_transactions::ListTransactions, ListTransactionsResponse),
        told!(describe_transactions::DescribeTransactions, DescribeTransactionsResponse),
        told!(list_partition_reassignments::ListPartitionReassignments, ListPartitionReassignmentsResponse),
        told!(describe_topic_partitions::DescribeTopicPartitions, DescribeTopicPartitionsResponse),
    ];
    assert!(told.iter().all(|versions| *versions > 0), "each tells it in some version: {told:?}");
    let quorum = theirs::DescribeQuorumResponse::default();
    assert_eq!(self::told::<describe_quorum::DescribeQuorum, _>(&quorum, |_| 0), 0);
}

#[test]
fn what_is_cut_short_or_comes_elsewhere_tells_no_time() {
    assert_eq!(throttle_ms::<metadata::Metadata>(12, &[0, 0, 0]), 0);
    assert_eq!(throttle_ms::<metadata::Metadata>(2, &[0, 0, 1, 0]), 0, "before version 3 the brokers come first");
    assert_eq!(throttle_ms::<api_versions::ApiVersions>(3, &[0, 35, 0, 0, 0, 0, 9]), 0);
}
