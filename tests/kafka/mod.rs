//! A real Apache Kafka cluster on loopback, for tests, the demo and benchmarks.
//!
//! ```no_run
//! #[path = "../kafka/mod.rs"]
//! mod kafka;
//!
//! let mut cluster = kafka::Cluster::start(kafka::Options::default()).await?;
//! let client = cluster.client();
//! client.create_topic("orders", &[&[1, 2], &[2, 3]], &[]).await?;
//! cluster.kill(1).await?;
//! client.until_in_sync("orders", 0, &[2]).await?;
//! cluster.start_again(1).await?;
//! ```
//!
//! The JVMs end when the [`Cluster`] is dropped, when the test panics, and when the test's process is killed; their
//! data, in memory, goes with them. `tests/install` prepares what this needs.

#![allow(dead_code, unused_imports, reason = "each target that includes this module uses another part of it")]

mod admin;
mod broker;
mod call;
mod client;
mod error;
mod place;
mod properties;
pub(crate) mod proxy;
mod recipe;
pub(crate) mod secured;
mod surgery;
mod version;
mod workload;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use admin::{Acl, Operation, Resource, quorum_leader};
use broker::Broker;
pub(crate) use broker::spawn_for_life;
pub(crate) use client::{Client, Partition};
pub(crate) use error::Error;
use place::Place;
use properties::{properties, zookeeper};
pub(crate) use recipe::{CleanTruncation, Cut, UncleanTruncation};
pub(crate) use version::Version;
pub(crate) use workload::{Consumer, Log, Produced, Record, values};

/// What kind of cluster is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// What its brokers run.
    pub(crate) version: Version,
    /// Brokers, 1 to 6; their ids are 1, 2, 3, ….
    pub(crate) brokers: u16,
    /// Whether the controller is a JVM of its own, so that every broker may be killed. Without it each broker is a
    /// controller too, and a majority of them must live. Where a ZooKeeper takes the controller's part it always is one.
    pub(crate) dedicated_controller: bool,
    /// How many such controllers; their ids are 100, 101, ….
    pub(crate) controllers: u16,
    /// `broker.session.timeout.ms`, or that of ZooKeeper: a dead or stopped broker is fenced after so many milliseconds.
    pub(crate) session_timeout_ms: u32,
    /// Partitions of `__consumer_offsets`.
    pub(crate) offsets_partitions: u32,
    /// The `-Xmx` of each broker.
    pub(crate) heap: String,
    /// Port told to clients instead of the broker's own, by broker id: where a proxy of the test listens. Brokers among
    /// themselves and [`Client`] go past it.
    pub(crate) advertised_ports: BTreeMap<i32, u16>,
    /// Port told to the other brokers instead of the broker's own, by broker id: where a proxy of the test listens.
    pub(crate) internal_ports: BTreeMap<i32, u16>,
    /// Port of the one dedicated controller as these nodes are told it: where a proxy of the test listens.
    pub(crate) controller_ports: BTreeMap<i32, u16>,
    /// Listeners with TLS and SASL beside the plain ones, for at most three brokers.
    pub(crate) secured: Option<secured::Secured>,
    /// Further properties of every broker; they win over the harness's own.
    pub(crate) properties: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            brokers: 3,
            dedicated_controller: false,
            controllers: 1,
            session_timeout_ms: 3000,
            offsets_partitions: 4,
            heap: "256m".to_owned(),
            advertised_ports: BTreeMap::new(),
            internal_ports: BTreeMap::new(),
            controller_ports: BTreeMap::new(),
            secured: None,
            properties: Vec::new(),
        }
    }
}

/// A running cluster. Dropping it kills its brokers and deletes their data.
#[derive(Debug)]
pub(crate) struct Cluster {
    // Fields are dropped in this order: processes first, then the place they write to.
    brokers: BTreeMap<i32, Broker>,
    controllers: BTreeMap<i32, Broker>,
    place: Place,
    cluster_id: String,
    heap: String,
}

/// Id of the first dedicated controller, or of the ZooKeeper.
pub(crate) const CONTROLLER: i32 = 100;
/// How long a start may take: about 4 s for three brokers alone on two cores, much longer beside a compiler.
const START_LIMIT: Duration = Duration::from_secs(120);

impl Cluster {
    /// Starts a cluster and returns when every broker names all brokers in its metadata.
    pub(crate) async fn start(options: Options) -> Result<Self, Error> {
        Self::start_after(options, |_| {}).await
    }

    /// As [`start`](Self::start); `before` sees the ports before anything runs, to aim proxies between the brokers.
    pub(crate) async fn start_after(options: Options, before: impl Fn(&Self)) -> Result<Self, Error> {
        let most = if options.secured.is_some() { 3 } else { 6 };
        assert!((1..=most).contains(&options.brokers), "a block of ports serves 1 to {most} brokers");
        let mut clashes = 0;
        loop {
            let mut cluster = Self::new(&options)?;
            before(&cluster);
            match cluster.launch_all().await {
                Err(Error::Ended { log, .. }) if clashes < 3 && log.contains("Address already in use") => clashes += 1,
                Err(error) => return Err(error),
                Ok(()) => return Ok(cluster),
            }
        }
    }

