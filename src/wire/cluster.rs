//! One cluster: its brokers, and what is remembered of it from turn to turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::configs::Configs;
use super::connection::Limits;
use super::governor::Governor;
use super::group_list::GroupMemory;
use super::hedge::Source;
use super::options::Options;
use super::pool::Pool;
use super::security::Tokens;
use super::surveyor::Surveyor;
use super::topology::{Topology, address};
use super::transport::Address;
use super::watermarks::LogStarts;
use super::witness::Witness;
use crate::clock::Clock;
use crate::model::{Broker, BrokerId, ClusterName, GroupId, GroupType};

/// Reads one cluster, turn by turn.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) name: ClusterName,
    pub(crate) shared: Arc<Shared>,
    pub(crate) memory: Memory,
}

/// What a cluster's turns and its witnesses share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) bootstrap: Vec<Address>,
    pub(crate) clock: Clock,
    pub(crate) pool: Pool,
    /// What the last turn saw.
    pub(crate) view: watch::Sender<Arc<View>>,
}

/// The cluster as the last turn saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) topology: Topology,
    /// Where to find every broker seen since the start, also those that left the metadata.
    pub(crate) addresses: BTreeMap<BrokerId, Address>,
    /// Who gave the topology.
    pub(crate) source: Option<BrokerId>,
}

/// What is remembered of one cluster from turn to turn.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) groups: GroupMemory,
    pub(crate) log_starts: LogStarts,
    pub(crate) configs: Configs,
}

impl Cluster {
    /// A cluster that is connected to when it is first read.
    #[must_use]
    pub fn new(name: ClusterName, options: Options, clock: Clock) -> Self {
        let limits =
            Limits { client_id: options.client_id.clone(), max_frame: options.max_frame, in_flight: options.in_flight };
        let shared = Shared {
            bootstrap: options.addresses(),
            pool: Pool::new(
                limits,
                options.connect_timeout,
                Governor::new(options.max_requests_per_second),
                options.security.clone(),
                clock,
            ),
            clock,
            view: watch::Sender::default(),
            options,
        };
        Self { name, shared: Arc::new(shared), memory: Memory::default() }
    }

    /// A handle that answers questions of proof at any time, also while a turn runs.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness::new(Arc::clone(&self.shared))
    }

    /// Where the tokens of OAUTHBEARER come from, for whoever else connects to this cluster; none for other mechanisms.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        self.shared.pool.keyring().tokens()
    }

    /// A number that grows whenever the files of certificates and passwords were read anew, from 0.
    #[must_use]
    pub fn credentials(&self) -> watch::Receiver<u64> {
        self.shared.pool.keyring().generation()
    }

    /// A handle that answers what no turn reads, at any time.
    #[must_use]
    pub fn surveyor(&self) -> Surveyor {
        Surveyor::new(Arc::clone(&self.shared))
    }

    /// Groups known from before this process started: they count as seen, so that their absence is noticed.
    pub fn remember(&mut self, groups: impl IntoIterator<Item = (GroupId, GroupType)>) {
        for (id, group_type) in groups {
            self.memory.groups.listed(&id, group_type);
        }
    }
}

impl Shared {
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// When a turn that begins now must be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.options.poll_deadline
    }
}

impl View {
    /// Whom to ask for the metadata: who answered last, then every other broker of the metadata, then the bootstrap
    /// addresses that are none of theirs.
    pub(crate) fn sources(&self, bootstrap: &[Address]) -> Vec<Source> {
        let source = self.source.into_iter();
        let present = self.topology.brokers.keys().copied().filter(|id| Some(*id) != self.source);
        let brokers = source.chain(present).map(Source::Broker);
        let known: Vec<_> = self.addresses.values().collect();
        let others = bootstrap.iter().filter(|address| !known.contains(address)).cloned().map(Source::Bootstrap);
        brokers.chain(others).collect()
    }

    /// The next view, after a turn that saw `topology`.
    pub(crate) fn next(&self, topology: Topology, source: Option<BrokerId>) -> Self {
        let present: BTreeMap<BrokerId, Address> =
            topology.brokers.values().map(|broker: &Broker| (broker.id, address(broker))).collect();
        let mut addresses = self.addresses.clone();
        // A broker that left is no longer where another one listens now.
        addresses.retain(|id, address| present.contains_key(id) || !present.values().any(|taken| taken == address));
        addresses.extend(present);
        Self { topology, addresses, source: source.or(self.source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(brokers: &[(i32, u16)]) -> Topology {
        let brokers = brokers.iter().map(|(id, port)| {
            (BrokerId(*id), Broker { id: BrokerId(*id), host: "b".to_owned(), port: *port, rack: None })
        });
        Topology { brokers: brokers.collect(), ..Topology::default() }
    }

    fn at(port: u16) -> Address {
        Address { host: "b".to_owned(), port }
    }

    #[test]
    fn a_broker_that_left_is_kept_until_its_address_is_anothers() {
        let view = View::default().next(topology(&[(1, 1), (2, 2), (3, 3)]), Some(BrokerId(2)));
        let left = view.next(topology(&[(1, 1), (3, 3)]), Some(BrokerId(3)));
        assert_eq!(left.addresses.get(&BrokerId(2)), Some(&at(2)));
        let replaced = left.next(topology(&[(1, 1), (3, 3), (4, 2)]), Some(BrokerId(3)));
        assert_eq!(replaced.addresses.get(&BrokerId(2)), None);
        assert_eq!(replaced.addresses.get(&BrokerId(4)), Some(&at(2)));
    }

    #[test]
    fn who_answered_last_is_asked_first() {
        let view = View::default().next(topology(&[(1, 1), (2, 2)]), Some(BrokerId(2)));
        let want = [Source::Broker(BrokerId(2)), Source::Broker(BrokerId(1)), Source::Bootstrap(at(9))];
        assert_eq!(view.sources(&[at(1), at(9)]), want);
        assert_eq!(View::default().sources(&[at(1)]), [Source::Bootstrap(at(1))]);
    }
}
