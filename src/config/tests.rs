//! What is read, what is refused, and in which words.

use super::*;

const GOOD: &str = r#"
[server]
listen = "127.0.0.1:0"
[[cluster]]
name = "main"
poll.every = "1s"
topics.exclude = ["^tmp\\."]
canary.enabled = true
[cluster.kafka]
"bootstrap.servers" = "127.0.0.1:9092,127.0.0.1:9093"
[[receiver]]
name = "ops"
webhook.url = "http://127.0.0.1:1/x"
webhook.secret = "hunter2"
"#;

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_good_file_is_read_with_its_defaults() {
    let config = parse(GOOD, &BTreeMap::new()).expect("the file is good");
    let main = &config.clusters[0];
    assert_eq!(main.poll.every, Duration::from_secs(1));
    assert_eq!(main.poll.request_timeout, Duration::from_millis(1_500));
    assert_eq!(main.poll.deadline, Duration::from_millis(4_500));
    assert_eq!(main.canary.classes, ["idempotent"]);
    assert!(main.topics.takes("orders") && !main.topics.takes("tmp.x"));
    assert_eq!(config.alert.event_hold, Duration::from_secs(3600));
    assert!(!format!("{config:?}").contains("hunter2"), "a secret is never shown");
}

#[test]
fn every_problem_is_named_at_once() {
    let text = r#"
[serverr]
[server]
listen = "nonsense"
[[cluster]]
name = "a"
poll.evry = "5s"
poll.every = 5
canary.enabled = true
canary.classes = ["acks0", "bogus"]
canary.rate = 0
canary.slo.availability = 99.9
canary.slo.freshness = 1.0
canary.slo.order = "most"
[cluster.kafka]
"security.protocol" = "SASL_SSL"
"sasl.usrname" = "me"
[[cluster]]
name = "a"
poll.deadline = "1h"
[cluster.kafka]
"bootstrap.servers" = "nowhere"
[alert]
severity = "loud"
[[receiver]]
name = "ops"
webhook.url = "ftp://x"
"#;
    let problems = parse(text, &BTreeMap::new()).expect_err("the file is bad");
    insta::assert_snapshot!(problems.to_string(), @r#"
    alert: severity: must be "critical", "warning" or "info", not "loud"
    cluster "a": canary.rate: must be a number above 0, not 0
    cluster "a": canary.slo.availability: must be a share from 0.94 to below 1, such as 0.999 for 99.9 %, not 99.9
    cluster "a": canary.slo.freshness: must be a share from 0.94 to below 1, such as 0.999 for 99.9 %, not 1.0
    cluster "a": canary.slo.order: must be a share from 0.94 to below 1, such as 0.999 for 99.9 %, not "most"
    cluster "a": poll.every: must be a duration such as "15s" (ms, s, m, h, d), not 5
    cluster "a": poll.evry: there is no such key; did you mean poll.every?
    server: listen: must be an address such as "127.0.0.1:9980", not "nonsense"
    serverr: there is no such section; there are [server], [storage], [cluster], [alert], [receiver]
    cluster "a" stands more than once; each needs a name of its own
    cluster "a": kafka: "bootstrap.servers" is missing; give host:port, several by commas
    cluster "a": kafka: "sasl.mechanism": is missing; set one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
    cluster "a": kafka: "sasl.usrname": there is no such property for both planes; take it out; did you mean "sasl.username"?
    cluster "a": canary.classes: "bogus" is no class; there are acks0, acks1, all, idempotent, transactional
    cluster "a": kafka: "bootstrap.servers": "nowhere" is not host:port
    cluster "a": poll.deadline: must not be longer than 1m
    receiver "ops": webhook.url: must begin with http:// or https://
    "#);
}

#[test]
fn the_environment_lies_over_the_file() {
    let over = environment(&[
        ("KUSTODY__SERVER__LISTEN", "127.0.0.1:7"),
        ("KUSTODY__CLUSTER__MAIN__POLL_EVERY", "3s"),
        ("KUSTODY__CLUSTER__MAIN__KAFKA__BOOTSTRAP_SERVERS", "h:1"),
        ("KUSTODY__CLUSTER__MAIN__CANARY_ENABLED", "false"),
        ("KUSTODY__CLUSTER__MAIN__CANARY_SLO_AVAILABILITY", "0.9999"),
        ("KUSTODY__RECEIVER__OPS__WEBHOOK_SECRET", "other"),
    ]);
    let config = parse(GOOD, &over).expect("the environment is good");
    assert_eq!(config.server.listen.port(), 7);
    assert_eq!(config.clusters[0].poll.every, Duration::from_secs(3));
    assert_eq!(config.clusters[0].kafka["bootstrap.servers"], "h:1");
    assert!(!config.clusters[0].canary.enabled);
    let slo = config.clusters[0].canary.slo;
    assert_eq!((slo.availability, slo.freshness), (0.9999, 0.999));
    assert_eq!(config.receivers[0].secret.as_ref().map(Secret::reveal), Some("other"));
}

#[test]
fn what_the_environment_gets_wrong_is_named() {
    let over = environment(&[
        ("KUSTODY__SERVR__LISTEN", "x"),
        ("KUSTODY__CLUSTER__OTHER__NAME", "x"),
        ("KUSTODY__CLUSTER__MAIN__POLL_EVERY", "often"),
        ("KUSTODY__ALERT__LOUDNESS", "11"),
        ("KUSTODY__RECEIVER__OPS__WEBHOOK_SECRET_FILE", "/nonexistent/secret"),
    ]);
    let problems = parse(GOOD, &over).expect_err("each is wrong");
    insta::assert_snapshot!(problems.to_string(), @r#"
    KUSTODY__ALERT__LOUDNESS: there is no such key in [alert]
    KUSTODY__CLUSTER__MAIN__POLL_EVERY: must be a duration such as "15s" (ms, s, m, h, d)
    KUSTODY__CLUSTER__OTHER__NAME: the file has no cluster of that name
    KUSTODY__RECEIVER__OPS__WEBHOOK_SECRET_FILE: webhook.secret_file: cannot read "/nonexistent/secret": No such file or directory (os error 2)
    KUSTODY__SERVR__LISTEN: there is no section "SERVR"
    "#);
}

#[test]
fn a_secret_comes_from_its_file() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "from-file\n").expect("it is writable");
    let text = GOOD.replace("webhook.secret = \"hunter2\"", &format!("webhook.secret_file = {:?}", file.path()));
    let config = parse(&text, &BTreeMap::new()).expect("the file is good");
    assert_eq!(config.receivers[0].secret.as_ref().map(Secret::reveal), Some("from-file"));
}

