//! The groups of one turn: who is to be asked about each, and what to believe of those that are not listed.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::api::error::is_passing;
use super::api::find_coordinator::Coordinated;
use super::api::list_groups::Listed;
use super::codec::LONGEST_STRING;
use super::commits::{self, Commits, Fetch, commits};
use super::coordination;
use super::coordinator::{Coordinator, Coordinators, OFFSETS_TOPIC};
use super::description::{Description, descriptions, group_type, state};
use super::group_list::{GroupList, GroupMemory};
use super::kept::ListedAs;
use super::poll::{Poll, RETRIES};
use super::share::{ShareOffsets, share_offsets};
use crate::model::{
    BrokerId, ConsumerGroup, GroupId, GroupState, GroupType, Member, Missing, Part, Reading, Timestamp,
};

/// What a group's coordinator answered.
#[derive(Clone, Debug)]
struct Answer {
    coordinator: Option<BrokerId>,
    description: Description,
    commits: Reading<Commits>,
    share_offsets: Reading<ShareOffsets>,
    as_of: Timestamp,
    /// False where the description is one that an earlier turn read.
    is_described: bool,
}

impl Answer {
    const fn missing(coordinator: Option<BrokerId>, why: Missing, as_of: Timestamp) -> Self {
        let (commits, share_offsets) = (Reading::Missing(why), Reading::Missing(why));
        Self { coordinator, description: Reading::Missing(why), commits, share_offsets, as_of, is_described: true }
    }

    /// Why something is missing that another ask may bring.
    fn passing(&self) -> impl Iterator<Item = Missing> {
        let missing = [self.description.missing(), self.commits.missing(), self.share_offsets.missing()];
        missing.into_iter().flatten().filter(|why| is_passing(*why))
    }

    fn is_passing(&self) -> bool {
        self.passing().next().is_some()
    }

    /// What says how far the group is, or why nothing does.
    fn progress_missing(&self, group_type: GroupType) -> Option<Missing> {
        if commits_nothing(group_type) { self.share_offsets.missing() } else { self.commits.missing() }
    }
}

