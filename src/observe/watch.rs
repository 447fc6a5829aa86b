//! How long a group was watched.

use std::collections::BTreeMap;
use std::time::Duration;

use super::commits::CommitTrack;
use super::history::Options;
use crate::model::{GroupType, Timestamp, TopicPartition};

/// What is remembered of a group.
#[derive(Clone, Debug)]
pub(crate) struct GroupTrack {
    pub(crate) group_type: GroupType,
    pub(crate) commits: BTreeMap<TopicPartition, CommitTrack>,
    pub(crate) watch: Watch,
    /// Watched time of the last change of any commit.
    pub(crate) changed: Option<Duration>,
    pub(crate) last_commit_seen: Option<Timestamp>,
    pub(crate) last_read: Option<Timestamp>,
    pub(crate) gone_since: Option<Timestamp>,
}

impl GroupTrack {
    /// A group at first sight; an earlier run of the daemon may have seen it.
    pub(crate) fn new(
        group_type: GroupType,
        points: impl Iterator<Item = (Timestamp, bool)>,
        options: &Options,
    ) -> Self {
        let mut track = Self {
            group_type,
            commits: BTreeMap::new(),
            watch: Watch::default(),
            changed: None,
            last_commit_seen: None,
            last_read: None,
            gone_since: None,
        };
        for (at, changed) in points {
            track.watch.see(at, options.longest_gap);
            track.last_read = Some(at);
            if changed {
                track.changed = Some(track.watch.watched);
                track.last_commit_seen = Some(at);
            }
        }
        track
    }
}

/// Watched time: the sum of pauses between readings in a row, each cut at the longest gap. Time in which nothing could
/// be read does not count, since nobody could commit to a hung coordinator or read from a hung leader either.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    pub(crate) watched: Duration,
    last: Option<Timestamp>,
}

impl Watch {
    pub(crate) fn see(&mut self, at: Timestamp, longest_gap: Duration) {
        if let Some(last) = self.last {
            self.watched += at.since(last).min(longest_gap);
        }
        self.last = Some(at);
    }

    pub(crate) fn lose_sight(&mut self) {
        self.last = None;
    }

    pub(crate) fn since(&self, watched: Duration) -> Duration {
        self.watched.saturating_sub(watched)
    }

    /// True when `watched` lies no further back than the window.
    pub(crate) fn within(&self, watched: Duration, window: Duration) -> bool {
        self.since(watched) <= window
    }
}
