//! From the ledger's anomalies, and from our own state, to drafts of findings.

use std::time::Duration;

use super::view::AuditView;
use crate::audit::{Anomaly, AnomalyKind};
use crate::finding::canary::{CanaryLoss, CanaryLossKind, draft, second_instance};
use crate::finding::{Draft, Kind, Severity, Subject, budget};
use crate::model::{Timestamp, TopicName};
use crate::store::Status;

/// Anomalies older than this were told long ago, whatever became of their findings.
const TOLD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// All that the ledger holds: the book of findings knows what it was told before.
pub(super) fn canary_drafts(topic: &TopicName, view: &AuditView, now: Timestamp, bootstrap: &str) -> Vec<Draft> {
    let recent = view.anomalies.iter().filter(|anomaly| now.since(anomaly.last_at) < TOLD_FOR);
    let told = |anomaly: &Anomaly| Draft { verify: verify(topic, anomaly, bootstrap), ..draft(&loss(topic, anomaly)) };
    let mut drafts: Vec<Draft> = recent.map(told).collect();
    drafts.extend(view.second_instance.map(|second| second_instance(topic, &second)));
    let Some(canary) = &view.canary else { return drafts };
    drafts.extend(canary.slos.iter().flat_map(|slo| budget::drafts(topic, slo)));
    for partition in &canary.partitions {
        for (class, overdue) in &partition.overdue_by_class {
            drafts.push(draft(&CanaryLoss {
                class: *class,
                topic: topic.clone(),
                topic_id: None,
                partition: partition.partition,
                leader_epoch: None,
                kind: CanaryLossKind::Overdue,
                records: *overdue,
                offsets: Vec::new(),
                log_end: None,
                evidence: serde_json::json!({
                    "frontier": partition.frontier,
                    "frontier_committed": partition.frontier_committed,
                    "pending": partition.pending,
                    "suspected": partition.suspected,
                }),
            }));
        }
    }
    drafts
}

/// A topic's name needs no quoting in a shell.
fn verify(topic: &TopicName, anomaly: &Anomaly, bootstrap: &str) -> Vec<String> {
    let partition = anomaly.key.partition;
    let mut commands: Vec<String> = ["earliest", "latest"]
        .map(|time| {
            format!(
                "kafka-get-offsets.sh --bootstrap-server {bootstrap} --topic-partitions {topic}:{partition} --time {time}"
            )
        })
        .into();
    if let Some(first) = anomaly.offsets.first() {
        commands.push(format!(
            "kafka-console-consumer.sh --bootstrap-server {bootstrap} --topic {topic} --partition {partition} --offset {first} --max-messages 1 --timeout-ms 10000"
        ));
    }
    commands
}

fn loss(topic: &TopicName, anomaly: &Anomaly) -> CanaryLoss {
    CanaryLoss {
        class: anomaly.key.class,
        topic: topic.clone(),
        topic_id: anomaly.key.topic_id,
        partition: anomaly.key.partition,
        leader_epoch: anomaly.key.leader_epoch,
        kind: match anomaly.key.kind {
            AnomalyKind::Lost => CanaryLossKind::Lost,
            AnomalyKind::LostObserved => CanaryLossKind::LostObserved,
            AnomalyKind::TruncatedAfterDelivery => CanaryLossKind::TruncatedAfterDelivery,
            AnomalyKind::Duplicated => CanaryLossKind::Duplicated,
            AnomalyKind::Reordered => CanaryLossKind::Reordered,
            AnomalyKind::Phantom => CanaryLossKind::Phantom,
            AnomalyKind::AbortedVisible => CanaryLossKind::AbortedVisible,
            AnomalyKind::ConsumerSkipped => CanaryLossKind::ConsumerSkipped,
            AnomalyKind::AckRegression => CanaryLossKind::AckRegression,
        },
        records: anomaly.count,
        offsets: anomaly.offsets.clone(),
        log_end: anomaly.log_end,
        evidence: anomaly.evidence(),
    }
}

/// What hampers the daemon itself.
pub(super) fn own_drafts(status: &Status) -> Vec<Draft> {
    let Some(trouble) = status.trouble() else { return Vec::new() };
    let summary = format!("History and verdicts are kept in memory only: {trouble}.");
    let advice = "Make room on the disk of storage.data. What is not samples is written when it takes writes again.";
    vec![Draft {
        advice: advice.to_owned(),
        evidence: serde_json::json!({
            "history_db": { "bytes": status.history.bytes, "trouble": status.history.trouble, "dropped": status.history.dropped },
            "ledger_db": { "bytes": status.ledger.bytes, "trouble": status.ledger.trouble, "failed": status.ledger.failed },
        }),
        ..Draft::new(Kind::StorageDegraded, Severity::Critical, Subject::default(), summary)
    }]
}
