//! For those who run the daemon: alive, ready, metrics.

use std::sync::Arc;

use axum::Router;
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::{Readiness, State};
use crate::metrics;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz)).route("/metrics", get(exposed))
}

async fn livez(extract::State(web): extract::State<Arc<State>>) -> impl IntoResponse {
    match web.published().as_of {
        Some(at) if web.clock.wall().since(at) > web.stuck_after => {
            let age = web.clock.wall().since(at).as_secs();
            (StatusCode::SERVICE_UNAVAILABLE, format!("stuck: the last turn was published {age} s ago\n"))
        }
        Some(_) | None => (StatusCode::OK, "ok\n".to_owned()),
    }
}

async fn readyz(extract::State(web): extract::State<Arc<State>>) -> impl IntoResponse {
    match &*web.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ok\n".to_owned()),
        Readiness::Waiting(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {what}\n")),
    }
}

async fn exposed(extract::State(web): extract::State<Arc<State>>) -> impl IntoResponse {
    let text = metrics::exposition(&web.published(), &web.build);
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}
