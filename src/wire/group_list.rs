//! Which groups there are, and when a group that is not listed is gone.
//!
//! After a broker started, ListGroups answers "no groups, no error" for up to a minute, while the coordinators behind
//! it are not elected or loaded yet. So absence from a list proves nothing by itself. A list is *complete* when every
//! partition of `__consumer_offsets` has a leader, each of these answered without error, and neither leadership nor
//! our connection to the leader is younger than [`Options::group_list_settle`](super::Options). A group is forgotten
//! when three complete lists in a row lack it, over at least `forget_after`, and its coordinator has no commit of it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::api::consumer_group_describe::ConsumerGroupDescribe;
use super::api::error;
use super::api::list_groups::{ListGroups, Listed, Listing};
use super::commits::Sizes;
use super::coordinator::Coordinators;
use super::gaps::Gaps;
use super::kept::Descriptions;
use super::topic_names::TopicNames;
use super::turn::Turn;
use crate::model::{BrokerId, GroupId, GroupType, LeaderEpoch, Missing, Part};

/// Complete lists in a row that must lack a group.
const ABSENCES: u32 = 3;

/// What the brokers listed in one turn.
#[derive(Debug, Default)]
pub(crate) struct GroupList {
    /// Who listed each group, and how.
    pub(crate) groups: BTreeMap<GroupId, BTreeMap<BrokerId, Listed>>,
    /// Brokers whose list is whole, and since when we are connected to them.
    answered: BTreeMap<BrokerId, Instant>,
}

/// Asks all brokers for their groups.
pub(crate) async fn group_list(turn: &Turn<'_>, brokers: &[BrokerId], gaps: &mut Gaps) -> GroupList {
    let mut list = GroupList::default();
    let answers = brokers.iter().map(|broker| one_list(turn, *broker));
    for (broker, answer) in brokers.iter().zip(join_all(answers).await) {
        match answer {
            Ok((listing, since)) => {
                match error::missing(listing.error_code) {
                    None => {
                        list.answered.insert(*broker, since);
                    }
                    Some(why) => gaps.add(Part::GroupList, Some(*broker), why),
                }
                for listed in listing.groups {
                    list.groups.entry(listed.id.as_str().into()).or_default().insert(*broker, listed);
                }
            }
            Err(why) => gaps.add(Part::GroupList, Some(*broker), why),
        }
    }
    list
}

async fn one_list(turn: &Turn<'_>, broker: BrokerId) -> Result<(Listing, Instant), Missing> {
    let mut listing = turn.ask(broker, &ListGroups).await?;
    if turn.version::<ConsumerGroupDescribe>(broker).await == Err(Missing::Unsupported) {
        // Before KIP-848 there is one type, and the list does not tell it.
        for listed in &mut listing.groups {
            listed.group_type.get_or_insert_with(|| "classic".to_owned());
        }
    }
    // The connection the answer came by, or a younger one: never an older.
    let since = turn.line(broker).await?.since;
    Ok((listing, since))
}

/// A group that some turn has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    pub(crate) group_type: GroupType,
    /// How many complete lists in a row lacked it, and when the first did.
    absent: Option<(u32, Instant)>,
}

/// What is remembered from turn to turn about groups.
#[derive(Debug, Default)]
pub(crate) struct GroupMemory {
    pub(crate) groups: BTreeMap<GroupId, Remembered>,
    /// What each group's commits took of the last answer.
    pub(crate) sizes: Sizes,
    /// What was last described.
    pub(crate) descriptions: Descriptions,
    /// The topics that commits may be of.
    pub(crate) names: TopicNames,
    /// The leaders of `__consumer_offsets`, and since when each is seen in its term.
    leaders: Vec<(BrokerId, Option<LeaderEpoch>, Instant)>,
}

impl GroupMemory {
    /// Takes note of the coordinators of this turn, and says whether the list is complete.
    pub(crate) fn is_complete(
        &mut self,
        list: &GroupList,
        coordinators: &Coordinators,
        now: Instant,
        settle: Duration,
    ) -> bool {
        let Some(leaders) = coordinators.all_elected() else {
            self.leaders.clear();
            return false;
        };
        let seen = leaders.iter().zip(0_usize..).map(|((leader, epoch), index)| {
            let before = self.leaders.get(index).filter(|(was, term, _)| (was, term) == (leader, epoch));
            (*leader, *epoch, before.map_or(now, |(_, _, since)| *since))
        });
        self.leaders = seen.collect();
        self.leaders.iter().all(|(leader, _, elected)| {
            let connected = list.answered.get(leader);
            connected.is_some_and(|connected| now.saturating_duration_since(*connected.max(elected)) >= settle)
        })
    }

