//! One broker: a JVM with its properties, its signals and its log.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use super::{Error, Version, until};

/// A broker (or a dedicated controller) of a cluster; runs or does not.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    /// The port of its `CLIENT` listener, or of a controller's only one.
    pub(crate) port: u16,
    pub(crate) directory: PathBuf,
    /// What it runs from its next launch on.
    pub(crate) version: Version,
    child: Option<Child>,
    stopped: bool,
}

impl Broker {
    /// A broker that does not run yet, with its properties written to `directory`.
    pub(crate) fn new(
        id: i32,
        port: u16,
        directory: PathBuf,
        properties: &[(String, String)],
        version: Version,
    ) -> Result<Self, Error> {
        let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::create_dir_all(&directory)
            .and_then(|()| std::fs::write(directory.join("server.properties"), text))
            .map_err(Error::system(format!("write {}/server.properties", directory.display())))?;
        Ok(Self { id, port, directory, version, child: None, stopped: false })
    }

    /// Starts the JVM and does not wait for it.
    pub(crate) async fn launch(&mut self, heap: &str, cluster_id: &str) -> Result<(), Error> {
        self.reap()?;
        let arguments = installed(self.version)?.join("java.args");
        let log = || std::fs::OpenOptions::new().create(true).append(true).open(self.log());
        let mut command = Command::new("java");
        command
            .arg(format!("-Xmx{heap}"))
            .arg("-Xms64m")
            .arg(format!("@{}", arguments.display()))
            .arg("boot.Boot")
            .arg(self.directory.join("server.properties"))
            .arg(cluster_id)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log().map_err(Error::system("open the broker's log"))?)
            .stderr(log().map_err(Error::system("open the broker's log"))?)
            // Out of reach of the terminal's Ctrl-C: whoever started it ends it.
            .process_group(0);
        self.child = Some(spawn_for_life(command).await.map_err(Error::system("start java"))?);
        self.stopped = false;
        Ok(())
    }

    /// Whether its process runs and was not told to stop.
    pub(crate) fn is_alive(&self) -> bool {
        let Some(child) = &self.child else { return false };
        // Not `try_wait`, which needs `&mut`. The name in parentheses may hold anything, the state follows it.
        let state = std::fs::read_to_string(format!("/proc/{}/stat", child.id()));
        let runs =
            state.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])));
        runs && !self.stopped
    }

    /// Whether it was started and not ended or stopped from here. A JVM on its way out has to answer by this, which
    /// [`check`](Self::check) clears up in time, and is not alive: it is called a zombie well before it can be waited for.
    pub(crate) fn has_to_answer(&self) -> bool {
        self.child.is_some() && !self.stopped
    }

    /// Takes note that the process has ended; an error while it has not.
    pub(crate) fn reap(&mut self) -> Result<(), Error> {
        match self.check() {
            Ok(()) => Err(Error::Running(self.id)),
            Err(Error::NotRunning(_) | Error::Ended { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An error with the end of the log if the JVM ended without being told to.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        let id = self.id;
        let Some(child) = &mut self.child else { return Err(Error::NotRunning(id)) };
        match child.try_wait().map_err(Error::system("wait for java"))? {
            None => Ok(()),
            Some(status) => {
                self.child = None;
                Err(Error::Ended { id, status, log: excerpt(&self.log()) })
            }
        }
    }

    /// Sends SIGSTOP: sockets stay open, nothing answers.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        self.signal(libc::SIGSTOP)?;
        self.stopped = true;
        Ok(())
    }

    /// Sends SIGCONT.
    pub(crate) fn cont(&mut self) -> Result<(), Error> {
        self.signal(libc::SIGCONT)?;
        self.stopped = false;
        Ok(())
    }

    /// Sends SIGKILL or SIGTERM and waits until the process is gone.
    pub(crate) async fn end(&mut self, signal: libc::c_int) -> Result<(), Error> {
        self.signal(signal)?;
        let id = self.id;
        let mut child = self.child.take().ok_or(Error::NotRunning(id))?;
        let what = format!("broker {id} ends");
        let gone = until(&what, Duration::from_secs(60), async || {
            match child.try_wait().map_err(Error::system("wait for java"))? {
                Some(_) => Ok(()),
                None => Err(Error::NotYet("running".to_owned())),
            }
        })
        .await;
        if gone.is_err() {
            self.child = Some(child);
        }
        gone
    }

    /// The file with everything the broker logged since the cluster's first start.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("broker.log")
    }

    fn signal(&self, signal: libc::c_int) -> Result<(), Error> {
        let child = self.child.as_ref().ok_or(Error::NotRunning(self.id))?;
        let pid = libc::pid_t::try_from(child.id()).expect("a pid of Linux fits its own type");
        #[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
        // SAFETY: kill(2) touches no memory of ours; the child is not reaped, so the pid is still its own.
        let sent = unsafe { libc::kill(pid, signal) };
        if sent == 0 { Ok(()) } else { Err(Error::system("signal java")(std::io::Error::last_os_error())) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // SIGKILL ends a stopped process too.
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Where `tests/install` put this version.
pub(crate) fn installed(version: Version) -> Result<PathBuf, Error> {
    let cache = std::env::var_os("KUSTODY_CACHE").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cache/kustody")
    });
    let kafka = cache.join(format!("kafka-{}", version.name()));
    let complete = kafka.join("java.args");
    if complete.is_file() { Ok(kafka) } else { Err(Error::NotInstalled(complete)) }
}

type Order = (Command, tokio::sync::oneshot::Sender<std::io::Result<Child>>);

/// Starts a process that the kernel kills when this process ends, however it ends.
///
/// The kernel ties a child to the *thread* that started it. Threads of tests and of runtimes come and go, so all
/// children are started by one thread that stays.
pub(crate) async fn spawn_for_life(mut command: Command) -> std::io::Result<Child> {
    static KEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let parent = libc::pid_t::try_from(std::process::id()).expect("a pid of Linux fits its own type");
    let die_with_parent = move || {
        #[expect(unsafe_code, reason = "std has no parent death signal")]
        // SAFETY: prctl(2) and getppid(2) touch no memory and are safe to call between fork and exec.
        let (set, parent_now) = unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
        if set != 0 {
            return Err(std::io::Error::last_os_error());
        }
        if parent_now == parent { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    };
    #[expect(unsafe_code, reason = "the signal is set by the child itself")]
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(die_with_parent)
    };
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                if let Err(Ok(mut nobody_waits)) = answer.send(command.spawn()) {
                    nobody_waits.kill().and_then(|()| nobody_waits.wait()).ok();
                }
            }
        });
        orders
    });
    let (answer, child) = tokio::sync::oneshot::channel();
    keeper.send((command, answer)).map_err(std::io::Error::other)?;
    child.await.map_err(std::io::Error::other)?
}

/// What a log says of a broker's end: its errors, each with the line of its exception, and its last lines, all without
/// stack frames.
fn excerpt(path: &Path) -> String {
    let log = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return format!("(no log: {error})"),
    };
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("\tat ")).collect();
    // A broker that gives up logs a hundred lines of orderly shutdown after the error that made it give up.
    let (before, last) = lines.split_at(lines.len().saturating_sub(10));
    let is_error = |line: &&str| line.contains("] ERROR ") || line.contains("] FATAL ");
    let errors = before.chunk_by(|_, next| !is_error(next)).filter(|chunk| chunk.first().is_some_and(is_error));
    let errors: Vec<&str> = errors.flat_map(|chunk| chunk.iter().take(2).copied()).collect();
    [errors.get(errors.len().saturating_sub(12)..).unwrap_or_default(), &["…"], last].concat().join("\n")
}
