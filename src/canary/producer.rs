//! Sends the records of one class, and tells what became of each.
//!
//! A thread of our own polls librdkafka, so that an outcome may wait for room in the event queue: none is ever dropped.
//! The client lives and dies on that thread. A fatal error (an idempotent producer that lost its sequence) makes a new
//! client; the records of the old one end as indeterminate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};
use tokio::sync::{mpsc, oneshot, watch};

use super::CanaryError;
use super::client::{Role, config, log_line};
use super::outcome::{Outcome, outcome};
use super::raw;
use crate::audit::{CanaryClass, CanaryRecord, Event, RecordKey, payload};
use crate::clock::Clock;
use crate::model::{Moment, TopicName};

/// How long one poll serves librdkafka before the thread looks at anything else.
const POLL: Duration = Duration::from_millis(100);
/// How long until a client that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the reports of purged records are waited for. They are made at once, by librdkafka itself.
const PURGE: Duration = Duration::from_secs(1);

/// Why a record was not handed to librdkafka.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// librdkafka refused it at once; its `Sent` and `Rejected` events are out.
    #[error("refused before it was sent: {error}")]
    Rejected {
        /// librdkafka's reason.
        error: String,
    },
    /// There is no client: it is being made anew or was stopped. No event is out, the record never existed.
    #[error("no producer is running")]
    NotRunning,
}

/// How a producer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Records without an outcome when the deadline passed; each was then reported as indeterminate.
    pub unresolved: u64,
}

type Client = BaseProducer<Reports>;

/// One class's producer.
#[derive(Debug)]
pub(crate) struct Producer {
    topic: TopicName,
    clock: Clock,
    events: mpsc::Sender<(Event, Moment)>,
    client: watch::Receiver<Option<Shared>>,
    stop: std_mpsc::Sender<Duration>,
    stopped: oneshot::Receiver<Flushed>,
}

