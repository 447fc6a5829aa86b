//! Groups, their partitions and members.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use serde::Serialize;

use super::reasons::Reasons;
use crate::model::{GroupId, LeaderEpoch, Member, MemberId, Offset, PartitionId, Timestamp, TopicId, TopicName};
use crate::observe::{GroupPartitionView, GroupView, Lag, TimeLag};
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing::{self, lag_seconds, state_word, type_word};
use crate::web::query::{List, Parameters};

#[derive(Serialize)]
pub(super) struct Group {
    group: GroupId,
    r#type: &'static str,
    state: &'static str,
    members: Option<usize>,
    verdict: &'static str,
    lag_records: Option<u64>,
    lag_records_is: &'static str,
    #[serde(flatten)]
    time_lag: Seconds,
    partitions_unknown: u64,
    partitions_without_commit: u64,
    last_commit_age_seconds: Option<f64>,
    last_commit_at: Option<Timestamp>,
    as_of: Timestamp,
    reasons: Reasons,
}

#[derive(Serialize)]
struct Seconds {
    lag_seconds: Option<f64>,
    lag_seconds_low: Option<f64>,
    lag_seconds_high: Option<f64>,
    lag_seconds_method: &'static str,
}

impl Seconds {
    fn of(lag: TimeLag) -> Self {
        let (low, high, method) = match lag {
            TimeLag::CaughtUp => (Some(0.0), Some(0.0), "history"),
            TimeLag::Between { low, high } => (Some(low), Some(high), "history"),
            TimeLag::AtLeast(low) => (Some(low), None, "history"),
            TimeLag::Unknown => (None, None, "none"),
        };
        Self { lag_seconds: lag_seconds(lag), lag_seconds_low: low, lag_seconds_high: high, lag_seconds_method: method }
    }
}

impl Group {
    fn of(view: &GroupView, now: Timestamp) -> Self {
        let mut reasons = Reasons::default();
        reasons.value("state", view.state);
        let members = reasons.value("members", view.members.as_ref().map(Vec::len));
        let time_lag = Seconds::of(view.time_lag);
        let why = "no partition of it could be measured";
        reasons.or("lag_records", view.lag_records, "not_measured", why);
        reasons.or(
            "lag_seconds",
            time_lag.lag_seconds,
            "not_measured",
            "the age of the first unread record is not known",
        );
        if time_lag.lag_seconds_low.is_some() {
            let why = "it was unread at the first reading already: the age is at least lag_seconds_low";
            reasons.or("lag_seconds_high", time_lag.lag_seconds_high, "older_than_history", why);
        }
        let last_commit = view.last_commit_seen;
        reasons.or("last_commit_age_seconds", last_commit, "not_seen", "no commit of it was seen to change yet");
        Self {
            group: view.group.clone(),
            r#type: type_word(view.group_type),
            state: state_word(&view.state),
            members,
            verdict: view.verdict.as_str(),
            lag_records: view.lag_records,
            lag_records_is: if view.lag_records_exact { "exact" } else { "at_least" },
            time_lag,
            partitions_unknown: view.partitions_unknown,
            partitions_without_commit: view.partitions_without_commit,
            last_commit_age_seconds: last_commit.map(|at| now.since(at).as_secs_f64()),
            last_commit_at: last_commit,
            as_of: view.as_of,
            reasons,
        }
    }
}

#[derive(Serialize)]
struct Partition {
    topic: TopicName,
    topic_id: Option<TopicId>,
    partition: PartitionId,
    committed_offset: Option<Offset>,
    committed_leader_epoch: Option<LeaderEpoch>,
    log_start_offset: Option<Offset>,
    high_watermark: Option<Offset>,
    last_stable_offset: Option<Offset>,
    lag: LagOf,
    #[serde(flatten)]
    time_lag: Seconds,
    member_id: Option<MemberId>,
    client_id: Option<String>,
    host: Option<String>,
    reasons: Reasons,
}

