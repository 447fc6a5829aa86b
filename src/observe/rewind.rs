//! Commits that went back.
//!
//! ```text
//!                 lower                          lower again, same coordinator, not truncated
//!   Baseline ─────────────► Baseline + Candidate ────────────────────────────────────────────► Rewound
//!      ▲                          │
//!      └──── as high as before ◄──┘   lower, another coordinator: a new candidate
//! ```
//!
//! A coordinator that was hung past its session and goes on answers with commits of the past, and its own Metadata still
//! calls it the leader. So only reads by the broker that leads the group's partition of `__consumer_offsets` count, and
//! one of them never suffices. A reading that is missing neither confirms a candidate nor drops it.

use crate::model::{BrokerId, CommittedOffset, LeaderEpoch, Timestamp};

/// One read of a commit by the group's coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommitRead {
    pub(crate) commit: CommittedOffset,
    pub(crate) at: Timestamp,
    /// None for a read of an earlier run of the daemon: a stale one would be too low, never too high.
    pub(crate) coordinator: Option<BrokerId>,
    /// The partition's leader epoch in that turn.
    pub(crate) epoch: Option<LeaderEpoch>,
    /// True when the commit was beyond the log or stranded: going back from there re-reads nothing.
    pub(crate) off_log: bool,
    /// True when the group had no members.
    pub(crate) group_empty: bool,
}

/// Whether the log lost the records between the two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truncation {
    /// It did not: they will be read again.
    Excluded,
    /// It did: the consumer went back to where the log ends.
    Explains,
    /// The epoch's end was not told yet.
    Unknown,
}

/// A commit went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewound {
    pub(crate) from: CommitRead,
    pub(crate) to: CommitRead,
}

/// The machine above, of one group and partition.
#[derive(Clone, Debug)]
pub(crate) struct Rewind {
    pub(crate) baseline: CommitRead,
    /// Seldom there, while every commit has a baseline.
    candidate: Option<Box<(CommitRead, u8)>>,
}

impl Rewind {
    /// Turns to wait for the end of an epoch. What is not decided by then is not proven and not told.
    const WAITS: u8 = 3;

    pub(crate) fn new(baseline: CommitRead) -> Self {
        Self { baseline, candidate: None }
    }

    /// True while a second read is awaited.
    pub(crate) fn is_open(&self) -> bool {
        self.candidate.is_some()
    }

