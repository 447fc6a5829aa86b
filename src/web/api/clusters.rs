//! Clusters and their brokers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use serde::Serialize;

use super::reasons::Reasons;
use crate::finding::{FindingState, Grade};
use crate::metrics::{partition_counts, partition_states};
use crate::model::{BrokerId, ClusterName, Missing, Part, Reading, Timestamp};
use crate::observe::{BrokerState, BrokerView, Observation};
use crate::publish::PublishedCluster;
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing::{self, VERDICTS};
use crate::web::query::{List, Parameters};

#[derive(Serialize)]
pub(super) struct Cluster {
    name: ClusterName,
    cluster_id: Option<String>,
    reachable: Option<bool>,
    as_of: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    brokers: Option<Brokers>,
    partitions: Option<BTreeMap<&'static str, Option<u64>>>,
    groups: Option<BTreeMap<&'static str, u64>>,
    findings: BTreeMap<&'static str, u64>,
    poll: Option<Poll>,
    reasons: Reasons,
}

#[derive(Serialize)]
struct Brokers {
    known: usize,
    unreachable: usize,
    unreachable_ids: Vec<BrokerId>,
}

#[derive(Serialize)]
struct Poll {
    duration_seconds: f64,
    requests: u64,
    partial: bool,
    missing: Vec<MissingPart>,
}

#[derive(Serialize)]
struct MissingPart {
    part: Part,
    broker: Option<BrokerId>,
    reason: &'static str,
    message: String,
}

impl Cluster {
    fn of(name: &ClusterName, cluster: &PublishedCluster) -> Self {
        let mut reasons = Reasons::default();
        let observation = cluster.observation.as_deref();
        let mut findings: BTreeMap<&'static str, u64> = Grade::ALL.iter().map(|grade| (grade.as_str(), 0)).collect();
        for finding in cluster.findings.iter().filter(|finding| finding.state == FindingState::Open) {
            *findings.entry(finding.grade.as_str()).or_default() += 1;
        }
        let unread = |field, reasons: &mut Reasons| {
            let reading: Reading<()> = Reading::Missing(match observation {
                None => Missing::NotAsked,
                Some(_) => Missing::ClusterUnreachable,
            });
            reasons.value(field, reading);
        };
        let brokers = observation.filter(|read| !read.brokers.is_empty()).map(Brokers::of);
        let partitions = observation
            .filter(|read| read.reachable || !read.topics.is_empty())
            .map(|read| partition_states(partition_counts(read.topics.values())).into_iter().collect());
        let groups = observation.filter(|read| read.reachable || !read.groups.is_empty()).map(verdicts);
        for (field, absent) in
            [("brokers", brokers.is_none()), ("partitions", partitions.is_none()), ("groups", groups.is_none())]
        {
            if absent {
                unread(field, &mut reasons);
            }
        }
        let cluster_id = observation.map_or(Reading::Missing(Missing::NotAsked), |read| read.cluster_id.clone());
        Self {
            name: name.clone(),
            cluster_id: reasons.value("cluster_id", cluster_id),
            reachable: observation.map(|read| read.reachable),
            as_of: observation.map(|read| read.started),
            last_success_at: cluster.last_success,
            brokers,
            partitions,
            groups,
            findings,
            poll: observation.map(Poll::of),
            reasons,
        }
    }
}

/// How many groups have each verdict.
fn verdicts(observation: &Observation) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = VERDICTS.iter().map(|verdict| (verdict.as_str(), 0)).collect();
    for view in observation.groups.values() {
        *counts.entry(view.verdict.as_str()).or_default() += 1;
    }
    counts
}

impl Brokers {
    fn of(observation: &Observation) -> Self {
        let unreachable_ids: Vec<BrokerId> =
            observation.brokers.values().filter(|one| one.state != BrokerState::Answering).map(|one| one.id).collect();
        Self { known: observation.brokers.len(), unreachable: unreachable_ids.len(), unreachable_ids }
    }
}

impl Poll {
    fn of(observation: &Observation) -> Self {
        let missing = observation.missing.iter().map(|missing| MissingPart {
            part: missing.part,
            broker: missing.broker,
            reason: missing.why.reason(),
            message: missing.why.to_string(),
        });
        Self {
            duration_seconds: observation.took.as_secs_f64(),
            requests: observation.requests.values().sum(),
            partial: !observation.complete,
            missing: missing.collect(),
        }
    }
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    asked: Parameters,
) -> Result<Json<List<Cluster>>, Problem> {
    asked.only(&["page", "per_page"])?;
    let published = web.published();
    let all = published.clusters.iter().map(|(name, cluster)| Cluster::of(name, cluster)).collect();
    Ok(Json(asked.paging()?.list(all, published.as_of)))
}

#[derive(Serialize)]
pub(super) struct Broker {
    broker: BrokerId,
    address: String,
    rack: Option<String>,
    state: &'static str,
    reason: Option<&'static str>,
    message: Option<String>,
    since: Timestamp,
    leads: u64,
    replicas: u64,
    as_of: Timestamp,
}

impl Broker {
    fn of(view: &BrokerView, as_of: Timestamp) -> Self {
        let (state, why) = match view.state {
            BrokerState::Answering => ("answering", None),
            BrokerState::NotAnswering(why) => ("not_answering", Some(why)),
            BrokerState::LeftMetadata => ("left_metadata", None),
        };
        Self {
            broker: view.id,
            address: view.address.clone(),
            rack: view.rack.clone(),
            state,
            reason: why.map(Missing::reason),
            message: why.map(|why| why.to_string()),
            since: view.since,
            leads: view.leads,
            replicas: view.replicas,
            as_of,
        }
    }
}

pub(super) async fn brokers(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<List<Broker>>, Problem> {
    let Path(name) = path?;
    asked.only(&["page", "per_page"])?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    let all = read.brokers.values().map(|view| Broker::of(view, read.started)).collect();
    Ok(Json(asked.paging()?.list(all, Some(read.started))))
}
