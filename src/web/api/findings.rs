//! Findings with their evidence.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};

use crate::finding::Finding;
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::query::{List, Parameters};

pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<List<Finding>>, Problem> {
    let Path(name) = path?;
    let published = web.published();
    let (_, cluster) = listing::cluster(&published, &name)?;
    let paging = asked.paging()?;
    let (items, total) = paging.of(listing::findings(cluster, &asked)?);
    let items = items.into_iter().cloned().collect();
    Ok(Json(List { items, total, page: paging.page, per_page: paging.per_page, as_of: published.as_of }))
}

pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
    asked: Parameters,
) -> Result<Json<Finding>, Problem> {
    let Path(id) = path?;
    asked.only(&[])?;
    Ok(Json(listing::finding(&web.published(), &id)?.clone()))
}

pub(super) async fn one_of_cluster(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<(String, String)>, PathRejection>,
    asked: Parameters,
) -> Result<Json<Finding>, Problem> {
    let Path((name, id)) = path?;
    asked.only(&[])?;
    let published = web.published();
    let (name, _) = listing::cluster(&published, &name)?;
    let finding = listing::finding(&published, &id)?;
    if finding.cluster != *name {
        return Err(Problem::not_known("finding", &id));
    }
    Ok(Json(finding.clone()))
}
