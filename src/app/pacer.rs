//! Sends canary records at their rate, and only sequences that are reserved on disk.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::audit::{CanaryClass, CanaryRecord, Incarnation, Lineage, RecordKey};
use crate::canary::{Canary, SendRefused};
use crate::clock::Clock;
use crate::model::{PartitionId, TopicId};

/// Sequences of one class and partition that may be sent: their reservation is on disk.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) class: CanaryClass,
    pub(super) partition: PartitionId,
    pub(super) sequences: Range<u64>,
}

/// Who sends, and as whom.
pub(super) struct Pacer {
    /// By what it sends; none while its clients are made anew.
    pub(super) canary: watch::Receiver<Option<Arc<Canary>>>,
    pub(super) clock: Clock,
    pub(super) lineage: Lineage,
    pub(super) incarnation: Incarnation,
    /// Records per second, class and partition.
    pub(super) rate: f64,
    /// The life of the topic that records are sent to; none while it is not there, or sending is paused.
    pub(super) topic_id: watch::Receiver<Option<TopicId>>,
    pub(super) blocks: mpsc::UnboundedReceiver<Block>,
}

impl Pacer {
    /// Sends until the sender of blocks is dropped. A record that waits for a block is not caught up later: the rate
    /// is never exceeded.
    pub(super) async fn run(mut self) {
        let mut ready: BTreeMap<(CanaryClass, PartitionId), VecDeque<Range<u64>>> = BTreeMap::new();
        let mut ticks = tokio::time::interval(Duration::from_secs_f64(1.0 / self.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                block = self.blocks.recv() => {
                    let Some(block) = block else { return };
                    ready.entry((block.class, block.partition)).or_default().push_back(block.sequences);
                }
                _ = ticks.tick() => {
                    let Some(topic_id) = *self.topic_id.borrow() else { continue };
                    let Some(canary) = self.canary.borrow().clone() else { continue };
                    for ((class, partition), ranges) in &mut ready {
                        let Some(sequence) = next(ranges) else { continue };
                        let key = RecordKey {
                            incarnation: self.incarnation, class: *class, partition: *partition, sequence,
                        };
                        let record = CanaryRecord {
                            topic_id, lineage: self.lineage, key, sent_at: self.clock.wall(),
                        };
                        if let Err(error) = canary.send(&record).await {
                            // A producer that is being replaced took nothing: the sequence is not used up, or its lane
                            // would wait for ever for the outcome of what was never sent.
                            if matches!(error, SendRefused::NotRunning) {
                                ranges.push_front(sequence..sequence + 1);
                            }
                            tracing::debug!(%error, %class, %partition, sequence, "canary record was not taken");
                        }
                    }
                }
            }
        }
    }
}

/// Sequences reserved at once: two seconds of the rate, at least 8, at most 1,000.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 8..=1000 before")]
pub(super) fn block_size(rate: f64) -> u64 {
    (rate * 2.0).ceil().clamp(8.0, 1_000.0) as u64
}

fn next(ranges: &mut VecDeque<Range<u64>>) -> Option<u64> {
    loop {
        let front = ranges.front_mut()?;
        match front.next() {
            Some(sequence) => return Some(sequence),
            None => ranges.pop_front(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_come_in_order_and_only_from_blocks() {
        let mut ranges = VecDeque::from([0..2, 5..5, 5..6]);
        let taken: Vec<u64> = std::iter::from_fn(|| next(&mut ranges)).collect();
        assert_eq!(taken, [0, 1, 5]);
    }
}
