//! Brokers that die or hang: the counts are Metadata's own, nothing else waits, and nothing becomes 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup};
use crate::kafka::{Client, Options, Partition, values};

const SOON: Duration = Duration::from_secs(60);

/// Three topics whose leaders lie on all brokers, and a group on each broker's partitions.
async fn workload(client: &Client) {
    client.create_topic("orders", &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], &[]).await.expect("the topic is created");
    for partition in 0..3 {
        client.produce("orders", partition, &values("orders", 50), "all", &[]).await.expect("records are sent");
    }
    for group in 0..8 {
        for partition in 0..3 {
            client.commit(&format!("group-{group}"), "orders", partition, 20).await.expect("a commit");
        }
    }
}

/// A topic as the first broker that answers shows it.
async fn partitions_of(client: &Client, topic: &str) -> Option<Vec<Partition>> {
    for broker in 1..=3 {
        if let Ok(partitions) = client.metadata(broker, topic).await {
            return Some(partitions);
        }
    }
    None
}

/// Under-replicated partitions as the brokers' own Metadata counts them, over all topics.
async fn under_replicated(client: &Client) -> Option<u64> {
    let mut count = 0;
    for topic in ["orders", "__consumer_offsets"] {
        for partition in partitions_of(client, topic).await? {
            count += u64::from(partition.in_sync.len() < partition.replicas.len());
        }
    }
    Some(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_leaves_exactly_its_partitions_under_replicated() {
    let mut cluster = own(Options { dedicated_controller: true, ..Options::default() }).await;
    let client = cluster.client();
    workload(&client).await;
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: "", more: "" }).await;
    daemon.await_turns(3).await;
    daemon.assert_only(&["leader_moved"]).await;
    assert_eq!(daemon.cluster().await["partitions"]["under_replicated"], 0);

    cluster.kill(2).await.expect("it ran");
    crate::kafka::until("metadata shows all of its replicas out of sync", SOON, async || {
        match under_replicated(&client).await {
            Some(7) => Ok(()),
            count => Err(crate::kafka::Error::NotYet(format!("{count:?}"))),
        }
    })
    .await
    .expect("3 partitions of orders and 4 of __consumer_offsets have a replica on broker 2");
    daemon.await_turns(2).await;
    assert_eq!(daemon.cluster().await["partitions"]["under_replicated"], 7);
    let found = daemon.findings_of("partition_under_replicated").await;
    assert_eq!(found.iter().filter(|finding| finding["state"] == "open").count(), 7, "{found:#?}");
    let unreachable = daemon.findings_of("broker_unreachable").await;
    assert_eq!((unreachable.len(), &unreachable[0]["broker"]), (1, &Value::from(2)), "{unreachable:#?}");

    cluster.start_again(2).await.expect("it starts");
    for partition in 0..3 {
        client.until_in_sync("orders", partition, &[1, 2, 3]).await.expect("it catches up");
    }
    daemon
        .await_findings("partition_under_replicated", SOON, |found| {
            found.iter().all(|finding| finding["state"] == "closed")
        })
        .await;
    daemon.await_findings("broker_unreachable", SOON, |found| found.iter().all(|one| one["state"] == "closed")).await;
    daemon
        .assert_only(&["leader_moved", "partition_under_replicated", "partition_at_min_isr", "broker_unreachable"])
        .await;
}

