//! KMinion beside us: its end-to-end test on the same cluster, on a topic like ours, through the same faults.
//!
//! Its binary is given (`PEER_KMINION`); nothing of it is here. Names of variables and metrics are those of its public
//! documentation, everything not set is its default. What it counts is held against its own topic, read back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::daemon::free_port;
use crate::kafka::{Client, Error, spawn_for_life, until};

const TOPIC: &str = "kminion-end-to-end";
/// Its default round-trip limit, after which a message counts as lost, and a little more.
const VERDICT_AFTER: Duration = Duration::from_secs(25);

/// A running KMinion. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Peer {
    binary: PathBuf,
    bootstrap: String,
    port: u16,
    every_ms: usize,
    child: Option<Child>,
    http: reqwest::Client,
    partitions: i32,
}

impl Peer {
    /// Creates its topic like ours, starts it, and waits until messages come back.
    pub(crate) async fn start(
        binary: &Path,
        bootstrap: &str,
        client: &Client,
        replicas: &[&[i32]],
        configs: &[(&str, &str)],
    ) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        client.create_topic(TOPIC, replicas, configs).await.expect("the peer's topic is created");
        let mut peer = Self {
            binary: binary.to_owned(),
            bootstrap: bootstrap.to_owned(),
            port: free_port(),
            // One message a tick and partition: 50 a second, as ours.
            every_ms: 20 * replicas.len(),
            child: None,
            http: reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client"),
            partitions: i32::try_from(replicas.len()).expect("few partitions"),
        };
        peer.launch().await;
        until("the peer's messages come back", Duration::from_secs(60), async || {
            let received = peer.counts().await.get("received").copied().unwrap_or_default();
            if received >= 100.0 { Ok(()) } else { Err(Error::NotYet(received.to_string())) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}"));
        peer
    }

    /// Starts its process.
    pub(crate) async fn launch(&mut self) {
        let mut command = Command::new(&self.binary);
        command
            .env("KAFKA_BROKERS", &self.bootstrap)
            .env("MINION_CONSUMERGROUPS_ENABLED", "false")
            .env("MINION_LOGDIRS_ENABLED", "false")
            .env("MINION_ENDTOEND_ENABLED", "true")
            .env("MINION_ENDTOEND_PROBEINTERVAL", format!("{}ms", self.every_ms))
            .env("MINION_ENDTOEND_TOPICMANAGEMENT_ENABLED", "false")
            .env("MINION_ENDTOEND_TOPICMANAGEMENT_NAME", TOPIC)
            .env("EXPORTER_HOST", "127.0.0.1")
            .env("EXPORTER_PORT", self.port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(spawn_for_life(command).await.expect("the peer starts"));
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// What it says now, summed over partitions; nothing while it does not answer.
    async fn counts(&self) -> BTreeMap<String, f64> {
        let mut counts = BTreeMap::new();
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let Ok(answer) = self.http.get(url).send().await else { return counts };
        let text = answer.text().await.unwrap_or_default();
        let words = [
            ("kminion_end_to_end_messages_produced_total", "produced"),
            ("kminion_end_to_end_messages_produced_failed_total", "failed"),
            ("kminion_end_to_end_messages_received_total", "received"),
            ("kminion_end_to_end_messages_lost_total", "lost"),
        ];
        for (series, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
            let name = series.split('{').next().unwrap_or(series);
            if let (Some((_, word)), Ok(value)) =
                (words.iter().find(|(metric, _)| *metric == name), value.parse::<f64>())
            {
                *counts.entry((*word).to_owned()).or_default() += value;
            }
        }
        counts
    }

    /// What it says when its time for judging is over, beside what is in its topic.
    pub(crate) async fn verdict(&self, client: &Client) -> BTreeMap<String, f64> {
        tokio::time::sleep(VERDICT_AFTER).await;
        let mut counts = self.counts().await;
        let (mut distinct, mut all) = (BTreeSet::new(), 0_u32);
        for partition in 0..self.partitions {
            let log = client.read_all(TOPIC, partition).await.expect("the peer's log is readable");
            for record in log.records {
                all += 1;
                distinct.insert(record.text());
            }
        }
        let distinct = f64::from(u32::try_from(distinct.len()).expect("a count"));
        counts.insert("in_log".to_owned(), distinct);
        counts.insert("copies_in_log".to_owned(), f64::from(all) - distinct);
        counts
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}
