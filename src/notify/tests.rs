//! Delivery to receivers that are real servers, kind and unkind ones.

use std::collections::BTreeSet;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::alert::{NoticeStatus, Step};
use crate::store::samples_for_tests::notice;
use crate::store::{Options as StoreOptions, Store, Turn};

/// What a server does with the n-th request, from 0.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Answers with these statuses in turn, the last one for ever.
    Answers(&'static [&'static str]),
    /// Reads and says nothing.
    Silent,
    /// Says 200 and sends a body without end.
    Endless,
}

#[derive(Debug)]
struct Request {
    head: String,
    body: serde_json::Value,
    raw: Vec<u8>,
}

impl Request {
    fn ids(&self) -> Vec<String> {
        let alerts = self.body.get("alerts").and_then(|alerts| alerts.as_array()).cloned().unwrap_or_default();
        alerts.iter().filter_map(|alert| Some(alert.get("noticeId")?.as_str()?.to_owned())).collect()
    }
}

/// A server on loopback: its URL and the requests it gets.
async fn server(manner: Manner) -> (String, mpsc::UnboundedReceiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    let (requests, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut served = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            if requests.send(request).is_err() {
                return;
            }
            let number = served;
            served += 1;
            tokio::spawn(async move { answer(&mut stream, manner, number).await });
        }
    });
    (url, received)
}

async fn read(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let (head, body) = bytes.split_at(end + 4);
            let head = String::from_utf8_lossy(head).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                let json = serde_json::from_slice(body).expect("a JSON body");
                return Request { head, body: json, raw: body.to_vec() };
            }
        }
        assert!(stream.read_buf(&mut bytes).await.expect("a request") > 0, "cut off");
    }
}

async fn answer(stream: &mut TcpStream, manner: Manner, number: usize) {
    match manner {
        Manner::Answers(statuses) => {
            let status = statuses.get(number).or(statuses.last()).expect("one at least");
            let text = format!(
                "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:9/\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"
            );
            stream.write_all(text.as_bytes()).await.expect("it listens");
        }
        Manner::Silent => std::future::pending().await,
        Manner::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("it listens");
            while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
        }
    }
}

async fn open(data: &Path) -> Store {
    Store::open(StoreOptions { data: data.to_owned(), ..StoreOptions::default() }).await.expect("an empty directory")
}

fn webhook(url: &str, secret: Option<&str>) -> Webhook {
    let options = WebhookOptions { url: Secret::new(url), secret: secret.map(Secret::new) };
    Webhook::new(&options, None).expect("http needs nothing")
}

async fn start(store: &Store, receivers: &[(&str, &str)]) -> Notifier {
    let pace = Pace { first: Duration::from_millis(50), ..Pace::default() };
    let couriers = receivers.iter().map(|(name, url)| ((*name).to_owned(), webhook(url, None))).collect();
    Notifier::start_with(couriers, store.outbox(), Clock::start(), pace).await.expect("the store is open")
}

fn tell(store: &Store, notices: Vec<Notice>) {
    store.offer(Turn { step: Step { changed: Vec::new(), notices }, ..Turn::default() });
}

fn firing(alert: &str, receiver: &str) -> Notice {
    notice(alert, NoticeStatus::Firing, receiver)
}

async fn next(requests: &mut mpsc::UnboundedReceiver<Request>) -> Request {
    tokio::time::timeout(Duration::from_secs(10), requests.recv()).await.expect("in time").expect("the server runs")
}

/// Awaits a count; a test that waits ten seconds has failed.
async fn counted(notifier: &Notifier, receiver: &str, outcome: &'static str, want: u64) {
    let mut counts = notifier.counts.subscribe();
    let reached = counts.wait_for(|counts| counts.get(&(receiver.to_owned(), outcome)) == Some(&want));
    tokio::time::timeout(Duration::from_secs(10), reached).await.expect("in time").expect("the notifier runs");
}

#[tokio::test]
async fn a_notice_is_delivered_once_and_signed_where_there_is_a_secret() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let (url, mut requests) = server(Manner::Answers(&["200 OK"])).await;
    let couriers = vec![("ops".to_owned(), webhook(&url, Some("key")))];
    let notifier = Notifier::start_with(couriers, store.outbox(), Clock::start(), Pace::default())
        .await
        .expect("the store is open");
    tell(&store, vec![firing("f1", "ops")]);
    let request = next(&mut requests).await;
    assert_eq!(request.ids(), ["f1/firing/ops"]);
    let mut mac = <hmac::Hmac<sha2::Sha256> as hmac::Mac>::new_from_slice(b"key").expect("any length");
    hmac::Mac::update(&mut mac, &request.raw);
    let want: String = hmac::Mac::finalize(mac).into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(request.head.contains(&format!("x-kustody-signature: sha256={want}")), "{}", request.head);
    counted(&notifier, "ops", "delivered", 1).await;
    assert!(requests.try_recv().is_err(), "once");
    notifier.stop(Duration::from_secs(5)).await;
    store.close().await;
}

