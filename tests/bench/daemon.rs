//! The daemon on a real Kafka: what it asks of the brokers, uses up and writes, how fast it answers, and how soon it
//! proves a loss.
//!
//! Prints tables and judges nothing. `BENCH_SECONDS` of measuring, `REPEAT` elections, `CANARY_SECONDS` for each choice of
//! classes; 0 leaves a part out.

#![expect(clippy::print_stdout, reason = "a benchmark prints its tables")]

mod canary;
#[path = "../kafka/mod.rs"]
mod kafka;
mod load;
mod proof;
mod served;
mod status;
mod table;

use std::time::Duration;

use kafka::{Cluster, Options};
use load::Load;
use served::{Daemon, Used};
use table::Table;
use tokio::time::Instant;

/// Times that each page is asked for.
const ASKED: usize = 50;

#[tokio::main]
async fn main() {
    let (seconds, repeat) = (table::count("BENCH_SECONDS", 30), table::count("REPEAT", 3));
    if seconds > 0 {
        steady(Duration::from_secs(u64::from(seconds))).await;
    }
    if repeat > 0 {
        proofs(repeat).await;
    }
    let canary = table::count("CANARY_SECONDS", 0);
    if canary > 0 {
        println!(
            "Three brokers; poll.every = 1s, canary on 3 partitions, 1 record a second and class on each; {canary} s each; \
             profile: {}\n",
            table::profile()
        );
        println!("{}", canary::cost(Duration::from_secs(u64::from(canary))).await);
    }
}

async fn steady(measured: Duration) {
    let options = Options { dedicated_controller: true, ..Options::default() };
    let cluster = Cluster::start(options).await.expect("the cluster starts");
    let load = Load { topics: 30, groups: 50, commits: 20 };
    load.create(&cluster).await;
    let settings = "canary.enabled = true\ncanary.create_topic = true\ncanary.rate = 1.0";
    let daemon = Daemon::start(&cluster.bootstrap(), settings).await;
    // The canary on all its partitions, and the buffers of the first turns, are there after this.
    daemon
        .until("canaries are delivered", async || daemon.canary("delivered").await.filter(|count| *count >= 30))
        .await;
    let before = daemon.used().await;
    tokio::time::sleep(measured).await;
    let after = daemon.used().await;
    println!(
        "Three brokers, {} partitions with three replicas, {} groups × {} commits; poll.every = 1s, canary on 3 \
         partitions, 1 record a second each; {} s; profile: {}\n",
        load.partitions(),
        load.groups,
        load.commits,
        measured.as_secs(),
        table::profile()
    );
    println!("{}", usage(&daemon, &before, &after));
    println!("{}", answers(&daemon).await);
}

fn usage(daemon: &Daemon, before: &Used, after: &Used) -> Table {
    let wall = after.at.duration_since(before.at);
    let grown = |begin: &str| after.sum(begin) - before.sum(begin);
    let turns = grown("kustody_poll_duration_seconds_count");
    let mut table = Table::new(&["what", "how much"]);
    let mut row = |what: &str, how_much: String| table.row([what.to_owned(), how_much]);
    row("turns a second", format!("{:.2}", turns / wall.as_secs_f64()));
    let read_ms = grown("kustody_poll_duration_seconds_sum") / turns * 1000.0;
    row("reading the cluster, mean per turn", format!("{read_ms:.0} ms"));
    let series = after.metrics.keys().filter(|series| series.starts_with("kustody_poll_requests_total"));
    let mut apis: Vec<(&str, f64)> = series
        .map(|series| (api_of(series), (after.sum(series) - before.sum(series)) / turns))
        .filter(|(_, requests)| *requests > 0.0)
        .collect();
    apis.sort_by(|(_, one), (_, two)| two.total_cmp(one));
    let each: Vec<String> = apis.iter().map(|(api, requests)| format!("{api} {requests:.1}")).collect();
    let requests = grown("kustody_poll_requests_total") / turns;
    row("requests per turn", format!("{requests:.1} ({})", each.join(", ")));
    let mut cpu: Vec<(&str, f64)> = after
        .cpu
        .iter()
        .map(|(kind, spent)| (kind.as_str(), *spent - before.cpu.get(kind).copied().unwrap_or_default()))
        .map(|(kind, spent)| (kind, spent.as_secs_f64() / wall.as_secs_f64() * 100.0))
        .collect();
    cpu.sort_by(|(_, one), (_, two)| two.total_cmp(one));
    let sum: f64 = cpu.iter().map(|(_, percent)| percent).sum();
    let each: Vec<String> = cpu.iter().map(|(kind, percent)| format!("{kind} {percent:.1}")).collect();
    row("CPU, % of one core", format!("{sum:.1} ({})", each.join(", ")));
    let mib = |field| format!("{} MiB", status::number(daemon.pid(), field) / 1024);
    row("resident memory; its peak", format!("{}; {}", mib("VmRSS"), mib("VmHWM")));
    row("threads", status::number(daemon.pid(), "Threads").to_string());
    let kib = |before: u64, after: u64| {
        let bytes = u32::try_from(after - before).expect("less than 4 GiB");
        format!("{:.1} KiB", f64::from(bytes) / turns / 1024.0)
    };
    row("databases grow per turn", kib(before.kept, after.kept));
    row("written to files per turn, journals included", kib(before.written, after.written));
    table
}

fn api_of(series: &str) -> &str {
    series.split_once("api=\"").and_then(|(_, rest)| rest.split_once('"')).map_or(series, |(api, _)| api)
}

async fn answers(daemon: &Daemon) -> Table {
    let mut table = Table::new(&["page", "KiB", "p50 ms", "max ms"]);
    let pages = ["/", "/clusters/main/groups", "/clusters/main/topics", "/metrics", "/api/v1/clusters/main/groups"];
    for page in pages {
        let mut took = Vec::with_capacity(ASKED);
        let mut bytes = 0;
        for _ in 0..ASKED {
            let begun = Instant::now();
            bytes = daemon.text(page).await.unwrap_or_else(|| panic!("{page} is not served")).len();
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        let ms = |nth: usize| format!("{:.1}", took.get(nth).map_or(0.0, |took| took.as_secs_f64() * 1000.0));
        table.row([page.to_owned(), (bytes / 1024).to_string(), ms(ASKED / 2), ms(ASKED - 1)]);
    }
    table
}

async fn proofs(repeat: u32) {
    let mut proofs = Vec::new();
    for _ in 0..repeat {
        proofs.push(proof::measure().await);
    }
    println!(
        "An unclean election loses acknowledged canaries ({} a second), {repeat} times; poll.every = 1s; profile: {}\n",
        proof::RATE,
        table::profile()
    );
    let mut table = Table::new(&["seconds until every lost record is in the findings", "min", "median", "max"]);
    let mut row = |since: &str, mut seconds: Vec<f64>| {
        seconds.sort_by(f64::total_cmp);
        let nth = |nth: usize| format!("{:.2}", seconds.get(nth).copied().unwrap_or(f64::NAN));
        table.row([since.to_owned(), nth(0), nth(seconds.len() / 2), nth(seconds.len() - 1)]);
    };
    row("since any broker names the new leader", proofs.iter().map(|proof| proof.since_named).collect());
    row("since the new leader itself answers", proofs.iter().map(|proof| proof.since_it_answers).collect());
    println!("{table}");
    let lost: Vec<String> = proofs.iter().map(|proof| proof.lost.to_string()).collect();
    println!("Records lost: {}.", lost.join(", "));
}
