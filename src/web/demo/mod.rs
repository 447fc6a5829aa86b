//! A cluster on a bad day, for tests: one broker of three hangs, a group of every verdict, a finding of every kind.

mod canary;
mod findings;
mod groups;
mod made;
mod slo;
mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::finding::{Kind, Severity};
use crate::model::{BrokerId, ClusterName, Missing, MissingPart, Offset, Part, Reading, Timestamp};
use crate::observe::Observation;
use crate::publish::{Histogram, Own, Published, PublishedCluster, Totals};
use canary::{canary, group_probe, placement};
use findings::{alert, findings};
use groups::groups;
pub(crate) use made::Made;
use topology::{brokers, topics};

/// A group id that tries everything.
pub(crate) const HOSTILE: &str =
    "\"><script>alert(1)</script><img src=x onerror=alert(2)> '{{7*7}}' \u{202e}gpj.exe\u{0}\n& javascript:alert(3)";

const HUNG: Missing = Missing::TimedOut(BrokerId(2));

fn offset(number: u32) -> Offset {
    Offset::new(i64::from(number)).expect("not negative")
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("few")
}

fn before(now: Timestamp, seconds: u64) -> Timestamp {
    now - Duration::from_secs(seconds)
}

fn cluster() -> ClusterName {
    ClusterName::from("main")
}

/// All of it, as of `now`.
pub(crate) fn published(now: Timestamp) -> Published {
    let at = before(now, 4);
    let observation = Observation {
        cluster: cluster(),
        cluster_id: Reading::Read("5L6g3nShT-eMCtK--X86sw".to_owned()),
        started: before(at, 1),
        finished: at,
        reachable: true,
        complete: false,
        brokers: brokers(at),
        topics: topics(at).into_iter().map(|view| (view.name.clone(), view)).collect(),
        groups: groups(at).into_iter().map(|view| (view.group.clone(), view)).collect(),
        changes: vec![],
        took: Duration::from_millis(1_034),
        requests: BTreeMap::from([
            (("Metadata", "answered"), 1),
            (("ListGroups", "answered"), 2),
            (("OffsetFetch", "answered"), 2),
            (("ListOffsets", "answered"), 4),
            (("ListOffsets", "failed"), 1),
        ]),
        missing: vec![
            MissingPart { part: Part::Watermarks, broker: Some(BrokerId(2)), why: HUNG },
            MissingPart { part: Part::Commits, broker: Some(BrokerId(2)), why: HUNG },
        ],
        unknown_readings: BTreeMap::from([("timed_out", 31), ("no_leader", 1)]),
    };
    let findings = findings(at);
    let alerts =
        findings.iter().filter(|finding| finding.severity <= Severity::Warning).map(|finding| alert(finding, at));
    let mut notifications = BTreeMap::new();
    notifications.insert(("ops".to_owned(), "delivered"), 17);
    notifications.insert(("ops".to_owned(), "retried"), 2);
    let healthy = PublishedCluster {
        observation: Some(Arc::new(observation)),
        last_success: Some(at),
        canary: Some(Arc::new(canary(at))),
        group_probe: Some(Arc::new(group_probe())),
        canary_placement: Some(Arc::new(placement())),
        findings: Arc::new(findings.clone()),
        totals: Arc::new(totals()),
    };
    Published {
        as_of: Some(at),
        clusters: BTreeMap::from([(cluster(), healthy), (ClusterName::from("standby"), PublishedCluster::default())]),
        alerts: Arc::new(alerts.collect()),
        own: Own {
            notifications,
            outbox_pending: 1,
            storage_bytes: BTreeMap::from([("history.db", 48_234_496), ("ledger.db", 1_310_720)]),
            storage_writes: BTreeMap::from([("written", 812), ("dropped", 0), ("failed", 0)]),
            storage_trouble: None,
        },
    }
}

/// A cluster that is configured and was not read.
pub(crate) fn before_the_first_turn() -> Published {
    Published { clusters: BTreeMap::from([(cluster(), PublishedCluster::default())]), ..Published::default() }
}

fn totals() -> Totals {
    let mut latency = Histogram::default();
    for sample in [0.002, 0.004, 0.004, 0.006, 0.02] {
        latency.record(sample);
    }
    Totals {
        poll_requests: BTreeMap::from([(("Metadata", "answered"), 512), (("ListOffsets", "failed"), 3)]),
        poll_duration: latency.clone(),
        findings: BTreeMap::from([((Kind::CommitRewound, Kind::CommitRewound.grade()), 2)]),
        canary_outcomes: BTreeMap::from([(("all", "delivered"), 91_204), (("acks1", "lost"), 48)]),
        canary_latency: BTreeMap::from([(("all", "produce"), latency.clone()), (("all", "end_to_end"), latency)]),
    }
}
