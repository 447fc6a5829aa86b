//! The flags of a partition, counted as Kafka's own gauges and `kafka-topics.sh` count them.

use std::collections::BTreeMap;

use super::view::{PartitionCounts, PartitionFlags, TopicView};
use crate::model::{Missing, Partition, Reading, TopicName, Watermarks};

/// The flags of a partition whose metadata was read in this turn. Without a known `min.insync.replicas` neither
/// [`PartitionFlags::under_min_isr`] nor [`PartitionFlags::at_min_isr`] is judged.
///
/// `unknown` is set beside the others when the leader does not answer: who leads it is known then, its log is not.
/// `reassigning` is never set: Metadata does not tell a reassignment from a plain replica.
pub(crate) fn flags(partition: &Partition, min_isr: Option<u32>, watermarks: &Watermarks) -> PartitionFlags {
    let replicas = partition.replicas.len();
    let in_sync = partition.in_sync.len();
    // Kafka caps the setting by the replication factor (`effectiveMinIsr`): one replica and min ISR 2 is not an outage.
    let min_isr = min_isr.and_then(|number| usize::try_from(number).ok()).map(|number| number.min(replicas));
    PartitionFlags {
        offline: partition.leader.is_none(),
        under_min_isr: min_isr.is_some_and(|least| in_sync < least),
        at_min_isr: min_isr.is_some_and(|least| in_sync == least && replicas > least),
        under_replicated: in_sync < replicas,
        reassigning: false,
        leader_not_preferred: partition.leader.is_some() && partition.leader != partition.replicas.first().copied(),
        unknown: watermarks.high_watermark.missing().is_some_and(leader_is_silent),
    }
}

/// True where the reason says that the leader could not be heard or may not be asked, false where it answered or where
/// there is none to ask.
fn leader_is_silent(why: Missing) -> bool {
    match why {
        Missing::Unreachable(_)
        | Missing::TimedOut(_)
        | Missing::Garbled(_)
        | Missing::ClusterUnreachable
        | Missing::TopicNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::Throttled => true,
        Missing::NoLeader
        | Missing::LeaderMoving
        | Missing::OffsetNotAvailable
        | Missing::CoordinatorMoving
        | Missing::GroupNotAuthorized
        | Missing::TransactionNotAuthorized
        | Missing::Unsupported
        | Missing::KafkaError(_)
        | Missing::NotAsked
        | Missing::TopicNotInMetadata
        | Missing::Unconfirmed => false,
    }
}

impl PartitionCounts {
    /// The counts over all partitions of the topics.
    #[must_use]
    pub fn over(topics: &BTreeMap<TopicName, TopicView>) -> Self {
        let mut counts = Self::default();
        for partition in topics.values().flat_map(|topic| topic.partitions.values()) {
            let flags = partition.flags;
            counts.total += 1;
            for (holds, count) in [
                (flags.offline, &mut counts.offline),
                (flags.under_min_isr, &mut counts.under_min_isr),
                (flags.at_min_isr, &mut counts.at_min_isr),
                (flags.under_replicated, &mut counts.under_replicated),
                (flags.reassigning, &mut counts.reassigning),
                (flags.leader_not_preferred, &mut counts.leader_not_preferred),
                (flags.unknown, &mut counts.unknown),
            ] {
                *count += u64::from(holds);
            }
        }
        counts
    }
}

/// No end of the log is known, all for one reason.
pub(crate) fn no_watermarks(why: Missing) -> Watermarks {
    Watermarks {
        log_start: Reading::Missing(why),
        last_stable: Reading::Missing(why),
        high_watermark: Reading::Missing(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BrokerId, LeaderEpoch, Offset, PartitionId};

    fn partition(leader: Option<i32>, replicas: &[i32], in_sync: &[i32]) -> Partition {
        let ids = |numbers: &[i32]| numbers.iter().copied().map(BrokerId).collect();
        Partition {
            id: PartitionId(0),
            leader: leader.map(BrokerId),
            leader_epoch: LeaderEpoch::new(3),
            replicas: ids(replicas),
            in_sync: ids(in_sync),
            offline_replicas: Vec::new(),
        }
    }

    #[test]
    fn flags_hold_as_kafkas_gauges_do() {
        let none = PartitionFlags::default();
        let under = PartitionFlags { under_replicated: true, ..none };
        let cases = [
            ("healthy", partition(Some(1), &[1, 2, 3], &[1, 2, 3]), Some(2), none),
            (
                "one follower gone",
                partition(Some(1), &[1, 2, 3], &[1, 2]),
                Some(2),
                PartitionFlags { at_min_isr: true, ..under },
            ),
            ("one of three gone, min ISR 1", partition(Some(1), &[1, 2, 3], &[1, 2]), Some(1), under),
            (
                "under min ISR",
                partition(Some(1), &[1, 2, 3], &[1]),
                Some(2),
                PartitionFlags { under_min_isr: true, ..under },
            ),
            ("min ISR not known", partition(Some(1), &[1, 2, 3], &[1]), None, under),
            ("all replicas are min ISR", partition(Some(1), &[1, 2], &[1, 2]), Some(2), none),
            ("one replica, min ISR 2", partition(Some(1), &[1], &[1]), Some(2), none),
            ("one replica, min ISR 1", partition(Some(1), &[1], &[1]), Some(1), none),
            (
                "leader not preferred",
                partition(Some(2), &[1, 2], &[1, 2]),
                Some(1),
                PartitionFlags { leader_not_preferred: true, ..none },
            ),
            (
                "offline",
                partition(None, &[1, 2, 3], &[1]),
                Some(2),
                PartitionFlags { offline: true, under_min_isr: true, ..under },
            ),
            (
                "offline with one replica",
                partition(None, &[1], &[1]),
                Some(1),
                PartitionFlags { offline: true, ..none },
            ),
        ];
        let read = Watermarks {
            log_start: Reading::Read(Offset::ZERO),
            last_stable: Reading::Read(Offset::ZERO),
            high_watermark: Reading::Read(Offset::ZERO),
        };
        for (name, partition, min_isr, want) in cases {
            assert_eq!(flags(&partition, min_isr, &read), want, "{name}");
        }
    }

    #[test]
    fn a_silent_leader_makes_the_partition_unknown_and_an_election_does_not() {
        let healthy = partition(Some(1), &[1, 2], &[1, 2]);
        let cases = [
            (Missing::TimedOut(BrokerId(1)), true),
            (Missing::Unreachable(BrokerId(1)), true),
            (Missing::TopicNotAuthorized, true),
            (Missing::NoLeader, false),
            (Missing::LeaderMoving, false),
            (Missing::OffsetNotAvailable, false),
        ];
        for (why, unknown) in cases {
            let want = PartitionFlags { unknown, ..PartitionFlags::default() };
            assert_eq!(flags(&healthy, Some(1), &no_watermarks(why)), want, "{why}");
        }
    }
}
