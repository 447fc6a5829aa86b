//! The real binary under test: started on a configuration, asked over HTTP, killed and started again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kustody::audit::{Lineage, RecordKey, RecordRow, State};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// A daemon of ours, its data directory, and a client for it.
pub(crate) struct Daemon {
    child: Option<Child>,
    directory: tempfile::TempDir,
    address: String,
    client: reqwest::Client,
}

/// What a test may set; the rest is the same for all.
pub(crate) struct Setup<'a> {
    pub(crate) bootstrap: &'a str,
    /// Lines of `[[cluster]]`, such as `canary.enabled = true`.
    pub(crate) cluster: &'a str,
    /// Sections behind it, such as `[[receiver]]`.
    pub(crate) more: &'a str,
}

impl Daemon {
    /// Starts the daemon and waits until its first complete turn is done.
    pub(crate) async fn start(setup: &Setup<'_>) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[storage]\ndata = {:?}\n[[cluster]]\nname = \"main\"\n\
             poll.every = \"1s\"\n{}\n[cluster.kafka]\n\"bootstrap.servers\" = \"{}\"\n{}\n",
            directory.path().join("data"),
            setup.cluster,
            setup.bootstrap,
            setup.more,
        );
        std::fs::write(directory.path().join("kustody.toml"), config).expect("the directory is writable");
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        let mut daemon = Self { child: None, directory, address: format!("http://127.0.0.1:{port}"), client };
        daemon.launch().await;
        daemon
    }

    /// Starts the process on the same configuration and data, and waits until it is ready.
    pub(crate) async fn launch(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the directory is writable");
        let child = Command::new(env!("CARGO_BIN_EXE_kustody"))
            .args(["serve", "--config"])
            .arg(self.directory.path().join("kustody.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.client.get(format!("{}/readyz", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "the daemon is not ready after 60 s\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// SIGKILL, and the process is gone when this returns.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it was running");
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("daemon.log")
    }

    /// What the daemon logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The body of a path that must answer 200.
    pub(crate) async fn text(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.address)).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()));
        let status = answer.status();
        let body = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "GET {path}: {status} {body}\n{}", self.log());
        body
    }

    /// The JSON of a path below `/api/v1`.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let body = self.text(&format!("/api/v1{path}")).await;
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("GET {path}: {error}: {body}"))
    }

    /// All findings, open and closed, of the cluster.
    pub(crate) async fn findings(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for page in 1.. {
            let list = self.json(&format!("/clusters/main/findings?state=all&page={page}")).await;
            let items = list["items"].as_array().expect("a list").clone();
            let total = list["total"].as_u64().expect("a total");
            let empty = items.is_empty();
            all.extend(items);
            if empty || u64::try_from(all.len()).is_ok_and(|have| have >= total) {
                break;
            }
        }
        all
    }

    /// Findings of that kind.
    pub(crate) async fn findings_of(&self, kind: &str) -> Vec<Value> {
        self.findings().await.into_iter().filter(|finding| finding["kind"] == kind).collect()
    }

    /// Waits until `enough` accepts the findings of a kind, and returns them.
    pub(crate) async fn await_findings(
        &self,
        kind: &str,
        within: Duration,
        enough: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let deadline = Instant::now() + within;
        loop {
            let found = self.findings_of(kind).await;
            if enough(&found) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{kind} is not as expected after {within:?}: {found:#?}\nall: {:#?}\n{}",
                self.findings().await.iter().map(brief).collect::<Vec<_>>(),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The cluster's object of `/clusters`.
    pub(crate) async fn cluster(&self) -> Value {
        let list = self.json("/clusters").await;
        let items = list["items"].as_array().expect("a list");
        items.iter().find(|cluster| cluster["name"] == "main").expect("the cluster is configured").clone()
    }

    /// Waits for so many further turns.
    pub(crate) async fn await_turns(&self, turns: u32) {
        let mut last = self.cluster().await["as_of"].clone();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = 0;
        while seen < turns {
            let now = self.cluster().await["as_of"].clone();
            if now != last {
                seen += 1;
                last = now;
            }
            assert!(Instant::now() < deadline, "turns go on\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The canary's object of a class.
    pub(crate) async fn canary(&self, class: &str) -> Value {
        let canary = self.json("/clusters/main/canary").await;
        let classes = canary["items"].as_array().unwrap_or_else(|| panic!("a list: {canary}"));
        classes.iter().find(|one| one["class"] == class).unwrap_or_else(|| panic!("{class}: {canary}")).clone()
    }

    /// Waits until `enough` accepts the class, and returns it.
    pub(crate) async fn await_canary(&self, class: &str, within: Duration, enough: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + within;
        loop {
            let now = self.canary(class).await;
            if enough(&now) {
                return now;
            }
            assert!(Instant::now() < deadline, "canary after {within:?}: {now:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The lineage of the canary, as it is on disk.
    pub(crate) async fn lineage(&self) -> Lineage {
        let mut ledger = open(&self.data().join("ledger.db")).await.expect("the ledger is there");
        let bytes: Vec<u8> =
            sqlx::query_scalar("select lineage from lineage").fetch_one(&mut ledger).await.expect("it has a lineage");
        Lineage(bytes.try_into().expect("a lineage has 16 bytes"))
    }

    /// The canary records that are on disk.
    pub(crate) async fn records(&self) -> Vec<RecordRow> {
        let mut ledger = open(&self.data().join("ledger.db")).await.expect("the ledger is there");
        let bodies: Vec<String> =
            sqlx::query_scalar("select body from canary_record").fetch_all(&mut ledger).await.expect("it has records");
        bodies.iter().map(|body| serde_json::from_str(body).expect("a row of the audit")).collect()
    }

    /// Those of them that the cluster acknowledged.
    pub(crate) async fn acked(&self) -> BTreeSet<RecordKey> {
        self.records().await.iter().filter(|row| row.acked_at.is_some()).map(|row| row.key).collect()
    }

    /// How many of them were read in time or late.
    pub(crate) async fn delivered_on_disk(&self) -> usize {
        let delivered = |row: &&RecordRow| matches!(row.state, State::Delivered | State::Late);
        self.records().await.iter().filter(delivered).count()
    }

    /// Asserts that nothing proven or observed was found but what the list names, by kind.
    pub(crate) async fn assert_only(&self, allowed: &[&str]) {
        let strangers: Vec<String> = self
            .findings()
            .await
            .iter()
            .filter(|finding| matches!(finding["grade"].as_str(), Some("proven" | "observed")))
            .filter(|finding| !allowed.contains(&finding["kind"].as_str().unwrap_or_default()))
            .map(brief)
            .collect();
        assert!(strangers.is_empty(), "nobody provoked these: {strangers:#?}\n{}", self.log());
    }
}

/// One line about a finding.
pub(crate) fn brief(finding: &Value) -> String {
    format!("{} {} {} {}", finding["kind"], finding["state"], finding["count"], finding["summary"])
}

/// A port nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// The numbers of a canary class, and the contract's sums over them.
pub(crate) fn assert_sums(class: &Value) {
    let n = |name: &str| class[name].as_u64().unwrap_or_else(|| panic!("{name} is a number: {class}"));
    let accounted = n("acked") + n("unacknowledged") + n("aborted");
    assert_eq!(n("sent"), n("in_flight") + accounted + n("rejected") + n("indeterminate"), "{class:#}");
    let states =
        ["pending", "delivered", "late", "lost", "truncated_after_delivery", "expired", "aborted", "untracked"];
    assert_eq!(accounted, states.into_iter().map(n).sum::<u64>(), "{class:#}");
    let parts = ["indeterminate_pending", "indeterminate_delivered", "indeterminate_absent", "indeterminate_expired"];
    assert_eq!(n("indeterminate"), parts.into_iter().map(n).sum::<u64>(), "{class:#}");
}

/// True when a file is a good SQLite database.
pub(crate) async fn is_intact(file: &Path) -> bool {
    let answer: Result<String, _> = async {
        let mut connection = open(file).await?;
        sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await
    }
    .await;
    answer.is_ok_and(|answer: String| answer == "ok")
}

async fn open(file: &Path) -> Result<sqlx::SqliteConnection, sqlx::Error> {
    use sqlx::Connection;
    sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display())).await
}
