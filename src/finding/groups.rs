//! Findings on groups: what they will skip, have lost, read again, or left unread.

use serde_json::{Value, json};

use super::draft::Draft;
use super::judge::{counted, of_partition, short};
use super::shell::Tools;
use super::{CountIs, Kind, Severity, Subject};
use crate::audit::PROBE_GROUP;
use crate::model::{CommittedOffset, GroupId, GroupState, Reading};
use crate::observe::{Change, GroupPartitionView, GroupVerdict, GroupView, Lag, Observation, TimeLag};

pub(crate) fn drafts(observation: &Observation, tools: Tools<'_>, drafts: &mut Vec<Draft>) {
    for group in observation.groups.values().filter(|group| !is_ours(&group.group)) {
        if group.verdict == GroupVerdict::Stopped {
            drafts.push(stopped(group, tools));
        }
        // The verdict is the worst of all: below it no partition can be worse, and healthy groups cost nothing here.
        if group.verdict > GroupVerdict::AheadOfLog {
            continue;
        }
        // Of a topic that a settled group left nobody reads, so nobody loses what retention removes.
        let owned = |view: &GroupPartitionView| {
            group.partitions.iter().any(|other| other.at.topic == view.at.topic && other.owner.is_some())
        };
        let settled = group.partitions.iter().any(|view| view.owner.is_some());
        let rebalancing = matches!(group.state, Reading::Read(state) if is_rebalancing(state));
        for view in &group.partitions {
            let Reading::Read(Some(committed)) = view.committed else { continue };
            match view.lag {
                Lag::Stranded { skip, .. } => drafts.push(stranded(group, view, committed, skip, tools)),
                Lag::Ahead(by) => drafts.push(ahead(group, view, committed, by, tools)),
                Lag::Expired { lost, behind } if !settled || owned(view) => {
                    let draft = overtaken(group, view, committed, (lost, behind), tools);
                    // While members join nobody owns anything, and a topic the group left long ago looks like its own.
                    drafts.push(Draft { readings: if rebalancing { 3 } else { 1 }, ..draft });
                }
                Lag::Expired { .. } | Lag::Behind(_) | Lag::Uncommitted | Lag::Unknown(_) => {}
            }
        }
    }
    for change in &observation.changes {
        drafts.extend(rewound(change, tools));
    }
}

/// Our own probe joins and leaves, begins at the end, and may be turned off for good: none of it is anybody's trouble.
fn is_ours(group: &GroupId) -> bool {
    group.as_str() == PROBE_GROUP
}

fn is_rebalancing(state: GroupState) -> bool {
    match state {
        GroupState::PreparingRebalance
        | GroupState::CompletingRebalance
        | GroupState::Assigning
        | GroupState::Reconciling
        | GroupState::NotReady => true,
        GroupState::Stable | GroupState::Empty | GroupState::Dead | GroupState::Unknown => false,
    }
}

fn subject(group: &GroupView, view: &GroupPartitionView) -> Subject {
    Subject { group: Some(group.group.clone()), ..of_partition(&view.at, view.topic_id) }
}

fn evidence(group: &GroupView, view: &GroupPartitionView, committed: CommittedOffset) -> Value {
    json!({
        "committed_offset": committed.offset,
        "committed_leader_epoch": committed.leader_epoch,
        "log_start_offset": view.watermarks.log_start.value(),
        "last_stable_offset": view.watermarks.last_stable.value(),
        "high_watermark": view.watermarks.high_watermark.value(),
        "group_state": group.state.value(),
        "members": group.members.as_ref().value().map(Vec::len),
        "as_of": group.as_of,
    })
}

