//! The poll plane against brokers that follow a script: every kind of failure, without a cluster.

mod answers;
mod broker;
mod errors;
mod reading;
mod restart;
mod throttling;
mod trouble;
mod turns;

use std::time::Duration;

use kustody::clock::Clock;
use kustody::model::{BrokerId, ClusterName, LeaderEpoch, Offset};
use kustody::wire::{Cluster, Options};

use broker::{Script, Scripted};

/// Partition 0 of each topic is led by broker 1, partition 1 by broker 2. Of the groups, "ga" belongs to broker 1 and
/// "gb" to broker 2.
fn script() -> Script {
    Script {
        topics: [("__consumer_offsets", vec![(1, 3), (2, 4)]), ("t", vec![(1, 5), (2, 6)])].into_iter().collect(),
        listed: [("ga", (vec![1], "classic")), ("gb", (vec![2], "classic"))].into_iter().collect(),
        commits: [("ga", vec![("t", 0, 40, 5)]), ("gb", vec![("t", 1, 41, 4)])].into_iter().collect(),
        ends: (10, 90, 100),
        epoch_end: (4, 40),
        ..Script::default()
    }
}

const PATIENCE: Duration = Duration::from_millis(400);
const DEADLINE: Duration = Duration::from_secs(3);
const PATIENT: Duration = Duration::from_secs(10);

fn options(scripted: &Scripted) -> Options {
    Options {
        bootstrap: vec![scripted.address(1), scripted.address(2)],
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        poll_deadline: DEADLINE,
        hedge_after: PATIENCE / 4,
        group_list_settle: Duration::ZERO,
        forget_after: Duration::ZERO,
        always_described: 0,
        always_earliest: 0,
        ..Options::default()
    }
}

async fn started() -> (Scripted, Cluster) {
    let scripted = Scripted::start(&[1, 2], script()).await;
    let cluster = cluster(options(&scripted));
    (scripted, cluster)
}

/// Options for a machine that may be slow, where a test is about numbers and not about time.
fn patient(scripted: &Scripted) -> Options {
    Options {
        connect_timeout: PATIENT,
        request_timeout: PATIENT,
        poll_deadline: PATIENT * 2,
        hedge_after: PATIENT,
        ..options(scripted)
    }
}

fn cluster(options: Options) -> Cluster {
    Cluster::new(ClusterName::from("scripted"), options, Clock::start())
}

fn offset(number: i64) -> Offset {
    Offset::new(number).expect("not negative")
}

fn epoch(number: i32) -> LeaderEpoch {
    LeaderEpoch::new(number).expect("not negative")
}

const ONE: BrokerId = BrokerId(1);
const TWO: BrokerId = BrokerId(2);
