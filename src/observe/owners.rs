//! Who in a group owns what.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{ConsumerGroup, GroupState, Member, Reading, TopicName, TopicPartition};

/// Which member owns what; ascending, each partition once.
pub(crate) struct Owners<'a> {
    pub(crate) of: Vec<(&'a TopicPartition, &'a Arc<Member>)>,
    topics: BTreeSet<&'a TopicName>,
    state: Reading<GroupState>,
}

impl<'a> Owners<'a> {
    pub(crate) fn of(group: &'a ConsumerGroup) -> Self {
        let members = group.members.as_ref().value().map_or(&[][..], Vec::as_slice);
        let owned = |member: &'a Arc<Member>| member.assignment.iter().map(move |at| (at, member));
        let mut of: Vec<_> = members.iter().flat_map(owned).collect();
        of.sort_by_key(|(at, _)| *at);
        of.dedup_by_key(|(at, _)| *at);
        let mut topics = BTreeSet::new();
        let mut last = None;
        for (at, _) in &of {
            if last.replace(&at.topic) != Some(&at.topic) {
                topics.insert(&at.topic);
            }
        }
        Self { of, topics, state: group.state }
    }

    /// Whether nobody in it owns the topic, where that can be said.
    pub(crate) fn leaves(&self, topic: &TopicName) -> Option<bool> {
        match self.state {
            Reading::Read(GroupState::Stable) => Some(!self.topics.is_empty() && !self.topics.contains(topic)),
            Reading::Read(GroupState::Empty | GroupState::Dead) => Some(false),
            Reading::Read(
                GroupState::PreparingRebalance
                | GroupState::CompletingRebalance
                | GroupState::Assigning
                | GroupState::Reconciling
                | GroupState::NotReady
                | GroupState::Unknown,
            )
            | Reading::Missing(_) => None,
        }
    }

    pub(crate) fn owner(&self, at: &TopicPartition) -> Option<Arc<Member>> {
        let index = self.of.binary_search_by_key(&at, |(owned, _)| *owned).ok()?;
        self.of.get(index).map(|(_, member)| Arc::clone(member))
    }
}