    /// Remembers a group that is listed.
    pub(crate) fn listed(&mut self, id: &GroupId, group_type: GroupType) {
        self.groups.insert(id.clone(), Remembered { group_type, absent: None });
    }

    /// A group that a complete list lacks, or one that is not (`complete` false); true once it is to be forgotten,
    /// which its coordinator must confirm by having no commit of it.
    pub(crate) fn unlisted(&mut self, id: &GroupId, complete: bool, now: Instant, forget_after: Duration) -> bool {
        let Some(remembered) = self.groups.get_mut(id) else { return false };
        remembered.absent = match remembered.absent {
            _ if !complete => None,
            None => Some((1, now)),
            Some((count, first)) => Some((count.saturating_add(1), first)),
        };
        remembered
            .absent
            .is_some_and(|(count, first)| count >= ABSENCES && now.saturating_duration_since(first) >= forget_after)
    }

    pub(crate) fn forget(&mut self, id: &GroupId) {
        self.groups.remove(id);
        self.sizes.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::api::metadata::{self, PartitionLeader, TopicLeaders};
    use crate::wire::topology::Topology;

    const SETTLE: Duration = Duration::from_mins(1);

    fn coordinators(leaders: &[(i32, i32)]) -> Coordinators {
        let partitions = leaders.iter().zip(0..).map(|((leader, leader_epoch), index)| PartitionLeader {
            index,
            leader: *leader,
            leader_epoch: *leader_epoch,
            ..PartitionLeader::default()
        });
        let name = Some("__consumer_offsets".to_owned());
        let topic = TopicLeaders { name, partitions: partitions.collect(), ..TopicLeaders::default() };
        let topology: Topology = metadata::Topology { topics: vec![topic], ..metadata::Topology::default() }.into();
        Coordinators::of(topology.topics.values().next())
    }

    fn answered(brokers: &[(i32, Instant)]) -> GroupList {
        let answered = brokers.iter().map(|(id, since)| (BrokerId(*id), *since)).collect();
        GroupList { groups: BTreeMap::new(), answered }
    }

    #[test]
    fn a_list_is_complete_when_settled_leaders_all_answered() {
        let start = Instant::now();
        let later = start + SETTLE;
        let calm = [(1, 5), (2, 7)];
        type Case<'a> = (&'a str, &'a [(i32, i32)], &'a [(i32, Instant)], bool);
        let cases: [Case<'_>; 7] = [
            ("all settled", &calm, &[(1, start), (2, start)], true),
            ("one did not answer", &calm, &[(1, start)], false),
            ("one is newly connected", &calm, &[(1, start), (2, later)], false),
            ("one partition has no leader", &[(1, 5), (-1, 7)], &[(1, start), (2, start)], false),
            ("one was elected anew", &[(1, 5), (2, 8)], &[(1, start), (2, start)], false),
            ("one moved", &[(1, 5), (1, 8)], &[(1, start), (2, start)], false),
            ("the topic is not visible", &[], &[(1, start), (2, start)], false),
        ];
        for (name, leaders, brokers, want) in cases {
            let mut memory = GroupMemory::default();
            let list = answered(&[(1, start), (2, start)]);
            assert!(!memory.is_complete(&list, &coordinators(&calm), start, SETTLE), "{name}: just begun");
            let complete = memory.is_complete(&answered(brokers), &coordinators(leaders), later, SETTLE);
            assert_eq!(complete, want, "{name}");
        }
    }

    #[test]
    fn a_group_is_forgotten_after_three_complete_lists_and_some_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        type Case<'a> = (&'a str, &'a [(bool, u64)], bool);
        let cases: [Case<'_>; 5] = [
            ("three times over ten seconds", &[(true, 0), (true, 5), (true, 10)], true),
            ("three times at once", &[(true, 0), (true, 1), (true, 2)], false),
            ("twice over ten seconds", &[(true, 0), (true, 10)], false),
            ("an incomplete list in between", &[(true, 0), (true, 5), (false, 10), (true, 15)], false),
            ("never a complete list", &[(false, 0), (false, 50), (false, 100)], false),
        ];
        for (name, lists, want) in cases {
            let mut memory = GroupMemory::default();
            let id = GroupId::from("g");
            memory.listed(&id, GroupType::Classic);
            let mut forget = false;
            for (complete, seconds) in lists {
                forget = memory.unlisted(&id, *complete, at(*seconds), Duration::from_secs(10));
            }
            assert_eq!(forget, want, "{name}");
            memory.listed(&id, GroupType::Classic);
            assert!(!memory.unlisted(&id, true, at(60), Duration::from_secs(10)), "{name}: listed again");
        }
    }
}
