//! A broker in this process: it answers in `kafka-protocol`'s encoding what its cluster's script says.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::RequestHeader;
use kafka_protocol::protocol::{Decodable, Encodable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::answers::answer;

/// How a broker behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers everything.
    #[default]
    Healthy,
    /// Accepts connections and never answers: stopped by SIGSTOP.
    Hung,
    /// Answers this API with half a frame and closes.
    Cuts(i16),
    /// Answers this API with the correlation id of another request.
    Confuses(i16),
    /// Does not answer this API.
    Withholds(i16),
}

/// Leader and leader epoch of each topic's partitions.
type Leaders = BTreeMap<&'static str, Vec<(i32, i32)>>;

/// What the brokers of one cluster say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Node id to port, as Metadata names them.
    pub(crate) brokers: BTreeMap<i32, u16>,
    pub(crate) manners: BTreeMap<i32, Manner>,
    /// Topic to partitions: leader and leader epoch. A leader of -1 is none.
    pub(crate) topics: Leaders,
    /// Another view of the leaders, by broker.
    pub(crate) views: BTreeMap<i32, Leaders>,
    /// Group to the brokers that list it, and its type.
    pub(crate) listed: BTreeMap<&'static str, (Vec<i32>, &'static str)>,
    /// What each group committed: topic, partition, offset, leader epoch.
    pub(crate) commits: BTreeMap<&'static str, Vec<(&'static str, i32, i64, i32)>>,
    /// Log start, last stable offset, high watermark of every partition.
    pub(crate) ends: (i64, i64, i64),
    /// The answer to every OffsetForLeaderEpoch: epoch and end.
    pub(crate) epoch_end: (i32, i64),
    /// An error code for an API of a broker, in place of its answers' own.
    pub(crate) errors: BTreeMap<(i32, i16), i16>,
    /// The newest version offered of an API; of those that are not here, what every broker offers.
    pub(crate) newest: BTreeMap<i16, i16>,
    /// The state in which a group is listed and described; `Stable` without.
    pub(crate) states: BTreeMap<&'static str, &'static str>,
    /// The throttle time, in milliseconds, in a broker's answers of an API.
    pub(crate) throttles: BTreeMap<(i32, i16), i32>,
    /// How often each broker was started again: its connections end with each start.
    pub(crate) starts: BTreeMap<i32, u32>,
}

/// The connections of one broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) open: usize,
    /// The most at any time.
    pub(crate) most: usize,
}

/// A running cluster of scripted brokers.
pub(crate) struct Scripted {
    pub(crate) script: watch::Sender<Script>,
    /// Requests seen, each by broker and API, in the order they came.
    pub(crate) seen: watch::Sender<Vec<(i32, i16)>>,
    /// When each of these came.
    pub(crate) times: watch::Sender<Vec<Instant>>,
    pub(crate) connections: watch::Sender<BTreeMap<i32, Connections>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Starts brokers with these node ids.
    pub(crate) async fn start(ids: &[i32], script: Script) -> Self {
        let script = watch::Sender::new(script);
        let (seen, times) = (watch::Sender::default(), watch::Sender::default());
        let connections = watch::Sender::default();
        let mut tasks = JoinSet::new();
        for id in ids.iter().copied() {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            let port = listener.local_addr().expect("it is bound").port();
            script.send_modify(|script| {
                script.brokers.insert(id, port);
            });
            let notes = Notes { seen: seen.clone(), times: times.clone(), connections: connections.clone() };
            tasks.spawn(serve(id, listener, script.clone(), notes));
        }
        Self { script, seen, times, connections, _tasks: tasks }
    }

    pub(crate) fn address(&self, id: i32) -> String {
        let port = *self.script.borrow().brokers.get(&id).expect("it was started");
        format!("127.0.0.1:{port}")
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        self.script.send_modify(change);
    }

    pub(crate) fn requests(&self, id: i32, api: i16) -> usize {
        self.seen.borrow().iter().filter(|seen| **seen == (id, api)).count()
    }

    /// Requests of an API to any broker.
    pub(crate) fn asked(&self, api: i16) -> usize {
        self.seen.borrow().iter().filter(|(_, seen)| *seen == api).count()
    }

