//! TLS, SASL and ACLs on real brokers: both planes come in by every mechanism, and what is wrong is said in one line.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kustody::clock::Clock;
use tokio::process::Command;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup};
use crate::kafka::secured::{Authority, Listener, PLAIN_PASSWORD, USER, authorizer};
use crate::kafka::{Acl, Client, Error, Operation, Options, Resource, until};

const SOON: Duration = Duration::from_secs(60);
const SCRAM_PASSWORD: &str = "scram-9tWv5e-secret";

/// Thirty first handshakes with brokers that have just started take their time on two cores.
const PATIENT: &str = "poll.request_timeout = \"8s\"\npoll.deadline = \"20s\"\n";

const fn acl(resource: Resource, name: &'static str, operation: Operation) -> Acl {
    Acl { resource, name, operation }
}

/// What the poll plane needs to see everything.
const READ_ALL: [Acl; 6] = [
    acl(Resource::Topic, "*", Operation::Describe),
    acl(Resource::Topic, "*", Operation::DescribeConfigs),
    acl(Resource::Group, "*", Operation::Describe),
    acl(Resource::Cluster, "kafka-cluster", Operation::Describe),
    acl(Resource::Cluster, "kafka-cluster", Operation::DescribeConfigs),
    acl(Resource::TransactionalId, "*", Operation::Describe),
];

/// What the canary needs on a topic of its own.
fn canary_on(topic: &'static str) -> [Acl; 2] {
    [acl(Resource::Topic, topic, Operation::Read), acl(Resource::Topic, topic, Operation::Write)]
}

const CANARY: [Acl; 2] = [
    acl(Resource::TransactionalIds, "kustody", Operation::Write),
    acl(Resource::Groups, "kustody-canary", Operation::Read),
];

const REPLICAS: [&[i32]; 3] = [&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]];

/// Files of a test.
fn written(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("the directory is writable");
    path.to_str().expect("a temporary directory's name is text").to_owned()
}

/// Lines of `[cluster.kafka]`.
fn section(pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(String::new(), |mut lines, (name, value)| {
        writeln!(lines, "{name:?} = {value:?}").expect("text takes text");
        lines
    })
}

/// What the doctor prints of a connection.
async fn doctor(bootstrap: &str, pairs: &[(&str, &str)]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = format!(
        "[[cluster]]\nname = \"main\"\n[cluster.kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n{}",
        section(pairs)
    );
    let file = written(directory.path(), "kustody.toml", &config);
    let run = Command::new(env!("CARGO_BIN_EXE_kustody")).args(["doctor", "--config", &file]).output();
    let output = tokio::time::timeout(SOON, run).await.expect("it ends").expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_no_secret(&text);
    (output.status.code(), text)
}

fn assert_no_secret(text: &str) {
    for secret in [PLAIN_PASSWORD, SCRAM_PASSWORD, "wrong-7Hq-secret", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret} is shown:\n{text}");
    }
}

/// A token of Kafka's own kind without a signature, for so many seconds.
fn token(seconds: i64) -> String {
    let now = Clock::start().wall().as_millis() / 1_000;
    let encoded = |text: &str| BASE64.encode(text);
    let claims = format!(r#"{{"sub":"{USER}","iat":{},"exp":{}}}"#, now - 120, now + seconds);
    format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(&claims))
}

