//! Asks for one offset on a fresh connection: the witness against our own reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::Semaphore;

use super::client::{Quiet, Role, config};
use super::raw;
use crate::audit::{Isolation, Lineage, Reread, payload};
use crate::clock::Clock;
use crate::model::{Offset, PartitionId, TopicName};

/// How many may be under way at once: each is a client with a thread for every broker.
const AT_ONCE: usize = 2;
/// What a client may need beyond the deadline to let go of its connections.
const GRACE: Duration = Duration::from_secs(1);

/// What a re-read needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Rereader {
    config: ClientConfig,
    topic: TopicName,
    lineage: Lineage,
    clock: Clock,
    room: Arc<Semaphore>,
}

impl Rereader {
    pub(crate) fn new(
        kafka: &BTreeMap<String, String>,
        isolation: Isolation,
        topic: TopicName,
        lineage: Lineage,
        clock: Clock,
    ) -> Self {
        let config = config(kafka, Role::Reader(isolation));
        Self { config, topic, lineage, clock, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// What lies at `offset`, read by a new client within `deadline`. Waiting for a turn counts.
    pub(crate) async fn reread(&self, partition: PartitionId, offset: Offset, deadline: Duration) -> Reread {
        let due = self.clock.now().mono + deadline;
        let answer = async {
            let room = Arc::clone(&self.room).acquire_owned().await.map_err(|closed| closed.to_string())?;
            let question = self.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let answer = question.read(partition, offset, due);
                // Not before the client is gone: an abandoned re-read still counts.
                drop(room);
                answer
            });
            reading.await.map_err(|died| died.to_string())
        };
        match tokio::time::timeout(deadline + GRACE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Reread::Failed { why },
            Err(_) => Reread::Failed { why: late(deadline) },
        }
    }

    fn read(&self, partition: PartitionId, offset: Offset, due: Duration) -> Reread {
        let answer = self.consumer(partition, offset).and_then(|consumer| self.ask(&consumer, partition, offset, due));
        answer.unwrap_or_else(|error| Reread::Failed { why: error.to_string() })
    }

    fn consumer(&self, partition: PartitionId, offset: Offset) -> Result<BaseConsumer<Quiet>, KafkaError> {
        let consumer: BaseConsumer<Quiet> = self.config.create_with_context(Quiet("re-read"))?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic.as_str(), partition.0, KafkaOffset::Offset(offset.get()))?;
        consumer.assign(&list)?;
        Ok(consumer)
    }

    fn ask(
        &self,
        consumer: &BaseConsumer<Quiet>,
        partition: PartitionId,
        offset: Offset,
        due: Duration,
    ) -> Result<Reread, KafkaError> {
        let mut why = "nothing came in time".to_owned();
        while let Some(left) = due.checked_sub(self.clock.now().mono) {
            let answer = match consumer.poll(left) {
                None => None,
                Some(Ok(message)) => self.found(offset, &message),
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    why = "the log grew while it was read".to_owned();
                    self.outside(consumer, partition, offset, left)?
                }
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    // Nothing more will come: what the reset policy calls an error stops the partition.
                    let why = "out of range, and within the log a moment later".to_owned();
                    Some(self.outside(consumer, partition, offset, left)?.unwrap_or(Reread::Failed { why }))
                }
                // No leader, no broker: librdkafka goes on trying, and so do we until the deadline.
                Some(Err(error)) => {
                    why = error.to_string();
                    None
                }
            };
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
        Ok(Reread::Failed { why })
    }

    /// What a message says of the offset asked for; nothing for one before it.
    fn found(&self, offset: Offset, message: &rdkafka::message::BorrowedMessage<'_>) -> Option<Reread> {
        let at = Offset::new(message.offset())?;
        if at > offset {
            return Some(Reread::Beyond { next: at });
        }
        (at == offset).then(|| match payload::decode(message.payload().unwrap_or_default(), self.lineage) {
            Ok(record) => Reread::Found { record, leader_epoch: raw::leader_epoch(message) },
            Err(what) => Reread::Other(what),
        })
    }

    /// On which side of the log the offset lies; nothing when it lies within.
    fn outside(
        &self,
        consumer: &BaseConsumer<Quiet>,
        partition: PartitionId,
        offset: Offset,
        left: Duration,
    ) -> Result<Option<Reread>, KafkaError> {
        let (low, high) = consumer.fetch_watermarks(self.topic.as_str(), partition.0, left)?;
        Ok(side(offset, Offset::new(low), Offset::new(high)))
    }
}

/// On which side of the log an offset lies; nothing when it lies within, or Kafka named no ends.
fn side(offset: Offset, log_start: Option<Offset>, high_watermark: Option<Offset>) -> Option<Reread> {
    let (log_start, high_watermark) = (log_start?, high_watermark?);
    if offset < log_start {
        Some(Reread::BelowLogStart { log_start })
    } else if offset >= high_watermark {
        Some(Reread::AtEnd { high_watermark })
    } else {
        None
    }
}

fn late(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_outside_the_log_lies_on_one_side_of_it() {
        let at = |number| Offset::new(number).expect("not negative");
        let cases = [
            ("below", 4, 5, 9, Some(Reread::BelowLogStart { log_start: at(5) })),
            ("the first", 5, 5, 9, None),
            ("the last", 8, 5, 9, None),
            ("the end", 9, 5, 9, Some(Reread::AtEnd { high_watermark: at(9) })),
            ("beyond", 30, 5, 9, Some(Reread::AtEnd { high_watermark: at(9) })),
            ("an empty log, all deleted", 4, 9, 9, Some(Reread::BelowLogStart { log_start: at(9) })),
            ("no ends known", 4, -1, -1, None),
        ];
        for (name, offset, low, high, want) in cases {
            assert_eq!(side(at(offset), Offset::new(low), Offset::new(high)), want, "{name}");
        }
    }
}
