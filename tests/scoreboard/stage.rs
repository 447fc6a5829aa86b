//! What a scenario plays on: a cluster, the daemon under test, a witness of its answers, and on demand a proxy before the
//! brokers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kustody::audit::{Lineage, RecordRow};
use tokio::time::Instant;

use crate::daemon::{Daemon, Setup};
use crate::kafka::proxy::Proxy;
use crate::kafka::{Client, Cluster, Error, Options, until};
use crate::kills::{Kills, Plan};
use crate::oracle::{self, Logs};
use crate::outcome::Outcome;
use crate::peer::Peer;
use crate::watch::{Seen, Watch};

/// The canary's topic.
pub(crate) const TOPIC: &str = "__kustody.canary";
/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(90);
/// Canaries a second and class, over all partitions, unless `RATE` says otherwise.
const RATE: u32 = 50;

/// See [`RATE`].
fn rate() -> u32 {
    std::env::var("RATE").map_or(RATE, |text| text.parse().expect("RATE is a whole number"))
}

/// Where the journal of this run goes, if it is to be kept.
pub(crate) fn journal(run: &Run) -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("HISTORIES")?);
    Some(directory.join(format!("{}.journal", run.name())))
}

/// One run of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The daemon's binary; nothing takes the one cargo built beside the test.
    pub(crate) binary: Option<PathBuf>,
    /// The classes to send.
    pub(crate) classes: Vec<String>,
    /// Where evidence goes when it does not pass.
    pub(crate) evidence: PathBuf,
    /// KMinion's binary, where it is to run beside us.
    pub(crate) peer: Option<PathBuf>,
    /// Kills of the daemon meanwhile.
    pub(crate) kills: Option<Plan>,
}

impl Run {
    /// The run with these of its classes only.
    pub(crate) fn only(&self, classes: &[&str]) -> Self {
        let kept = self.classes.iter().filter(|class| classes.contains(&class.as_str()));
        Self { classes: kept.cloned().collect(), ..self.clone() }
    }

    /// What its evidence and history are called.
    pub(crate) fn name(&self) -> String {
        let name = self.evidence.file_name().unwrap_or_default();
        format!("{}-{}", name.to_string_lossy(), self.classes.join("-"))
    }

    /// True when this class is sent.
    pub(crate) fn has(&self, class: &str) -> bool {
        self.classes.iter().any(|one| one == class)
    }
}

/// What a scenario may choose.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) options: Options,
    /// Replicas of each partition of the topic, the leader first.
    pub(crate) replicas: Vec<Vec<i32>>,
    pub(crate) configs: Vec<(&'static str, &'static str)>,
    /// Further lines of `[[cluster]]`.
    pub(crate) cluster: String,
    /// Lines of `[cluster.kafka]`.
    pub(crate) kafka: String,
    /// Whether clients reach the brokers through a proxy.
    pub(crate) is_proxied: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            options: Options { dedicated_controller: true, ..Options::default() },
            replicas: vec![vec![1, 2, 3], vec![2, 3, 1], vec![3, 1, 2]],
            configs: vec![("min.insync.replicas", "2")],
            cluster: String::new(),
            kafka: String::new(),
            is_proxied: false,
        }
    }
}

/// The stage with everything on it.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) watch: Watch,
    pub(crate) client: Client,
    pub(crate) run: Run,
    pub(crate) partitions: Vec<i32>,
    /// True where the canary's own readers are forbidden to read.
    pub(crate) may_be_blind: bool,
    /// See [`Logs::former_before`].
    former_before: Option<i64>,
    /// The moment from which all could be known.
    mark: Option<Instant>,
    proxy: Option<Proxy>,
    kills: Option<Kills>,
    pub(crate) peer: Option<Peer>,
    pub(crate) cluster: Cluster,
}

impl Stage {
    /// Starts it all, and waits until canaries of each class are delivered. From then on the daemon is killed, if it is to be.
    pub(crate) async fn up(run: &Run, setting: Setting) -> Self {
        let mut stage = Self::set(run, setting).await;
        stage.raise().await;
        stage.kills = run.kills.map(|plan| Kills::begin(stage.daemon.launcher(), plan));
        stage
    }

    /// Waits until the daemon is killed no more; what the kills left on disk and does not replay.
    pub(crate) async fn kills_over(&mut self) -> Vec<String> {
        match self.kills.take() {
            Some(kills) => kills.over().await,
            None => Vec::new(),
        }
    }

    /// As [`up`](Self::up), with the daemon prepared and not started.
    pub(crate) async fn set(run: &Run, setting: Setting) -> Self {
        Self::set_before(run, setting, |_| {}).await
    }

