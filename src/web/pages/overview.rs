//! The state of all clusters on one page.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;

use super::canary::ClassRow;
use super::findings::FindingRow;
use super::frame::{Frame, Place, Trouble, is_known, page, unchanged};
use super::groups::lag;
use super::text::{self, Badge, Link, Stamp, Value};
use crate::finding::{FindingState, Grade, Severity};
use crate::metrics::{partition_counts, partition_states};
use crate::model::{ClusterName, Timestamp};
use crate::observe::{BrokerState, Observation};
use crate::publish::{Published, PublishedCluster};
use crate::web::State;
use crate::web::listing::{self, VERDICTS};
use crate::web::query::Parameters;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    clusters: Vec<Summary>,
    storage_trouble: Option<String>,
}

/// One cluster.
struct Summary {
    name: String,
    href: String,
    headlines: Vec<(Badge, String)>,
    read: Option<Health>,
    findings: Vec<(Badge, Vec<u64>)>,
    open: u64,
    recent: Vec<FindingRow>,
    canary: Option<CanaryStrip>,
}

struct CanaryStrip {
    classes: Vec<ClassRow>,
    paused: Option<String>,
    as_of: Stamp,
}

/// What was read of it.
struct Health {
    brokers: usize,
    silent: Vec<(String, String, Stamp)>,
    partitions: Vec<(Badge, u64)>,
    partitions_total: u64,
    groups_total: u64,
    verdicts: Vec<Segment>,
    lagging: Vec<Lagging>,
    poll: Poll,
}

struct Poll {
    as_of: Stamp,
    took: String,
    requests: u64,
    unknown_readings: u64,
    missing: Vec<String>,
}

/// A share of a bar.
struct Segment {
    badge: Badge,
    groups: u64,
    href: String,
    x: u64,
    width: u64,
}

struct Lagging {
    group: Link,
    verdict: Badge,
    records: Value,
    age: Value,
    history: String,
}

const GRADES: [Grade; 4] = [Grade::Proven, Grade::Observed, Grade::Risk, Grade::Unknown];

impl Summary {
    fn of(name: &ClusterName, cluster: &PublishedCluster, now: Timestamp) -> Self {
        let open: Vec<_> = cluster.findings.iter().filter(|finding| finding.state == FindingState::Open).collect();
        let matrix = Severity::ALL.iter().map(|severity| {
            let of = |grade: &Grade| {
                open.iter().filter(|finding| finding.severity == *severity && finding.grade == *grade).count()
            };
            let counts = GRADES.iter().map(|grade| text::number(of(grade))).collect();
            (Badge::new(text::severity(*severity), severity.as_str()), counts)
        });
        let mut recent: Vec<_> = cluster.findings.iter().collect();
        recent.sort_by_key(|finding| std::cmp::Reverse(finding.opened_at));
        Self {
            name: text::shown(name.as_str()),
            href: text::cluster_href(name.as_str(), ""),
            headlines: headlines(cluster),
            read: cluster.observation.as_deref().map(|read| Health::of(name, read, now)),
            findings: matrix.collect(),
            open: text::number(open.len()),
            recent: recent.into_iter().take(12).map(|finding| FindingRow::of(finding, now)).collect(),
            canary: cluster.canary.as_deref().map(|canary| CanaryStrip {
                classes: canary.classes.iter().map(ClassRow::of).collect(),
                paused: canary.paused.clone(),
                as_of: Stamp::of(canary.as_of, now),
            }),
        }
    }
}

/// What must be seen first: what is wrong, and what could not be seen.
fn headlines(cluster: &PublishedCluster) -> Vec<(Badge, String)> {
    let mut lines = Vec::new();
    let open = |severity| {
        let open = cluster.findings.iter().filter(|finding| finding.state == FindingState::Open);
        text::number(open.filter(|finding| finding.severity == severity).count())
    };
    let proven = cluster
        .findings
        .iter()
        .filter(|finding| finding.state == FindingState::Open && finding.grade == Grade::Proven)
        .count();
    for severity in [Severity::Critical, Severity::Warning] {
        let findings = open(severity);
        if findings > 0 {
            let line = format!("{findings} {} open", if findings == 1 { "finding is" } else { "findings are" });
            lines.push((Badge::new(text::severity(severity), severity.as_str()), line));
        }
    }
    if proven > 0 {
        let line =
            format!("{proven} of the open findings {} proven by offsets", if proven == 1 { "is" } else { "are" });
        lines.push((Badge::new(text::grade(Grade::Proven), "proven"), line));
    }
    let Some(read) = cluster.observation.as_deref() else {
        lines.push((Badge::new(text::UNKNOWN, "unknown"), "not read yet: the first turn is under way".to_owned()));
        return lines;
    };
    if !read.reachable {
        lines.push((
            Badge::new(text::UNKNOWN, "unknown"),
            "no broker of the cluster answers: all below is old".to_owned(),
        ));
    } else if !read.complete {
        let unknown: u64 = read.unknown_readings.values().sum();
        let line = format!("part of the cluster was not read: {} values are unknown", text::count(unknown));
        lines.push((Badge::new(text::UNKNOWN, "partial"), line));
    } else if lines.is_empty() {
        let line =
            format!("no finding is open; all {} topics and {} groups were read", read.topics.len(), read.groups.len());
        lines.push((Badge::new(text::GOOD, "ok"), line));
    }
    lines
}

