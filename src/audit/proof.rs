//! What an answer to OffsetForLeaderEpoch proves of a record.

use std::collections::BTreeMap;
use std::time::Duration;

use super::anomaly::{Beside, EpochAnswer, Searched};
use super::record::RecordKey;
use super::saved::{Bracket, Copy};
use super::when::When;
use crate::model::{LeaderEpoch, Moment, Offset};

/// Where a record is, if it still is: its offset, and the epochs in which it can have been appended there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: Offset,
    pub(super) low: LeaderEpoch,
    pub(super) high: LeaderEpoch,
    pub(super) since: When,
}

impl Place {
    /// By the ack; nothing while its epoch has no upper bound.
    pub(super) fn of_ack(offset: Option<Offset>, bracket: Bracket, acked: Option<When>) -> Option<Self> {
        let (offset, high, since) = (offset?, bracket.high?, acked?);
        // Nothing sighted before the send: from the first epoch on. An older bound only proves less.
        let low = bracket.low.or(LeaderEpoch::new(0))?.min(high);
        Some(Self { offset, low, high, since })
    }

    /// By a receipt whose batch told its epoch.
    pub(super) fn of_copy(copy: &Copy, since: When) -> Option<Self> {
        let epoch = copy.leader_epoch?;
        Some(Self { offset: copy.offset, low: epoch, high: epoch, since })
    }

    /// The epochs whose ends decide.
    pub(super) fn epochs_to_ask(self) -> impl Iterator<Item = LeaderEpoch> {
        let below = (self.low != self.high).then_some(self.low);
        [Some(self.high), below, self.low.previous()].into_iter().flatten()
    }
}

/// An answer with the moments that make it evidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) answer: EpochAnswer,
    pub(super) begun: Moment,
    pub(super) at: Moment,
}

/// What an answer says of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing: asked too early, of a leader too old, or the record fits in.
    Nothing,
    /// The place lies in a term later than the record's lowest: perhaps overwritten, a re-read tells.
    PerhapsOverwritten,
    /// The log start passed it.
    Expired,
    /// The log ends before it, or what is there was appended in a later term.
    BeyondTheEnd,
    /// What is there was appended in an earlier term: the record's own is gone, though the log goes on (divergence).
    OfAnEarlierTerm,
}

/// The rule of the canary's law, §2 (b) and (c), for one answer (asked, e', end) of the leader of `current`:
///
/// In its log every offset below `end` has an epoch <= e', every other one an epoch > asked. A record of an epoch
/// within low..=high at `offset` is therefore not in it if `offset` < end and e' < low, or if `offset` >= end and
/// asked >= high. With current >= high this log is the one the record was acknowledged into, or a later one.
pub(super) fn says(told: &Told, place: Place) -> Says {
    let EpochAnswer { asked, current, end, log_start, .. } = told.answer;
    if current < place.high || !place.since.is_before(told.begun) {
        return Says::Nothing;
    }
    // The log start was read after the end: what it has passed by now was trimmed, whatever the end says.
    if place.offset < log_start {
        return Says::Expired;
    }
    let is_below_end = place.offset < end.end_offset;
    if is_below_end && end.leader_epoch < place.low {
        Says::OfAnEarlierTerm
    } else if !is_below_end && asked >= place.high {
        Says::BeyondTheEnd
    } else if !is_below_end && asked >= place.low {
        Says::PerhapsOverwritten
    } else {
        Says::Nothing
    }
}

/// The log start as far as it was told.
pub(super) fn log_start(answers: &BTreeMap<LeaderEpoch, Told>) -> Option<Offset> {
    answers.values().map(|told| told.answer.log_start).max()
}

