//! The list of findings, and one finding with its evidence.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::evidence::{self, Entry};
use super::frame::{Frame, Place, Trouble, is_known, page, unchanged};
use super::pager::Pager;
use super::text::{self, Badge, Link, Stamp};
use crate::finding::{CountIs, Finding, FindingState, Grade, Kind, Nature, Severity};
use crate::model::Timestamp;
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::query::Parameters;

/// What the bars of the timeline span.
const WINDOW: Duration = Duration::from_secs(12 * 60 * 60);
/// The width of the timeline.
const WIDTH: u64 = 240;

/// One line of a list of findings.
pub(super) struct FindingRow {
    pub(super) link: Link,
    pub(super) severity: Badge,
    pub(super) grade: Badge,
    pub(super) kind: String,
    pub(super) open: bool,
    pub(super) count: Option<String>,
    pub(super) opened: Stamp,
    pub(super) closed: Option<Stamp>,
    pub(super) bar: Bar,
}

/// When a finding was open, as part of the timeline.
pub(super) struct Bar {
    pub(super) tone: &'static str,
    pub(super) x: u64,
    pub(super) width: u64,
    pub(super) label: String,
}

impl Bar {
    fn of(finding: &Finding, now: Timestamp) -> Self {
        let start = now - WINDOW;
        let place = |at: Timestamp| {
            let millis = at.since(start).as_millis().saturating_mul(u128::from(WIDTH)) / WINDOW.as_millis();
            u64::try_from(millis).unwrap_or(WIDTH).min(WIDTH)
        };
        let end = finding.closed_at.unwrap_or(now);
        let (from, to) = (place(finding.opened_at), place(end));
        let x = from.min(WIDTH - 3);
        let until = finding.closed_at.map_or_else(|| "still open".to_owned(), |at| format!("closed {at}"));
        Self {
            tone: text::severity(finding.severity).0,
            x,
            width: if to == 0 { 0 } else { to.saturating_sub(x).max(3) },
            label: format!("opened {}, {until}", finding.opened_at),
        }
    }
}

/// How many, and how sure that is.
fn count(finding: &Finding) -> Option<String> {
    let count = text::count(finding.count?);
    Some(match finding.count_is {
        CountIs::Exact => count,
        CountIs::AtLeast => format!("≥ {count}"),
        CountIs::AtMost => format!("≤ {count}"),
    })
}

impl FindingRow {
    pub(super) fn of(finding: &Finding, now: Timestamp) -> Self {
        let path = format!("/findings/{}", text::encoded(&finding.id));
        Self {
            link: Link { href: text::cluster_href(finding.cluster.as_str(), &path), text: finding.summary.clone() },
            severity: Badge::new(text::severity(finding.severity), finding.severity.as_str()),
            grade: Badge::new(text::grade(finding.grade), finding.grade.as_str()),
            kind: finding.kind.as_str().replace('_', " "),
            open: finding.state == FindingState::Open,
            count: count(finding),
            opened: Stamp::of(finding.opened_at, now),
            closed: finding.closed_at.map(|at| Stamp::of(at, now)),
            bar: Bar::of(finding, now),
        }
    }
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Findings {
    frame: Frame,
    cluster: String,
    action: String,
    state: &'static str,
    kinds: Vec<(&'static str, String, bool)>,
    grades: Vec<(&'static str, bool)>,
    kept: Vec<(&'static str, String)>,
    rows: Vec<FindingRow>,
    pager: Pager,
}

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path(name) = path?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let chosen = listing::findings(cluster, &asked)?;
    let paging = asked.paging()?;
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let (findings, total) = paging.of(chosen);
    let action = text::cluster_href(name.as_str(), "/findings");
    let title = format!("Findings of {name}");
    let frame = Frame::of(&web, &published, &title, Place::Cluster { name: name.as_str(), tab: "findings" })
        .json(asked.appended_to(&action));
    let kind = |kind: &Kind| {
        let word = kind.as_str();
        (word, word.replace('_', " "), asked.text("kind") == Some(word))
    };
    let grade = |grade: &Grade| (grade.as_str(), asked.text("grade") == Some(grade.as_str()));
    let kept = ["group", "topic", "since"].into_iter();
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &Findings {
            cluster: text::shown(name.as_str()),
            state: asked.word("state", &["open", "closed", "all"])?.unwrap_or("all"),
            kinds: Kind::ALL.iter().map(kind).collect(),
            grades: Grade::ALL.iter().map(grade).collect(),
            kept: kept.filter_map(|name| Some((name, asked.text(name)?.to_owned()))).collect(),
            rows: findings.into_iter().map(|finding| FindingRow::of(finding, frame.now)).collect(),
            pager: Pager::of(&asked, &action, paging, total),
            action,
            frame,
        },
    ))
}

#[derive(Template)]
#[template(path = "finding.html")]
struct One {
    frame: Frame,
    row: FindingRow,
    meaning: &'static str,
    nature: &'static str,
    id: String,
    key: String,
    last_seen: Stamp,
    subjects: Vec<(&'static str, Option<Link>, String)>,
    advice: String,
    evidence: Vec<Entry>,
    verify: Vec<String>,
    alert: Option<String>,
    back: String,
}

/// What a grade promises.
fn meaning(of: Grade) -> &'static str {
    match of {
        Grade::Proven => "Proven: offsets and leader epochs show it, and can be read again.",
        Grade::Observed => "Observed: this is what the cluster said of itself.",
        Grade::Risk => "Risk: nothing has happened; the configuration allows it.",
        Grade::Unknown => "Unknown: it cannot be seen from outside.",
    }
}

fn nature(finding: &Finding) -> &'static str {
    match (finding.nature, finding.state) {
        (Nature::State, FindingState::Open) => "It holds now, and closes after two complete readings without it.",
        (Nature::State, FindingState::Closed) => "It held for a while.",
        (Nature::Event, FindingState::Open) => "It happened; it stays open for a while so that it is seen.",
        (Nature::Event, FindingState::Closed) => "It happened.",
    }
}

