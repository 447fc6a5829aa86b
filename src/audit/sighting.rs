//! What the metadata says: the topic's id, and who leads in which epoch.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ledger::{Ledger, Named};
use super::record::{Isolation, RecordKey};
use super::state::State;
use crate::model::{BrokerId, EpochSighting, Moment, PartitionId, TopicId};

/// A broker that did not answer in so many rounds, nor within the grace, is not waited for.
const ROUNDS_COMPARED: usize = 2;

impl Ledger {
    pub(super) fn topic_sighted(&mut self, topic_id: TopicId, begun: Moment, at: Moment) {
        match self.topic_id {
            None => self.begin_life(topic_id, begun, at),
            Some(own) if own == topic_id => {
                self.topic_seen = self.topic_seen.max(Some(begun.mono));
                self.topic_doubt = None;
                self.judge_all(at);
            }
            Some(_) if self.former_topics.contains(&topic_id) => {}
            // One broker may lag, or be the first to know: the next round of sightings tells.
            Some(_) => self.topic_doubt = Some((topic_id, begun)),
        }
    }

    /// From now on the topic has this id.
    fn begin_life(&mut self, topic_id: TopicId, begun: Moment, at: Moment) {
        self.topic_id = Some(topic_id);
        self.topic_seen = Some(begun.mono);
        self.topic_doubt = None;
        // What was asked before we knew may have been answered for the former life.
        self.topic_since = Some(at.mono);
        self.dirty.topic = true;
        // What was sent before the first sighting may be of any life of the topic, too.
        self.start_over(at);
    }

    /// Finds out whether the topic was re-created. Each broker learns of lives in their order, but not at the same time:
    /// an id is a former one once a broker that named it names another, and it is gone where no broker names it.
    fn note_lives(&mut self, sightings: &[EpochSighting], at: Moment) {
        let named: Vec<(BrokerId, TopicId, Moment)> =
            sightings.iter().filter_map(|seen| Some((seen.broker, seen.topic_id?, seen.begun))).collect();
        for (broker, id, begun) in &named {
            match self.named.get_mut(broker) {
                Some(last) if last.begun.mono > begun.mono => {}
                Some(last) if last.id == *id => last.begun = *begun,
                Some(last) => {
                    if self.former_topics.insert(last.id) {
                        self.dirty.former_topics.insert(last.id);
                    }
                    *last = Named { id: *id, begun: *begun, told: at };
                }
                None => {
                    self.named.insert(*broker, Named { id: *id, begun: *begun, told: at });
                }
            }
        }
        let Some(own) = self.topic_id else { return };
        let is_former = self.former_topics.contains(&own);
        // A broker that is silent now has not moved on because of that.
        let is_named = self.named.values().any(|named| named.id == own);
        let other = named.iter().find(|(_, id, _)| *id != own && !self.former_topics.contains(id));
        match (other, self.topic_doubt) {
            (Some((_, id, begun)), _) if is_former || !is_named => self.begin_life(*id, *begun, at),
            // Brokers that do not tell ids leave only the word of the one that did.
            (None, Some((id, begun))) if named.is_empty() && !sightings.is_empty() => self.begin_life(id, begun, at),
            (Some(_) | None, _) => {}
        }
    }

    /// The topic was re-created: what was pending in the former one cannot be read any more.
    fn start_over(&mut self, at: Moment) {
        let open: Vec<RecordKey> = self.open.values().copied().collect();
        for key in open {
            let Some(record) = self.records.get_mut(&key) else { continue };
            match record.state {
                State::Pending => self.settle(key, State::Expired, at),
                State::IndeterminatePending => self.settle(key, State::IndeterminateExpired, at),
                State::Sent
                | State::Delivered
                | State::Late
                | State::Lost
                | State::TruncatedAfterDelivery
                | State::Expired
                | State::Untracked
                | State::Aborted
                | State::AbortedVisible
                | State::Rejected
                | State::Phantom
                | State::IndeterminateDelivered
                | State::IndeterminateAbsent
                | State::IndeterminateExpired => {
                    // Its ack may come out of either topic.
                    record.of_former_topic = true;
                    self.dirty.records.insert(key);
                }
            }
        }
        // What was delivered is no longer watched: its offsets mean nothing in this log.
        for (key, record) in &mut self.records {
            if matches!(record.state, State::Delivered | State::Late) && !record.of_former_topic {
                record.of_former_topic = true;
                self.dirty.records.insert(*key);
            }
        }
        self.drop_inquiries();
        // Terms of this life bound nothing of the former one.
        self.unbounded.clear();
        for (partition, lane) in &mut self.lanes {
            let read = Isolation::ALL.into_iter().filter(|isolation| lane.position(*isolation).frontier.is_some());
            self.dirty.partitions.extend(read.map(|isolation| (isolation, *partition)));
            lane.start_over();
        }
    }

