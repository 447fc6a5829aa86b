//! A cluster on a bad day, for tests: one broker of three hangs, a group of every verdict, a finding of every kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::alert::{Alert, AlertState, NoticeStatus};
use crate::audit::{CanaryClass, CanaryPartition, ClassSummary, Counts, Latency};
use crate::finding::{CountIs, Finding, FindingState, Kind, Severity, Subject};
use crate::model::{
    BrokerId, ClusterName, CommittedOffset, GroupId, GroupState, GroupType, LeaderEpoch, Member, MemberId, Missing,
    MissingPart, Offset, Part, PartitionId, Reading, Timestamp, TopicConfig, TopicId, TopicName, TopicPartition,
    Watermarks,
};
use crate::observe::{
    BrokerState, BrokerView, GroupPartitionView, GroupVerdict, GroupView, Lag, Observation, PartitionFlags,
    PartitionView, TimeLag, TopicView,
};
use crate::publish::{Histogram, Own, Published, PublishedCanary, PublishedCluster, Totals};
use crate::web::past::{Answer, Column, Deliveries, Delivery, History, HistoryQuery, Past, PastError, SeriesName};

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

fn brokers(at: Timestamp) -> BTreeMap<BrokerId, BrokerView> {
    let states = [BrokerState::Answering, BrokerState::NotAnswering(HUNG), BrokerState::Answering];
    let views = states.into_iter().zip(1..).map(|(state, id)| BrokerView {
        id: BrokerId(id),
        address: format!("kafka-{id}.prod.example:9092"),
        rack: Some(format!("rack-{}", ["a", "b", "c"][usize::try_from(id - 1).expect("positive")])),
        state,
        since: if state == BrokerState::Answering { before(at, 90_000) } else { before(at, 47) },
        leads: if id == 2 { 2 } else { 23 },
        replicas: 48,
    });
    views.map(|view| (view.id, view)).collect()
}

const TOPICS: [&str; 12] = [
    "orders",
    "payments",
    "shipments",
    "clicks",
    "audit-log",
    "invoices",
    "emails",
    "inventory",
    "prices",
    "sessions",
    "__consumer_offsets",
    "__kustody.canary",
];

fn ends(index: usize) -> Watermarks {
    let high = 120_000 + number(index) * 1_357;
    Watermarks {
        log_start: Reading::Read(offset(number(index) * 100)),
        last_stable: Reading::Read(offset(high)),
        high_watermark: Reading::Read(offset(high)),
    }
}

fn topics(at: Timestamp) -> Vec<TopicView> {
    let partition = |topic: usize, index: i32| {
        let leader = (i32::try_from(topic).expect("few") + index) % 3 + 1;
        let hung = leader == 2 && topic < 4;
        let offline = topic == 4 && index == 1;
        let missing = if offline { Missing::NoLeader } else { HUNG };
        let unread = Watermarks {
            log_start: Reading::Missing(missing),
            last_stable: Reading::Missing(missing),
            high_watermark: Reading::Missing(missing),
        };
        PartitionView {
            partition: PartitionId(index),
            leader: (!offline).then_some(BrokerId(leader)),
            leader_epoch: LeaderEpoch::new(7 + index),
            replicas: if topic == 8 {
                vec![BrokerId(1)]
            } else {
                vec![BrokerId(leader), BrokerId(leader % 3 + 1), BrokerId((leader + 1) % 3 + 1)]
            },
            in_sync: if leader == 3 { vec![BrokerId(3), BrokerId(1)] } else { vec![BrokerId(leader)] },
            offline_replicas: if offline { vec![BrokerId(2)] } else { vec![] },
            flags: PartitionFlags {
                offline,
                under_replicated: topic != 8 && !hung,
                at_min_isr: leader == 3 && topic != 8,
                under_min_isr: leader == 1 && topic != 8,
                unknown: hung,
                ..PartitionFlags::default()
            },
            watermarks: if hung || offline { unread } else { ends(topic) },
            last_high_watermark: Some((offset(119_800 + number(topic)), before(at, if hung { 49 } else { 0 }))),
        }
    };
    let view = |(index, name): (usize, &&str)| TopicView {
        name: TopicName::from(*name),
        id: Some(TopicId([u8::try_from(index).expect("few"); 16])),
        internal: name.starts_with("__consumer"),
        config: match index {
            6 => Reading::Missing(Missing::TopicNotAuthorized),
            _ => Reading::Read(TopicConfig {
                min_insync_replicas: Some(if index == 5 { 1 } else { 2 }),
                unclean_leader_election: Some(index == 5),
                cleanup_policy: Some(if index == 10 { "compact" } else { "delete" }.to_owned()),
                retention_ms: Some(if index == 4 { -1 } else { 604_800_000 }),
                message_timestamp_type: Some("CreateTime".to_owned()),
            }),
        },
        partitions: (0..4).map(|at| (PartitionId(at), partition(index, at))).collect(),
        unknown: (index == 9).then_some(Missing::TopicNotAuthorized),
        as_of: at,
    };
    TOPICS.iter().enumerate().map(view).collect()
}

