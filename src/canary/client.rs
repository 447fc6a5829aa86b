//! librdkafka's properties, in one place: the operator's connection section, our defaults below it, our rules above it.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::CanaryError;
use super::connection::{Connection, TokenSource};
use crate::audit::{CanaryClass, Isolation};
use crate::model::Properties;

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends the records of one class.
    Producer(CanaryClass),
    /// Reads the canary topic, or one offset of it anew.
    Reader(Isolation),
    /// Creates the canary topic.
    Admin,
}

type Table = &'static [(&'static str, &'static str)];

/// What the operator's section may change.
const DEFAULTS: Table = &[
    ("log.connection.close", "false"),
    ("reconnect.backoff.max.ms", "2000"),
    ("reconnect.backoff.ms", "100"),
    ("socket.connection.setup.timeout.ms", "10000"),
    ("socket.keepalive.enable", "true"),
    // librdkafka's own 60 s is how long a produce to a hung broker waits before it is tried again:
    // request.timeout.ms is enforced by the broker alone. It also bounds how long librdkafka spins on a processor: it does
    // while five requests of a partition are unanswered and a sixth record waits.
    ("socket.timeout.ms", "10000"),
    ("topic.metadata.refresh.interval.ms", "10000"),
];

/// What the operator's section may change of producers.
const PRODUCER_DEFAULTS: Table = &[
    // Longer than any failover, so that the outcome is mostly an acknowledgement and rarely a time-out.
    ("message.timeout.ms", "120000"),
    // Below socket.timeout.ms, so that a broker that waits for its followers answers before we hang up.
    ("request.timeout.ms", "8000"),
    ("retry.backoff.max.ms", "1000"),
    ("retry.backoff.ms", "100"),
];

/// What holds for every client of ours.
const RULES: Table = &[
    // librdkafka lets producers create topics unless told not to; the canary writes only where it was told.
    ("allow.auto.create.topics", "false"),
    ("client.id", "kustody-canary"),
    ("enable.metrics.push", "false"),
    ("statistics.interval.ms", "0"),
];

const PRODUCER_RULES: Table = &[
    ("compression.type", "none"),
    ("linger.ms", "0"),
    ("max.in.flight.requests.per.connection", "5"),
    ("retries", "2147483647"),
];

const READER_RULES: Table = &[
    // Any other policy lets librdkafka seek silently after a truncation.
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("fetch.error.backoff.ms", "100"),
    ("fetch.wait.max.ms", "100"),
    // assign() refuses to work without a group, though nothing is ever committed in it and nobody joins it.
    ("group.id", "kustody-canary"),
    ("max.partition.fetch.bytes", "262144"),
    ("queued.max.messages.kbytes", "4096"),
];

/// Names that say the same as one of our rules, or would undo it.
const REMOVED: &[&str] = &[
    "auto.commit.enable",
    // A follower's log proves less than the leader's, so nothing is read from one (KIP-392).
    "client.rack",
    "compression.codec",
    "fetch.message.max.bytes",
    "group.instance.id",
    "group.protocol",
    "max.in.flight",
    "message.send.max.retries",
    "queue.buffering.max.ms",
    "request.required.acks",
    "transactional.id",
];

/// What a class is, in librdkafka's words.
fn class_rules(class: CanaryClass) -> Table {
    match class {
        // Its links are told by statistics; twice a second costs nothing to speak of.
        CanaryClass::Acks0 => &[("acks", "0"), ("enable.idempotence", "false"), ("statistics.interval.ms", "500")],
        CanaryClass::Acks1 => &[("acks", "1"), ("enable.idempotence", "false")],
        // At the rates of a canary each record is a request of its own, with linger.ms=0, and up to five are under way: a
        // retry may be overtaken by its neighbours. No batch.num.messages=1: what gathers behind five slow requests would
        // then be sent at five records a round trip and broker, and be late by our own doing.
        CanaryClass::All => &[("acks", "all"), ("enable.idempotence", "false")],
        CanaryClass::Idempotent => &[("acks", "all"), ("enable.idempotence", "true")],
        // The transactional.id is the cluster's and joins these at run time. A transaction that we leave behind, by a crash,
        // holds the last stable offset of its partitions until the coordinator gives it up: for so long whoever else reads
        // the canary topic with read_committed, and nobody reads any other topic of ours, waits. Longer than any failover.
        // librdkafka wants messages to give up before their transaction does.
        CanaryClass::Transactional => &[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "25000"),
            ("transaction.timeout.ms", "30000"),
        ],
    }
}