    /// As [`set`](Self::set); `before` sees the cluster before anything of it runs.
    pub(crate) async fn set_before(run: &Run, setting: Setting, before: impl Fn(&Cluster)) -> Self {
        let Setting { mut options, replicas, configs, cluster: lines, kafka, is_proxied } = setting;
        let mut proxy = None;
        if is_proxied {
            let ids: Vec<i32> = (1..=options.brokers).map(i32::from).collect();
            let bound = Proxy::bind(&ids).await.expect("loopback has free ports");
            options.advertised_ports = bound.ports();
            proxy = Some(bound);
        }
        let cluster = Cluster::start_after(options, before).await.expect("the cluster starts");
        if let Some(proxy) = &proxy {
            proxy.aim(&cluster);
        }
        let client = cluster.client();
        let assigned: Vec<&[i32]> = replicas.iter().map(Vec::as_slice).collect();
        client.create_topic(TOPIC, &assigned, &configs).await.expect("the topic is created");
        let mut peer = None;
        if let Some(binary) = &run.peer {
            peer = Some(Peer::start(binary, &cluster.bootstrap(), &client, &assigned, &configs).await);
        }
        let partitions: Vec<i32> = (0..).take(replicas.len()).collect();
        let rate = f64::from(rate()) / f64::from(u32::try_from(replicas.len()).expect("few partitions"));
        let bootstrap = proxy.as_ref().map_or_else(|| cluster.bootstrap(), Proxy::bootstrap);
        let mut lines =
            format!("canary.enabled = true\ncanary.rate = {rate:.2}\ncanary.classes = {:?}\n{lines}", run.classes);
        if let Some(journal) = journal(run) {
            std::fs::create_dir_all(journal.parent().expect("it has a directory")).expect("it can be made");
            std::fs::remove_file(&journal).ok();
            lines.push_str(&format!("\ncanary.journal = {journal:?}\n"));
        }
        let mut daemon = Daemon::prepare(&Setup { bootstrap: &bootstrap, cluster: &lines, more: &kafka });
        if let Some(binary) = &run.binary {
            binary.clone_into(&mut daemon.binary);
        }
        let watch = Watch::start(daemon.address());
        Self {
            daemon,
            watch,
            client,
            run: run.clone(),
            partitions,
            may_be_blind: false,
            former_before: None,
            mark: None,
            proxy,
            kills: None,
            peer,
            cluster,
        }
    }

    /// Starts the daemon, and waits until canaries of each class are delivered.
    pub(crate) async fn raise(&mut self) {
        self.daemon.launch().await;
        // Two seconds' worth.
        self.flow(2 * u64::from(rate())).await;
    }

