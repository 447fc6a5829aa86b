//! The list of topics, and one topic.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::Response;

use super::findings::FindingRow;
use super::frame::{Frame, Place, Trouble, is_known, page, unchanged};
use super::groups::lag_sum;
use super::overview::{flag_tone, history_href};
use super::pager::Pager;
use super::text::{self, Badge, Link, Stamp, Value};
use crate::metrics::{flag_words, partition_counts, partition_states, shown_flags};
use crate::model::{BrokerId, Offset, Reading, Timestamp};
use crate::observe::{PartitionView, TopicView};
use crate::web::State;
use crate::web::api::risks;
use crate::web::listing;
use crate::web::query::Parameters;

#[derive(Template)]
#[template(path = "topics.html")]
struct Topics {
    frame: Frame,
    cluster: String,
    action: String,
    q: String,
    rows: Vec<TopicRow>,
    pager: Pager,
}

struct TopicRow {
    link: Link,
    internal: bool,
    partitions: u64,
    states: Vec<(Badge, u64)>,
    replicas: Option<usize>,
    min_isr: Value,
    cleanup: Value,
    retention: Value,
    risks: Vec<&'static str>,
    unknown: Option<String>,
    as_of: Stamp,
}

/// Milliseconds of retention, where -1 is Kafka's word for no limit.
fn retention(millis: i64) -> String {
    match u64::try_from(millis) {
        Ok(millis) => text::span(std::time::Duration::from_millis(millis)),
        Err(_) => "no limit".to_owned(),
    }
}

impl TopicRow {
    fn of(cluster: &str, view: &TopicView, now: Timestamp) -> Self {
        let counts = partition_counts([view]);
        let states = partition_states(counts)
            .into_iter()
            .filter_map(|(word, count)| Some((word, count?)))
            .filter(|(word, count)| *word != "total" && *count > 0);
        let setting = |read: fn(&crate::model::TopicConfig) -> Option<String>| match view.config.as_ref() {
            Reading::Read(config) => Value::or(read(config), "not told by the broker"),
            Reading::Missing(why) => Value::missing(why),
        };
        Self {
            link: Link::topic(cluster, view.name.as_str()),
            internal: view.internal,
            partitions: counts.total,
            states: states.map(|(word, count)| (Badge::new(flag_tone(word), word), count)).collect(),
            replicas: view.partitions.values().map(|partition| partition.replicas.len()).min(),
            min_isr: setting(|config| config.min_insync_replicas.map(|replicas| replicas.to_string())),
            cleanup: setting(|config| config.cleanup_policy.as_deref().map(text::shown)),
            retention: setting(|config| config.retention_ms.map(retention)),
            risks: risks(view).into_iter().map(|risk| risk.message).collect(),
            unknown: view.unknown.map(|why| why.to_string()),
            as_of: Stamp::of(view.as_of, now),
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
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    let chosen = listing::topics(read, &asked)?;
    let paging = asked.paging()?;
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let (views, total) = paging.of(chosen);
    let action = text::cluster_href(name.as_str(), "/topics");
    let title = format!("Topics of {name}");
    let frame = Frame::of(&web, &published, &title, Place::Cluster { name: name.as_str(), tab: "topics" })
        .json(asked.appended_to(&action));
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &Topics {
            cluster: text::shown(name.as_str()),
            q: asked.text("q").unwrap_or_default().to_owned(),
            rows: views.into_iter().map(|view| TopicRow::of(name.as_str(), view, frame.now)).collect(),
            pager: Pager::of(&asked, &action, paging, total),
            action,
            frame,
        },
    ))
}

#[derive(Template)]
#[template(path = "topic.html")]
struct Topic {
    frame: Frame,
    row: TopicRow,
    id: Value,
    unclean: Value,
    timestamps: Value,
    partitions: Vec<PartitionRow>,
    groups: Vec<(Link, Badge, Value)>,
    findings: Vec<FindingRow>,
}