fn isolation_rules(isolation: Isolation) -> Table {
    match isolation {
        Isolation::ReadUncommitted => &[("isolation.level", "read_uncommitted")],
        Isolation::ReadCommitted => &[("isolation.level", "read_committed")],
    }
}

fn rules(role: Role) -> Vec<Table> {
    match role {
        Role::Producer(class) => vec![RULES, PRODUCER_RULES, class_rules(class)],
        Role::Reader(isolation) => vec![RULES, READER_RULES, isolation_rules(isolation)],
        Role::Admin => vec![RULES],
    }
}

/// The connection section as librdkafka is told it: what is our own in it is left out, or told by what it stands for.
fn secured(kafka: &Properties) -> BTreeMap<String, String> {
    let is_ours = |name: &str| {
        let token = name.strip_prefix("sasl.oauthbearer.").is_some() || name.starts_with("https.");
        token || name.ends_with("_file")
    };
    let given = kafka.iter().filter(|(name, value)| !is_ours(name) && !value.is_empty());
    let mut properties: BTreeMap<String, String> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(path) = kafka.set("sasl.password_file") {
        // Read whenever a client is made. Without it librdkafka makes none, and says so; the poll plane says why.
        if let Ok(text) = std::fs::read_to_string(path) {
            properties.insert("sasl.password".to_owned(), text.trim_end_matches(['\r', '\n']).to_owned());
        }
    }
    properties
}

/// Every property a client of this role is made with.
pub(crate) fn properties(kafka: &Properties, role: Role) -> BTreeMap<String, String> {
    let defaults: &[Table] = match role {
        Role::Producer(_) => &[DEFAULTS, PRODUCER_DEFAULTS],
        Role::Reader(_) | Role::Admin => &[DEFAULTS],
    };
    let mut properties = BTreeMap::new();
    let mut lay = |table: Table| {
        for (name, value) in table {
            properties.insert((*name).to_owned(), (*value).to_owned());
        }
    };
    defaults.iter().copied().for_each(&mut lay);
    properties.extend(secured(kafka));
    if kafka.contains_key("delivery.timeout.ms") {
        // An alias: librdkafka would take whichever of the two it is told last.
        properties.remove("message.timeout.ms");
    }
    for name in REMOVED {
        properties.remove(*name);
    }
    if role == Role::Producer(CanaryClass::Transactional) {
        // The alias of one of its rules.
        properties.remove("delivery.timeout.ms");
    }
    for (name, value) in rules(role).into_iter().flatten() {
        properties.insert((*name).to_owned(), (*value).to_owned());
    }
    properties
}

