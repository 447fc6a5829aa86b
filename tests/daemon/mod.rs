//! The real binary under test: started on a configuration, asked over HTTP, killed and started again.
//!
//! What it acknowledged, and thinks of each record, is read from its ledger on disk.

#![allow(dead_code, unused_imports, reason = "each target that includes this module uses another part of it")]

mod ledger;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
#[expect(clippy::disallowed_types, reason = "nobody waits while it is held")]
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

pub(crate) use ledger::{Ledger, is_intact};

use crate::kafka::{Error, spawn_for_life, until};

/// A daemon of ours, its data directory, and a client for it.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    directory: tempfile::TempDir,
    address: String,
    client: reqwest::Client,
    /// What is run: the binary that cargo built beside the test, unless another is set.
    pub(crate) binary: PathBuf,
    /// Variables of its environment from the next launch on.
    pub(crate) environment: Vec<(String, String)>,
}

/// The process of a daemon, if it runs. Who has a clone of it may kill it and start it again while others go on.
#[expect(clippy::disallowed_types, reason = "nobody waits while it is held")]
#[derive(Clone, Debug, Default)]
struct Process(Arc<Mutex<Option<Child>>>);

impl Process {
    /// Does this with it.
    fn with<T>(&self, act: impl FnOnce(&mut Option<Child>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// SIGKILL, and it is gone when this returns. SIGKILL ends a stopped process too.
    fn kill(&self) -> std::io::Result<()> {
        match self.with(Option::take) {
            Some(mut child) => child.kill().and_then(|()| child.wait()).map(drop),
            None => Ok(()),
        }
    }
}

/// Starts and kills a daemon's process on its configuration and data, whoever else has the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    process: Process,
    directory: PathBuf,
    address: String,
    client: reqwest::Client,
    binary: PathBuf,
    environment: Vec<(String, String)>,
}

impl Launcher {
    /// SIGKILL, and the process is gone when this returns.
    pub(crate) fn kill(&self) {
        self.process.kill().expect("it was running");
    }

    /// The directory of its databases.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("daemon.log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts the process on the same configuration and data, and waits until it is ready.
    pub(crate) async fn launch(&self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the directory is writable");
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--config"])
            .arg(self.directory.join("kustody.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = spawn_for_life(command).await.expect("the binary starts");
        self.process.with(|process| *process = Some(child));
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.client.get(format!("{}/readyz", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.process.with(|child| child.as_mut().and_then(|child| child.try_wait().ok().flatten()));
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "the daemon is not ready after 60 s\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// What a test may set; the rest is the same for all.
pub(crate) struct Setup<'a> {
    pub(crate) bootstrap: &'a str,
    /// Lines of `[[cluster]]`, such as `canary.enabled = true`.
    pub(crate) cluster: &'a str,
    /// Lines of `[cluster.kafka]`, and sections behind it, such as `[[receiver]]`.
    pub(crate) more: &'a str,
}

impl Daemon {
    /// Starts the daemon and waits until its first complete turn is done.
    pub(crate) async fn start(setup: &Setup<'_>) -> Self {
        let mut daemon = Self::prepare(setup);
        daemon.launch().await;
        daemon
    }

    /// A daemon with its configuration written, not started yet.
    pub(crate) fn prepare(setup: &Setup<'_>) -> Self {
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
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_kustody"));
        let address = format!("http://127.0.0.1:{port}");
        Self { process: Process::default(), directory, address, client, binary, environment: Vec::new() }
    }

    /// Starts the process on the same configuration and data, and waits until it is ready.
    pub(crate) async fn launch(&mut self) {
        self.launcher().launch().await;
    }

    /// Starts and kills it, also while somebody else has the daemon.
    pub(crate) fn launcher(&self) -> Launcher {
        Launcher {
            process: self.process.clone(),
            directory: self.directory.path().to_owned(),
            address: self.address.clone(),
            client: self.client.clone(),
            binary: self.binary.clone(),
            environment: self.environment.clone(),
        }
    }

    /// SIGKILL, and the process is gone when this returns.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().expect("it was running");
    }

    /// SIGTERM, and waits until the process is gone: it flushes its producers and its ledger before.
    pub(crate) async fn end(&mut self) {
        let Some(pid) = self.pid() else { return };
        signal(pid, libc::SIGTERM);
        let gone = until("the daemon ends", Duration::from_secs(60), async || {
            match self.process.with(|child| child.as_mut().map(Child::try_wait)) {
                Some(Ok(None)) => Err(Error::NotYet("it runs".to_owned())),
                Some(Ok(Some(_)) | Err(_)) | None => Ok(()),
            }
        })
        .await;
        gone.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        self.process.with(Option::take);
    }

    /// SIGSTOP: it hangs with open sockets.
    pub(crate) fn stop(&self) {
        self.pid().into_iter().for_each(|pid| signal(pid, libc::SIGSTOP));
    }

    /// SIGCONT: it goes on.
    pub(crate) fn cont(&self) {
        self.pid().into_iter().for_each(|pid| signal(pid, libc::SIGCONT));
    }

    /// The id of its process while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.with(|child| child.as_ref().map(Child::id))
    }

    /// True while a process is there.
    pub(crate) fn is_running(&self) -> bool {
        self.process.with(|child| child.is_some())
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.launcher().data()
    }

    /// Where configuration, data and log are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What the daemon logged so far.
    pub(crate) fn log(&self) -> String {
        self.launcher().log()
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

/// Asserts that the contract's sums hold over the numbers of a canary class.
pub(crate) fn assert_sums(class: &Value) {
    assert_eq!(broken_sum(class), None, "{class:#}");
}

/// The first of the contract's sums that does not hold over the numbers of a canary class.
pub(crate) fn broken_sum(class: &Value) -> Option<String> {
    let n = |name: &str| class[name].as_u64().unwrap_or_else(|| panic!("{name} is a number: {class}"));
    let sum = |names: &[&str]| names.iter().map(|name| n(name)).sum::<u64>();
    let accounted = sum(&["acked", "unacknowledged", "aborted"]);
    let states =
        ["pending", "delivered", "late", "lost", "truncated_after_delivery", "expired", "aborted", "untracked"];
    let parts = ["indeterminate_pending", "indeterminate_delivered", "indeterminate_absent", "indeterminate_expired"];
    let equal = [
        ("sent", n("sent"), accounted + sum(&["in_flight", "rejected", "indeterminate"])),
        ("accounted", accounted, sum(&states)),
        ("indeterminate", n("indeterminate"), sum(&parts)),
    ];
    let within = [("overdue", "pending"), ("phantom", "rejected"), ("aborted_visible", "aborted")];
    let unequal = equal.into_iter().find(|(_, whole, parts)| whole != parts);
    let unequal =
        unequal.map(|(name, whole, parts)| format!("{}: {name} is {whole}, its parts are {parts}", class["class"]));
    let beyond = within.into_iter().find(|(part, whole)| n(part) > n(whole));
    unequal.or_else(|| beyond.map(|(part, whole)| format!("{}: more {part} than {whole}", class["class"])))
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().ok();
    }
}

fn signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).expect("a pid of Linux fits its own type");
    #[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
    // SAFETY: kill(2) touches no memory of ours; the child is not reaped, so the pid is still its own.
    let sent = unsafe { libc::kill(pid, signal) };
    assert_eq!(sent, 0, "signal {signal} to the daemon: {}", std::io::Error::last_os_error());
}
