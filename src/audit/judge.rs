//! Verdicts: what follows from answers, re-reads and the topic's id together.

use std::time::Duration;

use super::anomaly::{Anomaly, AnomalyKey, AnomalyKind, EpochAnswer, RecordEvidence};
use super::event::Reread;
use super::lane::Lane;
use super::ledger::Ledger;
use super::proof::{self, Inquiry, Loss, Place, Says, Told};
use super::record::{CanaryClass, Isolation, RecordKey};
use super::saved::Copy;
use super::state::State;
use super::tracked::Tracked;
use super::when::When;
use crate::model::{BrokerId, EpochEnd, LeaderEpoch, Moment, Offset, PartitionId, Reading, TopicId};

/// So many anomalies are kept, the latest.
const ANOMALIES_KEPT: usize = 256;

/// A transaction of ours is over within so many offsets.
const MARKER_WITHIN: i64 = 2_048;

/// So many re-reads may fail before a proof by the log's end stands alone.
const REREADS_FAILED: u32 = 3;

/// The anomaly that a record with a loss belongs to.
pub(super) fn anomaly_of(record: &Tracked, key: RecordKey, topic_id: Option<TopicId>) -> Option<AnomalyKey> {
    let kind = match record.state {
        State::Lost if record.is_observed => AnomalyKind::LostObserved,
        State::Lost => AnomalyKind::Lost,
        State::TruncatedAfterDelivery => AnomalyKind::TruncatedAfterDelivery,
        State::Sent
        | State::Pending
        | State::Delivered
        | State::Late
        | State::Expired
        | State::Untracked
        | State::Aborted
        | State::AbortedVisible
        | State::Rejected
        | State::Phantom
        | State::IndeterminatePending
        | State::IndeterminateDelivered
        | State::IndeterminateAbsent
        | State::IndeterminateExpired => return None,
    };
    Some(AnomalyKey {
        kind,
        class: key.class,
        partition: key.partition,
        topic_id,
        leader_epoch: written_in(record, kind),
    })
}

/// The epoch a record was written in, as far as known.
fn written_in(record: &Tracked, kind: AnomalyKind) -> Option<LeaderEpoch> {
    let read = record.copies.first().and_then(|copy| copy.leader_epoch);
    let sent = record.bracket.low.or(record.bracket.high);
    match kind {
        AnomalyKind::Lost | AnomalyKind::LostObserved => sent,
        AnomalyKind::TruncatedAfterDelivery
        | AnomalyKind::Duplicated
        | AnomalyKind::Reordered
        | AnomalyKind::Phantom
        | AnomalyKind::AbortedVisible
        | AnomalyKind::ConsumerSkipped
        | AnomalyKind::AckRegression => read.or(sent),
    }
}

/// Since when it is known that a delivered record of a transaction is in the log of a leader elected since, where the
/// marker that committed it may have been cut: it is not far before the end of its epoch.
fn marker_in_doubt(key: RecordKey, record: &Tracked, lane: &Lane) -> Option<Moment> {
    let is_of_transaction = key.class == CanaryClass::Transactional;
    if !is_of_transaction || record.state == State::Pending || record.shown_in >= lane.current() {
        return None;
    }
    let place = record.places(key.partition).into_iter().find(|place| Some(place.high) < lane.current())?;
    let told = lane.answers.get(&place.high)?;
    let before_the_end = told.answer.end.end_offset.get().checked_sub(place.offset.get())?;
    (before_the_end <= MARKER_WITHIN).then_some(told.at)
}

/// What is to be done with a record in question.
enum Decision {
    Wait,
    /// All is there but a sighting of the topic begun after this.
    AwaitTopicSince(Duration),
    Gone {
        epoch_answer: Option<EpochAnswer>,
        reread: Option<Reread>,
    },
}

