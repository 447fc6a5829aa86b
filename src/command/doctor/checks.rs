//! From what was seen to checks: no I/O, so that every line can be tested.

use std::collections::BTreeSet;

use super::report::{Check, Word};
use crate::app::slo_options;
use crate::audit::{CanaryClass, LedgerOptions, Misfit, Slo, Weight, resolution};
use crate::config::ClusterConfig;
use crate::finding::{COVERAGE, CanaryNeeds, JudgeOptions, Kind, Placement, judge, placement};
use crate::model::{BrokerId, Missing, Reading, TopicName};
use crate::observe::{BrokerState, Observation, TopicView};
use crate::wire::{Greeted, Greeting};

/// Without it only groups of the protocol of KIP-848 cannot be described.
const OPTIONAL: &str = "ConsumerGroupDescribe";

/// One cluster as it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) config: &'a ClusterConfig,
    pub(super) greetings: &'a [Greeting],
    pub(super) observation: &'a Observation,
}

/// Every check of one cluster, in the order of the reasons: connections first.
pub(super) fn checks(seen: Seen<'_>) -> Vec<Check> {
    let mut list = List { cluster: &seen.config.name, checks: Vec::new() };
    for greeting in seen.greetings {
        of_address(greeting, &mut list);
    }
    for broker in seen.observation.brokers.values().filter(|broker| broker.state == BrokerState::LeftMetadata) {
        let found = "is not in the metadata, though replicas are placed on it";
        let remedy = "start it, or reassign what it holds";
        list.say(&format!("broker {}", broker.id), Word::Problem, found, Some(remedy));
    }
    if !seen.observation.reachable {
        let remedy = "see whether the brokers run, and bootstrap.servers";
        list.say("cluster", Word::Problem, "no broker answers: nothing else can be checked", Some(remedy));
        return list.checks;
    }
    of_cluster_id(seen, &mut list);
    let refused: BTreeSet<Missing> = seen.observation.missing.iter().map(|missing| missing.why).collect();
    for why in refused.into_iter().filter(|why| why.is_authorization()) {
        list.say("permissions", Word::Unknown, why.to_string(), None);
    }
    of_canary(seen, &mut list);
    list.checks
}

struct List<'a> {
    cluster: &'a str,
    checks: Vec<Check>,
}

impl List<'_> {
    fn say(&mut self, about: &str, word: Word, text: impl Into<String>, remedy: Option<&str>) {
        self.checks.push(Check {
            cluster: self.cluster.to_owned(),
            about: about.to_owned(),
            word,
            text: text.into(),
            remedy: remedy.map(str::to_owned),
        });
    }
}

fn of_address(greeting: &Greeting, list: &mut List<'_>) {
    let address = &greeting.address;
    let (about, remedy) = match greeting.broker {
        None => {
            (format!("bootstrap {address}"), "see whether a broker listens there, or take it out of bootstrap.servers")
        }
        Some(id) => (
            format!("broker {id} at {address}"),
            "see whether it runs, and whether its advertised listener can be reached from here",
        ),
    };
    match &greeting.answer {
        Err(why) => list.say(&about, Word::Problem, format!("does not answer ({why})"), Some(remedy)),
        Ok(Greeted { took, apis, .. }) => {
            let lacking: Vec<&str> =
                apis.iter().filter(|(_, version)| version.is_none()).map(|(name, _)| *name).collect();
            let took = format!("answers in {} ms", took.as_millis());
            if greeting.broker.is_none() {
                return list.say(&about, Word::Ok, took, None);
            }
            let (needed, optional): (Vec<&str>, Vec<&str>) = lacking.iter().partition(|name| **name != OPTIONAL);
            if !needed.is_empty() {
                let found = format!("{took}, and offers no version we speak of {}", needed.join(", "));
                list.say(&about, Word::Problem, found, Some("what they tell cannot be read: take a newer Kafka"));
            } else if !optional.is_empty() {
                let found = format!("{took}; without {OPTIONAL} groups of the new protocol are not described");
                list.say(&about, Word::Advice, found, None);
            } else {
                let versions: Vec<String> =
                    apis.iter().filter_map(|(name, version)| Some(format!("{name} {}", (*version)?))).collect();
                list.say(&about, Word::Ok, format!("{took}; {}", versions.join(", ")), None);
            }
        }
    }
}

fn of_cluster_id(seen: Seen<'_>, list: &mut List<'_>) {
    let told = seen.greetings.iter().filter_map(|greeting| greeting.answer.as_ref().ok()?.cluster_id.as_deref());
    let ids: BTreeSet<&str> = told.collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    match ids.as_slice() {
        [] => list.say("cluster id", Word::Unknown, "no broker tells it", None),
        [id] => list.say("cluster id", Word::Ok, *id, None),
        several => {
            let found = format!("the addresses belong to several clusters: {}", several.join(", "));
            list.say("cluster id", Word::Problem, found, Some("let bootstrap.servers name one cluster"));
        }
    }
}

