//! What the ledger was told, line by line. Replayed into a new ledger it leads to the same verdicts: real histories are kept
//! as tests that way, and a doubtful verdict can be looked at again.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::ledger::LedgerOptions;
use super::record::{CanaryClass, Incarnation, Lineage};
use crate::model::{Moment, PartitionId};

/// One call to the ledger, as one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalLine {
    /// When.
    pub at: Moment,
    /// What.
    pub step: Step,
}

/// One call to the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A process began, with what the one before it had on disk.
    Begun {
        /// What it judges by.
        options: LedgerOptions,
        /// The installation.
        lineage: Lineage,
        /// This start of it.
        incarnation: Incarnation,
    },
    /// Sequences were reserved.
    Reserved {
        /// The class.
        class: CanaryClass,
        /// The partition.
        partition: PartitionId,
        /// How many.
        number: u64,
    },
    /// What was reserved and not sent was given back.
    Released {
        /// The class.
        class: CanaryClass,
        /// The partition.
        partition: PartitionId,
    },
    /// Something happened.
    Happened(Event),
    /// It was asked for its questions.
    Asked,
    /// Its changes were taken to be written.
    Taken,
    /// The changes taken last are on disk.
    Kept,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::audit::{RecordKey, TransactionEnd};
    use crate::model::{BrokerId, EpochSighting, LeaderEpoch, LedPartition, Missing, Reading, TopicId};

    #[test]
    fn a_line_is_read_back_as_it_was_written() {
        let key = RecordKey {
            incarnation: Incarnation(u64::MAX),
            class: CanaryClass::Transactional,
            partition: PartitionId(3),
            sequence: 7,
        };
        let epoch = LeaderEpoch::new(4).expect("an epoch");
        let led = LedPartition { leader: Some(BrokerId(2)), leader_epoch: epoch };
        let sighting = EpochSighting {
            broker: BrokerId(1),
            begun: Moment::default(),
            topic_id: Some(TopicId([9; 16])),
            partitions: BTreeMap::from([(PartitionId(3), led)]),
        };
        let events = [
            Event::Sent(key),
            Event::TransactionEnded { records: vec![key], end: TransactionEnd::Unknown },
            Event::EpochsSighted(vec![sighting]),
            Event::EpochEndTold {
                broker: BrokerId(2),
                partition: PartitionId(3),
                asked: epoch,
                current: epoch,
                begun: Moment::default(),
                end: Reading::Read(None),
                log_start: Reading::Missing(Missing::TimedOut(BrokerId(2))),
            },
        ];
        for step in events.map(Step::Happened).into_iter().chain([Step::Asked]) {
            let line = JournalLine { at: Moment::default(), step };
            let text = serde_json::to_string(&line).expect("a line has a form");
            assert_eq!(serde_json::from_str::<JournalLine>(&text).expect("its own text"), line, "{text}");
        }
    }
}
