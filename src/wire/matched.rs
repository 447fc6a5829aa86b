//! An answer about many things, each with its own part of it.

use std::collections::BTreeMap;

use super::api::describe_groups::Described;
use super::api::describe_share_group_offsets::ShareGroupOffsets;
use super::api::describe_transactions::DescribedTransaction;
use super::api::find_coordinator::Found;
use super::api::offset_fetch::GroupCommits;
use crate::model::{BrokerId, GroupId, Missing, Reading};

/// What has the name by which question and answer are matched.
pub(crate) trait Named {
    /// The name, as it goes over the wire.
    fn name(&self) -> &str;
}

impl Named for GroupId {
    fn name(&self) -> &str {
        self.as_str()
    }
}

impl Named for String {
    fn name(&self) -> &str {
        self
    }
}

impl Named for Described {
    fn name(&self) -> &str {
        &self.id
    }
}

impl Named for ShareGroupOffsets {
    fn name(&self) -> &str {
        &self.id
    }
}

impl Named for GroupCommits {
    fn name(&self) -> &str {
        &self.id
    }
}

impl Named for Found {
    fn name(&self) -> &str {
        &self.key
    }
}

impl Named for DescribedTransaction {
    fn name(&self) -> &str {
        &self.id
    }
}

/// Each of what was `asked`, with the reading of its own part of `broker`'s answer. What no part names was not answered,
/// and what was not asked for is left out.
pub(crate) fn matched<K: Named + Clone, A: Named, T>(
    broker: BrokerId,
    asked: &[K],
    answer: Result<Vec<A>, Missing>,
    read: impl Fn(A) -> Reading<T>,
) -> Vec<(K, Reading<T>)> {
    let (mut parts, absent) = match answer {
        Ok(parts) => {
            let by_name = parts.into_iter().map(|part| (part.name().to_owned(), part));
            (by_name.collect::<BTreeMap<_, _>>(), Missing::Garbled(broker))
        }
        Err(why) => (BTreeMap::new(), why),
    };
    let readings = asked.iter().map(|key| {
        let reading = parts.remove(key.name()).map_or(Reading::Missing(absent), &read);
        (key.clone(), reading)
    });
    readings.collect()
}

/// The ids of groups, as requests carry them.
pub(crate) fn texts(groups: &[GroupId]) -> Vec<String> {
    groups.iter().map(|id| id.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_part_and_what_no_part_names_was_not_answered() {
        let found = |key: &str, node| Found { key: key.to_owned(), node, error_code: 0 };
        let asked: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        let read = |answer: Result<Vec<Found>, Missing>| {
            let readings = matched(BrokerId(9), &asked, answer, |found| Reading::Read(found.node));
            assert!(readings.iter().map(|(key, _)| key).eq(&asked), "in the order asked");
            readings.into_iter().map(|(_, reading)| reading).collect::<Vec<_>>()
        };
        let garbled = Reading::Missing(Missing::Garbled(BrokerId(9)));
        let shuffled = vec![found("b", 2), found("a", 1), found("stranger", 7)];
        assert_eq!(read(Ok(shuffled)), [Reading::Read(1), Reading::Read(2), garbled]);
        assert_eq!(read(Ok(vec![found("", 1)])), [garbled; 3], "a part without a name is nobody's");
        let hung = Missing::TimedOut(BrokerId(9));
        assert_eq!(read(Err(hung)), [Reading::Missing(hung); 3]);
    }
}