    /// The proxy of a scenario that asked for one.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("the setting asked for a proxy")
    }

    /// What the witness has seen.
    pub(crate) fn seen(&self) -> Seen {
        self.watch.seen()
    }

    /// Waits until the witness has seen what `holds` wants.
    pub(crate) async fn until_seen(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
        until(what, SOON, async || {
            let seen = self.seen();
            if holds(&seen) { Ok(seen) } else { Err(Error::NotYet(format!("{:?}", seen.last))) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", self.last_words()))
    }

    /// Waits until so many more of each class are delivered.
    pub(crate) async fn flow(&self, more: u64) {
        let delivered = |seen: &Seen, class: &str| seen.count(class, "delivered") + seen.count(class, "late");
        let before = self.seen();
        let enough = |seen: &Seen, class: &String| delivered(seen, class) >= delivered(&before, class) + more;
        let what = format!("{more} more canaries of each class are delivered");
        self.until_seen(&what, |seen| self.run.classes.iter().all(|class| enough(seen, class))).await;
    }

    /// Waits until so many more of a class are acknowledged.
    pub(crate) async fn until_acked(&self, class: &str, more: u64) {
        let before = self.seen().count(class, "acked");
        let what = format!("{more} more of {class} are acknowledged");
        self.until_seen(&what, |seen| seen.count(class, "acked") >= before + more).await;
    }

    /// What was sent until now was meant for a topic that is deleted.
    pub(crate) fn topic_is_gone(&mut self) {
        self.former_before = Some(kustody::clock::Clock::start().wall().as_millis());
    }

    /// From now on all could be known: the delay of detection counts from here.
    pub(crate) fn mark(&mut self) {
        self.mark = Some(Instant::now());
    }

    /// Lets so much time pass in which nothing is done: the length of a fault is part of the scenario.
    pub(crate) async fn last(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    /// Kills a broker, waits until others lead in its place, and takes the moment.
    pub(crate) async fn kill_leader(&mut self, broker: i32) {
        self.cluster.kill(broker).await.expect("it ran");
        self.until_led_without(broker).await;
        self.mark();
    }

    /// Waits until no partition is led by this broker or by none.
    pub(crate) async fn until_led_without(&self, broker: i32) {
        for partition in &self.partitions {
            let led = |seen: &crate::kafka::Partition| seen.leader.is_some_and(|leader| leader != broker);
            self.client.until_partition("another leads", TOPIC, *partition, led).await.expect("a leader is elected");
        }
    }

    /// Waits until every replica is in sync.
    pub(crate) async fn until_whole(&self) {
        for partition in &self.partitions {
            let whole = |seen: &crate::kafka::Partition| seen.in_sync.len() == seen.replicas.len();
            self.client.until_partition("all in sync", TOPIC, *partition, whole).await.expect("replicas catch up");
        }
    }

    /// Starts a broker again, and waits until every replica is in sync.
    pub(crate) async fn bring_back(&mut self, broker: i32) {
        self.cluster.start_again(broker).await.expect("it starts");
        self.until_whole().await;
    }

    /// The lineage of the daemon's canaries.
    pub(crate) async fn lineage(&self) -> Lineage {
        self.daemon.lineage().await
    }

    /// Every partition read back, by the brokers themselves.
    pub(crate) async fn logs(&self) -> Logs {
        let lineage = self.lineage().await;
        let mut logs = Logs { former_before: self.former_before, ..Logs::default() };
        let mut committed = logs.clone();
        for partition in &self.partitions {
            let log = self.client.read_all(TOPIC, *partition).await.expect("the log is readable");
            logs.add(*partition, &log, lineage);
            if self.run.has("transactional") {
                let settings = [("isolation.level", "read_committed")];
                let log = self.client.read_all_with(TOPIC, *partition, &settings).await.expect("the log is readable");
                committed.add(*partition, &log, lineage);
            }
        }
        logs.committed = self.run.has("transactional").then(|| Box::new(committed));
        logs
    }

    /// Waits until every record that is on disk now has an outcome, and if acknowledged a verdict; returns these.
    pub(crate) async fn settled(&self) -> Result<Vec<RecordRow>, String> {
        let keys: std::collections::BTreeSet<_> = self.daemon.records().await.iter().map(|row| row.key).collect();
        const LIMIT: Duration = Duration::from_secs(30);
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut rows = self.daemon.records().await;
            rows.retain(|row| keys.contains(&row.key));
            let open = |row: &&RecordRow| matches!(oracle::word(row).as_str(), "sent" | "pending");
            let left = rows.iter().filter(open).count();
            if left == 0 {
                return Ok(rows);
            }
            if Instant::now() >= deadline {
                let first = rows.iter().find(open);
                return Err(format!("{left} records have no outcome or verdict after {LIMIT:?}, such as {first:?}"));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// How the count of lost records grew after the mark: seconds and records.
    pub(crate) fn steps(&self) -> Vec<(f64, u64)> {
        let Some(mark) = self.mark else { return Vec::new() };
        self.seen()
            .losses()
            .into_iter()
            .map(|(at, lost)| (at.saturating_duration_since(mark).as_secs_f64(), lost))
            .collect()
    }

    /// How long after the mark the verdicts became what they are.
    pub(crate) fn detection(&self) -> Option<f64> {
        let (mark, judged) = (self.mark?, self.seen().judged_at()?);
        Some(judged.saturating_duration_since(mark).as_secs_f64())
    }

    /// Keeps what the daemon had and said.
    pub(crate) async fn keep_evidence(&self, outcome: &Outcome) {
        let findings = if self.daemon.is_running() { self.daemon.findings().await } else { Vec::new() };
        let said = serde_json::json!({ "outcome": outcome, "last": self.seen().last, "findings": findings });
        let kept = self.keep(&said);
        kept.unwrap_or_else(|error| panic!("no evidence in {}: {error}", self.run.evidence.display()));
    }

    fn keep(&self, said: &serde_json::Value) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.run.evidence)
            .and_then(|()| std::fs::write(self.run.evidence.join("said.json"), format!("{said:#}")))
            .and_then(|()| copy_files(self.daemon.directory(), &self.run.evidence))
            .and_then(|()| copy_files(&self.daemon.data(), &self.run.evidence))
    }

    /// The end of the daemon's log.
    pub(crate) fn last_words(&self) -> String {
        let log = self.daemon.log();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(5)..).unwrap_or_default().join("\n")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The panic is what has to be told; a daemon that never ran has nothing to keep.
            self.keep(&serde_json::json!({ "last": self.seen().last })).ok();
        }
    }
}

/// Copies the files of a directory, those below it not.
pub(crate) fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
