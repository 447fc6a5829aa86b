//! Topics, their partitions, and the settings that matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use serde::Serialize;

use super::reasons::{Reason, Reasons};
use crate::metrics::{flag_words, partition_counts, partition_states, shown_flags};
use crate::model::{BrokerId, GroupId, LeaderEpoch, Offset, PartitionId, Timestamp, TopicConfig, TopicId, TopicName};
use crate::observe::{PartitionView, TopicView};
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::query::{List, Parameters};

/// A setting that allows loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::web) struct Risk {
    /// The kind of finding it is.
    pub(in crate::web) kind: &'static str,
    /// What may happen.
    pub(in crate::web) message: &'static str,
}

/// What the settings of a topic allow to happen; empty where they are not known.
pub(in crate::web) fn risks(topic: &TopicView) -> Vec<Risk> {
    let mut risks = Vec::new();
    let replicas = topic.partitions.values().map(|partition| partition.replicas.len()).min();
    if replicas == Some(1) {
        let message = "one replica: the topic is lost with its broker";
        risks.push(Risk { kind: "replication_factor_low", message });
    }
    let Some(config) = topic.config.as_ref().value() else { return risks };
    if config.min_insync_replicas == Some(1) && replicas.is_some_and(|replicas| replicas > 1) {
        let message = "min.insync.replicas is 1: acks=all is satisfied by a single copy";
        risks.push(Risk { kind: "min_isr_too_low", message });
    }
    if config.unclean_leader_election == Some(true) {
        let message =
            "unclean.leader.election.enable is on: a replica that lags may become leader, and the rest is cut";
        risks.push(Risk { kind: "unclean_election_enabled", message });
    }
    risks
}

#[derive(Serialize)]
pub(super) struct Topic {
    topic: TopicName,
    topic_id: Option<TopicId>,
    internal: bool,
    replication_factor: Option<usize>,
    partition_states: BTreeMap<&'static str, Option<u64>>,
    config: Option<TopicConfig>,
    risks: Vec<Risk>,
    as_of: Timestamp,
    /// Why its partitions are not those of this turn, if so.
    unknown: Option<Reason>,
    reasons: Reasons,
}

impl Topic {
    fn of(view: &TopicView) -> Self {
        let mut reasons = Reasons::default();
        let config = reasons.value("config", view.config.clone());
        let no_id = "the brokers do not tell topic ids";
        Self {
            topic: view.name.clone(),
            topic_id: reasons.or("topic_id", view.id, "unsupported", no_id),
            internal: view.internal,
            replication_factor: view.partitions.values().map(|partition| partition.replicas.len()).min(),
            partition_states: partition_states(partition_counts([view])).into_iter().collect(),
            config,
            risks: risks(view),
            as_of: view.as_of,
            unknown: view.unknown.map(Reason::from),
            reasons,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Partition {
    partition: PartitionId,
    leader: Option<BrokerId>,
    leader_epoch: Option<LeaderEpoch>,
    replicas: Vec<BrokerId>,
    in_sync: Vec<BrokerId>,
    offline_replicas: Vec<BrokerId>,
    state: Vec<&'static str>,
    log_start_offset: Option<Offset>,
    last_stable_offset: Option<Offset>,
    high_watermark: Option<Offset>,
    last_high_watermark: Option<Offset>,
    last_high_watermark_at: Option<Timestamp>,
    reasons: Reasons,
}

impl Partition {
    fn of(topic: &TopicView, view: &PartitionView) -> Self {
        let mut reasons = Reasons::default();
        let ends = view.watermarks;
        Self {
            partition: view.partition,
            leader: reasons.or("leader", view.leader, "no_leader", "the partition has no leader"),
            leader_epoch: reasons.or("leader_epoch", view.leader_epoch, "unsupported", "the brokers do not tell it"),
            replicas: view.replicas.clone(),
            in_sync: view.in_sync.clone(),
            offline_replicas: view.offline_replicas.clone(),
            state: flag_words(shown_flags(topic, view)),
            log_start_offset: reasons.value("log_start_offset", ends.log_start),
            last_stable_offset: reasons.value("last_stable_offset", ends.last_stable),
            high_watermark: reasons.value("high_watermark", ends.high_watermark),
            last_high_watermark: view.last_high_watermark.map(|(offset, _)| offset),
            last_high_watermark_at: view.last_high_watermark.map(|(_, at)| at),
            reasons,
        }
    }
}

#[derive(Serialize)]
pub(super) struct TopicWithPartitions {
    #[serde(flatten)]
    topic: Topic,
    partitions: Vec<Partition>,
    groups: Vec<GroupId>,
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<List<Topic>>, Problem> {
    let Path(name) = path?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    let all = listing::topics(read, &asked)?;
    Ok(Json(asked.paging()?.list(all.into_iter().map(Topic::of).collect(), Some(read.started))))
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Parameters,
) -> Result<Json<TopicWithPartitions>, Problem> {
    let Path((name, topic)) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    let view = listing::topic(read, &topic)?;
    Ok(Json(TopicWithPartitions {
        topic: Topic::of(view),
        partitions: view.partitions.values().map(|partition| Partition::of(view, partition)).collect(),
        groups: listing::groups_of_topic(read, &topic).map(|view| view.group.clone()).collect(),
    }))
}
