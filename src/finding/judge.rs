//! From an observation to drafts, one family per file.

use super::draft::{Draft, Judged, Unknown};
use super::placement::{self, CanaryNeeds};
use super::shell::Tools;
use super::{Kind, Subject, blind, brokers, groups, partitions};
use crate::model::{Missing, Part, Reading, TopicPartition};
use crate::observe::{BrokerState, Lag, Observation};

/// How the commands in `verify` are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What follows `--bootstrap-server` in them: `bootstrap.servers` of the cluster, or a shell variable.
    pub bootstrap: String,
    /// What the canary needs of the cluster; none without a canary.
    pub canary: Option<CanaryNeeds>,
}

impl Default for Options {
    fn default() -> Self {
        Self { bootstrap: "\"$BOOTSTRAP_SERVERS\"".to_owned(), canary: None }
    }
}

/// The kinds that a poll judges.
const KINDS: &[Kind] = &[
    Kind::PartitionOffline,
    Kind::PartitionUnderMinIsr,
    Kind::PartitionAtMinIsr,
    Kind::PartitionUnderReplicated,
    Kind::BrokerUnreachable,
    Kind::LeaderMoved,
    Kind::TopicRecreated,
    Kind::CommitRewound,
    Kind::CommitAheadOfLog,
    Kind::GroupStranded,
    Kind::RetentionOvertookGroup,
    Kind::GroupStopped,
    Kind::CanaryNotCovering,
    Kind::MonitorBlind,
];

/// What the observation shows, and what it cannot show.
#[must_use]
pub fn judge(observation: &Observation, options: &Options) -> Judged {
    let tools = Tools { bootstrap: &options.bootstrap };
    let mut holds: Vec<Draft> = Vec::new();
    partitions::drafts(observation, tools, &mut holds);
    brokers::drafts(observation, tools, &mut holds);
    groups::drafts(observation, tools, &mut holds);
    if let Some(needs) = &options.canary {
        placement::drafts(observation, needs, tools, &mut holds);
    }
    blind::drafts(observation, tools, &mut holds);
    Judged { kinds: KINDS.to_vec(), holds, unknown: unknown(observation) }
}

fn unknown(observation: &Observation) -> Unknown {
    let mut unknown = Unknown { topology: !observation.reachable, ..Unknown::default() };
    for topic in observation.topics.values() {
        if topic.unknown.is_some() {
            unknown.topics.insert(topic.name.clone());
            continue;
        }
        if topic.config.missing().is_some() {
            unknown.settings.insert(topic.name.clone());
        }
        if !matches!(&topic.config, Reading::Read(config) if config.min_insync_replicas.is_some()) {
            unknown.min_isr.insert(topic.name.clone());
        }
        for partition in topic.partitions.values() {
            // Metadata older than what we know: a silent leader leaves the metadata known, and this reason does not.
            if partition.flags.unknown && partition.watermarks.high_watermark == Reading::Missing(Missing::LeaderMoving)
            {
                let at = TopicPartition { topic: topic.name.clone(), partition: partition.partition };
                unknown.partitions.insert(at);
            }
        }
    }
    for group in observation.groups.values() {
        let mut any = group.state.missing().is_some();
        for partition in &group.partitions {
            if matches!(partition.lag, Lag::Unknown(_)) {
                any = true;
                unknown.commits.push((group.group.clone(), partition.at.clone()));
            }
        }
        if any || group.as_of < observation.started {
            unknown.groups.insert(group.group.clone());
        }
    }
    if !groups_are_listed(observation) {
        unknown.listed = Some(observation.groups.keys().cloned().collect());
    }
    for broker in observation.brokers.values() {
        match broker.state {
            BrokerState::NotAnswering(why) if brokers::is_silence(why) => {}
            BrokerState::NotAnswering(_) => {
                unknown.brokers.insert(broker.id);
            }
            BrokerState::Answering | BrokerState::LeftMetadata => {}
        }
    }
    unknown
}

/// False when a group may exist and yet not be in the observation.
fn groups_are_listed(observation: &Observation) -> bool {
    let commits = observation.topics.get("__consumer_offsets");
    let offline = commits.is_some_and(|topic| {
        topic.unknown.is_some() || topic.partitions.values().any(|partition| partition.flags.offline)
    });
    let missing = observation.missing.iter().any(|missing| matches!(missing.part, Part::Metadata | Part::GroupList));
    observation.reachable && !missing && !offline
}

/// The subject of one partition.
pub(crate) fn of_partition(at: &TopicPartition, topic_id: Option<crate::model::TopicId>) -> Subject {
    Subject { topic: Some(at.topic.clone()), topic_id, partition: Some(at.partition), ..Subject::default() }
}

/// "1 record", "2 records".
pub(crate) fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// A name as a sentence can bear it: a group id may be 32 kB long. The whole one is in the finding's own field.
pub(crate) fn short(name: &str) -> std::borrow::Cow<'_, str> {
    match name.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()).into(),
        None => name.into(),
    }
}
