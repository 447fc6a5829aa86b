//! From the outbox to the world: each receiver drains its own queue, so that a dead one delays nobody.

mod drain;
mod options;
mod payload;
mod secret;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use options::{Options, ReceiverOptions, WebhookOptions};
pub use secret::Secret;
pub use webhook::Webhook;

use crate::alert::Notice;
use crate::clock::Clock;
use crate::store::{Delivery, Outbox, StoreError};
use drain::{Drain, Pace};

/// How one attempt to deliver ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver took it.
    Delivered,
    /// Not this time.
    Retry {
        /// What went wrong.
        why: String,
        /// The receiver's own wish, where it told one.
        after: Option<Duration>,
    },
    /// Never: it will not help to repeat it.
    Refused {
        /// What the receiver said.
        why: String,
    },
}

/// Delivers notices to one receiver.
pub trait Courier: Send + Sync + 'static {
    /// Delivers notices of one status, cluster and kind in one message. Returns in bounded time.
    fn deliver(&self, notices: &[Arc<Notice>]) -> impl Future<Output = Attempt> + Send;
}

/// Why delivery cannot begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The configuration names no web address.
    #[error("webhook.url is not an http or https URL")]
    Url,
    /// The machine has no root certificates, or they cannot be read.
    #[error("no https on this machine: {0}")]
    Tls(String),
    /// The store was closed.
    #[error("the outbox is closed")]
    Closed,
}

impl From<StoreError> for NotifyError {
    fn from(_: StoreError) -> Self {
        Self::Closed
    }
}

/// The contract's words for how an attempt may end.
const OUTCOMES: [&str; 4] = ["delivered", "retried", "refused", "expired"];

/// Counts by receiver and outcome.
pub type Counts = BTreeMap<(String, &'static str), u64>;

/// The running delivery.
#[derive(Debug)]
pub struct Notifier {
    counts: watch::Sender<Counts>,
    stopping: CancellationToken,
    tasks: JoinSet<()>,
}

impl Notifier {
    /// Starts a task per receiver. Notices for receivers that left the configuration are given up.
    ///
    /// # Errors
    /// Where a receiver's webhook cannot be used at all, or the store was closed.
    pub async fn start(options: &Options, outbox: Outbox, clock: Clock) -> Result<Self, NotifyError> {
        let mut couriers = Vec::with_capacity(options.receivers.len());
        for receiver in &options.receivers {
            couriers.push((receiver.name.clone(), Webhook::new(&receiver.webhook, options.external_url.clone())?));
        }
        Self::start_with(couriers, outbox, clock, Pace::default()).await
    }

    async fn start_with<C: Courier>(
        couriers: Vec<(String, C)>,
        outbox: Outbox,
        clock: Clock,
        pace: Pace,
    ) -> Result<Self, NotifyError> {
        let names: Vec<String> = couriers.iter().map(|(name, _)| name.clone()).collect();
        let zeros = names.iter().flat_map(|name| OUTCOMES.map(|outcome| ((name.clone(), outcome), 0)));
        let counts = watch::Sender::new(zeros.collect::<Counts>());
        for id in outbox.strangers(names).await? {
            let why = "the receiver is not in the configuration any more".to_owned();
            outbox.record_attempt(&id, clock.now(), Delivery::Refused { why });
        }
        let stopping = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (receiver, courier) in couriers {
            let drain = Drain { receiver, courier, outbox: outbox.clone(), clock, pace, counts: counts.clone() };
            tasks.spawn(drain.run(stopping.clone()));
        }
        Ok(Self { counts, stopping, tasks })
    }

    /// Attempts since the start, by receiver and outcome (`delivered`, `retried`, `refused`, `expired`).
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// Begins no further delivery and waits `within` for those under way; what they do not finish is repeated at the
    /// next start.
    pub async fn stop(mut self, within: Duration) {
        self.stopping.cancel();
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, finished).await.is_err() {
            tracing::warn!("a receiver did not answer in time; its notices are repeated at the next start");
            self.tasks.shutdown().await;
        }
    }
}
