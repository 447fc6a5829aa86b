//! What happens to groups, on real brokers: each verdict with its exact count, and each control silent.

use std::time::Duration;

use serde_json::Value;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup};
use crate::kafka::{Options, values};

const SOON: Duration = Duration::from_secs(60);

fn of_group<'a>(findings: &'a [Value], group: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["group"] == group).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rewinds_trims_and_commits_beyond_the_log_are_counted_exactly() {
    let cluster = own(Options::default()).await;
    let client = cluster.client();
    for (topic, records) in [("orders", 1_000), ("trimmed", 100), ("short", 7)] {
        client.create_topic(topic, &[&[1, 2, 3]], &[]).await.expect("the topic is created");
        let produced = client.produce(topic, 0, &values(topic, records), "all", &[]).await.expect("records are sent");
        assert_eq!(produced.acked.len(), records, "{topic}");
    }
    client.commit("rewound", "orders", 0, 900).await.expect("a commit");
    client.commit("steady", "orders", 0, 100).await.expect("a commit");
    client.commit("overtaken", "trimmed", 0, 10).await.expect("a commit");
    client.commit("trimmed-behind", "trimmed", 0, 80).await.expect("a commit");
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: "", more: "" }).await;

    // The control: a group that goes on, one that waits, and nothing is wrong.
    daemon.await_turns(3).await;
    client.commit("steady", "orders", 0, 600).await.expect("a commit");
    daemon.await_turns(3).await;
    daemon.assert_only(&["leader_moved"]).await;

    client.commit("rewound", "orders", 0, 400).await.expect("a commit");
    assert_eq!(client.delete_records("trimmed", 0, 60).await.expect("records are deleted"), 60);
    client.commit("ahead", "short", 0, 1_000).await.expect("a commit");

    let rewound = daemon.await_findings("commit_rewound", SOON, |found| !found.is_empty()).await;
    assert_eq!(rewound.len(), 1, "{rewound:#?}");
    assert_eq!((&rewound[0]["group"], &rewound[0]["count"]), (&Value::from("rewound"), &Value::from(500)));
    assert_eq!(rewound[0]["grade"], "proven");
    assert_eq!(rewound[0]["count_is"], "exact");

    let overtaken = daemon.await_findings("retention_overtook_group", SOON, |found| !found.is_empty()).await;
    assert_eq!(of_group(&overtaken, "trimmed-behind"), Vec::<&Value>::new(), "its commit is above the log start");
    assert_eq!((overtaken.len(), &overtaken[0]["count"]), (1, &Value::from(50)), "{overtaken:#?}");

    let ahead = daemon.await_findings("commit_ahead_of_log", SOON, |found| !found.is_empty()).await;
    assert_eq!((ahead.len(), &ahead[0]["group"], &ahead[0]["count"]), (1, &Value::from("ahead"), &Value::from(993)));

    daemon.await_turns(3).await;
    daemon.assert_only(&["leader_moved", "commit_rewound", "retention_overtook_group", "commit_ahead_of_log"]).await;
    let group = daemon.json("/clusters/main/groups/overtaken").await;
    let lag = &group["partitions"][0]["lag"];
    assert_eq!(
        (&lag["state"], &lag["records"], &lag["lost_records"]),
        (&Value::from("expired"), &Value::from(40), &Value::from(50))
    );
    let group = daemon.json("/clusters/main/groups/ahead").await;
    let lag = &group["partitions"][0]["lag"];
    assert_eq!((&lag["state"], &lag["records"]), (&Value::from("ahead"), &Value::Null), "never 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_hung_and_came_back_is_no_rewind() {
    let options = Options { dedicated_controller: true, session_timeout_ms: 9_000, ..Options::default() };
    let mut cluster = own(options).await;
    let client = cluster.client();
    // Somebody else leads the topic: only the group's own offsets are out of sight for these seconds.
    let hung = crate::kafka::until("the group has a coordinator", SOON, async || client.coordinator("steady").await)
        .await
        .expect("__consumer_offsets is created");
    let (leader, third) = (hung % 3 + 1, (hung + 1) % 3 + 1);
    client.create_topic("orders", &[&[leader, third, hung]], &[]).await.expect("the topic is created");
    client.produce("orders", 0, &values("orders", 1_000), "all", &[]).await.expect("records are sent");
    client.commit("steady", "orders", 0, 100).await.expect("a commit");
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: "", more: "" }).await;
    daemon.await_turns(2).await;

    // The coordinator hangs past its session; the next one takes a later commit; then the first comes back with the
    // earlier one in its memory.
    assert_eq!(client.coordinator("steady").await.expect("the group has a coordinator"), hung);
    cluster.stop(hung).expect("it runs");
    crate::kafka::until("another coordinator takes the commit", SOON, async || {
        client.commit("steady", "orders", 0, 700).await
    })
    .await
    .expect("the group moved");
    daemon.await_turns(3).await;
    cluster.cont(hung).expect("it was stopped");
    daemon.await_turns(6).await;

    let rewound = daemon.findings_of("commit_rewound").await;
    assert!(rewound.is_empty(), "{rewound:#?}\n{}", daemon.log());
    let group = daemon.json("/clusters/main/groups/steady").await;
    assert_eq!(group["partitions"][0]["committed_offset"], 700, "{group:#}");
    assert_ne!(group["verdict"], "rewound");
    // The faults were seen, so the silence about the group is no blindness.
    assert!(!daemon.findings_of("broker_unreachable").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_is_read_from_its_own_coordinator() {
    let cluster = own(Options { offsets_partitions: 50, ..Options::default() }).await;
    let client = cluster.client();
    client.create_topic("orders", &[&[1, 2, 3]], &[]).await.expect("the topic is created");
    client.produce("orders", 0, &values("orders", 10), "all", &[]).await.expect("records are sent");
    // Hashes of either sign, and the names nobody expects.
    let mut groups: Vec<String> = (0..40).map(|number| format!("group-{number}")).collect();
    groups.extend(["größe", "日本", "🦀", "polygenelubricants", "a b/c?d#e%f", "<b>\"x\"</b>"].map(str::to_owned));
    for group in &groups {
        client.commit(group, "orders", 0, 4).await.expect("a commit");
    }
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: "", more: "" }).await;
    daemon.await_turns(2).await;
    let list = daemon.json("/clusters/main/groups?per_page=100").await;
    let items = list["items"].as_array().expect("a list");
    assert_eq!(items.len(), groups.len(), "{list:#}");
    for group in items {
        assert_eq!(
            (&group["lag_records"], &group["lag_records_is"]),
            (&Value::from(6), &Value::from("exact")),
            "{group:#}"
        );
    }
}
