//! How far a group is behind on one partition: the order of the rules is the order of their proof.

use super::view::Lag;
use crate::model::{CommittedOffset, EpochEnd, LeaderEpoch, Missing, Offset, Reading, Watermarks};

/// What the leader says of the epoch in which the committed records were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpochVerdict {
    /// The epoch is the leader's own: nothing was truncated since.
    Current,
    /// The records below the commit are in the log.
    Holds,
    /// They are not: the epoch ends here, before the commit.
    Ends(Offset),
    /// Asked or to be asked, and not answered yet.
    Pending,
    /// No epoch is known, or the leader cannot tell.
    Undecided,
}

/// Judges an answer on the commit's own epoch: the epoch of the record before it.
///
/// An epoch that left nothing in the log (a lower one comes back) is gone with its records, even where the log has
/// grown past the commit by divergent ones. Where just the end is the commit nothing below it is missing: a client may
/// commit the position at which an epoch without records begins.
pub(crate) fn own_epoch(commit: CommittedOffset, asked: LeaderEpoch, end: EpochEnd) -> EpochVerdict {
    let vanished = end.leader_epoch < asked && end.end_offset != commit.offset;
    if end.end_offset < commit.offset || vanished { EpochVerdict::Ends(end.end_offset) } else { EpochVerdict::Holds }
}

/// Judges an answer on an epoch from our own history: no record below the commit is of a later one. What lies beyond
/// that epoch's end was therefore written after the group had committed. A lower epoch coming back proves nothing here,
/// since ours may be an epoch without records.
pub(crate) fn history_epoch(commit: CommittedOffset, end: EpochEnd) -> EpochVerdict {
    if end.end_offset < commit.offset { EpochVerdict::Ends(end.end_offset) } else { EpochVerdict::Holds }
}

