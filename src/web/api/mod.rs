//! JSON under `/api/v1`, in the names of the contract.

mod alerts;
mod canary;
mod clusters;
mod findings;
mod groups;
mod history;
mod reasons;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use super::State;
use super::error::Problem;

pub(super) use topics::risks;

pub(super) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/clusters", get(clusters::all))
        .route("/clusters/{cluster}/brokers", get(clusters::brokers))
        .route("/clusters/{cluster}/topics", get(topics::all))
        .route("/clusters/{cluster}/topics/{topic}", get(topics::one))
        .route("/clusters/{cluster}/groups", get(groups::all))
        .route("/clusters/{cluster}/groups/{group}", get(groups::one))
        .route("/clusters/{cluster}/group", get(groups::by_id))
        .route("/clusters/{cluster}/canary", get(canary::all))
        .route("/clusters/{cluster}/findings", get(findings::all))
        .route("/clusters/{cluster}/findings/{id}", get(findings::one_of_cluster))
        .route("/clusters/{cluster}/history", get(history::history))
        .route("/findings/{id}", get(findings::one))
        .route("/alerts", get(alerts::all))
        .route("/alerts/{id}", get(alerts::one))
        .route("/deliveries", get(alerts::deliveries))
        .fallback(async || Problem::NoSuchPath)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
}
