mod ledger;
mod samples;
mod trouble;

use std::path::Path;

use super::samples_for_tests::{T0, alert, finding, notice};
use super::*;
use crate::alert::{AlertState, NoticeStatus};
use crate::finding::FindingState;

async fn open(data: &Path) -> Store {
    Store::open(Options { data: data.to_owned(), ..Options::default() }).await.expect("an empty directory will do")
}

/// Awaits a condition; a test that waits ten seconds has failed.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within ten seconds");
}

fn now(seconds: u64) -> Moment {
    Moment { wall: T0 + Duration::from_secs(seconds), mono: Duration::from_secs(seconds) }
}

fn told(id: &str) -> Turn {
    Turn {
        findings: vec![finding(id)],
        step: Step {
            changed: vec![alert(id, AlertState::Firing)],
            notices: vec![notice(id, NoticeStatus::Firing, "ops")],
        },
        ..Turn::default()
    }
}

#[tokio::test]
async fn findings_alerts_and_notices_survive_a_restart() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    store.offer(told("f1"));
    let closed = crate::finding::Finding { state: FindingState::Closed, closed_at: Some(T0), ..finding("f2") };
    store.offer(Turn { findings: vec![closed.clone()], ..Turn::default() });
    store.close().await;

    let store = open(data.path()).await;
    assert_eq!(store.findings_to_restore(10).await.expect("a read"), vec![finding("f1"), closed.clone()]);
    assert_eq!(store.findings_to_restore(0).await.expect("a read"), vec![finding("f1")]);
    assert_eq!(store.alerts_to_restore(0).await.expect("a read"), vec![alert("f1", AlertState::Firing)]);
    let due = store.outbox().next_due("ops", now(0)).await.expect("it is open");
    assert_eq!(due.notices.len(), 1);
    assert_eq!(
        due.notices.first().map(|due| due.notice.as_ref().clone()),
        Some(notice("f1", NoticeStatus::Firing, "ops"))
    );
    assert_eq!(store.status().ledger.pending, 1);

    store.outbox().record_attempt("f1/firing/ops", now(1), Delivery::Delivered);
    store.close().await;
    let store = open(data.path()).await;
    assert!(store.outbox().next_due("ops", now(0)).await.expect("it is open").notices.is_empty());
    let deliveries = store.deliveries(1, 50).await.expect("a read");
    assert_eq!(deliveries.total, 1);
    let row = deliveries.items.first().expect("one");
    assert_eq!((row.state.as_str(), row.attempts, row.done_at), ("delivered", 1, Some(now(1).wall)));
    store.close().await;
}

#[tokio::test]
async fn lists_are_narrowed_and_paged() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let findings: Vec<_> = (0..7).map(|number| finding(&format!("f{number}"))).collect();
    store.offer(Turn { findings, ..Turn::default() });
    eventually("it is written", async || store.status().ledger.written > 0).await;
    let query = FindingQuery { page: 2, per_page: 3, ..FindingQuery::default() };
    let page = store.findings(&query).await.expect("a read");
    assert_eq!(page.total, 7);
    assert_eq!(page.items.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), ["f3", "f2", "f1"]);
    let cases = [
        ("an odd group", FindingQuery { group: finding("f").subject.group, ..query.clone() }, 7),
        ("another group", FindingQuery { group: Some("x".into()), ..query.clone() }, 0),
        ("closed", FindingQuery { state: Some(FindingState::Closed), ..query.clone() }, 0),
        ("the kind", FindingQuery { kind: Some(finding("f").kind), ..query.clone() }, 7),
        ("later", FindingQuery { since: Some(T0 + Duration::from_secs(1)), ..query.clone() }, 0),
        ("another cluster", FindingQuery { cluster: Some("x".into()), ..query }, 0),
    ];
    for (name, query, want) in cases {
        assert_eq!(store.findings(&query).await.expect("a read").total, want, "{name}");
    }
    assert_eq!(store.finding("f3").await.expect("a read"), Some(finding("f3")));
    assert_eq!(store.finding("x").await.expect("a read"), None);
    store.close().await;
}

#[tokio::test]
async fn a_lineage_is_stored_once() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let (first, second) = (Lineage([1; 16]), Lineage([2; 16]));
    assert_eq!(store.lineage(&"main".into(), first).await.expect("room"), first);
    assert_eq!(store.lineage(&"main".into(), second).await.expect("room"), first);
    assert_eq!(store.lineage(&"other".into(), second).await.expect("room"), second);
    store.close().await;
    let store = open(data.path()).await;
    assert_eq!(store.lineage(&"main".into(), second).await.expect("room"), first);
    store.close().await;
}
