//! What the ledger has to know before it can state a verdict.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::{Question, Reread};
use super::judge::reread_offset;
use super::lane::{Ask, Lane};
use super::ledger::Ledger;
use super::record::{Isolation, RecordKey};
use super::state::State;
use super::when::Backoff;
use crate::model::{LeaderEpoch, Moment, Offset, PartitionId};

/// So many epochs are asked for at once, the latest.
const EPOCHS_AT_ONCE: usize = 64;

/// So many re-reads are asked for at once: those of one partition share a fresh connection.
const REREADS_AT_ONCE: usize = 256;

/// An ack is left alone for so long before its epoch is worth a round of sightings: most are read by then.
const UNBOUNDED_FOR: Duration = Duration::from_secs(1);

impl Ledger {
    /// What to ask the cluster now. A question is repeated with backoff (1 s to 10 s) until its answer decides.
    pub fn questions(&mut self, at: Moment) -> Vec<Question> {
        self.let_windows_end(at);
        let mut questions = Vec::new();
        let partitions: Vec<PartitionId> = self.lanes.keys().copied().collect();
        for partition in partitions {
            questions.extend(self.epoch_question(partition, at));
        }
        questions.extend(self.reread_questions(at));
        questions.extend(self.search_questions(at));
        questions
    }

    /// True when a verdict waits for fresh `TopicSighted` and `EpochsSighted` events: begin a metadata read of the
    /// canary topic on every broker.
    #[must_use]
    pub fn wants_sighting(&self, at: Moment) -> bool {
        let awaits_topic = self.inquiries.iter().any(|key| {
            let record = self.records.get(key);
            record.and_then(|record| record.inquiry.as_ref()).is_some_and(|i| i.awaits_topic_since.is_some())
        });
        let search_awaits_topic = self.searching.iter().any(|key| {
            let search = self.records.get(key).and_then(|record| record.search.as_ref());
            search.is_some_and(|search| search.awaits_topic_since.is_some())
        });
        awaits_topic
            || search_awaits_topic
            || !self.unheard.is_empty()
            || self.unbounded.iter().any(|key| {
                self.records.get(key).is_some_and(|record| {
                    record.state == State::Pending && record.acked.is_some_and(|acked| acked.until(at) >= UNBOUNDED_FOR)
                })
            })
    }

    fn epoch_question(&mut self, partition: PartitionId, at: Moment) -> Option<Question> {
        let lane = self.lanes.get(&partition)?;
        let current = lane.current()?;
        let mut wanted: BTreeSet<LeaderEpoch> = BTreeSet::new();
        for (_, key) in &lane.pending {
            self.want_epochs_of_pending(key, lane, current, at, &mut wanted);
        }
        self.want_epochs_of_unseen(lane, at, &mut wanted);
        let mut answered = Vec::new();
        for key in &lane.unchecked {
            let places = self.records.get(key).map(|record| record.places(partition)).unwrap_or_default();
            let open = places.iter().filter(|place| place.high <= current);
            let missing: Vec<LeaderEpoch> = open
                .flat_map(|place| place.epochs_to_ask().map(move |epoch| (epoch, place.since)))
                .filter(|(epoch, since)| !lane.is_answered(*epoch, *since))
                .map(|(epoch, _)| epoch)
                .collect();
            if missing.is_empty() {
                answered.push(*key);
            }
            wanted.extend(missing);
        }
        for key in answered {
            self.weigh(key, at);
        }
        let lane = self.lanes.get_mut(&partition)?;
        if wanted.is_empty() {
            lane.ask = Ask::default();
            return None;
        }
        // The leader's own epoch ends at its log end.
        wanted.insert(current);
        while wanted.len() > EPOCHS_AT_ONCE {
            wanted.pop_first();
        }
        if !wanted.is_subset(&lane.ask.last) {
            lane.ask.backoff = Backoff::default();
        } else if !lane.ask.backoff.is_due(at) {
            return None;
        }
        lane.ask.backoff.asked(at);
        lane.ask.last.clone_from(&wanted);
        Some(Question::EpochEnds { partition, epochs: wanted.into_iter().collect(), current })
    }

    fn want_epochs_of_pending(
        &self,
        key: &RecordKey,
        lane: &Lane,
        current: LeaderEpoch,
        at: Moment,
        wanted: &mut BTreeSet<LeaderEpoch>,
    ) {
        let Some(record) = self.records.get(key) else { return };
        let inquiry = record.inquiry.as_ref();
        if inquiry.and_then(|inquiry| inquiry.proof).is_some_and(|(told, _)| told.answer.current >= current) {
            return;
        }
        for place in record.places(key.partition) {
            if place.high > current {
                continue;
            }
            let is_open = place.epochs_to_ask().any(|epoch| !lane.is_answered(epoch, place.since));
            let has_moved = current > place.low && is_open;
            let is_overdue = record.sent.until(at) > self.options.deliver_within;
            let is_passed = inquiry.and_then(|i| i.passed).is_some_and(|passed| self.is_after_grace(passed, at));
            if !(has_moved || is_overdue || is_passed) {
                continue;
            }
            wanted.extend(place.epochs_to_ask());
            if let Some((
                Reread::Found { leader_epoch: Some(epoch), .. } | Reread::Beyond { leader_epoch: Some(epoch), .. },
                _,
                _,
            )) = inquiry.and_then(|i| i.reread.as_ref())
            {
                wanted.extend(epoch.with_previous());
            }
        }
    }

    fn is_after_grace(&self, passed: Moment, at: Moment) -> bool {
        at.mono.saturating_sub(passed.mono) >= self.options.grace
    }

    fn reread_questions(&mut self, at: Moment) -> Vec<Question> {
        let mut due: Vec<(bool, PartitionId, Offset, RecordKey)> = Vec::new();
        for key in &self.inquiries {
            let Some(record) = self.records.get(key) else { continue };
            let Some(inquiry) = record.inquiry.as_ref() else { continue };
            let is_suspect = inquiry.proof.is_some()
                || inquiry.hinted
                || inquiry.marker.is_some()
                || inquiry.passed.is_some_and(|passed| self.is_after_grace(passed, at));
            if is_suspect && inquiry.awaits_topic_since.is_none() && inquiry.ask.is_due(at) {
                let is_delivered = record.state != State::Pending && inquiry.proof.is_none();
                due.extend(reread_offset(record).map(|offset| (is_delivered, key.partition, offset, *key)));
            }
        }
        // What is missing before what was delivered; the lowest first: where it lies beyond the end, so do all others.
        due.sort_unstable();
        due.truncate(REREADS_AT_ONCE);
        let mut questions: Vec<Question> = Vec::new();
        for (_, partition, offset, key) in due {
            if let Some(inquiry) = self.records.get_mut(&key).and_then(|record| record.inquiry.as_mut()) {
                inquiry.ask.asked(at);
            }
            let question = Question::Reread { isolation: Isolation::of(key.class), partition, offset };
            if questions.last() != Some(&question) {
                questions.push(question);
            }
        }
        questions
    }
}
