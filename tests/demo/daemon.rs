//! The daemon's process: built beside the demo, started on a configuration of its own, ended with the demo.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};

use crate::dashboard::{CLUSTER, Dashboard};

/// How long the first turn may take on a machine that has just started four JVMs.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How long the daemon may take to end in order.
const END_LIMIT: Duration = Duration::from_secs(8);

/// A running daemon. Dropping it kills it; [`end`](Self::end) asks it first.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    /// Configuration, databases and log.
    directory: tempfile::TempDir,
    dashboard: Dashboard,
}

impl Daemon {
    /// Starts the daemon and waits until its first turn is done.
    pub(crate) async fn start(bootstrap: &str, webhook: &str) -> anyhow::Result<Self> {
        let binary = binary()?;
        let directory = tempfile::Builder::new().prefix("kustody-demo-").tempdir()?;
        let port = free_port()?;
        let config = directory.path().join("kustody.toml");
        let data = directory.path().join("data");
        std::fs::write(
            &config,
            format!(
                r#"[server]
listen = "127.0.0.1:{port}"
[storage]
data = {data:?}
[[cluster]]
name = "{CLUSTER}"
poll.every = "1s"
poll.request_timeout = "700ms"
poll.deadline = "2100ms"
groups.window = "15s"
canary.enabled = true
canary.rate = 8.0
[cluster.kafka]
"bootstrap.servers" = "{bootstrap}"
[alert]
hold = "2s"
[[receiver]]
name = "terminal"
webhook.url = "{webhook}"
"#
            ),
        )?;
        let log = std::fs::File::create(directory.path().join("daemon.log"))?;
        let mut command = Command::new(&binary);
        command
            .args(["serve", "--config"])
            .arg(&config)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Out of reach of the terminal's Ctrl-C: it ends after the tour, in order.
            .process_group(0)
            .kill_on_drop(true);
        dies_with_us(&mut command);
        let child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let dashboard = Dashboard::new(format!("http://127.0.0.1:{port}"))?;
        let mut daemon = Self { child, directory, dashboard };
        let deadline = tokio::time::Instant::now() + READY_LIMIT;
        while !daemon.dashboard.is_ready().await {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("the daemon ended ({status}); its log says:\n{}", daemon.last_words(40));
            }
            if tokio::time::Instant::now() >= deadline {
                bail!("the daemon is not ready after {READY_LIMIT:?}; its log says:\n{}", daemon.last_words(40));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(daemon)
    }

    pub(crate) fn dashboard(&self) -> &Dashboard {
        &self.dashboard
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.directory.path().join("daemon.log")
    }

    /// The last lines of its log.
    pub(crate) fn last_words(&self, lines: usize) -> String {
        let text = std::fs::read(self.log_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// An error if it has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the daemon ended by itself ({status})"),
        }
    }

    /// Ends it in order, or not, and waits until it is gone.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.child.id() {
            terminate(pid)?;
        }
        if tokio::time::timeout(END_LIMIT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// `target/debug/kustody` beside `target/debug/examples/demo`.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let build = own.parent().and_then(std::path::Path::parent).context("the demo lies in a build directory")?;
    let binary = build.join("kustody");
    if binary.is_file() { Ok(binary) } else { bail!("{} is missing: run `cargo build`", binary.display()) }
}

/// The daemon's own port where nobody has it, so that the address is the one in the documentation.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:9980").or_else(|_| TcpListener::bind("127.0.0.1:0"))?;
    Ok(listener.local_addr()?.port())
}

/// Lets the kernel kill the child when this process ends, however it ends. The kernel ties it to the thread that
/// starts it: this is the main one.
fn dies_with_us(command: &mut Command) {
    let set = || {
        #[expect(unsafe_code, reason = "std has no parent death signal")]
        // SAFETY: prctl(2) touches no memory and is safe to call between fork and exec.
        let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    #[expect(unsafe_code, reason = "the signal is set by the child itself")]
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(set)
    };
}

fn terminate(pid: u32) -> anyhow::Result<()> {
    let pid = libc::pid_t::try_from(pid).context("a pid of Linux fits its own type")?;
    #[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
    // SAFETY: kill(2) touches no memory of ours; the child is not reaped, so the pid is still its own.
    let sent = unsafe { libc::kill(pid, libc::SIGTERM) };
    if sent == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}
