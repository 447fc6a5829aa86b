//! The course of one series.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use serde::Serialize;

use crate::model::{ClusterName, GroupId, PartitionId, Timestamp, TopicName};
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::past::{History, HistoryQuery, PastError, SeriesName, patiently};
use crate::web::query::Parameters;

#[derive(Serialize)]
pub(super) struct Course {
    series: SeriesName,
    unit: &'static str,
    from: Timestamp,
    to: Timestamp,
    #[serde(flatten)]
    history: History,
    /// Why there are no points, when the database did not answer in time.
    partial: Option<Partial>,
    as_of: Timestamp,
}

#[derive(Serialize)]
struct Partial {
    code: &'static str,
    message: String,
}

impl From<PastError> for Partial {
    fn from(why: PastError) -> Self {
        Self { code: why.code(), message: why.to_string() }
    }
}

const DEFAULT_SPAN: Duration = Duration::from_secs(60 * 60);

pub(super) async fn history(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<Course>, Problem> {
    let Path(name) = path?;
    let published = web.published();
    let (cluster, _) = listing::cluster(&published, &name)?;
    let now = web.clock.wall();
    let query = query(cluster, &asked, now)?;
    let (series, from, to, points) = (query.series, query.from, query.to, query.points);
    let (history, partial) = match patiently(web.past.history(query)).await {
        Ok(history) => (history.decimated(points), None),
        Err(why) => (History::default(), Some(why.into())),
    };
    Ok(Json(Course { series, unit: series.unit(), from, to, history, partial, as_of: now }))
}

fn query(cluster: &ClusterName, asked: &Parameters, now: Timestamp) -> Result<HistoryQuery, Problem> {
    asked.only(&["series", "group", "topic", "partition", "from", "to", "points"])?;
    let words: Vec<&'static str> = SeriesName::ALL.iter().map(|series| series.as_str()).collect();
    let word = asked.word("series", &words)?.ok_or_else(|| missing("series", &words.join(", ")))?;
    let series = SeriesName::ALL.iter().find(|series| series.as_str() == word);
    let series = *series.ok_or_else(|| missing("series", &words.join(", ")))?;
    let group = asked.raw("group").map(GroupId::from);
    let topic = asked.text("topic").map(TopicName::from);
    let highest = u64::from(i32::MAX.unsigned_abs());
    let partition =
        asked.number("partition", 0, highest)?.and_then(|number| i32::try_from(number).ok()).map(PartitionId);
    match series {
        SeriesName::GroupLagRecords | SeriesName::GroupLagSeconds => {
            group.as_ref().ok_or_else(|| missing("group", "the ids of groups"))?;
        }
        SeriesName::PartitionHighWatermark => {
            topic.as_ref().ok_or_else(|| missing("topic", "the names of topics"))?;
            partition.ok_or_else(|| missing("partition", "the indexes of partitions"))?;
        }
        SeriesName::CanaryLatencySeconds | SeriesName::CanaryOutcomes => {}
    }
    let to = asked.time("to")?.unwrap_or(now);
    let from = asked.time("from")?.unwrap_or(to - DEFAULT_SPAN);
    if from > to {
        let problem = format!("{from} lies after {to}; allowed are times not after parameter to");
        return Err(Problem::BadParameter { name: "from".into(), problem });
    }
    let points = asked.number("points", 10, 5_000)?.and_then(|points| usize::try_from(points).ok()).unwrap_or(300);
    Ok(HistoryQuery { cluster: cluster.clone(), series, group, topic, partition, from, to, points })
}

fn missing(name: &str, allowed: &str) -> Problem {
    Problem::BadParameter { name: name.to_owned(), problem: format!("is required here; allowed are {allowed}") }
}
