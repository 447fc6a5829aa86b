//! Asking brokers within one turn: deadlines, one retry on a lost connection, and who has failed already.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::api::Request;
use super::connection::CallError;
use super::pool::{Lane, Line, Peer, Pool};
use super::transport::Address;
use crate::model::{BrokerId, Missing, Reading};

/// A broker in one turn.
#[derive(Debug)]
struct Asked {
    peer: Peer,
    /// The first thing it did not answer.
    failed: OnceLock<Missing>,
    /// Set once no connection comes about: it is not asked again in this turn.
    down: OnceLock<Missing>,
}

/// One turn of questions to the brokers, within one deadline.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pool: &'a Pool,
    lane: Lane,
    request_timeout: Duration,
    pub(crate) deadline: Instant,
    brokers: BTreeMap<BrokerId, Asked>,
}

impl<'a> Turn<'a> {
    pub(crate) const fn new(pool: &'a Pool, lane: Lane, request_timeout: Duration, deadline: Instant) -> Self {
        Self { pool, lane, request_timeout, deadline, brokers: BTreeMap::new() }
    }

    /// Makes brokers known to the turn, or their new addresses.
    pub(crate) fn admit(&mut self, brokers: impl IntoIterator<Item = (BrokerId, Address)>) {
        for (id, address) in brokers {
            let peer = Peer::Broker(id, address);
            if self.brokers.get(&id).is_none_or(|asked| asked.peer != peer) {
                self.brokers.insert(id, Asked { peer, failed: OnceLock::new(), down: OnceLock::new() });
            }
        }
    }

    /// Moves the brokers that are not `present` into a turn of their own, with so little time: they are only greeted.
    pub(crate) fn split_absent(&mut self, present: &[BrokerId], within: Duration) -> Self {
        let (present, absent): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.brokers).into_iter().partition(|(id, _)| present.contains(id));
        self.brokers = present;
        let deadline = self.deadline.min(Instant::now() + within);
        Self { pool: self.pool, lane: self.lane, request_timeout: within, deadline, brokers: absent }
    }

    /// The brokers of the turn.
    pub(crate) fn brokers(&self) -> Vec<BrokerId> {
        self.brokers.keys().copied().collect()
    }

    /// Whether each broker answered all it was asked.
    pub(crate) fn answering(&self) -> BTreeMap<BrokerId, Reading<()>> {
        let answered = |asked: &Asked| asked.failed.get().map_or(Reading::Read(()), |why| Reading::Missing(*why));
        self.brokers.iter().map(|(id, asked)| (*id, answered(asked))).collect()
    }

    /// Why a broker cannot be asked any more in this turn.
    pub(crate) fn is_down(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_none_or(|asked| asked.down.get().is_some())
    }

    /// When a request put now is to be given up.
    fn due(&self) -> Instant {
        self.deadline.min(Instant::now() + self.request_timeout)
    }

    /// Waits a little before a retry; false when there is no time for one.
    pub(crate) async fn pause(&self, retry: u32) -> bool {
        let until = Instant::now() + Duration::from_millis(100).saturating_mul(retry.saturating_mul(retry));
        if until >= self.deadline {
            return false;
        }
        sleep_until(until).await;
        true
    }

    /// A connection to a broker.
    pub(crate) async fn line(&self, broker: BrokerId) -> Result<Line, Missing> {
        let asked = self.brokers.get(&broker).ok_or(Missing::Unreachable(broker))?;
        if let Some(why) = asked.down.get() {
            return Err(*why);
        }
        self.pool.line(&asked.peer, self.lane, self.due()).await.map_err(|error| {
            let why = error.missing(broker);
            asked.failed.get_or_init(|| why);
            asked.down.get_or_init(|| why);
            why
        })
    }

    /// The newest version of `R` that a broker and we both speak.
    pub(crate) async fn version<R: Request>(&self, broker: BrokerId) -> Result<i16, Missing> {
        self.line(broker).await?.connection.version::<R>().map_err(|error| error.missing(broker))
    }

    /// Puts one question to one broker.
    pub(crate) async fn ask<R: Request>(&self, broker: BrokerId, request: &R) -> Result<R::Response, Missing> {
        let mut line = self.line(broker).await?;
        // Its own time begins when it is put. That it is not put in time says nothing about the broker.
        if let Some(asked) = self.brokers.get(&broker)
            && !self.pool.leave(&asked.peer, self.lane, self.deadline).await
        {
            return Err(Missing::Throttled);
        }
        let mut result = line.connection.call(request, self.due()).await;
        // A connection kept from an earlier turn may have been closed meanwhile; that says nothing about the broker.
        if !line.fresh && matches!(result, Err(CallError::Lost(_))) {
            line = self.line(broker).await?;
            result = line.connection.call(request, self.due()).await;
        }
        result.map_err(|error| {
            debug!(%broker, api = R::NAME, %error, "no answer");
            let why = error.missing(broker);
            if !matches!(error, CallError::Unsupported | CallError::TooLong(_))
                && let Some(asked) = self.brokers.get(&broker)
            {
                asked.failed.get_or_init(|| why);
            }
            why
        })
    }

    /// Puts one question to whichever broker listens at a bootstrap address.
    pub(crate) async fn ask_bootstrap<R: Request>(&self, address: &Address, request: &R) -> Option<R::Response> {
        let peer = Peer::Bootstrap(address.clone());
        let line = self.pool.line(&peer, self.lane, self.due()).await.ok()?;
        if !self.pool.leave(&peer, self.lane, self.deadline).await {
            return None;
        }
        let result = line.connection.call(request, self.due()).await;
        result.inspect_err(|error| debug!(%address, api = R::NAME, %error, "no answer")).ok()
    }
}
