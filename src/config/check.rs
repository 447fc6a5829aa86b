//! Rules across keys: what each value may be beside the others. Names the key and the remedy.

use std::collections::BTreeSet;
use std::time::Duration;

use super::raw::distance;
use super::{ClusterConfig, Config};
use crate::model::Properties;
use crate::{canary, wire};

/// The connection properties of librdkafka that both planes honour, besides those of security.
const KAFKA_PROPERTIES: &[&str] = &["bootstrap.servers", "client.id"];

/// Those that matter to the canary's clients alone.
const CANARY_PROPERTIES: &[&str] = &["message.timeout.ms", "request.timeout.ms"];

/// Every connection property there is.
pub(super) fn kafka_properties() -> impl Iterator<Item = &'static str> {
    [KAFKA_PROPERTIES, wire::PROPERTIES, CANARY_PROPERTIES].into_iter().flatten().copied()
}

/// Canary classes of the contract.
const CLASSES: &[&str] = &["acks0", "acks1", "all", "idempotent", "transactional"];

/// Every broken rule.
pub(crate) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    if config.clusters.is_empty() {
        problems
            .push("there is no [[cluster]]: add one with a name and [cluster.kafka] \"bootstrap.servers\"".to_owned());
    }
    let names = config.clusters.iter().map(|cluster| cluster.name.as_str());
    repeated("cluster", names, &mut problems);
    repeated("receiver", config.receivers.iter().map(|receiver| receiver.name.as_str()), &mut problems);
    for cluster in &config.clusters {
        of_cluster(cluster, &mut problems);
    }
    for receiver in &config.receivers {
        let at = format!("receiver {:?}", receiver.name);
        let url = &receiver.url;
        if url.is_empty() {
            problems.push(format!("{at}: webhook.url: is missing; give the address that takes the notices"));
        } else if !(url.starts_with("http://") || url.starts_with("https://")) || url.contains(char::is_whitespace) {
            problems.push(format!("{at}: webhook.url: must begin with http:// or https://"));
        }
    }
    if config.storage.samples_kept < Duration::from_secs(600) {
        problems.push("storage: samples_kept: must be 10m or longer: verdicts look back over a window".to_owned());
    }
    problems
}

fn of_cluster(cluster: &ClusterConfig, problems: &mut Vec<String>) {
    let at = format!("cluster {:?}", cluster.name);
    if cluster.name.is_empty() {
        problems.push(format!("{at}: name: is missing; it stands in labels, paths and findings"));
    }
    of_connection(&at, &cluster.kafka, problems);
    let poll = &cluster.poll;
    if poll.every < Duration::from_millis(200) {
        problems.push(format!("{at}: poll.every: must be 200ms or longer"));
    }
    if poll.deadline > Duration::from_secs(60) {
        problems.push(format!("{at}: poll.deadline: must not be longer than 1m"));
    }
    if poll.request_timeout >= poll.deadline || poll.request_timeout.is_zero() {
        problems.push(format!("{at}: poll.request_timeout: must be longer than 0s and shorter than poll.deadline"));
    }
    let canary = &cluster.canary;
    if !canary.enabled {
        return;
    }
    if canary.topic.is_empty() || canary.topic.len() > 249 || !canary.topic.chars().all(is_topic_character) {
        problems.push(format!("{at}: canary.topic: must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'"));
    }
    let is_by_token = ["sasl.mechanism", "sasl.mechanisms"]
        .iter()
        .any(|name| cluster.kafka.set(name).is_some_and(|mechanism| mechanism.eq_ignore_ascii_case("OAUTHBEARER")));
    if canary.create_topic && is_by_token {
        // librdkafka's client that creates topics is not polled, and asks for its tokens by that.
        problems.push(format!(
            "{at}: canary.create_topic: cannot be done with OAUTHBEARER; create the topic, and leave it out"
        ));
    }
    if canary.classes.is_empty() {
        problems.push(format!("{at}: canary.classes: must name at least one class, or set canary.enabled = false"));
    }
    for class in &canary.classes {
        if !CLASSES.contains(&class.as_str()) {
            problems.push(format!("{at}: canary.classes: {class:?} is no class; there are {}", CLASSES.join(", ")));
        }
    }
    repeated(&format!("{at}: canary.classes: class"), canary.classes.iter().map(String::as_str), problems);
    if canary.rate > 1_000.0 {
        problems.push(format!("{at}: canary.rate: must be 1000 or lower"));
    }
    if canary.deliver_within < canary.acknowledge_within {
        problems.push(format!("{at}: canary.deliver_within: must not be shorter than canary.acknowledge_within"));
    }
}

fn of_connection(at: &str, kafka: &Properties, problems: &mut Vec<String>) {
    match kafka.get("bootstrap.servers") {
        None => {
            problems.push(format!("{at}: kafka: \"bootstrap.servers\" is missing; give host:port, several by commas"))
        }
        Some(servers) => {
            for server in servers.split(',').map(str::trim) {
                let port =
                    server.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
                if !matches!(port, Some(Ok(1..))) {
                    problems.push(format!("{at}: kafka: \"bootstrap.servers\": {server:?} is not host:port"));
                }
            }
        }
    }
    let of_security = wire::Security::problems(kafka);
    let is_told = |name: &str| of_security.iter().any(|problem| problem.starts_with(&format!("{name:?}")));
    let strangers = kafka
        .keys()
        .filter(|name| !kafka_properties().any(|known| known == *name) && !is_told(name))
        .map(|name| format!("{name:?}: there is no such property for both planes; take it out{}", close_to(name)));
    let strangers: Vec<String> = strangers.collect();
    // librdkafka would only repeat what is wrong with what it never gets to see.
    let of_canary = if strangers.is_empty() && of_security.is_empty() { canary::problems(kafka) } else { Vec::new() };
    let told = of_security.into_iter().chain(strangers).chain(of_canary);
    problems.extend(told.map(|problem| format!("{at}: kafka: {problem}")));
}

/// "; did you mean …?" for a name that is nearly one there is.
fn close_to(name: &str) -> String {
    let closest = kafka_properties().map(|known| (distance(known, name), known)).min();
    closest
        .filter(|(distance, _)| *distance <= 3)
        .map_or_else(String::new, |(_, known)| format!("; did you mean {known:?}?"))
}

fn is_topic_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn repeated<'a>(what: &str, names: impl Iterator<Item = &'a str>, problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            problems.push(format!("{what} {name:?} stands more than once; each needs a name of its own"));
        }
    }
}
