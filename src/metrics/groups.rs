//! Series per group, under a cap: a cluster of ten thousand groups must not bring the scraper down.

use std::collections::BTreeMap;

use super::families::{Families, number};
use super::table;
use crate::model::{ClusterName, Reading};
use crate::observe::{GroupView, Lag, TimeLag};

/// The group that stands for all that are over the cap; and their topic.
const OTHER: &str = "_other";

/// What one group, or the rest of a cluster, exposes.
#[derive(Default)]
struct GroupSeries {
    lag_records: BTreeMap<String, u64>,
    lag_seconds: Option<f64>,
    partitions: BTreeMap<&'static str, u64>,
    words: Option<(&'static str, String, String)>,
}

impl GroupSeries {
    fn of(view: &GroupView) -> Self {
        let mut sums: BTreeMap<&str, (Option<u64>, bool)> = BTreeMap::new();
        let mut partitions = BTreeMap::new();
        for partition in &view.partitions {
            *partitions.entry(partition.lag.state()).or_insert(0) += 1;
            let (sum, unknown) = sums.entry(partition.at.topic.as_str()).or_default();
            *unknown |= matches!(partition.lag, Lag::Unknown(_) | Lag::Ahead(_) | Lag::Stranded { .. });
            if let Some(records) = partition.lag.records() {
                *sum = Some(sum.unwrap_or(0).saturating_add(records));
            }
        }
        // "At least 0" says nothing, and would be read as "caught up".
        let lag_records = sums.into_iter().filter_map(|(topic, (sum, unknown))| match sum {
            Some(0) if unknown => None,
            Some(sum) => Some((topic.to_owned(), sum)),
            None => None,
        });
        let state = match &view.state {
            Reading::Read(state) => super::word(state),
            Reading::Missing(_) => "unknown".to_owned(),
        };
        Self {
            lag_records: lag_records.collect(),
            lag_seconds: lag_seconds(view.time_lag),
            partitions,
            words: Some((view.verdict.as_str(), super::word(&view.group_type), state)),
        }
    }

    fn series(&self) -> usize {
        self.lag_records.len()
            + usize::from(self.lag_seconds.is_some())
            + self.partitions.len()
            + if self.words.is_some() { 2 } else { 0 }
    }

    fn absorb(&mut self, other: &Self) {
        if !other.lag_records.is_empty() {
            let sum = other.lag_records.values().fold(0_u64, |sum, records| sum.saturating_add(*records));
            let entry = self.lag_records.entry(OTHER.to_owned()).or_insert(0);
            *entry = entry.saturating_add(sum);
        }
        self.lag_seconds = match (self.lag_seconds, other.lag_seconds) {
            (Some(one), Some(two)) => Some(one.max(two)),
            (one, two) => one.or(two),
        };
        for (state, count) in &other.partitions {
            *self.partitions.entry(state).or_insert(0) += count;
        }
    }

    fn write(&self, families: &mut Families, cluster: &str, group: &str) {
        for (topic, records) in &self.lag_records {
            families.gauge(&table::GROUP_LAG_RECORDS, &[cluster, group, topic], number(*records));
        }
        if let Some(seconds) = self.lag_seconds {
            families.gauge(&table::GROUP_LAG_SECONDS, &[cluster, group], seconds);
        }
        for (state, count) in &self.partitions {
            families.gauge(&table::GROUP_PARTITIONS, &[cluster, group, state], number(*count));
        }
        if let Some((verdict, group_type, state)) = &self.words {
            families.gauge(&table::GROUP_VERDICT, &[cluster, group, verdict], 1.0);
            families.gauge(&table::GROUP_INFO, &[cluster, group, group_type, state], 1.0);
        }
    }
}

/// The age that is proven: the lower end of the bracket.
pub(super) fn lag_seconds(lag: TimeLag) -> Option<f64> {
    match lag {
        TimeLag::CaughtUp => Some(0.0),
        TimeLag::Between { low, .. } | TimeLag::AtLeast(low) => Some(low),
        TimeLag::Unknown => None,
    }
}

/// Writes the series of all groups into `families`, not more than `cap` series in all, and returns how many were left
/// out. The groups with the largest lag stay; those whose lag is unknown come next, then the others.
pub(super) fn write(families: &mut Families, groups: &[(&ClusterName, &GroupView)], cap: usize) -> u64 {
    let mut each: Vec<(&ClusterName, &GroupView, GroupSeries)> =
        groups.iter().map(|(cluster, view)| (*cluster, *view, GroupSeries::of(view))).collect();
    let wanted: usize = each.iter().map(|(_, _, series)| series.series()).sum();
    let room = cap.saturating_sub(families.series());
    if wanted <= room {
        for (cluster, view, series) in &each {
            series.write(families, cluster.as_str(), view.group.as_str());
        }
        return 0;
    }
    each.sort_by_key(|(_, view, _)| {
        let lag = view.lag_records.filter(|records| *records > 0);
        (std::cmp::Reverse(lag), std::cmp::Reverse(view.partitions_unknown))
    });
    // The rest of one cluster has at most one lag sum, one age and one sample per state.
    let clusters: std::collections::BTreeSet<&ClusterName> = each.iter().map(|(cluster, _, _)| *cluster).collect();
    let mut room = room.saturating_sub(clusters.len().saturating_mul(9));
    let mut rest: BTreeMap<&ClusterName, GroupSeries> = BTreeMap::new();
    let mut left_out = 0;
    for (cluster, view, series) in &each {
        // A group that calls itself `_other` would be a second series of the same name.
        if series.series() <= room && view.group.as_str() != OTHER {
            room -= series.series();
            series.write(families, cluster.as_str(), view.group.as_str());
        } else {
            left_out += series.series();
            rest.entry(cluster).or_default().absorb(series);
        }
    }
    for (cluster, series) in &rest {
        series.write(families, cluster.as_str(), OTHER);
    }
    u64::try_from(left_out).unwrap_or(u64::MAX)
}
