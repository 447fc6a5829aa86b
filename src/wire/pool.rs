//! The connections to all brokers of a cluster: at most one for polling and one for proofs on demand to each.
//!
//! A broker that could not be connected to is left alone for a while that grows with each attempt. Nobody waits for
//! that while: a turn that falls into it gets the last error at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::api::Request;
use super::api::api_versions::ApiVersions;
use super::api::consumer_group_describe::ConsumerGroupDescribe;
use super::api::describe_configs::DescribeConfigs;
use super::api::describe_groups::DescribeGroups;
use super::api::list_groups::ListGroups;
use super::api::list_offsets::ListOffsets;
use super::api::metadata::Metadata;
use super::api::offset_fetch::OffsetFetch;
use super::api::offset_for_leader_epoch::OffsetForLeaderEpoch;
use super::api::sasl_authenticate::SaslAuthenticate;
use super::api::sasl_handshake::SaslHandshake;
use super::connection::{CallError, Connection, Limits, Notes, SessionAt};
use super::governor::Governor;
use super::requests::RequestCounts;
use super::security::{Clues, Held, Keyring, Security};
use super::throttle::Throttle;
use super::transport::{Address, dial};
use crate::clock::Clock;
use crate::model::BrokerId;

/// What a connection is for: a proof on demand never queues behind a poll's largest answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Poll,
    Witness,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// A broker, where the metadata says it listens.
    Broker(BrokerId, Address),
    /// Whichever broker listens there.
    Bootstrap(Address),
}

impl Peer {
    pub(crate) const fn address(&self) -> &Address {
        match self {
            Self::Broker(_, address) | Self::Bootstrap(address) => address,
        }
    }
}

/// One use of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) connection: Connection,
    /// When it was opened.
    pub(crate) since: Instant,
    /// True when it was opened for this use.
    pub(crate) fresh: bool,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Untried,
    Open(Opened),
    Resting {
        failures: u32,
        until: Instant,
        last: CallError,
        /// The material it was tried with.
        generation: u64,
    },
}

#[derive(Clone, Debug)]
struct Opened {
    connection: Connection,
    since: Instant,
    /// The material it was opened with.
    generation: u64,
}

type Slots = BTreeMap<(Peer, Lane), Arc<Mutex<Slot>>>;

#[derive(Debug)]
pub(crate) struct Pool {
    limits: Limits,
    connect_timeout: Duration,
    pub(crate) counts: Arc<RequestCounts>,
    /// How many requests the cluster gets in a second.
    governor: Governor,
    slots: Mutex<Slots>,
    throttles: Mutex<BTreeMap<Peer, Arc<Throttle>>>,
    keyring: Keyring,
}

const FIRST_REST: Duration = Duration::from_millis(250);
/// Short beside any interval between turns: a broker that is back is to be seen by the next one.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Many accounts are locked after some wrong passwords in a row. Changed files end it at once.
const REFUSED_REST: Duration = Duration::from_secs(10);

impl Pool {
    pub(crate) fn new(
        limits: Limits,
        connect_timeout: Duration,
        governor: Governor,
        security: Security,
        clock: Clock,
    ) -> Self {
        let counts = RequestCounts::new(&[
            ApiVersions::NAME,
            SaslHandshake::NAME,
            SaslAuthenticate::NAME,
            Metadata::NAME,
            ListGroups::NAME,
            DescribeGroups::NAME,
            ConsumerGroupDescribe::NAME,
            OffsetFetch::NAME,
            ListOffsets::NAME,
            OffsetForLeaderEpoch::NAME,
            DescribeConfigs::NAME,
        ]);
        Self {
            limits,
            connect_timeout,
            counts: Arc::new(counts),
            governor,
            slots: Mutex::default(),
            throttles: Mutex::default(),
            keyring: Keyring::new(security, clock),
        }
    }

    /// Waits until one more request may be put to `peer`: when its throttle time is over, and the cluster's limit leaves
    /// room; false, at once, when that is not before `deadline`.
    pub(crate) async fn leave(&self, peer: &Peer, lane: Lane, deadline: Instant) -> bool {
        let throttle = self.throttles.lock().await.get(peer).cloned();
        let is_over = match throttle {
            Some(throttle) => throttle.over(deadline).await,
            None => true,
        };
        is_over && self.governor.pass(lane, deadline).await
    }

    /// A sound connection, opened now where there is none.
    pub(crate) async fn line(&self, peer: &Peer, lane: Lane, deadline: Instant) -> Result<Line, CallError> {
        let began = Instant::now();
        if began >= deadline {
            return Err(CallError::TimedOut);
        }
        let slot = Arc::clone(self.slots.lock().await.entry((peer.clone(), lane)).or_default());
        // Whoever comes while another opens it waits for that one's result.
        let mut slot = timeout_at(deadline, slot.lock()).await.map_err(|_| CallError::TimedOut)?;
        let held = self.keyring.held();
        let failures = match &*slot {
            Slot::Open(opened) if opened.generation == held.generation && opened.connection.is_sound() => {
                if renewed(&opened.connection, &held, deadline).await {
                    let Opened { connection, since, .. } = opened.clone();
                    return Ok(Line { connection, since, fresh: false });
                }
                0
            }
            Slot::Resting { until, last, generation, .. }
                if *generation == held.generation && Instant::now() < *until =>
            {
                return Err(last.clone());
            }
            Slot::Resting { failures, .. } => *failures,
            Slot::Open(_) | Slot::Untried => 0,
        };
        match self.open(peer, &held, deadline).await {
            Ok(connection) => {
                if failures > 0 {
                    info!(address = %peer.address(), "broker answers again");
                }
                let since = Instant::now();
                *slot = Slot::Open(Opened { connection: connection.clone(), since, generation: held.generation });
                Ok(Line { connection, since, fresh: true })
            }
            // The time was ours to run out, not the broker's: it does not rest for that.
            Err(CallError::TimedOut) if deadline < began + self.connect_timeout / 2 => Err(CallError::TimedOut),
            Err(error) => {
                if failures == 0 {
                    warn!(address = %peer.address(), %error, "broker cannot be asked");
                }
                let is_refused = matches!(error, CallError::Refused(_));
                let rest = if is_refused { REFUSED_REST } else { rest(failures, jitter()) };
                let (until, generation) = (Instant::now() + rest, held.generation);
                *slot = Slot::Resting { failures: failures.saturating_add(1), until, last: error.clone(), generation };
                Err(error)
            }
        }
    }