impl Ledger {
    #[expect(clippy::too_many_arguments, reason = "the fields of the event")]
    pub(super) fn epoch_end_told(
        &mut self,
        broker: BrokerId,
        partition: PartitionId,
        asked: LeaderEpoch,
        current: LeaderEpoch,
        begun: Moment,
        end: Reading<Option<EpochEnd>>,
        log_start: Reading<Offset>,
        at: Moment,
    ) {
        // -1 proves nothing, and an end without the log start cannot tell truncated from trimmed.
        let (Reading::Read(Some(end)), Reading::Read(log_start)) = (end, log_start) else { return };
        if !self.may_count(broker, begun) {
            return;
        }
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        let answer = EpochAnswer { broker: Some(broker), asked, current, end, log_start, told_at: at.wall };
        lane.keep(Told { answer, begun, at });
        let concerned: Vec<RecordKey> =
            lane.pending.iter().map(|(_, key)| *key).chain(lane.unchecked.iter().copied()).collect();
        for key in concerned {
            self.weigh(key, at);
        }
    }

    /// Holds a record against all answers at hand.
    pub(super) fn weigh(&mut self, key: RecordKey, at: Moment) {
        let (Some(record), Some(lane)) = (self.records.get_mut(&key), self.lanes.get_mut(&key.partition)) else {
            return;
        };
        let places = record.places(key.partition);
        let mut proof: Option<(Place, Told, Says)> = None;
        let (mut hinted, mut expired) = (None, 0_usize);
        for place in &places {
            let mut is_expired = false;
            for told in lane.answers.values() {
                match proof::says(told, *place) {
                    Says::Nothing => {}
                    Says::Expired => is_expired = true,
                    Says::PerhapsOverwritten => hinted = Some(*place),
                    says @ (Says::BeyondTheEnd | Says::OfAnEarlierTerm) => {
                        // The earliest proof stands: a repeated answer does not put off what waits for it.
                        if proof.is_none_or(|(_, first, _)| told.at.mono < first.at.mono) {
                            proof = Some((*place, *told, says));
                        }
                    }
                }
            }
            expired += usize::from(is_expired);
        }
        if expired > 0 && expired == places.len() {
            self.expire(key, at);
            return;
        }
        let is_answered = places.iter().all(|place| place.epochs_to_ask().all(|e| lane.is_answered(e, place.since)));
        let mut marker = None;
        if is_answered && proof.is_none() {
            lane.unchecked.remove(&key);
            marker = marker_in_doubt(key, record, lane);
        }
        // Of a delivered record only a proof is of interest: its bracket is exact, or it is watched no closer.
        let hinted = hinted.filter(|_| record.state == State::Pending);
        if proof.is_none() && hinted.is_none() && marker.is_none() && record.inquiry.is_none() {
            return;
        }
        let inquiry = record.inquiry.get_or_insert_with(|| Box::new(Inquiry::default()));
        let proven_before = inquiry.proof.is_some_and(|(told, _)| {
            proof.is_some_and(|(_, now, _)| {
                now.answer.asked == told.answer.asked && now.answer.current == told.answer.current
            })
        }) && inquiry.place == proof.map(|(place, _, _)| place);
        if !proven_before {
            inquiry.proof = proof.map(|(_, told, says)| (told, says));
            inquiry.failed = 0;
        }
        inquiry.hinted = hinted.is_some();
        inquiry.marker = marker.or(inquiry.marker.filter(|_| !is_answered));
        inquiry.place = proof.map(|(place, _, _)| place).or(hinted).or(places.first().copied());
        self.inquiries.insert(key);
        self.judge(key, at);
    }

    /// The log start passed the place.
    fn expire(&mut self, key: RecordKey, at: Moment) {
        let Some(record) = self.records.get(&key) else { return };
        if record.state == State::Pending {
            self.settle(key, State::Expired, at);
        } else {
            // It was delivered and then trimmed: nothing can be proven of it any more, and nothing is wrong.
            self.unwatch(key);
        }
    }