async fn brokers_know(client: &Client, acls: &[Acl]) {
    client.grant(USER, acls).await.expect("ACLs are made");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_planes_come_in_by_every_mechanism_and_each_refusal_is_one_line() {
    let (ca, stranger) = (Authority::new("CA of a test"), Authority::new("CA of somebody else"));
    let options =
        Options { secured: Some(ca.secured()), properties: authorizer(), offsets_partitions: 3, ..Options::default() };
    let cluster = own(options).await;
    let client = cluster.client();
    client.set_scram_password(SCRAM_PASSWORD).await.expect("a password is set");
    brokers_know(&client, &[&READ_ALL[..], &CANARY].concat()).await;

    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| written(directory.path(), name, text);
    let (trusted, untrusted) = (file("ca.pem", &ca.certificate), file("stranger.pem", &stranger.certificate));
    let mine = ca.issue(USER, &[]);
    let (certificate, key) = (file("mine.pem", &mine.certificate), file("mine.key", &mine.key));
    let password_file = file("password", &format!("{SCRAM_PASSWORD}\n"));
    let token_file = file("token", &token(600));
    let (sasl, mutual) = (
        cluster.secured_bootstrap(Listener::Sasl, "localhost"),
        cluster.secured_bootstrap(Listener::Mutual, "localhost"),
    );

    // One daemon with a cluster for each mechanism, each with a canary topic of its own.
    let base = [("security.protocol", "SASL_SSL"), ("ssl.ca.location", trusted.as_str())];
    let by = |more: &[(&'static str, &str)]| section(&[&base[..], more].concat());
    let scram = ("sasl.password_file", password_file.as_str());
    let ways = [
        (
            "plain",
            &sasl,
            by(&[("sasl.mechanism", "PLAIN"), ("sasl.username", USER), ("sasl.password", PLAIN_PASSWORD)]),
        ),
        ("scram-256", &sasl, by(&[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.username", USER), scram])),
        ("scram-512", &sasl, by(&[("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", USER), scram])),
        (
            "bearer",
            &sasl,
            by(&[("sasl.mechanism", "OAUTHBEARER"), ("sasl.oauthbearer.token_file", token_file.as_str())]),
        ),
        (
            "mutual",
            &mutual,
            section(&[
                ("security.protocol", "SSL"),
                ("ssl.ca.location", &trusted),
                ("ssl.certificate.location", &certificate),
                ("ssl.key.location", &key),
            ]),
        ),
    ];
    let mut more = ways[0].2.clone();
    for (name, bootstrap, lines) in &ways[1..] {
        write!(
            more,
            "[[cluster]]\nname = \"{name}\"\npoll.every = \"1s\"\n{PATIENT}canary.enabled = true\ncanary.topic = \"canary.{name}\"\n\
             [cluster.kafka]\n\"bootstrap.servers\" = \"{bootstrap}\"\n{lines}"
        )
        .expect("text takes text");
    }
    for topic in ["canary.plain", "canary.scram-256", "canary.scram-512", "canary.bearer", "canary.mutual"] {
        client.create_topic(topic, &REPLICAS, &[("min.insync.replicas", "2")]).await.expect("the topic is created");
        brokers_know(&client, &canary_on(topic)).await;
    }
    let setup = Setup {
        bootstrap: ways[0].1,
        cluster: &format!("{PATIENT}canary.enabled = true\ncanary.topic = \"canary.plain\""),
        more: &more,
    };
    let daemon = Daemon::start(&setup).await;
    for (name, _, _) in &ways {
        let name = if *name == "plain" { "main" } else { name };
        let what = format!("{name}: both planes read and write");
        let delivered = until(&what, SOON, async || {
            let canary = daemon.json(&format!("/clusters/{name}/canary")).await;
            let class = &canary["items"][0];
            match (class["delivered"].as_u64(), class["coverage"].as_f64()) {
                (Some(5..), Some(1.0)) => Ok(()),
                _ => Err(Error::NotYet(canary.to_string())),
            }
        });
        delivered.await.unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    }
    daemon.assert_only(&["leader_moved"]).await;
    let expired = file("expired", &token(-60));

    // What is wrong is one line, and a secret is in none of them.
    let wrong: [(&str, &str, Vec<(&str, &str)>, &str); 12] = [
        (
            "wrong password",
            &sasl,
            vec![("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", USER), ("sasl.password", "wrong-7Hq-secret")],
            "the broker refuses user \"kustody\" by SCRAM-SHA-512 (Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512): check sasl.username and sasl.password",
        ),
        (
            "wrong password by PLAIN",
            &sasl,
            vec![("sasl.mechanism", "PLAIN"), ("sasl.username", USER), ("sasl.password", "wrong-7Hq-secret")],
            "the broker refuses user \"kustody\" by PLAIN (",
        ),
        (
            "expired token",
            &sasl,
            vec![("sasl.mechanism", "OAUTHBEARER"), ("sasl.oauthbearer.token_file", &expired)],
            "expired at ",
        ),
        (
            "a token that the broker does not know",
            &sasl,
            vec![("sasl.mechanism", "OAUTHBEARER"), ("sasl.oauthbearer.token", "2YotnFZFEjr1zCsicMWpAA")],
            "the broker refuses our token (",
        ),
        (
            "unknown mechanism",
            &cluster.secured_bootstrap(Listener::Open, "localhost"),
            vec![
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", USER),
                ("sasl.password", SCRAM_PASSWORD),
            ],
            "the broker does not offer SASL mechanism SCRAM-SHA-512 here; it offers PLAIN, SCRAM-SHA-256: set sasl.mechanism to one of them",
        ),
        (
            "untrusted CA",
            &sasl,
            vec![
                ("ssl.ca.location", untrusted.as_str()),
                ("sasl.mechanism", "PLAIN"),
                ("sasl.username", USER),
                ("sasl.password", PLAIN_PASSWORD),
            ],
            "the certificate of localhost was issued by a CA that is not trusted: put the CA that issued it into ssl.ca.location",
        ),
        (
            "wrong host name",
            &cluster.secured_bootstrap(Listener::Sasl, "127.0.0.1"),
            vec![("sasl.mechanism", "PLAIN"), ("sasl.username", USER), ("sasl.password", PLAIN_PASSWORD)],
            "the certificate of 127.0.0.1 is for DnsName(\"localhost\"): issue it for that name, or set ssl.endpoint.identification.algorithm=none",
        ),
        (
            "plaintext on TLS",
            &sasl,
            vec![("security.protocol", "PLAINTEXT")],
            "this port speaks TLS, security.protocol must be SSL or SASL_SSL",
        ),
        (
            "TLS on plaintext",
            &cluster.bootstrap(),
            vec![("security.protocol", "SSL")],
            "does this port speak plaintext? Then security.protocol is PLAINTEXT or SASL_PLAINTEXT",
        ),
        ("client certificate missing", &mutual, vec![("security.protocol", "SSL")], "client certificate"),
        ("no SASL on a listener of SASL", &sasl, vec![("security.protocol", "SSL")], "does this port want SASL?"),
        (
            "SASL on a listener without",
            &cluster.bootstrap(),
            vec![
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", "PLAIN"),
                ("sasl.username", USER),
                ("sasl.password", PLAIN_PASSWORD),
            ],
            "takes no SASL on this port",
        ),
    ];
    for (name, bootstrap, pairs, want) in wrong {
        let protocol = pairs.iter().find(|(key, _)| *key == "security.protocol").map_or("SASL_SSL", |(_, value)| value);
        let mut all: Vec<(&str, &str)> = pairs.clone();
        if !all.iter().any(|(key, _)| *key == "security.protocol") {
            all.push(("security.protocol", protocol));
        }
        if protocol.ends_with("SSL") && !all.iter().any(|(key, _)| *key == "ssl.ca.location") {
            all.push(("ssl.ca.location", &trusted));
        }
        let first = bootstrap.split(',').next().unwrap_or_default();
        let (code, text) = doctor(first, &all).await;
        assert_eq!(code, Some(2), "{name}: {text}");
        assert_eq!(text.lines().filter(|line| line.contains(want)).count(), 1, "{name}: {text}");
    }
    assert_no_secret(&daemon.log());
    for path in ["/metrics", "/", "/clusters/main/canary", "/api/v1/clusters", "/api/v1/clusters/main/findings"] {
        assert_no_secret(&daemon.text(path).await);
    }
}