/// What a client that asks each page every 200 ms saw.
#[derive(Default)]
struct Watched {
    slowest: BTreeMap<&'static str, Duration>,
    trouble: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_broker_delays_nothing_and_nothing_becomes_zero() {
    let mut cluster =
        own(Options { dedicated_controller: true, session_timeout_ms: 9_000, ..Options::default() }).await;
    let client = cluster.client();
    workload(&client).await;
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: "", more: "" }).await;
    daemon.await_turns(3).await;

    let over = Arc::new(AtomicBool::new(false));
    let pages = [
        "/",
        "/clusters/main/groups",
        "/clusters/main/groups/group-1",
        "/clusters/main/topics",
        "/clusters/main/topics/orders",
        "/clusters/main/brokers",
        "/clusters/main/findings",
        "/alerts",
        "/metrics",
        "/api/v1/clusters",
        "/api/v1/clusters/main/groups",
        "/api/v1/clusters/main/topics/orders",
        "/readyz",
        "/livez",
    ];
    let watcher = tokio::spawn({
        let (over, address) = (Arc::clone(&over), daemon.address().to_owned());
        async move {
            let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client");
            let mut watched = Watched::default();
            while !over.load(Ordering::Relaxed) {
                for page in pages {
                    let asked = Instant::now();
                    let answer = http.get(format!("{address}{page}")).send().await;
                    let took = asked.elapsed();
                    match answer {
                        Ok(answer) if answer.status().is_success() => {}
                        Ok(answer) => {
                            watched.trouble.insert(format!("{page}: {}", answer.status()));
                        }
                        Err(error) => {
                            watched.trouble.insert(format!("{page}: {error}"));
                        }
                    }
                    let slowest = watched.slowest.entry(page).or_default();
                    *slowest = took.max(*slowest);
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            watched
        }
    });

    let hung = 2;
    cluster.stop(hung).expect("it runs");
    let stopped = Instant::now();
    daemon.await_findings("broker_unreachable", SOON, |found| found.iter().any(|one| one["broker"] == hung)).await;
    // For as long as the controller has not noticed: a third is unknown, the rest is fresh. That may be sooner than the
    // session: it runs since the last heartbeat. So the daemon's own later look says whether an earlier one was before.
    let mut looks = 0;
    loop {
        daemon.await_turns(1).await;
        let (mut fresh, mut unknown) = (0, 0);
        for group in 0..8 {
            let name = format!("group-{group}");
            let view = daemon.json(&format!("/clusters/main/groups/{name}")).await;
            for partition in view["partitions"].as_array().expect("partitions") {
                let lag = &partition["lag"];
                assert_ne!(lag["records"], 0, "{name}: {lag}");
                if lag["state"] == "unknown" {
                    assert!(lag["records"].is_null() && lag["reason"].is_string(), "{name}: {lag}");
                    unknown += 1;
                } else {
                    assert_eq!(lag["records"], 30, "{name}: {lag}");
                    fresh += 1;
                }
            }
        }
        let topic = daemon.json("/clusters/main/topics/orders").await;
        let mut leads = false;
        for partition in topic["partitions"].as_array().expect("partitions") {
            let known = &partition["high_watermark"];
            if partition["leader"] == hung {
                leads = true;
                assert_eq!(known, &Value::Null, "unknown, never 0: {partition:#}");
            } else {
                assert_eq!(known, &Value::from(50), "{partition:#}");
            }
        }
        if !leads {
            break;
        }
        assert!(fresh > 0 && unknown > 0, "some are fresh ({fresh}), some unknown ({unknown})");
        looks += 1;
        assert!(stopped.elapsed() < SOON, "leadership moves");
    }
    assert!(looks >= 2, "turns went on beside the hung broker: {looks}");
    // Leadership moves; then all is known again within two polls.
    for partition in 0..3 {
        client
            .until_partition("somebody else leads", "orders", partition, |seen| {
                seen.leader.is_some_and(|leader| leader != hung)
            })
            .await
            .expect("leadership moves");
    }
    for partition in 0..4 {
        client
            .until_partition("another coordinator", "__consumer_offsets", partition, |seen| {
                seen.leader.is_some_and(|leader| leader != hung)
            })
            .await
            .expect("coordinators move");
    }
    daemon.await_turns(3).await;
    for group in 0..8 {
        let view = daemon.json(&format!("/clusters/main/groups/group-{group}")).await;
        assert_eq!(
            (&view["lag_records"], &view["lag_records_is"]),
            (&Value::from(90), &Value::from("exact")),
            "{view:#}"
        );
    }
    cluster.cont(hung).expect("it was stopped");
    daemon.await_findings("broker_unreachable", SOON, |found| found.iter().all(|one| one["state"] == "closed")).await;
    over.store(true, Ordering::Relaxed);
    let watched = watcher.await.expect("the watcher ends");
    assert!(watched.trouble.is_empty(), "{:#?}", watched.trouble);
    let slow: Vec<_> = watched.slowest.iter().filter(|(_, took)| **took >= Duration::from_secs(1)).collect();
    assert!(slow.is_empty(), "{slow:?}");
    // Nothing was made up meanwhile.
    daemon
        .assert_only(&["leader_moved", "partition_under_replicated", "partition_at_min_isr", "broker_unreachable"])
        .await;
}