    fn new(options: &Options) -> Result<Self, Error> {
        broker::installed(options.version)?;
        let place = Place::claim()?;
        let voters: Vec<(i32, u16)> = if options.version.has_zookeeper() {
            vec![(CONTROLLER, place.port(0))]
        } else if options.dedicated_controller {
            // Combined controllers would have these ports behind those of the brokers.
            (0..options.controllers)
                .map(|index| (CONTROLLER + i32::from(index), place.port(if index == 0 { 0 } else { 12 + index })))
                .collect()
        } else {
            (1..=options.brokers).map(|index| (i32::from(index), place.port(12 + index))).collect()
        };
        let brokers = (1..=options.brokers)
            .map(|index| {
                let id = i32::from(index);
                let directory = place.directory().join(id.to_string());
                let properties = properties(options, &place, &voters, id, Some(index))?;
                Ok((id, Broker::new(id, place.port(index), directory, &properties, options.version)?))
            })
            .collect::<Result<_, Error>>()?;
        let is_dedicated = options.dedicated_controller || options.version.has_zookeeper();
        let dedicated = voters.iter().filter(|_| is_dedicated);
        let controllers = dedicated
            .map(|(id, port)| {
                let directory = place.directory().join(id.to_string());
                let properties = if options.version.has_zookeeper() {
                    zookeeper(*port, &directory)
                } else {
                    properties(options, &place, &voters, *id, None)?
                };
                Ok((*id, Broker::new(*id, *port, directory, &properties, options.version)?))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { brokers, controllers, place, cluster_id: cluster_id(), heap: options.heap.clone() })
    }

    async fn launch_all(&mut self) -> Result<(), Error> {
        for broker in self.controllers.values_mut().chain(self.brokers.values_mut()) {
            broker.launch(&self.heap, &self.cluster_id).await?;
        }
        let all = self.ids();
        self.ready(&all).await?;
        if let Some(broker) = self.brokers.values().find(|broker| broker.version.has_zookeeper()) {
            // The first broker that came up has made it up.
            self.cluster_id = call::cluster_id_at(broker.port).await?;
        }
        Ok(())
    }

    /// Waits until every living broker names at least `ids` in its metadata.
    pub(crate) async fn ready(&mut self, ids: &[i32]) -> Result<(), Error> {
        let what = format!("every broker names {ids:?}");
        let mut ended = None;
        let reached = until(&what, START_LIMIT, async || {
            for broker in self.controllers.values_mut().chain(self.brokers.values_mut()) {
                // A broker that ended cannot become ready: no use in waiting for the deadline.
                match broker.check() {
                    Err(Error::NotRunning(_)) | Ok(()) => {}
                    Err(error) => {
                        ended = Some(error);
                        return Ok(());
                    }
                }
            }
            for broker in self.brokers.values().filter(|broker| broker.has_to_answer()) {
                let named = call::brokers_named_at(broker.port).await?;
                if !ids.iter().all(|id| named.contains(id)) {
                    return Err(Error::NotYet(format!("broker {} names {named:?}", broker.id)));
                }
            }
            Ok(())
        })
        .await;
        ended.map_or(reached, Err)
    }

    /// The ids of all brokers, ascending.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.brokers.keys().copied().collect()
    }

    /// The ids of the brokers that run and are not stopped, ascending.
    pub(crate) fn alive(&self) -> Vec<i32> {
        self.brokers.values().filter(|broker| broker.is_alive()).map(|broker| broker.id).collect()
    }

    /// `bootstrap.servers` with every broker, running or not.
    pub(crate) fn bootstrap(&self) -> String {
        self.bootstrap_of(&self.ids())
    }

    /// `bootstrap.servers` with these brokers.
    pub(crate) fn bootstrap_of(&self, ids: &[i32]) -> String {
        ids.iter().map(|id| format!("127.0.0.1:{}", self.port(*id))).collect::<Vec<_>>().join(",")
    }

    /// The port of a broker's listener for clients.
    pub(crate) fn port(&self, id: i32) -> u16 {
        self.brokers.get(&id).unwrap_or_else(|| panic!("there is no broker {id}")).port
    }

    /// The port of a broker's listener for other brokers.
    pub(crate) fn internal_port(&self, id: i32) -> u16 {
        // As `properties` lays them out.
        self.port(id) + 6
    }