    /// Closes the connections to all but `peers`.
    pub(crate) async fn keep(&self, peers: &[Peer]) {
        self.slots.lock().await.retain(|(peer, _), _| peers.contains(peer));
        self.throttles.lock().await.retain(|peer, _| peers.contains(peer));
    }

    /// What connections are made with.
    pub(crate) const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Looks whether the files of certificates and passwords have changed; what is put from then on goes by the new ones.
    pub(crate) async fn look_at_files(&self) {
        self.keyring.look().await;
    }

    async fn open(&self, peer: &Peer, held: &Held, deadline: Instant) -> Result<Connection, CallError> {
        let deadline = deadline.min(Instant::now() + self.connect_timeout);
        let material = held.material.as_ref().map_err(|why| CallError::Refused(why.clone()))?;
        let tls = material.tls.as_ref();
        let dialled = timeout_at(deadline, dial(peer.address(), tls)).await;
        let stream = dialled.map_err(|_| CallError::TimedOut)??;
        let login = material.login.as_ref();
        let certificate = tls.is_some_and(|tls| tls.has_certificate);
        let clues = Clues { tls: tls.is_some(), certificate, sasl: login.is_some() };
        let throttle = Arc::clone(self.throttles.lock().await.entry(peer.clone()).or_default());
        let notes = Notes { counts: Arc::clone(&self.counts), throttle };
        Connection::open(stream, (login, clues), self.limits.clone(), notes, deadline).await
    }
}

/// True when a connection's session holds, if need be by saying again who we are.
async fn renewed(connection: &Connection, held: &Held, deadline: Instant) -> bool {
    let login = held.material.as_ref().ok().and_then(|material| material.login.as_ref());
    match (connection.session_at(Instant::now()), login) {
        (SessionAt::Good, _) => true,
        (SessionAt::ToRenew, Some(login)) => match connection.renew(login, deadline).await {
            Ok(()) => true,
            Err(error) => {
                debug!(%error, "a session is not renewed, so the connection is made anew");
                false
            }
        },
        (SessionAt::ToRenew, None) | (SessionAt::Over, _) => false,
    }
}

/// How long a broker rests after so many failures before this one; `jitter` is in 0..=255.
fn rest(failures: u32, jitter: u8) -> Duration {
    let longest = FIRST_REST.saturating_mul(1 << failures.min(8)).min(LONGEST_REST);
    // Three quarters to all of it, so that many clients do not come back together.
    longest.mul_f64(0.75 + f64::from(jitter) / 1020.0)
}

fn jitter() -> u8 {
    let mut byte = [0; 1];
    // Without randomness there is no jitter, and nothing else is lost.
    getrandom::fill(&mut byte).map_or(0, |()| byte[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_grows_up_to_its_limit() {
        let cases = [(0, 187, 250), (1, 375, 500), (2, 750, 1000), (3, 1500, 2000), (99, 1500, 2000)];
        for (failures, least, most) in cases {
            assert_eq!(rest(failures, 0).as_millis(), least, "{failures} failures");
            assert_eq!(rest(failures, u8::MAX).as_millis(), most, "{failures} failures");
        }
    }

    #[tokio::test]
    async fn a_broker_does_not_rest_because_a_turn_ran_out_of_time() {
        // It accepts, and never says what it offers.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let limits = Limits { client_id: "test".to_owned(), max_frame: 1 << 20, in_flight: 2 };
        let pool = Pool::new(limits, Duration::from_secs(60), Governor::new(0), Security::default(), Clock::start());
        let peer = Peer::Broker(BrokerId(1), Address { host: "127.0.0.1".to_owned(), port });
        let over = Instant::now();
        for deadline in [over, over + Duration::from_millis(20)] {
            let late = pool.line(&peer, Lane::Poll, deadline).await.expect_err("there is no time");
            assert_eq!(late, CallError::TimedOut);
            let slots = pool.slots.lock().await;
            if let Some(slot) = slots.values().next() {
                assert!(matches!(&*slot.lock().await, Slot::Untried), "the next turn asks it at once");
            }
        }
    }

    #[tokio::test]
    async fn a_refused_broker_rests() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let limits = Limits { client_id: "test".to_owned(), max_frame: 1 << 20, in_flight: 2 };
        let pool = Pool::new(limits, Duration::from_secs(2), Governor::new(0), Security::default(), Clock::start());
        let peer = Peer::Broker(BrokerId(1), Address { host: "127.0.0.1".to_owned(), port });
        let soon = Instant::now() + Duration::from_secs(5);
        let refused = pool.line(&peer, Lane::Poll, soon).await.expect_err("nobody listens");
        assert!(matches!(refused, CallError::Unreachable(_)), "{refused}");
        let again = pool.line(&peer, Lane::Poll, soon).await.expect_err("it rests");
        assert_eq!(again, refused);
        let slots = pool.slots.lock().await;
        let slot = slots.values().next().expect("one slot").lock().await;
        assert!(matches!(&*slot, Slot::Resting { failures: 1, .. }), "one attempt was made");
    }
}
