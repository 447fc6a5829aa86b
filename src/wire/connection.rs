//! One pipelined connection to one broker.
//!
//! A broker answers the requests of a connection in the order they were sent, so the connection is a queue: the writer
//! notes each request in it before its bytes leave, the reader takes the oldest note for each answer and compares the
//! correlation id. A request whose caller stopped waiting keeps its place, so a late answer is taken by nobody instead
//! of by the next; until it came, the connection *owes* and is not used for new turns.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::api::api_versions::{ApiVersions, Offered};
use super::api::{self, Request, error};
use super::codec::{Malformed, TooLong};
use super::requests::{Outcome, RequestCounts};
use super::security::{Clues, Login};
use super::throttle::Throttle;
use super::transport::Stream;
use crate::model::{BrokerId, Missing};
use authentication::Session;

mod authentication;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// No connection came about.
    #[error("no connection: {0}")]
    Unreachable(String),
    /// The connection broke before the answer; another one may do.
    #[error("connection lost: {0}")]
    Lost(String),
    /// One side does not trust the other: certificates, credentials or what both are configured for.
    #[error("{0}")]
    Refused(String),
    /// No answer within the deadline.
    #[error("no answer within the deadline")]
    TimedOut,
    /// The bytes that came are not Kafka's protocol.
    #[error("garbled: {0}")]
    Garbled(String),
    /// An answer came, but cannot be read.
    #[error("the answer cannot be read")]
    Unreadable(#[from] Malformed),
    /// Both sides speak no common version of the API.
    #[error("the broker does not offer the API")]
    Unsupported,
    /// The question cannot be put.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

impl CallError {
    /// Why what `broker` was asked for is missing.
    pub(crate) const fn missing(&self, broker: BrokerId) -> Missing {
        match self {
            Self::Unreachable(_) | Self::Lost(_) | Self::Refused(_) => Missing::Unreachable(broker),
            Self::TimedOut => Missing::TimedOut(broker),
            Self::Garbled(_) | Self::Unreadable(_) => Missing::Garbled(broker),
            Self::Unsupported | Self::TooLong(_) => Missing::Unsupported,
        }
    }
}

/// The limits of a connection, and what it calls itself.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) client_id: String,
    /// The longest answer that is read, in bytes.
    pub(crate) max_frame: usize,
    /// Requests that may wait for their answers at once.
    pub(crate) in_flight: usize,
}

/// What others learn of a connection's answers.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    pub(crate) counts: Arc<RequestCounts>,
    pub(crate) throttle: Arc<Throttle>,
}

struct Sent {
    frame: Vec<u8>,
    waiting: Waiting,
}

/// One request's place in the queue.
struct Waiting {
    correlation: i32,
    answer: oneshot::Sender<Vec<u8>>,
    /// None for a request that has the whole queue to itself.
    _permit: Option<OwnedSemaphorePermit>,
}

/// What both tasks and all callers share.
#[derive(Debug, Default)]
struct State {
    /// Why the connection broke; the first reason stays.
    broken: OnceLock<CallError>,
    /// Requests that nobody waits for any more and that are not answered yet.
    owed: AtomicI64,
}

/// How a connection's authentication stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionAt {
    Good,
    /// It ends soon.
    ToRenew,
    /// The broker hangs up at the next request.
    Over,
}

/// A connection; clones share it, and it closes with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    link: Arc<Link>,
    offered: Arc<Offered>,
    /// Set while the broker holds our authentication to be temporary.
    session: Arc<watch::Sender<Option<Session>>>,
}