fn with(mut evidence: Value, more: &[(&str, Value)]) -> Value {
    if let Some(object) = evidence.as_object_mut() {
        object.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    evidence
}

fn verify(group: &GroupId, view: &GroupPartitionView, tools: Tools<'_>) -> Vec<String> {
    let mut verify = tools.group(group.as_str());
    let topic = view.at.topic.as_str();
    verify.extend(tools.offsets(topic, view.at.partition.0, "earliest"));
    verify.extend(tools.offsets(topic, view.at.partition.0, "latest"));
    verify
}

fn stranded(
    group: &GroupView,
    view: &GroupPartitionView,
    committed: CommittedOffset,
    skip: u64,
    tools: Tools<'_>,
) -> Draft {
    let end = match view.lag {
        Lag::Stranded { epoch_end, .. } => Some(epoch_end),
        Lag::Behind(_) | Lag::Expired { .. } | Lag::Ahead(_) | Lag::Uncommitted | Lag::Unknown(_) => None,
    };
    let end_text = end.map_or_else(|| "before it".to_owned(), |end| format!("at {end}"));
    let consequence = if skip == 0 {
        "its records were replaced by others that the group has not read".to_owned()
    } else {
        format!("{} will be skipped, or read twice, once the log has regrown", counted(skip, "offset"))
    };
    Draft {
        count: (skip > 0).then_some(skip),
        advice: "The log was truncated below this commit. Reset the group to the end of the epoch before the log regrows: most clients go on at the commit without an error, and skip what is new.".to_owned(),
        evidence: with(evidence(group, view, committed), &[("epoch_end_offset", json!(end))]),
        verify: verify(&group.group, view, tools),
        ..Draft::new(
            Kind::GroupStranded,
            Severity::Critical,
            subject(group, view),
            format!("Group {} committed {} on {}, but the leader epoch of that commit ends {end_text}: {consequence}.", short(group.group.as_str()), committed.offset, view.at),
        )
    }
}

fn ahead(group: &GroupView, view: &GroupPartitionView, committed: CommittedOffset, by: u64, tools: Tools<'_>) -> Draft {
    let high = view.watermarks.high_watermark.value().map_or_else(|| "not known".to_owned(), |high| high.to_string());
    Draft {
        count: Some(by),
        advice: "The commit was read before the high watermark, so this is no race: the log was truncated, the topic made anew, or the offset set by hand or translated by a mirror. Reset the group to an offset that is in the log.".to_owned(),
        evidence: evidence(group, view, committed),
        verify: verify(&group.group, view, tools),
        ..Draft::new(
            Kind::CommitAheadOfLog,
            Severity::Warning,
            subject(group, view),
            format!("Group {} committed {} on {}, {} beyond the high watermark {high}.", short(group.group.as_str()), committed.offset, view.at, counted(by, "offset")),
        )
    }
}

fn overtaken(
    group: &GroupView,
    view: &GroupPartitionView,
    committed: CommittedOffset,
    (lost, behind): (u64, u64),
    tools: Tools<'_>,
) -> Draft {
    let start = view.watermarks.log_start.value().map_or_else(|| "not known".to_owned(), |start| start.to_string());
    Draft {
        count: Some(lost),
        advice: "What is gone cannot be read again from here. Raise retention, or make the group faster; it begins anew by its auto.offset.reset.".to_owned(),
        evidence: with(evidence(group, view, committed), &[("lost_records", json!(lost)), ("lag_records", json!(behind))]),
        verify: verify(&group.group, view, tools),
        ..Draft::new(
            Kind::RetentionOvertookGroup,
            Severity::Critical,
            subject(group, view),
            format!("Group {} committed {} on {}, but the log starts at {start}: {} were removed before it read them.", short(group.group.as_str()), committed.offset, view.at, counted(lost, "offset")),
        )
    }
}

fn stopped(group: &GroupView, tools: Tools<'_>) -> Draft {
    let lag = group.lag_records.unwrap_or(0);
    let members = group.members.as_ref().value().map(Vec::len);
    let (low, high) = match group.time_lag {
        TimeLag::Between { low, high } => (Some(low), Some(high)),
        TimeLag::AtLeast(low) => (Some(low), None),
        TimeLag::CaughtUp | TimeLag::Unknown => (None, None),
    };
    let who = match members {
        Some(0) => "has no members".to_owned(),
        Some(members) => format!("has {}", counted(u64::try_from(members).unwrap_or(u64::MAX), "member")),
        None => "is not described".to_owned(),
    };
    let age = low.map_or_else(String::new, |low| format!(", the oldest unread for {low:.0} s at least"));
    Draft {
        count: Some(lag),
        count_is: if group.lag_records_exact { CountIs::Exact } else { CountIs::AtLeast },
        advice: "See whether its application runs. With members it may hang in processing; without, it is not started."
            .to_owned(),
        evidence: json!({
            "lag_records": group.lag_records,
            "lag_seconds_low": low,
            "lag_seconds_high": high,
            "group_state": group.state.value(),
            "members": members,
            "last_commit_seen": group.last_commit_seen,
            "partitions": group.partitions.iter().filter(|view| view.lag.records().is_some_and(|lag| lag > 0)).take(20).map(|view| json!({
                "topic": view.at.topic,
                "partition": view.at.partition,
                "committed_offset": view.committed.value().flatten().map(|committed| committed.offset),
                "high_watermark": view.watermarks.high_watermark.value(),
            })).collect::<Vec<_>>(),
            "as_of": group.as_of,
        }),
        verify: tools.group(group.group.as_str()),
        ..Draft::new(
            Kind::GroupStopped,
            Severity::Warning,
            Subject { group: Some(group.group.clone()), ..Subject::default() },
            format!(
                "Group {} {who} and commits nothing while {} wait{age}.",
                short(group.group.as_str()),
                counted(lag, "record")
            ),
        )
    }
}

fn rewound(change: &Change, tools: Tools<'_>) -> Option<Draft> {
    match change {
        Change::CommitRewound {
            group,
            at,
            topic_id,
            from,
            to,
            from_read_at,
            to_read_at,
            coordinator,
            group_was_empty,
        } => {
            if is_ours(group) {
                return None;
            }
            let count = from.offset.distance_from(to.offset)?;
            let cause = if *group_was_empty { "; the group was empty, so an operator reset it" } else { "" };
            Some(Draft {
                occurrence: format!("{}-{}-{}", from.offset, to.offset, to_read_at.as_millis()),
                count: Some(count),
                advice: "If nobody reset the group, see its seeks and whether a second application commits under its id. What lies between will be processed again.".to_owned(),
                evidence: json!({
                    "committed_before": from.offset,
                    "committed_now": to.offset,
                    "committed_leader_epoch_before": from.leader_epoch,
                    "committed_leader_epoch_now": to.leader_epoch,
                    "read_before_at": from_read_at,
                    "read_now_at": to_read_at,
                    "coordinator": coordinator,
                    "group_was_empty": group_was_empty,
                    "cause": if *group_was_empty { json!("reset by an operator") } else { Value::Null },
                }),
                verify: tools.group(group.as_str()),
                ..Draft::new(
                    Kind::CommitRewound,
                    Severity::Warning,
                    Subject { group: Some(group.clone()), ..of_partition(at, *topic_id) },
                    format!(
                        "The commit of group {} on {at} went back from {} to {}: {} will be read again{cause}.",
                        short(group.as_str()),
                        from.offset, to.offset, counted(count, "record"),
                    ),
                )
            })
        }
        Change::LeaderMoved { .. } | Change::TopicRecreated { .. } => None,
    }
}
