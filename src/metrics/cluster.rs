//! Series of one cluster, its groups excepted.

use super::families::{Families, number};
use super::{count, table};
use crate::audit::{ClassSlo, Counts};
use crate::finding::{FindingState, Kind};
use crate::model::ClusterName;
use crate::observe::{BrokerState, Observation, PartitionCounts, PartitionFlags, PartitionView, TopicView};
use crate::publish::PublishedCluster;

/// Outcomes whose counter starts at 0 for every class, so that the first entry is an increase.
const OUTCOMES: &[&str] = &[
    "acked",
    "rejected",
    "indeterminate",
    "delivered",
    "late",
    "lost",
    "truncated_after_delivery",
    "expired",
    "duplicated",
];

/// How many partitions of these topics have each flag.
#[must_use]
pub fn partition_counts<'a>(topics: impl IntoIterator<Item = &'a TopicView>) -> PartitionCounts {
    let mut counts = PartitionCounts::default();
    for topic in topics {
        for partition in topic.partitions.values() {
            let flags = shown_flags(topic, partition);
            counts.total += 1;
            counts.offline += u64::from(flags.offline);
            counts.under_min_isr += u64::from(flags.under_min_isr);
            counts.at_min_isr += u64::from(flags.at_min_isr);
            counts.under_replicated += u64::from(flags.under_replicated);
            counts.reassigning += u64::from(flags.reassigning);
            counts.leader_not_preferred += u64::from(flags.leader_not_preferred);
            counts.unknown += u64::from(flags.unknown);
        }
    }
    counts
}

/// The flags of a partition; just unknown where it or its topic could not be read, whatever it was before.
#[must_use]
pub fn shown_flags(topic: &TopicView, partition: &PartitionView) -> PartitionFlags {
    if partition.flags.unknown || topic.unknown.is_some() {
        PartitionFlags { unknown: true, ..PartitionFlags::default() }
    } else {
        partition.flags
    }
}

/// The flags that are set, by the contract's words, worst first.
#[must_use]
pub fn flag_words(flags: PartitionFlags) -> Vec<&'static str> {
    let all = [
        ("offline", flags.offline),
        ("under_min_isr", flags.under_min_isr),
        ("at_min_isr", flags.at_min_isr),
        ("under_replicated", flags.under_replicated),
        ("reassigning", flags.reassigning),
        ("leader_not_preferred", flags.leader_not_preferred),
        ("unknown", flags.unknown),
    ];
    all.into_iter().filter_map(|(word, set)| set.then_some(word)).collect()
}

