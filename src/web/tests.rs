use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::demo::{HOSTILE, Made};
use super::past::PastError;
use super::*;
use crate::model::Timestamp;

/// A router and the sender of what it shows.
pub(super) struct Site {
    router: Router,
    pub(super) published: watch::Sender<Arc<Published>>,
    readiness: watch::Sender<Readiness>,
}

impl Site {
    pub(super) fn of(published: Published, past: Made) -> Self {
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

    pub(super) fn demo() -> Self {
        Self::of(demo::published(Clock::start().wall()), Made::default())
    }

    pub(super) async fn ask(&self, method: Method, path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, String) {
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

    pub(super) async fn text(&self, path: &str) -> (StatusCode, String) {
        let (status, _, body) = self.ask(Method::GET, path, None).await;
        (status, body)
    }

    pub(super) async fn json(&self, path: &str) -> (StatusCode, Value) {
        let (status, body) = self.text(path).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }
}

/// Percent-encodes all that is not plain.
pub(super) fn encoded(name: &str) -> String {
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
async fn every_list_has_the_shape_of_the_contract() {
    let site = Site::demo();
    let lists = [
        ("/api/v1/clusters", 2),
        ("/api/v1/clusters/main/brokers", 3),
        ("/api/v1/clusters/main/topics", 12),
        ("/api/v1/clusters/main/groups", 30),
        ("/api/v1/clusters/main/canary", 5),
        ("/api/v1/clusters/main/findings", 19),
        ("/api/v1/alerts", 18),
        ("/api/v1/deliveries", 7),
    ];
    for (path, total) in lists {
        let (status, body) = site.json(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert_eq!(body["total"], json!(total), "{path}");
        assert_eq!(body["items"].as_array().expect(path).len(), total, "{path}");
        assert_eq!(body["page"], json!(1), "{path}");
        assert_eq!(body["per_page"], json!(100), "{path}");
        assert!(body["as_of"].as_str().is_some_and(|at| at.ends_with('Z')), "{path}: {}", body["as_of"]);
    }
}

#[tokio::test]
async fn a_cluster_is_summed_up_and_one_not_read_is_null_with_a_reason() {
    let (_, body) = Site::demo().json("/api/v1/clusters").await;
    let main = &body["items"][0];
    assert_eq!(main["name"], "main");
    assert_eq!(main["reachable"], json!(true));
    assert_eq!(main["brokers"], json!({"known": 3, "unreachable": 1, "unreachable_ids": [2]}));
    assert_eq!(main["partitions"]["total"], json!(48));
    assert_eq!(main["groups"]["stranded"], json!(1));
    assert_eq!(main["poll"]["partial"], json!(true));
    assert_eq!(main["poll"]["missing"][0]["reason"], "timed_out");
    let standby = &body["items"][1];
    assert_eq!(standby["reachable"], Value::Null);
    assert_eq!(standby["partitions"], Value::Null);
    assert_eq!(standby["reasons"]["partitions"], json!({"code": "not_asked", "message": "not read yet"}));
}

#[tokio::test]
async fn what_is_not_known_is_null_with_a_reason() {
    let site = Site::demo();
    let (_, group) = site.json("/api/v1/clusters/main/groups/fraud-scoring").await;
    assert_eq!(group["verdict"], "unknown");
    assert_eq!((&group["lag_records"], &group["lag_records_is"]), (&Value::Null, &json!("at_least")));
    assert_eq!((&group["lag_seconds"], &group["lag_seconds_method"]), (&Value::Null, &json!("none")));
    assert_eq!(group["members"], Value::Null);
    assert_eq!(group["reasons"]["members"]["code"], "timed_out");
    let lag = &group["partitions"][0]["lag"];
    assert_eq!(
        (&lag["state"], &lag["records"], &lag["reason"]),
        (&json!("unknown"), &Value::Null, &json!("timed_out"))
    );
    assert_eq!(group["partitions"][0]["reasons"]["committed_offset"]["code"], "timed_out");

    let (_, stranded) = site.json("/api/v1/clusters/main/groups/billing").await;
    let lag = &stranded["partitions"][0]["lag"];
    assert_eq!((&lag["state"], &lag["records"]), (&json!("stranded"), &Value::Null));
    assert_eq!((&lag["skip_offsets"], &lag["epoch_end_offset"]), (&json!(40), &json!(100)));

    let (_, expired) = site.json("/api/v1/clusters/main/groups/retention-victim").await;
    let lag = &expired["partitions"][0]["lag"];
    assert_eq!((&lag["records"], &lag["lost_records"]), (&json!(51_200), &json!(200)));

    let (_, topic) = site.json("/api/v1/clusters/main/topics/orders").await;
    let hung = &topic["partitions"][1];
    assert_eq!((&hung["state"], &hung["high_watermark"]), (&json!(["unknown"]), &Value::Null));
    assert_eq!(hung["reasons"]["high_watermark"]["message"], "broker 2 did not answer within the deadline");
    assert_eq!(hung["last_high_watermark"], json!(119_800));

    let (_, canary) = site.json("/api/v1/clusters/main/canary").await;
    assert_eq!(canary["items"][4]["loss_rate"], Value::Null);
    assert_eq!(canary["items"][4]["reasons"]["loss_rate"]["code"], "nothing_judged");
    assert_eq!((&canary["items"][1]["lost"], &canary["items"][1]["class"]), (&json!(48), &json!("acks1")));
}

#[tokio::test]
async fn groups_are_filtered_sorted_and_paged() {
    let site = Site::demo();
    let cases = [
        ("verdict=stopped", 1, "nightly-report"),
        ("state=empty&sort=group", 2, "legacy-emailer"),
        ("type=consumer&sort=-lag_records", 6, "poisoned-invoices"),
        ("q=SEARCH", 1, "search-indexer"),
        ("sort=-lag_records", 30, "nightly-report"),
        ("", 30, "billing"),
        ("page=2&per_page=1", 30, "retention-victim"),
    ];
    for (query, total, first) in cases {
        let (status, body) = site.json(&format!("/api/v1/clusters/main/groups?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}");
        assert_eq!((&body["total"], &body["items"][0]["group"]), (&json!(total), &json!(first)), "{query}");
    }
}

#[tokio::test]
async fn findings_and_alerts_are_filtered() {
    let site = Site::demo();
    let of_cluster = |query: &str| format!("/api/v1/clusters/main/findings?{query}");
    let cases = [
        (of_cluster("state=closed"), 6),
        (of_cluster("state=open"), 13),
        (of_cluster("state=all"), 19),
        (of_cluster("kind=canary_lost"), 1),
        (of_cluster("grade=proven"), 7),
        (of_cluster("group=billing"), 1),
        (of_cluster("topic=nowhere"), 0),
        (of_cluster("since=2999-01-01T00:00:00Z"), 0),
        ("/api/v1/alerts?state=pending".into(), 1),
        ("/api/v1/alerts?state=resolved".into(), 5),
    ];
    for (path, total) in cases {
        assert_eq!(site.json(&path).await.1["total"], json!(total), "{path}");
    }
    let (_, finding) = site.json("/api/v1/clusters/main/findings/f0012").await;
    assert_eq!((&finding["kind"], &finding["evidence"]["offset"]), (&json!("canary_lost"), &json!(35)));
    assert_eq!(site.json("/api/v1/findings/f0012").await.1, finding);
    assert_eq!(site.json("/api/v1/alerts/f0012").await.1["finding"], finding);
    assert_eq!(site.json("/api/v1/clusters/standby/findings/f0012").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_name_of_any_characters_travels() {
    let site = Site::demo();
    for name in [HOSTILE, "billing", ""] {
        let by_id = site.json(&format!("/api/v1/clusters/main/group?id={}", encoded(name))).await;
        assert_eq!((by_id.0, &by_id.1["group"]), (StatusCode::OK, &json!(name)), "{name:?}");
        if !name.is_empty() {
            assert_eq!(site.json(&format!("/api/v1/clusters/main/groups/{}", encoded(name))).await, by_id);
        }
    }
}

#[tokio::test]
async fn errors_are_told_by_code_and_message() {
    let site = Site::demo();
    let cases = [
        ("/api/v1/nowhere", 404, "no_such_path"),
        ("/api/v1/clusters/nowhere/groups", 404, "not_known"),
        ("/api/v1/clusters/main/groups/nobody", 404, "not_known"),
        ("/api/v1/clusters/main/topics/nothing", 404, "not_known"),
        ("/api/v1/clusters/main/findings/nothing", 404, "not_known"),
        ("/api/v1/alerts/nothing", 404, "not_known"),
        ("/api/v1/clusters/%ff/groups", 400, "bad_path"),
        ("/api/v1/clusters/main/groups?verdict=bad", 400, "bad_parameter"),
        ("/api/v1/clusters/main/groups?sort=size", 400, "bad_parameter"),
        ("/api/v1/clusters/main/group", 400, "bad_parameter"),
        ("/api/v1/clusters/main/history", 400, "bad_parameter"),
        ("/api/v1/clusters/main/history?series=group_lag_records", 400, "bad_parameter"),
        ("/api/v1/clusters/main/findings?kind=x", 400, "bad_parameter"),
        ("/api/v1/clusters/standby/groups", 503, "not_read_yet"),
    ];
    for (path, status, code) in cases {
        let (got, body) = site.json(path).await;
        assert_eq!((got.as_u16(), &body["error"]["code"]), (status, &json!(code)), "{path}: {body}");
        assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{path}");
    }
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
async fn history_is_columns_with_gaps() {
    let site = Site::demo();
    let (status, body) =
        site.json("/api/v1/clusters/main/history?series=group_lag_records&group=billing&points=5000").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["series"], &body["unit"]), (&json!("group_lag_records"), &json!("records")));
    let times = body["times"].as_array().expect("times");
    let values = body["columns"][0]["values"].as_array().expect("values");
    assert_eq!((times.len(), values.len()), (240, 240));
    assert!(values.contains(&Value::Null), "gaps are null");
    assert!(serde_json::from_value::<Timestamp>(times[0].clone()).is_ok());
    let (_, few) = site.json("/api/v1/clusters/main/history?series=canary_outcomes&points=60").await;
    assert!(few["times"].as_array().is_some_and(|times| times.len() <= 60), "{few}");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_does_not_answer_costs_a_second_and_no_more() {
    let site = Site::of(demo::published(Timestamp::default()), Made { hangs: true, trouble: None });
    let (status, body) = site.json("/api/v1/clusters/main/history?series=canary_outcomes").await;
    assert_eq!(
        (status, &body["times"], &body["partial"]["code"]),
        (StatusCode::OK, &json!([]), &json!("storage_slow"))
    );
    let (status, body) = site.json("/api/v1/deliveries").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("storage_slow")));
    let gone = Made { hangs: false, trouble: Some(PastError::Unreadable("disk I/O error".into())) };
    let site = Site::of(demo::published(Timestamp::default()), gone);
    let (_, body) = site.json("/api/v1/clusters/main/history?series=canary_outcomes").await;
    assert_eq!(body["partial"]["message"], "the database cannot be read: disk I/O error");
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

/// Every kind of page, with something that only it shows.
fn pages() -> Vec<(String, &'static str)> {
    let mut pages: Vec<(String, &'static str)> = [
        ("/", "part of the cluster was not read"),
        ("/clusters/main", "Groups by verdict"),
        ("/clusters/standby", "the first turn is under way"),
        ("/clusters/main/groups", "losing to retention"),
        ("/clusters/main/groups?verdict=ok&sort=-lag_records", "invoice-pdf"),
        ("/clusters/main/groups/billing", "its epoch ends at 100, 40 will be skipped"),
        ("/clusters/main/groups/fraud-scoring", "broker 2 did not answer within the deadline"),
        ("/clusters/main/group?id=", "(empty name)"),
        ("/clusters/main/topics", "acks=all is satisfied by a single copy"),
        ("/clusters/main/topics/orders", "last 119,800"),
        ("/clusters/main/brokers", "kafka-2.prod.example:9092"),
        ("/clusters/main/canary", "truncated after delivery"),
        ("/clusters/standby/canary", "No canary is enabled"),
        ("/clusters/main/findings?state=open", "48 acknowledged records"),
        ("/clusters/main/findings/f0012", "kafka-get-offsets.sh"),
        ("/clusters/main/findings/f0018", "javascript:alert(3)"),
        ("/alerts", "503 Service Unavailable"),
        ("/alerts?state=firing", "firing"),
    ]
    .map(|(path, shows)| (path.to_owned(), shows))
    .to_vec();
    pages.push((format!("/clusters/main/groups/{}", encoded(HOSTILE)), "gpj.exe"));
    pages
}

#[tokio::test]
async fn every_page_is_there() {
    let site = Site::demo();
    for (path, shows) in pages() {
        let (status, headers, body) = site.ask(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        assert!(body.contains(shows), "{path} does not show {shows:?}: {body}");
        for landmark in ["<html lang=\"en\">", "<main id=\"main\"", "<header>", "<footer>", "<h1", "name=\"viewport\""]
        {
            assert_eq!(body.matches(landmark).count(), 1, "{path}: {landmark}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_html_stays_a_name() {
    let site = Site::demo();
    for (path, _) in pages() {
        let (_, body) = site.text(&path).await;
        // Only the scripts that the page brings itself, and nothing that the policy would refuse.
        assert_eq!(body.matches("<script").count(), body.matches("<script src=\"/static/").count(), "{path}");
        for trap in
            ["<img", "onerror=alert(2)>\"", "<style", " style=", " onclick", "href=\"javascript", "\u{202e}", "\u{0}"]
        {
            assert!(!body.contains(trap), "{path} holds {trap:?}");
        }
    }
    let (_, body) = site.text("/clusters/main/groups").await;
    assert!(body.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "it is shown as what it is");
    let (status, body) = site.text(&format!("/clusters/main/groups/{}x", encoded(HOSTILE))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!body.contains("<img") && !body.contains("<script>"), "{body}");
    let (_, body) = site.text("/clusters/main/groups?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert!(!body.contains("\"><script>"), "what was asked for comes back as text");
}

#[tokio::test]
async fn a_page_is_sent_again_only_after_a_turn() {
    let site = Site::demo();
    for (path, _) in pages() {
        let (_, headers, _) = site.ask(Method::GET, &path, None).await;
        let tag = headers[header::ETAG].to_str().expect("text").to_owned();
        let (status, _, body) = site.ask(Method::GET, &path, Some(&tag)).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        let same = site.published.borrow().as_ref().clone();
        site.published.send_replace(Arc::new(same));
        assert_eq!(site.ask(Method::GET, &path, Some(&tag)).await.0, StatusCode::OK, "{path} after another turn");
    }
}

#[tokio::test]
async fn trouble_on_a_page_is_told_in_words() {
    let site = Site::demo();
    let cases = [
        ("/nowhere", 404, "there is nothing at this path"),
        ("/clusters/nowhere", 404, "cluster &#34;nowhere&#34; is not known"),
        ("/clusters/main/groups?verdict=bad", 400, "parameter verdict: &#34;bad&#34; is not allowed"),
        ("/clusters/main/groups/nobody", 404, "is not known"),
        ("/clusters/standby/groups", 503, "was not read yet"),
        ("/clusters/main/findings/nothing", 404, "is not known"),
    ];
    for (path, status, shows) in cases {
        let (got, body) = site.text(path).await;
        assert_eq!(got.as_u16(), status, "{path}");
        assert!(body.contains(shows), "{path}: {body}");
    }
    for (path, to) in [
        ("/clusters", "/"),
        ("/findings/f0012", "/clusters/main/findings/f0012"),
        ("/alerts/f0012", "/clusters/main/findings/f0012"),
    ] {
        let (status, headers, _) = site.ask(Method::GET, path, None).await;
        assert_eq!(
            (status, &headers[header::LOCATION]),
            (StatusCode::TEMPORARY_REDIRECT, &to.parse().expect("a path"))
        );
    }
}

#[tokio::test]
async fn before_the_first_turn_and_without_a_cluster_there_are_pages() {
    for published in [Published::default(), demo::before_the_first_turn()] {
        let site = Site::of(published, Made::default());
        for path in ["/", "/alerts", "/metrics", "/livez", "/api/v1/clusters"] {
            assert_eq!(site.text(path).await.0, StatusCode::OK, "{path}");
        }
        assert!(site.text("/").await.1.contains("nothing was read yet"));
    }
}

#[tokio::test(start_paused = true)]
async fn alerts_are_shown_when_deliveries_cannot_be() {
    let site =
        Site::of(demo::published(Timestamp::from_millis(1_795_336_103_007)), Made { hangs: true, trouble: None });
    let (status, body) = site.text("/alerts").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("the database did not answer within 1 s"), "{body}");
}

/// What Chromium makes of a page: the document after its scripts ran, and what it wrote to the console.
async fn browsed(url: &str) -> (String, String) {
    let profile = tempfile::tempdir().expect("a directory for the profile");
    let quiet = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"];
    let output = tokio::process::Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--no-first-run", "--disable-sync"])
        .args(quiet)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--dump-dom", url])
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(90), output).await.expect("chromium ends");
    let output = output.expect("chromium is installed (tests/install)");
    let console = String::from_utf8_lossy(&output.stderr);
    let console: Vec<&str> = console.lines().filter(|line| line.contains("CONSOLE")).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), console.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_draws_the_charts_and_complains_of_nothing() {
    let site = Site::demo();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(listener, site.router.clone(), stop.clone()));
    let group = format!("/clusters/main/groups/{}", encoded(HOSTILE));
    for (path, charts) in [("/", 8), (group.as_str(), 2), ("/clusters/main/canary", 2)] {
        let (document, console) = browsed(&format!("http://{address}{path}")).await;
        assert_eq!(console, "", "{path}");
        assert_eq!(document.matches("<canvas").count(), charts, "{path}: {document}");
    }
    let (document, _) = browsed(&format!("http://{address}/clusters/main/findings/f0012")).await;
    assert_eq!(document.matches(">copy</button>").count(), 2, "{document}");
    stop.cancel();
    served.await.expect("it stops");
}
