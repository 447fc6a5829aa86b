//! Asks for offsets on a fresh connection: the witness against our own reader.
//!
//! What is asked of one partition while nothing is being read there is read by one new client, the lowest offset first. What is
//! asked meanwhile waits for the next: a connection made before the question proves nothing. A client that has nothing left
//! to read but what cannot be known yet (an open transaction) hands that on to its successor.

mod open;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::client::{Quiet, Role, config};
use super::connection::{Connection, TokenSource};
use crate::audit::{Event, Isolation, Lineage, Reread};
use crate::clock::Clock;
use crate::model::{Moment, Offset, PartitionId, TopicName};
use reading::{Batch, Reading};

/// How many partitions may be read at once: each by a client with a thread for every broker, and a second one for the high
/// watermark where committed records alone are read. A broker that hangs takes the place of each partition it leads.
const AT_ONCE: usize = 4;
/// How many offsets one client may be asked for.
const BATCH: usize = 256;
/// What a client may need beyond the deadline to say so.
const GRACE: Duration = Duration::from_secs(1);

/// An offset that a fresh connection is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RereadQuestion {
    /// The offset.
    pub offset: Offset,
    /// How soon there must be an answer; waiting for a turn counts.
    pub within: Duration,
}

/// What a re-read needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Rereader {
    config: ClientConfig,
    uncommitted: ClientConfig,
    tokens: TokenSource,
    isolation: Isolation,
    topic: TopicName,
    lineage: Lineage,
    clock: Clock,
    room: Arc<Semaphore>,
}

impl Rereader {
    pub(crate) fn new(
        kafka: &Connection,
        isolation: Isolation,
        topic: TopicName,
        lineage: Lineage,
        clock: Clock,
    ) -> Self {
        let of = |isolation| config(kafka, Role::Reader(isolation));
        let (config, uncommitted) = (of(isolation), of(Isolation::ReadUncommitted));
        Self {
            config,
            uncommitted,
            tokens: kafka.tokens.clone(),
            isolation,
            topic,
            lineage,
            clock,
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// A client that nobody used before. It blocks where a token is wanted, so it is made where blocking is allowed.
    fn client(&self, config: &ClientConfig) -> Result<BaseConsumer<Quiet>, KafkaError> {
        let client: BaseConsumer<Quiet> = config.create_with_context(Quiet("re-read", self.tokens.clone()))?;
        if self.tokens.is_asked() {
            // Nothing is assigned, so nothing but the wish for a token can come.
            drop(client.poll(Duration::ZERO));
        }
        Ok(client)
    }

    /// Answers what is asked of a partition until nobody asks any more, each offset once for all questions that wait for it.
    pub(crate) async fn answer(
        &self,
        partition: PartitionId,
        mut questions: mpsc::UnboundedReceiver<RereadQuestion>,
        answers: &mpsc::UnboundedSender<(Event, Moment)>,
    ) {
        let mut waiting = Waiting::default();
        loop {
            if waiting.due.is_empty() {
                match questions.recv().await {
                    Some(question) => waiting.add(question, self.clock.now().mono),
                    None => return,
                }
            }
            while let Ok(question) = questions.try_recv() {
                waiting.add(question, self.clock.now().mono);
            }
            // All of the batch were asked before, and its connection is made after this.
            let begun = self.clock.now();
            let mut batch = waiting.batch();
            let give_way = CancellationToken::new();
            if !waiting.due.is_empty() {
                give_way.cancel();
            }
            {
                let reading = self.read(partition, &mut batch, &give_way, |offset, outcome| {
                    let event = Event::RereadTold { isolation: self.isolation, partition, offset, begun, outcome };
                    // Nobody waits any more.
                    answers.send((event, self.clock.now())).ok();
                });
                let mut reading = std::pin::pin!(reading);
                loop {
                    tokio::select! {
                        () = &mut reading => break,
                        Some(question) = questions.recv() => {
                            waiting.add(question, self.clock.now().mono);
                            give_way.cancel();
                        }
                    }
                }
            }
            waiting.put_back(batch);
        }
    }

    /// Reads a batch by a new client, and leaves what it has handed on. Dropped, it ends the client too.
    async fn read(
        &self,
        partition: PartitionId,
        open: &mut BTreeMap<Offset, Duration>,
        give_way: &CancellationToken,
        mut tell: impl FnMut(Offset, Reread),
    ) {
        let last = open.values().max().copied().unwrap_or_default();
        let left = last.saturating_sub(self.clock.now().mono);
        let due = open.clone();
        let reading = async {
            let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return };
            let (told, mut answers) = mpsc::unbounded_channel();
            let (rereader, give_way) = (self.clone(), give_way.clone());
            tokio::task::spawn_blocking(move || {
                Reading::run(&rereader, Batch { partition, due, answers: told, give_way });
                // Not before the client is gone: an abandoned re-read still counts.
                drop(room);
            });
            while let Some((offset, outcome)) = answers.recv().await {
                if open.remove(&offset).is_some() {
                    tell(offset, outcome);
                }
            }
        };
        let in_time = tokio::time::timeout(left + GRACE, reading).await.is_ok();
        if in_time && give_way.is_cancelled() {
            return;
        }
        for offset in std::mem::take(open).into_keys() {
            let why = if in_time { "the re-read ended early" } else { "no answer within the deadline" };
            tell(offset, Reread::Failed { why: why.to_owned() });
        }
    }
}

/// What waits for a new client.
#[derive(Debug, Default)]
struct Waiting {
    due: BTreeMap<Offset, Duration>,
}

impl Waiting {
    fn add(&mut self, question: RereadQuestion, now: Duration) {
        self.put_back(BTreeMap::from([(question.offset, now + question.within)]));
    }