fn subjects(finding: &Finding) -> Vec<(&'static str, Option<Link>, String)> {
    let cluster = finding.cluster.as_str();
    let subject = &finding.subject;
    let mut all = vec![(
        "cluster",
        Some(Link { href: text::cluster_href(cluster, ""), text: text::shown(cluster) }),
        String::new(),
    )];
    if let Some(group) = &subject.group {
        all.push(("group", Some(Link::group(cluster, group.as_str())), String::new()));
    }
    if let Some(topic) = &subject.topic {
        all.push(("topic", Some(Link::topic(cluster, topic.as_str())), String::new()));
    }
    let plain = [
        ("topic id", subject.topic_id.map(|id| id.to_string())),
        ("partition", subject.partition.map(|partition| partition.to_string())),
        ("broker", subject.broker.map(|broker| broker.to_string())),
        ("member", subject.member_id.as_ref().map(|member| text::shown(member.as_str()))),
        ("transactional id", subject.transactional_id.as_deref().map(text::shown)),
        ("canary class", subject.canary_class.clone()),
    ];
    all.extend(plain.into_iter().filter_map(|(name, value)| Some((name, None, value?))));
    all
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path((name, id)) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (name, _) = listing::cluster(&published, &name)?;
    let finding = listing::finding(&published, &id)?;
    if finding.cluster != *name {
        return Err(Problem::not_known("finding", &id).into());
    }
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let list = text::cluster_href(name.as_str(), "/findings");
    let title = format!("{} · finding of {name}", finding.kind.as_str().replace('_', " "));
    let frame = Frame::of(&web, &published, &title, Place::Cluster { name: name.as_str(), tab: "findings" })
        .json(format!("{list}/{}", text::encoded(&id)));
    let alert = published.alerts.iter().any(|alert| alert.id == id);
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &One {
            row: FindingRow::of(finding, frame.now),
            meaning: meaning(finding.grade),
            nature: nature(finding),
            id: finding.id.clone(),
            key: text::shown(&finding.key),
            last_seen: Stamp::of(finding.last_seen_at, frame.now),
            subjects: subjects(finding),
            advice: finding.advice.clone(),
            evidence: evidence::entries(&finding.evidence),
            verify: finding.verify.clone(),
            alert: alert.then(|| format!("/alerts/{}", text::encoded(&id))),
            back: list,
            frame,
        },
    ))
}

/// An id is unique over all clusters: on to the page of its own.
pub(super) async fn anywhere(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Trouble> {
    let Path(id) = path?;
    let published = web.published();
    let finding = listing::finding(&published, &id)?;
    let path = format!("/findings/{}", text::encoded(&id));
    Ok(Redirect::temporary(&text::cluster_href(finding.cluster.as_str(), &path)).into_response())
}

/// The severities, for the head of a table.
pub(super) fn severity_badge(of: Severity) -> Badge {
    Badge::new(text::severity(of), of.as_str())
}
