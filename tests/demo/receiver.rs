//! Somebody's webhook: each message becomes one line on the terminal.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::watch;

use crate::screen::{Screen, Tone};

/// Firing notices by kind.
pub(crate) type Told = BTreeMap<String, usize>;

/// A webhook on loopback; ends when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    port: u16,
    told: watch::Receiver<Told>,
    task: tokio::task::JoinHandle<()>,
}

struct Inbox {
    screen: Screen,
    told: watch::Sender<Told>,
}

impl Receiver {
    pub(crate) async fn start(screen: Screen) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (sender, told) = watch::channel(Told::new());
        let routes = Router::new().route("/", post(take)).with_state(Arc::new(Inbox { screen, told: sender }));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                screen.line(Tone::Bad, &format!("the webhook ended: {error}"));
            }
        });
        Ok(Self { port, told, task })
    }

    /// Where notices are to be posted.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// How many firing notices of each kind came so far.
    pub(crate) fn told(&self) -> Told {
        self.told.borrow().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(inbox): State<Arc<Inbox>>, Json(message): Json<Value>) -> StatusCode {
    let alerts = message["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(first) = alerts.first() else { return StatusCode::BAD_REQUEST };
    let text = |section: &str, name: &str| first[section][name].as_str().unwrap_or_default().to_owned();
    // A message holds notices of one status and one kind.
    let (status, kind) = (first["status"].as_str().unwrap_or_default(), text("labels", "alertname"));
    let more = match alerts.len() {
        1 => String::new(),
        all => format!(" (and {} more)", all - 1),
    };
    let summary = text("annotations", "summary");
    let line = format!("  ✉ {status} · {} · {kind}: {summary}{more}", text("labels", "severity"));
    inbox.screen.line(Tone::Notice, &line);
    if status == "firing" {
        inbox.told.send_modify(|told| *told.entry(kind).or_default() += alerts.len());
    }
    StatusCode::OK
}
