//! What all pages share: head, navigation, freshness, and how one is sent.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::text::{self, Link, Stamp};
use crate::alert::AlertState;
use crate::model::Timestamp;
use crate::publish::Published;
use crate::web::State;
use crate::web::error::Problem;
use crate::web::statics;

/// What stands around every page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) title: String,
    /// The version of what is shown, for the script that follows it.
    pub(super) tag: String,
    pub(super) now: Timestamp,
    pub(super) as_of: Option<Stamp>,
    /// True when nothing new was published for so long that it must be said.
    pub(super) stale: bool,
    /// How long that is, in seconds.
    pub(super) stuck_after: u64,
    pub(super) overview: bool,
    pub(super) alerts: bool,
    pub(super) firing: usize,
    pub(super) clusters: Vec<Tab>,
    pub(super) tabs: Vec<Tab>,
    pub(super) version: String,
    /// The same as JSON.
    pub(super) json: Option<String>,
}

/// One entry of the navigation.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    pub(super) link: Link,
    pub(super) current: bool,
}

/// Which part of the site a page belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    Overview,
    Alerts,
    Cluster { name: &'a str, tab: &'static str },
}

const TABS: [&str; 5] = ["groups", "topics", "brokers", "canary", "findings"];

impl Frame {
    pub(super) fn of(web: &State, published: &Arc<Published>, title: &str, place: Place<'_>) -> Self {
        let now = web.clock.wall();
        let only = published.clusters.keys().next().filter(|_| published.clusters.len() == 1);
        let (cluster, tab) = match place {
            Place::Overview | Place::Alerts => (only.map(|name| name.as_str()), ""),
            Place::Cluster { name, tab } => (Some(name), tab),
        };
        let here = |name: &str| matches!(place, Place::Cluster { .. }) && cluster == Some(name);
        let clusters = published.clusters.keys().map(|name| Tab {
            link: Link { href: text::cluster_href(name.as_str(), ""), text: text::shown(name.as_str()) },
            current: here(name.as_str()),
        });
        let tabs = cluster.into_iter().flat_map(|cluster| {
            TABS.into_iter().map(move |one| Tab {
                link: Link { href: text::cluster_href(cluster, &format!("/{one}")), text: one.to_owned() },
                current: one == tab,
            })
        });
        Self {
            title: title.to_owned(),
            tag: tag(published),
            now,
            as_of: published.as_of.map(|at| Stamp::of(at, now)),
            stale: published.as_of.is_some_and(|at| now.since(at) > web.stuck_after),
            stuck_after: web.stuck_after.as_secs(),
            overview: matches!(place, Place::Overview),
            alerts: matches!(place, Place::Alerts),
            firing: published.alerts.iter().filter(|alert| alert.state == AlertState::Firing).count(),
            clusters: clusters.collect(),
            tabs: tabs.collect(),
            version: web.build.version.clone(),
            json: None,
        }
    }

    /// The path of the same as JSON.
    pub(super) fn json(mut self, path: String) -> Self {
        self.json = Some(format!("/api/v1{path}"));
        self
    }
}

/// The version of a turn. The address tells two turns of one millisecond apart, and does not leave the process.
fn tag(published: &Arc<Published>) -> String {
    hashed((Arc::as_ptr(published), published.as_of))
}

fn hashed(of: impl Hash) -> String {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    format!("W/\"{:016x}\"", HASHER.hash_one(of))
}

/// The version of a turn together with something else that is shown.
pub(super) fn tag_with(published: &Arc<Published>, other: impl Hash) -> String {
    hashed((Arc::as_ptr(published), published.as_of, other))
}

/// True when the asker shows this turn already.
pub(super) fn is_known(asked: &HeaderMap, published: &Arc<Published>) -> bool {
    statics::matches(asked, &tag(published))
}

/// Nothing new.
pub(super) fn unchanged() -> Response {
    StatusCode::NOT_MODIFIED.into_response()
}

/// A page, with its version.
pub(super) fn page(tag: &str, template: &impl Template) -> Response {
    let headers = [(header::ETAG, tag.to_owned()), (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned())];
    match template.render() {
        Ok(body) => (headers, body).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page was not rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A problem, told to people.
#[derive(Debug)]
pub(super) struct Trouble(pub(super) Problem);

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<axum::extract::rejection::PathRejection> for Trouble {
    fn from(rejection: axum::extract::rejection::PathRejection) -> Self {
        Self(rejection.into())
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    title: String,
    message: String,
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let title = status.canonical_reason().unwrap_or("Error").to_owned();
        let page = TroublePage { title, message: self.0.to_string() };
        let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        match page.render() {
            Ok(body) => (status, headers, body).into_response(),
            Err(_) => status.into_response(),
        }
    }
}
