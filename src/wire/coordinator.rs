//! Which broker coordinates a group: the leader of its partition of `__consumer_offsets`, by Metadata.
//!
//! A continued zombie still lists and serves the groups it once had, so who lists a group decides nothing.

use crate::model::{BrokerId, GroupId, LeaderEpoch, Reading, Topic};

/// The internal topic of group coordination.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Java's `String.hashCode`: over UTF-16 code units, wrapping.
fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `__consumer_offsets`, of so many, that holds a group.
///
/// Kafka takes `Utils.abs` of the hash (0 for the smallest number), not its lower 31 bits as for keys of records: for a
/// negative hash these are different partitions.
fn partition_of(group: &GroupId, partitions: usize) -> Option<usize> {
    let hash = java_string_hash(group.as_str()).checked_abs().unwrap_or(0);
    usize::try_from(hash).ok()?.checked_rem(partitions)
}

/// Who coordinates a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coordinator {
    /// The leader of its partition.
    Leads(BrokerId),
    /// Its partition has no leader.
    NotElected,
    /// `__consumer_offsets` is not in our metadata: no group ever was, or we may not describe it.
    NotVisible,
}

/// The leaders of `__consumer_offsets`, by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coordinators(Vec<(Option<BrokerId>, Option<LeaderEpoch>)>);

impl Coordinators {
    /// What the metadata of the topic says.
    pub(crate) fn of(topic: Option<&Topic>) -> Self {
        let Some(Reading::Read(partitions)) = topic.map(|topic| &topic.partitions) else { return Self::default() };
        let contiguous = partitions.keys().zip(0..).all(|(partition, index)| partition.0 == index);
        // A group's partition is counted from all of them: with one missing, no coordinator is known.
        if !contiguous {
            return Self::default();
        }
        Self(partitions.values().map(|partition| (partition.leader, partition.leader_epoch)).collect())
    }

    pub(crate) fn of_group(&self, group: &GroupId) -> Coordinator {
        let partition = partition_of(group, self.0.len()).and_then(|index| self.0.get(index));
        match partition {
            None => Coordinator::NotVisible,
            Some((None, _)) => Coordinator::NotElected,
            Some((Some(leader), _)) => Coordinator::Leads(*leader),
        }
    }

    /// Every partition's leader and its term, if all have one and there are any.
    pub(crate) fn all_elected(&self) -> Option<Vec<(BrokerId, Option<LeaderEpoch>)>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.iter().map(|(leader, epoch)| leader.map(|leader| (leader, *epoch))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        // Printed by Java: hashCode(), and Utils.abs of it modulo 50.
        let cases = [
            ("", 0, 0),
            ("a", 97, 47),
            ("my-group", -1_906_497_762, 12),
            ("appnew", -1_411_059_745, 45),
            ("polygenelubricants", i32::MIN, 0),
            ("größe", 98_762_257, 7),
            ("日本", 835_047, 47),
            ("\u{1f980}", 1_772_802, 2),
            ("\u{ffff}\u{ffff}\u{ffff}\u{ffff}", 2_017_429_440, 40),
        ];
        for (text, hash, partition) in cases {
            assert_eq!(java_string_hash(text), hash, "{text:?}");
            assert_eq!(partition_of(&text.into(), 50), Some(partition), "{text:?}");
        }
        assert_eq!(partition_of(&"a".into(), 0), None);
    }
}
