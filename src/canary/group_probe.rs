//! Measures what applications wait for in a consumer group: how long joining takes, and committing.
//!
//! A client and a thread of its own: a group that cannot be joined never touches the canary. What it reads goes nowhere,
//! so that reading again after a rebalance can never look like a duplicate.
//!
//! ```text
//!   outside ── subscribe ──► joining ── assigned ──► member: commits every few seconds ── time is up ──► leaving ─┐
//!      ▲                                                                                                          │
//!      └──────────────────────────────────── revoked, or too slow ────────────────────────────────────────────────┘
//! ```

use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, oneshot};

use super::CanaryError;
use super::client::{Role, log_line, properties};
use super::connection::{Connection, TokenSource};
use crate::audit::PROBE_GROUP;
use crate::clock::Clock;
use crate::model::{Moment, TopicName};

/// How long one poll serves librdkafka before the thread looks at anything else.
const POLL: Duration = Duration::from_millis(100);
/// How long until a client that failed is made anew.
const RETRY: Duration = Duration::from_secs(5);
/// How long leaving is waited for before it joins again all the same.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);
/// Rebalances that may wait to be looked at; the thread that tells them is the one that looks.
const MOVES_WAITING: usize = 64;

/// How often it does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From joining to leaving, after which it joins again.
    pub stay_for: Duration,
    /// From one commit to the next.
    pub commit_every: Duration,
    /// A joining that takes longer is told as trouble, and goes on.
    pub join_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            stay_for: Duration::from_secs(60),
            commit_every: Duration::from_secs(5),
            join_within: Duration::from_secs(30),
        }
    }
}

/// What the probe found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupSample {
    /// From the subscription to the assignment of partitions.
    Joined(Duration),
    /// From a commit to its answer.
    Committed(Duration),
    /// It cannot be measured now.
    Failing(String),
}

