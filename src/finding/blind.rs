//! What we cannot see, said as loudly as what we see.

use std::collections::BTreeMap;

use serde_json::json;

use super::draft::Draft;
use super::judge::counted;
use super::shell::Tools;
use super::{Kind, Severity, Subject};
use crate::model::{BrokerId, Missing, MissingPart, Part, Reading};
use crate::observe::{BrokerState, Observation};

/// How many names a finding lists; the count is of all.
const NAMES: usize = 20;

/// What one reason hides.
#[derive(Clone, Debug, Default)]
struct Hidden {
    partitions: u64,
    groups: u64,
    names: Vec<String>,
    parts: Vec<Part>,
}

impl Hidden {
    fn name(&mut self, name: &str) {
        if self.names.len() < NAMES && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

pub(crate) fn drafts(observation: &Observation, tools: Tools<'_>, drafts: &mut Vec<Draft>) {
    if !observation.reachable {
        drafts.push(unreachable(observation, tools));
        return;
    }
    let mut hidden: BTreeMap<Missing, Hidden> = BTreeMap::new();
    for topic in observation.topics.values() {
        if topic.partitions.is_empty()
            && let Some(why) = topic.unknown
        {
            hidden.entry(why).or_default().name(topic.name.as_str());
        }
        for partition in topic.partitions.values() {
            if let Reading::Missing(why) = partition.watermarks.high_watermark {
                let hidden = hidden.entry(why).or_default();
                hidden.partitions += 1;
                hidden.name(topic.name.as_str());
            }
        }
    }
    for group in observation.groups.values() {
        let commits = group.partitions.iter().find_map(|view| view.committed.missing());
        if let Some(why) = commits.or_else(|| group.state.missing()) {
            let hidden = hidden.entry(why).or_default();
            hidden.groups += 1;
            hidden.name(group.group.as_str());
        }
    }
    for MissingPart { part, broker, why } in &observation.missing {
        let left =
            broker.and_then(|id| observation.brokers.get(&id)).is_some_and(|b| b.state == BrokerState::LeftMetadata);
        if !left {
            let parts = &mut hidden.entry(*why).or_default().parts;
            if !parts.contains(part) {
                parts.push(*part);
            }
        }
    }
    for (why, hidden) in &hidden {
        // A silent broker whose work others do is told as such, and hides nothing.
        let own_only = hidden.partitions + hidden.groups == 0
            && broker_of(*why).is_some()
            && hidden.parts.iter().all(|part| matches!(part, Part::Metadata | Part::Configs));
        if let Some(readings) = readings_before_told(*why).filter(|_| !own_only) {
            drafts.push(blind(observation, *why, hidden, readings, tools));
        }
    }
}

/// How many readings in a row make a gap worth telling; nothing for what is told by another finding or passes by itself.
fn readings_before_told(why: Missing) -> Option<u8> {
    match why {
        Missing::TopicNotAuthorized
        | Missing::GroupNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::TransactionNotAuthorized => Some(1),
        Missing::Unreachable(_)
        | Missing::TimedOut(_)
        | Missing::Garbled(_)
        | Missing::KafkaError(_)
        | Missing::Unsupported
        | Missing::Throttled
        | Missing::ClusterUnreachable => Some(2),
        // Elections, and coordinators that load their commits, end by themselves within some turns; if not, it is told.
        Missing::LeaderMoving | Missing::OffsetNotAvailable | Missing::CoordinatorMoving | Missing::NotAsked => Some(5),
        Missing::NoLeader | Missing::TopicNotInMetadata | Missing::Unconfirmed => None,
    }
}

fn broker_of(why: Missing) -> Option<BrokerId> {
    match why {
        Missing::Unreachable(broker) | Missing::TimedOut(broker) | Missing::Garbled(broker) => Some(broker),
        Missing::NoLeader
        | Missing::LeaderMoving
        | Missing::OffsetNotAvailable
        | Missing::CoordinatorMoving
        | Missing::TopicNotAuthorized
        | Missing::GroupNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::TransactionNotAuthorized
        | Missing::Unsupported
        | Missing::ClusterUnreachable
        | Missing::KafkaError(_)
        | Missing::NotAsked
        | Missing::TopicNotInMetadata
        | Missing::Throttled
        | Missing::Unconfirmed => None,
    }
}

fn unreachable(observation: &Observation, tools: Tools<'_>) -> Draft {
    let known = u64::try_from(observation.brokers.len()).unwrap_or(u64::MAX);
    Draft {
        occurrence: "cluster".to_owned(),
        advice: "See whether the brokers run and can be reached from here, and whether the listener, TLS and SASL settings are right. Nothing is known of the cluster until one answers.".to_owned(),
        evidence: json!({
            "brokers_known": observation.brokers.values().map(|b| json!({"broker": b.id, "address": b.address})).collect::<Vec<_>>(),
            "missing": observation.missing.iter().take(NAMES).collect::<Vec<_>>(),
            "as_of": observation.started,
        }),
        verify: vec![tools.plain("kafka-broker-api-versions.sh", "")],
        ..Draft::new(
            Kind::MonitorBlind,
            Severity::Critical,
            Subject::default(),
            format!("No broker of cluster {} answers ({} known): nothing of it can be read.", observation.cluster, counted(known, "broker")),
        )
    }
}

fn blind(observation: &Observation, why: Missing, hidden: &Hidden, readings: u8, tools: Tools<'_>) -> Draft {
    let (partitions, groups) = (counted(hidden.partitions, "partition"), counted(hidden.groups, "group"));
    let what = match (hidden.partitions, hidden.groups) {
        (0, 0) => {
            let parts: Vec<_> = hidden.parts.iter().map(|part| part_word(*part)).collect();
            if parts.is_empty() { "some topics".to_owned() } else { parts.join(", ") }
        }
        (_, 0) => partitions,
        (0, _) => groups,
        (_, _) => format!("{partitions} and {groups}"),
    };
    let is_of_configs = hidden.partitions + hidden.groups == 0 && hidden.parts == [Part::Configs];
    let (advice, verify) = match why {
        Missing::TopicNotAuthorized if is_of_configs => (
            "Grant our principal DESCRIBE_CONFIGS on these topics: kafka-acls.sh --add --allow-principal User:… --operation DescribeConfigs --topic '*'.",
            vec![tools.plain("kafka-acls.sh", "--list --topic '*'")],
        ),
        Missing::TopicNotAuthorized => (
            "Grant our principal DESCRIBE on these topics: kafka-acls.sh --add --allow-principal User:… --operation Describe --topic '*'.",
            vec![tools.plain("kafka-acls.sh", "--list --topic '*'")],
        ),
        Missing::GroupNotAuthorized => (
            "Grant our principal DESCRIBE on these groups: kafka-acls.sh --add --allow-principal User:… --operation Describe --group '*'.",
            vec![tools.plain("kafka-acls.sh", "--list --group '*'")],
        ),
        Missing::ClusterNotAuthorized => (
            "Grant our principal DESCRIBE and DESCRIBE_CONFIGS on the cluster: kafka-acls.sh --add --allow-principal User:… --operation Describe --operation DescribeConfigs --cluster.",
            vec![tools.plain("kafka-acls.sh", "--list --cluster")],
        ),
        Missing::TransactionNotAuthorized => (
            "Grant our principal DESCRIBE on these transactional ids: kafka-acls.sh --add --allow-principal User:… --operation Describe --transactional-id '*'.",
            vec![tools.plain("kafka-acls.sh", "--list --transactional-id '*'")],
        ),
        Missing::Throttled => (
            "Raise or take out poll.max_requests_per_second, make poll.every and poll.deadline longer, or raise the request quota of our principal in Kafka.",
            vec![tools.plain("kafka-configs.sh", "--describe --entity-type users")],
        ),
        Missing::Unreachable(_)
        | Missing::TimedOut(_)
        | Missing::Garbled(_)
        | Missing::ClusterUnreachable
        | Missing::NoLeader
        | Missing::LeaderMoving
        | Missing::OffsetNotAvailable
        | Missing::CoordinatorMoving
        | Missing::Unsupported
        | Missing::KafkaError(_)
        | Missing::NotAsked
        | Missing::TopicNotInMetadata
        | Missing::Unconfirmed => (
            "What is listed is not known until it can be read again: neither well nor ill. See the broker that is named.",
            vec![tools.plain("kafka-broker-api-versions.sh", "")],
        ),
    };
    let broker = broker_of(why);
    let count = hidden.partitions + hidden.groups;
    Draft {
        occurrence: match why {
            Missing::KafkaError(code) => format!("kafka_error-{code}"),
            Missing::Unreachable(_)
            | Missing::TimedOut(_)
            | Missing::Garbled(_)
            | Missing::ClusterUnreachable
            | Missing::NoLeader
            | Missing::LeaderMoving
            | Missing::OffsetNotAvailable
            | Missing::CoordinatorMoving
            | Missing::TopicNotAuthorized
            | Missing::GroupNotAuthorized
            | Missing::ClusterNotAuthorized
            | Missing::TransactionNotAuthorized
            | Missing::Throttled
            | Missing::Unsupported
            | Missing::NotAsked
            | Missing::TopicNotInMetadata
            | Missing::Unconfirmed => why.reason().to_owned(),
        },
        readings,
        count: (count > 0).then_some(count),
        advice: advice.to_owned(),
        evidence: json!({
            "reason": why.reason(),
            "broker": broker,
            "partitions": hidden.partitions,
            "groups": hidden.groups,
            "names": hidden.names,
            "parts": hidden.parts,
            "as_of": observation.started,
        }),
        verify,
        ..Draft::new(
            Kind::MonitorBlind,
            Severity::Warning,
            Subject { broker, ..Subject::default() },
            if is_of_configs && why == Missing::TopicNotAuthorized {
                // Missing says what is missing in most places; settings ask for another right.
                format!("Cannot read {what}: not authorized: grant DESCRIBE_CONFIGS on the topic.")
            } else {
                format!("Cannot read {what}: {why}.")
            },
        )
    }
}

fn part_word(part: Part) -> &'static str {
    match part {
        Part::Metadata => "metadata",
        Part::GroupList => "the list of groups",
        Part::GroupDescription => "descriptions of groups",
        Part::Commits => "commits",
        Part::Watermarks => "high watermarks",
        Part::EpochEnds => "ends of leader epochs",
        Part::Configs => "topic settings",
    }
}
