//! Findings on partitions: replication, leaders, topics made anew.

use serde_json::{Value, json};

use super::draft::Draft;
use super::judge::of_partition;
use super::shell::Tools;
use super::{Kind, Severity, Subject};
use crate::model::{BrokerId, TopicPartition};
use crate::observe::{Change, Observation, PartitionView, TopicView};

pub(crate) fn drafts(observation: &Observation, tools: Tools<'_>, drafts: &mut Vec<Draft>) {
    for topic in observation.topics.values().filter(|topic| topic.unknown.is_none()) {
        for partition in topic.partitions.values() {
            replication(observation, topic, partition, tools, drafts);
        }
    }
    for change in &observation.changes {
        match change {
            Change::LeaderMoved { .. } | Change::TopicRecreated { .. } => {
                drafts.extend(event(observation, change, tools));
            }
            Change::CommitRewound { .. } => {}
        }
    }
}

fn replication(
    observation: &Observation,
    topic: &TopicView,
    partition: &PartitionView,
    tools: Tools<'_>,
    drafts: &mut Vec<Draft>,
) {
    let flags = partition.flags;
    if !(flags.offline || flags.under_min_isr || flags.at_min_isr || flags.under_replicated) {
        return;
    }
    let at = TopicPartition { topic: topic.name.clone(), partition: partition.partition };
    let min_isr = topic.config.as_ref().value().and_then(|config| config.min_insync_replicas);
    let (in_sync, replicas) = (partition.in_sync.len(), partition.replicas.len());
    let missing: Vec<BrokerId> =
        partition.replicas.iter().copied().filter(|replica| !partition.in_sync.contains(replica)).collect();
    let evidence = json!({
        "leader": partition.leader,
        "leader_epoch": partition.leader_epoch,
        "replicas": partition.replicas,
        "in_sync_replicas": partition.in_sync,
        "not_in_sync": missing,
        "offline_replicas": partition.offline_replicas,
        "min_insync_replicas": min_isr,
        "last_high_watermark": partition.last_high_watermark.map(|(offset, _)| offset),
        "last_high_watermark_read_at": partition.last_high_watermark.map(|(_, at)| at),
        "as_of": observation.started,
    });
    let min_isr = min_isr.map_or_else(|| "not known".to_owned(), |number| number.to_string());
    let mut push = |holds: bool, kind: Kind, severity: Severity, summary: String, advice: &str, listing: &str| {
        if holds {
            let mut verify = tools.topic(topic.name.as_str());
            verify.push(tools.plain("kafka-topics.sh", listing));
            drafts.push(Draft {
                advice: advice.to_owned(),
                evidence: evidence.clone(),
                verify,
                ..Draft::new(kind, severity, of_partition(&at, topic.id), summary)
            });
        }
    };
    let lagging = ids(&missing);
    push(
        flags.offline,
        Kind::PartitionOffline,
        Severity::Critical,
        format!(
            "{at} has no leader: it can be neither written nor read (replicas {}, in sync {}).",
            ids(&partition.replicas),
            ids(&partition.in_sync)
        ),
        "Start the brokers of the in-sync replicas. An unclean election would bring it back at the price of acknowledged records.",
        "--describe --unavailable-partitions",
    );
    push(
        flags.under_min_isr,
        Kind::PartitionUnderMinIsr,
        Severity::Critical,
        format!(
            "{at} has {in_sync} in-sync replicas of {replicas}, below min.insync.replicas {min_isr}: writes with acks=all are refused."
        ),
        "Bring the brokers back that are not in sync. Lowering min.insync.replicas would trade refused writes for lost ones.",
        "--describe --under-min-isr-partitions",
    );
    push(
        flags.at_min_isr,
        Kind::PartitionAtMinIsr,
        Severity::Warning,
        format!(
            "{at} has {in_sync} in-sync replicas of {replicas}, just min.insync.replicas {min_isr}: one more failure and writes with acks=all are refused."
        ),
        "Bring the brokers back that are not in sync.",
        "--describe --at-min-isr-partitions",
    );
    push(
        flags.under_replicated,
        Kind::PartitionUnderReplicated,
        Severity::Warning,
        format!("{at} has {in_sync} in-sync replicas of {replicas}: broker {lagging} is not in sync."),
        "See whether the brokers that are not in sync run, and whether their disks and network keep up.",
        "--describe --under-replicated-partitions",
    );
}

fn event(observation: &Observation, change: &Change, tools: Tools<'_>) -> Option<Draft> {
    match change {
        Change::LeaderMoved { at, topic_id, from, to, epoch_before, epoch_now, in_sync_before, in_sync_now } => {
            let summary = if from == to {
                format!(
                    "The leader of {at}, broker {}, was elected again: epoch {epoch_before} to {epoch_now}.",
                    id(*to)
                )
            } else {
                format!(
                    "The leader of {at} moved from broker {} to broker {}, epoch {epoch_before} to {epoch_now}.",
                    id(*from),
                    id(*to)
                )
            };
            Some(Draft {
                occurrence: format!("epoch-{epoch_now}"),
                count: Some(1),
                advice: "Nothing, if it was a restart. Many of these without one: see the brokers' logs, sessions and network.".to_owned(),
                evidence: json!({
                    "leader_before": from,
                    "leader_now": to,
                    "leader_epoch_before": epoch_before,
                    "leader_epoch_now": epoch_now,
                    "in_sync_replicas_before": in_sync_before,
                    "in_sync_replicas_now": in_sync_now,
                    "seen_at": observation.started,
                }),
                verify: tools.topic(at.topic.as_str()),
                ..Draft::new(Kind::LeaderMoved, Severity::Info, of_partition(at, *topic_id), summary)
            })
        }
        Change::TopicRecreated { topic, id_before, id_now } => {
            let subject = Subject { topic: Some(topic.clone()), topic_id: Some(*id_now), ..Subject::default() };
            Some(Draft {
                advice: "If nobody meant to, find out who may delete topics. Groups begin anew by their auto.offset.reset: Kafka deleted their commits with the topic.".to_owned(),
                evidence: json!({"topic_id_before": id_before, "topic_id_now": id_now, "seen_at": observation.started}),
                verify: tools.topic(topic.as_str()),
                ..Draft::new(
                    Kind::TopicRecreated,
                    Severity::Warning,
                    subject,
                    format!("Topic {topic} was deleted and created anew: topic id {id_before} became {id_now}, and what it held is gone."),
                )
            })
        }
        Change::CommitRewound { .. } => None,
    }
}

fn id(broker: Option<BrokerId>) -> Value {
    broker.map_or_else(|| json!("none"), |broker| json!(broker))
}

pub(crate) fn ids(brokers: &[BrokerId]) -> String {
    if brokers.is_empty() {
        return "none".to_owned();
    }
    brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
