//! Every metric there is: name, type, help, labels. Dashboards and alert rules may name these and no others.

/// The type of a metric in the text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only grows while the daemon runs.
    Counter,
    /// Goes both ways.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with prefix and unit.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// What the number means.
    pub help: &'static str,
    /// The names of its labels, in the order of their values.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`.")]
            pub const $constant: Metric =
                Metric { name: $name, kind: Type::$kind, help: $help, labels: &[$($label),*] };
        )+
        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    BUILD_INFO = Gauge "kustody_build_info" ["version", "commit", "librdkafka"]
        "Always 1; the labels say what runs.";
    CLUSTER_UP = Gauge "kustody_cluster_up" ["cluster"]
        "1 when at least one broker answered in the last turn, 0 when none did; no sample before the first turn.";
    POLL_LAST_SUCCESS = Gauge "kustody_poll_last_success_timestamp_seconds" ["cluster"]
        "End of the last turn in which a broker answered, in seconds since 1970.";
    POLL_DURATION = Histogram "kustody_poll_duration_seconds" ["cluster"]
        "How long turns took.";
    POLL_REQUESTS = Counter "kustody_poll_requests_total" ["cluster", "api", "outcome"]
        "Requests sent to the cluster by the poll plane.";
    BROKERS = Gauge "kustody_brokers" ["cluster", "state"]
        "Brokers by state: answering, not_answering, left_metadata.";
    PARTITIONS = Gauge "kustody_partitions" ["cluster", "state"]
        "Partitions by flag; several flags may hold for one partition, total counts each once.";
    GROUP_LAG_RECORDS = Gauge "kustody_group_lag_records" ["cluster", "group", "topic"]
        "Records between commit and high watermark, summed over the partitions that could be read. At least so many while kustody_group_partitions has state unknown, ahead or stranded; no sample where that would say 0.";
    GROUP_LAG_SECONDS = Gauge "kustody_group_lag_seconds" ["cluster", "group"]
        "Age of the oldest unread record of the worst partition, at least; from the history of high watermarks.";
    GROUP_PARTITIONS = Gauge "kustody_group_partitions" ["cluster", "group", "state"]
        "Partitions of a group by the state of their lag; states without a partition have no sample.";
    GROUP_VERDICT = Gauge "kustody_group_verdict" ["cluster", "group", "verdict"]
        "1 for the present verdict of the group.";
    GROUP_INFO = Gauge "kustody_group_info" ["cluster", "group", "type", "state"]
        "1 for the present type and state of the group.";
    UNKNOWN_READINGS = Gauge "kustody_unknown_readings" ["cluster", "reason"]
        "Values that could not be read in the last turn, by reason.";
    FINDINGS = Gauge "kustody_findings" ["cluster", "kind", "grade"]
        "Findings that are open.";
    FINDINGS_TOTAL = Counter "kustody_findings_total" ["cluster", "kind", "grade"]
        "Findings opened since the daemon started.";
    CANARY_RECORDS = Gauge "kustody_canary_records" ["cluster", "class", "state"]
        "Canary records by state: the sums of the ledger, exact at every read.";
    CANARY_OUTCOMES = Counter "kustody_canary_outcomes_total" ["cluster", "class", "outcome"]
        "Entries of canary records into an outcome since the daemon started.";
    CANARY_LATENCY = Histogram "kustody_canary_latency_seconds" ["cluster", "class", "stage"]
        "Latency of canary records: produce is send to acknowledgement, end_to_end is send to receipt.";
    CANARY_SLO_GOOD_RATIO = Gauge "kustody_canary_slo_good_ratio" ["cluster", "class", "slo", "window"]
        "Share of the canary records sent in the window (5m, 30m, 1h, 6h, 3d, 30d) that are good by the objective; no sample where none can be judged.";
    CANARY_SLO_BURN_RATE = Gauge "kustody_canary_slo_burn_rate" ["cluster", "class", "slo", "window"]
        "How many times as fast as the objective allows the error budget burns, over the minutes of the window that have data; no sample where nothing can be judged, or where proof judges.";
    ALERTS = Gauge "kustody_alerts" ["state", "severity"]
        "Alerts that are pending or firing.";
    NOTIFICATIONS = Counter "kustody_notifications_total" ["receiver", "outcome"]
        "Notices by receiver and outcome.";
    OUTBOX_PENDING = Gauge "kustody_outbox_pending" []
        "Notices not delivered yet.";
    STORAGE_BYTES = Gauge "kustody_storage_bytes" ["file"]
        "Size of a database file, its write-ahead log included.";
    STORAGE_WRITES = Counter "kustody_storage_writes_total" ["outcome"]
        "Writes to the database: written, dropped, failed.";
    TRUNCATED_SERIES = Gauge "kustody_exposition_truncated_series" []
        "Series left out of this exposition because of its cap; their groups are summed as _other.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(seen.insert(name), "{name} is there twice");
            assert!(name.starts_with("kustody_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Type::Counter, "{name}: _total is for counters");
            assert!(metric.help.ends_with('.'), "{name}: help is a sentence");
        }
    }
}
