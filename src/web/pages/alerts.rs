//! What was told, and what is about to be.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{self, Path};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::findings::{FindingRow, severity_badge};
use super::frame::{Frame, Place, Trouble, page, tag_with, unchanged};
use super::pager::Pager;
use super::text::{self, Badge, Stamp};
use crate::alert::{Alert, AlertState, NoticeStatus};
use crate::model::Timestamp;
use crate::web::State;
use crate::web::error::Problem;
use crate::web::listing;
use crate::web::past::{Delivery, patiently};
use crate::web::query::Parameters;
use crate::web::statics;

#[derive(Template)]
#[template(path = "alerts.html")]
struct Alerts {
    frame: Frame,
    state: &'static str,
    rows: Vec<Row>,
    pager: Pager,
    outbox: String,
    deliveries: Vec<DeliveryRow>,
    deliveries_unknown: Option<String>,
}

struct Row {
    state: Badge,
    severity: Badge,
    finding: FindingRow,
    cluster: String,
    pending: Stamp,
    fired: Option<Stamp>,
    resolved: Option<Stamp>,
}

impl Row {
    fn of(alert: &Alert, now: Timestamp) -> Self {
        let state = match alert.state {
            AlertState::Pending => Badge::new(text::INFO, "pending"),
            AlertState::Firing => Badge::new(text::WARN, "firing"),
            AlertState::Resolved => Badge::new(text::GOOD, "resolved"),
        };
        Self {
            state,
            severity: severity_badge(alert.severity),
            finding: FindingRow::of(&alert.finding, now),
            cluster: text::shown(alert.finding.cluster.as_str()),
            pending: Stamp::of(alert.pending_since, now),
            fired: alert.fired_at.map(|at| Stamp::of(at, now)),
            resolved: alert.resolved_at.map(|at| Stamp::of(at, now)),
        }
    }
}

struct DeliveryRow {
    receiver: String,
    outcome: Badge,
    status: &'static str,
    alert: String,
    href: String,
    at: Stamp,
    attempts: u64,
    next: Option<Stamp>,
    error: Option<String>,
}

impl DeliveryRow {
    fn of(delivery: &Delivery, now: Timestamp) -> Self {
        let tone = match delivery.outcome.as_str() {
            "delivered" => text::GOOD,
            "retried" => text::WARN,
            "refused" | "expired" => text::BAD,
            _ => text::INFO,
        };
        Self {
            receiver: text::shown(&delivery.receiver),
            outcome: Badge::new(tone, &delivery.outcome),
            status: match delivery.status {
                NoticeStatus::Firing => "firing",
                NoticeStatus::Resolved => "resolved",
            },
            alert: text::shown(&delivery.alert),
            href: format!("/alerts/{}", text::encoded(&delivery.alert)),
            at: Stamp::of(delivery.at, now),
            attempts: delivery.attempts,
            next: delivery.next_attempt_at.map(|at| Stamp::of(at, now)),
            error: delivery.error.as_deref().map(text::shown),
        }
    }
}

/// Deliveries go on between turns, so they are part of the version of this page.
pub(super) async fn all(
    extract::State(web): extract::State<Arc<State>>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, Trouble> {
    let published = web.published();
    let chosen = listing::alerts(&published, &asked)?;
    let paging = asked.paging()?;
    let (alerts, total) = paging.of(chosen);
    let (deliveries, deliveries_unknown) = match patiently(web.past.deliveries(0, 25)).await {
        Ok(told) => (told.items, None),
        Err(why) => (Vec::new(), Some(why.to_string())),
    };
    let tag = tag_with(&published, (format!("{deliveries:?}"), &deliveries_unknown));
    if statics::matches(&headers, &tag) {
        return Ok(unchanged());
    }
    let mut frame = Frame::of(&web, &published, "Alerts", Place::Alerts).json(asked.appended_to("/alerts"));
    frame.tag.clone_from(&tag);
    Ok(page(
        &tag,
        &Alerts {
            state: asked.word("state", &["pending", "firing", "resolved"])?.unwrap_or("all"),
            rows: alerts.into_iter().map(|alert| Row::of(alert, frame.now)).collect(),
            pager: Pager::of(&asked, "/alerts", paging, total),
            outbox: text::count(published.own.outbox_pending),
            deliveries: deliveries.iter().map(|delivery| DeliveryRow::of(delivery, frame.now)).collect(),
            deliveries_unknown,
            frame,
        },
    ))
}

/// An alert is the telling of one finding: its page is the finding's.
pub(super) async fn one(
    extract::State(web): extract::State<Arc<State>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Trouble> {
    let Path(id) = path?;
    let published = web.published();
    let alert = published.alerts.iter().find(|alert| alert.id == id);
    let alert = alert.ok_or_else(|| Problem::not_known("alert", &id))?;
    let path = format!("/findings/{}", text::encoded(&alert.finding.id));
    Ok(Redirect::temporary(&text::cluster_href(alert.finding.cluster.as_str(), &path)).into_response())
}
