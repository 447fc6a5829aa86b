//! What a turn costs in CPU and memory once the cluster has been read: observe, judge, books, publish, exposition.
//!
//! Prints a table and judges nothing. `WARM`, `TURNS`: turns before and while it measures.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod status;
mod synthetic;
mod table;

use std::sync::Arc;
use std::time::Duration;

use kustody::alert::{self, AlertBook};
use kustody::finding::{BookOptions, Finding, FindingBook, JudgeOptions, Judged, judge};
use kustody::metrics::{BuildInfo, exposition};
use kustody::model::{ClusterName, ClusterSnapshot, Moment};
use kustody::observe::{History, Options, observe};
use kustody::publish::{Published, PublishedCluster};
use synthetic::Synthetic;
use table::Table;

const STEPS: [&str; 6] = ["observe", "judge", "books", "publish", "exposition", "idle step"];

/// The judgement on one cluster, as the daemon keeps it from turn to turn.
struct Turns {
    cluster: ClusterName,
    history: History,
    findings: FindingBook,
    alerts: AlertBook,
    published: Published,
    spent: [Duration; STEPS.len()],
    exposed: usize,
}

impl Turns {
    fn new() -> Self {
        let cluster = ClusterName::from("main");
        Self {
            history: History::new(Options::default()),
            findings: FindingBook::new(cluster.clone(), BookOptions::default()),
            alerts: AlertBook::new(alert::Options::default()),
            published: Published::default(),
            spent: [Duration::ZERO; STEPS.len()],
            exposed: 0,
            cluster,
        }
    }

    /// One turn, of which each step is charged with its CPU.
    fn turn(&mut self, snapshot: &ClusterSnapshot, mono: Duration) {
        let mut spent = Vec::with_capacity(STEPS.len());
        let mut before = cpu();
        let mut charge = || {
            let now = cpu();
            spent.push(now - before);
            before = now;
        };
        let now = Moment { wall: snapshot.span.finished, mono };

        let observation = Arc::new(observe(&mut self.history, snapshot));
        charge();
        let judged = judge(&observation, &JudgeOptions::default());
        charge();
        let changed = self.findings.step(now.wall, &judged);
        drop(self.alerts.step(now, &changed));
        charge();
        let mut findings: Vec<Finding> = self.findings.open().chain(self.findings.recent()).cloned().collect();
        findings.sort_by(|a, b| (a.severity, b.opened_at, &a.id).cmp(&(b.severity, a.opened_at, &b.id)));
        let cluster = PublishedCluster {
            observation: Some(observation),
            last_success: Some(now.wall),
            findings: Arc::new(findings),
            ..PublishedCluster::default()
        };
        // The turn before is dropped here, as it is in the daemon.
        self.published = Published {
            as_of: Some(now.wall),
            clusters: [(self.cluster.clone(), cluster)].into(),
            alerts: Arc::new(self.alerts.alerts()),
            ..Published::default()
        };
        charge();
        let build = BuildInfo { version: String::new(), commit: String::new(), librdkafka: String::new() };
        self.exposed = exposition(&self.published, &build).len();
        charge();
        // Between turns holds end by time: this runs four times a second.
        let changed = self.findings.step(now.wall, &Judged::default());
        drop(self.alerts.step(now, &changed));
        charge();
        for (sum, spent) in self.spent.iter_mut().zip(spent) {
            *sum += spent;
        }
    }
}

fn main() {
    let (warm, turns) = (table::count("WARM", 25), table::count("TURNS", 10));
    println!("CPU per turn in ms, the mean of {turns} turns after {warm}; profile: {}\n", table::profile());
    let mut header = vec!["cluster", "turns"];
    header.extend(STEPS);
    header.extend(["a turn in all", "findings open", "exposition KiB", "peak RSS MiB"]);
    let mut table = Table::new(&header);
    // The smaller one first: the peak of a process never falls.
    for (partitions, groups, commits) in [(1_000, 100, 20), (10_000, 1_000, 50)] {
        let mut cluster = Synthetic::new(partitions, groups, commits);
        let mut state = Turns::new();
        let mut mono = Duration::ZERO;
        let size = format!("{partitions} partitions, {groups} groups × {commits} commits");
        let mut phase = |name: Option<&str>, cluster: &mut Synthetic, turns: u32| {
            state.spent = [Duration::ZERO; STEPS.len()];
            for _ in 0..turns {
                mono += Duration::from_secs(15);
                state.turn(&cluster.next(), mono);
            }
            let Some(name) = name else { return };
            let ms = |spent: Duration| format!("{:.1}", spent.as_secs_f64() * 1000.0 / f64::from(turns));
            let mut cells = vec![size.clone(), name.to_owned()];
            cells.extend(state.spent.iter().map(|spent| ms(*spent)));
            cells.push(ms(state.spent.iter().take(STEPS.len() - 1).sum()));
            cells.push(state.findings.open().count().to_string());
            cells.push((state.exposed / 1024).to_string());
            cells.push((status::number(std::process::id(), "VmHWM") / 1024).to_string());
            table.row(cells);
        };
        phase(None, &mut cluster, warm);
        phase(Some("steady"), &mut cluster, turns);
        cluster.lose_a_broker();
        phase(Some("the two after a broker of nine left"), &mut cluster, 2);
        phase(Some("then"), &mut cluster, turns);
    }
    println!("{table}");
}

/// User and system time of this process.
fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    #[expect(unsafe_code, reason = "std does not tell CPU time")]
    // SAFETY: getrusage(2) writes one rusage where it is told to; all zeroes are a valid one besides.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0, "getrusage takes these arguments");
        usage.assume_init()
    };
    let of = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).expect("not negative"))
            + Duration::from_micros(u64::try_from(time.tv_usec).expect("not negative"))
    };
    of(usage.ru_utime) + of(usage.ru_stime)
}
