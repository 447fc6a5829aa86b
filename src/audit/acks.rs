//! What acknowledgements say of each other, before anything is read: a leader never acknowledges one offset twice, nor an
//! ordered sender's later record at a lower one.

use std::collections::{BTreeMap, VecDeque};

use super::anomaly::{AnomalyKind, Beside};
use super::ledger::Ledger;
use super::proof::Loss;
use super::record::{CanaryClass, Incarnation, RecordKey};
use crate::model::{LeaderEpoch, Moment, Offset, PartitionId};

/// So many acknowledgements of a partition are compared with.
const ACKS_KEPT: usize = 1_024;

/// So many contradictions wait at most for the epochs of both sides.
const CONTRADICTIONS_KEPT: usize = 256;

/// The latest acknowledgements of one partition.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// In the order they were told.
    told: VecDeque<(Offset, RecordKey)>,
    /// The latest at each offset.
    at: BTreeMap<Offset, RecordKey>,
    /// By sender and sequence, for classes that are acknowledged in order.
    ordered: BTreeMap<(Incarnation, CanaryClass), BTreeMap<u64, Offset>>,
    /// A record, and the one that had been acknowledged at or beyond its offset: an anomaly only within one term.
    contradictions: VecDeque<(RecordKey, Beside)>,
}

impl Acks {
    fn note(&mut self, key: RecordKey, offset: Offset) {
        if let Some(other) = self.at.insert(offset, key).filter(|other| *other != key) {
            self.contradict(key, Beside { key: other, offset });
        }
        self.told.push_back((offset, key));
        if is_ordered(key.class) {
            let acked = self.ordered.entry((key.incarnation, key.class)).or_default();
            acked.insert(key.sequence, offset);
            // A chain that is in order between neighbours is in order.
            let before = acked.range(..key.sequence).next_back().map(|(sequence, at)| (*sequence, *at));
            let after = acked.range(key.sequence + 1..).next().map(|(sequence, at)| (*sequence, *at));
            let beside = |(sequence, offset)| Beside { key: RecordKey { sequence, ..key }, offset };
            if let Some(before) = before.filter(|(_, at)| *at > offset) {
                self.contradict(key, beside(before));
            }
            if let Some((sequence, _)) = after.filter(|(_, at)| *at < offset) {
                self.contradict(RecordKey { sequence, ..key }, Beside { key, offset });
            }
        }
        while self.told.len() > ACKS_KEPT {
            let Some((offset, key)) = self.told.pop_front() else { return };
            if self.at.get(&offset) == Some(&key) {
                self.at.remove(&offset);
            }
            if let Some(acked) = self.ordered.get_mut(&(key.incarnation, key.class)) {
                acked.remove(&key.sequence);
            }
        }
    }

    fn contradict(&mut self, key: RecordKey, beside: Beside) {
        self.contradictions.push_back((key, beside));
        if self.contradictions.len() > CONTRADICTIONS_KEPT {
            self.contradictions.pop_front();
        }
    }
}

/// Classes whose acknowledgements are in the order of their sequences: several requests in flight without idempotence
/// may be appended in any order.
fn is_ordered(class: CanaryClass) -> bool {
    match class {
        CanaryClass::Idempotent | CanaryClass::Transactional => true,
        CanaryClass::Acks0 | CanaryClass::Acks1 | CanaryClass::All => false,
    }
}

impl Ledger {
    pub(super) fn compare_ack(&mut self, key: RecordKey, offset: Offset) {
        self.lanes.entry(key.partition).or_default().acks.note(key, offset);
    }

    /// States contradictions between acknowledgements whose terms are known by now. Across terms a lower offset is a
    /// truncation, and no anomaly of its own.
    pub(super) fn weigh_contradictions(&mut self, partition: PartitionId, at: Moment) {
        let Some(lane) = self.lanes.get_mut(&partition) else { return };
        for (key, beside) in std::mem::take(&mut lane.acks.contradictions) {
            match (self.acked_in(key), self.acked_in(beside.key)) {
                (Term::Exact(own), Term::Exact(other)) if own == other && self.is_same_broker(key, beside.key) => {
                    let Some(offset) = self.records.get(&key).and_then(|record| record.offset) else { continue };
                    let loss = Loss { beside: Some(beside), ..Loss::seen(key, offset) };
                    self.state_anomaly(AnomalyKind::AckRegression, &loss, Some(own), at);
                }
                (Term::Unknown, _) | (_, Term::Unknown) => {}
                (Term::Open, _) | (_, Term::Open) => {
                    if let Some(lane) = self.lanes.get_mut(&partition) {
                        lane.acks.contradictions.push_back((key, beside));
                    }
                }
                (Term::Exact(_), Term::Exact(_)) => {}
            }
        }
    }

    /// The epoch in which a record was acknowledged, where it can only be one.
    fn acked_in(&self, key: RecordKey) -> Term {
        let (Some(record), Some(lane)) = (self.records.get(&key), self.lanes.get(&key.partition)) else {
            return Term::Unknown;
        };
        let (Some(acked), Some(low)) = (record.acked, record.bracket.low) else { return Term::Unknown };
        // Whoever was in another life of the topic when it was sent may have acknowledged it there.
        let named = record.broker.and_then(|broker| self.named.get(&broker));
        let is_of_this_life = named.is_some_and(|named| {
            Some(named.id) == self.topic_id && record.sent.mono.is_some_and(|sent| named.told.mono <= sent)
        });
        if !is_of_this_life || record.of_former_topic {
            return Term::Unknown;
        }
        let high =
            record.bracket.high.or_else(|| lane.leaders.highest_epoch_of(acked, record.broker, self.options.grace));
        match high {
            None => Term::Open,
            Some(high) if high == low => Term::Exact(low),
            Some(_) => Term::Unknown,
        }
    }

    /// A replaced leader that does not know it acknowledges in an older term than anybody names: two brokers that
    /// contradict each other are no anomaly.
    fn is_same_broker(&self, key: RecordKey, other: RecordKey) -> bool {
        let broker = |key: RecordKey| self.records.get(&key).and_then(|record| record.broker);
        broker(key).is_some() && broker(key) == broker(other)
    }
}

enum Term {
    /// Just this.
    Exact(LeaderEpoch),
    /// Not known yet.
    Open,
    /// Never to be known.
    Unknown,
}