/// The counts by the contract's words, worst first, the total last. A reassignment is not seen by what is read, and where
/// no partition could be read, nothing is known of the states: neither is 0.
#[must_use]
pub fn partition_states(counts: PartitionCounts) -> [(&'static str, Option<u64>); 8] {
    let known = |count: u64| (counts.total == 0 || counts.unknown < counts.total).then_some(count);
    [
        ("offline", known(counts.offline)),
        ("under_min_isr", known(counts.under_min_isr)),
        ("at_min_isr", known(counts.at_min_isr)),
        ("under_replicated", known(counts.under_replicated)),
        ("reassigning", None),
        ("leader_not_preferred", known(counts.leader_not_preferred)),
        ("unknown", Some(counts.unknown)),
        ("total", Some(counts.total)),
    ]
}

/// The sums of a canary class by the contract's words.
#[must_use]
pub fn canary_states(counts: &Counts) -> [(&'static str, u64); 29] {
    [
        ("sent", counts.sent),
        ("in_flight", counts.in_flight),
        ("acked", counts.acked),
        ("unacknowledged", counts.unacknowledged),
        ("rejected", counts.rejected),
        ("indeterminate", counts.indeterminate),
        ("pending", counts.pending),
        ("delivered", counts.delivered),
        ("late", counts.late),
        ("lost", counts.lost),
        ("truncated_after_delivery", counts.truncated_after_delivery),
        ("expired", counts.expired),
        ("aborted", counts.aborted),
        ("untracked", counts.untracked),
        ("indeterminate_pending", counts.indeterminate_pending),
        ("indeterminate_delivered", counts.indeterminate_delivered),
        ("indeterminate_absent", counts.indeterminate_absent),
        ("indeterminate_expired", counts.indeterminate_expired),
        ("overdue", counts.overdue),
        ("phantom", counts.phantom),
        ("aborted_visible", counts.aborted_visible),
        ("acked_without_offset", counts.acked_without_offset),
        ("duplicated", counts.duplicated),
        ("reread", counts.reread),
        ("reordered", counts.reordered),
        ("corrupt", counts.corrupt),
        ("foreign", counts.foreign),
        ("resurfaced", counts.resurfaced),
        ("unknown_incarnation", counts.unknown_incarnation),
    ]
}

pub(super) fn write(families: &mut Families, name: &ClusterName, cluster: &PublishedCluster) {
    let name = name.as_str();
    if let Some(observation) = &cluster.observation {
        observed(families, name, observation);
    }
    if let Some(at) = cluster.last_success {
        families.gauge(&table::POLL_LAST_SUCCESS, &[name], at.as_seconds());
    }
    findings(families, name, cluster);
    let totals = &cluster.totals;
    families.histogram(&table::POLL_DURATION, &[name], &totals.poll_duration);
    for ((api, outcome), requests) in &totals.poll_requests {
        families.counter(&table::POLL_REQUESTS, &[name, api, outcome], *requests);
    }
    if let Some(canary) = &cluster.canary {
        for class in &canary.classes {
            let class_word = class.class.as_str();
            for (state, records) in canary_states(&class.counts) {
                families.gauge(&table::CANARY_RECORDS, &[name, class_word, state], number(records));
            }
            for outcome in
                OUTCOMES.iter().filter(|outcome| !totals.canary_outcomes.contains_key(&(class_word, **outcome)))
            {
                families.counter(&table::CANARY_OUTCOMES, &[name, class_word, outcome], 0);
            }
        }
    }
    if let Some(canary) = &cluster.canary {
        slos(families, name, &canary.slos);
    }
    for ((class, outcome), entries) in &totals.canary_outcomes {
        families.counter(&table::CANARY_OUTCOMES, &[name, class, outcome], *entries);
    }
    for ((class, stage), latency) in &totals.canary_latency {
        families.histogram(&table::CANARY_LATENCY, &[name, class, stage], latency);
    }
}

/// What cannot be judged has no sample: neither 1 nor 0.
fn slos(families: &mut Families, name: &str, slos: &[ClassSlo]) {
    for (class, state) in slos.iter().flat_map(|slo| slo.slos.iter().map(|state| (slo.class.as_str(), state))) {
        let slo = state.slo.as_str();
        if let Some(ratio) = state.share.good_ratio() {
            families.gauge(&table::CANARY_SLO_GOOD_RATIO, &[name, class, slo, "30d"], ratio);
        }
        for burn in &state.windows {
            let labels = [name, class, slo, burn.window.as_str()];
            if let Some(ratio) = burn.share.good_ratio() {
                families.gauge(&table::CANARY_SLO_GOOD_RATIO, &labels, ratio);
            }
            if let Some(rate) = burn.burn_rate {
                families.gauge(&table::CANARY_SLO_BURN_RATE, &labels, rate);
            }
        }
    }
}

fn observed(families: &mut Families, name: &str, observation: &Observation) {
    families.gauge(&table::CLUSTER_UP, &[name], if observation.reachable { 1.0 } else { 0.0 });
    for (reason, readings) in &observation.unknown_readings {
        families.gauge(&table::UNKNOWN_READINGS, &[name, reason], number(*readings));
    }
    let brokers = |state: fn(&BrokerState) -> bool| count(observation.brokers.values().filter(|b| state(&b.state)));
    let answering = brokers(|state| matches!(state, BrokerState::Answering));
    let not_answering = brokers(|state| matches!(state, BrokerState::NotAnswering(_)));
    let left = brokers(|state| matches!(state, BrokerState::LeftMetadata));
    // A cluster that never answered has brokers and partitions, and nobody knows how many.
    if observation.brokers.is_empty() {
        return;
    }
    for (state, brokers) in [("answering", answering), ("not_answering", not_answering), ("left_metadata", left)] {
        families.gauge(&table::BROKERS, &[name, state], number(brokers));
    }
    if !observation.reachable && observation.topics.is_empty() {
        return;
    }
    for (state, partitions) in partition_states(partition_counts(observation.topics.values())) {
        if let Some(partitions) = partitions {
            families.gauge(&table::PARTITIONS, &[name, state], number(partitions));
        }
    }
}

/// Every kind has its series before the first finding: `increase()` does not see a counter that is born at 1.
fn findings(families: &mut Families, name: &str, cluster: &PublishedCluster) {
    let mut open = std::collections::BTreeMap::new();
    let mut opened = cluster.totals.findings.clone();
    for kind in Kind::ALL {
        if cluster.observation.is_some() {
            open.insert((*kind, kind.grade()), 0_u64);
        }
        opened.entry((*kind, kind.grade())).or_insert(0);
    }
    for finding in cluster.findings.iter().filter(|finding| finding.state == FindingState::Open) {
        *open.entry((finding.kind, finding.grade)).or_insert(0) += 1;
    }
    for ((kind, grade), findings) in open {
        families.gauge(&table::FINDINGS, &[name, kind.as_str(), grade.as_str()], number(findings));
    }
    for ((kind, grade), findings) in opened {
        families.counter(&table::FINDINGS_TOTAL, &[name, kind.as_str(), grade.as_str()], findings);
    }
}