impl Poll<'_> {
    /// Reads the groups that were listed and those remembered.
    pub(crate) async fn groups(
        &mut self,
        list: &GroupList,
        complete: bool,
        memory: &mut GroupMemory,
    ) -> BTreeMap<GroupId, ConsumerGroup> {
        let coordinators = self.coordinators();
        let mut wanted: BTreeMap<GroupId, GroupType> = BTreeMap::new();
        for (id, listed) in list.groups.iter().filter(|(id, _)| self.scope.covers_group(id)) {
            let listed = authoritative(coordinators.of_group(id), listed);
            let listed_type = listed.and_then(|listed| listed.group_type.as_deref());
            let listed_type = listed_type.map_or(GroupType::Unknown, group_type);
            memory.listed(id, listed_type);
            wanted.insert(id.clone(), listed_type);
        }
        for (id, remembered) in memory.groups.iter().filter(|(id, _)| self.scope.covers_group(id)) {
            wanted.entry(id.clone()).or_insert(remembered.group_type);
        }
        let topics = self.topology.topics.values();
        memory.names.renew(topics.filter_map(|topic| Some((topic.id?, topic.name.clone()))), self.now);
        let answers = self.answers(&wanted, list, memory).await;
        memory.descriptions.retain(|id| wanted.contains_key(id));
        let mut groups = BTreeMap::new();
        for (id, answer) in answers {
            let group_type = wanted.get(&id).copied().unwrap_or(GroupType::Unknown);
            let listed = list.groups.get(&id);
            if let Reading::Read(commits) = &answer.commits {
                memory.sizes.insert(id.clone(), commits::size(commits));
            }
            if self.scope.described.is_some() {
                let (of, commits) = ((answer.coordinator, group_type), answer.commits.as_ref().value());
                memory.descriptions.keep(&id, of, &answer.description, commits, answer.is_described);
            }
            let forget = listed.is_none()
                && memory.unlisted(&id, complete, self.now, self.options.forget_after)
                && (commits_nothing(group_type) || is_empty(&answer.commits));
            if forget {
                memory.forget(&id);
                continue;
            }
            let listed_state = listed.and_then(|listed| {
                authoritative(answer.coordinator.map_or(Coordinator::NotVisible, Coordinator::Leads), listed)?
                    .state
                    .as_deref()
            });
            let group = self.group(id, group_type, listed.is_some(), listed_state, answer);
            groups.insert(group.id.clone(), group);
        }
        groups
    }

    pub(crate) fn coordinators(&self) -> Coordinators {
        Coordinators::of(self.topology.topics.get(OFFSETS_TOPIC))
    }

    /// Asks each group's coordinator, and again after fresh metadata while it moves.
    async fn answers(
        &mut self,
        wanted: &BTreeMap<GroupId, GroupType>,
        list: &GroupList,
        memory: &GroupMemory,
    ) -> BTreeMap<GroupId, Answer> {
        let mut answers: BTreeMap<GroupId, Answer> = BTreeMap::new();
        for retry in 0..=RETRIES {
            let pending = wanted.iter().filter(|(id, _)| answers.get(*id).is_none_or(Answer::is_passing));
            let pending: Vec<_> = pending.map(|(id, group_type)| (id.clone(), *group_type)).collect();
            let reasons: Vec<_> = answers.values().flat_map(Answer::passing).collect();
            if pending.is_empty() || (retry > 0 && !self.again(retry, reasons).await) {
                break;
            }
            answers.extend(self.attempt(pending, list, memory).await);
        }
        answers
    }

    async fn attempt(
        &self,
        pending: Vec<(GroupId, GroupType)>,
        list: &GroupList,
        memory: &GroupMemory,
    ) -> BTreeMap<GroupId, Answer> {
        let coordinators = self.coordinators();
        let named = self.named_coordinators(&coordinators, &pending, list).await;
        let mut answers = BTreeMap::new();
        let mut by_broker: BTreeMap<BrokerId, Vec<(GroupId, GroupType)>> = BTreeMap::new();
        for (id, group_type) in pending {
            let coordinator = match (coordinators.of_group(&id), named.get(&id)) {
                (Coordinator::NotVisible, Some(named)) => Coordinator::Leads(*named),
                (coordinator, _) => coordinator,
            };
            let asked = match asked(coordinator, list.groups.get(&id)) {
                Ok(_) if id.as_str().len() > LONGEST_STRING => Err(Missing::Unsupported),
                asked => asked,
            };
            match asked {
                Err(why) => {
                    let answer = Answer::missing(leader(coordinator), why, self.clock.wall());
                    answers.insert(id, answer);
                }
                Ok(broker) => by_broker.entry(broker).or_default().push((id, group_type)),
            }
        }
        let asked = by_broker.iter().map(|(broker, groups)| self.ask_coordinator(*broker, groups, list, memory));
        for (id, mut answer) in join_all(asked).await.into_iter().flatten() {
            answer.coordinator = leader(coordinators.of_group(&id)).or_else(|| named.get(&id).copied());
            answers.insert(id, answer);
        }
        answers
    }

    /// The coordinators of groups that Metadata does not tell, for want of sight of `__consumer_offsets`. Only groups
    /// that are listed are asked for: for any other the question would create that topic where there is none.
    async fn named_coordinators(
        &self,
        coordinators: &Coordinators,
        pending: &[(GroupId, GroupType)],
        list: &GroupList,
    ) -> BTreeMap<GroupId, BrokerId> {
        let hidden = pending.iter().map(|(id, _)| id).filter(|id| {
            coordinators.of_group(id) == Coordinator::NotVisible
                && list.groups.contains_key(*id)
                && id.as_str().len() <= LONGEST_STRING
        });
        let hidden: Vec<String> = hidden.map(|id| id.as_str().to_owned()).collect();
        if hidden.is_empty() {
            return BTreeMap::new();
        }
        for broker in self.readers() {
            let found = coordination::coordinators(&self.turn, broker, Coordinated::Group, &hidden).await;
            if let Ok(found) = found {
                let found = found.into_iter().filter_map(|(id, found)| Some((GroupId::from(id), found.value()?)));
                return found.collect();
            }
        }
        BTreeMap::new()
    }

    async fn ask_coordinator(
        &self,
        broker: BrokerId,
        groups: &[(GroupId, GroupType)],
        list: &GroupList,
        memory: &GroupMemory,
    ) -> Vec<(GroupId, Answer)> {
        let mut standing = self.standing(broker, groups, list, memory);
        let to_describe = groups.iter().filter(|(id, _)| !standing.contains_key(id)).cloned().collect::<Vec<_>>();
        let fetch = Fetch {
            groups: self.options.offset_fetch_groups,
            bytes: self.options.offset_fetch_bytes,
            sizes: &memory.sizes,
            names: &memory.names,
        };
        let (share, committing): (Vec<_>, Vec<_>) =
            groups.iter().partition(|(_, group_type)| commits_nothing(*group_type));
        let ids = |groups: Vec<&(GroupId, GroupType)>| groups.into_iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        let (share, committing) = (ids(share), ids(committing));
        let (mut descriptions, commits, offsets) = tokio::join!(
            descriptions(&self.turn, broker, &to_describe, &self.topology),
            commits(&self.turn, self.clock, broker, &committing, fetch),
            share_offsets(&self.turn, self.clock, broker, &share),
        );
        let commits = commits.into_iter().map(|(id, as_of, commits)| {
            // Nothing was asked of it that could be missing.
            (id, as_of, commits, Reading::Missing(Missing::NotAsked))
        });
        let offsets = offsets.into_iter().map(|(id, as_of, offsets)| {
            let commits = Reading::Missing(offsets.missing().unwrap_or(Missing::Unsupported));
            (id, as_of, commits, offsets)
        });
        let answers = commits.chain(offsets).map(|(id, as_of, commits, share_offsets)| {
            let (description, is_described) = match standing.remove(&id) {
                Some(description) => (Reading::Read(description), false),
                None => (descriptions.remove(&id).unwrap_or(Reading::Missing(Missing::Unsupported)), true),
            };
            (id, Answer { coordinator: None, description, commits, share_offsets, as_of, is_described })
        });
        answers.collect()
    }

    /// The last descriptions of those of a coordinator's groups that need none in this turn. Few groups are all described
    /// in every turn: that takes one request.
    fn standing(
        &self,
        broker: BrokerId,
        groups: &[(GroupId, GroupType)],
        list: &GroupList,
        memory: &GroupMemory,
    ) -> BTreeMap<GroupId, (GroupState, Vec<Arc<Member>>)> {
        let Some(share) = self.scope.described.filter(|_| groups.len() > self.options.always_described) else {
            return BTreeMap::new();
        };
        let standing = groups.iter().filter_map(|(id, group_type)| {
            let listed = list.groups.get(id)?.get(&broker)?;
            let listed = ListedAs { coordinator: broker, group_type: *group_type, state: listed.state.as_deref() };
            Some((id.clone(), memory.descriptions.standing(id, listed, share)?))
        });
        standing.collect()
    }

    /// A group as far as its answer can be believed.
    fn group(
        &mut self,
        id: GroupId,
        group_type: GroupType,
        listed: bool,
        listed_state: Option<&str>,
        mut answer: Answer,
    ) -> ConsumerGroup {
        let group_type = type_by_description(group_type, &answer.description);
        let (mut state, mut members) = match answer.description.as_ref() {
            Reading::Read((state, members)) => (Reading::Read(*state), Reading::Read(members.clone())),
            Reading::Missing(why) => (Reading::Missing(why), Reading::Missing(why)),
        };
        if state == Reading::Missing(Missing::Unsupported) {
            // A broker that cannot describe the groups of a type still lists their state.
            state = listed_state.map_or(state, |name| Reading::Read(self::state(name)));
        }
        if !listed {
            // A coordinator that does not list a group it is asked for may just not have loaded it: what it holds is
            // believed, that it holds nothing is not.
            if is_empty(&answer.commits) {
                answer.commits = Reading::Missing(Missing::CoordinatorMoving);
            }
            if answer.share_offsets.as_ref().value().is_some_and(ShareOffsets::is_empty) {
                answer.share_offsets = Reading::Missing(Missing::CoordinatorMoving);
            }
            if state == Reading::Read(GroupState::Dead) {
                state = Reading::Missing(Missing::CoordinatorMoving);
                members = Reading::Missing(Missing::CoordinatorMoving);
            }
        }
        let gaps = [(Part::GroupDescription, state.missing()), (Part::Commits, answer.progress_missing(group_type))];
        for (part, why) in gaps.into_iter().filter_map(|(part, why)| Some((part, why?))) {
            // What the broker cannot tell of a newer type is no gap in what it tells.
            if why != Missing::Unsupported || !is_newer(group_type) {
                self.gaps.add(part, answer.coordinator, why);
            }
        }
        let scope = self.scope;
        let commits = answer.commits.map(|mut commits| {
            commits.retain(|at, _| scope.covers_topic(at.topic.as_str()));
            commits
        });
        let share_offsets = answer.share_offsets.map(|mut offsets| {
            offsets.retain(|at, _| scope.covers_topic(at.topic.as_str()));
            offsets
        });
        ConsumerGroup {
            id,
            group_type,
            state,
            coordinator: answer.coordinator,
            members,
            commits,
            share_offsets,
            commits_as_of: answer.as_of,
        }
    }
}