const VERDICTS: [GroupVerdict; 12] = [
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

fn groups(at: Timestamp) -> Vec<GroupView> {
    const NAMES: [&str; 30] = [
        "billing",
        "retention-victim",
        "mirror-checkout",
        "replayer",
        "nightly-report",
        "poisoned-invoices",
        "clickstream-loader",
        "ledger-read-committed",
        "legacy-emailer",
        "flink-sessions",
        "fraud-scoring",
        "checkout",
        "search-indexer",
        "stock-sync",
        "price-cache",
        "mailer",
        "audit-archiver",
        "session-store",
        "recommendations",
        "push-notifications",
        "invoice-pdf",
        "warehouse-etl",
        "shop-frontend",
        "order-history",
        "crm-export",
        "shipping-labels",
        "returns",
        "loyalty-points",
        "",
        HOSTILE,
    ];
    NAMES.iter().enumerate().map(|(index, name)| group(at, index, name)).collect()
}

fn group(at: Timestamp, index: usize, name: &str) -> GroupView {
    let verdict = VERDICTS.get(index).copied().unwrap_or(GroupVerdict::Ok);
    let behind = u64::from(number(index % 7)) * 431;
    let lag = match verdict {
        GroupVerdict::Stranded => Lag::Stranded { skip: 40, epoch_end: offset(100) },
        GroupVerdict::LosingToRetention => Lag::Expired { behind: 51_200, lost: 200 },
        GroupVerdict::AheadOfLog => Lag::Ahead(17),
        GroupVerdict::Rewound => Lag::Behind(2_500),
        GroupVerdict::Stopped => Lag::Behind(1_204_311),
        GroupVerdict::Stalled => Lag::Behind(9_310),
        GroupVerdict::FallingBehind => Lag::Behind(88_412),
        GroupVerdict::BlockedByTransaction => Lag::Behind(12),
        GroupVerdict::Abandoned => Lag::Behind(300),
        GroupVerdict::NotMeasurable => Lag::Uncommitted,
        GroupVerdict::Unknown => Lag::Unknown(HUNG),
        GroupVerdict::Ok => Lag::Behind(behind),
    };
    let unknown = verdict == GroupVerdict::Unknown;
    let time_lag = match lag {
        Lag::Behind(0) => TimeLag::CaughtUp,
        Lag::Behind(records) if records > 1_000_000 => TimeLag::AtLeast(86_400.0),
        Lag::Behind(records) => {
            let low = f64::from(u32::try_from(records).expect("small")) / 40.0;
            TimeLag::Between { low, high: low + 15.0 }
        }
        Lag::Expired { .. } => TimeLag::AtLeast(604_800.0),
        Lag::Ahead(_) | Lag::Stranded { .. } | Lag::Uncommitted | Lag::Unknown(_) => TimeLag::Unknown,
    };
    let member = Member {
        id: MemberId::from(format!("consumer-{index}-6f1c9b1e-3e0f-4a57-9c1a-0d1d1d1d1d1d")),
        client_id: if name == HOSTILE { HOSTILE.to_owned() } else { format!("{name}-1") },
        host: format!("/10.0.3.{index}"),
        assignment: (0..4).map(|partition| TopicPartition::new(TOPICS[index % 10], partition)).collect(),
    };
    let empty = matches!(verdict, GroupVerdict::Stopped | GroupVerdict::Abandoned);
    let partition = |partition: i32| {
        // One partition carries the trouble, the others are caught up.
        let lag = if partition == 0 || unknown { lag } else { Lag::Behind(0) };
        let lag = if verdict == GroupVerdict::NotMeasurable { Lag::Uncommitted } else { lag };
        let committed = match lag {
            Lag::Uncommitted => Reading::Read(None),
            Lag::Unknown(why) => Reading::Missing(why),
            Lag::Behind(_) | Lag::Expired { .. } | Lag::Ahead(_) | Lag::Stranded { .. } => {
                let commit = CommittedOffset { offset: offset(118_000), leader_epoch: LeaderEpoch::new(6) };
                Reading::Read(Some(commit))
            }
        };
        GroupPartitionView {
            at: TopicPartition::new(TOPICS[index % 10], partition),
            topic_id: Some(TopicId([u8::try_from(index % 10).expect("few"); 16])),
            committed,
            watermarks: ends(index % 10),
            lag,
            time_lag: if partition == 0 { time_lag } else { TimeLag::CaughtUp },
            owner: (!empty).then(|| (member.id.clone(), member.client_id.clone(), member.host.clone())),
        }
    };
    let partitions: Vec<GroupPartitionView> = (0..4).map(partition).collect();
    let records = partitions.iter().filter_map(|one| one.lag.records()).reduce(|sum, records| sum + records);
    let unknown_partitions = partitions.iter().filter(|one| matches!(one.lag, Lag::Unknown(_))).count();
    let uncommitted = partitions.iter().filter(|one| one.lag == Lag::Uncommitted).count();
    GroupView {
        group: GroupId::from(name),
        group_type: if index.is_multiple_of(5) { GroupType::Consumer } else { GroupType::Classic },
        state: if unknown {
            Reading::Missing(HUNG)
        } else if empty {
            Reading::Read(GroupState::Empty)
        } else if verdict == GroupVerdict::Stalled {
            Reading::Read(GroupState::PreparingRebalance)
        } else {
            Reading::Read(GroupState::Stable)
        },
        members: match (unknown, empty) {
            (true, _) => Reading::Missing(HUNG),
            (false, true) => Reading::Read(vec![]),
            (false, false) => Reading::Read(vec![member]),
        },
        verdict,
        lag_records: records,
        lag_records_exact: unknown_partitions == 0,
        time_lag,
        partitions_unknown: u64::from(number(unknown_partitions)),
        partitions_without_commit: u64::from(number(uncommitted)),
        last_commit_seen: if verdict == GroupVerdict::NotMeasurable {
            None
        } else if verdict == GroupVerdict::Stopped {
            Some(before(at, 86_500))
        } else {
            Some(before(at, u64::from(number(index))))
        },
        as_of: if unknown { before(at, 49) } else { at },
        partitions,
    }
}

/// One of every kind; the older a third of them are closed.
fn findings(at: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        Kind::ALL.iter().enumerate().map(|(index, kind)| finding(at, index, *kind)).collect();
    findings.sort_by_key(|finding| (finding.severity, std::cmp::Reverse(finding.opened_at)));
    findings
}

fn finding(at: Timestamp, index: usize, kind: Kind) -> Finding {
    let group = |name: &str| Subject {
        group: Some(GroupId::from(name)),
        topic: Some(TopicName::from("orders")),
        partition: Some(PartitionId(0)),
        ..Subject::default()
    };
    let partition = Subject {
        topic: Some(TopicName::from("audit-log")),
        topic_id: Some(TopicId([4; 16])),
        partition: Some(PartitionId(1)),
        ..Subject::default()
    };
    let canary = Subject {
        topic: Some(TopicName::from("__kustody.canary")),
        partition: Some(PartitionId(1)),
        canary_class: Some("acks1".to_owned()),
        ..Subject::default()
    };
    let loss = json!({
        "offset": 35, "leader_epoch": 6, "log_end": 35, "lost_offsets": (35..83).collect::<Vec<u32>>(),
        "in_sync_before": [2, 1, 3], "in_sync_now": [1, 3], "acknowledged_at": before(at, 1_500),
        "reread": {"high_watermark": 35, "outcome": "at_end"},
    });
    let state = json!({"leader": null, "replicas": [2, 1, 3], "in_sync": [2], "min_insync_replicas": 2});
    let (subject, severity, count, summary, evidence) = match kind {
        Kind::PartitionOffline => (
            partition,
            Severity::Critical,
            None,
            "audit-log-1 has no leader: nothing can be written or read there",
            state,
        ),
        Kind::PartitionUnderMinIsr => (
            partition,
            Severity::Critical,
            Some(1),
            "orders-2 has 1 in-sync replica of min 2: writes with acks=all are refused",
            state,
        ),
        Kind::PartitionAtMinIsr => (
            partition,
            Severity::Warning,
            Some(2),
            "shipments-1 has 2 in-sync replicas of min 2: one more failure refuses writes",
            state,
        ),
        Kind::PartitionUnderReplicated => {
            (partition, Severity::Warning, Some(2), "clicks-0 has 2 in-sync replicas of 3", state)
        }
        Kind::BrokerUnreachable => (
            Subject { broker: Some(BrokerId(2)), ..Subject::default() },
            Severity::Critical,
            None,
            "broker 2 (kafka-2.prod.example:9092) has not answered for 47 s",
            json!({"since": before(at, 47), "why": "timed out"}),
        ),
        Kind::LeaderMoved => (
            partition,
            Severity::Info,
            None,
            "the leader of payments-1 moved from broker 2 to broker 3, epoch 6 to 7",
            json!({"from": 2, "to": 3, "leader_epoch_before": 6, "leader_epoch_now": 7}),
        ),
        Kind::TopicRecreated => (
            partition,
            Severity::Warning,
            None,
            "emails was deleted and created again: its topic id changed",
            json!({"topic_id_before": "BAQEBAQEBAQEBAQEBAQEBA", "topic_id_now": "BQUFBQUFBQUFBQUFBQUFBQ"}),
        ),
        Kind::CommitRewound => (
            group("replayer"),
            Severity::Warning,
            Some(2_500),
            "replayer went back on orders-0 from 120,500 to 118,000: at least 2,500 records will be read again",
            json!({"from": 120_500, "to": 118_000, "read_at": before(at, 900)}),
        ),
        Kind::CommitAheadOfLog => (
            group("mirror-checkout"),
            Severity::Warning,
            Some(17),
            "mirror-checkout committed 120,017 on orders-0, 17 beyond the high watermark 120,000",
            json!({"committed_offset": 120_017, "high_watermark": 120_000}),
        ),
        Kind::GroupStranded => (
            group("billing"),
            Severity::Critical,
            Some(40),
            "billing committed 140 on orders-0 in leader epoch 6, which ends at 100: 40 new records will be skipped",
            json!({"committed_offset": 140, "leader_epoch": 6, "epoch_end": 100}),
        ),
        Kind::RetentionOvertookGroup => (
            group("retention-victim"),
            Severity::Critical,
            Some(200),
            "retention removed 200 records of payments-0 before retention-victim read them",
            json!({"committed_offset": 118_000, "log_start_offset": 118_200}),
        ),
        Kind::GroupStopped => (
            group("nightly-report"),
            Severity::Warning,
            Some(1_204_311),
            "nightly-report has not committed for 24 h and is 1,204,311 records behind",
            json!({"last_commit_at": before(at, 86_500)}),
        ),
        Kind::CanaryLost => (
            canary,
            Severity::Critical,
            Some(48),
            "48 acknowledged records of class acks1 are gone from __kustody.canary-1: epoch 6 ends at offset 35",
            loss,
        ),
        Kind::CanaryTruncatedAfterDelivery => {
            (canary, Severity::Critical, Some(3), "3 records that had been read are gone from __kustody.canary-1", loss)
        }
        Kind::CanaryDuplicated => (
            canary,
            Severity::Warning,
            Some(5),
            "5 records of class all are there twice in __kustody.canary-1",
            json!({"offsets": [[90, 95], [91, 96]]}),
        ),
        Kind::CanaryOverdue => (
            canary,
            Severity::Warning,
            Some(12),
            "12 records of class all were acknowledged and not read for more than 15 s",
            json!({"oldest": before(at, 33)}),
        ),
        Kind::MonitorBlind => (
            Subject { broker: Some(BrokerId(2)), ..Subject::default() },
            Severity::Warning,
            None,
            "the groups that broker 2 coordinates cannot be read: it did not answer within the deadline",
            json!({"part": "commits", "broker": 2}),
        ),
        Kind::MonitorImpaired => (
            Subject::default(),
            Severity::Warning,
            None,
            "the daemon's clock was set back by 3 s",
            json!({"jump_seconds": -3}),
        ),
        Kind::StorageDegraded => (
            Subject::default(),
            Severity::Warning,
            None,
            "history is not being written: the disk is full",
            json!({"error": HOSTILE}),
        ),
    };
    let closed = index % 3 == 2;
    let opened_at = before(at, 120 + u64::from(number(index)) * 1_700);
    Finding {
        id: format!("f{index:04}"),
        key: format!("main/{kind}/{index}"),
        kind,
        grade: kind.grade(),
        severity,
        nature: kind.nature(),
        state: if closed { FindingState::Closed } else { FindingState::Open },
        cluster: cluster(),
        subject,
        count,
        count_is: if kind == Kind::CommitRewound { CountIs::AtLeast } else { CountIs::Exact },
        opened_at,
        last_seen_at: if closed { opened_at + Duration::from_secs(900) } else { at },
        closed_at: closed.then(|| opened_at + Duration::from_secs(960)),
        summary: summary.to_owned(),
        advice: "Look at the broker's log around that time; set min.insync.replicas to 2 and use acks=all.".to_owned(),
        evidence,
        verify: vec![
            "kafka-topics.sh --bootstrap-server kafka-1.prod.example:9092 --describe --topic audit-log".to_owned(),
            "kafka-get-offsets.sh --bootstrap-server kafka-1.prod.example:9092 --topic audit-log --time -1".to_owned(),
        ],
    }
}

fn alert(finding: &Finding, at: Timestamp) -> Alert {
    let fresh = at.since(finding.opened_at) < Duration::from_secs(300);
    let state = match finding.state {
        FindingState::Closed => AlertState::Resolved,
        FindingState::Open if fresh => AlertState::Pending,
        FindingState::Open => AlertState::Firing,
    };
    Alert {
        id: finding.id.clone(),
        state,
        severity: finding.severity,
        pending_since: finding.opened_at,
        fired_at: (!fresh).then_some(finding.opened_at + Duration::from_secs(30)),
        resolved_at: finding.closed_at,
        finding: finding.clone(),
    }
}

fn canary(at: Timestamp) -> PublishedCanary {
    let latency = |scale: f64| Latency {
        p50: Some(0.004 * scale),
        p95: Some(0.011 * scale),
        p99: Some(0.038 * scale),
        max: Some(1.27 * scale),
    };
    let class = |class: CanaryClass| {
        let counts = match class {
            CanaryClass::Acks0 => Counts {
                sent: 91_260,
                in_flight: 1,
                unacknowledged: 91_259,
                pending: 2,
                delivered: 91_257,
                ..Counts::default()
            },
            CanaryClass::Acks1 => Counts {
                sent: 91_260,
                in_flight: 1,
                acked: 91_259,
                pending: 1,
                delivered: 91_207,
                truncated_after_delivery: 3,
                lost: 48,
                ..Counts::default()
            },
            CanaryClass::All => Counts {
                sent: 91_260,
                in_flight: 1,
                acked: 91_240,
                rejected: 12,
                indeterminate: 7,
                indeterminate_delivered: 5,
                indeterminate_absent: 2,
                pending: 14,
                overdue: 12,
                delivered: 91_204,
                late: 22,
                duplicated: 5,
                ..Counts::default()
            },
            CanaryClass::Idempotent => {
                Counts { sent: 91_260, in_flight: 1, acked: 91_259, pending: 2, delivered: 91_257, ..Counts::default() }
            }
            CanaryClass::Transactional => Counts { sent: 3, in_flight: 3, ..Counts::default() },
        };
        let judged = class != CanaryClass::Transactional;
        ClassSummary {
            class,
            since: before(at, 91_260),
            counts,
            loss_rate: judged.then_some(if class == CanaryClass::Acks1 { 0.000_558 } else { 0.0 }),
            loss_rate_upper_95: judged.then_some(if class == CanaryClass::Acks1 { 0.000_735 } else { 0.000_032_9 }),
            duplicate_rate: judged.then_some(if class == CanaryClass::All { 0.000_054_8 } else { 0.0 }),
            produce_latency_seconds: if judged { latency(1.0) } else { Latency::default() },
            end_to_end_latency_seconds: if judged { latency(2.0) } else { Latency::default() },
            coverage: Some(2.0 / 3.0),
        }
    };
    PublishedCanary {
        topic: "__kustody.canary".to_owned(),
        as_of: at,
        classes: CanaryClass::ALL.iter().map(|one| class(*one)).collect(),
        partitions: (0..3)
            .map(|partition| CanaryPartition {
                partition: PartitionId(partition),
                frontier: (partition != 1).then_some(152_001),
                pending: if partition == 1 { 14 } else { 1 },
                overdue: if partition == 1 { 12 } else { 0 },
            })
            .collect(),
        paused: None,
    }
}

/// A past made up from the question: enough points to draw, with a gap.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// What it answers instead, if so.
    pub(crate) trouble: Option<PastError>,
    /// True when it never answers.
    pub(crate) hangs: bool,
}

