//! Turns what librdkafka reports to a producer into events, on the thread that polls it.

use std::sync::Arc;

use rdkafka::Statistics;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::{Mutex, mpsc};

use super::client::log_line;
use super::connection::TokenSource;
use super::links::Links;
use super::outcome::{Outcome, outcome, unacknowledged};
use super::raw;
use super::standstill::Standing;
use crate::audit::{CanaryClass, Event, RecordKey};
use crate::clock::Clock;
use crate::model::Moment;

/// The context of one class's client.
pub(super) struct Reports {
    pub(super) class: CanaryClass,
    pub(super) clock: Clock,
    pub(super) events: mpsc::Sender<(Event, Moment)>,
    pub(super) standing: Standing,
    pub(super) tokens: TokenSource,
    /// Of the class that nobody acknowledges. One thread polls, so the lock is never waited for.
    pub(super) links: Option<Arc<Mutex<Links>>>,
}

impl Reports {
    /// Waits for room: no outcome is ever dropped.
    fn tell(&self, event: Event, at: Moment) {
        if self.events.blocking_send((event, at)).is_err() {
            tracing::debug!(class = %self.class, "an outcome came after the ledger was closed");
        }
    }
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.token()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line(self.class.as_str(), level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The log line of the same trouble is out already; a fatal one is asked for by the thread.
        tracing::debug!(client = self.class.as_str(), %error, reason, "librdkafka");
    }

    fn stats(&self, seen: Statistics) {
        let Some(links) = &self.links else { return };
        for (event, at) in links.blocking_lock().look(&seen, self.clock.now()) {
            self.tell(event, at);
        }
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
        let (status, broker) = (raw::persistence(message), raw::broker(message));
        let what = match self.class {
            CanaryClass::Acks0 => unacknowledged(status, error),
            CanaryClass::Acks1 | CanaryClass::All | CanaryClass::Idempotent | CanaryClass::Transactional => {
                outcome(status, error, rdkafka::Message::offset(message))
            }
        };
        if let (Some(links), Some(broker)) = (&self.links, broker) {
            links.blocking_lock().reported(key.partition, broker, at.mono);
        }
        let event = match what {
            Outcome::Acked(offset) => {
                self.standing.sends();
                // Who a record was written to is nobody's word that it is there.
                let broker = broker.filter(|_| self.class != CanaryClass::Acks0);
                Event::Acked { key: *key, offset, broker }
            }
            Outcome::Rejected(error) => Event::Rejected { key: *key, error },
            Outcome::Indeterminate(error) => Event::Indeterminate { key: *key, error },
        };
        self.tell(event, at);
    }
}
