//! The last description of each group, for the turns in which it is not described anew.
//!
//! Members and their assignments are the largest part of what a coordinator tells, and the part that changes least. The
//! state of every group is listed in every turn, so a description stands as long as its group is listed in the state
//! it was described in, that state is a settled one, two descriptions in a row were alike, and every partition that it
//! commits has an owner. Else the group is described at once, so that nothing passing is shown for longer than it
//! lasted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::commits::Commits;
use super::description::{self, Description};
use super::options::Share;
use crate::model::{BrokerId, GroupId, GroupState, GroupType, Member, Reading, TopicPartition};

/// What was last described of a group.
#[derive(Clone, Debug)]
struct Kept {
    coordinator: BrokerId,
    group_type: GroupType,
    state: GroupState,
    members: Vec<Arc<Member>>,
    /// True once two descriptions in a row were alike.
    alike: bool,
    /// How many partitions it committed.
    committed: usize,
    /// True when each of these had an owner, or the group has no members.
    owned: bool,
}

/// How the coordinator lists a group in this turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedAs<'a> {
    pub(crate) coordinator: BrokerId,
    pub(crate) group_type: GroupType,
    /// None where the coordinator does not list it, or does not tell.
    pub(crate) state: Option<&'a str>,
}

/// The last descriptions of all groups.
#[derive(Debug, Default)]
pub(crate) struct Descriptions(BTreeMap<GroupId, Kept>);

impl Descriptions {
    /// The last description, where it stands in this turn.
    pub(crate) fn standing(
        &self,
        id: &GroupId,
        listed: ListedAs<'_>,
        share: Share,
    ) -> Option<(GroupState, Vec<Arc<Member>>)> {
        let kept = self.0.get(id)?;
        let is_settled = matches!(kept.state, GroupState::Stable | GroupState::Empty);
        let stands = is_settled
            && kept.alike
            && kept.owned
            && kept.coordinator == listed.coordinator
            && kept.group_type == listed.group_type
            && listed.state.map(description::state) == Some(kept.state)
            && !is_of(id, share);
        stands.then(|| (kept.state, kept.members.clone()))
    }

    /// Takes note of what a turn has of a group, described anew or not.
    pub(crate) fn keep(
        &mut self,
        id: &GroupId,
        (coordinator, group_type): (Option<BrokerId>, GroupType),
        description: &Description,
        commits: Option<&Commits>,
        is_fresh: bool,
    ) {
        let (Some(coordinator), Reading::Read((state, members))) = (coordinator, description) else {
            self.0.remove(id);
            return;
        };
        let committed = commits.map_or(0, Commits::len);
        let owned = || members.is_empty() || commits.is_none_or(|commits| has_owners(members, commits));
        match self.0.get_mut(id) {
            Some(kept) if !is_fresh || (kept.state == *state && kept.members == *members) => {
                kept.alike |= is_fresh;
                // Between descriptions only where the number of commits says that others are there now.
                if is_fresh || kept.committed != committed {
                    (kept.owned, kept.committed) = (owned(), committed);
                }
                (kept.coordinator, kept.group_type) = (coordinator, group_type);
            }
            Some(_) | None => {
                let (state, owned) = (*state, owned());
                let members = members.clone();
                let kept = Kept { coordinator, group_type, state, members, alike: false, committed, owned };
                self.0.insert(id.clone(), kept);
            }
        }
    }

    /// Forgets the groups that are not of these.
    pub(crate) fn retain(&mut self, is_known: impl Fn(&GroupId) -> bool) {
        self.0.retain(|id, _| is_known(id));
    }
}

fn has_owners(members: &[Arc<Member>], commits: &Commits) -> bool {
    let owned: BTreeSet<&TopicPartition> = members.iter().flat_map(|member| &member.assignment).collect();
    commits.keys().all(|at| owned.contains(at))
}

