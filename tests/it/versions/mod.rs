//! One and the same suite on real brokers of each version of Kafka: the oldest supported, the last before 4.0, the newest.
//!
//! A version gets one cluster, on which all five classes of canaries run from the first to the last moment: while nothing
//! happens the cluster is read in every way there is, and then a leader is killed.

#![expect(clippy::print_stderr, reason = "figures for a reader of `make test-versions`")]

mod groups;
mod member;
mod reading;

use kustody::clock::Clock;
use kustody::model::{ClusterName, ClusterSnapshot};
use kustody::wire::{self, Scope};

use crate::clusters::turn;
use crate::doctor::doctor_of;
use crate::kafka::{Error, Options, Version, until, values};
use crate::stage::{Run, SOON, Setting, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn kafka_2_8_is_read_and_audited() -> Result<(), Error> {
    suite(Version::V2_8).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_3_9_is_read_and_audited() -> Result<(), Error> {
    suite(Version::V3_9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_4_3_is_read_and_audited() -> Result<(), Error> {
    suite(Version::V4_3).await
}

/// All classes of canaries; Kafka 2.8 has what each of them needs.
const CLASSES: [&str; 5] = ["acks0", "acks1", "all", "idempotent", "transactional"];

/// What a version needs switched on for the types of groups it has.
fn properties(version: Version) -> Vec<(String, String)> {
    match version {
        Version::V2_8 | Version::V4_3 => Vec::new(),
        // A preview, but of the protocol that 4.0 has by default.
        Version::V3_9 => vec![("group.coordinator.rebalance.protocols".to_owned(), "classic,consumer".to_owned())],
    }
}

async fn suite(version: Version) -> Result<(), Error> {
    let _turn = turn().await;
    let begun = tokio::time::Instant::now();
    // Shown by `--nocapture`.
    let reached = |what: &str| eprintln!("{} {:5.1} s: {what}", version.name(), begun.elapsed().as_secs_f64());
    let classes = CLASSES.map(str::to_owned).to_vec();
    let evidence = std::env::temp_dir().join(format!("kustody-versions-{}", version.name()));
    let run = Run { binary: None, classes, evidence, peer: None, kills: None };
    let options =
        Options { version, dedicated_controller: true, properties: properties(version), ..Options::default() };
    let mut stage = Stage::up(&run, Setting { options, ..Setting::default() }).await;
    reached("canaries flow");
    let client = stage.client.clone();
    client.create_topic("orders", &[&[1, 2, 3], &[2, 3, 1]], &[("min.insync.replicas", "2")]).await?;
    for (partition, count) in [(0, 10), (1, 20)] {
        let produced = client.produce("orders", partition, &values("v", count), "all", &[]).await?;
        assert_eq!(produced.acked.len(), count, "{produced:?}");
    }
    let mut reader = reader(&stage);
    reading::apis_are_those_of_the_version(&reader, version).await;
    reading::topics_are_as_the_brokers_say(&mut reader, &stage).await?;
    reading::what_a_broker_lacks_is_not_supported(&reader, version).await;
    reached("topics are read");
    groups::each_type_is_read(&mut reader, &stage, version).await?;
    reached("groups are read");
    nothing_is_found(&stage).await?;
    reached("nothing was found");
    let canary = "canary.enabled = true";
    let (code, text) = doctor_of(&stage.cluster.bootstrap(), canary, &[]).await;
    let well = ["fits: 3 partitions, replication factor 3", stage.cluster.cluster_id(), "0 problem, 0 unknown"];
    assert!(code == Some(0) && well.iter().all(|line| text.contains(line)), "{text}");

    let before = client.partition("orders", 0).await?;
    stage.kill_leader(1).await;
    reached("another leads");
    reading::the_epoch_of_a_dead_leader_ends_where_it_did(&mut reader, &client, &before).await?;
    stage.flow(50).await;
    stage.bring_back(1).await;
    reached("all are in sync");
    let mut outcome = stage.verdict().await;
    outcome.exactly(&["all", "idempotent", "transactional"], "lost", 0);
    outcome.exactly(&["idempotent", "transactional"], "duplicated", 0);
    outcome.exactly(&["idempotent", "transactional"], "reordered", 0);
    for class in CLASSES {
        let acked = outcome.classes.get(class).map_or(0, |class| class.acked);
        outcome.require(acked >= 100, || format!("{class}: only {acked} were acknowledged"));
    }
    assert_eq!(outcome.problems, [""; 0], "Kafka {}: {outcome:#?}", version.name());
    for (name, class) in &outcome.classes {
        let count = |count: &str| outcome.oracle(name, count);
        let (lost, duplicated) = (count("lost"), count("duplicated"));
        reached(&format!("{name}: {} acked, {lost} lost, {duplicated} duplicated", class.acked));
    }
    Ok(())
}

/// The control: canaries of all classes, groups of all types, and nothing is wrong.
async fn nothing_is_found(stage: &Stage) -> Result<(), Error> {
    until("nothing is found for five turns", SOON, async || {
        let before = stage.daemon.findings().await.len();
        stage.daemon.await_turns(5).await;
        let after = stage.daemon.findings().await;
        let open: Vec<_> = after.iter().filter(|one| one["state"] == "open" && one["kind"] != "leader_moved").collect();
        if after.len() == before && open.is_empty() { Ok(()) } else { Err(Error::NotYet(format!("{open:#?}"))) }
    })
    .await?;
    // Brokers that have just started on a busy machine do let a question wait for seconds, and that is told.
    stage.daemon.assert_only(&["leader_moved", "broker_unreachable"]).await;
    Ok(())
}

/// A reader of the stage's cluster, beside the daemon's own.
fn reader(stage: &Stage) -> wire::Cluster {
    let bootstrap = stage.cluster.bootstrap().split(',').map(str::to_owned).collect();
    let options = wire::Options { bootstrap, ..wire::Options::default() };
    wire::Cluster::new(ClusterName::from("c"), options, Clock::start())
}

/// A turn of it that has to be complete.
async fn turn_of(reader: &mut wire::Cluster, scope: &Scope) -> Result<ClusterSnapshot, Error> {
    let snapshot = reader.snapshot(scope).await;
    if snapshot.is_complete() { Ok(snapshot) } else { Err(Error::NotYet(format!("{:?}", snapshot.missing))) }
}
