//! TLS, SASL and ACLs on real brokers: both planes come in by every mechanism, and what is wrong is said in one line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use kustody::clock::Clock;
use serde_json::Value;
use tokio::process::Command;

use crate::clusters::own;
use crate::daemon::{Daemon, Setup};
use crate::kafka::proxy::Proxy;
use crate::kafka::secured::{Authority, Listener, PLAIN_PASSWORD, Secured, USER, authorizer};
use crate::kafka::{Acl, Client, Error, Operation, Options, Resource, until, values};

const SOON: Duration = Duration::from_secs(60);
const SCRAM_PASSWORD: &str = "scram-9tWv5e-secret";

/// Thirty first handshakes with brokers that have just started take their time on two cores.
const PATIENT: &str = "poll.request_timeout = \"8s\"\npoll.deadline = \"20s\"\n";

/// Properties by name.
type Given<'a> = Vec<(&'a str, &'a str)>;

const NEXT_PASSWORD: &str = "scram-Xm2u8b-secret";

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
    for secret in [PLAIN_PASSWORD, SCRAM_PASSWORD, NEXT_PASSWORD, "wrong-7Hq-secret", "PRIVATE KEY"] {
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
    let wrong: [(&str, &str, Given<'_>, &str); 12] = [
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
    // What is read from files is read again when they change: the former password would not do for a new connection.
    let delivered = |canary: &Value| canary["items"][0]["delivered"].as_u64().unwrap_or_default();
    let mut before = Vec::new();
    for name in ["scram-256", "scram-512", "mutual"] {
        before.push((name, delivered(&daemon.json(&format!("/clusters/{name}/canary")).await)));
    }
    client.set_scram_password(NEXT_PASSWORD).await.expect("a password is set");
    file("password", NEXT_PASSWORD);
    let next = ca.issue(USER, &[]);
    file("mine.key", &next.key);
    file("mine.pem", &next.certificate);
    for (name, before) in before {
        let what = format!("{name}: both planes go on with what the files hold now");
        let goes_on = until(&what, SOON, async || {
            let log = daemon.log();
            let canary = daemon.json(&format!("/clusters/{name}/canary")).await;
            if delivered(&canary) < before + 10 || log.matches("the canary's clients are made anew").count() < 3 {
                return Err(Error::NotYet(canary.to_string()));
            }
            assert_eq!((&canary["items"][0]["lost"], &canary["items"][0]["duplicated"]), (&0.into(), &0.into()));
            Ok(())
        });
        goes_on.await.unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    }
    daemon.await_turns(2).await;
    daemon.assert_only(&["leader_moved"]).await;

    assert_no_secret(&daemon.log());
    for path in ["/metrics", "/", "/clusters/main/canary", "/api/v1/clusters", "/api/v1/clusters/main/findings"] {
        assert_no_secret(&daemon.text(path).await);
    }
}

/// Reads of Kafka's protocol, and what a connection begins with, by api key.
const READS: [i16; 25] =
    [2, 3, 9, 10, 15, 16, 17, 18, 23, 32, 35, 36, 46, 55, 60, 61, 65, 66, 69, 75, 77, 89, 90, 91, 92];
/// What the canary does besides: Produce, Fetch, `InitProducerId`, `AddPartitionsToTxn`, `EndTxn`; and in its own group,
/// `OffsetCommit`, JoinGroup, Heartbeat, `LeaveGroup`, SyncGroup.
const CANARY_ACTS: [i16; 10] = [0, 1, 22, 24, 26, 8, 11, 12, 13, 14];

#[tokio::test(flavor = "multi_thread")]
async fn with_exactly_its_acls_it_sees_all_and_without_one_it_says_which() {
    let proxy = Proxy::bind(&[1, 2, 3]).await.expect("ports are free");
    let ca = Authority::new("CA of a test");
    let secured = Secured { open_ports: proxy.ports(), max_reauth_ms: 4_000, ..ca.secured() };
    let options =
        Options { secured: Some(secured), properties: authorizer(), offsets_partitions: 3, ..Options::default() };
    let cluster = own(options).await;
    proxy.aim_at(cluster.ids().into_iter().map(|id| (id, cluster.secured_port(Listener::Open, id))).collect());
    let client = cluster.client();
    client.set_scram_password(SCRAM_PASSWORD).await.expect("a password is set");
    let canary = [acl(Resource::Topic, "__kustody.canary", Operation::Describe)];
    let exactly = [&READ_ALL[..], &CANARY, &canary_on("__kustody.canary"), &canary].concat();
    brokers_know(&client, &exactly).await;
    client
        .create_topic("__kustody.canary", &REPLICAS, &[("min.insync.replicas", "2"), ("retention.ms", "7200000")])
        .await
        .expect("it is created");
    client.create_topic("orders", &[&[1, 2, 3]], &[]).await.expect("the topic is created");
    client.produce("orders", 0, &values("orders", 100), "all", &[]).await.expect("records are sent");
    client.commit("app", "orders", 0, 60).await.expect("a commit");

    let lines = section(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("sasl.username", USER),
        ("sasl.password", SCRAM_PASSWORD),
    ]);
    let cluster_lines = format!(
        "{PATIENT}canary.enabled = true\ncanary.group_probe = true\n\
         canary.classes = [\"acks0\", \"acks1\", \"all\", \"idempotent\", \"transactional\"]"
    );
    let setup = Setup { bootstrap: &proxy.bootstrap(), cluster: &cluster_lines, more: &lines };
    let daemon = Daemon::start(&setup).await;
    for class in ["acks0", "acks1", "all", "idempotent", "transactional"] {
        daemon.await_canary(class, SOON, |seen| seen["delivered"].as_u64() >= Some(5)).await;
    }
    let joined = until("the group probe measures", SOON, async || {
        let canary = daemon.json("/clusters/main/canary").await;
        let measured = canary["group_probe"]["commit_latency_seconds"]["p50"].is_number();
        if measured { Ok(()) } else { Err(Error::NotYet(canary["group_probe"].to_string())) }
    });
    joined.await.unwrap_or_else(|error| panic!("{error}\n{}", daemon.log()));
    daemon.await_turns(2).await;
    daemon.assert_only(&["leader_moved"]).await;
    let lag_of_app = async || daemon.json("/clusters/main/groups/app").await["lag_records"].clone();
    assert_eq!(lag_of_app().await, 40);
    assert_eq!(daemon.cluster().await["poll"]["partial"], false, "{}", daemon.cluster().await);

    // Without one of them it is blind there, says so, invents nothing, and sees again by itself.
    let revoked = [
        (acl(Resource::Topic, "*", Operation::Describe), "grant DESCRIBE on the topic"),
        (acl(Resource::Group, "*", Operation::Describe), "grant DESCRIBE on the group"),
    ];
    for (right, want) in revoked {
        client.revoke(USER, &right).await.expect("the ACL is taken away");
        let blind = daemon
            .await_findings("monitor_blind", SOON, |found| {
                found.iter().any(|one| {
                    one["state"] == "open" && one["summary"].as_str().is_some_and(|text| text.contains(want))
                })
            })
            .await;
        assert!(blind.iter().any(|one| one["grade"] == "unknown"), "{blind:#?}");
        // Longer than it takes to forget a group that is really gone.
        daemon.await_turns(14).await;
        let group = daemon.json("/clusters/main/groups/app").await;
        assert_eq!(group["lag_records"], Value::Null, "{want}: {group:#}");
        assert_eq!(group["partitions"][0]["lag"]["state"], "unknown", "{want}: {group:#}");
        daemon.assert_only(&["leader_moved"]).await;
        client.grant(USER, &[right]).await.expect("it is granted again");
        let sees_again = until("it sees again", SOON, async || {
            let open = daemon.findings_of("monitor_blind").await;
            let open: Vec<&Value> = open.iter().filter(|one| one["state"] == "open").collect();
            let lag = lag_of_app().await;
            if open.is_empty() && lag == 40 { Ok(()) } else { Err(Error::NotYet(format!("{lag} {open:#?}"))) }
        });
        sees_again.await.unwrap_or_else(|error| panic!("{want}: {error}\n{}", daemon.log()));
    }
    daemon.assert_only(&["leader_moved"]).await;
    for class in ["acks1", "all", "idempotent", "transactional"] {
        assert_eq!(daemon.canary(class).await["lost"], 0, "{class}");
    }

    // A record of every request: the poll plane reads, and the canary does what a canary does.
    let asked = proxy.asked();
    let of_poll_plane: BTreeSet<i16> = asked.iter().filter(|(who, _)| who == "kustody").map(|(_, api)| *api).collect();
    assert!(of_poll_plane.contains(&9) && of_poll_plane.contains(&36), "it was recorded: {asked:?}");
    for (who, api) in &asked {
        let is_allowed = READS.contains(api) || who.starts_with("kustody-canary") && CANARY_ACTS.contains(api);
        assert!(is_allowed, "{who:?} sent a request of api {api}");
    }
    assert_no_secret(&daemon.log());
}
