//! A librdkafka consumer as the reader needs it: one queue a partition, errors with their text, and replaceable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::client::log_line;
use super::connection::TokenSource;
use super::raw;
use super::reader::Wake;
use crate::audit::{CanaryRecord, Lineage, Unreadable, payload};
use crate::clock::Clock;
use crate::model::{LeaderEpoch, Moment, Offset, PartitionId, TopicName};

/// How long until a client that could not be made or assigned is replaced.
const RETRY: Duration = Duration::from_secs(1);

/// What comes out of a partition's queue.
pub(super) enum Item {
    Record {
        offset: Offset,
        leader_epoch: Option<LeaderEpoch>,
        at: Moment,
        what: Result<CanaryRecord, Unreadable>,
    },
    /// The end of what can be read now.
    End,
    /// The position does not exist; librdkafka waits to be told.
    Stopped {
        text: String,
    },
    /// Trouble that librdkafka goes on working at.
    Failing {
        /// True when we may not read the topic. librdkafka says so once, and goes on asking once a second.
        is_denied: bool,
        text: String,
    },
    /// The client is done for.
    Fatal {
        text: String,
    },
}

type Client = BaseConsumer<Errors>;

/// The consumer and its queues. They are dropped before it: the last to let go destroys the client.
pub(super) struct Intake {
    queues: BTreeMap<PartitionId, PartitionQueue<Errors>>,
    client: Option<Arc<Client>>,
    /// Why it must be replaced, and the monotonic time before which it is not.
    condemned: Option<(String, Duration)>,
    texts: std_mpsc::Receiver<String>,
    config: ClientConfig,
    tokens: TokenSource,
    topic: TopicName,
    lineage: Lineage,
    clock: Clock,
    wakes: std_mpsc::Sender<Wake>,
}

impl Intake {
    pub(super) fn new(
        (config, tokens): (ClientConfig, TokenSource),
        topic: TopicName,
        lineage: Lineage,
        clock: Clock,
        wakes: std_mpsc::Sender<Wake>,
    ) -> Result<Self, KafkaError> {
        let (client, texts) = client(&config, &tokens)?;
        let client = Some(client);
        Ok(Self {
            queues: BTreeMap::new(),
            client,
            condemned: None,
            texts,
            config,
            tokens,
            topic,
            lineage,
            clock,
            wakes,
        })
    }

    /// A new client in place of the old one, with nothing assigned.
    pub(super) fn replace(&mut self) -> Result<(), KafkaError> {
        self.queues.clear();
        self.client = None;
        let (client, texts) = client(&self.config, &self.tokens)?;
        (self.client, self.texts) = (Some(client), texts);
        Ok(())
    }

    /// Reads these partitions too.
    pub(super) fn assign(&mut self, positions: &[(PartitionId, Option<Offset>)]) -> Result<(), KafkaError> {
        let Some(client) = &self.client else { return Ok(()) };
        if positions.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            let offset = offset.map_or(KafkaOffset::Beginning, |offset| KafkaOffset::Offset(offset.get()));
            list.add_partition_offset(self.topic.as_str(), partition.0, offset)?;
            // Before it is assigned, so that nothing of it goes to the common queue.
            if let Some(mut queue) = client.split_partition_queue(self.topic.as_str(), partition.0) {
                let (wakes, partition) = (self.wakes.clone(), *partition);
                queue.set_nonempty_callback(move || {
                    // The thread is gone, and nobody reads any more.
                    wakes.send(Wake::Records(partition)).ok();
                });
                self.queues.insert(partition, queue);
                self.wake(partition);
            }
        }
        client.incremental_assign(&list)
    }

    /// Reads a partition no more.
    pub(super) fn release(&mut self, partition: PartitionId) -> Result<(), KafkaError> {
        let Some(client) = &self.client else { return Ok(()) };
        // A new queue on the same partition would lose its callback with the drop of the old one.
        if self.queues.remove(&partition).is_none() {
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(self.topic.as_str(), partition.0);
        client.incremental_unassign(&list)
    }

    /// Has the partition's queue looked at again.
    pub(super) fn wake(&self, partition: PartitionId) {
        self.wakes.send(Wake::Records(partition)).ok();
    }

    /// The client is to be replaced, by a [`serve`](Self::serve) one second from now: what failed would fail at once.
    pub(super) fn condemn(&mut self, why: String) {
        self.condemned = Some((why, self.clock.now().mono + RETRY));
    }

    /// Serves the client's own queue for at most a millisecond. Tells why, when the client must be replaced.
    pub(super) fn serve(&mut self) -> Option<String> {
        if let Some((why, _)) = self.condemned.take_if(|(_, due)| *due <= self.clock.now().mono) {
            return Some(why);
        }
        let client = self.client.as_ref()?;
        match client.poll(Duration::from_millis(1)) {
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => Some(code.to_string()),
            // Errors of the whole client (no broker reachable) are in the log already, and pass.
            Some(_) | None => None,
        }
    }

    /// What comes next in the partition's queue, if anything does.
    pub(super) fn next(&mut self, partition: PartitionId) -> Option<Item> {
        self.texts.try_iter().for_each(drop);
        let found = self.queues.get(&partition)?.poll(Duration::ZERO)?;
        let at = self.clock.now();
        match found {
            Ok(message) => record(&message, self.lineage, at),
            Err(KafkaError::PartitionEOF(_)) => Some(Item::End),
            Err(error) => {
                let text = self.texts.try_iter().last().unwrap_or_else(|| error.to_string());
                Some(if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
                    Item::Fatal { text }
                } else if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
                    Item::Stopped { text }
                } else {
                    let is_denied = error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed);
                    Item::Failing { is_denied, text }
                })
            }
        }
    }
}

fn client(
    config: &ClientConfig,
    tokens: &TokenSource,
) -> Result<(Arc<Client>, std_mpsc::Receiver<String>), KafkaError> {
    let (told, texts) = std_mpsc::sync_channel(16);
    let client = config.create_with_context(Errors { told, tokens: tokens.clone() })?;
    Ok((Arc::new(client), texts))
}

/// A message as an item; nothing for an offset that no log has.
fn record(message: &BorrowedMessage<'_>, lineage: Lineage, at: Moment) -> Option<Item> {
    let offset = Offset::new(message.offset())?;
    let what = payload::decode(message.payload().unwrap_or_default(), lineage);
    Some(Item::Record { offset, leader_epoch: raw::leader_epoch(message), at, what })
}

/// Keeps the text of an error, which rdkafka tells the context and not the caller of `poll`: on the same thread, just
/// before `poll` returns the error's code.
pub(super) struct Errors {
    told: std_mpsc::SyncSender<String>,
    tokens: TokenSource,
}

impl ClientContext for Errors {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.token()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line("reader", level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        // Full of texts nobody asked for: those are in the log.
        self.told.try_send(reason.to_owned()).ok();
    }
}

impl ConsumerContext for Errors {}
