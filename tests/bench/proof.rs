//! How long it takes from an election that truncates acknowledged canaries to the finding that counts them all.

use std::collections::BTreeSet;
use std::time::Duration;

use kustody::audit::{RecordKey, payload};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::kafka::{Client, Cluster, Options, UncleanTruncation};
use crate::served::Daemon;

const TOPIC: &str = "__kustody.canary";
const ASK_EVERY: Duration = Duration::from_millis(20);
/// Canaries a second.
pub(crate) const RATE: u32 = 20;

/// One election, by the seconds that the proof took.
pub(crate) struct Proof {
    /// Acknowledged records that are not in the new leader's log.
    pub(crate) lost: u64,
    /// From the first answer of any broker that names the new leader to the whole count.
    pub(crate) since_named: f64,
    /// From the first answer of the new leader itself that names it.
    pub(crate) since_it_answers: f64,
}

/// Loses canaries in a cluster of its own.
pub(crate) async fn measure() -> Proof {
    let options = Options { dedicated_controller: true, ..Options::default() };
    let mut cluster = Cluster::start(options).await.expect("the cluster starts");
    let client = cluster.client();
    let drill = UncleanTruncation::new(TOPIC, 1, 2);
    drill.create(&client).await.expect("the topic is created");
    let settings = format!("canary.enabled = true\ncanary.rate = {RATE}.0");
    let daemon = Daemon::start(&cluster.bootstrap(), &settings).await;
    let more = async |name: &str, than: u64| daemon.canary(name).await.filter(|count| *count >= than);
    daemon.until("canaries are delivered", async || more("delivered", 60).await).await;
    drill.isolate_leader(&mut cluster).await.expect("one replica is left");
    let alone = daemon.canary("acked").await.expect("the canary is served");
    daemon.until("canaries are acknowledged", async || more("acked", alone + 40).await).await;

    let by_another = tokio::spawn(first_answer(client.clone(), 3, 2));
    let by_itself = tokio::spawn(first_answer(client.clone(), 2, 2));
    // The count may be whole before the drill and the oracle are done: it is watched meanwhile.
    let (known, want) = watch::channel(None);
    let election = async {
        drill.elect_follower(&mut cluster).await.expect("an unclean leader is elected");
        let lost = lost(&daemon, &client).await;
        known.send(Some(lost)).expect("the findings are watched until the count is whole");
        lost
    };
    let (lost, complete) = tokio::join!(election, complete(&daemon, want));
    let by_itself = by_itself.await.expect("it was elected");
    let named = by_another.await.expect("it was elected").min(by_itself);
    let since = |instant: Instant| complete.duration_since(instant).as_secs_f64();
    Proof { lost, since_named: since(named), since_it_answers: since(by_itself) }
}

/// When broker `asked` first says that `leader` leads.
async fn first_answer(client: Client, asked: i32, leader: i32) -> Instant {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let partitions = client.metadata(asked, TOPIC).await.unwrap_or_default();
        if partitions.first().is_some_and(|partition| partition.leader == Some(leader)) {
            return Instant::now();
        }
    }
}

/// When the findings first counted what is wanted, as soon as that is known.
async fn complete(daemon: &Daemon, want: watch::Receiver<Option<u64>>) -> Instant {
    let mut seen: Vec<(Instant, u64)> = Vec::new();
    daemon
        .until("every record that is gone is counted", async || {
            seen.extend(counted(daemon).await.map(|count| (Instant::now(), count)));
            let want = (*want.borrow())?;
            seen.iter().find(|(_, count)| *count == want).map(|(at, _)| *at)
        })
        .await
}

/// What the findings count as lost or truncated.
async fn counted(daemon: &Daemon) -> Option<u64> {
    let findings = daemon.items("/findings?state=all&per_page=200").await?;
    let kinds = ["canary_lost", "canary_truncated_after_delivery"];
    let is_loss = |finding: &&Value| finding["kind"].as_str().is_some_and(|kind| kinds.contains(&kind));
    Some(findings.iter().filter(is_loss).filter_map(|finding| finding["count"].as_u64()).sum())
}

/// The oracle: acknowledged records that are not in the log.
async fn lost(daemon: &Daemon, client: &Client) -> u64 {
    let (lineage, acknowledged) = daemon.acknowledged().await;
    let log = client.read_all(TOPIC, 0).await.expect("the log is readable");
    let values = log.records.iter().filter_map(|record| record.value.as_deref());
    let there: BTreeSet<RecordKey> =
        values.filter_map(|value| payload::decode(value, lineage).ok().map(|record| record.key)).collect();
    let lost = acknowledged.iter().filter(|key| !there.contains(key)).count();
    u64::try_from(lost).expect("a count")
}
