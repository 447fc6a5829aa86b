//! The verdict on a group: the worst of its partitions, in the contract's order.

use super::commits::Progress;
use super::owners::Owners;
use super::share::unread;
use super::view::{GroupPartitionView, GroupVerdict, Lag};
use crate::model::{ConsumerGroup, GroupType, Reading};

/// The worst that holds for any partition, in the contract's order.
pub(crate) fn verdict<'v>(
    group: &ConsumerGroup,
    owners: &Owners<'_>,
    partitions: impl Iterator<Item = (&'v GroupPartitionView, &'v Progress)>,
    alive: bool,
) -> GroupVerdict {
    let of_partition = |(view, progress): (&GroupPartitionView, &Progress)| {
        let by_lag = match view.lag {
            Lag::Stranded { .. } => GroupVerdict::Stranded,
            Lag::Ahead(_) => GroupVerdict::AheadOfLog,
            // Nobody reads an unowned topic: nobody loses what retention removes.
            Lag::Expired { .. } if !progress.unowned => GroupVerdict::LosingToRetention,
            Lag::Unknown(_) => GroupVerdict::Unknown,
            Lag::Expired { .. } | Lag::Behind(_) | Lag::Uncommitted => GroupVerdict::Ok,
        };
        let by_progress = if progress.rewound {
            GroupVerdict::Rewound
        } else if progress.stuck && alive {
            GroupVerdict::Stalled
        } else if progress.stuck {
            GroupVerdict::Stopped
        } else if progress.falling_behind {
            GroupVerdict::FallingBehind
        } else if progress.blocked && !progress.abandoned {
            GroupVerdict::BlockedByTransaction
        } else if progress.abandoned {
            GroupVerdict::Abandoned
        } else {
            GroupVerdict::Ok
        };
        by_lag.min(by_progress)
    };
    let of_group = match (&group.commits, &group.members, &group.state) {
        // Its members take records in no order: how many are left is known, whether it stands still is not.
        (_, Reading::Read(_), Reading::Read(_)) if group.group_type == GroupType::Share => {
            unread(group).map_or(GroupVerdict::NotMeasurable, |_| GroupVerdict::Unknown)
        }
        (Reading::Missing(_), _, _) | (_, Reading::Missing(_), _) | (_, _, Reading::Missing(_)) => {
            GroupVerdict::Unknown
        }
        (Reading::Read(commits), Reading::Read(_), Reading::Read(_)) if commits.is_empty() && !owners.of.is_empty() => {
            GroupVerdict::NotMeasurable
        }
        (Reading::Read(_), Reading::Read(_), Reading::Read(_)) => GroupVerdict::Ok,
    };
    partitions.map(of_partition).fold(of_group, GroupVerdict::min)
}