impl Past for Made {
    fn history(&self, query: HistoryQuery) -> Answer<'_, History> {
        Box::pin(async move {
            self.mood().await?;
            let step = query.to.since(query.from).as_secs().max(240) / 240;
            let times = (0..240).map(|at| query.from + Duration::from_secs(at * step)).collect();
            let names: &[&str] = match query.series {
                SeriesName::GroupLagRecords | SeriesName::GroupLagSeconds => &["lag"],
                SeriesName::PartitionHighWatermark => &["high_watermark"],
                SeriesName::CanaryLatencySeconds => &["all p50", "all p99", "acks1 p50", "acks1 p99"],
                SeriesName::CanaryOutcomes => &["delivered", "late", "lost"],
            };
            let phase = query.group.map_or(3, |group| group.as_str().len());
            let column = |(nth, name): (usize, &&str)| Column {
                name: (*name).to_owned(),
                values: (0..240_u32)
                    .map(|at| {
                        let wave = f64::from(at + number(phase) * 17) / 19.0;
                        let value = (wave.sin() + 1.2) * 900.0 * f64::from(number(nth) + 1) + f64::from(at * 13 % 97);
                        (!(140..152).contains(&at)).then_some(value)
                    })
                    .collect(),
            };
            Ok(History { times, columns: names.iter().enumerate().map(column).collect() })
        })
    }

    fn deliveries(&self, skip: u64, limit: u64) -> Answer<'_, Deliveries> {
        Box::pin(async move {
            self.mood().await?;
            let all = (0..7_u64).map(|at| Delivery {
                notice: format!("f{at:04}/firing/ops"),
                alert: format!("f{at:04}"),
                receiver: "ops".to_owned(),
                status: if at == 2 { NoticeStatus::Resolved } else { NoticeStatus::Firing },
                outcome: if at == 0 { "retried" } else { "delivered" }.to_owned(),
                at: Timestamp::from_millis(1_795_336_103_007),
                attempts: if at == 0 { 3 } else { 1 },
                last_attempt_at: Some(Timestamp::from_millis(1_795_336_104_007)),
                next_attempt_at: (at == 0).then_some(Timestamp::from_millis(1_795_336_164_007)),
                error: (at == 0).then(|| "503 Service Unavailable".to_owned()),
            });
            let page = |number: u64| usize::try_from(number).expect("few");
            Ok(Deliveries { items: all.skip(page(skip)).take(page(limit)).collect(), total: 7 })
        })
    }
}

impl Made {
    async fn mood(&self) -> Result<(), PastError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.trouble.clone().map_or(Ok(()), Err)
    }
}
