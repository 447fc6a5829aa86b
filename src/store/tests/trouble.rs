use sqlx::Connection;

use super::samples::{keep, lag_of, observation};
use super::*;

#[tokio::test]
async fn a_full_ledger_delays_nothing_and_loses_nothing() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    store.limits[1].send_replace(Some(1));
    let mut outbox = store.outbox();
    for number in 0..200 {
        store.offer(told(&format!("f{number}")));
    }
    eventually("the file is full", async || store.status().ledger.trouble.is_some()).await;
    assert!(matches!(
        store.lineage(&"main".into(), Lineage([1; 16])).await,
        Err(StoreError::Full(_) | StoreError::Busy(_))
    ));
    let mut due = Due::default();
    eventually("notices leave from memory", async || {
        due = outbox.next_due("ops", now(0)).await.expect("it is open");
        due.notices.len() == 200
    })
    .await;
    outbox.changed().await.expect("whoever waits was woken");
    for notice in due.notices.iter().take(100) {
        outbox.record_attempt(&notice.notice.id, now(1), Delivery::Delivered);
    }
    store.limits[1].send_replace(None);
    eventually("it is written again", async || store.status().ledger.trouble.is_none()).await;
    store.close().await;

    let store = open(data.path()).await;
    assert_eq!(store.findings_to_restore(0).await.expect("a read").len(), 200);
    assert_eq!(store.outbox().next_due("ops", now(0)).await.expect("it is open").notices.len(), 100);
    let delivered = store.deliveries(1, 1_000).await.expect("a read").items;
    assert_eq!(delivered.iter().filter(|row| row.state == "delivered").count(), 100);
    store.close().await;
}

#[tokio::test]
async fn a_full_history_is_a_gap_and_goes_on_later() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    store.limits[0].send_replace(Some(1));
    let mut turn = 0;
    eventually("the file is full", async || {
        turn += 1;
        store.offer(Turn { observation: Some(Arc::new(observation(turn * 15, 50))), ..Turn::default() });
        store.status().history.trouble.is_some()
    })
    .await;
    for _ in 0..20 {
        turn += 1;
        store.offer(Turn { observation: Some(Arc::new(observation(turn * 15, 50))), ..Turn::default() });
    }
    assert!(store.status().history.dropped > 0, "samples are dropped and counted");
    store.limits[0].send_replace(None);
    eventually("it is written again", async || store.status().history.trouble.is_none()).await;
    keep(&store, observation(turn * 15 + 15, 77)).await;
    let history = store.history(&lag_of("a\0 <group>", None, None)).await.expect("a read");
    assert_eq!(history.columns.first().and_then(|column| column.values.last().copied()), Some(Some(37.0)));
    store.close().await;
}

#[tokio::test]
async fn a_killed_process_leaves_files_that_are_whole() {
    let data = tempfile::tempdir().expect("a directory");
    for round in 0..5_i32 {
        let data = data.path().to_owned();
        // The runtime dies in the middle of writing, and nothing is closed.
        let killed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let store = open(&data).await;
                for number in 0..200 {
                    store.offer(told(&format!("r{round}-{number}")));
                    store.offer(Turn { observation: Some(Arc::new(observation(number, 50))), ..Turn::default() });
                    store.lineage(&format!("c{number}").as_str().into(), Lineage([1; 16])).await.expect("room");
                }
            });
            runtime.shutdown_background();
        });
        killed.join().expect("no panic");
    }
    for name in ["history.db", "ledger.db"] {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join(name));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.expect("the file is there");
        let check: String =
            sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await.expect("a check");
        assert_eq!(check, "ok", "{name}");
        connection.close().await.expect("closed");
    }
    let store = open(data.path()).await;
    let findings = store.findings_to_restore(0).await.expect("a read").len();
    assert!(findings >= 5 * 199, "what came before a durable answer is there: {findings}");
    assert_eq!(store.alerts_to_restore(0).await.expect("a read").len(), findings);
    assert_eq!(store.status().ledger.pending, findings);
    store.close().await;
}

#[tokio::test]
async fn what_is_no_database_is_refused_with_its_path() {
    let data = tempfile::tempdir().expect("a directory");
    std::fs::write(data.path().join("ledger.db"), vec![b'x'; 10_000]).expect("a file");
    let refused = Store::open(Options { data: data.path().to_owned(), ..Options::default() }).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let file = data.path().join("ledger.db");
    let refused = Store::open(Options { data: file, ..Options::default() }).await;
    assert!(matches!(refused, Err(StoreError::Open { .. })), "{refused:?}");
}
