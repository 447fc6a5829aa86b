use std::sync::Arc;

use axum::http::{Method, StatusCode, header};

use super::{Site, encoded};
use crate::finding::Kind;
use crate::model::Timestamp;
use crate::publish::Published;
use crate::web::demo::{self, HOSTILE, Made};

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
        ("/clusters/main/canary", "set min.insync.replicas=2"),
        ("/clusters/main/canary", "1,500 of 43,200 minutes have data"),
        ("/clusters/main/canary", "0 of 270,000 not acknowledged in time: below 1.2 · 10⁻⁵"),
        ("/clusters/main/canary", "Its read_committed reader gets nothing of partition 0, 2 since"),
        ("/clusters/main/canary", "none is granted: each one is a finding"),
        ("/clusters/standby/canary", "No canary is enabled"),
        ("/clusters/main/findings?state=open", "48 acknowledged records"),
        ("/clusters/main/findings/f0012", "kafka-get-offsets.sh"),
        ("/alerts", "503 Service Unavailable"),
        ("/alerts?state=firing", "firing"),
    ]
    .map(|(path, shows)| (path.to_owned(), shows))
    .to_vec();
    pages.push((format!("/clusters/main/groups/{}", encoded(HOSTILE)), "gpj.exe"));
    // The last kind's evidence is hostile.
    pages.push((format!("/clusters/main/findings/f{:04}", Kind::ALL.len() - 1), "javascript:alert(3)"));
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