impl Health {
    fn of(name: &ClusterName, read: &Observation, now: Timestamp) -> Self {
        let silent = read.brokers.values().filter_map(|broker| {
            let why = match broker.state {
                BrokerState::Answering => return None,
                BrokerState::NotAnswering(why) => why.to_string(),
                BrokerState::LeftMetadata => format!("broker {} left the metadata", broker.id),
            };
            Some((broker.id.to_string(), why, Stamp::of(broker.since, now)))
        });
        let counts = partition_counts(read.topics.values());
        let flags = partition_states(counts)
            .into_iter()
            .filter_map(|(word, partitions)| Some((word, partitions?)))
            .filter(|(word, partitions)| *word != "total" && *partitions > 0);
        Self {
            brokers: read.brokers.len(),
            silent: silent.collect(),
            partitions: flags.map(|(word, partitions)| (Badge::new(flag_tone(word), word), partitions)).collect(),
            partitions_total: counts.total,
            groups_total: text::number(read.groups.len()),
            verdicts: segments(name, read),
            lagging: lagging(name, read),
            poll: Poll {
                as_of: Stamp::of(read.finished, now),
                took: text::latency(read.took.as_secs_f64()),
                requests: read.requests.values().sum(),
                unknown_readings: read.unknown_readings.values().sum(),
                missing: read.missing.iter().map(missing_part).collect(),
            },
        }
    }
}

fn missing_part(missing: &crate::model::MissingPart) -> String {
    use crate::model::Part;
    let part = match missing.part {
        Part::Metadata => "metadata",
        Part::GroupList => "list of groups",
        Part::GroupDescription => "members of groups",
        Part::Commits => "committed offsets",
        Part::Watermarks => "watermarks",
        Part::EpochEnds => "ends of leader epochs",
        Part::Configs => "topic settings",
    };
    match missing.broker {
        Some(broker) => format!("{part} of broker {broker}: {}", missing.why),
        None => format!("{part}: {}", missing.why),
    }
}

/// Tone and sign of a partition flag.
pub(super) fn flag_tone(word: &str) -> (&'static str, &'static str) {
    match word {
        "offline" | "under_min_isr" => text::BAD,
        "at_min_isr" | "under_replicated" => text::WARN,
        "unknown" => text::UNKNOWN,
        _ => text::INFO,
    }
}

/// The verdicts as parts of a bar of 1,000, each at least wide enough to be seen.
fn segments(name: &ClusterName, read: &Observation) -> Vec<Segment> {
    let mut counts = BTreeMap::new();
    for view in read.groups.values() {
        *counts.entry(view.verdict).or_insert(0_u64) += 1;
    }
    let total: u64 = counts.values().sum();
    let shares = VERDICTS.iter().filter_map(|verdict| Some((*verdict, *counts.get(verdict)?)));
    let widths: Vec<_> = shares.map(|(verdict, groups)| (verdict, groups, (groups * 1_000 / total).max(8))).collect();
    let whole: u64 = widths.iter().map(|(_, _, width)| width).sum();
    let mut x = 0;
    let mut segments = Vec::new();
    for (verdict, groups, width) in widths {
        let width = width * 1_000 / whole;
        let word = verdict.as_str();
        segments.push(Segment {
            badge: Badge::new(text::verdict(verdict), word),
            groups,
            href: text::cluster_href(name.as_str(), &format!("/groups?verdict={word}")),
            x,
            width: width.saturating_sub(2).max(1),
        });
        x += width;
    }
    segments
}

fn lagging(name: &ClusterName, read: &Observation) -> Vec<Lagging> {
    let mut views: Vec<_> = read.groups.values().filter(|view| view.lag_records.is_some_and(|lag| lag > 0)).collect();
    views.sort_by_key(|view| std::cmp::Reverse(view.lag_records));
    let row = |view: &&crate::observe::GroupView| {
        let group = view.group.as_str();
        Lagging {
            group: Link::group(name.as_str(), group),
            verdict: Badge::new(text::verdict(view.verdict), view.verdict.as_str()),
            records: lag(view),
            age: Value::or(text::time_lag(view.time_lag), "not measurable"),
            history: history_href(name.as_str(), &format!("series=group_lag_records&group={}", text::encoded(group))),
        }
    };
    views.iter().take(8).map(row).collect()
}

/// Where the course of a series is read.
pub(super) fn history_href(cluster: &str, query: &str) -> String {
    format!("/api/v1{}", text::cluster_href(cluster, &format!("/history?{query}")))
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    asked.only(&[])?;
    let published = web.published();
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let frame = Frame::of(&web, &published, "Overview", Place::Overview).json("/clusters".to_owned());
    let clusters = published.clusters.iter().map(|(name, cluster)| Summary::of(name, cluster, frame.now)).collect();
    Ok(sent(frame, clusters, &published))
}

pub(super) async fn one(
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
    let place = Place::Cluster { name: name.as_str(), tab: "" };
    let frame = Frame::of(&web, &published, name.as_str(), place).json("/clusters".to_owned());
    let clusters = vec![Summary::of(name, cluster, frame.now)];
    Ok(sent(frame, clusters, &published))
}

fn sent(frame: Frame, clusters: Vec<Summary>, published: &Published) -> Response {
    let tag = frame.tag.clone();
    page(&tag, &Overview { frame, clusters, storage_trouble: published.own.storage_trouble.clone() })
}