/// True when the group is of the share whose turn it is.
fn is_of(id: &GroupId, share: Share) -> bool {
    let sum = id.as_str().bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    sum.checked_rem(share.of) == share.turn.checked_rem(share.of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Missing;

    const ONE: BrokerId = BrokerId(1);
    const STABLE: ListedAs<'static> =
        ListedAs { coordinator: ONE, group_type: GroupType::Classic, state: Some("Stable") };

    fn described(state: GroupState, owns: &[i32]) -> Description {
        let assignment = owns.iter().map(|partition| TopicPartition::new("t", *partition)).collect();
        let member = Member { id: "m".into(), client_id: "c".to_owned(), host: "h".to_owned(), assignment };
        Reading::Read((state, if owns.is_empty() { Vec::new() } else { vec![Arc::new(member)] }))
    }

    fn commits(partitions: &[i32]) -> Commits {
        let missing = Reading::Missing(Missing::CoordinatorMoving);
        partitions.iter().map(|partition| (TopicPartition::new("t", *partition), missing)).collect()
    }

    /// The share of `g`, and the next one.
    fn shares() -> (Share, Share) {
        let of = |turn| Share { turn, of: 10 };
        let its = (0..10).find(|turn| is_of(&"g".into(), of(*turn))).expect("it is of one share");
        (of(its), of(its + 1))
    }

    #[test]
    fn a_description_stands_while_nothing_speaks_against_it() {
        let (its, others) = shares();
        let stable = || described(GroupState::Stable, &[0, 1]);
        let rebalancing = || described(GroupState::PreparingRebalance, &[0]);
        type Case<'a> = (&'a str, Vec<Description>, &'a [i32], ListedAs<'a>, Share, bool);
        let cases: [Case<'_>; 12] = [
            ("two alike", vec![stable(), stable()], &[0, 1], STABLE, others, true),
            (
                "empty",
                vec![described(GroupState::Empty, &[]); 2],
                &[0],
                ListedAs { state: Some("Empty"), ..STABLE },
                others,
                true,
            ),
            ("its turn", vec![stable(), stable()], &[0, 1], STABLE, its, false),
            ("described once", vec![stable()], &[0, 1], STABLE, others, false),
            ("never", vec![], &[0, 1], STABLE, others, false),
            (
                "changed meanwhile",
                vec![stable(), stable(), described(GroupState::Stable, &[0])],
                &[0],
                STABLE,
                others,
                false,
            ),
            (
                "listed in another state",
                vec![stable(), stable()],
                &[0],
                ListedAs { state: Some("Empty"), ..STABLE },
                others,
                false,
            ),
            ("not listed", vec![stable(), stable()], &[0], ListedAs { state: None, ..STABLE }, others, false),
            (
                "not settled",
                vec![rebalancing(), rebalancing()],
                &[0],
                ListedAs { state: Some("PreparingRebalance"), ..STABLE },
                others,
                false,
            ),
            ("a partition without an owner", vec![stable(), stable()], &[0, 1, 2], STABLE, others, false),
            (
                "at another coordinator",
                vec![stable(), stable()],
                &[0],
                ListedAs { coordinator: BrokerId(2), ..STABLE },
                others,
                false,
            ),
            (
                "of another type",
                vec![stable(), stable()],
                &[0],
                ListedAs { group_type: GroupType::Consumer, ..STABLE },
                others,
                false,
            ),
        ];
        for (name, turns, committed, listed, share, want) in cases {
            let mut kept = Descriptions::default();
            for description in turns {
                let commits = commits(committed);
                kept.keep(&"g".into(), (Some(ONE), GroupType::Classic), &description, Some(&commits), true);
            }
            assert_eq!(kept.standing(&"g".into(), listed, share).is_some(), want, "{name}");
        }
    }

    #[test]
    fn what_was_not_described_anew_confirms_nothing_and_what_is_missing_is_not_kept() {
        let (_, others) = shares();
        let (id, of) = (GroupId::from("g"), (Some(ONE), GroupType::Classic));
        let stable = described(GroupState::Stable, &[0]);
        let mut kept = Descriptions::default();
        kept.keep(&id, of, &stable, None, true);
        kept.keep(&id, of, &stable, None, false);
        assert_eq!(kept.standing(&id, STABLE, others), None, "it was described once");
        kept.keep(&id, of, &stable, None, true);
        assert!(kept.standing(&id, STABLE, others).is_some());
        kept.keep(&id, of, &stable, Some(&commits(&[7])), false);
        assert_eq!(kept.standing(&id, STABLE, others), None, "it committed what nobody owns");
        kept.keep(&id, of, &stable, Some(&commits(&[])), false);
        assert!(kept.standing(&id, STABLE, others).is_some());
        kept.keep(&id, of, &Reading::Missing(Missing::CoordinatorMoving), None, true);
        assert_eq!(kept.standing(&id, STABLE, others), None);
    }

    #[test]
    fn every_group_has_its_turn() {
        for number in 0..100 {
            let id = GroupId::from(format!("group-{number}"));
            let turns = (50..60).filter(|turn| is_of(&id, Share { turn: *turn, of: 10 })).count();
            assert_eq!(turns, 1, "{id}");
        }
    }
}
