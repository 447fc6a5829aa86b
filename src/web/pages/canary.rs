//! The canary: the sums of its ledger, and what they say.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;

use super::findings::FindingRow;
use super::frame::{self, Frame, Trouble, is_known, page, unchanged};
use super::objectives::Objectives;
use super::overview::history_href;
use super::text::{self, Badge, Link, Stamp, Value};
use crate::audit::{CanaryClass, ClassSummary, Isolation, Latency, Weight};
use crate::finding::{Finding, Kind, Placement};
use crate::metrics::canary_states;
use crate::model::{BrokerId, Timestamp};
use crate::publish::{PublishedCanary, PublishedGroupProbe, RefusedReader};
use crate::web::State;
use crate::web::listing;
use crate::web::query::Parameters;

/// The numbers of a class that fit into a line.
pub(super) struct ClassRow {
    pub(super) class: &'static str,
    pub(super) promise: &'static str,
    pub(super) state: Badge,
    pub(super) sent: String,
    pub(super) delivered: String,
    pub(super) late: String,
    pub(super) lost: u64,
    pub(super) lost_text: String,
    pub(super) duplicated: String,
    pub(super) pending: String,
    pub(super) overdue: u64,
    pub(super) loss: Value,
    pub(super) bound: Value,
    pub(super) produce_p99: Value,
    pub(super) end_to_end_p99: Value,
}

fn promise(of: CanaryClass) -> &'static str {
    match of {
        CanaryClass::Acks0 => "acks=0: nothing is promised",
        CanaryClass::Acks1 => "acks=1: the leader has it",
        CanaryClass::All => "acks=all, not idempotent",
        CanaryClass::Idempotent => "acks=all, idempotent",
        CanaryClass::Transactional => "transactions, read committed",
    }
}

impl ClassRow {
    pub(super) fn of(summary: &ClassSummary) -> Self {
        let counts = summary.counts;
        let lost = counts.lost.saturating_add(counts.truncated_after_delivery);
        let state = if lost > 0 {
            Badge::new(text::BAD, "loss")
        } else if counts.overdue > 0 {
            Badge::new(text::WARN, "overdue")
        } else if counts.duplicated > 0 {
            Badge::new(text::WARN, "duplicates")
        } else if summary.loss_rate.is_some() {
            Badge::new(text::GOOD, "no loss")
        } else {
            Badge::new(text::UNKNOWN, "nothing judged yet")
        };
        let nothing = "no record can be judged yet";
        let sample = "no sample yet";
        Self {
            class: summary.class.as_str(),
            promise: promise(summary.class),
            state,
            sent: text::count(counts.sent),
            delivered: text::count(counts.delivered),
            late: text::count(counts.late),
            lost,
            lost_text: text::count(lost),
            duplicated: text::count(counts.duplicated),
            pending: text::count(counts.pending),
            overdue: counts.overdue,
            loss: Value::or(summary.loss_rate.map(text::share), nothing),
            bound: Value::or(summary.loss_rate_upper_95.map(text::share), nothing),
            produce_p99: Value::or(summary.produce_latency_seconds.p99.map(text::latency), sample),
            end_to_end_p99: Value::or(summary.end_to_end_latency_seconds.p99.map(text::latency), sample),
        }
    }
}