/// True when the answers show that `offset` was appended in just this epoch in the log of `current`. By log matching
/// (one leader per epoch, one record per offset) what another read found there in that epoch is there now.
pub(super) fn is_of_epoch(answers: &BTreeMap<LeaderEpoch, Told>, offset: Offset, epoch: LeaderEpoch) -> bool {
    // An epoch below all that a log knows is said to end where the log starts, whether it was ever there or not.
    if log_start(answers).is_none_or(|start| offset < start) {
        return false;
    }
    let ends = |asked: LeaderEpoch| answers.get(&asked).map(|told| told.answer.end);
    let is_in = ends(epoch).is_some_and(|end| end.leader_epoch == epoch && offset < end.end_offset);
    let is_not_before = match epoch.previous() {
        Some(before) => ends(before).is_some_and(|end| offset >= end.end_offset),
        None => true,
    };
    is_in && is_not_before
}

/// What stands between a record and its verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct Inquiry {
    /// Since when the reader is beyond the place without having seen the record.
    pub(super) passed: Option<Moment>,
    /// An answer hinted at a record of another term at the place.
    pub(super) hinted: bool,
    /// Its place stands since this answer, but the marker that committed it may have been cut.
    pub(super) marker: Option<Moment>,
    /// The place that is in question.
    pub(super) place: Option<Place>,
    /// The proof that it is not there.
    pub(super) proof: Option<(Told, Says)>,
    /// What a fresh connection found, and when that was asked and told.
    pub(super) reread: Option<(super::event::Reread, Moment, Moment)>,
    /// Re-reads begun after the proof that got no answer.
    pub(super) failed: u32,
    /// Only a sighting of the topic begun after this is missing.
    pub(super) awaits_topic_since: Option<Duration>,
    /// When to re-read again.
    pub(super) ask: super::when::Backoff,
}

impl Inquiry {
    /// True when nothing is in question but whether the record is still committed.
    pub(super) fn is_of_marker(&self) -> bool {
        self.marker.is_some() && self.proof.is_none()
    }

    /// A re-read told nothing.
    pub(super) fn note_failure(&mut self, begun: Moment) {
        if self.proof.is_some_and(|(told, _)| told.at.mono <= begun.mono) {
            self.failed += 1;
        }
    }
}

/// One record of an anomaly as it is stated.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    pub(super) key: RecordKey,
    pub(super) offset: Option<Offset>,
    pub(super) epoch_answer: Option<EpochAnswer>,
    pub(super) reread: Option<super::event::Reread>,
    pub(super) beside: Option<Beside>,
    pub(super) searched: Option<Searched>,
}

