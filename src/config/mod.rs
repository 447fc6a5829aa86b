//! The configuration: from a file and the environment to values, or to every problem at once.

mod check;
mod raw;
mod reference;
mod resolve;
mod schema;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use reference::reference;

use crate::finding::Severity;
use crate::model::Properties;
pub use crate::model::Secret;

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
    pub kafka: Properties,
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
    /// Requests of its turns in any second, over all brokers; 0 for any number.
    pub max_requests_per_second: u32,
}

/// Include and exclude patterns.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub(crate) include: Vec<regex::Regex>,
    pub(crate) exclude: Vec<regex::Regex>,
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
    /// Whether joining and committing in a consumer group are measured.
    pub group_probe: bool,
    /// Records per second, class and partition.
    pub rate: f64,
    /// Where all that happens to the canary is written down.
    pub journal: Option<std::path::PathBuf>,
    /// What share of the records is to be good.
    pub slo: SloConfig,
}

/// The objectives of the canary, each a share of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SloConfig {
    /// Of those sent, acknowledged in time.
    pub availability: f64,
    /// Of those acknowledged, received in time.
    pub freshness: f64,
    /// Of those acknowledged, not lost.
    pub durability: f64,
    /// Of those received, received once.
    pub exactness: f64,
    /// Of those received, received in order.
    pub order: f64,
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
    let config = resolve::resolve(&raw);
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
pub fn of_bootstrap(
    bootstrap: &str,
    listen: Option<&str>,
    data: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> Result<Config, Problems> {
    let mut config = parse(
        "[[cluster]]\nname = \"default\"\n[cluster.kafka]\n\"bootstrap.servers\" = \"placeholder:1\"",
        environment,
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
    // Variables that are no text are not ours, or are refused by what they hold: U+FFFD is in no good value.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    };
    std::env::vars_os().map(text).filter(|(name, _)| name.starts_with("KUSTODY__")).collect()
}

#[cfg(test)]
mod tests;