/// The configuration of a client of this role.
pub(crate) fn config(kafka: &Connection, role: Role) -> ClientConfig {
    let mut config: ClientConfig = properties(&kafka.properties, role).into_iter().collect();
    // tracing's filter decides; without this librdkafka asks the `log` crate, which nobody set up.
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// What is wrong with a connection section: properties librdkafka refuses, and properties the canary decides itself.
#[must_use]
pub fn problems(kafka: &Properties) -> Vec<String> {
    let mut problems = Vec::new();
    let roles = [Role::Producer(CanaryClass::Idempotent), Role::Reader(Isolation::ReadUncommitted)];
    for name in kafka.keys() {
        let ruled = roles.iter().flat_map(|role| rules(*role)).flatten().any(|(rule, _)| rule == name);
        if name != "client.id" && (ruled || REMOVED.contains(&name.as_str())) {
            problems.push(format!("{name}: the canary decides this itself; remove it"));
        }
    }
    // No client is made, so nothing is connected.
    if let Err(error) = config(&kafka.clone().into(), Role::Admin).create_native_config() {
        problems.push(CanaryError::from(error).to_string());
    }
    problems
}

/// Passes a line of librdkafka's log on. A cluster in trouble is what we observe, not an error of ours: at most `warn`.
pub(crate) fn log_line(client: &str, level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning => tracing::warn!(client, facility, "{text}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => tracing::info!(client, facility, "{text}"),
        RDKafkaLogLevel::Debug => tracing::debug!(client, facility, "{text}"),
    }
}

/// The context of a client that has nothing to tell but its log, under this name.
#[derive(Clone, Debug)]
pub(crate) struct Quiet(pub(crate) &'static str, pub(crate) TokenSource);

impl ClientContext for Quiet {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.1.token()
    }

    /// Such a client lives for one question, and its answer says what went wrong: a line for each of them, from each
    /// broker that is down, would flood the log just when a loss is being proven.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(client = self.0, ?level, facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(client = self.0, %error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().copied().collect()
    }

    const ROLES: [Role; 8] = [
        Role::Producer(CanaryClass::Acks0),
        Role::Producer(CanaryClass::Acks1),
        Role::Producer(CanaryClass::All),
        Role::Producer(CanaryClass::Idempotent),
        Role::Producer(CanaryClass::Transactional),
        Role::Reader(Isolation::ReadUncommitted),
        Role::Reader(Isolation::ReadCommitted),
        Role::Admin,
    ];

    #[test]
    fn librdkafka_accepts_every_property_of_ours() {
        for role in ROLES {
            let config = config(&section(&[("bootstrap.servers", "127.0.0.1:9092")]).into(), role);
            assert!(config.create_native_config().is_ok(), "{role:?}");
        }
    }

    #[test]
    fn the_operator_changes_defaults_and_never_rules() {
        let cases = [
            ("a default", "socket.timeout.ms", "5000", Some("5000")),
            ("a default of producers", "message.timeout.ms", "30000", Some("30000")),
            ("a rule of all", "client.id", "mine", Some("kustody-canary")),
            ("a rule of the class", "acks", "0", Some("all")),
            ("an alias of a rule", "request.required.acks", "0", None),
            ("what would read from followers", "client.rack", "a", None),
            ("what we have no opinion on", "broker.address.family", "v4", Some("v4")),
        ];
        for (name, key, given, want) in cases {
            let properties = properties(&section(&[(key, given)]), Role::Producer(CanaryClass::Idempotent));
            assert_eq!(properties.get(key).map(String::as_str), want, "{name}");
        }
    }

    #[test]
    fn an_alias_takes_the_place_of_its_default() {
        let given = section(&[("delivery.timeout.ms", "30000")]);
        let properties = properties(&given, Role::Producer(CanaryClass::Idempotent));
        assert_eq!(properties.get("message.timeout.ms"), None);
        assert_eq!(properties.get("delivery.timeout.ms").map(String::as_str), Some("30000"));
    }

    #[test]
    fn nobody_creates_topics_by_the_way() {
        for role in ROLES {
            let properties = properties(&Properties::default(), role);
            assert_eq!(properties.get("allow.auto.create.topics").map(String::as_str), Some("false"), "{role:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_section_is_said() {
        assert_eq!(problems(&section(&[("bootstrap.servers", "a:9092"), ("client.id", "x")])), Vec::<String>::new());
        let wrong = section(&[("acks", "1"), ("security.protocl", "SSL")]);
        insta::assert_snapshot!(problems(&wrong).join("\n"), @r#"
        acks: the canary decides this itself; remove it
        security.protocl: No such configuration property: "security.protocl"
        "#);
        let mistyped = section(&[("sasl.pasword", "hunter2")]);
        assert!(!problems(&mistyped).join("\n").contains("hunter2"), "a password is not repeated");
    }
}