#[test]
fn one_section_feeds_both_planes_and_no_secret_is_repeated() {
    let section = |lines: &str| GOOD.replace("[[receiver]]", &format!("{lines}\n[[receiver]]"));
    let secured = section(
        "\"security.protocol\" = \"SASL_PLAINTEXT\"\n\"sasl.mechanism\" = \"PLAIN\"\n\"sasl.username\" = \"me\"\n\
         \"sasl.password\" = \"swordfish\"",
    );
    let config = parse(&secured, &BTreeMap::new()).expect("the file is good");
    assert_eq!(config.clusters[0].kafka.set("sasl.password"), Some("swordfish"));
    assert!(!format!("{config:?}").contains("swordfish"), "a secret is never shown");
    let over = environment(&[("KUSTODY__CLUSTER__MAIN__KAFKA__SASL_PASSWORD", "other")]);
    let config = parse(&secured, &over).expect("the environment is good");
    assert_eq!(config.clusters[0].kafka.set("sasl.password"), Some("other"));

    let wrong = [
        ("a misspelt name", "\"sasl.pasword\" = \"swordfish\""),
        ("no TLS and no SASL", "\"sasl.password\" = \"swordfish\""),
        ("an unfinished text", "\"sasl.password\" = \"swordfish"),
        ("a name of Java's", "\"ssl.truststore.password\" = \"swordfish\""),
        ("a list", "\"sasl.password\" = [\"swordfish\"]"),
        ("what librdkafka refuses", "\"message.timeout.ms\" = \"swordfish\""),
    ];
    for (name, lines) in wrong {
        let problems = parse(&section(lines), &BTreeMap::new()).expect_err(name).to_string();
        assert!(!problems.contains("swordfish"), "{name}: {problems}");
    }
}

#[test]
fn what_is_no_toml_says_where() {
    let problems = parse("[server\nlisten", &BTreeMap::new()).expect_err("it is no TOML");
    assert!(problems.to_string().contains("line 1"), "{problems}");
}

#[test]
fn every_default_is_of_its_kind() {
    for key in schema::KEYS {
        let Some(default) = key.default else { continue };
        let table: toml::Table = format!("value = {default}").parse().expect("a default is TOML");
        assert!(key.kind.accepts(&table["value"]), "{}.{}", key.section.name(), key.name);
    }
}

#[test]
fn a_limit_of_requests_is_a_whole_number() {
    let of = |value: &str| {
        let text = format!("[[cluster]]\nname = \"main\"\n{value}\n[cluster.kafka]\n\"bootstrap.servers\" = \"b:1\"");
        parse(&text, &BTreeMap::new()).map(|config| config.clusters[0].poll.max_requests_per_second)
    };
    for (text, want) in [("", 0), ("poll.max_requests_per_second = 0", 0), ("poll.max_requests_per_second = 50", 50)] {
        assert_eq!(of(text), Ok(want), "{text}");
    }
    for text in ["-1", "2.5", "10001", "\"50\""] {
        let problems = of(&format!("poll.max_requests_per_second = {text}")).expect_err(text);
        assert!(problems.0[0].contains("poll.max_requests_per_second: must be a whole number"), "{problems}");
    }
    let set = environment(&[("KUSTODY__CLUSTER__MAIN__POLL__MAX_REQUESTS_PER_SECOND", "7")]);
    let text = "[[cluster]]\nname = \"main\"\n[cluster.kafka]\n\"bootstrap.servers\" = \"b:1\"";
    let config = parse(text, &set).expect("it is good");
    assert_eq!(config.clusters[0].poll.max_requests_per_second, 7);
}
