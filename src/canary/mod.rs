//! The data plane: rdkafka's home. Canary records go out and come back.

mod client;
mod connection;
mod cursor;
mod ending;
mod group_probe;
mod intake;
mod links;
mod mix;
mod outcome;
mod partitions;
mod producer;
mod raw;
mod reader;
mod reports;
mod reread;
mod standstill;
#[cfg(test)]
mod tests;
pub mod topic;
mod transactional;

pub use client::problems;
pub use connection::{BearerToken, Connection, TokenSource};
pub use group_probe::{GroupProbe, GroupSample, Pace};
pub use mix::TransactionMix;
pub use producer::{Flushed, SendRefused};
pub use reader::{ReadStart, ReaderCommand, ReaderNotice};
pub use reread::RereadQuestion;
pub use standstill::Standstill;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::error::KafkaError;
use tokio::sync::mpsc;

use crate::audit::{CanaryClass, CanaryRecord, Event, Isolation, Lineage, Reread};
use crate::clock::Clock;
use crate::model::{Moment, PartitionId, ReaderSight, TopicName};
use producer::Producer;
use reader::{Outlets, Reader, Scope};
use reread::Rereader;
use transactional::Transactional;

/// Why the canary cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// A property of the connection section is unknown or has no such value; its value is not repeated.
    #[error("{name}: {text}")]
    Property {
        /// The property.
        name: String,
        /// What librdkafka says of it.
        text: String,
    },
    /// librdkafka made no client of it: a certificate that cannot be read, properties that contradict each other.
    #[error("no client: {0}")]
    Client(#[source] KafkaError),
    /// No thread could be started.
    #[error("no thread for the canary")]
    Thread(#[source] std::io::Error),
    /// The event queue is too short: a send needs room for two.
    #[error("the event queue holds fewer than two events")]
    NoRoom,
    /// It must be started within a tokio runtime.
    #[error("no runtime")]
    NoRuntime,
}

impl From<KafkaError> for CanaryError {
    fn from(error: KafkaError) -> Self {
        // The value may be a password.
        if let KafkaError::ClientConfig(_, text, name, _) = error {
            Self::Property { name, text }
        } else {
            Self::Client(error)
        }
    }
}

/// What the canary is started with.
#[derive(Clone, Debug)]
pub struct CanaryLinkOptions {
    /// What its clients are connected by.
    pub kafka: Connection,
    /// The canary topic; it must exist.
    pub topic: TopicName,
    /// Whose records are ours.
    pub lineage: Lineage,
    /// The classes to send.
    pub classes: BTreeSet<CanaryClass>,
    /// How the transactions of class `transactional` go.
    pub transactions: TransactionMix,
}

/// The link to the canary topic: a producer for each class, a reader for each isolation level in use.
#[derive(Debug)]
pub struct Canary {
    producers: BTreeMap<CanaryClass, Producer>,
    transactional: Option<Transactional>,
    readers: BTreeMap<Isolation, Reader>,
    rereaders: BTreeMap<Isolation, Rereader>,
    topic: TopicName,
    clock: Clock,
}

impl Canary {
    /// Gets ready to send, and to read what [`command`](Self::command) adds. Connections are made in the background: a cluster that is down is no error.
    ///
    /// Both queues must be received from as long as the canary runs, and not by the task that calls [`send`](Self::send):
    /// their owners wait for room. `events` needs room for two at least.
    ///
    /// # Errors
    /// See [`CanaryError`].
    pub fn start(
        options: &CanaryLinkOptions,
        clock: Clock,
        events: mpsc::Sender<(Event, Moment)>,
        notices: mpsc::Sender<(Isolation, ReaderNotice)>,
    ) -> Result<Self, CanaryError> {
        if events.max_capacity() < 2 {
            return Err(CanaryError::NoRoom);
        }
        let CanaryLinkOptions { kafka, topic, lineage, classes, transactions } = options;
        let mut producers = BTreeMap::new();
        let mut transactional = None;
        for class in classes {
            if *class == CanaryClass::Transactional {
                let place = (topic.clone(), *lineage);
                transactional = Some(Transactional::start(kafka, place, *transactions, clock, events.clone())?);
            } else {
                let producer = Producer::start(kafka, *class, topic.clone(), clock, events.clone())?;
                producers.insert(*class, producer);
            }
        }
        let outlets = Outlets { events, notices };
        let mut readers = BTreeMap::new();
        let mut rereaders = BTreeMap::new();
        let isolations: BTreeSet<Isolation> = classes.iter().copied().map(Isolation::of).collect();
        for isolation in isolations.iter().copied() {
            let place = (topic.clone(), *lineage);
            // What is not ours is told once, by the reader that sees most.
            let scope = Scope { isolation, tells_strangers: isolations.first() == Some(&isolation) };
            readers.insert(isolation, Reader::start(kafka, scope, place, clock, outlets.clone())?);
            rereaders.insert(isolation, Rereader::new(kafka, isolation, topic.clone(), *lineage, clock));
        }
        Ok(Self { producers, transactional, readers, rereaders, topic: topic.clone(), clock })
    }

    /// Hands a record to its class's producer. Unless refused as [`SendRefused::NotRunning`], its `Sent` event is out
    /// before any outcome of it, and exactly one outcome follows: `Acked`, `Rejected` or `Indeterminate`. A record of a
    /// transaction waits for its turn, so its `Sent` comes a little later (and not at all when the canary stops before),
    /// and a `TransactionEnded` follows its outcome. Safe to cancel: a dropped call has sent all or nothing.
    ///
    /// # Errors
    /// See [`SendRefused`].
    pub async fn send(&self, record: &CanaryRecord) -> Result<(), SendRefused> {
        match self.producers.get(&record.key.class) {
            Some(producer) => producer.send(record).await,
            None => match &self.transactional {
                Some(transactional) if record.key.class == CanaryClass::Transactional => transactional.send(record),
                Some(_) | None => Err(SendRefused::NotRunning),
            },
        }
    }

    /// The classes that do not send now, and why; each goes on by itself unless it is fenced.
    #[must_use]
    pub fn standstills(&self) -> BTreeMap<CanaryClass, Standstill> {
        let of = |(class, producer): (&CanaryClass, &Producer)| producer.standstill().map(|why| (*class, why));
        let transactional = self.transactional.as_ref().and_then(Transactional::standstill);
        let transactional = transactional.map(|why| (CanaryClass::Transactional, why));
        self.producers.iter().filter_map(of).chain(transactional).collect()
    }

    /// How each reader fares on each partition it reads.
    #[must_use]
    pub fn sights(&self) -> BTreeMap<(Isolation, PartitionId), ReaderSight> {
        let of = |(isolation, reader): (&Isolation, &Reader)| {
            let isolation = *isolation;
            reader.sights().into_iter().map(move |(partition, sight)| ((isolation, partition), sight))
        };
        self.readers.iter().flat_map(of).collect()
    }

    /// Lets every producer learn that the topic has so many partitions by now, and returns when all have, or `within` has
    /// passed: a record for a partition that its producer does not know is refused at once.
    pub async fn learn_partitions(&self, count: usize, within: Duration) {
        let clients = self.producers.values().filter_map(Producer::client);
        join_all(clients.map(|client| partitions::learn(client, self.topic.clone(), count, within))).await;
    }

    /// Tells the reader of this isolation level what to do, in the order told.
    pub fn command(&self, isolation: Isolation, command: ReaderCommand) {
        if let Some(reader) = self.readers.get(&isolation) {
            reader.command(command);
        }
    }

    /// Answers what is asked of a partition, by `RereadTold` events, until `questions` is closed and all is answered: what waits
    /// at one time is read by one new client. At most four partitions of an isolation level are read at once.
    pub async fn answer_rereads(
        &self,
        isolation: Isolation,
        partition: PartitionId,
        mut questions: mpsc::UnboundedReceiver<RereadQuestion>,
        answers: &mpsc::UnboundedSender<(Event, Moment)>,
    ) {
        match self.rereaders.get(&isolation) {
            Some(rereader) => rereader.answer(partition, questions, answers).await,
            None => {
                // Of a class that is not sent any more.
                while let Some(RereadQuestion { offset, .. }) = questions.recv().await {
                    let outcome = Reread::Failed { why: format!("nothing is read {}", isolation.as_str()) };
                    let begun = self.clock.now();
                    let event = Event::RereadTold { isolation, partition, offset, begun, outcome };
                    // Nobody waits any more.
                    answers.send((event, begun)).ok();
                }
            }
        }
    }

    /// Ends it: the readers at once, the producers when every outcome is in or the deadline has passed. Both queues must
    /// be received from meanwhile.
    pub async fn stop(self, deadline: Duration) -> Flushed {
        join_all(self.readers.into_values().map(Reader::stop)).await;
        let producers = join_all(self.producers.into_values().map(|producer| producer.stop(deadline)));
        let transactional = async {
            match self.transactional {
                Some(transactional) => transactional.stop(deadline).await,
                None => Flushed::default(),
            }
        };
        let (flushed, last) = tokio::join!(producers, transactional);
        Flushed { unresolved: flushed.iter().map(|flushed| flushed.unresolved).sum::<u64>() + last.unresolved }
    }
}
