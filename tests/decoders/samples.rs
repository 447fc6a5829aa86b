//! Valid answers of every API and version, as another implementation writes them.

use bytes::Bytes;
use kafka_protocol::messages::{self as theirs, ResponseHeader};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Message};

use super::dice::Dice;
use super::wire::api::{self, Request};
use super::{answers, encoded};

/// Hands each API that `kafka-protocol` knows to a macro: our module (and the function of [`answers`]), our request,
/// their response.
macro_rules! apis {
    ($with:ident) => {
        $with! {
            api_versions ApiVersions ApiVersionsResponse;
            sasl_handshake SaslHandshake SaslHandshakeResponse;
            sasl_authenticate SaslAuthenticate SaslAuthenticateResponse;
            metadata Metadata MetadataResponse;
            find_coordinator FindCoordinator FindCoordinatorResponse;
            list_groups ListGroups ListGroupsResponse;
            describe_groups DescribeGroups DescribeGroupsResponse;
            consumer_group_describe ConsumerGroupDescribe ConsumerGroupDescribeResponse;
            share_group_describe ShareGroupDescribe ShareGroupDescribeResponse;
            describe_share_group_offsets DescribeShareGroupOffsets DescribeShareGroupOffsetsResponse;
            offset_fetch OffsetFetch OffsetFetchResponse;
            list_offsets ListOffsets ListOffsetsResponse;
            offset_for_leader_epoch OffsetForLeaderEpoch OffsetForLeaderEpochResponse;
            describe_log_dirs DescribeLogDirs DescribeLogDirsResponse;
            describe_configs DescribeConfigs DescribeConfigsResponse;
            describe_cluster DescribeCluster DescribeClusterResponse;
            describe_quorum DescribeQuorum DescribeQuorumResponse;
            describe_producers DescribeProducers DescribeProducersResponse;
            list_transactions ListTransactions ListTransactionsResponse;
            describe_transactions DescribeTransactions DescribeTransactionsResponse;
            list_partition_reassignments ListPartitionReassignments ListPartitionReassignmentsResponse;
            describe_topic_partitions DescribeTopicPartitions DescribeTopicPartitionsResponse;
        }
    };
}
pub(crate) use apis;

/// The versions of ours that `T` speaks too, which are nearly all.
pub(crate) fn versions<R: Request, T: Message>() -> impl Iterator<Item = i16> {
    R::VERSIONS.filter(|version| (T::VERSIONS.min..=T::VERSIONS.max).contains(version))
}

/// What follows the correlation id when `answer` is sent in `version`.
pub(crate) fn answer_bytes<T: Encodable + HeaderVersion>(answer: &T, version: i16) -> Bytes {
    let header = encoded(&ResponseHeader::default().with_correlation_id(0), T::header_version(version));
    [header.get(4..).expect("the correlation id is four bytes"), &encoded(answer, version)].concat().into()
}

/// A valid answer, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) bytes: Bytes,
}

macro_rules! sampled {
    ($($module:ident $request:ident $response:ident;)*) => {
        /// Answers of every API and version that `kafka-protocol` writes, of these seeds.
        pub(crate) fn samples(seeds: std::ops::Range<u64>) -> Vec<Sample> {
            let mut samples = Vec::new();
            $({
                use api::$module::$request;
                for version in versions::<$request, theirs::$response>() {
                    for seed in seeds.clone() {
                        let mut dice = Dice::new(seed, version, version >= $request::FLEXIBLE_FROM);
                        let bytes = answer_bytes(&answers::$module(&mut dice).0, version);
                        samples.push(Sample { key: $request::KEY, version, bytes });
                    }
                }
            })*
            samples
        }
    };
}
apis!(sampled);