    /// One answer is for all who asked: it is due when the last of them needs it.
    fn put_back(&mut self, others: BTreeMap<Offset, Duration>) {
        for (offset, due) in others {
            let known = self.due.entry(offset).or_default();
            *known = due.max(*known);
        }
    }

    /// Takes as many as one client may be asked for, the lowest: where it lies beyond the end, so do all others.
    fn batch(&mut self) -> BTreeMap<Offset, Duration> {
        let rest = self.due.keys().nth(BATCH).copied().map(|first| self.due.split_off(&first)).unwrap_or_default();
        std::mem::replace(&mut self.due, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: i64) -> Offset {
        Offset::new(number).expect("not negative")
    }

    #[test]
    fn an_offset_asked_for_twice_waits_once_and_as_long_as_the_longer() {
        let mut waiting = Waiting::default();
        let ask = |offset, within| RereadQuestion { offset: at(offset), within: Duration::from_secs(within) };
        for (question, now) in [(ask(5, 8), 1), (ask(3, 8), 1), (ask(5, 8), 2), (ask(3, 2), 3)] {
            waiting.add(question, Duration::from_secs(now));
        }
        let batch = waiting.batch();
        assert_eq!(batch, BTreeMap::from([(at(3), Duration::from_secs(9)), (at(5), Duration::from_secs(10))]));
        assert_eq!(waiting.batch(), BTreeMap::new());
        waiting.put_back(batch.clone());
        assert_eq!(waiting.batch(), batch, "handed on as it was");
    }

    #[test]
    fn a_batch_is_bounded_and_takes_the_lowest() {
        let mut waiting = Waiting::default();
        let most = i64::try_from(BATCH).expect("it is small");
        waiting.put_back((0..most + 40).rev().map(|offset| (at(offset), Duration::from_secs(1))).collect());
        let batch = waiting.batch();
        assert_eq!((batch.len(), batch.keys().next_back()), (BATCH, Some(&at(most - 1))));
        assert_eq!(waiting.batch().len(), 40);
    }
}
