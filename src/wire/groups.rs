//! The groups of one turn: who is to be asked about each, and what to believe of those that are not listed.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::api::error::is_passing;
use super::api::list_groups::Listed;
use super::codec::LONGEST_STRING;
use super::commits::{Commits, commits};
use super::coordinator::{Coordinator, Coordinators, OFFSETS_TOPIC};
use super::description::{Description, descriptions, group_type, state};
use super::group_list::{GroupList, GroupMemory};
use super::poll::{Poll, RETRIES};
use crate::model::{BrokerId, ConsumerGroup, GroupId, GroupState, GroupType, Missing, Part, Reading, Timestamp};

/// What a group's coordinator answered.
#[derive(Clone, Debug)]
struct Answer {
    coordinator: Option<BrokerId>,
    description: Description,
    commits: Reading<Commits>,
    as_of: Timestamp,
}

impl Answer {
    const fn missing(coordinator: Option<BrokerId>, why: Missing, as_of: Timestamp) -> Self {
        Self { coordinator, description: Reading::Missing(why), commits: Reading::Missing(why), as_of }
    }

    fn is_passing(&self) -> bool {
        self.description.missing().is_some_and(is_passing) || self.commits.missing().is_some_and(is_passing)
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
        let answers = self.answers(&wanted, list).await;
        let mut groups = BTreeMap::new();
        for (id, answer) in answers {
            let group_type = wanted.get(&id).copied().unwrap_or(GroupType::Unknown);
            let listed = list.groups.get(&id);
            let forget = listed.is_none()
                && memory.unlisted(&id, complete, self.now, self.options.forget_after)
                && (is_without_commits(group_type) || is_empty(&answer.commits));
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
    async fn answers(&mut self, wanted: &BTreeMap<GroupId, GroupType>, list: &GroupList) -> BTreeMap<GroupId, Answer> {
        let mut answers: BTreeMap<GroupId, Answer> = BTreeMap::new();
        for retry in 0..=RETRIES {
            let pending = wanted.iter().filter(|(id, _)| answers.get(*id).is_none_or(Answer::is_passing));
            let pending: Vec<_> = pending.map(|(id, group_type)| (id.clone(), *group_type)).collect();
            if pending.is_empty() || (retry > 0 && !self.refresh(retry).await) {
                break;
            }
            answers.extend(self.attempt(pending, list).await);
        }
        answers
    }

    async fn attempt(&self, pending: Vec<(GroupId, GroupType)>, list: &GroupList) -> BTreeMap<GroupId, Answer> {
        let coordinators = self.coordinators();
        let mut answers = BTreeMap::new();
        let mut by_broker: BTreeMap<BrokerId, Vec<(GroupId, GroupType)>> = BTreeMap::new();
        for (id, group_type) in pending {
            let coordinator = coordinators.of_group(&id);
            let leader = match coordinator {
                Coordinator::Leads(leader) => Some(leader),
                Coordinator::NotElected | Coordinator::NotVisible => None,
            };
            let refused = if is_without_commits(group_type) || id.as_str().len() > LONGEST_STRING {
                Some(Missing::Unsupported)
            } else {
                None
            };
            match (refused, asked(coordinator, list.groups.get(&id))) {
                (Some(why), _) | (None, Err(why)) => {
                    answers.insert(id, Answer::missing(leader, why, self.clock.wall()));
                }
                (None, Ok(broker)) => by_broker.entry(broker).or_default().push((id, group_type)),
            }
        }
        let asked = by_broker.iter().map(|(broker, groups)| self.ask_coordinator(*broker, groups));
        for (id, mut answer) in join_all(asked).await.into_iter().flatten() {
            answer.coordinator = match coordinators.of_group(&id) {
                Coordinator::Leads(leader) => Some(leader),
                Coordinator::NotElected | Coordinator::NotVisible => None,
            };
            answers.insert(id, answer);
        }
        answers
    }

    async fn ask_coordinator(&self, broker: BrokerId, groups: &[(GroupId, GroupType)]) -> Vec<(GroupId, Answer)> {
        let ids: Vec<_> = groups.iter().map(|(id, _)| id.clone()).collect();
        let (mut descriptions, commits) = tokio::join!(
            descriptions(&self.turn, broker, groups),
            commits(&self.turn, self.clock, broker, &ids, self.options.offset_fetch_groups),
        );
        let answers = commits.into_iter().map(|(id, as_of, commits)| {
            let description = descriptions.remove(&id).unwrap_or(Reading::Missing(Missing::Unsupported));
            (id, Answer { coordinator: None, description, commits, as_of })
        });
        answers.collect()
    }

    /// A group as far as its answer can be believed.
    fn group(
        &mut self,
        id: GroupId,
        group_type: GroupType,
        listed: bool,
        listed_state: Option<&str>,
        answer: Answer,
    ) -> ConsumerGroup {
        let (mut state, mut members) = match answer.description {
            Reading::Read((state, members)) => (Reading::Read(state), Reading::Read(members)),
            Reading::Missing(why) => (Reading::Missing(why), Reading::Missing(why)),
        };
        let mut commits = answer.commits;
        if is_without_commits(group_type) {
            state = listed_state
                .map_or(Reading::Missing(Missing::CoordinatorMoving), |name| Reading::Read(self::state(name)));
        } else if !listed {
            // A coordinator that does not list a group it is asked for may just not have loaded it: what it holds is
            // believed, that it holds nothing is not.
            if is_empty(&commits) {
                commits = Reading::Missing(Missing::CoordinatorMoving);
            }
            if state == Reading::Read(GroupState::Dead) {
                state = Reading::Missing(Missing::CoordinatorMoving);
                members = Reading::Missing(Missing::CoordinatorMoving);
            }
        }
        if !is_without_commits(group_type) {
            let gaps = [(Part::GroupDescription, state.missing()), (Part::Commits, commits.missing())];
            for (part, why) in gaps.into_iter().filter_map(|(part, why)| Some((part, why?))) {
                self.gaps.add(part, answer.coordinator, why);
            }
        }
        let commits = commits.map(|mut commits| {
            commits.retain(|at, _| self.scope.covers_topic(at.topic.as_str()));
            commits
        });
        ConsumerGroup {
            id,
            group_type,
            state,
            coordinator: answer.coordinator,
            members,
            commits,
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

/// True for the protocols whose progress is not kept as committed offsets.
const fn is_without_commits(group_type: GroupType) -> bool {
    match group_type {
        GroupType::Share | GroupType::Streams => true,
        GroupType::Classic | GroupType::Consumer | GroupType::Unknown => false,
    }
}

fn is_empty(commits: &Reading<Commits>) -> bool {
    commits.as_ref().value().is_some_and(Commits::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

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
