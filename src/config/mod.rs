//! The configuration: from a file and the environment to values, or to every problem at once.

mod check;
mod raw;
mod reference;
mod schema;
mod secret;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

pub use reference::reference;
pub use secret::Secret;

use crate::finding::Severity;
use raw::{Entry, Raw};
use schema::Section;

/// A whole, checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[storage]`
    pub storage: StorageConfig,
    /// `[[cluster]]`
    pub clusters: Vec<ClusterConfig>,
    /// `[alert]`
    pub alert: AlertConfig,
    /// `[[receiver]]`
    pub receivers: Vec<ReceiverConfig>,
}

/// `[server]`
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where pages, API and metrics are served.
    pub listen: SocketAddr,
    /// The address of this daemon as people reach it.
    pub external_url: Option<String>,
}

/// `[storage]`
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// The directory of the databases.
    pub data: PathBuf,
    /// How long samples are kept.
    pub samples_kept: Duration,
}

/// One `[[cluster]]`.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Our name for it.
    pub name: String,
    /// Connection properties in librdkafka's names.
    pub kafka: BTreeMap<String, String>,
    /// How it is polled.
    pub poll: PollConfig,
    /// Which topics are read.
    pub topics: Selection,
    /// Which groups are read.
    pub groups: Selection,
    /// The window over which a group's progress is judged.
    pub window: Duration,
    /// The canary.
    pub canary: CanaryConfig,
}

/// How a cluster is polled.
#[derive(Clone, Copy, Debug)]
pub struct PollConfig {
    /// From the start of one turn to the next.
    pub every: Duration,
    /// The end of a turn.
    pub deadline: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
}

/// Include and exclude patterns.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Vec<regex::Regex>,
    exclude: Vec<regex::Regex>,
}

impl Selection {
    /// True when the name is to be read.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        (self.include.is_empty() || self.include.iter().any(|one| one.is_match(name)))
            && !self.exclude.iter().any(|one| one.is_match(name))
    }
}

/// The canary of a cluster.
#[derive(Clone, Debug)]
pub struct CanaryConfig {
    /// Whether it writes at all.
    pub enabled: bool,
    /// The only topic written to.
    pub topic: String,
    /// Whether the topic is created where it does not exist.
    pub create_topic: bool,
    /// An acknowledgement later than this counts against availability.
    pub acknowledge_within: Duration,
    /// A receipt later than this is late.
    pub deliver_within: Duration,
    /// The classes sent, by their words.
    pub classes: Vec<String>,
    /// Records per second, class and partition.
    pub rate: f64,
}

/// `[alert]`
#[derive(Clone, Copy, Debug)]
pub struct AlertConfig {
    /// Findings at or above it are told.
    pub severity: Severity,
    /// How long a state below critical must last.
    pub hold: Duration,
    /// How long an event stays open.
    pub event_hold: Duration,
}

/// One `[[receiver]]`.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// Its name.
    pub name: String,
    /// Where notices are posted.
    pub url: String,
    /// Signs them.
    pub secret: Option<Secret>,
}

/// Every problem of a configuration; shown one per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Problems(pub Vec<String>);

/// Reads, lays the environment over, and checks. `environment` is taken as an argument: see [`environment`].
///
/// # Errors
/// Every problem, each naming the key and the remedy.
pub fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Config, Problems> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problems(vec![format!("cannot read {}: {error}", path.display())]))?;
    parse(&text, environment)
}

/// The configuration of a TOML text.
///
/// # Errors
/// Every problem, each naming the key and the remedy.
pub fn parse(text: &str, environment: &BTreeMap<String, String>) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let raw = raw::read(text, environment, &mut problems);
    let config = resolve(&raw);
    // Rules across keys would repeat what is said of a file that could not be read at all.
    if !raw.entries.is_empty() || problems.is_empty() {
        problems.extend(check::problems(&config));
    }
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

/// A cluster called `default` with all defaults, as `serve --bootstrap` runs it.
///
/// # Errors
/// Every problem, each naming the option.
pub fn of_bootstrap(bootstrap: &str, listen: Option<&str>, data: Option<&Path>) -> Result<Config, Problems> {
    let mut config = parse(
        "[[cluster]]\nname = \"default\"\n[cluster.kafka]\n\"bootstrap.servers\" = \"placeholder:1\"",
        &BTreeMap::new(),
    )?;
    if let Some(cluster) = config.clusters.first_mut() {
        cluster.kafka.insert("bootstrap.servers".to_owned(), bootstrap.to_owned());
    }
    let mut problems = Vec::new();
    if let Some(listen) = listen {
        match listen.parse() {
            Ok(address) => config.server.listen = address,
            Err(_) => problems.push(format!("--listen: {listen:?} is not an address such as 127.0.0.1:9980")),
        }
    }
    if let Some(data) = data {
        config.storage.data = data.to_owned();
    }
    problems.extend(check::problems(&config));
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

/// The variables of this process that begin with `KUSTODY__`.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, _)| name.starts_with("KUSTODY__")).collect()
}

/// The values of one table, with defaults; kinds were checked when it was read, so a wrong one is simply not there.
struct Values<'a> {
    section: Section,
    entry: &'a Entry,
}

