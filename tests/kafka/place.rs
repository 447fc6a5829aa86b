//! Where a cluster lives: a directory in memory and a block of ports, both given back even when the test is killed.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use super::Error;

/// Ports of one cluster; see [`Place::port`].
const BLOCK: u16 = 20;
/// The blocks begin at 20000 and end below 32768, where the ports of outgoing connections begin: a broker that is
/// started again finds its port free.
const BLOCKS: u16 = (32_760 - 20_000) / BLOCK;
/// Clusters this process has asked for.
static ASKED: AtomicU16 = AtomicU16::new(0);

/// The directory and the ports of one cluster.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    first_port: u16,
    janitor: Option<Child>,
}

impl Place {
    /// A place that no other cluster on this machine has. The name of the directory holds the first port: whoever made
    /// the directory owns the block.
    pub(crate) fn claim() -> Result<Self, Error> {
        let root = root();
        // Neighbours in time do not get the same ports: a client forgotten by one test must not reach the next one's
        // cluster.
        let pid = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("a remainder of a u16 fits a u16");
        for _ in 0..BLOCKS {
            let asked = ASKED.fetch_add(1, Ordering::Relaxed);
            let block = pid.wrapping_mul(7).wrapping_add(asked) % BLOCKS;
            let first_port = 20_000 + block * BLOCK;
            let directory = root.join(format!("kustody-kafka-{first_port}"));
            match std::fs::create_dir(&directory) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::system(format!("create {}", directory.display()))(error)),
            }
            let janitor = janitor(&directory).map_err(Error::system("start sh"))?;
            let place = Self { directory, first_port, janitor: Some(janitor) };
            if (first_port..first_port + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
                return Ok(place);
            }
        }
        Err(Error::system("find free ports between 20000 and 32760")(ErrorKind::AddrInUse.into()))
    }

    /// The cluster's directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The port number `index` (0 to 19) of the block.
    pub(crate) fn port(&self, index: u16) -> u16 {
        self.first_port + index
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut janitor) = self.janitor.take() {
            // The end of its input is the janitor's order to clean up; after its end the directory is gone.
            drop(janitor.stdin.take());
            janitor.wait().ok();
        }
    }
}

/// A shell that waits for this process to let go of it, by a drop or by any kind of death, then deletes the directory.
fn janitor(directory: &Path) -> std::io::Result<Child> {
    // Brokers that die with this process may still write: hence the repetition.
    const SCRIPT: &str = r#"cat; n=0; while [ $n -lt 100 ]; do rm -rf "$1" && exit; n=$((n+1)); sleep 0.1; done"#;
    Command::new("sh")
        .args(["-c", SCRIPT, "kustody-kafka-janitor"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of the terminal's Ctrl-C.
        .process_group(0)
        .spawn()
}

/// Memory where there is enough of it: on a disk every first append to a partition costs an fsync.
fn root() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let free_kib = Command::new("df")
        .args(["-Pk", "/dev/shm"])
        .output()
        .ok()
        .and_then(|out| String::from_utf8(out.stdout).ok())
        .and_then(|text| text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok());
    if free_kib.is_some_and(|free| free > 1 << 20) { memory.to_owned() } else { std::env::temp_dir() }
}
