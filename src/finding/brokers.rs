//! Findings on brokers.

use serde_json::json;

use super::draft::Draft;
use super::judge::counted;
use super::shell::Tools;
use super::{Kind, Severity, Subject};
use crate::model::Missing;
use crate::observe::{BrokerState, Observation};

/// True where the reason is the broker's silence, false where it answered or was not heard for another's sake.
pub(crate) fn is_silence(why: Missing) -> bool {
    match why {
        Missing::Unreachable(_) | Missing::TimedOut(_) | Missing::Garbled(_) => true,
        Missing::NoLeader
        | Missing::LeaderMoving
        | Missing::OffsetNotAvailable
        | Missing::CoordinatorMoving
        | Missing::TopicNotAuthorized
        | Missing::GroupNotAuthorized
        | Missing::ClusterNotAuthorized
        | Missing::TransactionNotAuthorized
        | Missing::Throttled
        | Missing::Unsupported
        | Missing::ClusterUnreachable
        | Missing::KafkaError(_)
        | Missing::NotAsked
        | Missing::TopicNotInMetadata
        | Missing::Unconfirmed => false,
    }
}

pub(crate) fn drafts(observation: &Observation, tools: Tools<'_>, drafts: &mut Vec<Draft>) {
    for broker in observation.brokers.values() {
        let (what, reason) = match broker.state {
            BrokerState::Answering => continue,
            BrokerState::NotAnswering(why) if is_silence(why) => {
                (format!("does not answer ({why})"), Some(why.reason()))
            }
            BrokerState::NotAnswering(_) => continue,
            BrokerState::LeftMetadata => ("is not in the metadata any more".to_owned(), None),
        };
        let address = if broker.address.is_empty() { "address not known" } else { &broker.address };
        let summary = format!(
            "Broker {} ({address}) {what} since {}; it leads {} and holds {}.",
            broker.id,
            broker.since,
            counted(broker.leads, "partition"),
            counted(broker.replicas, "replica"),
        );
        drafts.push(Draft {
            advice: "See whether the broker runs, and whether its host and its listener can be reached from here. A broker that is hung stays in the metadata until its session ends.".to_owned(),
            evidence: json!({
                "address": broker.address,
                "rack": broker.rack,
                "in_metadata": broker.state != BrokerState::LeftMetadata,
                "reason": reason,
                "since": broker.since,
                "leads": broker.leads,
                "replicas": broker.replicas,
                "as_of": observation.started,
            }),
            verify: vec![
                tools.plain("kafka-broker-api-versions.sh", ""),
                tools.plain("kafka-topics.sh", "--describe --under-replicated-partitions"),
            ],
            ..Draft::new(
                Kind::BrokerUnreachable,
                Severity::Warning,
                Subject { broker: Some(broker.id), ..Subject::default() },
                summary,
            )
        });
    }
}