#[tokio::test]
async fn a_failure_is_tried_again_and_resolved_waits_behind_firing() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let (url, mut requests) = server(Manner::Answers(&["500 Oh", "503 Oh", "200 OK"])).await;
    let notifier = start(&store, &[("ops", &url)]).await;
    tell(&store, vec![firing("f1", "ops"), notice("f1", NoticeStatus::Resolved, "ops")]);
    for want in ["f1/firing/ops", "f1/firing/ops", "f1/firing/ops", "f1/resolved/ops"] {
        assert_eq!(next(&mut requests).await.ids(), [want]);
    }
    counted(&notifier, "ops", "delivered", 2).await;
    assert_eq!(notifier.counts().get(&("ops".to_owned(), "retried")), Some(&2));
    notifier.stop(Duration::from_secs(5)).await;
    store.close().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_nobody() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let (silent, mut unanswered) = server(Manner::Silent).await;
    let (endless, _flood) = server(Manner::Endless).await;
    let (kind, mut requests) = server(Manner::Answers(&["204 No Content"])).await;
    let notifier = start(&store, &[("silent", &silent), ("endless", &endless), ("kind", &kind)]).await;
    tell(&store, ["silent", "endless", "kind"].map(|receiver| firing("f1", receiver)).to_vec());
    next(&mut unanswered).await;
    let begun = tokio::time::Instant::now();
    tell(&store, ["silent", "endless", "kind"].map(|receiver| firing("f2", receiver)).to_vec());
    let mut told = BTreeSet::new();
    while told.len() < 2 {
        told.extend(next(&mut requests).await.ids());
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    counted(&notifier, "endless", "delivered", 2).await;
    assert_eq!(notifier.counts().get(&("silent".to_owned(), "delivered")), Some(&0));
    notifier.stop(Duration::from_millis(10)).await;
    store.close().await;
}

#[tokio::test]
async fn what_was_pending_is_delivered_after_a_restart_under_its_id() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    tell(&store, vec![firing("f1", "ops"), firing("f2", "gone")]);
    store.close().await;

    let store = open(data.path()).await;
    let (url, mut requests) = server(Manner::Answers(&["200 OK"])).await;
    let notifier = start(&store, &[("ops", &url)]).await;
    assert_eq!(next(&mut requests).await.ids(), ["f1/firing/ops"]);
    counted(&notifier, "ops", "delivered", 1).await;
    notifier.stop(Duration::from_secs(5)).await;
    store.close().await;

    let store = open(data.path()).await;
    let states: Vec<_> = store.deliveries(1, 9).await.expect("a read").items.into_iter().map(|row| row.state).collect();
    assert_eq!(states, ["refused", "delivered"], "nobody delivers to a receiver that left");
    store.close().await;
}

#[tokio::test]
async fn what_will_not_help_is_not_repeated() {
    for statuses in [&["302 Found"], &["404 Not Found"]] {
        let data = tempfile::tempdir().expect("a directory");
        let store = open(data.path()).await;
        let (url, mut requests) = server(Manner::Answers(statuses)).await;
        let notifier = start(&store, &[("ops", &url)]).await;
        tell(&store, vec![firing("f1", "ops"), firing("f2", "ops")]);
        counted(&notifier, "ops", "refused", 2).await;
        let mut asked = 0;
        while requests.try_recv().is_ok() {
            asked += 1;
        }
        assert!(asked <= 3, "once together, once each: {asked}");
        assert_eq!(notifier.counts().get(&("ops".to_owned(), "retried")), Some(&0), "{statuses:?}");
        notifier.stop(Duration::from_secs(5)).await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_notice_that_nobody_takes_is_given_up_in_the_end() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(data.path()).await;
    let (url, _requests) = server(Manner::Answers(&["500 Oh"])).await;
    let pace = Pace { first: Duration::from_millis(20), give_up: Duration::from_millis(200), ..Pace::default() };
    let couriers = vec![("ops".to_owned(), webhook(&url, None))];
    let notifier = Notifier::start_with(couriers, store.outbox(), Clock::start(), pace).await.expect("it is open");
    tell(&store, vec![firing("f1", "ops")]);
    counted(&notifier, "ops", "expired", 1).await;
    notifier.stop(Duration::from_secs(5)).await;
    store.close().await;
    let store = open(data.path()).await;
    let rows = store.deliveries(1, 9).await.expect("a read").items;
    assert_eq!(rows.first().map(|row| row.state.as_str()), Some("expired"));
    store.close().await;
}