impl Loss {
    /// A record with an anomaly at an offset, and nothing to prove: it was seen.
    pub(super) fn seen(key: RecordKey, offset: Offset) -> Self {
        Self { key, offset: Some(offset), epoch_answer: None, reread: None, beside: None, searched: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EpochEnd, Timestamp};

    fn epoch(number: i32) -> LeaderEpoch {
        LeaderEpoch::new(number).expect("an epoch")
    }

    fn offset(number: i64) -> Offset {
        Offset::new(number).expect("an offset")
    }

    fn at(seconds: u64) -> Moment {
        Moment { wall: Timestamp::default(), mono: Duration::from_secs(seconds) }
    }

    fn told(asked: i32, current: i32, end: (i32, i64), log_start: i64) -> Told {
        let answer = EpochAnswer {
            broker: None,
            asked: epoch(asked),
            current: epoch(current),
            end: EpochEnd { leader_epoch: epoch(end.0), end_offset: offset(end.1) },
            log_start: offset(log_start),
            told_at: Timestamp::default(),
        };
        Told { answer, begun: at(20), at: at(21) }
    }

    #[test]
    fn each_answer_says_what_it_proves_and_no_more() {
        use Says::{BeyondTheEnd, Expired, Nothing, OfAnEarlierTerm, PerhapsOverwritten};
        // (name, (offset, low, high), (asked, current, (e', end), log start), says)
        let cases = [
            ("leader died, everything is there", (101, 0, 0), (0, 1, (0, 103), 0), Nothing),
            ("truncated by a clean election", (103, 0, 0), (0, 1, (0, 103), 0), BeyondTheEnd),
            ("the whole term vanished, the log is shorter", (120, 3, 3), (3, 5, (2, 100), 0), BeyondTheEnd),
            ("the whole term vanished, its offsets were used again", (99, 3, 3), (3, 5, (2, 140), 0), OfAnEarlierTerm),
            ("the term below reaches beyond it", (99, 3, 4), (2, 5, (2, 140), 0), OfAnEarlierTerm),
            ("the term below ends before it", (99, 3, 4), (2, 5, (2, 90), 0), Nothing),
            ("the leader's own log end lies before it", (140, 0, 1), (2, 2, (2, 120), 0), BeyondTheEnd),
            ("the leader's own log goes beyond it", (110, 0, 1), (2, 2, (2, 120), 0), Nothing),
            ("a leader of a term that may be too old", (140, 0, 3), (2, 2, (2, 120), 0), Nothing),
            ("within a wide bracket", (105, 1, 2), (1, 2, (1, 100), 0), PerhapsOverwritten),
            ("trimmed, not truncated", (99, 0, 0), (0, 1, (0, 50), 100), Expired),
            ("trimmed up to it", (100, 0, 0), (0, 1, (0, 50), 100), BeyondTheEnd),
        ];
        for (name, (o, low, high), (asked, current, end, log_start), want) in cases {
            let place = Place { offset: offset(o), low: epoch(low), high: epoch(high), since: When::from(at(10)) };
            assert_eq!(says(&told(asked, current, end, log_start), place), want, "{name}");
            let later = Place { since: When::from(at(30)), ..place };
            assert_eq!(says(&told(asked, current, end, log_start), later), Nothing, "{name}: asked before the ack");
        }
    }

    #[test]
    fn an_offset_is_of_an_epoch_only_by_both_ends() {
        let answers = |list: &[Told]| list.iter().map(|told| (told.answer.asked, *told)).collect::<BTreeMap<_, _>>();
        let cases = [
            ("both ends", answers(&[told(1, 4, (1, 50), 0), told(2, 4, (2, 80), 0)]), true),
            ("only its end", answers(&[told(2, 4, (2, 80), 0)]), false),
            ("it begins later", answers(&[told(1, 4, (1, 61), 0), told(2, 4, (2, 80), 0)]), false),
            ("it ends before", answers(&[told(1, 4, (1, 50), 0), told(2, 4, (2, 60), 0)]), false),
            ("below the log start nobody knows", answers(&[told(1, 4, (1, 50), 0), told(2, 4, (2, 80), 61)]), false),
            ("at the log start it is known", answers(&[told(1, 4, (1, 50), 0), told(2, 4, (2, 80), 60)]), true),
            ("it is not there at all", answers(&[told(1, 4, (1, 50), 0), told(2, 4, (1, 80), 0)]), false),
        ];
        for (name, answers, want) in cases {
            assert_eq!(is_of_epoch(&answers, offset(60), epoch(2)), want, "{name}");
        }
    }

    #[test]
    fn without_an_upper_bound_there_is_no_place_to_judge() {
        let acked = Some(When::from(at(1)));
        let open = Bracket { low: Some(epoch(1)), high: None };
        assert_eq!(Place::of_ack(Some(offset(4)), open, acked), None);
        assert_eq!(Place::of_ack(None, Bracket { low: None, high: Some(epoch(1)) }, acked), None, "no offset");
        let wide = Place::of_ack(Some(offset(4)), Bracket { low: None, high: Some(epoch(3)) }, acked).expect("a place");
        assert_eq!(wide.epochs_to_ask().map(LeaderEpoch::get).collect::<Vec<_>>(), [3, 0]);
        let exact = Place { low: epoch(3), ..wide };
        assert_eq!(exact.epochs_to_ask().map(LeaderEpoch::get).collect::<Vec<_>>(), [3, 2]);
    }
}