    pub(super) fn reread_told(
        &mut self,
        (isolation, partition): (Isolation, PartitionId),
        offset: Offset,
        begun: Moment,
        outcome: &Reread,
        at: Moment,
    ) {
        if !self.is_of_this_life(begun) {
            return;
        }
        let concerned: Vec<RecordKey> = self
            .inquiries
            .iter()
            .filter(|key| key.partition == partition && Isolation::of(key.class) == isolation)
            .filter(|key| self.is_answered_by(**key, offset, outcome))
            .copied()
            .collect();
        for key in concerned {
            self.note_reread(key, begun, outcome, at);
        }
        self.note_look((isolation, partition), offset, begun, outcome, at);
    }

    /// A re-read answers for its own offset, and, where it met the end or a gap, for all offsets it thereby knows.
    fn is_answered_by(&self, key: RecordKey, offset: Offset, outcome: &Reread) -> bool {
        let Some(asked) = self.records.get(&key).and_then(reread_offset) else { return false };
        match outcome {
            Reread::AtEnd { high_watermark } => asked >= offset && (asked == offset || asked >= *high_watermark),
            Reread::Beyond { next, .. } => asked == offset || (asked > offset && asked < *next),
            Reread::Found { .. } | Reread::Other(_) | Reread::BelowLogStart { .. } | Reread::Failed { .. } => {
                asked == offset
            }
        }
    }

    fn note_reread(&mut self, key: RecordKey, begun: Moment, outcome: &Reread, at: Moment) {
        let topic_id = self.topic_id;
        let Some(record) = self.records.get_mut(&key) else { return };
        let asked = reread_offset(record);
        let Some(inquiry) = record.inquiry.as_mut() else { return };
        match outcome {
            Reread::Found { record: found, leader_epoch } if found.key == key && found.lineage == self.lineage => {
                let Some(offset) = asked else { return };
                self.found(key, Copy { partition: key.partition, offset, leader_epoch: *leader_epoch }, at);
                return;
            }
            // Of another life of the topic: who served it may serve the former one still.
            Reread::Found { record: found, .. } if topic_id.is_some_and(|id| id != found.topic_id) => {
                inquiry.note_failure(begun);
            }
            Reread::Failed { .. } => inquiry.note_failure(begun),
            // Trimmed: whether it was committed is no question any more.
            Reread::BelowLogStart { .. } if inquiry.is_of_marker() => {
                record.inquiry = None;
                self.inquiries.remove(&key);
                return;
            }
            // Trimmed since the answers; but who says so may be a replaced leader. The present one is asked again.
            Reread::BelowLogStart { .. } => {
                inquiry.proof = None;
                record.vetoed = Some(When::from(at));
            }
            Reread::Found { .. } | Reread::Other(_) | Reread::Beyond { .. } | Reread::AtEnd { .. } => {
                inquiry.reread = Some((outcome.clone(), begun, at));
            }
        }
        self.judge(key, at);
    }

    /// A fresh connection found the record: no loss. Where our reader had passed it, it was our reader that skipped it.
    fn found(&mut self, key: RecordKey, copy: Copy, at: Moment) {
        let has_passed = self.has_passed(Isolation::of(key.class), copy);
        let current = self.lanes.get(&key.partition).and_then(Lane::current);
        let Some(record) = self.records.get_mut(&key) else { return };
        record.shown_in = current;
        if record.inquiry.as_ref().is_some_and(|inquiry| inquiry.is_of_marker()) {
            // It stood, and is committed.
            record.inquiry = None;
            self.inquiries.remove(&key);
            return;
        }
        let passed = record.inquiry.take().and_then(|inquiry| inquiry.passed).filter(|_| has_passed);
        record.vetoed = Some(When::from(at));
        self.inquiries.remove(&key);
        if let Some(known) = record.copies.iter_mut().find(|c| c.partition == copy.partition && c.offset == copy.offset)
        {
            known.leader_epoch = known.leader_epoch.max(copy.leader_epoch);
            self.dirty.records.insert(key);
            self.index(key, at);
            return;
        }
        let Some(passed) = passed.filter(|_| record.state == State::Pending) else {
            // The reader will come to it itself; where it does not, it is asked for again.
            self.pass(key, at);
            return;
        };
        let took = record.sent.until(passed);
        self.skipped(key, copy, took, at);
    }

