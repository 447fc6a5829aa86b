//! Its canary.

use super::before;
use super::slo::slo;
use crate::audit::{CanaryClass, CanaryPartition, ClassSummary, Counts, Isolation, Latency, Misfit, Weight};
use crate::finding::Placement;
use crate::model::{BrokerId, PartitionId, Timestamp};
use crate::publish::{PublishedCanary, PublishedGroupProbe, RefusedReader};

pub(super) fn canary(at: Timestamp) -> PublishedCanary {
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
                frontier_committed: (partition != 1).then_some(151_987),
                pending: if partition == 1 { 14 } else { 1 },
                overdue: if partition == 1 { 12 } else { 0 },
                suspected: 0,
                overdue_by_class: (partition == 1).then_some((CanaryClass::All, 12)).into_iter().collect(),
            })
            .collect(),
        paused: None,
        refused: vec![refused(at, 0), refused(at, 2)],
        slos: CanaryClass::ALL.iter().map(|class| slo(*class, at)).collect::<Vec<_>>().into(),
    }
}

/// A broker may say anything.
fn refused(at: Timestamp, partition: i32) -> RefusedReader {
    RefusedReader {
        reader: Isolation::ReadCommitted,
        partition: PartitionId(partition),
        since: before(at, 40),
        error: "Fetch from broker 1 failed: <img src=x onerror=alert(2)>".to_owned(),
    }
}

pub(super) fn placement() -> Placement {
    let misfit = Misfit {
        weight: Weight::Advice,
        key: "min.insync.replicas".to_owned(),
        value: Some("1".to_owned()),
        why: "acks=all is acknowledged by fewer copies than all but one".to_owned(),
        remedy: Some("set min.insync.replicas=2".to_owned()),
        wanted: Some("2".to_owned()),
    };
    Placement { misfits: vec![misfit], not_covered: Some(vec![BrokerId(3)]) }
}

/// It joins, and its coordinator takes no commits.
pub(super) fn group_probe() -> PublishedGroupProbe {
    let join = Latency { p50: Some(3.1), p95: Some(3.4), p99: Some(3.9), max: Some(4.2) };
    PublishedGroupProbe { join_latency_seconds: join, ..PublishedGroupProbe::default() }
}
