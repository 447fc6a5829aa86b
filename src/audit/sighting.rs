//! What the metadata says: the topic's id, and who leads in which epoch.

use super::ledger::Ledger;
use super::record::RecordKey;
use super::state::State;
use crate::model::{EpochSighting, Moment, PartitionId, TopicId};

impl Ledger {
    pub(super) fn topic_sighted(&mut self, topic_id: TopicId, begun: Moment, at: Moment) {
        // An id never comes back: a broker that still names a former one lags behind.
        if self.former_topics.contains(&topic_id) {
            return;
        }
        if self.topic_id == Some(topic_id) {
            self.topic_seen = self.topic_seen.max(Some(begun.mono));
            self.judge_all(at);
            return;
        }
        let former = self.topic_id.replace(topic_id);
        self.topic_seen = Some(begun.mono);
        self.dirty.topic = true;
        if let Some(former) = former {
            self.former_topics.insert(former);
            self.topic_since = Some(begun.mono);
            self.start_over(at);
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
        let delivered: Vec<RecordKey> = self.lanes.values().flat_map(|lane| lane.delivered.iter().copied()).collect();
        for key in delivered {
            if let Some(record) = self.records.get_mut(&key) {
                record.of_former_topic = true;
                self.dirty.records.insert(key);
            }
        }
        self.drop_inquiries();
        let partitions: Vec<PartitionId> = self.lanes.keys().copied().collect();
        self.lanes.values_mut().for_each(super::lane::Lane::start_over);
        self.dirty.partitions.extend(partitions);
    }

    pub(super) fn epochs_sighted(&mut self, sightings: &[EpochSighting], at: Moment) {
        let round: Vec<&EpochSighting> = sightings
            .iter()
            .filter(|sighting| self.topic_since.is_none_or(|since| sighting.begun.mono >= since))
            .collect();
        let partitions: std::collections::BTreeSet<PartitionId> =
            round.iter().flat_map(|sighting| sighting.partitions.keys().copied()).collect();
        for partition in &partitions {
            let lane = self.lanes.entry(*partition).or_default();
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
    }

    /// Bounds the epochs of acknowledgements by what was sighted after them.
    fn bound(&mut self, partitions: &std::collections::BTreeSet<PartitionId>, at: Moment) {
        let open: Vec<RecordKey> =
            self.unbounded.iter().filter(|key| partitions.contains(&key.partition)).copied().collect();
        for key in open {
            let (Some(record), Some(lane)) = (self.records.get_mut(&key), self.lanes.get(&key.partition)) else {
                self.unbounded.remove(&key);
                continue;
            };
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
            self.let_older_terms_be_absent(*partition, at);
        }
    }
}
