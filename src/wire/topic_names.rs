//! The names of topics by their ids, for answers that tell only ids.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{TopicId, TopicName};

/// A topic that left the metadata is remembered so long: its coordinators drop its commits within seconds, and a broker
/// whose metadata is behind comes back sooner.
const REMEMBER_GONE: Duration = Duration::from_mins(10);

/// The names of the topics of this turn and of those that were there shortly before.
#[derive(Debug, Default)]
pub(crate) struct TopicNames {
    present: BTreeMap<TopicId, TopicName>,
    gone: BTreeMap<TopicId, (TopicName, Instant)>,
}

impl TopicNames {
    /// Takes the topics of a new turn over. A topic that was created again has its new id alone: what was committed for
    /// the earlier one says nothing of the later.
    pub(crate) fn renew(&mut self, topics: impl IntoIterator<Item = (TopicId, TopicName)>, now: Instant) {
        let before = std::mem::replace(&mut self.present, topics.into_iter().collect());
        let left = before.into_iter().filter(|(id, _)| !self.present.contains_key(id));
        self.gone.extend(left.map(|(id, name)| (id, (name, now))));
        if self.gone.is_empty() {
            return;
        }
        let names: BTreeSet<&TopicName> = self.present.values().collect();
        self.gone.retain(|id, (name, since)| {
            let is_recent = now.saturating_duration_since(*since) < REMEMBER_GONE;
            is_recent && !self.present.contains_key(id) && !names.contains(name)
        });
    }

    pub(crate) fn name(&self, id: TopicId) -> Option<&TopicName> {
        self.present.get(&id).or_else(|| self.gone.get(&id).map(|(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_topic_keeps_its_name_for_a_while_and_a_new_one_of_its_name_takes_it() {
        let start = Instant::now();
        let at = |minutes| start + Duration::from_mins(minutes);
        let topic = |id: u8, name: &str| (TopicId([id; 16]), TopicName::from(name));
        let name = |names: &TopicNames, id: u8| names.name(TopicId([id; 16])).map(ToString::to_string);
        let mut names = TopicNames::default();
        names.renew([topic(1, "a"), topic(2, "b")], start);
        assert_eq!(name(&names, 2).as_deref(), Some("b"));
        names.renew([topic(1, "a")], at(1));
        assert_eq!(name(&names, 2).as_deref(), Some("b"), "deleted, or the broker's metadata is behind");
        names.renew([topic(1, "a"), topic(3, "b")], at(2));
        assert_eq!((name(&names, 2), name(&names, 3).as_deref()), (None, Some("b")), "created again");
        names.renew([topic(3, "b")], at(3));
        names.renew([topic(3, "b")], at(12));
        assert_eq!(name(&names, 1).as_deref(), Some("a"));
        names.renew([topic(3, "b")], at(13));
        assert_eq!(name(&names, 1), None, "forgotten");
    }
}