    /// Takes the read of this turn; `truncation` judges the log below the baseline.
    pub(crate) fn step(
        &mut self,
        read: CommitRead,
        truncation: impl FnOnce(&CommitRead) -> Truncation,
    ) -> Option<Rewound> {
        if read.commit.offset >= self.baseline.commit.offset || self.baseline.off_log {
            *self = Self::new(read);
            return None;
        }
        let candidate = self.candidate.as_deref().copied();
        let Some((first, waits)) = candidate.filter(|(first, _)| first.coordinator == read.coordinator) else {
            self.candidate = Some(Box::new((read, 0)));
            return None;
        };
        match truncation(&self.baseline) {
            Truncation::Explains => {
                *self = Self::new(read);
                None
            }
            Truncation::Unknown if waits < Self::WAITS => {
                self.candidate = Some(Box::new((first, waits + 1)));
                None
            }
            Truncation::Unknown => {
                *self = Self::new(read);
                None
            }
            Truncation::Excluded => {
                let rewound = Rewound { from: self.baseline, to: first };
                *self = Self::new(first);
                if read.commit.offset < first.commit.offset {
                    self.candidate = Some(Box::new((read, 0)));
                } else {
                    self.baseline = read;
                }
                Some(rewound)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Offset;

    fn read(turn: i64, offset: i64, coordinator: i32) -> CommitRead {
        CommitRead {
            commit: CommittedOffset { offset: Offset::new(offset).expect("not negative"), leader_epoch: None },
            at: Timestamp::from_millis(turn * 15_000),
            coordinator: Some(BrokerId(coordinator)),
            epoch: LeaderEpoch::new(0),
            off_log: false,
            group_empty: true,
        }
    }

    /// A name, the reads, and what they tell.
    type Case<'a> = (&'a str, &'a [(i64, i32)], &'a [(i64, i64)]);

    /// From and to of each rewind that the reads (offset, coordinator) tell.
    fn told(reads: &[(i64, i32)], truncation: Truncation) -> Vec<(i64, i64)> {
        let mut rewind: Option<Rewind> = None;
        let mut told = Vec::new();
        for (turn, (offset, coordinator)) in (0_i64..).zip(reads) {
            let read = read(turn, *offset, *coordinator);
            match &mut rewind {
                None => rewind = Some(Rewind::new(read)),
                Some(rewind) => told.extend(
                    rewind.step(read, |_| truncation).map(|r| (r.from.commit.offset.get(), r.to.commit.offset.get())),
                ),
            }
        }
        told
    }

    #[test]
    fn a_rewind_needs_two_reads_of_one_coordinator() {
        let cases: [Case<'_>; 14] = [
            ("never back", &[(100, 1), (100, 1), (140, 1)], &[]),
            ("by 500", &[(1_000, 1), (500, 1), (500, 1)], &[(1_000, 500)]),
            ("by 500, and read on", &[(1_000, 1), (500, 1), (820, 1), (1_400, 1)], &[(1_000, 500)]),
            ("to the beginning", &[(1_000, 1), (0, 1), (0, 1)], &[(1_000, 0)]),
            ("only one read", &[(1_000, 1), (500, 1)], &[]),
            ("recovered at once", &[(1_000, 1), (500, 1), (1_000, 1), (1_010, 1)], &[]),
            ("a zombie coordinator answers once", &[(1_000, 2), (400, 1), (1_020, 2), (1_040, 2)], &[]),
            ("a zombie answers, then a true rewind", &[(1_000, 2), (400, 1), (700, 2), (700, 2)], &[(1_000, 700)]),
            ("coordinators alternate and never agree", &[(1_000, 1), (500, 2), (500, 1), (1_000, 2)], &[]),
            ("the new coordinator agrees with itself", &[(1_000, 1), (500, 2), (500, 2)], &[(1_000, 500)]),
            ("twice", &[(1_000, 1), (500, 1), (500, 1), (200, 1), (210, 1)], &[(1_000, 500), (500, 200)]),
            (
                "further back while it is confirmed",
                &[(1_000, 1), (500, 1), (200, 1), (200, 1)],
                &[(1_000, 500), (500, 200)],
            ),
            ("told once", &[(1_000, 1), (500, 1), (500, 1), (500, 1), (500, 1)], &[(1_000, 500)]),
            ("saw tooth of two writers, seen while low", &[(200, 1), (100, 1), (100, 1), (200, 1)], &[(200, 100)]),
        ];
        for (name, reads, want) in cases {
            assert_eq!(told(reads, Truncation::Excluded), want, "{name}");
        }
    }

    #[test]
    fn a_truncated_log_is_no_rewind() {
        let back = [(140, 1), (100, 1), (100, 1), (100, 1)];
        assert_eq!(told(&back, Truncation::Explains), []);
        assert_eq!(told(&back, Truncation::Excluded), [(140, 100)]);
    }

    #[test]
    fn what_the_epochs_do_not_decide_in_time_is_not_told() {
        let back = [(140, 1), (100, 1), (100, 1), (100, 1), (100, 1), (100, 1), (100, 1), (100, 1)];
        assert_eq!(told(&back, Truncation::Unknown), []);
    }

    #[test]
    fn going_back_from_beyond_the_log_reads_nothing_again() {
        let mut rewind = Rewind::new(CommitRead { off_log: true, ..read(0, 1_000, 1) });
        assert_eq!(rewind.step(read(1, 7, 1), |_| Truncation::Excluded), None);
        assert_eq!(rewind.step(read(2, 7, 1), |_| Truncation::Excluded), None);
        assert_eq!(rewind.baseline.commit.offset.get(), 7);
    }
}