    /// True when our reader is beyond it in the log that has it. Epochs never fall in a log: a reader that has met none as late is
    /// still in the one that a truncation ended.
    pub(super) fn has_passed(&self, isolation: Isolation, copy: Copy) -> bool {
        let position = self.lanes.get(&copy.partition).map(|lane| lane.position(isolation));
        position
            .is_some_and(|position| position.frontier > Some(copy.offset) && position.read_epoch >= copy.leader_epoch)
    }

    /// Our own reader passed a record that a fresh connection found: it would have been received after `took`.
    pub(super) fn skipped(&mut self, key: RecordKey, copy: Copy, took: Duration, at: Moment) {
        let Some(record) = self.records.get_mut(&key) else { return };
        let is_on_time = took <= self.options.deliver_within;
        record.copies.push(copy);
        record.received = Some(When::from(at));
        record.on_time = Some(is_on_time);
        self.consumer_skipped += 1;
        self.settle(key, if is_on_time { State::Delivered } else { State::Late }, at);
        let skipped = Loss::seen(key, copy.offset);
        self.state_anomaly(AnomalyKind::ConsumerSkipped, &skipped, copy.leader_epoch, at);
    }

    /// Reads by name cannot tell a topic from its successor: a round begun since then in which its id was seen does.
    pub(super) fn is_confirmed_since(&self, since: Duration) -> bool {
        self.topic_seen.min(self.round_seen).is_some_and(|seen| seen >= since)
    }

    pub(super) fn judge_all(&mut self, at: Moment) {
        let waiting: Vec<RecordKey> = self.inquiries.iter().copied().collect();
        for key in waiting {
            self.judge(key, at);
        }
        self.judge_searches(at);
    }

    /// States a loss where everything that it takes is there.
    pub(super) fn judge(&mut self, key: RecordKey, at: Moment) {
        let (epoch_answer, reread) = match self.decide(key) {
            Decision::Wait => {
                if let Some(inquiry) = self.records.get_mut(&key).and_then(|record| record.inquiry.as_mut()) {
                    inquiry.awaits_topic_since = None;
                }
                return;
            }
            Decision::AwaitTopicSince(since) => {
                if let Some(inquiry) = self.records.get_mut(&key).and_then(|record| record.inquiry.as_mut()) {
                    inquiry.awaits_topic_since = Some(since);
                }
                return;
            }
            Decision::Gone { epoch_answer, reread } => (epoch_answer, reread),
        };
        let Some(record) = self.records.get_mut(&key) else { return };
        let Some(offset) = reread_offset(record) else { return };
        let loss = Loss { epoch_answer, reread, ..Loss::seen(key, offset) };
        if record.state == State::Pending {
            let epoch = written_in(record, AnomalyKind::Lost);
            self.settle(key, State::Lost, at);
            self.state_anomaly(AnomalyKind::Lost, &loss, epoch, at);
            return;
        }
        record.gone.push(offset);
        record.inquiry = None;
        self.inquiries.remove(&key);
        if self.records.get(&key).is_some_and(|record| record.standing(key.partition).next().is_some()) {
            // Another copy stands, and is watched on.
            return;
        }
        let epoch = self.records.get(&key).and_then(|record| written_in(record, AnomalyKind::TruncatedAfterDelivery));
        self.settle(key, State::TruncatedAfterDelivery, at);
        self.state_anomaly(AnomalyKind::TruncatedAfterDelivery, &loss, epoch, at);
    }

