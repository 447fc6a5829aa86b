//! The properties of a broker under test: small, fast to notice, and without initiative of its own.

use std::path::Path;

use super::place::Place;
use super::{Error, Options};

/// The properties of one node: a broker (its number in the block of ports) or a dedicated controller (`None`).
pub(super) fn properties(
    options: &Options,
    place: &Place,
    voters: &[(i32, u16)],
    id: i32,
    index: Option<u16>,
) -> Result<Vec<(String, String)>, Error> {
    let mut listeners = Vec::new();
    let mut advertised = Vec::new();
    if let Some(index) = index {
        let (own, internal) = (place.port(index), place.port(6 + index));
        let told = options.advertised_ports.get(&id).copied().unwrap_or(own);
        listeners.extend([format!("CLIENT://127.0.0.1:{own}"), format!("INTERNAL://127.0.0.1:{internal}")]);
        let told_inside = options.internal_ports.get(&id).copied().unwrap_or(internal);
        advertised.extend([format!("CLIENT://127.0.0.1:{told}"), format!("INTERNAL://127.0.0.1:{told_inside}")]);
    }
    let secured = options.secured.as_ref().zip(index);
    let secured = secured.map(|(secured, index)| secured.properties(place, id, index)).transpose()?.unwrap_or_default();
    listeners.extend(secured.listeners);
    advertised.extend(secured.advertised);
    let plain = "CLIENT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    let has_zookeeper = options.version.has_zookeeper();
    let protocols = [vec![plain], secured.protocols].concat().join(",");
    // Nobody votes where a ZooKeeper stands in their place.
    let votes = voters.iter().filter(|_| !has_zookeeper).find(|(voter, _)| *voter == id);
    listeners.extend(votes.map(|(_, port)| format!("CONTROLLER://127.0.0.1:{port}")));
    let roles = match (index, votes) {
        (Some(_), Some(_)) => "broker,controller",
        (Some(_), None) => "broker",
        (None, _) => "controller",
    };
    let told = |port: &u16| options.controller_ports.get(&id).copied().unwrap_or(*port);
    let quorum: Vec<String> = voters.iter().map(|(voter, port)| format!("{voter}@127.0.0.1:{}", told(port))).collect();
    let replicas = options.brokers.min(3).to_string();
    let majority = options.brokers.min(2).to_string();
    let session = options.session_timeout_ms.to_string();
    let offsets_partitions = options.offsets_partitions.to_string();
    let node = id.to_string();
    let log = place.directory().join(&node).join("log").display().to_string();
    let (listeners, advertised, quorum) = (listeners.join(","), advertised.join(","), quorum.join(","));
    let mut properties = vec![
        ("log.dirs", log.as_str()),
        ("listeners", &listeners),
        ("listener.security.protocol.map", &protocols),
        // Internal topics as small as they may be; three replicas, so that any one broker may go.
        ("offsets.topic.num.partitions", &offsets_partitions),
        ("offsets.topic.replication.factor", &replicas),
        ("offsets.topic.segment.bytes", "16777216"),
        ("transaction.state.log.num.partitions", "2"),
        ("transaction.state.log.replication.factor", &replicas),
        ("transaction.state.log.min.isr", &majority),
        ("transaction.state.log.segment.bytes", "16777216"),
        ("share.coordinator.state.topic.num.partitions", "2"),
        ("share.coordinator.state.topic.replication.factor", &replicas),
        ("share.coordinator.state.topic.min.isr", &majority),
        ("default.replication.factor", &replicas),
        ("min.insync.replicas", &majority),
        // What a test did not ask for must not happen.
        ("auto.create.topics.enable", "false"),
        ("auto.leader.rebalance.enable", "false"),
        ("log.initial.task.delay.ms", "5000"),
        ("log.retention.check.interval.ms", "5000"),
        // Faults show, and groups settle, in seconds.
        ("replica.lag.time.max.ms", "5000"),
        ("replica.fetch.wait.max.ms", "200"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        ("group.consumer.min.heartbeat.interval.ms", "200"),
        ("group.consumer.heartbeat.interval.ms", "1000"),
        ("group.consumer.min.session.timeout.ms", "1000"),
        ("group.consumer.session.timeout.ms", "10000"),
        ("group.share.min.heartbeat.interval.ms", "200"),
        ("group.share.heartbeat.interval.ms", "1000"),
        ("group.share.min.session.timeout.ms", "1000"),
        ("group.share.session.timeout.ms", "10000"),
        // Few threads and small buffers.
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
        ("background.threads", "2"),
        ("num.recovery.threads.per.data.dir", "1"),
        ("log.cleaner.dedupe.buffer.size", "8388608"),
        ("log.cleaner.io.buffer.size", "65536"),
        ("log.index.size.max.bytes", "1048576"),
    ];
    let zookeeper: String = voters.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
    if has_zookeeper {
        properties.extend([
            ("broker.id", node.as_str()),
            ("zookeeper.connect", &zookeeper),
            ("zookeeper.session.timeout.ms", &session),
            ("zookeeper.connection.timeout.ms", "60000"),
        ]);
    } else {
        properties.extend([
            ("node.id", node.as_str()),
            ("process.roles", roles),
            ("controller.listener.names", "CONTROLLER"),
            ("controller.quorum.voters", &quorum),
            ("broker.session.timeout.ms", &session),
            ("broker.heartbeat.interval.ms", "500"),
        ]);
    }
    if index.is_some() {
        properties.extend([("inter.broker.listener.name", "INTERNAL"), ("advertised.listeners", advertised.as_str())]);
    }
    let own = properties.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    // Of a key given twice a properties file keeps the last.
    Ok(own.chain(secured.others).chain(options.properties.iter().cloned()).collect())
}

/// The properties of the ZooKeeper of a cluster, which is alone and forgets with the test.
pub(super) fn zookeeper(port: u16, directory: &Path) -> Vec<(String, String)> {
    let properties = [
        ("dataDir", directory.join("data").display().to_string()),
        ("clientPort", port.to_string()),
        ("clientPortAddress", "127.0.0.1".to_owned()),
        // Sessions last 2 to 20 ticks.
        ("tickTime", "500".to_owned()),
        ("maxClientCnxns", "0".to_owned()),
        ("admin.enableServer", "false".to_owned()),
    ];
    properties.map(|(key, value)| (key.to_owned(), value)).into()
}
