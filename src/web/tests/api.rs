use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Site, encoded};
use crate::alert::{Alert, AlertState};
use crate::finding::{Grade, Kind};
use crate::model::Timestamp;
use crate::web::demo::{self, HOSTILE, Made};
use crate::web::past::PastError;

/// What the published world tells of its findings.
fn alerts() -> Arc<Vec<Alert>> {
    Arc::clone(&Site::demo().published.borrow().alerts)
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
        ("/api/v1/clusters/main/findings", Kind::ALL.len()),
        ("/api/v1/alerts", alerts().len()),
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
    assert_eq!(canary["brokers_not_covered"], json!([3]));
    assert_eq!(
        (&canary["settings"][0]["key"], &canary["settings"][0]["weight"]),
        (&json!("min.insync.replicas"), &json!("advice"))
    );
    let (_, unread) = site.json("/api/v1/clusters/standby/canary").await;
    assert_eq!((&unread["settings"], &unread["brokers_not_covered"]), (&Value::Null, &Value::Null));
    assert_eq!(unread["reasons"]["settings"]["code"], "not_read");
}

#[tokio::test]
async fn objectives_are_told_with_their_bound_budget_and_burn() {
    let (_, canary) = Site::demo().json("/api/v1/clusters/main/canary").await;
    let item = |class: &str| {
        let items = canary["items"].as_array().expect("classes");
        items.iter().find(|item| item["class"] == class).cloned().expect("each class is there")
    };
    let all = item("all");
    assert_eq!(all["coverage"], json!(2.0 / 3.0), "what was there keeps its name");
    let availability = &all["slo"]["availability"];
    assert_eq!((&availability["objective"], &availability["total"]), (&json!(0.999), &json!(270_000)));
    assert_eq!((&availability["good"], &availability["alarms"][0]["urgency"]), (&json!(269_400), &json!("page")));
    assert_eq!(
        (&availability["windows"][0]["window"], &availability["windows"][0]["total"]),
        (&json!("5m"), &json!(900))
    );
    assert_eq!(availability["summary"], "600 of 270,000 not acknowledged in time: 0.23 %, below 0.24 %");
    assert!(availability["budget_left"].as_f64().is_some_and(|left| left < 0.0), "{availability}");
    assert_eq!(availability["resolution"]["needed"], json!(139));
    assert_eq!(all["time_coverage"]["minutes_with_data"], json!(1_500));
    let states = all["minutes"]["states"].as_array().expect("one per minute");
    assert_eq!((states.len(), &states[60], &states[119]), (120, &json!("no_data"), &json!("waiting")));

    let durability = &all["slo"]["durability"];
    assert_eq!((&durability["budget_left"], &durability["windows"][2]["burn_rate"]), (&Value::Null, &Value::Null));
    assert_eq!(durability["reasons"]["budget_left"]["code"], "judged_by_proof");
    assert_eq!(item("acks1")["corrections"][0]["to"], "truncated_after_delivery");

    let none = &item("transactional")["slo"]["availability"];
    assert_eq!((&none["rate"], &none["upper_95"], &none["good_ratio"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&none["budget_left"], &none["windows"][4]["burn_rate"]), (&Value::Null, &Value::Null));
    assert_eq!(none["reasons"]["budget_left"]["code"], "nothing_judged");
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
    // One of every kind, every third closed.
    let (all, closed) = (Kind::ALL.len(), Kind::ALL.len() / 3);
    let proven = Kind::ALL.iter().filter(|kind| kind.grade() == Grade::Proven).count();
    let of_cluster = |query: &str| format!("/api/v1/clusters/main/findings?{query}");
    let cases = [
        (of_cluster("state=closed"), closed),
        (of_cluster("state=open"), all - closed),
        (of_cluster("state=all"), all),
        (of_cluster("kind=canary_lost"), 1),
        (of_cluster("grade=proven"), proven),
        (of_cluster("group=billing"), 1),
        (of_cluster("topic=nowhere"), 0),
        (of_cluster("since=2999-01-01T00:00:00Z"), 0),
        ("/api/v1/alerts?state=pending".into(), 1),
        (
            "/api/v1/alerts?state=resolved".into(),
            alerts().iter().filter(|alert| alert.state == AlertState::Resolved).count(),
        ),
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