#[derive(Template)]
#[template(path = "canary.html")]
struct Canary {
    frame: Frame,
    cluster: String,
    canary: Option<Ledger>,
    place: Option<Place>,
    probe: Vec<(&'static str, [Value; 4])>,
    findings: Vec<FindingRow>,
}

struct Ledger {
    topic: Link,
    paused: Option<String>,
    refused: Vec<Refused>,
    as_of: Stamp,
    classes: Vec<ClassRow>,
    details: Vec<Details>,
    objectives: Vec<Objectives>,
    partitions: Vec<(i32, Value, String, u64)>,
    latency_history: String,
    outcome_history: String,
}

/// A reader that gets nothing of some partitions, for one reason.
struct Refused {
    reader: &'static str,
    partitions: String,
    error: String,
    since: Stamp,
}

impl Refused {
    fn all(refused: &[RefusedReader], now: Timestamp) -> Vec<Self> {
        let mut alike: BTreeMap<(Isolation, &str), (Vec<String>, Timestamp)> = BTreeMap::new();
        for one in refused {
            let (partitions, since) =
                alike.entry((one.reader, one.error.as_str())).or_insert_with(|| (Vec::new(), one.since));
            partitions.push(one.partition.to_string());
            *since = one.since.min(*since);
        }
        let row = |((reader, error), (partitions, since)): ((Isolation, &str), (Vec<String>, Timestamp))| Self {
            reader: reader.as_str(),
            partitions: partitions.join(", "),
            error: text::shown(error),
            since: Stamp::of(since, now),
        };
        alike.into_iter().map(row).collect()
    }
}

/// The topic's settings and leaders, beside what they should be.
struct Place {
    not_covered: Value,
    misfits: Vec<(Badge, String)>,
}

impl Place {
    fn of(placement: &Placement) -> Self {
        let named = |brokers: &Vec<BrokerId>| {
            let names: Vec<String> = brokers.iter().map(ToString::to_string).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let badge = |weight| match weight {
            Weight::Refusal => Badge::new(text::BAD, "refused"),
            Weight::Advice => Badge::new(text::WARN, "advice"),
            Weight::Unknown => Badge::new(text::UNKNOWN, "unknown"),
            Weight::Note => Badge::new(text::INFO, "note"),
        };
        Self {
            not_covered: Value::or(placement.not_covered.as_ref().map(named), "the leaders are not known"),
            misfits: placement
                .misfits
                .iter()
                .map(|misfit| (badge(misfit.weight), text::shown(&misfit.sentence())))
                .collect(),
        }
    }
}

/// The lines of the group probe.
fn probe(probe: &PublishedGroupProbe) -> Vec<(&'static str, [Value; 4])> {
    let why = probe.trouble.as_deref().map_or_else(|| "no sample yet".to_owned(), text::shown);
    let lines =
        [("to the assignment", probe.join_latency_seconds), ("to a commit's answer", probe.commit_latency_seconds)];
    lines.map(|(stage, latency)| (stage, four(&latency, &why))).into()
}

fn four(latency: &Latency, why: &str) -> [Value; 4] {
    [latency.p50, latency.p95, latency.p99, latency.max].map(|seconds| Value::or(seconds.map(text::latency), why))
}

/// The rest of a class.
struct Details {
    class: &'static str,
    since: Stamp,
    coverage: Value,
    duplicate_rate: Value,
    latencies: Vec<(&'static str, [Value; 4])>,
    states: Vec<(String, String)>,
}

impl Details {
    fn of(summary: &ClassSummary, now: Timestamp) -> Self {
        let states = canary_states(&summary.counts).into_iter().filter(|(_, records)| *records > 0);
        Self {
            class: summary.class.as_str(),
            since: Stamp::of(summary.since, now),
            coverage: Value::or(
                summary.coverage.map(|part| format!("{:.0} %", part * 100.0)),
                "the leaders are not known",
            ),
            duplicate_rate: Value::or(summary.duplicate_rate.map(text::share), "no record was received yet"),
            latencies: vec![
                ("to acknowledgement", four(&summary.produce_latency_seconds, "no sample yet")),
                ("to receipt", four(&summary.end_to_end_latency_seconds, "no sample yet")),
            ],
            states: states.map(|(word, records)| (word.replace('_', " "), text::count(records))).collect(),
        }
    }
}

impl Ledger {
    fn of(cluster: &str, canary: &PublishedCanary, now: Timestamp) -> Self {
        let partitions = canary.partitions.iter().map(|one| {
            let frontier = Value::or(one.frontier.map(text::count), "nothing was read yet");
            (one.partition.0, frontier, text::count(one.pending), one.overdue)
        });
        Self {
            topic: Link::topic(cluster, &canary.topic),
            paused: canary.paused.clone(),
            refused: Refused::all(&canary.refused, now),
            as_of: Stamp::of(canary.as_of, now),
            classes: canary.classes.iter().map(ClassRow::of).collect(),
            details: canary.classes.iter().map(|summary| Details::of(summary, now)).collect(),
            objectives: canary.slos.iter().map(Objectives::of).collect(),
            partitions: partitions.collect(),
            latency_history: history_href(cluster, "series=canary_latency_seconds"),
            outcome_history: history_href(cluster, "series=canary_outcomes"),
        }
    }
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path(name) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let title = format!("Canary of {name}");
    let frame = Frame::of(&web, &published, &title, frame::Place::Cluster { name: name.as_str(), tab: "canary" })
        .json(text::cluster_href(name.as_str(), "/canary"));
    // Of what cannot be read, only what its own readers miss is of a topic.
    let is_about = |finding: &&Finding| {
        finding.kind.is_of_canary()
            || finding.kind == Kind::CanaryNotCovering
            || (finding.kind == Kind::MonitorBlind && finding.subject.topic.is_some())
    };
    let about = cluster.findings.iter().filter(is_about);
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &Canary {
            cluster: text::shown(name.as_str()),
            canary: cluster.canary.as_deref().map(|canary| Ledger::of(name.as_str(), canary, frame.now)),
            probe: cluster.group_probe.as_deref().map(probe).unwrap_or_default(),
            place: cluster.canary_placement.as_deref().map(Place::of),
            findings: about.map(|finding| FindingRow::of(finding, frame.now)).collect(),
            frame,
        },
    ))
}