    /// When a broker was asked an API for the last time.
    pub(crate) fn asked_at(&self, id: i32, api: i16) -> Instant {
        let index = self.seen.borrow().iter().rposition(|seen| *seen == (id, api)).expect("it was asked");
        *self.times.borrow().get(index).expect("each has its time")
    }

    /// Returns once a broker was asked an API so many times.
    pub(crate) async fn until_asked(&self, id: i32, api: i16, count: usize) {
        let mut seen = self.seen.subscribe();
        let asked = seen.wait_for(|seen| seen.iter().filter(|seen| **seen == (id, api)).count() >= count);
        drop(timeout(Duration::from_secs(10), asked).await.expect("it is asked").expect("the broker runs"));
    }

    /// Starts a broker again, as far as its connections show.
    pub(crate) fn start_again(&self, id: i32) {
        self.change(|script| *script.starts.entry(id).or_default() += 1);
    }
}

/// Where a broker writes down what happens to it.
#[derive(Clone)]
struct Notes {
    seen: watch::Sender<Vec<(i32, i16)>>,
    times: watch::Sender<Vec<Instant>>,
    connections: watch::Sender<BTreeMap<i32, Connections>>,
}

impl Notes {
    fn connected(&self, id: i32) {
        self.connections.send_modify(|connections| {
            let connections = connections.entry(id).or_default();
            connections.open += 1;
            connections.most = connections.most.max(connections.open);
        });
    }

    fn closed(&self, id: i32) {
        self.connections.send_modify(|connections| {
            connections.entry(id).or_default().open -= 1;
        });
    }

    fn asked(&self, id: i32, api: i16) {
        self.times.send_modify(|times| times.push(Instant::now()));
        self.seen.send_modify(|seen| seen.push((id, api)));
    }
}

async fn serve(id: i32, listener: TcpListener, script: watch::Sender<Script>, notes: Notes) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (script, notes) = (script.clone(), notes.clone());
        notes.connected(id);
        connections.spawn(async move {
            let mut starts = script.subscribe();
            let started = starts.borrow_and_update().starts.get(&id).copied();
            tokio::select! {
                // A connection that the client closed is no failure of the broker.
                ended = converse(id, stream, &script, &notes) => ended.unwrap_or_default(),
                again = starts.wait_for(|script| script.starts.get(&id).copied() != started) => drop(again),
            }
            notes.closed(id);
        });
    }
}

async fn converse(
    id: i32,
    mut stream: TcpStream,
    script: &watch::Sender<Script>,
    notes: &Notes,
) -> std::io::Result<()> {
    loop {
        let length = stream.read_u32().await?;
        let mut frame = vec![0; usize::try_from(length).expect("32 bits fit")];
        stream.read_exact(&mut frame).await?;
        let mut frame = Bytes::from(frame);
        let (api, version) = {
            let mut peek = frame.clone();
            (peek.get_i16(), peek.get_i16())
        };
        notes.asked(id, api);
        let header_version =
            kafka_protocol::messages::ApiKey::try_from(api).expect("an API").request_header_version(version);
        let header = RequestHeader::decode(&mut frame, header_version).expect("a header");
        let mut changes = script.subscribe();
        let hangs = |script: &Script| match script.manners.get(&id) {
            Some(Manner::Hung) => true,
            Some(Manner::Withholds(withheld)) => *withheld == api,
            Some(Manner::Healthy | Manner::Cuts(_) | Manner::Confuses(_)) | None => false,
        };
        let current = changes.wait_for(|script| !hangs(script)).await.expect("the script is there").clone();
        let manner = current.manners.get(&id).cloned().unwrap_or_default();
        let mut correlation = header.correlation_id;
        if manner == Manner::Confuses(api) {
            correlation += 1_000;
        }
        let body = answer(id, &current, api, version, frame);
        let mut bytes = BytesMut::new();
        let response_version =
            kafka_protocol::messages::ApiKey::try_from(api).expect("an API").response_header_version(version);
        kafka_protocol::messages::ResponseHeader::default()
            .with_correlation_id(correlation)
            .encode(&mut bytes, response_version)
            .expect("a header");
        bytes.extend(body);
        stream.write_u32(u32::try_from(bytes.len()).expect("small")).await?;
        if manner == Manner::Cuts(api) {
            stream.write_all(bytes.get(..bytes.len() / 2).expect("half of it")).await?;
            return Ok(());
        }
        stream.write_all(&bytes).await?;
    }
}