/// The listing to go by: the coordinator's own, else anybody's.
fn authoritative(coordinator: Coordinator, listed: &BTreeMap<BrokerId, Listed>) -> Option<&Listed> {
    let own = match coordinator {
        Coordinator::Leads(leader) => listed.get(&leader),
        Coordinator::NotElected | Coordinator::NotVisible => None,
    };
    own.or_else(|| listed.values().next())
}

/// Who is asked about a group.
fn asked(coordinator: Coordinator, listed: Option<&BTreeMap<BrokerId, Listed>>) -> Result<BrokerId, Missing> {
    match coordinator {
        Coordinator::Leads(leader) => Ok(leader),
        Coordinator::NotElected => Err(Missing::CoordinatorMoving),
        // Without sight of `__consumer_offsets` the broker that lists the group is taken, if there is only one.
        Coordinator::NotVisible => match listed.map(|listed| listed.keys().collect::<Vec<_>>()).as_deref() {
            Some([lister]) => Ok(**lister),
            Some(_) | None => Err(Missing::CoordinatorMoving),
        },
    }
}

const fn leader(coordinator: Coordinator) -> Option<BrokerId> {
    match coordinator {
        Coordinator::Leads(leader) => Some(leader),
        Coordinator::NotElected | Coordinator::NotVisible => None,
    }
}