struct PartitionRow {
    partition: i32,
    flags: Vec<Badge>,
    leader: Value,
    epoch: Option<i32>,
    replicas: String,
    in_sync: String,
    offline: String,
    log_start: Value,
    last_stable: Value,
    high_watermark: Value,
    history: String,
}

fn ids(of: &[BrokerId]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl PartitionRow {
    fn of(cluster: &str, topic: &TopicView, view: &PartitionView, now: Timestamp) -> Self {
        let offset = |reading: Reading<Offset>| Value::of(reading, |offset| text::count(offset.get()));
        let last = view.last_high_watermark.map(|(offset, at)| (text::count(offset.get()), Stamp::of(at, now)));
        let mut flags: Vec<Badge> =
            flag_words(shown_flags(topic, view)).into_iter().map(|word| Badge::new(flag_tone(word), word)).collect();
        if flags.is_empty() {
            flags.push(Badge::new(text::GOOD, "in sync"));
        }
        let query = format!(
            "series=partition_high_watermark&topic={}&partition={}",
            text::encoded(topic.name.as_str()),
            view.partition
        );
        Self {
            partition: view.partition.0,
            flags,
            leader: Value::or(view.leader.map(|leader| leader.to_string()), "no leader"),
            epoch: view.leader_epoch.map(crate::model::LeaderEpoch::get),
            replicas: ids(&view.replicas),
            in_sync: ids(&view.in_sync),
            offline: ids(&view.offline_replicas),
            log_start: offset(view.watermarks.log_start),
            last_stable: offset(view.watermarks.last_stable),
            high_watermark: offset(view.watermarks.high_watermark).last(last),
            history: history_href(cluster, &query),
        }
    }
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let Path((name, topic)) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (name, cluster) = listing::cluster(&published, &name)?;
    let read = listing::observation(name, cluster)?;
    let view = listing::topic(read, &topic)?;
    if is_known(&headers, &published) {
        return Ok(unchanged());
    }
    let cluster_name = name.as_str();
    let title = format!("{} · topic of {name}", text::shown(&topic));
    let frame = Frame::of(&web, &published, &title, Place::Cluster { name: cluster_name, tab: "topics" })
        .json(Link::topic(cluster_name, &topic).href);
    let config = view.config.as_ref();
    let about = cluster.findings.iter().filter(|finding| finding.subject.topic.as_ref() == Some(&view.name));
    let groups = listing::groups_of_topic(read, &topic).map(|group| {
        let verdict = Badge::new(text::verdict(group.verdict), group.verdict.as_str());
        let mine = group.partitions.iter().filter(|partition| partition.at.topic == view.name);
        let lags: Vec<_> = mine.map(|partition| partition.lag).collect();
        (Link::group(cluster_name, group.group.as_str()), verdict, lag_sum(&lags))
    });
    let tag = frame.tag.clone();
    Ok(page(
        &tag,
        &Topic {
            row: TopicRow::of(cluster_name, view, frame.now),
            id: Value::or(view.id.map(|id| id.to_string()), "the brokers do not tell topic ids"),
            unclean: match config {
                Reading::Read(config) => {
                    let word = |on: bool| if on { "on" } else { "off" }.to_owned();
                    Value::or(config.unclean_leader_election.map(word), "not told by the broker")
                }
                Reading::Missing(why) => Value::missing(why),
            },
            timestamps: match config {
                Reading::Read(config) => {
                    Value::or(config.message_timestamp_type.as_deref().map(text::shown), "not told by the broker")
                }
                Reading::Missing(why) => Value::missing(why),
            },
            partitions: view
                .partitions
                .values()
                .map(|partition| PartitionRow::of(cluster_name, view, partition, frame.now))
                .collect(),
            groups: groups.collect(),
            findings: about.map(|finding| FindingRow::of(finding, frame.now)).collect(),
            frame,
        },
    ))
}