impl Values<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        self.entry.values.get(name).cloned().or_else(|| {
            let default = schema::find(self.section, name)?.default?;
            format!("value = {default}").parse::<toml::Table>().ok()?.remove("value")
        })
    }
    fn text(&self, name: &str) -> Option<String> {
        self.value(name)?.as_str().map(str::to_owned)
    }
    fn duration(&self, name: &str) -> Option<Duration> {
        self.value(name)?.as_str().and_then(value::duration)
    }
    fn flag(&self, name: &str) -> bool {
        self.value(name).and_then(|value| value.as_bool()).unwrap_or(false)
    }
    fn texts(&self, name: &str) -> Vec<String> {
        self.value(name).as_ref().and_then(value::texts).unwrap_or_default()
    }
    fn patterns(&self, name: &str) -> Vec<regex::Regex> {
        self.texts(name).iter().filter_map(|one| regex::Regex::new(one).ok()).collect()
    }
}

fn resolve(raw: &Raw) -> Config {
    let empty = Entry::default();
    let one = |section| {
        let entry = raw.entries.get(&section).and_then(|entries| entries.first()).unwrap_or(&empty);
        Values { section, entry }
    };
    let many = |section| {
        let entries = raw.entries.get(&section).map(Vec::as_slice).unwrap_or_default();
        entries.iter().map(move |entry| Values { section, entry })
    };
    let (server, storage, alert) = (one(Section::Server), one(Section::Storage), one(Section::Alert));
    Config {
        server: ServerConfig {
            listen: server
                .text("listen")
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9980))),
            external_url: server.text("external_url"),
        },
        storage: StorageConfig {
            data: storage.text("data").unwrap_or_default().into(),
            samples_kept: storage.duration("samples_kept").unwrap_or_default(),
        },
        clusters: many(Section::Cluster).map(|values| cluster(&values)).collect(),
        alert: AlertConfig {
            severity: alert.text("severity").and_then(|word| Severity::from_word(&word)).unwrap_or(Severity::Warning),
            hold: alert.duration("hold").unwrap_or_default(),
            event_hold: alert.duration("event_hold").unwrap_or_default(),
        },
        receivers: many(Section::Receiver)
            .map(|values| ReceiverConfig {
                name: values.text("name").unwrap_or_default(),
                url: values.text("webhook.url").unwrap_or_default(),
                secret: values.text("webhook.secret").map(Secret::new),
            })
            .collect(),
    }
}

fn cluster(values: &Values<'_>) -> ClusterConfig {
    let every = values.duration("poll.every").unwrap_or_default();
    // A hung broker costs a turn one request's time, and the answers of the others must still fit in behind it.
    let request_timeout = values
        .duration("poll.request_timeout")
        .unwrap_or_else(|| every.clamp(Duration::from_millis(1_500), Duration::from_secs(3)));
    let deadline = values
        .duration("poll.deadline")
        .unwrap_or_else(|| (request_timeout * 3).max(every.min(Duration::from_secs(10))));
    ClusterConfig {
        name: values.text("name").unwrap_or_default(),
        kafka: values.entry.kafka.clone(),
        poll: PollConfig { every, deadline, request_timeout },
        topics: Selection { include: values.patterns("topics.include"), exclude: values.patterns("topics.exclude") },
        groups: Selection { include: values.patterns("groups.include"), exclude: values.patterns("groups.exclude") },
        window: values.duration("groups.window").unwrap_or_default(),
        canary: CanaryConfig {
            enabled: values.flag("canary.enabled"),
            topic: values.text("canary.topic").unwrap_or_default(),
            create_topic: values.flag("canary.create_topic"),
            acknowledge_within: values.duration("canary.acknowledge_within").unwrap_or_default(),
            deliver_within: values.duration("canary.deliver_within").unwrap_or_default(),
            classes: values.texts("canary.classes"),
            rate: values.value("canary.rate").as_ref().and_then(value::number).unwrap_or(1.0),
        },
    }
}

#[cfg(test)]
mod tests {
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
canary.classes = ["acks1", "bogus"]
canary.rate = 0
[cluster.kafka]
"security.protocol" = "SASL_SSL"
"sasl.username" = "me"
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
        cluster "a": poll.every: must be a duration such as "15s" (ms, s, m, h, d), not 5
        cluster "a": poll.evry: there is no such key; did you mean poll.every?
        server: listen: must be an address such as "127.0.0.1:9980", not "nonsense"
        serverr: there is no such section; there are [server], [storage], [cluster], [alert], [receiver]
        cluster "a" stands more than once; each needs a name of its own
        cluster "a": kafka: "bootstrap.servers" is missing; give host:port, several by commas
        cluster "a": kafka: "security.protocol": "SASL_SSL" is not built into this version; take "plaintext"
        cluster "a": kafka: "sasl.username" is not honoured by the poll plane of this version; take it out (known: bootstrap.servers, security.protocol, client.id)
        cluster "a": canary.classes: "acks1" is not built into this version; take idempotent
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
            ("KUSTODY__RECEIVER__OPS__WEBHOOK_SECRET", "other"),
        ]);
        let config = parse(GOOD, &over).expect("the environment is good");
        assert_eq!(config.server.listen.port(), 7);
        assert_eq!(config.clusters[0].poll.every, Duration::from_secs(3));
        assert_eq!(config.clusters[0].kafka["bootstrap.servers"], "h:1");
        assert!(!config.clusters[0].canary.enabled);
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
}
