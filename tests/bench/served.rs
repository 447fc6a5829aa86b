//! The real binary under load: started on a configuration, asked over HTTP, and weighed by the kernel.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use kustody::audit::{Lineage, RecordKey, RecordRow};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// The kernel counts CPU time of a process in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A running daemon and its data. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
    address: String,
    client: reqwest::Client,
}

/// What was used up since the start, at one moment.
pub(crate) struct Used {
    pub(crate) at: Instant,
    /// CPU time by kind of thread.
    pub(crate) cpu: BTreeMap<String, Duration>,
    /// Bytes given to write(2) and the like: databases and log, no sockets.
    pub(crate) written: u64,
    /// Bytes of all pages in use of both databases, wherever they are: a write-ahead log says nothing of its database's size.
    pub(crate) kept: u64,
    /// Samples by series.
    pub(crate) metrics: BTreeMap<String, f64>,
}

impl Used {
    /// The sum of the samples of a family, by the text its series begin with.
    pub(crate) fn sum(&self, begin: &str) -> f64 {
        self.metrics.iter().filter(|(series, _)| series.starts_with(begin)).map(|(_, value)| value).sum()
    }
}

impl Daemon {
    /// Starts it with `poll.every` 1 s and these lines of `[[cluster]]`, and waits until its first turn is published.
    pub(crate) async fn start(bootstrap: &str, cluster: &str) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        // A build beside the benchmark replaces the binary, and must not replace what is measured.
        std::fs::copy(env!("CARGO_BIN_EXE_kustody"), at("kustody")).expect("the binary was built");
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
            listener.local_addr().expect("it is bound").port()
        };
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[storage]\ndata = {:?}\n[[cluster]]\nname = \"main\"\n\
             poll.every = \"1s\"\n{cluster}\n[cluster.kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n",
            at("data"),
        );
        std::fs::write(at("kustody.toml"), config).expect("the directory is writable");
        let log = std::fs::File::create(at("daemon.log")).expect("the directory is writable");
        let child = Command::new(at("kustody"))
            .args(["serve", "--config"])
            .arg(at("kustody.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
        let daemon = Self { child, directory, address: format!("http://127.0.0.1:{port}"), client };
        daemon.until("it is ready", async || daemon.text("/readyz").await.map(drop)).await;
        daemon
    }

    /// Asks every 20 ms until there is an answer, for a minute.
    pub(crate) async fn until<T>(&self, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            let log = || std::fs::read_to_string(self.directory.path().join("daemon.log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{what}: not within a minute\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The body of a path; nothing where it is not answered with success.
    pub(crate) async fn text(&self, path: &str) -> Option<String> {
        let answer = self.client.get(format!("{}{path}", self.address)).send().await.ok()?;
        if answer.status().is_success() { answer.text().await.ok() } else { None }
    }

    /// The `items` of a path below `/api/v1/clusters/main`.
    pub(crate) async fn items(&self, path: &str) -> Option<Vec<Value>> {
        let body = self.text(&format!("/api/v1/clusters/main{path}")).await?;
        let mut body: Value = serde_json::from_str(&body).ok()?;
        serde_json::from_value(body["items"].take()).ok()
    }

    /// A number of the canary class `idempotent`.
    pub(crate) async fn canary(&self, name: &str) -> Option<u64> {
        self.items("/canary").await?.iter().find(|class| class["class"] == "idempotent")?[name].as_u64()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("nobody waited for it")
    }

    /// What it has used up to now.
    pub(crate) async fn used(&self) -> Used {
        let pid = self.pid();
        let read = |file: String| std::fs::read_to_string(&file).unwrap_or_default();
        let mut cpu = BTreeMap::new();
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs") {
            let stat = read(task.expect("a thread").path().join("stat").display().to_string());
            // The name in parentheses may hold anything. 12th and 13th behind it are user and system time.
            let Some((name, numbers)) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")) else {
                continue;
            };
            let ticks = numbers.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
            *cpu.entry(kind_of(name)).or_default() += TICK * ticks.sum::<u32>();
        }
        let io = read(format!("/proc/{pid}/io"));
        let written = io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok());
        let metrics = self.text("/metrics").await.expect("metrics are served");
        let samples = metrics.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| line.rsplit_once(' '));
        Used {
            at: Instant::now(),
            cpu,
            written: written.expect("the kernel counts what is written"),
            kept: self.kept("history.db").await + self.kept("ledger.db").await,
            metrics: samples.filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?))).collect(),
        }
    }

    async fn open(&self, file: &str) -> sqlx::SqliteConnection {
        use sqlx::Connection;
        let path = self.directory.path().join("data").join(file);
        sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.expect("a database")
    }

    async fn kept(&self, file: &str) -> u64 {
        let sql = "select page_size * (page_count - freelist_count) from pragma_page_size, pragma_page_count, \
                   pragma_freelist_count";
        let mut database = self.open(file).await;
        let bytes: i64 = sqlx::query_scalar(sql).fetch_one(&mut database).await.expect("a database has pages");
        u64::try_from(bytes).expect("not negative")
    }

    /// The canary's lineage, and the records of it that are acknowledged, as they are on disk.
    pub(crate) async fn acknowledged(&self) -> (Lineage, Vec<RecordKey>) {
        let mut ledger = self.open("ledger.db").await;
        let lineage: Vec<u8> =
            sqlx::query_scalar("select lineage from lineage").fetch_one(&mut ledger).await.expect("it has a lineage");
        let bodies: Vec<String> =
            sqlx::query_scalar("select body from canary_record").fetch_all(&mut ledger).await.expect("it has records");
        let rows = bodies.iter().map(|body| serde_json::from_str::<RecordRow>(body).expect("a row of the audit"));
        let acknowledged = rows.filter(|row| row.acked_at.is_some()).map(|row| row.key).collect();
        (Lineage(lineage.try_into().expect("a lineage has 16 bytes")), acknowledged)
    }
}

/// The threads of librdkafka and of a pool carry numbers.
fn kind_of(thread: &str) -> String {
    let kind = thread.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    if kind.starts_with("rdk:") { "librdkafka".to_owned() } else { kind.to_owned() }
}
