//! What the demo plays on: three brokers and a controller, topics, applications, a webhook, and the daemon.

use std::collections::BTreeSet;

use crate::daemon::Daemon;
use crate::dashboard::Dashboard;
use crate::kafka::{Client, Cluster, Error, Options, Produced, values};
use crate::receiver::Receiver;
use crate::screen::Screen;
use crate::workload::Workload;

/// The topic the daemon writes its canaries to.
pub(crate) const CANARY: &str = "__kustody.canary";
/// Where acknowledged records can be lost: two replicas, one of them enough, and unclean elections allowed.
const FRAGILE: &[(&str, &str)] = &[("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")];
const SAFE: &[(&str, &str)] = &[("min.insync.replicas", "2")];
/// Orders and invoices in each partition before anything begins.
const ORDERS: usize = 400;
pub(crate) const INVOICES: usize = 60;
const OTHERS: usize = 30;

struct Topic {
    name: &'static str,
    /// Per partition, the preferred leader first.
    replicas: &'static [&'static [i32]],
    configs: &'static [(&'static str, &'static str)],
    records: usize,
}

const TOPICS: &[Topic] = &[
    Topic { name: "orders", replicas: &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], configs: SAFE, records: ORDERS },
    Topic { name: "payments", replicas: &[&[3, 1, 2]], configs: SAFE, records: OTHERS },
    Topic { name: "audit-log", replicas: &[&[1, 3, 2]], configs: SAFE, records: OTHERS },
    Topic { name: "invoices", replicas: &[&[1, 2, 3], &[3, 2, 1]], configs: SAFE, records: INVOICES },
    Topic { name: "sessions", replicas: &[&[1, 2]], configs: FRAGILE, records: OTHERS },
    Topic { name: CANARY, replicas: &[&[1, 2], &[2, 3], &[3, 1]], configs: FRAGILE, records: 0 },
];

/// Everything that runs. Ended by [`end`](Self::end), or dropped: then without asking anybody.
pub(crate) struct Stage {
    // Dropped in this order: who reads and writes, who watches, who is told, and last the brokers.
    pub(crate) workload: Workload,
    pub(crate) daemon: Daemon,
    pub(crate) receiver: Receiver,
    pub(crate) cluster: Cluster,
}

impl Stage {
    pub(crate) async fn start(screen: Screen) -> anyhow::Result<Self> {
        screen.say("Starting three Kafka brokers and a controller on loopback …");
        let cluster = Cluster::start(Options {
            dedicated_controller: true,
            // Longer than two turns beside a hung broker: what it leads is to be seen unknown before others lead it.
            session_timeout_ms: 6000,
            // Leadership goes home by itself, so that each lap begins as the first one did.
            properties: vec![
                ("auto.leader.rebalance.enable".to_owned(), "true".to_owned()),
                ("leader.imbalance.check.interval.seconds".to_owned(), "5".to_owned()),
            ],
            ..Options::default()
        })
        .await?;
        let client = cluster.client();
        screen.say("Creating topics, filling them, letting groups read …");
        let mut filled = Vec::new();
        for topic in TOPICS {
            client.create_topic(topic.name, topic.replicas, topic.configs).await?;
            for (index, _) in (0..).zip(topic.replicas) {
                let records = produce(&client, topic.name, index, topic.records).await?;
                filled.push((topic.name, index, records));
            }
        }
        let invoices = i64::try_from(INVOICES)?;
        client.commit("invoice-mailer", "invoices", 0, invoices).await?;
        client.commit("tax-report", "invoices", 1, invoices).await?;
        for (group, topic) in [("warehouse-export", "orders"), ("audit-archiver", "audit-log")] {
            let tip =
                filled.iter().find(|(name, index, _)| *name == topic && *index == 0).map_or(0, |(_, _, tip)| *tip);
            client.commit(group, topic, 0, tip).await?;
        }
        let workload = Workload::start(&client, &filled)?;
        screen.say("Starting kustody …");
        let receiver = Receiver::start(screen).await?;
        let daemon = Daemon::start(&cluster.bootstrap(), &receiver.url()).await?;
        Ok(Self { workload, daemon, receiver, cluster })
    }

    pub(crate) fn dashboard(&self) -> &Dashboard {
        self.daemon.dashboard()
    }

    /// Topic and partition of each replica that is not in sync, by the brokers' own metadata.
    pub(crate) async fn out_of_sync(&self) -> Result<BTreeSet<(String, i32)>, Error> {
        let client = self.cluster.client();
        let asked = *self.cluster.alive().first().ok_or(Error::NotYet("no broker runs".to_owned()))?;
        let mut found = BTreeSet::new();
        for topic in TOPICS.iter().map(|topic| topic.name).chain(["__consumer_offsets"]) {
            for partition in client.metadata(asked, topic).await? {
                if partition.in_sync.len() < partition.replicas.len() {
                    found.insert((topic.to_owned(), partition.index));
                }
            }
        }
        Ok(found)
    }

    /// How many partitions have a replica on a broker.
    pub(crate) async fn replicas_on(&self, broker: i32) -> Result<usize, Error> {
        let client = self.cluster.client();
        let asked = *self.cluster.alive().first().ok_or(Error::NotYet("no broker runs".to_owned()))?;
        let mut count = 0;
        for topic in TOPICS.iter().map(|topic| topic.name).chain(["__consumer_offsets"]) {
            let partitions = client.metadata(asked, topic).await?;
            count += partitions.iter().filter(|partition| partition.replicas.contains(&broker)).count();
        }
        Ok(count)
    }

    /// Ends everything in order and waits until it is gone.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let Self { workload, daemon, receiver, cluster } = self;
        drop(workload);
        let ended = daemon.end().await;
        drop(receiver);
        drop(cluster);
        ended
    }
}

/// Appends so many records, and returns the offset after the last one; an error unless all were acknowledged.
pub(crate) async fn produce(client: &Client, topic: &str, partition: i32, count: usize) -> Result<i64, Error> {
    if count == 0 {
        return Ok(0);
    }
    let Produced { acked, failed } = client.produce(topic, partition, &values(topic, count), "all", &[]).await?;
    match acked.last() {
        Some((_, offset)) if failed.is_empty() => Ok(offset + 1),
        Some(_) | None => Err(Error::NotYet(format!("{topic}-{partition} took {} of {count} records", acked.len()))),
    }
}
