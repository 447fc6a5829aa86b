//! The daemon as others see it: Debian's Prometheus, promtool, a browser, and the shell.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup, free_port};
use crate::kafka::{Error, Options, until, values};

const SOON: Duration = Duration::from_secs(60);

async fn checked(mut command: Command, input: Option<&str>) -> String {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() }).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}; run tests/install"));
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).await.expect("it reads its input");
    }
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output())
        .await
        .expect("it ends within a minute")
        .expect("it ran");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

/// What a headless browser says to the console of a page, its DOM, and optionally a picture of it.
async fn browse(url: &str, picture: Option<&Path>) -> (Vec<String>, String) {
    let profile = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--v=0",
        "--window-size=1400,1500",
        "--virtual-time-budget=5000",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    match picture {
        Some(picture) => command.arg(format!("--screenshot={}", picture.display())),
        None => command.arg("--dump-dom"),
    };
    command.arg(url);
    let text = checked(command, None).await;
    let console = text.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (console, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_and_a_browser_shows_every_page() {
    let cluster = own(Options::default()).await;
    let client = cluster.client();
    client.create_topic("orders", &[&[1, 2, 3], &[2, 3, 1]], &[]).await.expect("the topic is created");
    client.produce("orders", 0, &values("orders", 100), "all", &[]).await.expect("records are sent");
    client.commit("billing", "orders", 0, 40).await.expect("a commit");
    let hostile = "a/b \"c\" <script>alert(1)</script>\\ {x=\"y\"}";
    client.commit(hostile, "orders", 0, 90).await.expect("a commit");
    client.commit("rewound", "orders", 0, 90).await.expect("a commit");
    let canary = "canary.enabled = true\ncanary.create_topic = true\ncanary.rate = 10.0";
    let daemon = Daemon::start(&Setup { bootstrap: &cluster.bootstrap(), cluster: canary, more: "" }).await;
    daemon.await_turns(3).await;
    client.commit("rewound", "orders", 0, 30).await.expect("a commit");
    let found = daemon.await_findings("commit_rewound", SOON, |found| !found.is_empty()).await;
    daemon.await_canary("idempotent", SOON, |class| class["delivered"].as_u64() > Some(20)).await;

    // promtool finds nothing to complain about.
    let metrics = daemon.text("/metrics").await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    assert_eq!(checked(promtool, Some(&metrics)).await, "");
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/kustody-alerts.yml");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "rules"]).arg(&rules);
    checked(promtool, None).await;

    // Debian's Prometheus scrapes it.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path().join("prometheus.yml");
    let target = daemon.address().trim_start_matches("http://");
    std::fs::write(
        &config,
        format!(
            "global:\n  scrape_interval: 1s\nrule_files: [{rules:?}]\nscrape_configs:\n- job_name: kustody\n  static_configs:\n  - targets: [{target:?}]\n"
        ),
    )
    .expect("the directory is writable");
    let port = free_port();
    let mut prometheus = Command::new("prometheus");
    prometheus
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", directory.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let running = prometheus.spawn().expect("prometheus is installed: run tests/install");
    let http = reqwest::Client::new();
    let query = async |expression: &str| -> Option<String> {
        let mut url = url::Url::parse(&format!("http://127.0.0.1:{port}/api/v1/query")).expect("a good address");
        url.query_pairs_mut().append_pair("query", expression);
        let answer = http.get(url).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    for (expression, want) in [
        ("up{job=\"kustody\"}", "1"),
        ("kustody_cluster_up{cluster=\"main\"}", "1"),
        ("kustody_group_lag_records{group=\"billing\",topic=\"orders\"}", "60"),
        ("kustody_findings{kind=\"commit_rewound\"}", "1"),
    ] {
        until(expression, SOON, async || match query(expression).await {
            Some(value) if value == want => Ok(()),
            other => Err(Error::NotYet(format!("{other:?}"))),
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{metrics}"));
    }
    drop(running);

    // The control: this browser does tell of errors.
    let broken = directory.path().join("broken.html");
    std::fs::write(&broken, "<script>console.error('seen')</script>").expect("the directory is writable");
    let (console, _) = browse(&format!("file://{}", broken.display()), None).await;
    assert!(console.iter().any(|line| line.contains("seen")), "{console:?}");

    let id = found[0]["id"].as_str().expect("an id");
    let encoded: String = hostile.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (page, must_show) in [
        ("/".to_owned(), "main"),
        ("/clusters/main/groups".to_owned(), "billing"),
        ("/clusters/main/groups/billing".to_owned(), "orders"),
        (format!("/clusters/main/group?id={encoded}"), "&lt;script&gt;"),
        ("/clusters/main/topics".to_owned(), "orders"),
        ("/clusters/main/topics/orders".to_owned(), "orders"),
        ("/clusters/main/brokers".to_owned(), "127.0.0.1"),
        ("/clusters/main/canary".to_owned(), "idempotent"),
        ("/clusters/main/findings".to_owned(), "commit_rewound"),
        (format!("/clusters/main/findings/{id}"), "kafka-consumer-groups"),
        ("/alerts".to_owned(), "rewound"),
    ] {
        let (console, dom) = browse(&format!("{}{page}", daemon.address()), None).await;
        assert_eq!(console, Vec::<String>::new(), "{page}");
        assert!(dom.contains(must_show), "{page} shows {must_show:?}");
        assert!(!dom.contains("<script>alert(1)"), "{page}: names are data");
    }
}

#[tokio::test]
async fn bad_configuration_exits_64_and_names_every_problem() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("bad.toml");
    let bad =
        "[server]\nlisten = \"x\"\n[[cluster]]\nname = \"a\"\ncanary.enabled = true\ncanary.classes = [\"acks2\"]\n";
    std::fs::write(&file, bad).expect("the directory is writable");
    for arguments in [vec!["serve", "--config"], vec!["config", "check"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_kustody")).args(&arguments).arg(&file).output().await.expect("it ran");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in ["listen", "bootstrap.servers", "\"acks2\" is no class"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let output = Command::new(env!("CARGO_BIN_EXE_kustody")).arg("serve").output().await.expect("it ran");
    assert_eq!(output.status.code(), Some(64), "neither --config nor --bootstrap");
    let output = Command::new(env!("CARGO_BIN_EXE_kustody")).arg("version").output().await.expect("it ran");
    assert!(output.status.success() && output.stdout.starts_with(b"kustody "), "{output:?}");
}