    pub(super) fn epochs_sighted(&mut self, sightings: &[EpochSighting], at: Moment) {
        self.note_lives(sightings, at);
        self.hear(sightings);
        // Of another life of the topic, epochs say nothing of this one.
        let round: Vec<&EpochSighting> = sightings
            .iter()
            .filter(|seen| match seen.topic_id {
                Some(id) => self.topic_id.is_none_or(|own| own == id),
                None => self.topic_since.is_none_or(|since| seen.begun.mono >= since),
            })
            .collect();
        self.confirm_topic(sightings, at);
        self.confirm_young(at);
        let partitions: BTreeSet<PartitionId> =
            round.iter().flat_map(|sighting| sighting.partitions.keys().copied()).collect();
        for partition in &partitions {
            let lane = self.lanes.entry(*partition).or_default();
            lane.leaders.know(&self.heard);
            if lane.leaders.note(*partition, &round, at) {
                lane.ask = super::lane::Ask::default();
                let current = lane.current();
                let records = &self.records;
                lane.unchecked = lane
                    .delivered
                    .iter()
                    .filter(|key| {
                        let places = records.get(key).map(|record| record.places(*partition)).unwrap_or_default();
                        places.iter().any(|place| Some(place.high) < current)
                    })
                    .copied()
                    .collect();
            }
        }
        self.bound(&partitions, at);
        self.judge_all(at);
    }

    /// The brokers that answered lately.
    fn answering(&self) -> impl Iterator<Item = &BrokerId> {
        self.rounds.iter().flat_map(|(_, brokers)| brokers)
    }

    /// True when no broker that answers was still in a former life of the topic at `begun`: it would have answered for
    /// that one.
    pub(super) fn is_of_this_life(&self, begun: Moment) -> bool {
        let is_past = self.topic_since.is_none_or(|since| begun.mono >= since);
        let is_agreed = self.answering().filter_map(|broker| self.named.get(broker)).all(|named| {
            // Without a former life it does not matter since when they agree.
            Some(named.id) == self.topic_id && (named.told.mono <= begun.mono || self.former_topics.is_empty())
        });
        is_past && is_agreed
    }

    /// True when an answer of this broker can be about our topic: it had named our id before it was asked. Where it never
    /// names one, nobody who answers may be in another life.
    pub(super) fn may_count(&mut self, broker: BrokerId, begun: Moment) -> bool {
        let is_past = self.topic_since.is_none_or(|since| begun.mono >= since);
        match self.named.get(&broker) {
            Some(named) => is_past && Some(named.id) == self.topic_id && named.told.mono <= begun.mono,
            None if self.heard.contains(&broker) => self.is_of_this_life(begun),
            None => {
                self.unheard.insert(broker);
                false
            }
        }
    }

    /// True when no broker, silent by now or not, named another id last that is no former one: it may be right, and have
    /// acknowledged what nobody else has.
    pub(super) fn is_undisputed(&self) -> bool {
        let own = self.topic_id;
        self.named.values().all(|named| Some(named.id) == own || self.former_topics.contains(&named.id))
    }

    /// True when every broker, silent by now or not, named our topic last: none can serve a former life of it.
    pub(super) fn is_of_one_life(&self) -> bool {
        !self.heard.is_empty() && self.named.values().all(|named| Some(named.id) == self.topic_id)
    }

