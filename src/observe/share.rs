//! Share groups: what is left to hand out, as the broker counts it (KIP-932, KIP-1226).
//!
//! A share group commits nothing, so no rule of commits is applied to it: the start offset may stand still while records
//! behind it are done with, and an operator may set it anywhere.

use super::commits::Progress;
use super::groups::{Sum, Turn, view};
use super::owners::Owners;
use super::view::Lag;
use super::watch::GroupTrack;
use crate::model::{CommittedOffset, ConsumerGroup, GroupType, Missing, Reading, ShareOffset};

/// Why it is not known how far a group is; nothing where it is, or where its brokers cannot tell of any group of its type.
pub(crate) fn unread(group: &ConsumerGroup) -> Option<Missing> {
    if group.group_type != GroupType::Share {
        return group.commits.missing();
    }
    group.share_offsets.missing().filter(|why| !matches!(why, Missing::Unsupported | Missing::NotAsked))
}

impl Turn<'_> {
    pub(super) fn share_offsets(
        &self,
        track: &mut GroupTrack,
        group: &ConsumerGroup,
        owners: &Owners<'_>,
        sum: &mut Sum,
    ) {
        let why = unread(group);
        if why.is_none() {
            track.watch.see(group.commits_as_of, self.options.longest_gap);
            track.last_read = Some(group.commits_as_of);
        } else {
            track.watch.lose_sight();
        }
        let offsets = group.share_offsets.as_ref().value();
        for (at, reading) in offsets.into_iter().flatten() {
            let found = self.find(at, owners);
            let (start, lag) = match (reading, found) {
                (Reading::Missing(why), _) => (Reading::Missing(*why), Lag::Unknown(*why)),
                (Reading::Read(share), Ok(_)) => (Reading::Read(share.start), lag(*share)),
                (Reading::Read(share), Err(why)) => (Reading::Read(share.start), Lag::Unknown(why)),
            };
            let committed = start.map(|start| start.map(|offset| CommittedOffset { offset, leader_epoch: None }));
            sum.partitions.push(view(at, committed, found, lag, owners));
            sum.progress.push(Progress::default());
        }
        let is_told = |at| offsets.is_some_and(|offsets| offsets.contains_key(at));
        for (at, _) in owners.of.iter().filter(|(at, _)| !is_told(at)) {
            let (committed, lag) = match why {
                Some(why) => (Reading::Missing(why), Lag::Unknown(why)),
                None => (Reading::Read(None), Lag::Uncommitted),
            };
            sum.partitions.push(view(at, committed, self.find(at, owners), lag, owners));
            sum.progress.push(Progress::default());
        }
    }
}

/// How far a share group is behind on a partition: never the distance to the high watermark, of which an unknown part is
/// done with.
const fn lag(share: ShareOffset) -> Lag {
    match share {
        ShareOffset { lag: Some(left), .. } => Lag::Behind(left),
        ShareOffset { start: Some(_), lag: None } => Lag::Unknown(Missing::Unsupported),
        // Nothing was handed out yet.
        ShareOffset { start: None, lag: None } => Lag::Uncommitted,
    }
}
