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
/// How long until a client that met the last stable offset looks whether it has moved.
const ANEW: Duration = Duration::from_millis(200);
/// What a client may need beyond the deadline to let go of its connections.
const GRACE: Duration = Duration::from_secs(1);

/// What a re-read needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Rereader {
    config: ClientConfig,
    /// Of a client that sees every record: a broker names it the high watermark, and to others the last stable offset.
    uncommitted: ClientConfig,
    isolation: Isolation,
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
        let of = |isolation| config(kafka, Role::Reader(isolation));
        let (config, uncommitted) = (of(isolation), of(Isolation::ReadUncommitted));
        Self { config, uncommitted, isolation, topic, lineage, clock, room: Arc::new(Semaphore::new(AT_ONCE)) }
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
        let answer = self.open(partition, offset, due).and_then(|(consumer, stable)| {
            let at = At { consumer: &consumer, partition, offset };
            self.ask(at, stable, due)
        });
        answer.unwrap_or_else(|error| Reread::Failed { why: error.to_string() })
    }

    /// A client that reads from the offset, and the last stable offset before it began, where that bounds what it sees.
    fn open(
        &self,
        partition: PartitionId,
        offset: Offset,
        due: Duration,
    ) -> Result<(Client, Option<Offset>), KafkaError> {
        let consumer: Client = self.config.create_with_context(Quiet("re-read"))?;
        let stable = match self.isolation {
            Isolation::ReadUncommitted => None,
            Isolation::ReadCommitted => {
                let left = due.saturating_sub(self.clock.now().mono);
                self.stable_end(At { consumer: &consumer, partition, offset }, left)?
            }
        };
        self.assign(At { consumer: &consumer, partition, offset })?;
        Ok((consumer, stable))
    }

    fn ask(&self, at: At<'_>, mut stable: Option<Offset>, due: Duration) -> Result<Reread, KafkaError> {
        let (mut why, mut is_first) = ("nothing came in time".to_owned(), true);
        // When to begin anew, with what is known of the end by then.
        let mut anew: Option<Duration> = None;
        if stable.is_some_and(|stable| stable <= at.offset) {
            // Beyond the last stable offset neither a record comes nor an end.
            let left = due.saturating_sub(self.clock.now().mono);
            is_first = false;
            if let Some(answer) = self.outside(at, left)? {
                return Ok(answer);
            }
            (why, anew) = (unstable(stable), Some(self.clock.now().mono + ANEW));
        }
        while let Some(left) = due.checked_sub(self.clock.now().mono) {
            if anew.take_if(|anew| *anew <= self.clock.now().mono).is_some() {
                stable = self.stable_end(at, left)?;
                if stable.is_some_and(|stable| stable <= at.offset) {
                    (why, anew) = (unstable(stable), Some(self.clock.now().mono + ANEW));
                }
                self.assign(at)?;
            }
            let until = anew.map_or(left, |anew| anew.saturating_sub(self.clock.now().mono).min(left));
            let answer = match at.consumer.poll(until) {
                None => None,
                Some(Ok(message)) => self.found(at.offset, &message),
                // Perhaps of before the last stable offset was asked for.
                Some(Err(KafkaError::PartitionEOF(_))) if anew.is_some() => None,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    let passed = match self.isolation {
                        Isolation::ReadUncommitted => None,
                        Isolation::ReadCommitted => {
                            anew = Some(self.clock.now().mono + ANEW);
                            let before = std::mem::replace(&mut stable, self.stable_end(at, left)?);
                            passed(at.offset, before, stable)
                        }
                    };
                    why = if stable.is_some_and(|stable| stable <= at.offset) {
                        unstable(stable)
                    } else {
                        "the log grew while it was read".to_owned()
                    };
                    match passed {
                        Some(passed) => Some(passed),
                        // What lies below the high watermark once goes on to.
                        None if std::mem::take(&mut is_first) || self.isolation == Isolation::ReadUncommitted => {
                            self.outside(at, left)?
                        }
                        None => None,
                    }
                }
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    // Nothing more will come: what the reset policy calls an error stops the partition.
                    let why = "out of range, and within the log a moment later".to_owned();
                    Some(self.outside(at, left)?.unwrap_or(Reread::Failed { why }))
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
            return Some(Reread::Beyond { next: at, leader_epoch: raw::leader_epoch(message) });
        }
        (at == offset).then(|| match payload::decode(message.payload().unwrap_or_default(), self.lineage) {
            Ok(record) => Reread::Found { record, leader_epoch: raw::leader_epoch(message) },
            Err(what) => Reread::Other(what),
        })
    }

    /// Reads from the offset on, whatever was read before.
    fn assign(&self, at: At<'_>) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic.as_str(), at.partition.0, KafkaOffset::Offset(at.offset.get()))?;
        at.consumer.assign(&list)
    }

    /// The last stable offset: what a broker names to a client that sees committed records alone.
    fn stable_end(&self, at: At<'_>, left: Duration) -> Result<Option<Offset>, KafkaError> {
        Ok(Offset::new(at.consumer.fetch_watermarks(self.topic.as_str(), at.partition.0, left)?.1))
    }

    /// On which side of the log the offset lies; nothing when it lies within.
    fn outside(&self, at: At<'_>, left: Duration) -> Result<Option<Reread>, KafkaError> {
        let (topic, partition) = (self.topic.as_str(), at.partition.0);
        let (low, high) = match self.isolation {
            Isolation::ReadUncommitted => at.consumer.fetch_watermarks(topic, partition, left)?,
            Isolation::ReadCommitted => {
                let other: Client = self.uncommitted.create_with_context(Quiet("re-read"))?;
                other.fetch_watermarks(topic, partition, left)?
            }
        };
        Ok(side(at.offset, Offset::new(low), Offset::new(high)))
    }
}

type Client = BaseConsumer<Quiet>;

/// What is asked, and who is asked.
#[derive(Clone, Copy)]
struct At<'a> {
    consumer: &'a Client,
    partition: PartitionId,
    offset: Offset,
}

/// What the end means to a client that sees committed records alone, and got none: aborted ones and markers are passed in
/// silence, and the end carries no offset. Where the last stable offset lay beyond the offset before it began to read, and
/// does so still, it has passed all up to there.
fn passed(offset: Offset, before: Option<Offset>, after: Option<Offset>) -> Option<Reread> {
    let next = before?.min(after?);
    (next > offset).then_some(Reread::Beyond { next, leader_epoch: None })
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

fn unstable(stable: Option<Offset>) -> String {
    let named = stable.map_or_else(|| "unknown".to_owned(), |stable| stable.to_string());
    format!("the last stable offset is {named}, and the high watermark is beyond it")
}

fn late(deadline: Duration) -> String {
    format!("no answer within {} ms", deadline.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_passed_when_the_last_stable_offset_was_beyond_it_all_along() {
        let at = |number| Offset::new(number).expect("not negative");
        let cases = [
            ("aborted, and the log ends behind the marker", (4, 6, 6), Some(at(6))),
            ("it grew meanwhile", (4, 6, 9), Some(at(6))),
            ("of an open transaction", (4, 4, 4), None),
            ("its transaction ended meanwhile", (4, 4, 6), None),
            ("another leader, with a shorter log", (4, 6, 4), None),
        ];
        for (name, (offset, before, after), want) in cases {
            let want = want.map(|next| Reread::Beyond { next, leader_epoch: None });
            assert_eq!(passed(at(offset), Some(at(before)), Some(at(after))), want, "{name}");
        }
    }

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