#[derive(Debug)]
struct Link {
    limits: Limits,
    notes: Notes,
    next_correlation: AtomicI32,
    in_flight: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Sent>,
    state: Arc<State>,
    tasks: [AbortHandle; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        // The reader would wait for a hung broker for ever.
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Counts a request as owed unless its answer came.
struct Caller {
    state: Arc<State>,
    answered: bool,
}

impl Drop for Caller {
    fn drop(&mut self) {
        if !self.answered {
            self.state.owed.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Connection {
    /// Takes over a stream, learns what the broker offers, and says who we are.
    pub(crate) async fn open(
        stream: Box<dyn Stream>,
        (login, clues): (Option<&Login>, Clues),
        limits: Limits,
        notes: Notes,
        deadline: Instant,
    ) -> Result<Self, CallError> {
        let link = Link::over(stream, clues, limits, notes);
        let offered = link.call(&ApiVersions, *ApiVersions::VERSIONS.end(), deadline).await?;
        let offered = if offered.error_code == error::UNSUPPORTED_VERSION {
            link.call(&ApiVersions, 0, deadline).await?
        } else {
            offered
        };
        if offered.error_code != error::NONE {
            return Err(CallError::Garbled(format!("ApiVersions was answered with error {}", offered.error_code)));
        }
        let session = match login {
            Some(login) => link.authenticate(login, &offered, deadline).await?,
            None => None,
        };
        let session = Arc::new(watch::Sender::new(session));
        Ok(Self { link: Arc::new(link), offered: Arc::new(offered), session })
    }

    /// What is to be done about the end of its session before it is used at `now`.
    pub(crate) fn session_at(&self, now: Instant) -> SessionAt {
        match *self.session.borrow() {
            Some(session) if now >= session.over_at => SessionAt::Over,
            Some(session) if now >= session.renew_at => SessionAt::ToRenew,
            Some(_) | None => SessionAt::Good,
        }
    }

    /// Says again who we are, behind what is under way and before all else (KIP-368).
    pub(crate) async fn renew(&self, login: &Login, deadline: Instant) -> Result<(), CallError> {
        let session = self.link.authenticate(login, &self.offered, deadline).await?;
        self.session.send_replace(session);
        Ok(())
    }

    /// True while new requests may be put: nothing broke, and no answer is overdue.
    pub(crate) fn is_sound(&self) -> bool {
        self.link.state.broken.get().is_none() && self.link.state.owed.load(Ordering::Acquire) <= 0
    }

    /// The newest version of `R` that both sides speak.
    pub(crate) fn version<R: Request>(&self) -> Result<i16, CallError> {
        self.offered.version::<R>().ok_or(CallError::Unsupported)
    }

    /// Puts one request and waits for its answer, at most until `deadline`.
    pub(crate) async fn call<R: Request>(&self, request: &R, deadline: Instant) -> Result<R::Response, CallError> {
        self.link.call(request, self.version::<R>()?, deadline).await
    }
}

impl Link {
    fn over(stream: Box<dyn Stream>, clues: Clues, limits: Limits, notes: Notes) -> Self {
        let (from, to) = tokio::io::split(stream);
        let (queue, sent) = mpsc::unbounded_channel();
        let (expect, expected) = mpsc::unbounded_channel();
        let state = Arc::new(State::default());
        let writer = tokio::spawn(write_all(to, sent, expect, Arc::clone(&state)));
        let reader =
            tokio::spawn(read_all(BufReader::new(from), expected, Arc::clone(&state), clues, limits.max_frame));
        Self {
            in_flight: Arc::new(Semaphore::new(limits.in_flight)),
            limits,
            notes,
            next_correlation: AtomicI32::new(0),
            queue,
            state,
            tasks: [writer.abort_handle(), reader.abort_handle()],
        }
    }

    async fn call<R: Request>(&self, request: &R, version: i16, deadline: Instant) -> Result<R::Response, CallError> {
        // What is sent without time for its answer only leaves an answer that nobody waits for.
        if Instant::now() >= deadline {
            self.notes.counts.add(R::NAME, Outcome::Failed);
            return Err(CallError::TimedOut);
        }
        let permit = timeout_at(deadline, Arc::clone(&self.in_flight).acquire_owned()).await;
        let permit = permit.map_err(|_| CallError::TimedOut).and_then(|permit| permit.map_err(|_| self.broken()));
        match permit {
            Ok(permit) => self.exchange(request, version, deadline, Some(permit)).await,
            Err(error) => {
                self.notes.counts.add(R::NAME, Outcome::Failed);
                Err(error)
            }
        }
    }

    /// Puts a request that has its place in the queue.
    async fn exchange<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<R::Response, CallError> {
        let mut outcome = Outcome::Failed;
        let result = self.answer(request, version, deadline, permit).await.and_then(|bytes| {
            let body = bytes.get(4..).unwrap_or_default();
            let response = api::response::<R>(version, body)?;
            let is_throttled = self.notes.throttle.told(api::throttle_ms::<R>(version, body), Instant::now());
            outcome = if is_throttled { Outcome::Throttled } else { Outcome::Answered };
            Ok(response)
        });
        self.notes.counts.add(R::NAME, outcome);
        result
    }

    /// The bytes of the answer, correlation id first.
    async fn answer<R: Request>(
        &self,
        request: &R,
        version: i16,
        deadline: Instant,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Vec<u8>, CallError> {
        let correlation = self.next_correlation.fetch_add(1, Ordering::Relaxed);
        let frame = api::frame(request, version, correlation, &self.limits.client_id)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { correlation, answer, _permit: permit };
        self.queue.send(Sent { frame, waiting }).map_err(|_| self.broken())?;
        let mut caller = Caller { state: Arc::clone(&self.state), answered: false };
        let result = timeout_at(deadline, answered).await.map_err(|_| CallError::TimedOut)?;
        caller.answered = true;
        result.map_err(|_| self.broken())
    }

    fn broken(&self) -> CallError {
        self.state.broken.get().cloned().unwrap_or_else(|| CallError::Lost("closed".to_owned()))
    }
}

async fn write_all(
    mut to: WriteHalf<Box<dyn Stream>>,
    mut sent: mpsc::UnboundedReceiver<Sent>,
    expect: mpsc::UnboundedSender<Waiting>,
    state: Arc<State>,
) {
    while let Some(Sent { frame, waiting }) = sent.recv().await {
        // First the note, then the bytes: an answer never finds the queue empty.
        if expect.send(waiting).is_err() {
            return;
        }
        let written = async {
            to.write_all(&frame).await?;
            to.flush().await
        };
        if let Err(error) = written.await {
            state.broken.get_or_init(|| CallError::Lost(error.to_string()));
            return;
        }
    }
}

async fn read_all(
    mut from: BufReader<ReadHalf<Box<dyn Stream>>>,
    mut expected: mpsc::UnboundedReceiver<Waiting>,
    state: Arc<State>,
    clues: Clues,
    max_frame: usize,
) {
    let mut answers = 0;
    let error = loop {
        let frame = match read_frame(&mut from, max_frame, clues, answers).await {
            Ok(frame) => frame,
            Err(error) => break error,
        };
        answers += 1;
        let Ok(waiting) = expected.try_recv() else {
            break CallError::Garbled("an answer to no question".to_owned());
        };
        let correlation = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
        if correlation != Some(waiting.correlation) {
            break CallError::Garbled(format!("an answer to {correlation:?} in place of {}", waiting.correlation));
        }
        if waiting.answer.send(frame).is_err() {
            state.owed.fetch_sub(1, Ordering::AcqRel);
        }
    };
    // Set before the queue is dropped: whoever waits in it reads the reason next.
    state.broken.get_or_init(|| error);
}

async fn read_frame(
    from: &mut BufReader<ReadHalf<Box<dyn Stream>>>,
    max_frame: usize,
    clues: Clues,
    answers: u64,
) -> Result<Vec<u8>, CallError> {
    let mut prefix = [0; 4];
    if let Err(error) = from.read_exact(&mut prefix).await {
        return Err(clues.lost(&error, answers));
    }
    let length = u32::from_be_bytes(prefix);
    let length = usize::try_from(length).ok().filter(|length| (4..=max_frame).contains(length)).ok_or_else(|| {
        CallError::Garbled(match prefix {
            // A TLS record: alert or handshake, and the major version 3.
            [0x15 | 0x16, 3, ..] => {
                format!("length {length}: this port speaks TLS, security.protocol must be SSL or SASL_SSL")
            }
            [b'H', b'T', b'T', b'P'] => format!("length {length}: this port speaks HTTP, not Kafka"),
            _ => format!("length {length}: an answer has 4 to {max_frame} bytes"),
        })
    })?;
    // Memory grows with what arrives, not with what is claimed.
    let mut frame = Vec::with_capacity(length.min(64 << 10));
    let limit = u64::try_from(length).unwrap_or(u64::MAX);
    let read = from.take(limit).read_to_end(&mut frame).await;
    match read {
        Ok(count) if count == length => Ok(frame),
        Ok(count) => Err(CallError::Lost(format!("closed by the broker after {count} of {length} bytes"))),
        Err(error) => Err(CallError::Lost(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
