//! Applications at work: one that writes, some that read and commit.
//!
//! The groups whose counts must be exact have no members: their commits are the demo's own, so that nothing but the
//! demo moves them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, ProducerContext};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::kafka::{Client, Consumer};

/// A beat of the writer. `payments` gets three records in each, which is more than its reader can take.
const BEAT: Duration = Duration::from_millis(250);
/// How often the groups without members commit.
const COMMIT_EVERY: Duration = Duration::from_secs(2);

/// The groups without members, and the topic of which each reads partition 0.
const FOLLOWERS: &[(&str, &str)] =
    &[("warehouse-export", "orders"), ("audit-archiver", "audit-log"), ("session-store", "sessions")];

/// Where each log ends, as far as the writer was told.
#[derive(Debug)]
pub(crate) struct Tips(BTreeMap<(&'static str, i32), AtomicI64>);

impl Tips {
    fn set(&self, topic: &str, partition: i32, offset: i64) {
        let found = self.0.iter().find(|((name, index), _)| *name == topic && *index == partition);
        if let Some((_, tip)) = found {
            tip.store(offset, Ordering::Relaxed);
        }
    }

    /// The offset after the last acknowledged record.
    pub(crate) fn of(&self, topic: &str, partition: i32) -> i64 {
        let found = self.0.iter().find(|((name, index), _)| *name == topic && *index == partition);
        found.map_or(0, |(_, tip)| tip.load(Ordering::Relaxed))
    }
}

/// Everything that reads and writes beside the tour; ends when dropped.
pub(crate) struct Workload {
    tips: Arc<Tips>,
    stop: Arc<AtomicBool>,
    /// What each group without members committed last; locked while it commits.
    followers: BTreeMap<&'static str, Arc<Mutex<i64>>>,
    followers_end: CancellationToken,
    _billing: Consumer,
    _fraud_scoring: Consumer,
}

impl Workload {
    /// Starts to write to and read from topics that hold these many records now.
    pub(crate) fn start(client: &Client, filled: &[(&'static str, i32, i64)]) -> anyhow::Result<Self> {
        let tips = filled.iter().map(|(topic, partition, tip)| ((*topic, *partition), AtomicI64::new(*tip)));
        let tips = Arc::new(Tips(tips.collect()));
        let stop = Arc::new(AtomicBool::new(false));
        write(client, Arc::clone(&tips), Arc::clone(&stop))?;
        let followers: BTreeMap<_, _> =
            FOLLOWERS.iter().map(|(group, topic)| (*group, Arc::new(Mutex::new(tips.of(topic, 0))))).collect();
        let followers_end = CancellationToken::new();
        follow(client, &tips, &followers, followers_end.clone());
        let settings = |id| [("client.id", id), ("auto.commit.interval.ms", "1000")];
        let billing = client.consume("billing", "orders", &settings("billing-7d9f"))?;
        let fraud_scoring = client.consume("fraud-scoring", "payments", &settings("scorer-1"))?;
        fraud_scoring.delay(Duration::from_millis(500));
        Ok(Self { tips, stop, followers, followers_end, _billing: billing, _fraud_scoring: fraud_scoring })
    }

    pub(crate) fn tips(&self) -> &Tips {
        &self.tips
    }

    /// Keeps a group from committing until the guard is dropped; the guard holds what it committed last.
    pub(crate) async fn hold(&self, group: &str) -> anyhow::Result<OwnedMutexGuard<i64>> {
        let last = self.followers.get(group).with_context(|| format!("{group} follows a topic"))?;
        Ok(Arc::clone(last).lock_owned().await)
    }

    /// Tells the groups where a log ends that has become shorter.
    pub(crate) fn shorten(&self, topic: &str, partition: i32, end: i64) {
        self.tips.set(topic, partition, end);
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.followers_end.cancel();
    }
}

/// Lets each group commit the end of partition 0 of its topic, again and again.
fn follow(
    client: &Client,
    tips: &Arc<Tips>,
    followers: &BTreeMap<&'static str, Arc<Mutex<i64>>>,
    end: CancellationToken,
) {
    let (client, tips, followers) = (client.clone(), Arc::clone(tips), followers.clone());
    let one = async move |group: &str, topic: &str| {
        let Some(last) = followers.get(group) else { return };
        let mut beats = tokio::time::interval(COMMIT_EVERY);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let mut last = last.lock().await;
            let tip = tips.of(topic, 0);
            // A coordinator that is away is waited for; the next beat tries again.
            if tip > *last && client.commit(group, topic, 0, tip).await.is_ok() {
                *last = tip;
            }
        }
    };
    let runtime = tokio::runtime::Handle::current();
    // On a thread of its own: the harness's futures stay on one.
    tokio::task::spawn_blocking(move || {
        let all = join_all(FOLLOWERS.iter().map(|(group, topic)| one(group, topic)));
        runtime.block_on(end.run_until_cancelled(all));
    });
}

/// Takes note of each acknowledged record.
struct Acknowledged(Arc<Tips>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Ok(message) = result {
            self.0.set(message.topic(), message.partition(), message.offset() + 1);
        }
    }
}

fn write(client: &Client, tips: Arc<Tips>, stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let producer: BaseProducer<Acknowledged> = ClientConfig::new()
        .set("bootstrap.servers", client.bootstrap())
        .set("client.id", "web-shop")
        .set("log_level", "0")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("message.timeout.ms", "30000")
        .create_with_context(Acknowledged(tips))?;
    tokio::task::spawn_blocking(move || {
        let mut number = 0_u64;
        let mut next_beat = tokio::time::Instant::now();
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let orders = i32::try_from(number % 3).unwrap_or_default();
            send(&producer, "orders", orders, &format!(r#"{{"order":{number},"status":"placed"}}"#));
            for part in 0..3 {
                send(&producer, "payments", 0, &format!(r#"{{"payment":{},"method":"card"}}"#, number * 3 + part));
            }
            send(&producer, "sessions", 0, &format!(r#"{{"session":"s-{number}","page":"/checkout"}}"#));
            if number.is_multiple_of(2) {
                send(&producer, "audit-log", 0, &format!(r#"{{"event":{number},"actor":"web-shop"}}"#));
            }
            next_beat += BEAT;
            loop {
                let rest = next_beat.saturating_duration_since(tokio::time::Instant::now());
                producer.poll(rest);
                if rest.is_zero() {
                    break;
                }
            }
        }
    });
    Ok(())
}

/// A queue that is full because brokers are away refuses the record: a shop without a checkout, and none of ours to judge.
fn send(producer: &BaseProducer<Acknowledged>, topic: &str, partition: i32, value: &str) {
    let record: BaseRecord<'_, str, str> = BaseRecord::to(topic).partition(partition).payload(value);
    producer.send(record).ok();
}
