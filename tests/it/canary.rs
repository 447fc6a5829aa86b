//! The canary against real faults: what it reports equals what the brokers' own logs say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kustody::audit::{Lineage, RecordKey, payload};
use serde_json::Value;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup, assert_sums};
use crate::kafka::{Cluster, Log, Options, UncleanTruncation, until};

const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "__kustody.canary";
/// Ten records a second and partition; what is not back within 20 s is overdue.
const CANARY: &str = "canary.enabled = true\ncanary.rate = 20.0\ncanary.deliver_within = \"20s\"\n\
                      canary.acknowledge_within = \"20s\"";

fn count(class: &Value, name: &str) -> u64 {
    class[name].as_u64().unwrap_or_else(|| panic!("{name} is a number: {class:#}"))
}

/// The canaries of a log by offset.
fn canaries(records: &[(i64, Vec<u8>)], lineage: Lineage) -> BTreeMap<i64, RecordKey> {
    records
        .iter()
        .filter_map(|(offset, value)| payload::decode(value, lineage).ok().map(|record| (*offset, record.key)))
        .collect()
}

fn values_of(log: &Log) -> Vec<(i64, Vec<u8>)> {
    log.records.iter().map(|record| (record.offset, record.value.clone().unwrap_or_default())).collect()
}

/// What a broker that is not running has on its disk of partition 0.
fn log_on_disk(cluster: &Cluster, broker: i32) -> Vec<(i64, Vec<u8>)> {
    let directory = cluster.log(broker).expect("the broker is ours").parent().expect("a directory").to_owned();
    let mut records = Vec::new();
    let segments = std::fs::read_dir(directory.join(format!("log/{TOPIC}-0"))).expect("the replica is there");
    for segment in segments {
        let path = segment.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        let mut bytes = bytes::Bytes::from(std::fs::read(&path).expect("a segment is readable"));
        let batches = kafka_protocol::records::RecordBatchDecoder::decode_all(&mut bytes).expect("batches are whole");
        for record in batches.into_iter().flat_map(|batch| batch.records) {
            records.push((record.offset, record.value.map(|value| value.to_vec()).unwrap_or_default()));
        }
    }
    records.sort();
    records
}