fn of_canary(seen: Seen<'_>, list: &mut List<'_>) {
    let canary = &seen.config.canary;
    if !canary.enabled {
        let found = "is not enabled: nothing is written, and loss and duplicates are not measured";
        return list.say("canary", Word::Advice, found, Some("set canary.enabled = true"));
    }
    let about = format!("canary topic {}", canary.topic);
    let name = TopicName::from(canary.topic.as_str());
    let in_metadata = || seen.observation.brokers.values().filter(|one| one.state != BrokerState::LeftMetadata);
    let Some(topic) = seen.observation.topics.get(&name) else {
        if canary.create_topic {
            list.say(&about, Word::Ok, "does not exist, and is created when the daemon starts", None);
            // One partition per broker.
            of_rate(seen, in_metadata().count(), list);
        } else {
            let remedy = "create it, or set canary.create_topic = true";
            list.say(&about, Word::Problem, "does not exist", Some(remedy));
        }
        return;
    };
    if let Some(why) = topic.unknown {
        return list.say(&about, Word::Unknown, why.to_string(), None);
    }
    let needs = CanaryNeeds { topic: name, window: LedgerOptions::default().window };
    let Some(Placement { misfits, not_covered }) = placement(seen.observation, &needs) else { return };
    of_settings(topic, &misfits, &about, list);
    of_coverage(seen, needs, not_covered, &about, list);
    of_rate(seen, topic.partitions.len(), list);
}

fn of_settings(topic: &TopicView, misfits: &[Misfit], about: &str, list: &mut List<'_>) {
    for misfit in misfits {
        let word = match misfit.weight {
            Weight::Refusal => Word::Problem,
            Weight::Unknown => Word::Unknown,
            Weight::Advice => Word::Advice,
            Weight::Note => Word::Ok,
        };
        let bare = Misfit { remedy: None, ..misfit.clone() };
        list.say(about, word, bare.sentence(), misfit.remedy.as_deref());
    }
    let replicas = topic.partitions.values().map(|partition| partition.replicas.len()).min().unwrap_or(0);
    let shape = format!("{} partitions, replication factor {replicas}", topic.partitions.len());
    match (&topic.config, misfits.iter().all(|misfit| misfit.weight == Weight::Note)) {
        (Reading::Read(config), true) => {
            let policy = config.cleanup_policy.as_deref().unwrap_or_default();
            let retention = config.retention_ms.unwrap_or_default();
            let found = format!("fits: {shape}, cleanup.policy={policy}, retention.ms={retention}");
            list.say(about, Word::Ok, found, None);
        }
        (Reading::Read(_) | Reading::Missing(_), _) => list.say(about, Word::Ok, format!("exists: {shape}"), None),
    }
}

fn of_coverage(
    seen: Seen<'_>,
    needs: CanaryNeeds,
    not_covered: Option<Vec<BrokerId>>,
    about: &str,
    list: &mut List<'_>,
) {
    match not_covered {
        None => list.say(about, Word::Unknown, "which brokers lead a partition of it is not known", None),
        Some(brokers) if brokers.is_empty() => {
            list.say(about, Word::Ok, "every broker that is up leads a partition of it", None);
        }
        Some(_) => {
            // The same words as the finding's.
            let bootstrap = seen.config.kafka.get("bootstrap.servers").cloned().unwrap_or_default();
            let judged = judge(seen.observation, &JudgeOptions { bootstrap, canary: Some(needs) });
            let mut said = judged.holds.into_iter().filter(|draft| draft.kind == Kind::CanaryNotCovering);
            if let Some(draft) = said.find(|draft| draft.occurrence == COVERAGE) {
                list.say(about, Word::Advice, draft.summary.trim_end_matches('.'), Some(&draft.advice));
            }
        }
    }
}

/// One check per value: objectives are mostly alike. What no class is judged by a budget for needs no rate.
fn of_rate(seen: Seen<'_>, partitions: usize, list: &mut List<'_>) {
    let classes: Vec<CanaryClass> =
        seen.config.canary.classes.iter().filter_map(|word| CanaryClass::from_word(word)).collect();
    let options = slo_options(seen.config);
    let is_judged = |slo: &Slo| classes.iter().any(|class| slo.is_judged_by_budget(*class));
    let mut alike: Vec<(f64, Vec<&str>)> = Vec::new();
    for slo in Slo::ALL.into_iter().filter(is_judged) {
        let objective = options.objectives.of(slo);
        match alike.iter_mut().find(|(known, _)| known.total_cmp(&objective).is_eq()) {
            Some((_, slos)) => slos.push(slo.as_str()),
            None => alike.push((objective, vec![slo.as_str()])),
        }
    }
    for (objective, slos) in alike {
        let resolution = resolution(options.rate, partitions, objective);
        let (word, before) = match (partitions, resolution.is_enough) {
            (0, _) => (Word::Unknown, ""),
            (_, true) => (Word::Ok, ""),
            (_, false) => (Word::Advice, "insufficient resolution: "),
        };
        let found = format!("{before}{}", resolution.sentence().trim_end_matches('.'));
        list.say(&format!("canary.rate for {}", slos.join(", ")), word, found, None);
    }
}
