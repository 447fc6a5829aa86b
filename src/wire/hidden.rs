//! Topics that were there and are not any more: deleted, or hidden from us.
//!
//! A broker that is asked for all topics leaves out, without a word, those we may not describe. Asked for them by name it
//! says so. A topic that only we cannot see any more must not be taken for one that is gone.

use std::collections::BTreeMap;

use super::api::error;
use super::api::metadata::{self, Metadata};
use super::gaps::Gaps;
use super::hedge::Source;
use super::topology::Topology;
use super::turn::Turn;
use crate::model::{Missing, Part, Reading, Topic, TopicName};

/// Names in one request, and so in one turn: what is behind them is left as it was until these are cleared up.
const NAMES_AT_ONCE: usize = 1_000;

/// Puts back into `topology` what was `known`, is left out now, and is not said to be gone.
pub(crate) async fn put_back(
    turn: &Turn<'_>,
    source: &Source,
    (topology, known): (&mut Topology, &Topology),
    covers: impl Fn(&str) -> bool,
    gaps: &mut Gaps,
) {
    let is_left_out = |name: &&TopicName| !topology.topics.contains_key(*name) && covers(name.as_str());
    let left_out: Vec<TopicName> = known.topics.keys().filter(is_left_out).cloned().collect();
    if left_out.is_empty() {
        return;
    }
    let names = left_out.iter().take(NAMES_AT_ONCE).map(|name| name.as_str().to_owned()).collect();
    let request = Metadata::Topics(names);
    let answer: Option<metadata::Topology> = match source {
        Source::Broker(id) => turn.ask(*id, &request).await.ok(),
        Source::Bootstrap(address) => turn.ask_bootstrap(address, &request).await,
    };
    // Without an answer they are left out, as by the first; the next turn asks again if it still knows them.
    let Some(answer) = answer.filter(|answer| answer.error_code == error::NONE) else { return };
    let answered = Topology::from(answer).topics;
    for name in &left_out {
        if let Some(before) = known.topics.get(name)
            && let Some(topic) = standing(before, name, &answered)
        {
            if let Reading::Missing(why) = topic.partitions {
                gaps.add(Part::Metadata, None, why);
            }
            topology.topics.insert(name.clone(), topic);
        }
    }
}

/// A topic that is still there, or that we may not see; nothing for one that is gone.
fn standing(before: &Topic, name: &TopicName, answered: &BTreeMap<TopicName, Topic>) -> Option<Topic> {
    const HIDDEN: Reading<BTreeMap<crate::model::PartitionId, crate::model::Partition>> =
        Reading::Missing(Missing::TopicNotAuthorized);
    let hidden = || Topic { partitions: HIDDEN, ..before.clone() };
    match answered.get(name) {
        Some(topic) => match topic.partitions {
            Reading::Read(_) => Some(topic.clone()),
            Reading::Missing(Missing::TopicNotAuthorized) => Some(hidden()),
            Reading::Missing(_) => None,
        },
        // Not asked in this turn: as it was.
        None if before.partitions == HIDDEN => Some(hidden()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TopicId;

    #[test]
    fn a_topic_is_gone_only_where_a_broker_says_so() {
        let topic = |id: Option<u8>, partitions| Topic {
            name: "orders".into(),
            id: id.map(|id| TopicId([id; 16])),
            internal: false,
            partitions,
            config: Reading::Missing(Missing::NotAsked),
        };
        let hidden = Reading::Missing(Missing::TopicNotAuthorized);
        let unknown = Reading::Missing(Missing::KafkaError(error::UNKNOWN_TOPIC_OR_PARTITION));
        let seen = || Reading::Read(BTreeMap::new());
        let cases = [
            ("we may not see it", seen(), Some(topic(None, hidden.clone())), Some(topic(Some(7), hidden.clone()))),
            ("it is gone", seen(), Some(topic(None, unknown.clone())), None),
            ("it is there again", hidden.clone(), Some(topic(Some(8), seen())), Some(topic(Some(8), seen()))),
            ("it was hidden, and is gone", hidden.clone(), Some(topic(None, unknown)), None),
            ("it was hidden, and was not asked for", hidden.clone(), None, Some(topic(Some(7), hidden))),
            ("it was seen, and was not asked for", seen(), None, None),
        ];
        for (name, before, answer, want) in cases {
            let answered = answer.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
            assert_eq!(standing(&topic(Some(7), before), &"orders".into(), &answered), want, "{name}");
        }
    }
}
