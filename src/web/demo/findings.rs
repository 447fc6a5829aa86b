//! What was found, and what is told of it.

use std::time::Duration;

use serde_json::json;

use super::{HOSTILE, before, cluster, number};
use crate::alert::{Alert, AlertState};
use crate::finding::{CountIs, Finding, FindingState, Kind, Severity, Subject};
use crate::model::{BrokerId, GroupId, PartitionId, Timestamp, TopicId, TopicName};

/// One of every kind; the older a third of them are closed.
pub(super) fn findings(at: Timestamp) -> Vec<Finding> {
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
        Kind::CanaryReordered => (
            canary,
            Severity::Info,
            Some(2),
            "2 records of class all lie behind a later one in __kustody.canary-1",
            json!({"offsets": [97, 98]}),
        ),
        Kind::CanaryPhantom => (
            canary,
            Severity::Warning,
            Some(1),
            "1 record that was refused for sure is in __kustody.canary-1",
            json!({"offsets": [120]}),
        ),
        Kind::CanaryAbortedVisible => (
            canary,
            Severity::Critical,
            Some(1),
            "1 record of an aborted transaction is shown to readers of committed records in __kustody.canary-1",
            json!({"offsets": [131]}),
        ),
        Kind::CanaryConsumerSkipped => (
            canary,
            Severity::Warning,
            Some(1),
            "our own reader skipped 1 record in __kustody.canary-1",
            json!({"offsets": [140]}),
        ),
        Kind::CanaryAckRegression => (
            canary,
            Severity::Critical,
            Some(1),
            "1 record was acknowledged at an offset of __kustody.canary-1 that had been acknowledged before",
            json!({"offsets": [150]}),
        ),
        Kind::CanaryOverdue => (
            canary,
            Severity::Warning,
            Some(12),
            "12 records of class all were acknowledged and not read for more than 15 s",
            json!({"oldest": before(at, 33)}),
        ),
        Kind::CanarySecondInstance => (
            Subject { partition: None, canary_class: None, ..canary },
            Severity::Warning,
            None,
            "another instance of this installation started later and writes to __kustody.canary too: this one has stopped sending",
            json!({"incarnation": "9f2c51d07a3be844", "first_read_at": before(at, 33)}),
        ),
        Kind::CanaryNotCovering => (
            Subject { topic: Some(TopicName::from("__kustody.canary")), ..Subject::default() },
            Severity::Info,
            Some(1),
            "Broker 3 leads no partition of __kustody.canary",
            json!({"brokers_not_covered": [3]}),
        ),
        Kind::CanaryBudgetBurning => (
            Subject { partition: None, canary_class: Some("all".to_owned()), ..canary },
            Severity::Critical,
            None,
            "Class all burns its error budget for availability 55.6 times as fast as 99.9 % acknowledged in time allows: 600 of 10,800 records of the last hour were not acknowledged in time, 450 of 900 of the last 5 minutes.",
            json!({"slo": "availability", "objective": 0.999}),
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

pub(super) fn alert(finding: &Finding, at: Timestamp) -> Alert {
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