#[derive(Default, Serialize)]
struct LagOf {
    state: &'static str,
    records: Option<u64>,
    lost_records: Option<u64>,
    /// Offsets from the high watermark to the commit, where it lies beyond.
    ahead_offsets: Option<u64>,
    /// Offsets from the end of the commit's epoch to the commit.
    skip_offsets: Option<u64>,
    epoch_end_offset: Option<Offset>,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl LagOf {
    fn of(lag: Lag) -> Self {
        let known = Self { state: lag.state(), records: lag.records(), ..Self::default() };
        let told = |reason, message: String| (Some(reason), Some(message));
        match lag {
            Lag::Behind(_) => Self { lost_records: Some(0), ..known },
            Lag::Expired { lost, .. } => Self { lost_records: Some(lost), ..known },
            Lag::Ahead(offsets) => {
                let (reason, message) = told("ahead", "the commit lies beyond the high watermark".into());
                Self { ahead_offsets: Some(offsets), reason, message, ..known }
            }
            Lag::Stranded { skip, epoch_end } => {
                let (reason, message) = told("stranded", "the leader epoch of the commit ends before it".into());
                Self { skip_offsets: Some(skip), epoch_end_offset: Some(epoch_end), reason, message, ..known }
            }
            Lag::Uncommitted => {
                let (reason, message) = told("uncommitted", "the group never committed here".into());
                Self { reason, message, ..known }
            }
            Lag::Unknown(why) => {
                let (reason, message) = told(why.reason(), why.to_string());
                Self { reason, message, ..known }
            }
        }
    }
}

impl Partition {
    fn of(view: &GroupPartitionView) -> Self {
        let mut reasons = Reasons::default();
        let committed = reasons.value("committed_offset", view.committed);
        let committed = match committed {
            Some(None) => reasons.or("committed_offset", None, "uncommitted", "the group never committed here"),
            Some(Some(committed)) => Some(committed),
            None => None,
        };
        let ends = view.watermarks;
        Self {
            topic: view.at.topic.clone(),
            topic_id: view.topic_id,
            partition: view.at.partition,
            committed_offset: committed.map(|committed| committed.offset),
            committed_leader_epoch: committed.and_then(|committed| committed.leader_epoch),
            log_start_offset: reasons.value("log_start_offset", ends.log_start),
            high_watermark: reasons.value("high_watermark", ends.high_watermark),
            last_stable_offset: reasons.value("last_stable_offset", ends.last_stable),
            lag: LagOf::of(view.lag),
            time_lag: Seconds::of(view.time_lag),
            member_id: view.owner.as_ref().map(|owner| owner.id.clone()),
            client_id: view.owner.as_ref().map(|owner| owner.client_id.clone()),
            host: view.owner.as_ref().map(|owner| owner.host.clone()),
            reasons,
        }
    }
}

#[derive(Serialize)]
pub(super) struct GroupWithPartitions {
    #[serde(flatten)]
    group: Group,
    partitions: Vec<Partition>,
    member_list: Option<Vec<Member>>,
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<List<Group>>, Problem> {
    let Path(name) = path?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    let now = published.as_of.unwrap_or(read.finished);
    let (views, total) = asked.paging()?.of(listing::groups(read, &asked)?);
    let items = views.into_iter().map(|view| Group::of(view, now)).collect();
    let paging = asked.paging()?;
    Ok(Json(List { items, total, page: paging.page, per_page: paging.per_page, as_of: Some(read.started) }))
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Parameters,
) -> Result<Json<GroupWithPartitions>, Problem> {
    let Path((name, group)) = path?;
    asked.only(&[])?;
    of(&web, &name, &group)
}

pub(super) async fn by_id(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<GroupWithPartitions>, Problem> {
    let Path(name) = path?;
    asked.only(&["id"])?;
    of(&web, &name, asked.required("id")?)
}

fn of(web: &State, name: &str, group: &str) -> Result<Json<GroupWithPartitions>, Problem> {
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, name)?;
    let read = listing::observation(name, cluster)?;
    let view = listing::group(read, group)?;
    Ok(Json(GroupWithPartitions {
        group: Group::of(view, published.as_of.unwrap_or(read.finished)),
        partitions: view.partitions.iter().map(Partition::of).collect(),
        member_list: view
            .members
            .as_ref()
            .value()
            .map(|members| members.iter().map(|one| Member::clone(one)).collect()),
    }))
}
