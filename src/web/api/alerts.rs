//! Alerts and what was told of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};

use crate::alert::Alert;
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::past::{Delivery, patiently};
use crate::web::query::{List, Parameters};

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    asked: Parameters,
) -> Result<Json<List<Alert>>, Problem> {
    let published = web.published();
    let paging = asked.paging()?;
    let (items, total) = paging.of(listing::alerts(&published, &asked)?);
    let items = items.into_iter().cloned().collect();
    Ok(Json(List { items, total, page: paging.page, per_page: paging.per_page, as_of: published.as_of }))
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<Alert>, Problem> {
    let Path(id) = path?;
    asked.only(&[])?;
    let published = web.published();
    let alert = published.alerts.iter().find(|alert| alert.id == id);
    alert.cloned().map(Json).ok_or_else(|| Problem::not_known("alert", &id))
}

pub(super) async fn deliveries(
    extract::State(web): extract::State<Arc<State>>,
    asked: Parameters,
) -> Result<Json<List<Delivery>>, Problem> {
    asked.only(&["page", "per_page"])?;
    let paging = asked.paging()?;
    let told = patiently(web.past.deliveries(paging.skip(), paging.per_page)).await?;
    let as_of = Some(web.clock.wall());
    Ok(Json(List { items: told.items, total: told.total, page: paging.page, per_page: paging.per_page, as_of }))
}
