//! Its groups.

use std::sync::Arc;

use super::topology::{TOPICS, ends};
use super::{HOSTILE, HUNG, before, number, offset};
use crate::model::{
    CommittedOffset, GroupId, GroupState, GroupType, LeaderEpoch, Member, MemberId, Reading, Timestamp, TopicId,
    TopicPartition,
};
use crate::observe::{GroupPartitionView, GroupVerdict, GroupView, Lag, TimeLag};

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

pub(super) fn groups(at: Timestamp) -> Vec<GroupView> {
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
    let member = Arc::new(Member {
        id: MemberId::from(format!("consumer-{index}-6f1c9b1e-3e0f-4a57-9c1a-0d1d1d1d1d1d")),
        client_id: if name == HOSTILE { HOSTILE.to_owned() } else { format!("{name}-1") },
        host: format!("/10.0.3.{index}"),
        assignment: (0..4).map(|partition| TopicPartition::new(TOPICS[index % 10], partition)).collect(),
    });
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
            owner: (!empty).then(|| Arc::clone(&member)),
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