#[derive(Clone)]
struct Shared(Arc<Client>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Producer {
    /// Starts the class's producer. It asks for its producer id at once, so that no record waits for one later.
    pub(crate) fn start(
        kafka: &BTreeMap<String, String>,
        class: CanaryClass,
        topic: TopicName,
        clock: Clock,
        events: mpsc::Sender<(Event, Moment)>,
    ) -> Result<Self, CanaryError> {
        if matches!(class, CanaryClass::Acks0 | CanaryClass::Transactional) {
            return Err(CanaryError::ClassNotOffered(class));
        }
        let maker = Maker { config: config(kafka, Role::Producer(class)), class, clock, events: events.clone() };
        let client = Arc::new(maker.client()?);
        let (current, receiver) = watch::channel(Some(Shared(Arc::clone(&client))));
        let (stop, stops) = std_mpsc::channel();
        let (done, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("canary-{class}"))
            .spawn(move || {
                let flushed = serve(&maker, client, &current, &stops);
                // Nobody waits when the daemon goes down without a stop.
                done.send(flushed).ok();
            })
            .map_err(CanaryError::Thread)?;
        Ok(Self { topic, clock, events, client: receiver, stop, stopped })
    }

    /// Hands a record over. Its `Sent` event is out before any outcome of it can be, and its outcome always follows.
    pub(crate) async fn send(&self, record: &CanaryRecord) -> Result<(), SendRefused> {
        let bytes = payload::encode(record);
        // Room for both events first: from here on nothing is awaited, so a dropped future has sent all or nothing.
        let mut room = self.events.reserve_many(2).await.map_err(|_| SendRefused::NotRunning)?;
        let client = self.client.borrow();
        let Some(Shared(client)) = client.as_ref() else { return Err(SendRefused::NotRunning) };
        let (Some(first), Some(second)) = (room.next(), room.next()) else { return Err(SendRefused::NotRunning) };
        first.send((Event::Sent(record.key), self.clock.now()));
        let message = BaseRecord::<(), [u8], Box<RecordKey>>::with_opaque_to(self.topic.as_str(), Box::new(record.key))
            .partition(record.key.partition.0)
            .payload(bytes.as_slice());
        client.send(message).map_err(|(error, _)| {
            let error = text(&error);
            second.send((Event::Rejected { key: record.key, error: error.clone() }, self.clock.now()));
            SendRefused::Rejected { error }
        })
    }

    /// Takes no further record and waits until `deadline` for the outcomes of those under way; the rest is reported as
    /// indeterminate. Someone must keep receiving the events meanwhile.
    pub(crate) async fn stop(self, deadline: Duration) -> Flushed {
        // The thread is gone already where this is refused, and has reported everything.
        self.stop.send(deadline).ok();
        self.stopped.await.unwrap_or_default()
    }
}

struct Maker {
    config: ClientConfig,
    class: CanaryClass,
    clock: Clock,
    events: mpsc::Sender<(Event, Moment)>,
}

impl Maker {
    fn client(&self) -> Result<Client, KafkaError> {
        let reports = Reports { class: self.class, clock: self.clock, events: self.events.clone() };
        self.config.create_with_context(reports)
    }
}

/// The thread: polls until told to stop, then flushes.
fn serve(
    maker: &Maker,
    first: Arc<Client>,
    current: &watch::Sender<Option<Shared>>,
    stops: &std_mpsc::Receiver<Duration>,
) -> Flushed {
    let mut client = first;
    loop {
        client.poll(POLL);
        match stops.try_recv() {
            Ok(deadline) => return retire(client, current, deadline),
            Err(std_mpsc::TryRecvError::Disconnected) => return retire(client, current, Duration::ZERO),
            Err(std_mpsc::TryRecvError::Empty) => {}
        }
        if let Some((code, reason)) = client.client().fatal_error() {
            tracing::warn!(class = %maker.class, %code, reason, "the producer failed for good: a new one is made");
            let _lost = retire(client, current, Duration::ZERO);
            match anew(maker, stops) {
                Some(next) => client = next,
                None => return Flushed::default(),
            }
            current.send_replace(Some(Shared(Arc::clone(&client))));
        }
    }
}

/// A new client, or nothing when told to stop first.
fn anew(maker: &Maker, stops: &std_mpsc::Receiver<Duration>) -> Option<Arc<Client>> {
    loop {
        match maker.client() {
            Ok(client) => return Some(Arc::new(client)),
            Err(error) => tracing::warn!(class = %maker.class, %error, "no new producer"),
        }
        match stops.recv_timeout(RETRY) {
            Ok(_) | Err(std_mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(std_mpsc::RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Ends a client: no sends, then the outcomes that come by `deadline`, then those of what is purged.
fn retire(client: Arc<Client>, current: &watch::Sender<Option<Shared>>, deadline: Duration) -> Flushed {
    // Waits for a send under way, so that nobody else holds the client and it is dropped here: its drop reports too.
    current.send_replace(None);
    let unresolved = match client.flush(deadline) {
        Ok(()) => 0,
        Err(_) => u64::try_from(client.in_flight_count()).unwrap_or(0),
    };
    if unresolved > 0 {
        client.purge(PurgeConfig::default().queue().inflight());
        if let Err(error) = client.flush(PURGE) {
            tracing::error!(%error, "purged records were not reported");
        }
    }
    Flushed { unresolved }
}

/// Turns delivery reports into events, on the polling thread.
struct Reports {
    class: CanaryClass,
    clock: Clock,
    events: mpsc::Sender<(Event, Moment)>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(self.class.as_str(), level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The log line of the same trouble is out already; a fatal one is asked for by the thread.
        tracing::debug!(client = self.class.as_str(), %error, reason, "librdkafka");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<RecordKey>;

    fn delivery(&self, report: &DeliveryResult<'_>, key: Self::DeliveryOpaque) {
        let at = self.clock.now();
        let (message, error) = match report {
            Ok(message) => (message, None),
            Err((error, message)) => (message, error.rdkafka_error_code()),
        };
        let offset = rdkafka::Message::offset(message);
        let event = match outcome(raw::persistence(message), error, offset) {
            Outcome::Acked(offset) => Event::Acked { key: *key, offset, broker: raw::broker(message) },
            Outcome::Rejected(error) => Event::Rejected { key: *key, error },
            Outcome::Indeterminate(error) => Event::Indeterminate { key: *key, error },
        };
        if self.events.blocking_send((event, at)).is_err() {
            tracing::debug!(class = %self.class, "an outcome came after the ledger was closed");
        }
    }
}

fn text(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}