/// The offsets that findings of a kind name.
fn offsets(findings: &[Value]) -> BTreeSet<i64> {
    findings
        .iter()
        .flat_map(|finding| {
            let list = finding["evidence"]["lost_offsets"].as_array().expect("evidence.lost_offsets").clone();
            assert_eq!(u64::try_from(list.len()).ok(), finding["count"].as_u64(), "{finding:#}");
            for name in ["offset", "leader_epoch", "log_end"] {
                assert!(finding["evidence"][name].is_i64(), "evidence.{name}: {finding:#}");
            }
            list
        })
        .map(|offset| offset.as_i64().expect("an offset"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_election_loses_exactly_what_the_brokers_logs_say() {
    let mut cluster = own(Options { dedicated_controller: true, ..Options::default() }).await;
    let client = cluster.client();
    let drill = UncleanTruncation::new(TOPIC, 1, 2);
    drill.create(&client).await.expect("the topic is created");
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: CANARY, more: "" }).await;
    let before = daemon.await_canary("idempotent", SOON, |class| count(class, "delivered") >= 60).await;
    assert_sums(&before);
    // The control: nothing has happened, nothing is found.
    daemon.await_turns(3).await;
    daemon.assert_only(&["leader_moved"]).await;

    drill.isolate_leader(&mut cluster).await.expect("one replica is left");
    let alone = count(&daemon.canary("idempotent").await, "acked");
    daemon.await_canary("idempotent", SOON, |class| count(class, "acked") >= alone + 40).await;
    drill.elect_follower(&mut cluster).await.expect("an unclean leader is elected");

    // The oracle: the disk of the former leader, and the log of the new one, both read past the daemon.
    let lineage = daemon.lineage().await;
    let former = canaries(&log_on_disk(&cluster, 1), lineage);
    let now = client.read_all(TOPIC, 0).await.expect("the log is readable");
    let there: BTreeSet<RecordKey> = canaries(&values_of(&now), lineage).into_values().collect();
    let gone: BTreeMap<i64, RecordKey> = former.into_iter().filter(|(_, record)| !there.contains(record)).collect();
    assert!(gone.len() >= 40, "{} records are gone", gone.len());

    let said = async || {
        let mut found = daemon.findings_of("canary_lost").await;
        found.extend(daemon.findings_of("canary_truncated_after_delivery").await);
        found
    };
    // Acknowledgements that were under way when the leader died are nobody's promise: those records are indeterminate.
    let acked = daemon.acked().await;
    let want: BTreeSet<i64> = gone.iter().filter(|(_, key)| acked.contains(key)).map(|(offset, _)| *offset).collect();
    until("every acknowledged record that is gone is named", SOON, async || {
        let found = offsets(&said().await);
        if found == want {
            Ok(())
        } else {
            Err(crate::kafka::Error::NotYet(format!("{} of {}", found.len(), want.len())))
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    daemon.await_turns(3).await;
    assert_eq!(offsets(&said().await), want, "and no other");
    let after = daemon.canary("idempotent").await;
    assert_sums(&after);
    assert_eq!(
        count(&after, "lost") + count(&after, "truncated_after_delivery"),
        u64::try_from(want.len()).expect("a count"),
        "{after:#}"
    );
    assert_eq!(count(&after, "duplicated"), 0, "{after:#}");
    let unacked = gone.len() - want.len();
    assert!(u64::try_from(unacked).expect("a count") <= count(&after, "indeterminate"), "{unacked}: {after:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_under_load_loses_and_duplicates_nothing() {
    let mut cluster = own(Options { dedicated_controller: true, ..Options::default() }).await;
    let client = cluster.client();
    let configs = [("min.insync.replicas", "2")];
    client.create_topic(TOPIC, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], &configs).await.expect("the topic is created");
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: CANARY, more: "" }).await;
    daemon.await_canary("idempotent", SOON, |class| count(class, "delivered") >= 100).await;

    cluster.kill(1).await.expect("it ran");
    client
        .until_partition("somebody else leads", TOPIC, 0, |seen| seen.leader.is_some_and(|leader| leader != 1))
        .await
        .expect("a leader is elected");
    cluster.start_again(1).await.expect("it starts");
    for partition in 0..3 {
        client.until_in_sync(TOPIC, partition, &[1, 2, 3]).await.expect("it catches up");
    }
    let now = count(&daemon.canary("idempotent").await, "sent");
    let class = daemon
        .await_canary("idempotent", SOON, |class| {
            count(class, "sent") >= now + 100 && count(class, "acked") >= now && count(class, "pending") < 30
        })
        .await;
    assert_sums(&class);
    for name in ["lost", "truncated_after_delivery", "duplicated", "phantom", "rejected"] {
        assert_eq!(count(&class, name), 0, "{name}: {class:#}\n{}", daemon.log());
    }
    // The oracle: every acknowledged record is in the logs, once.
    let acked = daemon.acked().await;
    let lineage = daemon.lineage().await;
    let mut copies: BTreeMap<RecordKey, u32> = BTreeMap::new();
    for partition in 0..3 {
        let log = client.read_all(TOPIC, partition).await.expect("the log is readable");
        for key in canaries(&values_of(&log), lineage).into_values() {
            *copies.entry(key).or_default() += 1;
        }
    }
    assert!(acked.len() >= 100 && acked.iter().all(|key| copies.contains_key(key)), "all acknowledged are there");
    assert!(copies.values().all(|copies| *copies == 1), "and once");
    daemon
        .assert_only(&[
            "leader_moved",
            "partition_under_replicated",
            "partition_at_min_isr",
            "partition_offline",
            "partition_under_min_isr",
            "broker_unreachable",
            "canary_overdue",
        ])
        .await;
}