/// How far the commit is behind. `asked_before` says that the question on its epoch was open in the turn before: it is
/// waited for once.
pub(crate) fn lag(
    committed: &Reading<Option<CommittedOffset>>,
    log: &Watermarks,
    epoch: EpochVerdict,
    asked_before: bool,
) -> Lag {
    let commit = match committed {
        Reading::Missing(why) => return Lag::Unknown(*why),
        // No end of the log is needed to say so.
        Reading::Read(None) => return Lag::Uncommitted,
        Reading::Read(Some(commit)) => commit.offset,
    };
    let high = match log.high_watermark {
        Reading::Missing(why) => return Lag::Unknown(why),
        Reading::Read(high) => high,
    };
    match log.log_start {
        // The log start lies at or below the high watermark, and only a commit below that needs it.
        Reading::Missing(why) if commit < high => return Lag::Unknown(why),
        Reading::Read(start) if commit < start => {
            return match (high.distance_from(start), start.distance_from(commit)) {
                (Some(behind), Some(lost)) => Lag::Expired { behind, lost },
                // A log start beyond the high watermark: the two were read around a DeleteRecords or a truncation.
                (None, _) | (_, None) => Lag::Unknown(Missing::Unconfirmed),
            };
        }
        Reading::Missing(_) | Reading::Read(_) => {}
    }
    if let EpochVerdict::Ends(epoch_end) = epoch {
        return Lag::Stranded { skip: commit.distance_from(epoch_end).unwrap_or(0), epoch_end };
    }
    match high.distance_from(commit) {
        Some(behind) => Lag::Behind(behind),
        None => match epoch {
            EpochVerdict::Pending | EpochVerdict::Holds if !asked_before => Lag::Unknown(Missing::Unconfirmed),
            EpochVerdict::Pending
            | EpochVerdict::Holds
            | EpochVerdict::Current
            | EpochVerdict::Undecided
            | EpochVerdict::Ends(_) => Lag::Ahead(commit.distance_from(high).unwrap_or(0)),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::BrokerId;

    fn at(number: i64) -> Offset {
        Offset::new(number).expect("not negative")
    }

    fn log(start: i64, high: i64) -> Watermarks {
        Watermarks {
            log_start: Reading::Read(at(start)),
            last_stable: Reading::Read(at(high)),
            high_watermark: Reading::Read(at(high)),
        }
    }

    fn commit(offset: i64) -> CommittedOffset {
        CommittedOffset { offset: at(offset), leader_epoch: None }
    }

    const HUNG: Missing = Missing::TimedOut(BrokerId(2));

    #[test]
    fn each_rule_has_its_case_and_its_counter_case() {
        use EpochVerdict::{Current, Ends, Holds, Pending, Undecided};
        let no_start = Watermarks { log_start: Reading::Missing(HUNG), ..log(0, 40) };
        let no_high = Watermarks { high_watermark: Reading::Missing(HUNG), ..log(60, 100) };
        let cases = [
            ("at the end", Some(40), log(0, 40), Undecided, Lag::Behind(0)),
            ("behind", Some(10), log(0, 40), Undecided, Lag::Behind(30)),
            ("at the log start", Some(60), log(60, 100), Undecided, Lag::Behind(40)),
            ("committed 10, log start 60", Some(10), log(60, 100), Undecided, Lag::Expired { behind: 40, lost: 50 }),
            ("expired, and all is gone", Some(10), log(100, 100), Undecided, Lag::Expired { behind: 0, lost: 90 }),
            ("expired before stranded", Some(10), log(60, 100), Ends(at(5)), Lag::Expired { behind: 40, lost: 50 }),
            (
                "stranded above the high watermark",
                Some(140),
                log(0, 110),
                Ends(at(100)),
                Lag::Stranded { skip: 40, epoch_end: at(100) },
            ),
            (
                "stranded below it: the log has regrown",
                Some(140),
                log(0, 180),
                Ends(at(100)),
                Lag::Stranded { skip: 40, epoch_end: at(100) },
            ),
            (
                "stranded just at it",
                Some(140),
                log(0, 140),
                Ends(at(100)),
                Lag::Stranded { skip: 40, epoch_end: at(100) },
            ),
            ("the epoch holds", Some(140), log(0, 180), Holds, Lag::Behind(40)),
            ("committed 1000, log end 7", Some(1000), log(0, 7), Undecided, Lag::Ahead(993)),
            ("beyond it in the current epoch", Some(41), log(0, 40), Current, Lag::Ahead(1)),
            ("beyond it, the question is open", Some(41), log(0, 40), Pending, Lag::Unknown(Missing::Unconfirmed)),
            ("below it, the question is open", Some(39), log(0, 40), Pending, Lag::Behind(1)),
            ("never committed", None, log(0, 40), Undecided, Lag::Uncommitted),
            ("never committed, leader hung", None, no_high, Undecided, Lag::Uncommitted),
            ("leader hung", Some(10), no_high, Undecided, Lag::Unknown(HUNG)),
            ("log start not read", Some(10), no_start, Undecided, Lag::Unknown(HUNG)),
            ("at the end, log start not needed", Some(40), no_start, Undecided, Lag::Behind(0)),
            ("an empty log", Some(0), log(0, 0), Undecided, Lag::Behind(0)),
        ];
        for (name, committed, log, epoch, want) in cases {
            assert_eq!(lag(&Reading::Read(committed.map(commit)), &log, epoch, false), want, "{name}");
        }
        assert_eq!(lag(&Reading::Missing(HUNG), &log(0, 40), Undecided, false), Lag::Unknown(HUNG), "coordinator hung");
        assert_eq!(lag(&Reading::Read(Some(commit(41))), &log(0, 40), Pending, true), Lag::Ahead(1), "waited once");
    }

    #[test]
    fn an_epoch_that_ends_before_the_commit_strands_it() {
        let epoch = |number| LeaderEpoch::new(number).expect("not negative");
        let cases = [
            ("ends below", 3, 3, 100, EpochVerdict::Ends(at(100)), EpochVerdict::Ends(at(100))),
            ("ends just there", 3, 3, 140, EpochVerdict::Holds, EpochVerdict::Holds),
            ("ends beyond", 3, 3, 150, EpochVerdict::Holds, EpochVerdict::Holds),
            ("vanished, and the log is shorter", 3, 2, 100, EpochVerdict::Ends(at(100)), EpochVerdict::Ends(at(100))),
            ("vanished, and divergent records go on", 3, 2, 150, EpochVerdict::Ends(at(150)), EpochVerdict::Holds),
            ("an epoch without records", 3, 2, 140, EpochVerdict::Holds, EpochVerdict::Holds),
        ];
        for (name, asked, answered, end, own, ours) in cases {
            let end = EpochEnd { leader_epoch: epoch(answered), end_offset: at(end) };
            assert_eq!(own_epoch(commit(140), epoch(asked), end), own, "{name}");
            assert_eq!(history_epoch(commit(140), end), ours, "{name}, by history");
        }
    }

    fn reading() -> impl Strategy<Value = Reading<Offset>> {
        prop_oneof![Just(Reading::Missing(HUNG)), (0_i64..200).prop_map(|number| Reading::Read(at(number)))]
    }

    proptest! {
        #[test]
        fn a_number_never_comes_from_a_missing_side(
            committed in reading(), log_start in reading(), high_watermark in reading(), asked_before: bool,
        ) {
            let log = Watermarks { log_start, last_stable: Reading::Missing(HUNG), high_watermark };
            let committed = committed.map(|offset| Some(CommittedOffset { offset, leader_epoch: None }));
            let lag = lag(&committed, &log, EpochVerdict::Undecided, asked_before);
            if committed.missing().is_some() || high_watermark.missing().is_some() {
                prop_assert_eq!(lag, Lag::Unknown(HUNG));
            }
            if let (Some(Some(commit)), Some(start), Some(high), Some(records)) =
                (committed.value(), log_start.value(), high_watermark.value(), lag.records())
            {
                let from = commit.offset.max(start);
                prop_assert_eq!(high.distance_from(from), Some(records));
            }
        }
    }
}
