//! `kustody doctor` on real brokers: what it says, how it exits, and that it leaves no trace.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

use crate::clusters::{own, shared};
use crate::daemon::free_port;
use crate::kafka::{Options, until};

const SOON: Duration = Duration::from_secs(60);

/// Runs the doctor and returns its exit code and what it printed.
async fn doctor(arguments: &[&str]) -> (Option<i32>, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_kustody")).arg("doctor").args(arguments).output();
    let output = tokio::time::timeout(SOON, run).await.expect("it ends").expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// As [`doctor`], on a configuration of one cluster.
pub(crate) async fn doctor_of(bootstrap: &str, cluster: &str, more: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("kustody.toml");
    let config =
        format!("[[cluster]]\nname = \"main\"\n{cluster}\n[cluster.kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n");
    std::fs::write(&file, config).expect("the directory is writable");
    let file = file.to_str().expect("a temporary directory's name is text");
    doctor(&[&["--config", file], more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_well_until_its_canary_topic_is_compacted() {
    let cluster = shared().await;
    let client = cluster.client();
    let bootstrap = cluster.bootstrap();
    let topic = "doctor.canary";
    let canary = format!("canary.enabled = true\ncanary.topic = \"{topic}\"");

    let (code, text) = doctor_of(&bootstrap, &format!("{canary}\ncanary.create_topic = true"), &[]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("is created when the daemon starts"), "{text}");
    client.metadata(1, topic).await.expect_err("the doctor creates nothing");
    let (code, text) = doctor_of(&bootstrap, &canary, &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("canary.create_topic = true"), "{text}");

    let replicas: [&[i32]; 3] = [&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]];
    client.create_topic(topic, &replicas, &[("min.insync.replicas", "2")]).await.expect("the topic is created");
    let (code, text) = doctor_of(&bootstrap, &canary, &[]).await;
    assert_eq!(code, Some(0), "{text}");
    let well =
        ["broker 3 at 127.0.0.1:", "cluster id: ", "fits: 3 partitions, replication factor 3", "are enough for 99.9 %"];
    for line in well.iter().copied().chain([
        cluster.cluster_id(),
        "every broker that is up leads",
        "0 problem, 0 unknown, 0 advice",
    ]) {
        assert!(text.contains(line), "{line:?}: {text}");
    }

    client
        .alter_topic(topic, &[("cleanup.policy", "compact"), ("retention.ms", "60000")])
        .await
        .expect("it is altered");
    until("the brokers know of it", SOON, async || {
        let (code, text) = doctor_of(&bootstrap, &canary, &["--json"]).await;
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let problems: Vec<&Value> =
            json["checks"].as_array().expect("checks").iter().filter(|check| check["word"] == "problem").collect();
        if problems.is_empty() {
            return Err(crate::kafka::Error::NotYet(text));
        }
        assert_eq!((code, &json["is_well"], problems.len()), (Some(2), &Value::Bool(false), 2), "{text}");
        let says = |at: usize| {
            (problems[at]["text"].as_str().unwrap_or_default(), problems[at]["remedy"].as_str().unwrap_or_default())
        };
        assert!(says(0).0.starts_with("cleanup.policy=compact") && says(0).1 == "set cleanup.policy=delete", "{text}");
        assert!(says(1).0.starts_with("retention.ms=60000") && says(1).1 == "set retention.ms=7200000", "{text}");
        Ok(())
    })
    .await
    .expect("it is told");
    client.delete_topic(topic).await.expect("the topic is deleted");

    let (code, text) = doctor(&["--bootstrap", &bootstrap]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("set canary.enabled = true"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_named() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, text) = doctor_of(&nobody, "", &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&format!("bootstrap {nobody}: does not answer")), "{text}");
    assert!(text.contains("no broker answers: nothing else can be checked"), "{text}");

    let mut cluster = own(Options::default()).await;
    let client = cluster.client();
    client.create_topic("__kustody.canary", &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]], &[]).await.expect("it is created");
    cluster.kill(3).await.expect("it runs");
    client.until_in_sync("__kustody.canary", 0, &[1, 2]).await.expect("it leaves the in-sync replicas");
    let address = format!("127.0.0.1:{}", cluster.port(3));
    let (code, text) = doctor_of(&cluster.bootstrap(), "canary.enabled = true", &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains(&format!("bootstrap {address}: does not answer")), "{text}");
    assert!(text.contains("broker 3: is not in the metadata, though replicas are placed on it"), "{text}");
    assert!(!text.contains("lead no partition"), "it is merely down: {text}");
}

#[tokio::test]
async fn bad_configuration_is_refused_before_anything_is_asked() {
    let (code, text) = doctor_of("no port", "canary.rat = 1.0", &[]).await;
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("canary.rat") && text.contains("bootstrap.servers"), "{text}");
    assert_eq!(doctor(&[]).await.0, Some(64), "neither a file nor an address");
}