    fn decide(&self, key: RecordKey) -> Decision {
        let (Some(record), Some(lane)) = (self.records.get(&key), self.lanes.get(&key.partition)) else {
            return Decision::Wait;
        };
        let Some(inquiry) = record.inquiry.as_ref() else { return Decision::Wait };
        let after = |since: Moment, epoch_answer: Option<EpochAnswer>, reread: Option<Reread>| {
            if self.is_confirmed_since(since.mono) {
                Decision::Gone { epoch_answer, reread }
            } else {
                Decision::AwaitTopicSince(since.mono)
            }
        };
        // Who served the read may have been in a new life of the topic already, and whoever answers now in the former one.
        if let Some(young) = self.young.get(&key).filter(|_| record.state != State::Pending) {
            return Decision::AwaitTopicSince(young.read);
        }
        // Read in an older term than was sighted before it was sent: by a replaced leader, or by one that already is in
        // another life of the topic. As long as one of them is silent, nobody knows which.
        let is_of_older_term = inquiry.place.is_some_and(|place| Some(place.high) < record.bracket.low);
        let is_known = |told: &Told| !is_of_older_term || lane.leaders.all_answered_since(told.at);
        // The broker that answered named our topic before. If it does so after, it was never in another life between.
        let by_answer =
            |told: &Told, reread: Option<Reread>| match told.answer.broker.and_then(|broker| self.named.get(&broker)) {
                Some(named) if Some(named.id) != self.topic_id => Decision::Wait,
                Some(named) if named.begun.mono >= told.at.mono && self.is_undisputed() && is_known(told) => {
                    Decision::Gone { epoch_answer: Some(told.answer), reread }
                }
                Some(_) => Decision::AwaitTopicSince(told.at.mono),
                None => after(told.at, Some(told.answer), reread),
            };
        // A replaced leader that does not know it appends in an older term than was sighted before the send: what stands at
        // the place of an acknowledgement has to be shown in the log in question itself, below.
        let is_exact = |says: Says| says == Says::BeyondTheEnd || record.state != State::Pending;
        // Another leader was elected since the proof: it is asked before a loss is stated.
        let standing = inquiry
            .proof
            .as_ref()
            .filter(|(told, says)| Some(told.answer.current) >= lane.current() && is_exact(*says));
        if let Some((told, says)) = standing {
            let told_reread = inquiry.reread.as_ref().filter(|(_, begun, _)| begun.mono >= told.at.mono);
            let is_borne_out = told_reread.is_some_and(|(reread, _, _)| match reread {
                Reread::Found { .. } | Reread::Other(_) | Reread::Beyond { .. } => true,
                Reread::AtEnd { high_watermark } => {
                    *says == Says::BeyondTheEnd && inquiry.place.is_some_and(|place| place.offset >= *high_watermark)
                }
                Reread::BelowLogStart { .. } | Reread::Failed { .. } => false,
            });
            if is_borne_out {
                return by_answer(told, told_reread.map(|(reread, _, _)| reread.clone()));
            }
            if *says == Says::BeyondTheEnd && inquiry.failed >= REREADS_FAILED {
                // Nothing can be fetched there: the leader's own word on its log has to do, and it does.
                let why = "no re-read was answered".to_owned();
                return by_answer(told, Some(Reread::Failed { why }));
            }
        }
        if let Some(marker) = inquiry.marker.filter(|_| record.state != State::Pending) {
            // The record is in the log, the next one is shown to readers of committed records, and it is not: whatever
            // ended its transaction there did not commit it.
            let (Some(place), Some((reread, begun, at))) = (inquiry.place, inquiry.reread.as_ref()) else {
                return Decision::Wait;
            };
            let is_uncommitted = match reread {
                Reread::Beyond { next, leader_epoch: Some(epoch) } => lane.is_of_term(*next, *epoch, place.high),
                Reread::Beyond { leader_epoch: None, .. }
                | Reread::Found { .. }
                | Reread::Other(_)
                | Reread::AtEnd { .. }
                | Reread::BelowLogStart { .. }
                | Reread::Failed { .. } => false,
            };
            let told = lane.answers.get(&place.high).filter(|told| Some(told.answer.current) >= lane.current());
            return match told {
                Some(told) if is_uncommitted && begun.mono >= marker.mono => {
                    after(*at, Some(told.answer), Some(reread.clone()))
                }
                Some(_) | None => Decision::Wait,
            };
        }
        if record.state != State::Pending {
            return Decision::Wait;
        }
        let (Some(offset), Some(high), Some((reread, begun, at))) =
            (record.offset, record.bracket.high, inquiry.reread.as_ref())
        else {
            return Decision::Wait;
        };
        if !record.acked.is_some_and(|acked| acked.is_before(*begun)) {
            return Decision::Wait;
        }
        // A leader that was replaced may still answer out of its old log. What it shows counts if the record there is
        // of a term not below the ack's, if the present leader's epochs cover it, or if no such leader is left.
        let all_know = || lane.leaders.settled_since(high).is_some_and(|since| since <= begun.mono);
        let (is_by_term, may_count) = match reread {
            Reread::Found { leader_epoch: Some(epoch), .. } => (lane.is_of_term(offset, *epoch, high), true),
            // Two logs that agree on a record agree on all before it: also on there being none at the offset.
            Reread::Beyond { next, leader_epoch: Some(epoch) } => (lane.is_of_term(*next, *epoch, high), true),
            Reread::Found { leader_epoch: None, .. } | Reread::Other(_) | Reread::Beyond { leader_epoch: None, .. } => {
                (false, true)
            }
            Reread::AtEnd { .. } | Reread::BelowLogStart { .. } | Reread::Failed { .. } => (false, false),
        };
        let counts = is_by_term || (may_count && all_know());
        if !counts {
            return Decision::Wait;
        }
        let bearing = Place::of_ack(record.offset, record.bracket, record.acked)
            .and_then(|place| lane.answers.values().find(|told| proof::says(told, place) != Says::Nothing))
            .or_else(|| lane.answers.values().next_back());
        if !is_by_term && !lane.leaders.all_answered_since(*at) {
            return Decision::AwaitTopicSince(at.mono);
        }
        after(*at, bearing.map(|told| told.answer), Some(reread.clone()))
    }

