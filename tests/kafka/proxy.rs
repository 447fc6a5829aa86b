//! A proxy before each broker that understands Kafka's frames, and misbehaves on order.
//!
//! ```no_run
//! let proxy = Proxy::bind(&[1, 2, 3]).await?;
//! let cluster = Cluster::start(Options { advertised_ports: proxy.ports(), ..Options::default() }).await?;
//! proxy.aim(&cluster);
//! let dropped = proxy.rule(Rule { api: Some(PRODUCE), which: Which::First(3), ..Rule::new(Fault::Hangup) });
//! // … clients of proxy.bootstrap() see the first three produce responses replaced by a closed connection.
//! assert_eq!(dropped.hits(), 3);
//! ```
//!
//! Requests are matched when they arrive; what a rule does happens to their responses, so a dropped response is that of
//! a request the broker has carried out. A connection has the id of the broker it was opened to.

mod frame;
mod pump;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Cluster, Error};
pub(crate) use frame::{FETCH, PRODUCE, Request};
pub(crate) use rule::{Applied, Fault, Rule, Which};

/// One listener per broker. Dropping it closes them and every connection.
#[derive(Debug)]
pub(crate) struct Proxy {
    ports: BTreeMap<i32, u16>,
    shared: Arc<Shared>,
    listeners: Vec<JoinHandle<()>>,
}

/// What all connections look at.
#[derive(Debug)]
struct Shared {
    /// Where a broker really listens; connections to a broker that is not there are closed at once.
    targets: watch::Sender<BTreeMap<i32, u16>>,
    rules: watch::Sender<Vec<Arc<Applied>>>,
    /// Links over which nothing passes: the sockets stay open, and new ones are taken.
    held: watch::Sender<Vec<Link>>,
    /// Counts resets; a connection that sees it change for its broker resets itself.
    resets: watch::Sender<BTreeMap<i32, u64>>,
    connections: AtomicU64,
    requests: AtomicU64,
    /// What was asked, by client id and api key.
    asked: watch::Sender<BTreeSet<(String, i16)>>,
}

/// Connections to a broker, of all clients or of those whose client id begins with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) broker: i32,
    pub(crate) client: Option<String>,
}

impl Link {
    fn holds(&self, broker: i32, client: &str) -> bool {
        self.broker == broker && self.client.as_ref().is_none_or(|begin| client.starts_with(begin))
    }
}

impl Proxy {
    /// Opens a port for each of these brokers, before there is a cluster.
    pub(crate) async fn bind(brokers: &[i32]) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            targets: watch::Sender::default(),
            rules: watch::Sender::default(),
            held: watch::Sender::default(),
            resets: watch::Sender::default(),
            connections: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            asked: watch::Sender::default(),
        });
        let (mut ports, mut listeners) = (BTreeMap::new(), Vec::new());
        for broker in brokers {
            let bound = TcpListener::bind("127.0.0.1:0").await;
            let listener = bound.map_err(Error::system("bind a port of the proxy"))?;
            let address = listener.local_addr().map_err(Error::system("see a port of the proxy"))?;
            ports.insert(*broker, address.port());
            listeners.push(tokio::spawn(accept(*broker, listener, Arc::clone(&shared))));
        }
        Ok(Self { ports, shared, listeners })
    }

    /// The ports it listens on, by broker: what the brokers are to advertise.
    pub(crate) fn ports(&self) -> BTreeMap<i32, u16> {
        self.ports.clone()
    }

    /// `bootstrap.servers` through the proxy.
    pub(crate) fn bootstrap(&self) -> String {
        self.ports.values().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// From now on connections go on to the brokers of this cluster.
    pub(crate) fn aim(&self, cluster: &Cluster) {
        self.aim_at(self.ports.keys().map(|id| (*id, cluster.port(*id))).collect());
    }

    /// From now on connections to these brokers go on to these ports of 127.0.0.1.
    pub(crate) fn aim_at(&self, targets: BTreeMap<i32, u16>) {
        self.shared.targets.send_replace(targets);
    }

    /// Applies a rule to the requests to come, until it is lifted. Of several that match a request the first counts.
    pub(crate) fn rule(&self, rule: Rule) -> Arc<Applied> {
        let applied = Arc::new(Applied::new(rule));
        self.shared.rules.send_modify(|rules| rules.push(Arc::clone(&applied)));
        applied
    }

    /// Lifts a rule: requests to come pass.
    pub(crate) fn lift(&self, applied: &Arc<Applied>) {
        self.shared.rules.send_modify(|rules| rules.retain(|rule| !Arc::ptr_eq(rule, applied)));
    }

    /// Nothing passes over this link until it is released: a black hole. New connections are taken all the same.
    pub(crate) fn hold(&self, link: Link) {
        self.shared.held.send_modify(|held| held.push(link));
    }

    /// Lets everything pass again, what waited included.
    pub(crate) fn release(&self) {
        self.shared.held.send_replace(Vec::new());
    }

    /// Closes every connection to a broker with RST.
    pub(crate) fn reset(&self, broker: i32) {
        self.shared.resets.send_modify(|resets| *resets.entry(broker).or_default() += 1);
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Who asked what so far, by client id and api key.
    pub(crate) fn asked(&self) -> BTreeSet<(String, i16)> {
        self.shared.asked.borrow().clone()
    }

    /// Requests seen so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(broker: i32, listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // Aborted with this task: a JoinSet ends its tasks when it is dropped.
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                connections.spawn(pump::serve(broker, client, Arc::clone(&shared)));
            }
            // Out of file descriptors, say: the client sees a connection that is not taken.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
}
