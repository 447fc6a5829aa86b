use proptest::prelude::*;

use super::super::api_versions::ApiVersions;
use super::super::consumer_group_describe::ConsumerGroupDescribe;
use super::super::describe_configs::DescribeConfigs;
use super::super::describe_groups::DescribeGroups;
use super::super::list_groups::ListGroups;
use super::super::list_offsets::ListOffsets;
use super::super::metadata::Metadata;
use super::super::offset_fetch::OffsetFetch;
use super::super::offset_for_leader_epoch::OffsetForLeaderEpoch;
use super::super::{Request, response};
use super::responses::samples;

/// Reads `bytes` as every answer in every version: what matters is that it returns.
fn read_as_everything(bytes: &[u8]) {
    fn read_as<R: Request>(bytes: &[u8]) {
        for version in R::VERSIONS {
            drop(response::<R>(version, bytes).ok());
        }
    }
    read_as::<ApiVersions>(bytes);
    read_as::<Metadata>(bytes);
    read_as::<ListGroups>(bytes);
    read_as::<DescribeGroups>(bytes);
    read_as::<ConsumerGroupDescribe>(bytes);
    read_as::<OffsetFetch>(bytes);
    read_as::<ListOffsets>(bytes);
    read_as::<OffsetForLeaderEpoch>(bytes);
    read_as::<DescribeConfigs>(bytes);
}

/// A decoder that believed one of these lengths would ask for more memory than there is, and abort.
#[test]
fn huge_lengths_at_every_position_are_refused() {
    let lengths: [&[u8]; 4] =
        [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x7f, 0xff], &[0x80, 0, 0, 0]];
    for (_, _, sample) in samples() {
        for at in 0..sample.len() {
            for length in lengths {
                let mut bytes = sample.to_vec();
                for (byte, new) in bytes.iter_mut().skip(at).zip(length) {
                    *byte = *new;
                }
                read_as_everything(&bytes);
            }
        }
    }
}

#[test]
fn an_answer_cut_anywhere_is_refused() {
    for (name, version, sample) in samples().into_iter().filter(|(name, _, _)| *name == Metadata::NAME) {
        for length in 0..sample.len() {
            let cut = sample.get(..length).expect("shorter than all");
            assert!(response::<Metadata>(version, cut).is_err(), "{name} {version}: {length} bytes");
        }
    }
}

#[test]
fn bytes_behind_an_answer_are_refused() {
    for (name, version, sample) in samples().into_iter().filter(|(name, _, _)| *name == OffsetFetch::NAME) {
        let longer = [&sample[..], &[0]].concat();
        assert!(response::<OffsetFetch>(version, &longer).is_err(), "{name} {version}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn mutated_answers_never_panic(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let samples = samples();
        let mut bytes = which.get(&samples).2.to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_as_everything(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        read_as_everything(&bytes);
    }
}
