//! The list of groups, and one group.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;

use super::findings::FindingRow;
use super::frame::{Frame, Place, Trouble, is_known, page, unchanged};
use super::overview::history_href;
use super::pager::Pager;
use super::text::{self, Badge, Link, Stamp, Value};
use crate::model::{Reading, Timestamp};
use crate::observe::{GroupPartitionView, GroupVerdict, GroupView, Lag};
use crate::web::State;
use crate::web::listing::{self, SORTS, STATES, TYPES, VERDICTS, state_word, type_word};
use crate::web::query::Parameters;

#[derive(Template)]
#[template(path = "groups.html")]
struct Groups {
    frame: Frame,
    cluster: String,
    action: String,
    q: String,
    filters: Vec<Filter>,
    rows: Vec<GroupRow>,
    pager: Pager,
}

/// A choice in the form above the list.
struct Filter {
    name: &'static str,
    label: &'static str,
    any: &'static str,
    options: Vec<(String, String, bool)>,
}

impl Filter {
    fn of(
        asked: &Parameters,
        (name, label, any): (&'static str, &'static str, &'static str),
        words: impl Iterator<Item = &'static str>,
    ) -> Self {
        let chosen = asked.text(name);
        let option = |word: &'static str| (word.to_owned(), text::sort_label(word), chosen == Some(word));
        Self { name, label, any, options: words.map(option).collect() }
    }
}

/// One line of the list.
struct GroupRow {
    link: Link,
    verdict: Badge,
    state: Value,
    kind: &'static str,
    members: Value,
    lag: Value,
    age: Value,
    partitions: usize,
    partitions_unknown: u64,
    last_commit: Option<Stamp>,
    as_of: Stamp,
}

impl GroupRow {
    fn of(cluster: &str, view: &GroupView, now: Timestamp) -> Self {
        Self {
            link: Link::group(cluster, view.group.as_str()),
            verdict: Badge::new(text::verdict(view.verdict), view.verdict.as_str()),
            state: state(view),
            kind: type_word(view.group_type),
            members: Value::of(view.members.as_ref(), |members| text::count(text::number(members.len()))),
            lag: lag(view),
            age: Value::or(text::time_lag(view.time_lag), "not measurable"),
            partitions: view.partitions.len(),
            partitions_unknown: view.partitions_unknown,
            last_commit: view.last_commit_seen.map(|at| Stamp::of(at, now)),
            as_of: Stamp::of(view.as_of, now),
        }
    }
}

fn state(view: &GroupView) -> Value {
    match view.state {
        Reading::Read(_) => Value::known(state_word(&view.state).replace('_', " ")),
        Reading::Missing(why) => Value::missing(why),
    }
}

/// The lag of a group; where not every partition is in the sum, that is said.
pub(super) fn lag(view: &GroupView) -> Value {
    lag_sum(&view.partitions.iter().map(|partition| partition.lag).collect::<Vec<_>>())
}

/// The sum of the lags that are known.
pub(super) fn lag_sum(lags: &[Lag]) -> Value {
    let why = |lag: &Lag| match lag {
        Lag::Unknown(why) => Some(why.to_string()),
        Lag::Stranded { .. } => Some("the commit is stranded".to_owned()),
        Lag::Ahead(_) => Some("the commit lies beyond the log".to_owned()),
        Lag::Uncommitted => Some("it never committed".to_owned()),
        Lag::Behind(_) | Lag::Expired { .. } => None,
    };
    let known: Vec<u64> = lags.iter().filter_map(Lag::records).collect();
    let sum = known.iter().copied().reduce(u64::saturating_add).map(text::count);
    let at_least = if lags.iter().any(|lag| matches!(lag, Lag::Unknown(_))) { "≥ " } else { "" };
    let all = lags.len();
    let sum = sum.map(|sum| match known.len() {
        measured if measured == all => sum,
        measured => format!("{at_least}{sum} on {measured} of {all} partitions"),
    });
    Value::or(sum, lags.iter().find_map(why).as_deref().unwrap_or("it has no partitions"))
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
    let read = listing::observation(name, cluster)?;
    let chosen = listing::groups(read, &asked)?;
    let paging = asked.paging()?;
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let (views, total) = paging.of(chosen);
    let action = text::cluster_href(name.as_str(), "/groups");
    let title = format!("Groups of {name}");
    let frame = Frame::of(&web, &published, &title, Place::Cluster { name: name.as_str(), tab: "groups" })
        .json(asked.appended_to(&action));
    let filters = vec![
        Filter::of(&asked, ("verdict", "Verdict", "any"), VERDICTS.iter().map(|verdict| verdict.as_str())),
        Filter::of(&asked, ("state", "State", "any"), STATES.iter().map(|(word, _)| *word)),
        Filter::of(&asked, ("type", "Type", "any"), TYPES.iter().map(|(word, _)| *word)),
        Filter::of(&asked, ("sort", "Sort by", "worst verdict first"), SORTS.iter().skip(1).copied()),
    ];
    let tag = frame.tag.clone();
    let rows = views.into_iter().map(|view| GroupRow::of(name.as_str(), view, frame.now)).collect();
    Ok(page(
        &tag,
        &Groups {
            cluster: text::shown(name.as_str()),
            q: asked.text("q").unwrap_or_default().to_owned(),
            filters,
            rows,
            pager: Pager::of(&asked, &action, paging, total),
            action,
            frame,
        },
    ))
}

#[derive(Template)]
#[template(path = "group.html")]
struct Group {
    frame: Frame,
    name: String,
    verdict: Badge,
    meaning: &'static str,
    facts: Vec<(&'static str, Value)>,
    lag_history: String,
    age_history: String,
    partitions: Vec<PartitionRow>,
    members: Vec<MemberRow>,
    members_unknown: Option<String>,
    findings: Vec<FindingRow>,
    as_of: Stamp,
}

struct PartitionRow {
    topic: Link,
    partition: i32,
    committed: Value,
    epoch: Option<i32>,
    log_start: Value,
    last_stable: Value,
    high_watermark: Value,
    lag: Badge,
    records: Option<String>,
    lag_note: String,
    age: Value,
    owner: Option<(String, String)>,
}

struct MemberRow {
    id: String,
    client: String,
    host: String,
    assignment: Vec<String>,
}

/// What a verdict says, for those who meet it at night.
fn meaning(of: GroupVerdict) -> &'static str {
    match of {
        GroupVerdict::Stranded => {
            "The leader epoch of a commit ends before it: the log was cut under the group. Once it has regrown, new records will be skipped."
        }
        GroupVerdict::LosingToRetention => "Retention removed records before the group read them. They are gone.",
        GroupVerdict::AheadOfLog => {
            "A commit lies beyond the high watermark, and no leader epoch says why: the log was cut, the topic created again, or the offset set by hand."
        }
        GroupVerdict::Rewound => "A commit went back: records will be read again.",
        GroupVerdict::Stopped => "There are unread records and no commit for longer than the window.",
        GroupVerdict::Stalled => "It commits, but its commits do not advance, and there are unread records.",
        GroupVerdict::FallingBehind => "Its lag grows over the window.",
        GroupVerdict::BlockedByTransaction => {
            "It has read all up to the last stable offset; an open transaction holds back the rest."
        }
        GroupVerdict::Abandoned => "Commits are left on topics that no member owns.",
        GroupVerdict::NotMeasurable => {
            "It commits nothing: its offsets are kept elsewhere, or it is a share group, whose members take records in no order. Whether it goes on cannot be seen from here."
        }
        GroupVerdict::Unknown => "Something that the verdict needs was not read.",
        GroupVerdict::Ok => "It keeps up, and all of it was read.",
    }
}

fn lag_tone(lag: Lag) -> (&'static str, &'static str) {
    match lag {
        Lag::Behind(0) => text::GOOD,
        Lag::Behind(_) => ("plain", "·"),
        Lag::Expired { .. } | Lag::Ahead(_) | Lag::Stranded { .. } => text::BAD,
        Lag::Uncommitted => text::INFO,
        Lag::Unknown(_) => text::UNKNOWN,
    }
}

fn lag_note(lag: Lag) -> String {
    match lag {
        Lag::Behind(_) | Lag::Uncommitted => String::new(),
        Lag::Expired { lost, .. } => format!("{} gone unread", text::count(lost)),
        Lag::Ahead(offsets) => format!("{} beyond the high watermark", text::count(offsets)),
        Lag::Stranded { skip, epoch_end } => {
            format!("its epoch ends at {}, {} will be skipped", text::count(epoch_end.get()), text::count(skip))
        }
        Lag::Unknown(why) => why.to_string(),
    }
}

impl PartitionRow {
    fn of(cluster: &str, view: &GroupPartitionView) -> Self {
        let offset = |reading: Reading<crate::model::Offset>| Value::of(reading, |offset| text::count(offset.get()));
        let committed = match view.committed {
            Reading::Read(Some(commit)) => Value::known(text::count(commit.offset.get())),
            Reading::Read(None) => Value::known("none".to_owned()),
            Reading::Missing(why) => Value::missing(why),
        };
        let commit = view.committed.value().flatten();
        Self {
            topic: Link::topic(cluster, view.at.topic.as_str()),
            partition: view.at.partition.0,
            committed,
            epoch: commit.and_then(|commit| commit.leader_epoch).map(crate::model::LeaderEpoch::get),
            log_start: offset(view.watermarks.log_start),
            last_stable: offset(view.watermarks.last_stable),
            high_watermark: offset(view.watermarks.high_watermark),
            lag: Badge::new(lag_tone(view.lag), view.lag.state()),
            records: view.lag.records().map(text::count),
            lag_note: lag_note(view.lag),
            age: Value::or(text::time_lag(view.time_lag), "not measurable"),
            owner: view.owner.as_ref().map(|owner| (text::shown(&owner.client_id), text::shown(&owner.host))),
        }
    }
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path((name, group)) = path?;
    asked.only(&[])?;
    of(&web, &headers, &name, &group)
}

pub(super) async fn by_id(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path(name) = path?;
    asked.only(&["id"])?;
    of(&web, &headers, &name, asked.required("id")?)
}

fn of(web: &State, headers: &HeaderMap, name: &str, group: &str) -> Result<Response, Trouble> {
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, name)?;
    let read = listing::observation(name, cluster)?;
    let view = listing::group(read, group)?;
    if is_known(headers, &published) {
        return Ok(unchanged());
    }
    let cluster_name = name.as_str();
    let id = text::encoded(group);
    let title = format!("{} · group of {name}", text::shown(group));
    let frame = Frame::of(web, &published, &title, Place::Cluster { name: cluster_name, tab: "groups" })
        .json(text::cluster_href(cluster_name, &format!("/group?id={id}")));
    let last_commit = view.last_commit_seen.map(|at| Stamp::of(at, frame.now).age);
    let facts = vec![
        ("lag, records", lag(view)),
        ("oldest unread", Value::or(text::time_lag(view.time_lag), "the age of the first unread record is not known")),
        ("last commit seen", Value::or(last_commit, "no commit was seen to change yet")),
        ("state", state(view)),
        ("type", Value::known(type_word(view.group_type).to_owned())),
        ("members", Value::of(view.members.as_ref(), |members| members.len().to_string())),
        ("partitions", Value::known(view.partitions.len().to_string())),
        ("of these unknown", Value::known(view.partitions_unknown.to_string())),
        ("without commit", Value::known(view.partitions_without_commit.to_string())),
    ];
    let members = view.members.as_ref().value().into_iter().flatten().map(|member| MemberRow {
        id: text::shown(member.id.as_str()),
        client: text::shown(&member.client_id),
        host: text::shown(&member.host),
        assignment: member.assignment.iter().map(|at| text::shown(&at.to_string())).collect(),
    });
    let about = cluster.findings.iter().filter(|finding| finding.subject.group.as_ref() == Some(&view.group));
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &Group {
            name: text::shown(group),
            verdict: Badge::new(text::verdict(view.verdict), view.verdict.as_str()),
            meaning: meaning(view.verdict),
            facts,
            lag_history: history_href(cluster_name, &format!("series=group_lag_records&group={id}")),
            age_history: history_href(cluster_name, &format!("series=group_lag_seconds&group={id}")),
            partitions: view.partitions.iter().map(|one| PartitionRow::of(cluster_name, one)).collect(),
            members: members.collect(),
            members_unknown: view.members.missing().map(|why| why.to_string()),
            findings: about.map(|finding| FindingRow::of(finding, frame.now)).collect(),
            as_of: Stamp::of(view.as_of, frame.now),
            frame,
        },
    ))
}
