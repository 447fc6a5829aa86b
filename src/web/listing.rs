//! What of a published turn a request asks for: the same for JSON and pages.

use std::cmp::{Ordering, Reverse};

use super::error::Problem;
use super::query::Parameters;
use crate::alert::{Alert, AlertState};
use crate::finding::{Finding, FindingState, Grade, Kind};
use crate::model::{ClusterName, GroupState, GroupType, Reading};
use crate::observe::{GroupVerdict, GroupView, Observation, TimeLag, TopicView};
use crate::publish::{Published, PublishedCluster};

/// The cluster of that name.
pub(super) fn cluster<'a>(
    published: &'a Published,
    name: &str,
) -> Result<(&'a ClusterName, &'a PublishedCluster), Problem> {
    published.clusters.get_key_value(name).ok_or_else(|| Problem::not_known("cluster", name))
}

/// What was read of it.
pub(super) fn observation<'a>(name: &ClusterName, cluster: &'a PublishedCluster) -> Result<&'a Observation, Problem> {
    cluster.observation.as_deref().ok_or_else(|| Problem::NotReadYet { cluster: name.to_string() })
}

/// The verdicts' words, worst first.
pub(super) const VERDICTS: &[GroupVerdict] = &[
    GroupVerdict::Stranded,
    GroupVerdict::LosingToRetention,
    GroupVerdict::AheadOfLog,
    GroupVerdict::Rewound,
    GroupVerdict::Stopped,
    GroupVerdict::Stalled,
    GroupVerdict::FallingBehind,
    GroupVerdict::BlockedByTransaction,
    GroupVerdict::Abandoned,
    GroupVerdict::NotMeasurable,
    GroupVerdict::Unknown,
    GroupVerdict::Ok,
];

/// The states' words.
pub(super) const STATES: &[(&str, GroupState)] = &[
    ("stable", GroupState::Stable),
    ("empty", GroupState::Empty),
    ("preparing_rebalance", GroupState::PreparingRebalance),
    ("completing_rebalance", GroupState::CompletingRebalance),
    ("assigning", GroupState::Assigning),
    ("reconciling", GroupState::Reconciling),
    ("not_ready", GroupState::NotReady),
    ("dead", GroupState::Dead),
    ("unknown", GroupState::Unknown),
];

/// The types' words.
pub(super) const TYPES: &[(&str, GroupType)] = &[
    ("classic", GroupType::Classic),
    ("consumer", GroupType::Consumer),
    ("share", GroupType::Share),
    ("streams", GroupType::Streams),
    ("unknown", GroupType::Unknown),
];

/// How groups may be sorted; a minus in front turns it round.
pub(super) const SORTS: &[&str] = &[
    "verdict",
    "-verdict",
    "group",
    "-group",
    "lag_records",
    "-lag_records",
    "lag_seconds",
    "-lag_seconds",
    "members",
    "-members",
    "last_commit",
    "-last_commit",
];

/// The word of a state; unknown where it was not read.
pub(super) fn state_word(state: &Reading<GroupState>) -> &'static str {
    let state = state.value().unwrap_or(GroupState::Unknown);
    STATES.iter().find(|(_, one)| *one == state).map_or("unknown", |(word, _)| word)
}

/// The word of a type.
pub(super) fn type_word(of: GroupType) -> &'static str {
    TYPES.iter().find(|(_, one)| *one == of).map_or("unknown", |(word, _)| word)
}

