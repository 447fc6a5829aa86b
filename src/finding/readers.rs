//! Our own readers that get nothing, though there is something to read: a part of the cluster that we do not see.
//!
//! The poll says where the log ends, the reader when it last had something. Only what was appended after that, and is
//! not read in time, makes a reader blind: an idle topic does not, nor does a partition whose end is not known.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::draft::{Draft, Judged};
use super::judge::{counted, short};
use super::shell::{Tools, quote};
use super::{Kind, Severity, Subject};
use crate::audit::Isolation;
use crate::model::{
    LeaderEpoch, Moment, Offset, PartitionId, ReaderRefusal, ReaderSight, Reading, Timestamp, TopicId, TopicName,
};
use crate::observe::{Observation, PartitionView};

/// How long a reader that is refused may be without what was appended.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// How long a reader that is told nothing may be. After an election it may wait for the former leader until its own
/// time-out of 10 s ends, and then for metadata.
const SILENT_FOR: Duration = Duration::from_secs(30);

/// How each reader fares on each partition it reads.
pub type ReaderSights = BTreeMap<(Isolation, PartitionId), ReaderSight>;

/// One reader on one partition, beside the ends of its log.
#[derive(Clone, Debug, Default)]
struct Watch {
    heard: Duration,
    term: Option<(Option<TopicId>, Option<LeaderEpoch>)>,
    /// The end of what it may see, by the first reading begun after it last had something.
    end: Option<Offset>,
    /// When a later reading showed more.
    grown: Option<Moment>,
    is_blind: bool,
    /// Whether that is known, since this process runs.
    is_decided: bool,
}

impl Watch {
    fn decide(&mut self, is_blind: bool) {
        (self.is_blind, self.is_decided) = (is_blind, true);
    }

    fn look(&mut self, sight: &ReaderSight, now: &Sighting<'_>) {
        if self.heard != sight.heard.mono {
            let Self { is_blind, is_decided, .. } = *self;
            *self = Self { heard: sight.heard.mono, is_blind, is_decided, ..Self::default() };
            if sight.has_heard {
                self.decide(false);
            }
        }
        // What it had meanwhile may be what this reading shows.
        if sight.heard.wall >= now.started {
            return;
        }
        let is_denied = sight.refusal.as_ref().is_some_and(|refusal| refusal.is_denied);
        // A leader that is new is given time, and one that the poll cannot read is told elsewhere. Neither matters to
        // what is forbidden.
        if !is_denied && (now.end.is_none() || self.term.is_some_and(|term| term != now.term)) {
            (self.end, self.grown) = (None, None);
        }
        let Some(end) = now.end else { return };
        self.term = Some(now.term);
        match self.end {
            Some(known) if end > known => {
                self.grown.get_or_insert(now.at);
            }
            Some(known) if end == known => {
                if self.grown.is_none() {
                    self.decide(false);
                }
            }
            Some(_) | None => {
                self.end = Some(end);
                // A reader that has just begun is told the end at least.
                self.grown = (!sight.has_heard).then_some(now.at);
            }
        }
        let patience = if stands(sight, now.at).is_some() { REFUSED_FOR } else { SILENT_FOR };
        if self.grown.is_some_and(|grown| now.at.mono.saturating_sub(grown.mono) >= patience) {
            self.decide(true);
        }
    }
}

/// Why it gets nothing, if that still is so: what is forbidden is told once, any other error again and again.
fn stands(sight: &ReaderSight, now: Moment) -> Option<&ReaderRefusal> {
    let is_fresh = |refusal: &&ReaderRefusal| now.mono.saturating_sub(refusal.last.mono) < REFUSED_FOR;
    sight.refusal.as_ref().filter(|refusal| refusal.is_denied || is_fresh(refusal))
}

/// What one reading shows of one partition.
struct Sighting<'a> {
    started: Timestamp,
    at: Moment,
    term: (Option<TopicId>, Option<LeaderEpoch>),
    /// The end of what the reader may see.
    end: Option<Offset>,
    topic: &'a TopicName,
}

impl<'a> Sighting<'a> {
    fn of(observation: &Observation, topic: &'a TopicName, key: (Isolation, PartitionId), at: Moment) -> Self {
        let view = observation.topics.get(topic).filter(|view| view.unknown.is_none());
        let partition = view.and_then(|view| view.partitions.get(&key.1));
        let end = |partition: &PartitionView| match key.0 {
            Isolation::ReadUncommitted => partition.watermarks.high_watermark,
            Isolation::ReadCommitted => partition.watermarks.last_stable,
        };
        let end = match partition.map(end) {
            Some(Reading::Read(end)) => Some(end),
            Some(Reading::Missing(_)) | None => None,
        };
        let term = (view.and_then(|view| view.id), partition.and_then(|partition| partition.leader_epoch));
        Self { started: observation.started, at, term, end, topic }
    }
}

