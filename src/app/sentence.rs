//! From the ledger's anomalies, and from our own state, to drafts of findings.

use super::view::AuditView;
use crate::audit::{Anomaly, AnomalyKind};
use crate::finding::canary::{CanaryLoss, CanaryLossKind, draft};
use crate::finding::{Draft, Kind, Severity, Subject};
use crate::model::TopicName;
use crate::store::Status;

/// All that the ledger holds: the book of findings knows what it was told before.
pub(super) fn canary_drafts(topic: &TopicName, view: &AuditView) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = view.anomalies.iter().map(|anomaly| draft(&loss(topic, anomaly))).collect();
    let Some(canary) = &view.canary else { return drafts };
    for class in &canary.classes {
        if class.counts.overdue == 0 {
            continue;
        }
        for partition in canary.partitions.iter().filter(|partition| partition.overdue > 0) {
            drafts.push(draft(&CanaryLoss {
                class: class.class,
                topic: topic.clone(),
                topic_id: None,
                partition: partition.partition,
                leader_epoch: None,
                kind: CanaryLossKind::Overdue,
                records: partition.overdue,
                offsets: Vec::new(),
                log_end: None,
                evidence: serde_json::json!({ "frontier": partition.frontier, "pending": partition.pending }),
            }));
        }
    }
    drafts
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
            AnomalyKind::TruncatedAfterDelivery => CanaryLossKind::TruncatedAfterDelivery,
            AnomalyKind::Duplicated => CanaryLossKind::Duplicated,
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