fn words<T>(of: &[(&'static str, T)]) -> Vec<&'static str> {
    of.iter().map(|(word, _)| *word).collect()
}

/// The age that is proven, in seconds.
pub(super) fn lag_seconds(lag: TimeLag) -> Option<f64> {
    match lag {
        TimeLag::CaughtUp => Some(0.0),
        TimeLag::Between { low, .. } | TimeLag::AtLeast(low) => Some(low),
        TimeLag::Unknown => None,
    }
}

/// Largest first; what is not known comes last in both directions.
fn descending<T: PartialOrd>(one: Option<T>, two: Option<T>) -> Ordering {
    match (one, two) {
        (Some(one), Some(two)) => two.partial_cmp(&one).unwrap_or(Ordering::Equal),
        (one, two) => two.is_some().cmp(&one.is_some()),
    }
}

fn ascending<T: PartialOrd>(one: Option<T>, two: Option<T>) -> Ordering {
    match (one, two) {
        (Some(one), Some(two)) => one.partial_cmp(&two).unwrap_or(Ordering::Equal),
        (one, two) => two.is_some().cmp(&one.is_some()),
    }
}

/// The groups that are asked for, in the order that is asked for: worst verdict first, then the largest lag.
pub(super) fn groups<'a>(observation: &'a Observation, asked: &Parameters) -> Result<Vec<&'a GroupView>, Problem> {
    asked.only(&["state", "verdict", "type", "q", "sort", "page", "per_page"])?;
    let verdicts: Vec<&'static str> = VERDICTS.iter().map(|verdict| verdict.as_str()).collect();
    let state = asked.word("state", &words(STATES))?;
    let verdict = asked.word("verdict", &verdicts)?;
    let group_type = asked.word("type", &words(TYPES))?;
    let sort = asked.word("sort", SORTS)?.unwrap_or("verdict");
    let part = asked.text("q").map(str::to_lowercase);
    let mut chosen: Vec<&GroupView> = observation
        .groups
        .values()
        .filter(|view| state.is_none_or(|word| state_word(&view.state) == word))
        .filter(|view| verdict.is_none_or(|word| view.verdict.as_str() == word))
        .filter(|view| group_type.is_none_or(|word| type_word(view.group_type) == word))
        .filter(|view| part.as_ref().is_none_or(|part| view.group.as_str().to_lowercase().contains(part.as_str())))
        .collect();
    let members = |view: &GroupView| view.members.as_ref().value().map(Vec::len);
    match sort {
        "-verdict" => chosen.sort_by(|a, b| b.verdict.cmp(&a.verdict).then(descending(a.lag_records, b.lag_records))),
        "group" => chosen.sort_by_key(|view| &view.group),
        "-group" => chosen.sort_by_key(|view| Reverse(&view.group)),
        "lag_records" => chosen.sort_by(|a, b| ascending(a.lag_records, b.lag_records)),
        "-lag_records" => chosen.sort_by(|a, b| descending(a.lag_records, b.lag_records)),
        "lag_seconds" => chosen.sort_by(|a, b| ascending(lag_seconds(a.time_lag), lag_seconds(b.time_lag))),
        "-lag_seconds" => chosen.sort_by(|a, b| descending(lag_seconds(a.time_lag), lag_seconds(b.time_lag))),
        "members" => chosen.sort_by(|a, b| ascending(members(a), members(b))),
        "-members" => chosen.sort_by(|a, b| descending(members(a), members(b))),
        "last_commit" => chosen.sort_by(|a, b| ascending(a.last_commit_seen, b.last_commit_seen)),
        "-last_commit" => chosen.sort_by(|a, b| descending(a.last_commit_seen, b.last_commit_seen)),
        _ => chosen.sort_by(|a, b| a.verdict.cmp(&b.verdict).then(descending(a.lag_records, b.lag_records))),
    }
    Ok(chosen)
}

/// The group of that id.
pub(super) fn group<'a>(observation: &'a Observation, id: &str) -> Result<&'a GroupView, Problem> {
    observation.groups.get(id).ok_or_else(|| Problem::not_known("group", id))
}

/// The topics that are asked for, by name.
pub(super) fn topics<'a>(observation: &'a Observation, asked: &Parameters) -> Result<Vec<&'a TopicView>, Problem> {
    asked.only(&["q", "page", "per_page"])?;
    let part = asked.text("q").map(str::to_lowercase);
    let named =
        |view: &&TopicView| part.as_ref().is_none_or(|part| view.name.as_str().to_lowercase().contains(part.as_str()));
    Ok(observation.topics.values().filter(named).collect())
}

