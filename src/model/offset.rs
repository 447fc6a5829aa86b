//! Positions in a log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::reading::Reading;

/// An offset in a partition's log: 0 or more. Kafka's -1 and -1001 never become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(i64);

impl Offset {
    /// The first offset of any log.
    pub const ZERO: Self = Self(0);

    /// The offset, or nothing where Kafka's number means "none".
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        if number < 0 { None } else { Some(Self(number)) }
    }

    /// The number, 0 or more.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The offset behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How many offsets lie from `earlier` up to here; nothing when `earlier` lies beyond.
    #[must_use]
    pub fn distance_from(self, earlier: Self) -> Option<u64> {
        u64::try_from(self.0 - earlier.0).ok()
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a leader's term on one partition: 0 or more, one higher at each election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeaderEpoch(i32);

impl LeaderEpoch {
    /// The epoch, or nothing where Kafka's -1 means "not known".
    #[must_use]
    pub const fn new(number: i32) -> Option<Self> {
        if number < 0 { None } else { Some(Self(number)) }
    }

    /// The number, 0 or more.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The term before this one; nothing before epoch 0.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        Self::new(self.0 - 1)
    }

    /// This term and the one before it: their ends bound what was appended in this one.
    pub fn with_previous(self) -> impl Iterator<Item = Self> {
        [Some(self), self.previous()].into_iter().flatten()
    }
}

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The three ends of a log, each read on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that still exists.
    pub log_start: Reading<Offset>,
    /// What a `read_committed` reader can reach.
    pub last_stable: Reading<Offset>,
    /// What a `read_uncommitted` reader can reach.
    pub high_watermark: Reading<Offset>,
}

/// What a group committed on a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedOffset {
    /// The next offset the group will read.
    pub offset: Offset,
    /// The leader epoch of the record before it, where the client sent one (many do not).
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A leader's answer to OffsetForLeaderEpoch: the largest epoch not above the one asked for, and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochEnd {
    /// The epoch whose end this is; lower than the one asked for when that one left nothing in the log.
    pub leader_epoch: LeaderEpoch,
    /// The first offset that no longer belongs to it; the log end for the leader's own epoch.
    pub end_offset: Offset,
}
