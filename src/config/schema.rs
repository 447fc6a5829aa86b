//! Every key there is: its kind, its default and one sentence. Reading, environment, messages and reference use it.

use super::value::Kind;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// `[server]`
    Server,
    /// `[storage]`
    Storage,
    /// `[[cluster]]`
    Cluster,
    /// `[alert]`
    Alert,
    /// `[[receiver]]`
    Receiver,
}

impl Section {
    pub(crate) const ALL: [Self; 5] = [Self::Server, Self::Storage, Self::Cluster, Self::Alert, Self::Receiver];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Storage => "storage",
            Self::Cluster => "cluster",
            Self::Alert => "alert",
            Self::Receiver => "receiver",
        }
    }

    /// True for a table that may stand several times, each with a name.
    pub(crate) fn is_list(self) -> bool {
        match self {
            Self::Cluster | Self::Receiver => true,
            Self::Server | Self::Storage | Self::Alert => false,
        }
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) section: Section,
    /// Its name in the section, dotted.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Its default as TOML; none where it must be given or stays unset.
    pub(crate) default: Option<&'static str>,
    pub(crate) doc: &'static str,
}

const fn key(
    section: Section,
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    doc: &'static str,
) -> Key {
    Key { section, name, kind, default, doc }
}

use Kind::{Address, Count, Duration, Flag, List, Objective, Patterns, Rate, Secret, Severity, Text};
use Section::{Alert, Cluster, Receiver, Server, Storage};

/// All keys, in the order of the reference.
pub(crate) const KEYS: &[Key] = &[
    key(Server, "listen", Address, Some("\"127.0.0.1:9980\""), "Where pages, API and metrics are served."),
    key(Server, "external_url", Text, None, "The address of this daemon as people reach it, for links in notices."),
    key(Storage, "data", Text, Some("\"./kustody-data\""), "The directory of the two databases."),
    key(Storage, "samples_kept", Duration, Some("\"24h\""), "How long samples of lag and high watermarks are kept."),
    key(Cluster, "name", Text, None, "Our name for the cluster: in labels, paths and findings."),
    key(Cluster, "poll.every", Duration, Some("\"15s\""), "The time from the start of one turn to the next."),
    key(
        Cluster,
        "poll.deadline",
        Duration,
        None,
        "The end of a turn, whatever is missing then; default: three times poll.request_timeout, at least poll.every up to 10s.",
    ),
    key(
        Cluster,
        "poll.request_timeout",
        Duration,
        None,
        "How long a broker may take to answer one request; default: poll.every, at least 1500ms and at most 3s.",
    ),
    key(
        Cluster,
        "poll.max_requests_per_second",
        Count,
        Some("0"),
        "How many requests all brokers of the cluster together get in any second; 0: as many as a turn needs. Too few make turns incomplete.",
    ),
    key(Cluster, "topics.include", Patterns, Some("[]"), "Only topics that match one of these are read; empty: all."),
    key(Cluster, "topics.exclude", Patterns, Some("[]"), "Topics that match one of these are not read."),
    key(Cluster, "groups.include", Patterns, Some("[]"), "Only groups that match one of these are read; empty: all."),
    key(Cluster, "groups.exclude", Patterns, Some("[]"), "Groups that match one of these are not read."),
    key(Cluster, "groups.window", Duration, Some("\"5m\""), "The window over which a group's progress is judged."),
    key(
        Cluster,
        "canary.enabled",
        Flag,
        Some("false"),
        "Whether canary records are written; nothing is ever written to a cluster otherwise.",
    ),
    key(Cluster, "canary.topic", Text, Some("\"__kustody.canary\""), "The only topic that is written to."),
    key(Cluster, "canary.create_topic", Flag, Some("false"), "Whether the topic is created where it does not exist."),
    key(
        Cluster,
        "canary.acknowledge_within",
        Duration,
        Some("\"10s\""),
        "An acknowledgement later than this counts against availability.",
    ),
    key(
        Cluster,
        "canary.deliver_within",
        Duration,
        Some("\"15s\""),
        "A record received later than this is late; one not received yet is overdue.",
    ),
    key(
        Cluster,
        "canary.classes",
        List,
        Some("[\"idempotent\"]"),
        "Which classes are sent: of `acks0`, `acks1`, `all`, `idempotent`, `transactional`.",
    ),
    key(
        Cluster,
        "canary.journal",
        Text,
        None,
        "A file to which all that happens to the canary is appended (up to 256 MiB), to replay a doubtful verdict.",
    ),
    key(
        Cluster,
        "canary.group_probe",
        Flag,
        Some("false"),
        "Whether a member of the group `kustody-canary-probe` joins and commits, to measure how long that takes; it writes commits of that group.",
    ),
    key(Cluster, "canary.rate", Rate, Some("1.0"), "Records per second, class and partition."),
    key(
        Cluster,
        "canary.slo.availability",
        Objective,
        Some("0.999"),
        "The share of the records sent that is to be acknowledged within canary.acknowledge_within.",
    ),
    key(
        Cluster,
        "canary.slo.freshness",
        Objective,
        Some("0.999"),
        "The share of the records acknowledged that is to be received within canary.deliver_within.",
    ),
    key(
        Cluster,
        "canary.slo.durability",
        Objective,
        Some("0.999"),
        "The share of the records acknowledged that is not to be lost; for acks0 and acks1 only: what the other classes lose is a finding at once.",
    ),
    key(
        Cluster,
        "canary.slo.exactness",
        Objective,
        Some("0.999"),
        "The share of the records received that is to be there once.",
    ),
    key(
        Cluster,
        "canary.slo.order",
        Objective,
        Some("0.999"),
        "The share of the records received that is to come in the order of sending.",
    ),
    key(Alert, "severity", Severity, Some("\"warning\""), "Findings at or above it are told."),
    key(
        Alert,
        "hold",
        Duration,
        Some("\"30s\""),
        "How long a state below critical must last before it is told; proven findings, events and critical states are told at once.",
    ),
    key(
        Alert,
        "event_hold",
        Duration,
        Some("\"1h\""),
        "How long a finding that happened stays open after it was last seen.",
    ),
    key(Receiver, "name", Text, None, "The receiver's name."),
    key(
        Receiver,
        "webhook.url",
        Text,
        None,
        "Where notices are posted, in the shape of Alertmanager's webhook, version 4.",
    ),
    key(
        Receiver,
        "webhook.secret",
        Secret,
        None,
        "Signs each notice: `X-Kustody-Signature: sha256=…`, HMAC-SHA256 of the body.",
    ),
];

/// The key of that name in that section.
pub(crate) fn find(section: Section, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}