/// What is remembered of our readers from turn to turn.
#[derive(Clone, Debug, Default)]
pub struct BlindReaders {
    watches: BTreeMap<(Isolation, PartitionId), Watch>,
}

impl BlindReaders {
    /// Takes a reading and how the readers of this topic fare at `now`, and adds to what the reading says which of them
    /// are blind. One that was blind stays so until it has something, or nothing is left to be had.
    pub fn judge(
        &mut self,
        observation: &Observation,
        (topic, sights): (&TopicName, &ReaderSights),
        now: Moment,
        bootstrap: &str,
        judged: &mut Judged,
    ) {
        self.watches.retain(|key, _| sights.contains_key(key));
        for (key, sight) in sights {
            let sighting = Sighting::of(observation, topic, *key, now);
            self.watches.entry(*key).or_default().look(sight, &sighting);
        }
        for isolation in Isolation::ALL {
            let blind: Vec<Blind<'_>> = sights
                .iter()
                .filter(|((of, _), _)| *of == isolation)
                .filter(|(key, _)| self.watches.get(key).is_some_and(|watch| watch.is_blind))
                .map(|(key, sight)| Blind { partition: key.1, sight, of: Sighting::of(observation, topic, *key, now) })
                .collect();
            judged.holds.extend(draft(isolation, &blind, Tools { bootstrap }));
        }
        if sights.is_empty() || self.watches.values().any(|watch| !watch.is_decided) {
            judged.unknown.readers.insert(topic.clone());
        }
    }
}

struct Blind<'a> {
    partition: PartitionId,
    sight: &'a ReaderSight,
    of: Sighting<'a>,
}

impl Blind<'_> {
    fn refusal(&self) -> Option<&ReaderRefusal> {
        stands(self.sight, self.of.at)
    }

    fn reason(&self) -> &'static str {
        match self.refusal() {
            Some(refusal) if refusal.is_denied => "topic_not_authorized",
            Some(_) => "reader_error",
            None => "reader_silent",
        }
    }

    fn evidence(&self) -> Value {
        json!({
            "partition": self.partition,
            "next_offset": self.sight.next,
            "log_end": self.of.end,
            "last_read_at": self.sight.has_heard.then_some(self.sight.heard.wall),
            "reason": self.reason(),
            "error": self.refusal().map(|refusal| &refusal.text),
        })
    }
}

fn draft(isolation: Isolation, blind: &[Blind<'_>], tools: Tools<'_>) -> Option<Draft> {
    let first = blind.first()?;
    let (topic, reader) = (first.of.topic, isolation.as_str());
    let refused = |is_denied: bool| blind.iter().filter_map(Blind::refusal).find(|one| one.is_denied == is_denied);
    let count = u64::try_from(blind.len()).unwrap_or(u64::MAX);
    let ids: Vec<String> = blind.iter().map(|one| one.partition.to_string()).collect();
    let of = format!("{} of {} ({})", counted(count, "partition"), short(topic.as_str()), ids.join(", "));
    let name = quote(topic.as_str()).unwrap_or_default();
    let list = tools.plain("kafka-acls.sh", &format!("--list --topic {name}"));
    let fetches = "The poll reads where these logs end, and our reader gets nothing of them.";
    let (summary, advice) = match (refused(true), refused(false)) {
        (Some(_), _) => (
            format!("The canary's own reader ({reader}) is not authorized to read {of}: it lacks READ on the topic."),
            format!(
                "Grant our principal READ on the topic: {} A DENY counts more than any ALLOW: take it back if there is one. Until then what is acknowledged there is neither delivered nor lost.",
                tools.plain(
                    "kafka-acls.sh",
                    &format!("--add --allow-principal User:… --operation Read --topic {name}.")
                ),
            ),
        ),
        (None, Some(refusal)) => (
            format!("The canary's own reader ({reader}) gets an error from {of}: {}.", short(&refusal.text)),
            format!("{fetches} See the error, and what the leaders' logs say of client kustody-canary."),
        ),
        (None, None) => (
            format!("The canary's own reader ({reader}) gets nothing from {of}, though something was appended."),
            format!(
                "{fetches} See whether the leaders answer fetches at all, and what a quota of client kustody-canary allows."
            ),
        ),
    };
    let show = blind.iter().flat_map(|one| tools.offsets(topic.as_str(), one.partition.0, "latest"));
    Some(Draft {
        occurrence: reader.to_owned(),
        // Once more, so that a process that was suspended has had time to read.
        readings: 2,
        count: Some(count),
        advice,
        evidence: json!({ "reader": reader, "partitions": blind.iter().map(Blind::evidence).collect::<Vec<_>>() }),
        verify: std::iter::once(list).chain(show.take(3)).collect(),
        ..Draft::new(
            Kind::MonitorBlind,
            Severity::Warning,
            Subject { topic: Some(topic.clone()), ..Subject::default() },
            summary,
        )
    })
}

#[cfg(test)]
mod tests;
