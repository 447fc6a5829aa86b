//! The settings of topics that decide what may be lost, by DescribeConfigs at any broker; the last known stand.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::describe_configs::{DescribeConfigs, TopicSettings};
use super::api::error;
use super::hedge::Source;
use super::poll::Poll;
use crate::model::{BrokerId, Missing, Part, Reading, TopicConfig, TopicId, TopicName};

const KEYS: &[&str] = &[
    "min.insync.replicas",
    "unclean.leader.election.enable",
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "max.message.bytes",
    "message.timestamp.type",
];
const PER_REQUEST: usize = 500;
const IN_FLIGHT: usize = 2;

/// The last settings read of each topic, or that we may not read them, for one life of the topic.
pub(crate) type Configs = BTreeMap<TopicName, (Option<TopicId>, Reading<TopicConfig>)>;

impl Poll<'_> {
    /// Reads the settings that are wanted or were never read, and puts the last known into the topics.
    pub(crate) async fn configs(&mut self, known: &mut Configs) {
        known.retain(|name, (id, _)| self.topology.topics.get(name).is_some_and(|topic| topic.id == *id));
        let covered = self.topology.topics.keys().filter(|name| self.scope.covers_topic(name.as_str()));
        // Whether the canary sends depends on its topic's settings: those are never old.
        let is_wanted = |name: &&TopicName| {
            self.scope.read_configs || self.scope.canary_topic.as_ref() == Some(*name) || !known.contains_key(*name)
        };
        let mut wanted: Vec<TopicName> = covered.filter(is_wanted).cloned().collect();
        let mut unanswered = None;
        for broker in self.readers() {
            if wanted.is_empty() {
                break;
            }
            let (read, failed, why) = self.ask_configs(broker, &wanted).await;
            unanswered = why.map(|why| (broker, why));
            for (name, reading) in read {
                let id = self.topology.topics.get(&name).and_then(|topic| topic.id);
                known.insert(name, (id, reading));
            }
            wanted = failed;
        }
        if let Some((broker, why)) = unanswered {
            self.gaps.add(Part::Configs, Some(broker), why);
        }
        for (name, topic) in &mut self.topology.topics {
            if let Some((_, reading)) = known.get(name) {
                topic.config = reading.clone();
            }
        }
        for why in known.values().filter_map(|(_, reading)| reading.missing()) {
            self.gaps.add(Part::Configs, None, why);
        }
    }

    /// Whom to ask: the source of the metadata, and one other that answered so far.
    pub(crate) fn readers(&self) -> Vec<BrokerId> {
        let source = match &self.source {
            Source::Broker(id) => Some(*id),
            Source::Bootstrap(_) => None,
        };
        let others = self.topology.brokers.keys().copied().filter(|id| Some(*id) != source);
        source.into_iter().chain(others).filter(|id| !self.turn.is_down(*id)).take(2).collect()
    }

    /// What a broker answered, the topics it did not answer for, and why.
    async fn ask_configs(
        &self,
        broker: BrokerId,
        wanted: &[TopicName],
    ) -> (Vec<(TopicName, Reading<TopicConfig>)>, Vec<TopicName>, Option<Missing>) {
        let turn = &self.turn;
        let mut requests = Vec::new();
        for chunk in wanted.chunks(PER_REQUEST) {
            requests.push(async move {
                let topics = chunk.iter().map(|name| name.as_str().to_owned()).collect();
                (chunk, turn.ask(broker, &DescribeConfigs { topics, keys: KEYS }).await)
            });
        }
        let answers: Vec<_> = stream::iter(requests).buffered(IN_FLIGHT).collect().await;
        let (mut read, mut failed, mut unanswered) = (Vec::new(), Vec::new(), None);
        for (chunk, answer) in answers {
            match answer {
                Ok(settings) => read.extend(settings.into_iter().filter_map(topic_config)),
                Err(why) => {
                    unanswered = Some(why);
                    failed.extend(chunk.iter().cloned());
                }
            }
        }
        (read, failed, unanswered)
    }
}

/// A topic's settings, or that we may not read them. What another ask may bring is not kept.
fn topic_config(answer: TopicSettings) -> Option<(TopicName, Reading<TopicConfig>)> {
    let name = TopicName::from(answer.topic);
    match error::missing(answer.error_code) {
        None => Some((name, Reading::Read(config(answer.settings)))),
        Some(why @ (Missing::TopicNotAuthorized | Missing::ClusterNotAuthorized)) => {
            Some((name, Reading::Missing(why)))
        }
        Some(_) => None,
    }
}

fn config(settings: Vec<(String, Option<String>)>) -> TopicConfig {
    let mut settings: BTreeMap<String, String> =
        settings.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let number = |name: &str| settings.get(name).and_then(|value| value.parse().ok());
    TopicConfig {
        min_insync_replicas: settings.get("min.insync.replicas").and_then(|value| value.parse().ok()),
        unclean_leader_election: settings.get("unclean.leader.election.enable").and_then(|value| value.parse().ok()),
        retention_ms: number("retention.ms"),
        retention_bytes: number("retention.bytes"),
        max_message_bytes: number("max.message.bytes"),
        cleanup_policy: settings.remove("cleanup.policy"),
        message_timestamp_type: settings.remove("message.timestamp.type"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(error_code: i16, settings: &[(&str, Option<&str>)]) -> TopicSettings {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        TopicSettings { error_code, topic: "t".to_owned(), settings: settings.collect() }
    }

    #[test]
    fn settings_are_read_as_far_as_they_are_told() {
        let all = answer(
            0,
            &[
                ("min.insync.replicas", Some("2")),
                ("unclean.leader.election.enable", Some("true")),
                ("cleanup.policy", Some("compact,delete")),
                ("retention.ms", Some("-1")),
                ("retention.bytes", Some("1073741824")),
                ("max.message.bytes", Some("1048588")),
                ("message.timestamp.type", Some("CreateTime")),
            ],
        );
        let want = TopicConfig {
            min_insync_replicas: Some(2),
            unclean_leader_election: Some(true),
            cleanup_policy: Some("compact,delete".to_owned()),
            retention_ms: Some(-1),
            retention_bytes: Some(1_073_741_824),
            max_message_bytes: Some(1_048_588),
            message_timestamp_type: Some("CreateTime".to_owned()),
        };
        let odd = answer(0, &[("min.insync.replicas", Some("many")), ("retention.ms", None)]);
        let cases = [
            ("all told", all, Some(Reading::Read(want))),
            ("odd ones", odd, Some(Reading::Read(TopicConfig::default()))),
            ("refused", answer(29, &[]), Some(Reading::Missing(Missing::TopicNotAuthorized))),
            ("deleted meanwhile", answer(3, &[]), None),
        ];
        for (name, answer, want) in cases {
            assert_eq!(topic_config(answer).map(|(_, reading)| reading), want, "{name}");
        }
    }
}