    /// `bootstrap.servers` of a secured listener, by this name of the host.
    pub(crate) fn secured_bootstrap(&self, listener: secured::Listener, host: &str) -> String {
        let ports = self.ids().into_iter().map(|id| self.secured_port(listener, id));
        ports.map(|port| format!("{host}:{port}")).collect::<Vec<_>>().join(",")
    }

    /// The port of a broker's secured listener.
    pub(crate) fn secured_port(&self, listener: secured::Listener, id: i32) -> u16 {
        let index = u16::try_from(id).expect("ids of brokers are small");
        self.place.port(listener.port(index))
    }

    /// The port of a dedicated controller.
    pub(crate) fn controller_port(&self, id: i32) -> u16 {
        self.controllers.get(&id).unwrap_or_else(|| panic!("there is no controller {id}")).port
    }

    /// A client of all brokers, which may outlive this borrow.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.brokers.values().map(|broker| (broker.id, broker.port)).collect())
    }

    /// Kafka's id of this cluster.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The file with a broker's log.
    pub(crate) fn log(&self, id: i32) -> Result<PathBuf, Error> {
        self.brokers.get(&id).map(Broker::log).ok_or(Error::NoSuchBroker(id))
    }

    /// SIGKILL: no clean shutdown, and nobody is told; the controller fences it after the session timeout.
    pub(crate) async fn kill(&mut self, id: i32) -> Result<(), Error> {
        self.broker(id)?.end(libc::SIGKILL).await
    }

    /// SIGTERM: controlled shutdown, which moves leaders away first.
    pub(crate) async fn term(&mut self, id: i32) -> Result<(), Error> {
        self.broker(id)?.end(libc::SIGTERM).await
    }

    /// SIGSTOP: a broker that hangs with open sockets.
    pub(crate) fn stop(&mut self, id: i32) -> Result<(), Error> {
        self.broker(id)?.stop()
    }

    /// SIGCONT: the broker goes on.
    pub(crate) fn cont(&mut self, id: i32) -> Result<(), Error> {
        self.broker(id)?.cont()
    }

    /// Starts a broker or controller that was killed or terminated, and returns when every living broker names it.
    pub(crate) async fn start_again(&mut self, id: i32) -> Result<(), Error> {
        self.launch(id).await?;
        let named: Vec<i32> = self.brokers.contains_key(&id).then_some(id).into_iter().collect();
        self.ready(&named).await
    }

    /// Starts a broker that was killed or terminated, without waiting for it.
    pub(crate) async fn launch(&mut self, id: i32) -> Result<(), Error> {
        let (heap, cluster_id) = (self.heap.clone(), self.cluster_id.clone());
        self.broker(id)?.launch(&heap, &cluster_id).await
    }

    /// Gives a broker or controller another version, from its next start on.
    pub(crate) fn upgrade(&mut self, id: i32, version: Version) -> Result<(), Error> {
        broker::installed(version)?;
        self.broker(id)?.version = version;
        Ok(())
    }

    /// Deletes everything a broker that does not run has on its disk; it is formatted anew at the next start.
    pub(crate) fn wipe(&mut self, id: i32) -> Result<(), Error> {
        self.delete(id, "log")
    }

    /// Deletes one replica (`"orders-0"`) of a broker that does not run.
    pub(crate) fn wipe_partition(&mut self, id: i32, partition: &str) -> Result<(), Error> {
        self.delete(id, &format!("log/{partition}"))
    }

    fn delete(&mut self, id: i32, below: &str) -> Result<(), Error> {
        let broker = self.broker(id)?;
        broker.reap()?;
        let directory = broker.directory.join(below);
        std::fs::remove_dir_all(&directory).map_err(Error::system(format!("delete {}", directory.display())))
    }

    /// The directory of one replica (`"orders-0"`).
    fn replica(&self, id: i32, partition: &str) -> Result<PathBuf, Error> {
        let broker = self.brokers.get(&id).ok_or(Error::NoSuchBroker(id))?;
        Ok(broker.directory.join("log").join(partition))
    }

    fn broker(&mut self, id: i32) -> Result<&mut Broker, Error> {
        self.brokers.get_mut(&id).or_else(|| self.controllers.get_mut(&id)).ok_or(Error::NoSuchBroker(id))
    }
}

/// Asks again and again until the condition is met, and returns what it found; `Err` of the condition means "not yet",
/// and the last one is part of the error after the deadline.
pub(crate) async fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let deadline = tokio::time::Instant::now() + limit;
    let mut pause = Duration::from_millis(10);
    loop {
        let seen = match condition().await {
            Ok(found) => return Ok(found),
            Err(error) => error.to_string(),
        };
        if tokio::time::Instant::now() >= deadline {
            return Err(Error::Deadline { what: what.to_owned(), limit, seen });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// A fresh cluster id: 16 bytes in URL-safe base64, whose last character carries two bits only.
fn cluster_id() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0; 21];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()));
    letters.map(|letter| char::from(*letter)).chain(['A']).collect()
}
