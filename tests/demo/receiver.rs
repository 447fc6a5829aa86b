//! Somebody's webhook: each notice becomes one line on the terminal.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::watch;

use crate::screen::{Screen, Tone};

/// A webhook on loopback; ends when dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    port: u16,
    told: watch::Receiver<BTreeSet<String>>,
    task: tokio::task::JoinHandle<()>,
}

struct Inbox {
    screen: Screen,
    told: watch::Sender<BTreeSet<String>>,
}

impl Receiver {
    pub(crate) async fn start(screen: Screen) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (sender, told) = watch::channel(BTreeSet::new());
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

    /// The kinds of which a firing notice came.
    pub(crate) fn told(&self) -> BTreeSet<String> {
        self.told.borrow().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(inbox): State<Arc<Inbox>>, Json(message): Json<Value>) -> StatusCode {
    for alert in message["alerts"].as_array().into_iter().flatten() {
        let text = |section: &str, name: &str| alert[section][name].as_str().unwrap_or_default().to_owned();
        let status = alert["status"].as_str().unwrap_or_default();
        let kind = text("labels", "alertname");
        let line = format!("  ✉ {status} {} {kind}: {}", text("labels", "severity"), text("annotations", "summary"));
        inbox.screen.line(Tone::Notice, &line);
        if status == "firing" {
            inbox.told.send_modify(|told| {
                told.insert(kind);
            });
        }
    }
    StatusCode::OK
}
