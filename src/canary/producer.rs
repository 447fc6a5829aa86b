//! Sends the records of one class, and tells what became of each.
//!
//! A thread of our own polls librdkafka, so that an outcome may wait for room in the event queue: none is ever dropped.
//! The client lives and dies on that thread. A fatal error (an idempotent producer that lost its sequence) makes a new
//! client; the records of the old one end as indeterminate.

use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::CanaryError;
use super::client::{Role, config};
use super::connection::{Connection, TokenSource};
use super::links::Links;
use super::reports::Reports;
use super::standstill::{Standing, Standstill};
use crate::audit::{CanaryClass, CanaryRecord, Event, RecordKey, payload};
use crate::clock::Clock;
use crate::model::{Moment, TopicName};

/// How long one poll serves librdkafka before the thread looks at anything else.
const POLL: Duration = Duration::from_millis(100);
/// How long until a client that could not be made, or failed for good, is made anew; it doubles up to [`RETRY_AT_MOST`].
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait for a new client, and how long one must have lived for the next to be made at once.
const RETRY_AT_MOST: Duration = Duration::from_secs(30);
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

pub(super) type Client = BaseProducer<Reports>;

/// One class's producer.
#[derive(Debug)]
pub(crate) struct Producer {
    topic: TopicName,
    clock: Clock,
    events: mpsc::Sender<(Event, Moment)>,
    client: watch::Receiver<Option<Shared>>,
    standing: Standing,
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
    /// Starts the class's producer. It asks for its producer id at once, so that no record waits for one later. Only what
    /// the connection section says wrong is an error: any other client that cannot be made is tried again, by itself.
    pub(crate) fn start(
        kafka: &Connection,
        class: CanaryClass,
        topic: TopicName,
        clock: Clock,
        events: mpsc::Sender<(Event, Moment)>,
    ) -> Result<Self, CanaryError> {
        let standing = Standing::new(None);
        // What the wall clock says keeps the numbers of one start apart from those of another.
        let number = u64::try_from(clock.wall().as_millis()).unwrap_or(0) << 16;
        let links = (class == CanaryClass::Acks0).then(|| Arc::new(Mutex::new(Links::new(topic.clone(), number))));
        let config = config(kafka, Role::Producer(class));
        let tokens = kafka.tokens.clone();
        let maker = Maker { config, tokens, class, clock, events: events.clone(), standing: standing.clone(), links };
        let first = match maker.client() {
            Ok(made) => Some(made),
            Err(error @ KafkaError::ClientConfig(..)) => return Err(error.into()),
            Err(error) => {
                maker.fails(&error.to_string());
                None
            }
        };
        let (current, receiver) = watch::channel(first.as_ref().map(|made| Shared(Arc::clone(&made.client))));
        let (stop, stops) = std_mpsc::channel();
        let (done, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("canary-{class}"))
            .spawn(move || {
                let flushed = serve(&maker, first, &current, &stops);
                // Nobody waits when the daemon goes down without a stop.
                done.send(flushed).ok();
            })
            .map_err(CanaryError::Thread)?;
        Ok(Self { topic, clock, events, client: receiver, standing, stop, stopped })
    }

    /// Why it does not send now; nothing while it does.
    pub(crate) fn standstill(&self) -> Option<Standstill> {
        self.standing.now()
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

    /// The client, while there is one.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        self.client.borrow().as_ref().map(|Shared(client)| Arc::clone(client))
    }

    /// Takes no further record and waits until `deadline` for the outcomes of those under way; the rest is reported as
    /// indeterminate. Someone must keep receiving the events meanwhile.
    pub(crate) async fn stop(self, deadline: Duration) -> Flushed {
        // The thread is gone already where this is refused, and has reported everything.
        self.stop.send(deadline).ok();
        self.stopped.await.unwrap_or_default()
    }
}

/// A new client.
pub(super) struct Made {
    pub(super) client: Arc<Client>,
    /// The monotonic times between which it was made.
    between: (Duration, Duration),
}

/// What a class's clients are made of.
pub(super) struct Maker {
    pub(super) config: ClientConfig,
    pub(super) tokens: TokenSource,
    pub(super) class: CanaryClass,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Sender<(Event, Moment)>,
    pub(super) standing: Standing,
    pub(super) links: Option<Arc<Mutex<Links>>>,
}

