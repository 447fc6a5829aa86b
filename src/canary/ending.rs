//! How a transaction is ended, and what is known of it then.

use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::producer::Producer as _;

use super::mix::{Step, fatal, step};
use super::producer::Client;
use crate::audit::TransactionEnd;
use crate::clock::Clock;

/// How long one call of librdkafka may block: after it, whether to stop is looked at.
pub(super) const SLICE: Duration = Duration::from_millis(200);
/// How long the thread serves librdkafka while a transaction is open, before it takes what is to be sent.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// `transaction.timeout.ms`.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);

/// How a client's time ends.
pub(super) enum Leave {
    /// Told to stop.
    Stop,
    /// Another client is to be made: at once, or because this one failed.
    Replace(Option<String>),
    /// A newer instance has the transactional.id.
    Fenced(String),
}

/// How a transaction came to its end.
pub(super) struct Ending {
    /// Nothing where it was left open.
    pub(super) end: Option<TransactionEnd>,
    pub(super) leave: Option<Leave>,
}

impl Ending {
    fn of(end: TransactionEnd) -> Self {
        Self { end: Some(end), leave: None }
    }

    /// The client is done with: what it was asked for decides.
    fn lost(is_asked: bool, leave: Leave) -> Self {
        Self { end: is_asked.then_some(TransactionEnd::Unknown), leave: Some(leave) }
    }
}

/// What a client leaves with that can do no more, and has nothing open.
pub(super) fn done_with(step: Step) -> Leave {
    match step {
        Step::Fenced(why) => Leave::Fenced(why),
        Step::Broken(why) | Step::Again(why) | Step::Abort { why, .. } => Leave::Replace(Some(why)),
        Step::Done => Leave::Replace(None),
    }
}

/// A transaction that is being ended.
pub(super) struct Closing<'a> {
    pub(super) client: &'a Client,
    pub(super) clock: Clock,
    pub(super) stops: &'a std_mpsc::Receiver<Duration>,
    /// The monotonic time at which it was begun.
    pub(super) began: Duration,
    /// The monotonic time until which its end is waited for.
    pub(super) due: Duration,
    /// Whether we were told to stop.
    pub(super) is_stopping: bool,
}

impl Closing<'_> {
    /// Waits for the outcomes of what is under way.
    pub(super) fn deliver(&mut self) {
        while let Step::Again(_) = step(self.client.flush(SLICE))
            && !self.is_over()
        {}
    }

    /// Keeps it open for so long, unless told to stop.
    pub(super) fn hold(&mut self, time: Duration) {
        let until = self.now() + time;
        while self.now() < until && !self.is_stopping {
            self.client.poll(TICK);
            self.is_over();
        }
    }

    /// Leaves it to the next client, unless a newer instance was before us.
    pub(super) fn leave_open(&self) -> Ending {
        match self.client.client().fatal_error().map(|(code, why)| fatal(code, why)) {
            Some(Step::Fenced(why)) => Ending::lost(false, self.fenced(why)),
            Some(step) => Ending::lost(false, done_with(step)),
            None => Ending { end: None, leave: Some(Leave::Replace(None)) },
        }
    }

    pub(super) fn commit(&mut self) -> Ending {
        let mut is_asked = false;
        loop {
            // Before the records have their outcomes the coordinator is asked nothing: until then it can be aborted.
            let mut now = if is_asked { Step::Done } else { step(self.client.flush(SLICE)) };
            if now == Step::Done
                && !is_asked
                && let Some((code, why)) = self.client.client().fatal_error()
            {
                now = fatal(code, why);
            } else if now == Step::Done {
                is_asked = true;
                now = step(self.client.commit_transaction(SLICE));
            }
            match now {
                Step::Done => return Ending::of(TransactionEnd::Committed),
                Step::Again(_) if !self.is_over() => {}
                Step::Again(_) if !is_asked => return self.abort(false),
                Step::Again(why) => return Ending::lost(true, Leave::Replace(Some(why))),
                Step::Abort { why, is_bump } => {
                    tracing::warn!(why, "a transaction could not be committed, and is aborted");
                    let ending = self.abort(is_asked);
                    return match ending.end {
                        Some(TransactionEnd::Aborted) if is_bump => {
                            Ending { end: Some(TransactionEnd::Unknown), ..ending }
                        }
                        Some(_) | None => ending,
                    };
                }
                Step::Fenced(why) => return Ending::lost(is_asked, self.fenced(why)),
                Step::Broken(why) => return Ending::lost(is_asked, Leave::Replace(Some(why))),
            }
        }
    }

    /// Aborts it, within one call at least. Where that is not acknowledged, it is lost sight of if its commit may have been
    /// asked for, or else left.
    pub(super) fn abort(&mut self, is_asked: bool) -> Ending {
        loop {
            match step(self.client.abort_transaction(SLICE)) {
                Step::Done => return Ending::of(TransactionEnd::Aborted),
                Step::Again(_) if !self.is_over() => {}
                Step::Fenced(why) => return Ending::lost(is_asked, self.fenced(why)),
                Step::Again(why) | Step::Broken(why) | Step::Abort { why, .. } => {
                    return Ending::lost(is_asked, Leave::Replace(Some(why)));
                }
            }
            // Outcomes of what is purged: librdkafka waits for them to be taken.
            self.client.poll(TICK);
        }
    }

    /// Fenced in a transaction: by a newer instance, unless it was open for so long that the coordinator gave it up.
    fn fenced(&self, why: String) -> Leave {
        if self.now() - self.began < GIVEN_UP_AFTER { Leave::Fenced(why) } else { Leave::Replace(Some(why)) }
    }

    /// Whether its time is over, which being told to stop shortens.
    fn is_over(&mut self) -> bool {
        if !self.is_stopping
            && let Some(deadline) = is_stopped(self.stops, Duration::ZERO)
        {
            self.is_stopping = true;
            self.due = self.due.min(self.now() + deadline);
        }
        self.now() >= self.due
    }

    fn now(&self) -> Duration {
        self.clock.now().mono
    }
}

/// Told to stop within `wait`: how long that may take.
pub(super) fn is_stopped(stops: &std_mpsc::Receiver<Duration>, wait: Duration) -> Option<Duration> {
    match stops.recv_timeout(wait) {
        Ok(deadline) => Some(deadline),
        Err(std_mpsc::RecvTimeoutError::Disconnected) => Some(Duration::ZERO),
        Err(std_mpsc::RecvTimeoutError::Timeout) => None,
    }
}
