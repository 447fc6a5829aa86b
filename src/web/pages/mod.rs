//! Pages for people, at the paths of the API without `/api/v1`. They work without scripts; with them they follow.

mod alerts;
mod brokers;
mod canary;
mod evidence;
mod findings;
mod frame;
mod groups;
mod objectives;
mod overview;
mod pager;
mod text;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

use super::State;
use super::error::Problem;
use frame::Trouble;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/", get(overview::all))
        .route("/clusters", get(async || Redirect::temporary("/")))
        .route("/clusters/{cluster}", get(overview::one))
        .route("/clusters/{cluster}/groups", get(groups::all))
        .route("/clusters/{cluster}/groups/{group}", get(groups::one))
        .route("/clusters/{cluster}/group", get(groups::by_id))
        .route("/clusters/{cluster}/topics", get(topics::all))
        .route("/clusters/{cluster}/topics/{topic}", get(topics::one))
        .route("/clusters/{cluster}/brokers", get(brokers::all))
        .route("/clusters/{cluster}/canary", get(canary::all))
        .route("/clusters/{cluster}/findings", get(findings::all))
        .route("/clusters/{cluster}/findings/{id}", get(findings::one))
        .route("/findings/{id}", get(findings::anywhere))
        .route("/alerts", get(alerts::all))
        .route("/alerts/{id}", get(alerts::one))
        .fallback(async || Trouble(Problem::NoSuchPath))
        .method_not_allowed_fallback(async || Trouble(Problem::MethodNotAllowed))
}
