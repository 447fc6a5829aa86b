//! Which requests are hit, and by what.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::frame::Request;

/// What happens to the response of a request that was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never comes: the client waits for it until its own time-out.
    Swallow,
    /// The connection is closed in its place.
    Hangup,
    /// The connection is closed with RST in its place.
    Reset,
    /// It is held for so long, and what follows on this connection waits behind it.
    Delay(Duration),
    /// The request never reaches the broker: it is answered with this error code (Produce only).
    Refuse(i16),
    /// As `Refuse`, as soon as the next request that matches the rule has gone on to the broker: the two change places
    /// when the client tries the first again.
    RefuseBehindNext(i16),
}

/// Which of the requests that match are hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// The first so many.
    First(u64),
    /// The n-th alone, from 1.
    Nth(u64),
    /// Every k-th: the k-th, the 2k-th, …
    Every(u64),
}

impl Which {
    /// Whether request `number` (from 1) of those that match is hit.
    fn takes(self, number: u64) -> bool {
        match self {
            Self::All => true,
            Self::First(count) => number <= count,
            Self::Nth(nth) => number == nth,
            Self::Every(step) => number.is_multiple_of(step),
        }
    }
}

/// A further condition on a request.
pub(crate) type Condition = fn(&Request<'_>) -> bool;

/// A rule: of the requests to this broker (or any), of this api (or any), by a client whose id begins so, which fulfil a
/// condition, these get this fault.
#[derive(Clone)]
pub(crate) struct Rule {
    pub(crate) broker: Option<i32>,
    pub(crate) api: Option<i16>,
    pub(crate) client: Option<String>,
    pub(crate) condition: Option<Condition>,
    pub(crate) which: Which,
    pub(crate) fault: Fault,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?} {:?} {:?}: {:?}", self.which, self.broker, self.api, self.client, self.fault)
    }
}

impl Rule {
    /// This fault for every request.
    pub(crate) fn new(fault: Fault) -> Self {
        Self { broker: None, api: None, client: None, condition: None, which: Which::All, fault }
    }

    fn matches(&self, request: &Request<'_>) -> bool {
        self.broker.is_none_or(|broker| broker == request.broker)
            && self.api.is_none_or(|api| api == request.api)
            && self.client.as_ref().is_none_or(|begin| request.client.starts_with(begin))
            && self.condition.is_none_or(|condition| condition(request))
    }
}

/// A rule at work, and what it did.
#[derive(Debug)]
pub(crate) struct Applied {
    rule: Rule,
    matched: AtomicU64,
    hits: AtomicU64,
}

impl Applied {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, matched: AtomicU64::new(0), hits: AtomicU64::new(0) }
    }

    /// How many requests matched.
    pub(crate) fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    /// How many of them were hit.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The fault of this request, if it is hit.
    pub(super) fn fault_of(&self, request: &Request<'_>) -> Option<Fault> {
        if !self.rule.matches(request) {
            return None;
        }
        let number = self.matched.fetch_add(1, Ordering::Relaxed) + 1;
        self.rule.which.takes(number).then(|| {
            self.hits.fetch_add(1, Ordering::Relaxed);
            self.rule.fault
        })
    }

    /// Whether a request is of the kind this rule looks for, hit or not.
    pub(super) fn is_of_kind(&self, request: &Request<'_>) -> bool {
        self.rule.matches(request)
    }
}

/// Unit tests; each target that includes this module runs them.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_counting_takes_its_requests() {
        let taken = |which: Which| (1..=12).filter(|number| which.takes(*number)).collect::<Vec<u64>>();
        assert_eq!(taken(Which::All).len(), 12);
        assert_eq!(taken(Which::First(3)), [1, 2, 3]);
        assert_eq!(taken(Which::Nth(4)), [4]);
        assert_eq!(taken(Which::Every(5)), [5, 10]);
    }
}