/// A member of the group [`PROBE_GROUP`]. Dropped, it leaves by itself.
#[derive(Debug)]
pub struct GroupProbe {
    stop: std_mpsc::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl GroupProbe {
    /// Starts to join, commit and leave. Samples for which there is no room are dropped.
    ///
    /// # Errors
    /// See [`CanaryError`].
    pub fn start(
        kafka: &Connection,
        topic: TopicName,
        pace: Pace,
        clock: Clock,
        samples: mpsc::Sender<GroupSample>,
    ) -> Result<Self, CanaryError> {
        let config = config(kafka);
        // What is wrong with the section is said now, and not by a thread.
        config.create_native_config()?;
        let (stop, stops) = std_mpsc::channel();
        let (done, stopped) = oneshot::channel();
        let probe = Probe { config, tokens: kafka.tokens.clone(), topic, pace, clock, samples, stops };
        std::thread::Builder::new()
            .name("canary-group".to_owned())
            .spawn(move || {
                probe.run();
                // Nobody waits when the daemon goes down without a stop.
                done.send(()).ok();
            })
            .map_err(CanaryError::Thread)?;
        Ok(Self { stop, stopped })
    }

    /// Leaves the group, and returns when it has. A broker that does not answer makes that long.
    pub async fn stop(self) {
        // A thread that is gone has left already.
        self.stop.send(()).ok();
        self.stopped.await.ok();
    }
}

/// The operator's connection, and a member as applications have them.
fn config(kafka: &Connection) -> ClientConfig {
    let mut config: ClientConfig = properties(&kafka.properties, Role::Admin).into_iter().collect();
    for (name, value) in [
        ("group.id", PROBE_GROUP),
        ("client.id", PROBE_GROUP),
        ("auto.offset.reset", "latest"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("fetch.wait.max.ms", "500"),
        ("isolation.level", "read_uncommitted"),
        ("queued.max.messages.kbytes", "1024"),
        ("session.timeout.ms", "10000"),
    ] {
        config.set(name, value);
    }
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Why the thread's work with one client is over.
enum Ended {
    Stopped,
    Broken(String),
}

/// The thread.
struct Probe {
    config: ClientConfig,
    tokens: TokenSource,
    topic: TopicName,
    pace: Pace,
    clock: Clock,
    samples: mpsc::Sender<GroupSample>,
    stops: std_mpsc::Receiver<()>,
}

impl Probe {
    fn run(&self) {
        loop {
            let (told, moves) = std_mpsc::sync_channel(MOVES_WAITING);
            let member =
                self.config.create_with_context(Member { told, clock: self.clock, tokens: self.tokens.clone() });
            let ended =
                member.map_or_else(|error| Ended::Broken(error.to_string()), |member| self.serve(&member, &moves));
            match ended {
                Ended::Stopped => return,
                Ended::Broken(why) => self.tell(GroupSample::Failing(why)),
            }
            match self.stops.recv_timeout(RETRY) {
                Ok(()) | Err(std_mpsc::RecvTimeoutError::Disconnected) => return,
                Err(std_mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn tell(&self, sample: GroupSample) {
        // Full, or nobody listens any more: one sample less.
        self.samples.try_send(sample).ok();
    }

    fn is_stopped(&self) -> bool {
        !matches!(self.stops.try_recv(), Err(std_mpsc::TryRecvError::Empty))
    }

    /// Joins, commits and leaves with one client, again and again.
    fn serve(&self, member: &Client, moves: &std_mpsc::Receiver<Move>) -> Ended {
        loop {
            moves.try_iter().for_each(drop);
            let begun = self.clock.now();
            if let Err(error) = member.subscribe(&[self.topic.as_str()]) {
                return Ended::Broken(error.to_string());
            }
            if let Some(ended) = self.join(member, moves, begun).or_else(|| self.stay(member)) {
                return ended;
            }
            moves.try_iter().for_each(drop);
            member.unsubscribe();
            if let Some(ended) = self.leave(member, moves) {
                return ended;
            }
        }
    }

    fn join(&self, member: &Client, moves: &std_mpsc::Receiver<Move>, begun: Moment) -> Option<Ended> {
        let mut told = begun.mono;
        let mut last = None;
        loop {
            match self.poll(member) {
                Ok(error) => last = error.or(last),
                Err(ended) => return Some(ended),
            }
            for moved in moves.try_iter() {
                if let Move::Assigned(at) = moved {
                    self.tell(GroupSample::Joined(at.mono.saturating_sub(begun.mono)));
                    return None;
                }
            }
            let now = self.clock.now().mono;
            if now.saturating_sub(told) > self.pace.join_within {
                told = now;
                let waited = now.saturating_sub(begun.mono).as_secs();
                let why = last.as_ref().map_or_else(String::new, |error: &String| format!(": {error}"));
                self.tell(GroupSample::Failing(format!("no partition was assigned for {waited} s{why}")));
            }
        }
    }

    fn stay(&self, member: &Client) -> Option<Ended> {
        let joined = self.clock.now().mono;
        let until = joined + self.pace.stay_for;
        let mut commit_at = joined;
        while self.clock.now().mono < until {
            if let Err(ended) = self.poll(member) {
                return Some(ended);
            }
            if self.clock.now().mono >= commit_at && self.commit(member) {
                commit_at = self.clock.now().mono + self.pace.commit_every;
            }
        }
        None
    }

    fn leave(&self, member: &Client, moves: &std_mpsc::Receiver<Move>) -> Option<Ended> {
        let begun = self.clock.now().mono;
        while self.clock.now().mono.saturating_sub(begun) < LEAVE_WITHIN {
            if let Err(ended) = self.poll(member) {
                return Some(ended);
            }
            if moves.try_iter().any(|moved| matches!(moved, Move::Revoked)) {
                return None;
            }
        }
        None
    }

    /// Serves librdkafka for a moment. What is read is not looked at; the text of an error is.
    fn poll(&self, member: &Client) -> Result<Option<String>, Ended> {
        if self.is_stopped() {
            return Err(Ended::Stopped);
        }
        match member.poll(POLL) {
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => Err(Ended::Broken(code.to_string())),
            Some(Err(error)) => Ok(Some(error.to_string())),
            Some(Ok(_)) | None => Ok(None),
        }
    }

    /// Commits how far it has read; false while there is nothing to commit.
    fn commit(&self, member: &Client) -> bool {
        let Ok(offsets) = member.position().and_then(|positions| read_offsets(&positions)) else { return false };
        if offsets.count() == 0 {
            return false;
        }
        let begun = self.clock.now();
        self.tell(match member.commit(&offsets, CommitMode::Sync) {
            Ok(()) => GroupSample::Committed(self.clock.now().mono.saturating_sub(begun.mono)),
            Err(error) => GroupSample::Failing(format!("a commit was refused: {error}")),
        });
        true
    }
}

/// The partitions of which something was read.
fn read_offsets(positions: &TopicPartitionList) -> Result<TopicPartitionList, KafkaError> {
    let mut offsets = TopicPartitionList::new();
    for position in positions.elements() {
        if let Offset::Offset(_) = position.offset() {
            offsets.add_partition_offset(position.topic(), position.partition(), position.offset())?;
        }
    }
    Ok(offsets)
}

/// What a rebalance did.
enum Move {
    Assigned(Moment),
    Revoked,
}

type Client = BaseConsumer<Member>;

/// Takes the time of rebalances, on the polling thread.
struct Member {
    told: std_mpsc::SyncSender<Move>,
    clock: Clock,
    tokens: TokenSource,
}

impl ClientContext for Member {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.token()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log_line("group probe", level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = "group probe", %error, reason, "librdkafka");
    }
}

impl ConsumerContext for Member {
    fn post_rebalance(&self, member: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let moved = match rebalance {
            Rebalance::Assign(partitions) => {
                let at = self.clock.now();
                begin_at_the_end(member, partitions);
                Move::Assigned(at)
            }
            Rebalance::Revoke(_) | Rebalance::Error(_) => Move::Revoked,
        };
        // Full of moves that nobody looked at: the thread is in a commit, and asks for the latest only.
        self.told.try_send(moved).ok();
    }
}

/// What was missed while it was away is of no use.
fn begin_at_the_end(member: &BaseConsumer<Member>, partitions: &TopicPartitionList) {
    let mut ends = partitions.clone();
    let moved = ends.set_all_offsets(Offset::End).and_then(|()| member.assign(&ends));
    if let Err(error) = moved {
        tracing::debug!(%error, "the group probe begins at its last commit");
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext};
    use tokio::time::timeout;

    use super::*;

    /// Longer than anything here takes on a busy machine.
    const LONG: Duration = Duration::from_secs(60);

    fn section(bootstrap: &str) -> Connection {
        [("bootstrap.servers", bootstrap)].into_iter().collect::<crate::model::Properties>().into()
    }

    fn start(bootstrap: &str, pace: Pace) -> (GroupProbe, mpsc::Receiver<GroupSample>) {
        let (told, samples) = mpsc::channel(16);
        let probe = GroupProbe::start(&section(bootstrap), "canary".into(), pace, Clock::start(), told);
        (probe.expect("a probe"), samples)
    }

    #[tokio::test]
    async fn it_joins_commits_leaves_and_joins_again() {
        let mock: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).expect("a mock cluster");
        mock.create_topic("canary", 2, 1).expect("a topic");
        let bootstrap = mock.bootstrap_servers();
        let producer: BaseProducer = section(&bootstrap)
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<ClientConfig>()
            .create()
            .expect("a producer");
        let pace =
            Pace { stay_for: Duration::from_secs(2), commit_every: Duration::from_millis(100), ..Pace::default() };
        let (probe, mut samples) = start(&bootstrap, pace);
        let (mut joined, mut after_second, mut seen) = (0, 0, Vec::new());
        let measured = async {
            while after_second < 2 {
                // A position to commit needs something to read.
                let record = BaseRecord::<(), [u8]>::to("canary").partition(0).payload(b"x".as_slice());
                producer.send(record).expect("there is room");
                producer.poll(Duration::ZERO);
                let sample = timeout(Duration::from_millis(100), samples.recv()).await.ok().flatten();
                seen.extend(sample.clone());
                match sample {
                    Some(GroupSample::Joined(took)) => {
                        assert!(took > Duration::ZERO);
                        joined += 1;
                    }
                    Some(GroupSample::Committed(_)) => after_second += u32::from(joined >= 2),
                    Some(GroupSample::Failing(why)) => panic!("{why}"),
                    None => {}
                }
            }
        };
        let ended = timeout(LONG, measured).await;
        assert!(ended.is_ok(), "{seen:?}");
        timeout(LONG, probe.stop()).await.expect("it leaves");
    }

    #[tokio::test]
    async fn a_group_that_cannot_be_joined_is_told_again_and_again_and_ends_when_told_to() {
        let pace = Pace { join_within: Duration::from_millis(300), ..Pace::default() };
        let (probe, mut samples) = start("127.0.0.1:1", pace);
        for _ in 0..2 {
            let sample = timeout(LONG, samples.recv()).await.expect("it says so");
            assert!(
                matches!(&sample, Some(GroupSample::Failing(why)) if why.contains("no partition was assigned")),
                "{sample:?}"
            );
        }
        timeout(LONG, probe.stop()).await.expect("it ends");
    }

    #[test]
    fn what_librdkafka_refuses_is_said_at_the_start() {
        let (told, _samples) = mpsc::channel(1);
        let mut wrong = section("127.0.0.1:1");
        wrong.properties.insert("no.such.property".to_owned(), "1".to_owned());
        let error = GroupProbe::start(&wrong, "canary".into(), Pace::default(), Clock::start(), told);
        assert!(matches!(error, Err(CanaryError::Property { name, .. }) if name == "no.such.property"));
    }
}