/// True for the type whose progress is not kept as committed offsets.
const fn commits_nothing(group_type: GroupType) -> bool {
    match group_type {
        GroupType::Share => true,
        GroupType::Classic | GroupType::Consumer | GroupType::Streams | GroupType::Unknown => false,
    }
}

/// True for the types that some brokers list before they can describe them.
const fn is_newer(group_type: GroupType) -> bool {
    match group_type {
        GroupType::Share | GroupType::Streams => true,
        GroupType::Classic | GroupType::Consumer | GroupType::Unknown => false,
    }
}

/// Before Kafka 3.8 (ListGroups 5) nobody tells a group's type. It was asked for by DescribeGroups, which describes classic
/// groups alone: any other is dead to it.
fn type_by_description(listed: GroupType, description: &Description) -> GroupType {
    let is_described = matches!(description, Reading::Read((state, _)) if *state != GroupState::Dead);
    if listed == GroupType::Unknown && is_described { GroupType::Classic } else { listed }
}

fn is_empty(commits: &Reading<Commits>) -> bool {
    commits.as_ref().value().is_some_and(Commits::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_nobody_tells_is_that_of_the_api_that_describes_the_group() {
        let described = |state| Reading::Read((state, Vec::new()));
        let hung = Reading::Missing(Missing::TimedOut(BrokerId(1)));
        let cases = [
            ("described", GroupType::Unknown, described(GroupState::Stable), GroupType::Classic),
            (
                "dead to the API: another type, or none",
                GroupType::Unknown,
                described(GroupState::Dead),
                GroupType::Unknown,
            ),
            ("not described", GroupType::Unknown, hung, GroupType::Unknown),
            ("told", GroupType::Consumer, described(GroupState::Stable), GroupType::Consumer),
        ];
        for (name, listed, description, want) in cases {
            assert_eq!(type_by_description(listed, &description), want, "{name}");
        }
    }

    #[test]
    fn the_leader_of_its_partition_is_asked_about_a_group() {
        let by = |brokers: &[i32]| brokers.iter().map(|id| (BrokerId(*id), Listed::default())).collect();
        let one: BTreeMap<_, _> = by(&[7]);
        let two: BTreeMap<_, _> = by(&[7, 8]);
        let moving = Err(Missing::CoordinatorMoving);
        let cases = [
            ("by metadata", Coordinator::Leads(BrokerId(1)), Some(&one), Ok(BrokerId(1))),
            ("listed by nobody", Coordinator::Leads(BrokerId(1)), None, Ok(BrokerId(1))),
            ("no leader, though listed", Coordinator::NotElected, Some(&one), moving),
            ("not visible, one lists it", Coordinator::NotVisible, Some(&one), Ok(BrokerId(7))),
            ("not visible, two list it", Coordinator::NotVisible, Some(&two), moving),
            ("not visible, nobody lists it", Coordinator::NotVisible, None, moving),
        ];
        for (name, coordinator, listed, want) in cases {
            assert_eq!(asked(coordinator, listed), want, "{name}");
        }
    }
}
