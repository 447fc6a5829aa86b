//! The canary's topic: what of it does not fit, whom it does not cover, and what joins it at run time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kustody::audit::{RecordKey, State, payload};
use serde_json::{Value, json};

use crate::clusters::shared;
use crate::daemon::{Daemon, Setup, assert_sums};
use crate::kafka::{Error, until};

const SOON: Duration = Duration::from_secs(60);

fn setup(topic: &str) -> String {
    format!("canary.enabled = true\ncanary.topic = \"{topic}\"\ncanary.rate = 20.0\ntopics.include = [\"^{topic}$\"]")
}

fn count(class: &Value, name: &str) -> u64 {
    class[name].as_u64().unwrap_or_else(|| panic!("{name} is a number: {class:#}"))
}

/// Waits until the canary's object is as wanted, and returns it.
async fn await_canary(daemon: &Daemon, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(what, SOON, async || {
        let canary = daemon.json("/clusters/main/canary").await;
        if holds(&canary) { Ok(canary) } else { Err(Error::NotYet(format!("{canary:#}"))) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()))
}

fn open(found: &[Value]) -> Vec<&Value> {
    found.iter().filter(|finding| finding["state"] == "open").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_pauses_the_canary_until_it_is_changed_back() {
    let cluster = shared().await;
    let client = cluster.client();
    let topic = "fitness.canary";
    let replicas: [&[i32]; 3] = [&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]];
    client.create_topic(topic, &replicas, &[("min.insync.replicas", "2")]).await.expect("the topic is created");
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: &setup(topic), more: "" }).await;

    // The control: a topic that fits is sent to at once, and nothing is said.
    daemon.await_canary("idempotent", SOON, |class| count(class, "delivered") >= 60).await;
    daemon.await_turns(3).await;
    let fit = daemon.json("/clusters/main/canary").await;
    assert_eq!((&fit["paused"], &fit["settings"], &fit["brokers_not_covered"]), (&Value::Null, &json!([]), &json!([])));
    assert_eq!(daemon.findings_of("canary_not_covering").await, Vec::<Value>::new());

    client.alter_topic(topic, &[("cleanup.policy", "compact")]).await.expect("the topic is altered");
    let paused = await_canary(&daemon, "it pauses", |canary| canary["paused"].is_string()).await;
    let why = paused["paused"].as_str().unwrap_or_default();
    assert!(why.contains("cleanup.policy=compact") && why.contains("set cleanup.policy=delete"), "{why}");
    let found = daemon.await_findings("canary_not_covering", SOON, |found| !open(found).is_empty()).await;
    let finding = &found[0];
    assert_eq!((found.len(), &finding["topic"], &finding["severity"]), (1, &json!(topic), &json!("warning")));
    assert!(finding["advice"].as_str().is_some_and(|advice| advice.contains("cleanup.policy=delete")), "{finding:#}");
    assert_eq!(finding["evidence"]["settings"][0]["key"], "cleanup.policy");
    // What was sent before goes on being judged, and nothing more is sent.
    let settled = |class: &Value| count(class, "in_flight") + count(class, "pending") == 0;
    let before = daemon.await_canary("idempotent", SOON, settled).await;
    daemon.await_turns(3).await;
    let after = daemon.canary("idempotent").await;
    assert_eq!(count(&after, "sent"), count(&before, "sent"), "it is paused");
    assert_sums(&after);

    client.alter_topic(topic, &[("cleanup.policy", "delete")]).await.expect("the topic is altered");
    await_canary(&daemon, "it goes on", |canary| canary["paused"].is_null()).await;
    let more = count(&before, "delivered") + 60;
    let class = daemon.await_canary("idempotent", SOON, |class| count(class, "delivered") >= more).await;
    daemon.await_findings("canary_not_covering", SOON, |found| open(found).is_empty()).await;
    for name in ["lost", "duplicated", "truncated_after_delivery", "phantom"] {
        assert_eq!(count(&class, name), 0, "{name}: {class:#}");
    }
    client.delete_topic(topic).await.expect("the topic is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_a_partition_is_named_and_a_new_partition_is_read_from_its_beginning() {
    let cluster = shared().await;
    let client = cluster.client();
    let topic = "placed.canary";
    let replicas: [&[i32]; 2] = [&[1, 2, 3], &[2, 3, 1]];
    client.create_topic(topic, &replicas, &[("min.insync.replicas", "2")]).await.expect("the topic is created");
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: &setup(topic), more: "" }).await;

    let found = daemon.await_findings("canary_not_covering", SOON, |found| !open(found).is_empty()).await;
    let finding = &found[0];
    assert_eq!((found.len(), &finding["count"], &finding["grade"]), (1, &json!(1), &json!("risk")));
    assert_eq!(finding["evidence"]["brokers_not_covered"], json!([3]), "{finding:#}");
    let advice = finding["advice"].as_str().unwrap_or_default();
    assert!(advice.contains("--partitions 3 --replica-assignment 1:2:3,2:3:1,3:1:2"), "{advice}");
    let class = daemon.await_canary("idempotent", SOON, |class| count(class, "delivered") >= 60).await;
    assert!(class["coverage"].as_f64().is_some_and(|coverage| (coverage - 2.0 / 3.0).abs() < 1e-9), "{class:#}");

    client.add_partitions(topic, 2, &[&[3, 1, 2]]).await.expect("a partition is added");
    daemon.await_findings("canary_not_covering", SOON, |found| open(found).is_empty()).await;
    await_canary(&daemon, "the new partition is read", |canary| {
        canary["partitions"][2]["frontier"].as_u64().is_some_and(|next| next >= 40)
            && canary["items"][0]["coverage"] == 1.0
            && canary["brokers_not_covered"] == json!([])
    })
    .await;

    // The oracle: the log of the new partition, read past the daemon.
    let lineage = daemon.lineage().await;
    let log = client.read_all(topic, 2).await.expect("the log is readable");
    let there: BTreeMap<i64, RecordKey> = log
        .records
        .iter()
        .filter_map(|record| {
            let key = payload::decode(record.value.as_deref().unwrap_or_default(), lineage).ok()?.key;
            Some((record.offset, key))
        })
        .collect();
    assert_eq!(there.get(&0).map(|key| key.sequence), Some(0), "sending begins at the beginning");
    let sequences: Vec<u64> = there.values().map(|key| key.sequence).collect();
    assert_eq!(
        sequences,
        (0..u64::try_from(there.len()).expect("a count")).collect::<Vec<_>>(),
        "and leaves nothing out"
    );
    let wanted: BTreeSet<RecordKey> = there.into_values().collect();
    until("all of it is delivered", SOON, async || {
        let rows = daemon.records().await;
        let delivered: BTreeSet<RecordKey> =
            rows.iter().filter(|row| row.state == State::Delivered).map(|row| row.key).collect();
        let left = wanted.difference(&delivered).count();
        if left == 0 { Ok(()) } else { Err(Error::NotYet(format!("{left} of {} are not", wanted.len()))) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    let class = daemon.canary("idempotent").await;
    for name in ["rejected", "indeterminate", "late", "lost", "duplicated", "reread", "phantom"] {
        assert_eq!(count(&class, name), 0, "{name}: {class:#}");
    }
    client.delete_topic(topic).await.expect("the topic is deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_probe_measures_and_touches_nothing_else() {
    let cluster = shared().await;
    let client = cluster.client();
    let topic = "probed.canary";
    let replicas: [&[i32]; 3] = [&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]];
    client.create_topic(topic, &replicas, &[("min.insync.replicas", "2")]).await.expect("the topic is created");
    let setup = setup(topic) + "\ncanary.group_probe = true";
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: &setup, more: "" }).await;

    let measured = |canary: &Value, name: &str| canary["group_probe"][name]["p50"].as_f64();
    let canary = await_canary(&daemon, "joining and committing are measured", |canary| {
        measured(canary, "join_latency_seconds").is_some() && measured(canary, "commit_latency_seconds").is_some()
    })
    .await;
    for name in ["join_latency_seconds", "commit_latency_seconds"] {
        assert!(measured(&canary, name).is_some_and(|seconds| seconds > 0.0 && seconds < 30.0), "{canary:#}");
    }
    assert_eq!(canary["group_probe"]["trouble"], Value::Null);
    let metrics = daemon.text("/metrics").await;
    for stage in ["group_join", "group_commit"] {
        let count = metrics.lines().find(|line| {
            line.starts_with("kustody_canary_latency_seconds_count{") && line.contains(&format!("stage=\"{stage}\""))
        });
        assert!(count.is_some_and(|line| !line.ends_with(" 0")), "{stage}: {count:?}");
    }
    // It is a group like others on the pages, and no finding is made of it; what it reads is told to nobody.
    until("it is listed with its member", SOON, async || {
        let list = daemon.json("/clusters/main/groups?q=kustody-canary-probe").await;
        let members = list["items"][0]["members"].clone();
        if members == 1 { Ok(()) } else { Err(Error::NotYet(format!("{list:#}"))) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    daemon.await_turns(5).await;
    let about = daemon.findings().await.into_iter().filter(|finding| finding["group"] == "kustody-canary-probe");
    assert_eq!(about.collect::<Vec<_>>(), Vec::<Value>::new());
    let class = daemon.canary("idempotent").await;
    assert!(count(&class, "delivered") > 0);
    for name in ["duplicated", "reread", "lost", "phantom", "reordered"] {
        assert_eq!(count(&class, name), 0, "{name}: {class:#}");
    }
    client.delete_topic(topic).await.expect("the topic is deleted");
}
