//! The decoders by name.

use std::ops::RangeInclusive;

use super::wire::api::{self, Request, response};
use super::wire::codec::Malformed;

/// One decoder, with what it reads dropped.
#[derive(Clone, Debug)]
pub(crate) struct Decoder {
    pub(crate) key: i16,
    pub(crate) name: &'static str,
    pub(crate) versions: RangeInclusive<i16>,
    read: fn(i16, &[u8]) -> Result<(), Malformed>,
}

impl Decoder {
    fn of<R: Request>() -> Self {
        Self {
            key: R::KEY,
            name: R::NAME,
            versions: R::VERSIONS,
            read: |version, bytes| response::<R>(version, bytes).map(drop),
        }
    }

    pub(crate) fn read(&self, version: i16, bytes: &[u8]) -> Result<(), Malformed> {
        (self.read)(version, bytes)
    }
}

/// All decoders.
pub(crate) fn decoders() -> Vec<Decoder> {
    vec![
        Decoder::of::<api::api_versions::ApiVersions>(),
        Decoder::of::<api::sasl_handshake::SaslHandshake>(),
        Decoder::of::<api::sasl_authenticate::SaslAuthenticate>(),
        Decoder::of::<api::metadata::Metadata>(),
        Decoder::of::<api::find_coordinator::FindCoordinator>(),
        Decoder::of::<api::list_groups::ListGroups>(),
        Decoder::of::<api::describe_groups::DescribeGroups>(),
        Decoder::of::<api::consumer_group_describe::ConsumerGroupDescribe>(),
        Decoder::of::<api::share_group_describe::ShareGroupDescribe>(),
        Decoder::of::<api::describe_share_group_offsets::DescribeShareGroupOffsets>(),
        Decoder::of::<api::streams_group_describe::StreamsGroupDescribe>(),
        Decoder::of::<api::offset_fetch::OffsetFetch>(),
        Decoder::of::<api::list_offsets::ListOffsets>(),
        Decoder::of::<api::offset_for_leader_epoch::OffsetForLeaderEpoch>(),
        Decoder::of::<api::describe_log_dirs::DescribeLogDirs>(),
        Decoder::of::<api::describe_configs::DescribeConfigs>(),
        Decoder::of::<api::describe_cluster::DescribeCluster>(),
        Decoder::of::<api::describe_quorum::DescribeQuorum>(),
        Decoder::of::<api::describe_producers::DescribeProducers>(),
        Decoder::of::<api::list_transactions::ListTransactions>(),
        Decoder::of::<api::describe_transactions::DescribeTransactions>(),
        Decoder::of::<api::list_partition_reassignments::ListPartitionReassignments>(),
        Decoder::of::<api::describe_topic_partitions::DescribeTopicPartitions>(),
    ]
}

/// The decoder of an API, by its key.
pub(crate) fn decoder(key: i16) -> Option<Decoder> {
    decoders().into_iter().find(|decoder| decoder.key == key)
}

/// An input as fuzzing keeps it: the key of the API, the version, and then the bytes; nothing when there is no such decoder.
pub(crate) fn addressed(input: &[u8]) -> Option<(Decoder, i16, &[u8])> {
    let (key, rest) = input.split_first()?;
    let (version, bytes) = rest.split_first()?;
    let decoder = decoder(i16::from(*key))?;
    let version = i16::from(*version);
    decoder.versions.contains(&version).then_some((decoder, version, bytes))
}
