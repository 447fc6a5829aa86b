//! What the canary costs: the daemon without one, with one class, and with all five.

use std::time::Duration;

use crate::kafka::{Cluster, Options};
use crate::served::Daemon;
use crate::status;
use crate::table::Table;

/// Delivered records of a class after which all its buffers are there.
const WARM: u64 = 60;

/// CPU, memory and threads of each, for so long each.
pub(crate) async fn cost(measured: Duration) -> Table {
    let options = Options { dedicated_controller: true, ..Options::default() };
    let cluster = Cluster::start(options).await.expect("the cluster starts");
    let mut table = Table::new(&["canary", "records a second", "CPU, % of one core", "resident memory MiB", "threads"]);
    let all = ["acks0", "acks1", "all", "idempotent", "transactional"];
    for (name, classes) in [("none", &[][..]), ("idempotent", &all[3..4]), ("all five classes", &all)] {
        let settings = if classes.is_empty() {
            String::new()
        } else {
            format!(
                "canary.enabled = true\ncanary.create_topic = true\ncanary.rate = 1.0\ncanary.classes = {classes:?}"
            )
        };
        let daemon = Daemon::start(&cluster.bootstrap(), &settings).await;
        let delivered = async || -> Option<u64> {
            let items = daemon.items("/canary").await?;
            let of = |class: &&str| items.iter().find(|item| item["class"] == **class)?["delivered"].as_u64();
            classes.iter().map(of).sum()
        };
        daemon.until("canaries are delivered", async || delivered().await.filter(|n| *n >= WARM * n_of(classes))).await;
        let (before, delivered_before) = (daemon.used().await, delivered().await.unwrap_or_default());
        tokio::time::sleep(measured).await;
        let (after, delivered_after) = (daemon.used().await, delivered().await.unwrap_or_default());
        let wall = after.at.duration_since(before.at).as_secs_f64();
        let spent: Duration = after.cpu.values().sum::<Duration>().saturating_sub(before.cpu.values().sum());
        let records = u32::try_from(delivered_after - delivered_before).expect("a few");
        table.row([
            name.to_owned(),
            format!("{:.1}", f64::from(records) / wall),
            format!("{:.2}", spent.as_secs_f64() / wall * 100.0),
            format!("{}", status::number(daemon.pid(), "VmRSS") / 1024),
            status::number(daemon.pid(), "Threads").to_string(),
        ]);
    }
    table
}

fn n_of(classes: &[&str]) -> u64 {
    u64::try_from(classes.len()).expect("five at most")
}
