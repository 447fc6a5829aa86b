mod api;
mod browser;
mod pages;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::demo::Made;
use super::*;

/// A router and the sender of what it shows.
struct Site {
    router: Router,
    published: watch::Sender<Arc<Published>>,
    readiness: watch::Sender<Readiness>,
}

impl Site {
    fn of(published: Published, past: Made) -> Self {
        let (published, shown) = watch::channel(Arc::new(published));
        let (readiness, ready) = watch::channel(Readiness::Ready);
        let router = router(State {
            published: shown,
            readiness: ready,
            past: Arc::new(past),
            clock: Clock::start(),
            build: BuildInfo { version: "0.1.0".into(), commit: "abc".into(), librdkafka: "2.12.1".into() },
            stuck_after: Duration::from_secs(60),
        });
        Self { router, published, readiness }
    }

    fn demo() -> Self {
        Self::of(demo::published(Clock::start().wall()), Made::default())
    }

    async fn ask(&self, method: Method, path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(known) = known {
            request = request.header(header::IF_NONE_MATCH, known);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("a router never fails");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body in memory");
        (head.status, head.headers, String::from_utf8(body.to_vec()).expect("UTF-8"))
    }

    async fn text(&self, path: &str) -> (StatusCode, String) {
        let (status, _, body) = self.ask(Method::GET, path, None).await;
        (status, body)
    }

    async fn json(&self, path: &str) -> (StatusCode, Value) {
        let (status, body) = self.text(path).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }
}

/// Percent-encodes all that is not plain.
fn encoded(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn probes_tell_alive_from_ready() {
    let site = Site::demo();
    assert_eq!(site.text("/livez").await, (StatusCode::OK, "ok\n".into()));
    assert_eq!(site.text("/readyz").await, (StatusCode::OK, "ok\n".into()));
    site.readiness.send_replace(Readiness::Waiting("the first turn is under way".into()));
    let waiting = "not ready: the first turn is under way\n".to_owned();
    assert_eq!(site.text("/readyz").await, (StatusCode::SERVICE_UNAVAILABLE, waiting));
    let mut old = demo::published(Clock::start().wall());
    old.as_of = Some(Clock::start().wall() - Duration::from_secs(61));
    site.published.send_replace(Arc::new(old));
    assert_eq!(site.text("/livez").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn metrics_are_the_exposition() {
    let (status, headers, body) = Site::demo().ask(Method::GET, "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/plain; version=0.0.4");
    assert!(body.contains("kustody_brokers{cluster=\"main\",state=\"not_answering\"} 1"), "{body}");
}

#[tokio::test]
async fn nothing_but_get_is_answered() {
    let site = Site::demo();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["/api/v1/clusters", "/api/v1/alerts", "/metrics", "/", "/clusters/main/groups", "/alerts"] {
            let (status, _, _) = site.ask(method.clone(), path, None).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let site = Site::demo();
    let paths = [
        "/livez",
        "/metrics",
        "/api/v1/clusters",
        "/api/v1/nowhere",
        "/static/app.js",
        "/static/nothing",
        "/",
        "/nowhere",
    ];
    for path in paths {
        let (_, headers, _) = site.ask(Method::GET, path, None).await;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(headers.contains_key(header::CACHE_CONTROL), "{path}");
    }
}

#[tokio::test]
async fn a_static_file_is_sent_once() {
    let site = Site::demo();
    let (status, headers, _) = site.ask(Method::GET, "/static/uplot.iife.min.js", None).await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/javascript; charset=utf-8".parse().expect("a value"))
    );
    let tag = headers[header::ETAG].to_str().expect("text");
    let (status, _, body) = site.ask(Method::GET, "/static/uplot.iife.min.js", Some(tag)).await;
    assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}
