//! The canary: one object per class.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use serde::Serialize;

use super::reasons::Reasons;
use crate::audit::rates::{Correction, Rates};
use crate::audit::slo::{Minutes, TimeCoverage};
use crate::audit::{CanaryPartition, ClassSlo, ClassSummary, Latency, Misfit, PROBE_GROUP, SloState};
use crate::model::{BrokerId, Timestamp};
use crate::publish::{PublishedGroupProbe, RefusedReader};
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::query::Parameters;

#[derive(Serialize)]
pub(super) struct Canary {
    enabled: bool,
    topic: Option<String>,
    /// Why it does not send, if so.
    paused: Option<String>,
    /// What its own readers are refused now.
    refused: Vec<RefusedReader>,
    items: Vec<Class>,
    total: usize,
    page: u64,
    per_page: u64,
    as_of: Option<Timestamp>,
    partitions: Vec<CanaryPartition>,
    /// Brokers that could lead and lead no canary partition; null while that is not known.
    brokers_not_covered: Option<Vec<BrokerId>>,
    /// What of the topic's settings does not fit or is not known, the gravest first; null while the topic was not seen.
    settings: Option<Vec<Misfit>>,
    /// What members of a consumer group wait for; null where that is not measured.
    group_probe: Option<Probe>,
    reasons: Reasons,
}

#[derive(Serialize)]
struct Probe {
    group: &'static str,
    join_latency_seconds: Latency,
    commit_latency_seconds: Latency,
    /// Why nothing can be measured now, if so.
    trouble: Option<String>,
    reasons: Reasons,
}

impl Probe {
    fn of(probe: &PublishedGroupProbe) -> Self {
        let PublishedGroupProbe { join_latency_seconds, commit_latency_seconds, trouble } = probe.clone();
        let mut reasons = Reasons::default();
        let (code, why) = match &trouble {
            Some(trouble) => ("failing", trouble.as_str()),
            None => ("no_sample", "nothing was measured yet"),
        };
        reasons.or("join_latency_seconds", join_latency_seconds.max, code, why);
        reasons.or("commit_latency_seconds", commit_latency_seconds.max, code, why);
        Self { group: PROBE_GROUP, join_latency_seconds, commit_latency_seconds, trouble, reasons }
    }
}

#[derive(Serialize)]
struct Class {
    #[serde(flatten)]
    summary: ClassSummary,
    /// The objectives by their words; none before the first look.
    slo: Option<BTreeMap<&'static str, Objective>>,
    #[serde(flatten)]
    by_send_time: Option<BySendTime>,
    reasons: Reasons,
}

/// One objective with what is said of it.
#[derive(Serialize)]
struct Objective {
    #[serde(flatten)]
    state: SloState,
    good_ratio: Option<f64>,
    summary: String,
    resolution_summary: Option<String>,
    reasons: Reasons,
}

/// What else is known by send time.
#[derive(Serialize)]
struct BySendTime {
    slo_as_of: Timestamp,
    rates: Rates,
    time_coverage: TimeCoverage,
    minutes: Minutes,
    corrections: Vec<Correction>,
}

impl Objective {
    fn of(state: &SloState) -> Self {
        let mut reasons = Reasons::default();
        let good_ratio = state.share.good_ratio();
        let nothing = "no record of the last 30 days can be judged";
        for (field, value) in
            [("good_ratio", good_ratio), ("rate", state.share.rate), ("upper_95", state.share.upper_95)]
        {
            reasons.or(field, value, "nothing_judged", nothing);
        }
        if state.is_judged_by_budget {
            reasons.or("budget_left", state.budget_left, "nothing_judged", nothing);
        } else {
            let proven = "what this class loses is proven, and each proof is a finding";
            reasons.or("budget_left", state.budget_left, "judged_by_proof", proven);
            reasons.or("resolution", state.resolution, "judged_by_proof", proven);
        }
        Self {
            good_ratio,
            summary: state.sentence(),
            resolution_summary: state.resolution.map(|resolution| resolution.sentence()),
            state: state.clone(),
            reasons,
        }
    }
}

impl BySendTime {
    fn of(slo: &ClassSlo) -> Self {
        Self {
            slo_as_of: slo.as_of,
            rates: slo.rates,
            time_coverage: slo.time_coverage,
            minutes: slo.minutes.clone(),
            corrections: slo.corrections.clone(),
        }
    }
}

impl Class {
    fn of(summary: &ClassSummary, slo: Option<&ClassSlo>) -> Self {
        let mut reasons = Reasons::default();
        let nothing = "no record can be judged yet";
        reasons.or("loss_rate", summary.loss_rate, "nothing_judged", nothing);
        reasons.or("loss_rate_upper_95", summary.loss_rate_upper_95, "nothing_judged", nothing);
        reasons.or("duplicate_rate", summary.duplicate_rate, "nothing_received", "no record was received yet");
        let (produce, end_to_end) = (summary.produce_latency_seconds.max, summary.end_to_end_latency_seconds.max);
        reasons.or("produce_latency_seconds", produce, "no_sample", "no acknowledgement was measured");
        reasons.or("end_to_end_latency_seconds", end_to_end, "no_sample", "no receipt was measured");
        reasons.or("coverage", summary.coverage, "not_read", "the leaders of the canary topic are not known");
        let slo_map = slo.map(|slo| slo.slos.iter().map(|one| (one.slo.as_str(), Objective::of(one))).collect());
        reasons.or("slo", slo, "not_read", "the objectives were not looked at yet");
        Self { summary: summary.clone(), slo: slo_map, by_send_time: slo.map(BySendTime::of), reasons }
    }
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<Canary>, Problem> {
    let Path(name) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (_, cluster) = listing::cluster(&published, &name)?;
    let canary = cluster.canary.as_deref();
    let placement = cluster.canary_placement.as_deref();
    let (not_covered, settings) =
        (placement.and_then(|place| place.not_covered.clone()), placement.map(|place| place.misfits.clone()));
    let mut reasons = Reasons::default();
    let unread = "the canary topic was not read yet";
    reasons.or(
        "brokers_not_covered",
        not_covered.as_ref(),
        "not_read",
        "the leaders of the canary topic are not known",
    );
    let group_probe = cluster.group_probe.as_deref().map(Probe::of);
    reasons.or("group_probe", group_probe.as_ref(), "not_enabled", "canary.group_probe is not set");
    reasons.or("settings", settings.as_ref(), "not_read", unread);
    let items: Vec<Class> = canary
        .map(|canary| {
            let slo = |summary: &ClassSummary| canary.slos.iter().find(|slo| slo.class == summary.class);
            canary.classes.iter().map(|summary| Class::of(summary, slo(summary))).collect()
        })
        .unwrap_or_default();
    Ok(Json(Canary {
        enabled: canary.is_some(),
        topic: canary.map(|canary| canary.topic.clone()),
        paused: canary.and_then(|canary| canary.paused.clone()),
        refused: canary.map(|canary| canary.refused.clone()).unwrap_or_default(),
        total: items.len(),
        items,
        page: 1,
        per_page: 100,
        as_of: canary.map(|canary| canary.as_of),
        partitions: canary.map(|canary| canary.partitions.clone()).unwrap_or_default(),
        brokers_not_covered: not_covered,
        settings,
        group_probe,
        reasons,
    }))
}