impl Maker {
    pub(super) fn client(&self) -> Result<Made, KafkaError> {
        let Self { class, clock, events, standing, links, .. } = self;
        let reports = Reports {
            class: *class,
            clock: *clock,
            events: events.clone(),
            standing: standing.clone(),
            tokens: self.tokens.clone(),
            links: links.clone(),
        };
        let before = clock.now().mono;
        let client = Arc::new(self.config.create_with_context(reports)?);
        Ok(Made { client, between: (before, clock.now().mono) })
    }

    /// Says that the class stands still, and why.
    pub(super) fn fails(&self, why: &str) {
        tracing::warn!(class = %self.class, why, "the canary's producer does not send: a new one is made");
        self.standing.waits(why);
    }
}

/// The thread: polls until told to stop, then flushes.
fn serve(
    maker: &Maker,
    first: Option<Made>,
    current: &watch::Sender<Option<Shared>>,
    stops: &std_mpsc::Receiver<Duration>,
) -> Flushed {
    let mut next = first;
    let mut patience = Patience::default();
    loop {
        let Some(Made { client, between: (before, born) }) = next.take().or_else(|| anew(maker, stops, &mut patience))
        else {
            return Flushed::default();
        };
        if let Some(links) = &maker.links {
            // Its statistics come when it is polled, and here alone.
            links.blocking_lock().renew(before, born);
        }
        current.send_replace(Some(Shared(Arc::clone(&client))));
        let why = loop {
            client.poll(POLL);
            match stops.try_recv() {
                Ok(deadline) => return retire(client, current, deadline),
                Err(std_mpsc::TryRecvError::Disconnected) => return retire(client, current, Duration::ZERO),
                Err(std_mpsc::TryRecvError::Empty) => {}
            }
            if let Some((code, reason)) = client.client().fatal_error() {
                break format!("{code}: {reason}");
            }
        };
        maker.fails(&why);
        retire(client, current, Duration::ZERO);
        patience.failed_after(maker.clock.now().mono - born);
    }
}

/// A new client, or nothing when told to stop first.
fn anew(maker: &Maker, stops: &std_mpsc::Receiver<Duration>, patience: &mut Patience) -> Option<Made> {
    loop {
        match stops.recv_timeout(patience.wait()) {
            Ok(_) | Err(std_mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(std_mpsc::RecvTimeoutError::Timeout) => {}
        }
        match maker.client() {
            Ok(made) => return Some(made),
            Err(error) => maker.fails(&error.to_string()),
        }
        patience.failed_after(Duration::ZERO);
    }
}

/// How long the next client is waited with: one that fails at once, for want of a right, fails again.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// In a row, each soon after the one before.
    failures: u32,
}

impl Patience {
    pub(super) fn wait(&self) -> Duration {
        match self.failures {
            0 | 1 => Duration::ZERO,
            more => (RETRY * 2_u32.saturating_pow((more - 2).min(16))).min(RETRY_AT_MOST),
        }
    }

    /// The last client failed, having lived so long.
    pub(super) fn failed_after(&mut self, lived: Duration) {
        self.failures = if lived >= RETRY_AT_MOST { 1 } else { self.failures.saturating_add(1) };
    }
}

/// Ends a client: no sends, then the outcomes that come by `deadline`, then those of what is purged.
fn retire(client: Arc<Client>, current: &watch::Sender<Option<Shared>>, deadline: Duration) -> Flushed {
    // Waits for a send under way, so that nobody else holds the client and it is dropped here: its drop reports too.
    current.send_replace(None);
    resolve(&client, deadline)
}

/// Waits until `deadline` for the outcomes of what is under way, and has the rest reported without one.
pub(super) fn resolve(client: &Client, deadline: Duration) -> Flushed {
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

pub(super) fn text(error: &KafkaError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_fails_at_once_is_made_anew_ever_more_slowly() {
        let mut patience = Patience::default();
        let mut waits = vec![patience.wait().as_secs()];
        for lived in [0, 0, 5, 0, 0, 0, 0, 0, 60, 2] {
            patience.failed_after(Duration::from_secs(lived));
            waits.push(patience.wait().as_secs());
        }
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 30, 30, 0, 1]);
    }
}