    /// What was read at low offsets is of our topic once every broker, silent by now or not, named it in an answer to a
    /// question put after the read.
    fn confirm_young(&mut self, at: Moment) {
        let own = self.topic_id;
        let is_of_ours = |since| self.named.values().all(|named| Some(named.id) == own && named.begun.mono >= since);
        let confirmed: Vec<RecordKey> =
            self.young.iter().filter(|(_, young)| is_of_ours(young.read)).map(|(key, _)| *key).collect();
        for key in confirmed {
            let Some(young) = self.young.remove(&key).filter(|young| Some(young.topic_id) == own) else { continue };
            if let Some(record) = self.records.get_mut(&key) {
                record.read_of = Some(young.topic_id);
                self.dirty.records.insert(key);
                // One that was read by an earlier process, too, is watched from now on.
                self.index(key, at);
            }
        }
    }

    /// Who was asked before it was sighted is asked again once it is.
    fn hear(&mut self, sightings: &[EpochSighting]) {
        let was_waited_for = sightings.iter().any(|seen| self.unheard.contains(&seen.broker));
        self.heard.extend(sightings.iter().map(|seen| seen.broker));
        if was_waited_for {
            self.lanes.values_mut().for_each(|lane| lane.ask = super::lane::Ask::default());
        }
        // One that is not met again is not waited for: its answers are no longer asked for either.
        self.unheard.clear();
    }

    /// Reads by name cannot tell a topic from its successor. They were about this topic if a round begun after them
    /// reached every broker that had been answering, and all of them still name its id.
    fn confirm_topic(&mut self, sightings: &[EpochSighting], at: Moment) {
        let brokers: BTreeSet<BrokerId> = sightings.iter().map(|seen| seen.broker).collect();
        let is_same = sightings.iter().all(|seen| seen.topic_id.is_none() || seen.topic_id == self.topic_id);
        let own = self.topic_id;
        let is_whole = self.answering().all(|broker| brokers.contains(broker));
        let begun = sightings.iter().map(|seen| seen.begun).min_by_key(|begun| begun.mono);
        if let Some(begun) = begun.filter(|_| is_same && is_whole && self.is_undisputed() && own.is_some())
            && self.round_seen < Some(begun.mono)
        {
            self.round_seen = Some(begun.mono);
            self.confirmed_at = Some(begun.wall);
            let read = |isolation: Isolation| {
                let lanes = self.lanes.iter().filter(move |(_, lane)| lane.position(isolation).frontier.is_some());
                lanes.map(move |(partition, _)| (isolation, *partition))
            };
            self.dirty.partitions.extend(Isolation::ALL.into_iter().flat_map(read));
        }
        if !brokers.is_empty() {
            self.rounds.push_back((at.mono, brokers));
        }
        let is_old = |round: &(Duration, BTreeSet<BrokerId>)| at.mono.saturating_sub(round.0) > self.options.grace;
        while self.rounds.len() > ROUNDS_COMPARED && self.rounds.front().is_some_and(is_old) {
            self.rounds.pop_front();
        }
    }

    /// Bounds the epochs of acknowledgements by what was sighted after them.
    fn bound(&mut self, partitions: &BTreeSet<PartitionId>, at: Moment) {
        let open: Vec<RecordKey> =
            self.unbounded.iter().filter(|key| partitions.contains(&key.partition)).copied().collect();
        let is_undisputed = self.is_undisputed();
        for key in open {
            let (Some(record), Some(lane)) = (self.records.get_mut(&key), self.lanes.get(&key.partition)) else {
                self.unbounded.remove(&key);
                continue;
            };
            // Nobody knows who acknowledged it: perhaps one that is in another life of the topic, of other epochs.
            if record.broker.is_none() && !is_undisputed {
                continue;
            }
            let Some(acked) = record.acked else { continue };
            let high = lane.leaders.highest_epoch_of(acked, record.broker, self.options.grace);
            if high.is_some() {
                record.bracket.high = high;
                self.dirty.records.insert(key);
                self.index(key, at);
                self.weigh(key, at);
                self.judge(key, at);
            }
        }
        for partition in partitions {
            self.weigh_contradictions(*partition, at);
            self.let_older_terms_be_absent(*partition, at);
        }
    }
}
