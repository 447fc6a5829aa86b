//! What people and scripts see: pages under `/`, JSON under `/api/v1`, probes and metrics. All of it is read from what is
//! published, in memory; only history and deliveries are asked of the past. Nothing here changes anything.

mod api;
#[cfg(test)]
mod demo;
mod error;
mod listing;
mod pages;
pub mod past;
mod probes;
mod query;
mod statics;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use past::Past;

use crate::clock::Clock;
use crate::metrics::BuildInfo;
use crate::publish::Published;

/// Whether the daemon may be relied on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not yet; what is still to come.
    Waiting(String),
    /// The first complete turn is done and the database is open.
    Ready,
}

/// Where the answers come from.
pub struct State {
    /// The last turn; its `as_of` differs from one turn to the next.
    pub published: watch::Receiver<Arc<Published>>,
    /// Whether the daemon may be relied on.
    pub readiness: watch::Receiver<Readiness>,
    /// History and deliveries.
    pub past: Arc<dyn Past>,
    /// The time now.
    pub clock: Clock,
    /// What runs.
    pub build: BuildInfo,
    /// The process counts as stuck when nothing was published for so long.
    pub stuck_after: Duration,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("build", &self.build)
            .field("stuck_after", &self.stuck_after)
            .finish_non_exhaustive()
    }
}

impl State {
    fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.borrow())
    }
}

/// Every route. Listening and shutting down are the caller's.
pub fn router(state: State) -> Router {
    let state = Arc::new(state);
    Router::new()
        .merge(probes::routes())
        .merge(statics::routes())
        .nest("/api/v1", api::routes())
        .merge(pages::routes())
        .with_state(state)
        .layer(map_response(guarded))
}

/// Serves until told to stop; answers under way are finished.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "pages are not served any more");
    }
}

/// Inline scripts and styles are refused by the browser, whatever a group calls itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