    /// Adds a record to its anomaly.
    pub(super) fn state_anomaly(&mut self, kind: AnomalyKind, loss: &Loss, epoch: Option<LeaderEpoch>, at: Moment) {
        let key = loss.key;
        let Some(record) = self.records.get(&key) else { return };
        let epoch = epoch.or_else(|| written_in(record, kind));
        let id = AnomalyKey {
            kind,
            class: key.class,
            partition: key.partition,
            topic_id: self.topic_id,
            leader_epoch: epoch,
        };
        let lane = self.lanes.get(&key.partition);
        let evidence = RecordEvidence {
            key,
            offset: loss.offset,
            sent_at: record.sent.wall,
            acked_at: record.acked.map(|when| when.wall),
            broker: record.broker,
            bracket: record.bracket,
            leader: lane.and_then(|lane| lane.leaders.current()).and_then(|(_, leader)| leader),
            epoch_answer: loss.epoch_answer,
            reread: loss.reread.clone(),
            read_at: record.copies.iter().map(|copy| copy.offset).collect(),
            isolation: Isolation::of(key.class),
            copies: record.copies.clone(),
            beside: loss.beside,
            searched: loss.searched,
        };
        let log_end = lane.and_then(Lane::log_end);
        self.anomalies.entry(id).or_insert_with(|| Anomaly::new(id, at.wall)).add(evidence, log_end, at.wall);
        self.dirty.anomalies.insert(id);
        self.dirty.removed_anomalies.remove(&id);
        if self.anomalies.len() > ANOMALIES_KEPT {
            let oldest = self.anomalies.values().min_by_key(|anomaly| (anomaly.last_at, anomaly.key)).map(|a| a.key);
            if let Some(oldest) = oldest {
                self.anomalies.remove(&oldest);
                self.dirty.anomalies.remove(&oldest);
                self.dirty.removed_anomalies.insert(oldest);
            }
        }
    }
}

/// The offset in question.
pub(super) fn reread_offset(record: &Tracked) -> Option<Offset> {
    let inquiry = record.inquiry.as_ref()?;
    inquiry.place.map(|place| place.offset).or(record.offset)
}