/// The topic of that name.
pub(super) fn topic<'a>(observation: &'a Observation, name: &str) -> Result<&'a TopicView, Problem> {
    observation.topics.get(name).ok_or_else(|| Problem::not_known("topic", name))
}

/// The groups that have to do with a topic.
pub(super) fn groups_of_topic<'a>(observation: &'a Observation, topic: &str) -> impl Iterator<Item = &'a GroupView> {
    let about = move |view: &&GroupView| view.partitions.iter().any(|partition| partition.at.topic.as_str() == topic);
    observation.groups.values().filter(about)
}

/// The findings that are asked for, most severe first, then newest.
pub(super) fn findings<'a>(cluster: &'a PublishedCluster, asked: &Parameters) -> Result<Vec<&'a Finding>, Problem> {
    asked.only(&["state", "kind", "grade", "group", "topic", "since", "page", "per_page"])?;
    let kinds: Vec<&'static str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    let grades: Vec<&'static str> = Grade::ALL.iter().map(|grade| grade.as_str()).collect();
    let state = match asked.word("state", &["open", "closed", "all"])? {
        Some("open") => Some(FindingState::Open),
        Some("closed") => Some(FindingState::Closed),
        Some(_) | None => None,
    };
    let kind = asked.word("kind", &kinds)?;
    let grade = asked.word("grade", &grades)?;
    let group = asked.text("group");
    let topic = asked.text("topic");
    let since = asked.time("since")?;
    let about = |name: Option<&str>, subject: Option<&str>| name.is_none_or(|name| subject == Some(name));
    Ok(cluster
        .findings
        .iter()
        .filter(|finding| state.is_none_or(|state| finding.state == state))
        .filter(|finding| kind.is_none_or(|kind| finding.kind.as_str() == kind))
        .filter(|finding| grade.is_none_or(|grade| finding.grade.as_str() == grade))
        .filter(|finding| about(group, finding.subject.group.as_ref().map(|group| group.as_str())))
        .filter(|finding| about(topic, finding.subject.topic.as_ref().map(|topic| topic.as_str())))
        .filter(|finding| since.is_none_or(|since| finding.last_seen_at >= since))
        .collect())
}

/// The finding of that id, in any cluster; as its alert remembers it, when it is no longer among the latest.
pub(super) fn finding<'a>(published: &'a Published, id: &str) -> Result<&'a Finding, Problem> {
    let present = published.clusters.values().flat_map(|cluster| cluster.findings.iter());
    let mut all = present.chain(published.alerts.iter().map(|alert| &alert.finding));
    all.find(|finding| finding.id == id).ok_or_else(|| Problem::not_known("finding", id))
}

/// The alerts that are asked for, newest first.
pub(super) fn alerts<'a>(published: &'a Published, asked: &Parameters) -> Result<Vec<&'a Alert>, Problem> {
    asked.only(&["state", "page", "per_page"])?;
    let state = match asked.word("state", &["pending", "firing", "resolved"])? {
        Some("pending") => Some(AlertState::Pending),
        Some("firing") => Some(AlertState::Firing),
        Some(_) => Some(AlertState::Resolved),
        None => None,
    };
    Ok(published.alerts.iter().filter(|alert| state.is_none_or(|state| alert.state == state)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_listed_worst_first() {
        assert!(VERDICTS.is_sorted());
        assert_eq!(VERDICTS.len(), 12);
    }

    #[test]
    fn unknown_comes_last_in_both_directions() {
        let mut values = [None, Some(1), Some(3)];
        values.sort_by(|a, b| descending(*a, *b));
        assert_eq!(values, [Some(3), Some(1), None]);
        values.sort_by(|a, b| ascending(*a, *b));
        assert_eq!(values, [Some(1), Some(3), None]);
    }
}
