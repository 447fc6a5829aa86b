//! The daemon killed under load: what was committed is there, nothing is made up, no transition stays untold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup, assert_sums, is_intact};
use crate::kafka::{Options, values};

const SOON: Duration = Duration::from_secs(60);

/// A webhook that keeps what it is told: (alert's fingerprint, status) in order.
async fn webhook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let told: Arc<Mutex<Vec<Value>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let keep = Arc::clone(&told);
    let router = axum::Router::new().route(
        "/",
        axum::routing::post(move |axum::Json(body): axum::Json<Value>| {
            let keep = Arc::clone(&keep);
            async move {
                keep.lock().await.push(body);
            }
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_kills_under_load_lose_nothing_and_make_nothing_up() {
    let cluster = own(Options::default()).await;
    let client = cluster.client();
    client.create_topic("orders", &[&[1, 2, 3]], &[]).await.expect("the topic is created");
    client.produce("orders", 0, &values("orders", 2_000), "all", &[]).await.expect("records are sent");
    client.commit("rewound", "orders", 0, 1_900).await.expect("a commit");
    let (address, told) = webhook().await;
    let more = format!("[[receiver]]\nname = \"test\"\nwebhook.url = \"{address}\"");
    let canary = "canary.enabled = true\ncanary.create_topic = true\ncanary.rate = 50.0";
    let mut daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: canary, more: &more }).await;

    let mut journal: BTreeSet<String> = BTreeSet::new();
    let mut settled: usize = 0;
    for round in 0..3 {
        let floor = u64::try_from(settled + 100).expect("a count");
        let class = daemon
            .await_canary("idempotent", SOON, |class| class["delivered"].as_u64().is_some_and(|n| n >= floor))
            .await;
        assert_sums(&class);
        // A transition just before the kill: it must be told, by this process or the next.
        daemon.await_turns(2).await;
        client.commit("rewound", "orders", 0, 1_500 - 400 * round).await.expect("a commit");
        let seen = usize::try_from(round).expect("a small number") + 1;
        let found = daemon.await_findings("commit_rewound", SOON, |found| rewinds(found) >= seen).await;
        journal.extend(found.iter().map(|finding| finding["id"].as_str().expect("an id").to_owned()));
        // What is in the database now is committed: it may not be less afterwards.
        let delivered = daemon.delivered_on_disk().await;
        daemon.kill().await;
        for file in ["history.db", "ledger.db"] {
            assert!(is_intact(&daemon.data().join(file)).await, "{file} after kill {round}");
        }
        assert!(daemon.delivered_on_disk().await >= delivered, "committed is committed");
        daemon.launch().await;
        settled = daemon.delivered_on_disk().await;
    }
    daemon
        .await_canary("idempotent", SOON, |class| {
            class["delivered"].as_u64().is_some_and(|n| n >= u64::try_from(settled + 100).expect("a count"))
        })
        .await;
    daemon.await_turns(3).await;
    let class = daemon.canary("idempotent").await;
    assert_sums(&class);
    for name in ["lost", "truncated_after_delivery", "duplicated", "phantom"] {
        assert_eq!(class[name], 0, "{name}: {class:#}");
    }
    daemon.assert_only(&["leader_moved", "commit_rewound"]).await;
    let there: BTreeSet<String> = daemon
        .findings_of("commit_rewound")
        .await
        .iter()
        .map(|finding| finding["id"].as_str().expect("an id").to_owned())
        .collect();
    assert!(journal.is_subset(&there), "findings survive: {journal:?} {there:?}");
    // No transition untold: each of the findings was told as firing.
    crate::kafka::until("every finding was told", SOON, async || {
        let told = told.lock().await;
        // A notice's id begins with its finding's.
        let fired: BTreeSet<&str> = told
            .iter()
            .flat_map(|notice| notice["alerts"].as_array().into_iter().flatten())
            .filter_map(|alert| alert["noticeId"].as_str()?.split_once("/firing/"))
            .map(|(id, _)| id)
            .collect();
        if journal.iter().all(|id| fired.contains(id.as_str())) {
            Ok(())
        } else {
            Err(crate::kafka::Error::NotYet(format!("{journal:?} of {fired:?}")))
        }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
}

/// Rewinds that were seen: each finding counts once, and again when it was extended.
fn rewinds(findings: &[Value]) -> usize {
    findings
        .iter()
        .map(|finding| finding["evidence"]["times"].as_u64().map_or(1, |n| usize::try_from(n).unwrap_or(1)))
        .sum()
}
