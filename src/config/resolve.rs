//! From checked values to the configuration, with defaults.

use std::net::SocketAddr;
use std::time::Duration;

use toml::Value;

use super::raw::{Entry, Raw};
use super::schema::{self, Section};
use super::{
    AlertConfig, CanaryConfig, ClusterConfig, Config, PollConfig, ReceiverConfig, Secret, Selection, ServerConfig,
    SloConfig, StorageConfig, value,
};
use crate::finding::Severity;

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
    fn count(&self, name: &str) -> u32 {
        self.value(name).and_then(|value| value.as_integer()?.try_into().ok()).unwrap_or(0)
    }
    fn share(&self, name: &str) -> f64 {
        self.value(name).as_ref().and_then(value::number).unwrap_or(0.999)
    }
    fn texts(&self, name: &str) -> Vec<String> {
        self.value(name).as_ref().and_then(value::texts).unwrap_or_default()
    }
    fn patterns(&self, name: &str) -> Vec<regex::Regex> {
        self.texts(name).iter().filter_map(|one| regex::Regex::new(one).ok()).collect()
    }
}

pub(super) fn resolve(raw: &Raw) -> Config {
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
        poll: PollConfig {
            every,
            deadline,
            request_timeout,
            max_requests_per_second: values.count("poll.max_requests_per_second"),
        },
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
            group_probe: values.flag("canary.group_probe"),
            rate: values.value("canary.rate").as_ref().and_then(value::number).unwrap_or(1.0),
            journal: values.text("canary.journal").map(Into::into),
            slo: SloConfig {
                availability: values.share("canary.slo.availability"),
                freshness: values.share("canary.slo.freshness"),
                durability: values.share("canary.slo.durability"),
                exactness: values.share("canary.slo.exactness"),
                order: values.share("canary.slo.order"),
            },
        },
    }
}
