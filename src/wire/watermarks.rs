//! The ends of each partition's log, by ListOffsets at its leader.
//!
//! The leader epoch of the same turn's Metadata goes with every question, so a zombie refuses (KIP-320); and a leader
//! that was just elected says that it does not know its high watermark yet, instead of a smaller one (KIP-207).

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::api::ByTopic;
use super::api::error::{self, is_passing};
use super::api::list_offsets::{ISOLATION_FROM, ListOffsets, LogEnd};
use super::poll::{Poll, RETRIES};
use super::topology::Topology;
use super::turn::Turn;
use crate::model::{
    BrokerId, LeaderEpoch, Missing, Offset, Part, PartitionId, Reading, TopicId, TopicName, TopicPartition, Watermarks,
};

/// How long a leader may look for an offset in remote storage, in milliseconds.
const REMOTE_TIMEOUT_MS: i32 = 2_000;

/// The last log start offset read of each partition, of one life of its topic.
pub(crate) type LogStarts = BTreeMap<TopicPartition, (Option<TopicId>, Offset)>;

/// Partitions to ask a broker for, each with its leader epoch.
pub(crate) type Questions = BTreeMap<TopicName, Vec<(PartitionId, Option<LeaderEpoch>)>>;

type Ends = BTreeMap<TopicPartition, Reading<Offset>>;

const NOT_ASKED: Watermarks = Watermarks {
    log_start: Reading::Missing(Missing::NotAsked),
    last_stable: Reading::Missing(Missing::NotAsked),
    high_watermark: Reading::Missing(Missing::NotAsked),
};

impl Poll<'_> {
    /// Reads the watermarks of all partitions in scope, and again after fresh metadata where leadership moves.
    pub(crate) async fn watermarks(&mut self, log_starts: &mut LogStarts) -> BTreeMap<TopicPartition, Watermarks> {
        let mut watermarks: BTreeMap<_, _> = self.covered().into_iter().map(|at| (at, NOT_ASKED)).collect();
        log_starts.retain(|at, (id, _)| {
            watermarks.contains_key(at) && self.topology.topics.get(&at.topic).is_some_and(|topic| topic.id == *id)
        });
        for retry in 0..=RETRIES {
            let pending: Vec<_> = match retry {
                0 => watermarks.keys().cloned().collect(),
                _ => watermarks.iter().filter(|(_, ends)| is_pending(ends)).map(|(at, _)| at.clone()).collect(),
            };
            if pending.is_empty() || (retry > 0 && !self.refresh(retry).await) {
                break;
            }
            self.attempt_watermarks(&pending, log_starts, &mut watermarks).await;
        }
        for (at, ends) in &mut watermarks {
            let id = self.topology.topics.get(&at.topic).and_then(|topic| topic.id);
            match ends.log_start {
                Reading::Read(offset) => {
                    log_starts.insert(at.clone(), (id, offset));
                }
                Reading::Missing(Missing::NotAsked) => {
                    if let Some((_, offset)) = log_starts.get(at) {
                        ends.log_start = Reading::Read(*offset);
                    }
                }
                Reading::Missing(_) => {}
            }
            let gaps = [ends.high_watermark.missing(), ends.last_stable.missing(), ends.log_start.missing()];
            for why in gaps.into_iter().flatten() {
                let broker = self.broker_of(at, why);
                self.gaps.add(Part::Watermarks, broker, why);
            }
        }
        watermarks
    }

    async fn attempt_watermarks(
        &self,
        pending: &[TopicPartition],
        log_starts: &LogStarts,
        watermarks: &mut BTreeMap<TopicPartition, Watermarks>,
    ) {
        let (by_leader, leaderless) = by_leader(&self.topology, pending);
        for (at, why) in leaderless {
            let why = Reading::Missing(why);
            watermarks.insert(at, Watermarks { log_start: why, last_stable: why, high_watermark: why });
        }
        let asked = by_leader.iter().map(|(leader, all)| async {
            let unknown = if self.scope.read_earliest { all.clone() } else { without(all, log_starts) };
            // Pipelined, in this order: all three are answered within one round trip.
            tokio::join!(
                ends(&self.turn, *leader, LogEnd::HighWatermark, all),
                ends(&self.turn, *leader, LogEnd::LastStable, all),
                ends(&self.turn, *leader, LogEnd::LogStart, &unknown),
            )
        });
        for (high_watermarks, last_stable, log_start) in join_all(asked).await {
            for (at, reading) in high_watermarks {
                watermarks.entry(at).or_insert(NOT_ASKED).high_watermark = reading;
            }
            for (at, reading) in last_stable {
                watermarks.entry(at).or_insert(NOT_ASKED).last_stable = reading;
            }
            for (at, reading) in log_start {
                watermarks.entry(at).or_insert(NOT_ASKED).log_start = reading;
            }
        }
    }
}

fn is_pending(ends: &Watermarks) -> bool {
    let readings = [ends.log_start, ends.last_stable, ends.high_watermark];
    readings.into_iter().any(|reading| reading.missing().is_some_and(is_passing))
}

/// What to ask each leader, and the partitions nobody can be asked about.
pub(crate) fn by_leader(
    topology: &Topology,
    partitions: &[TopicPartition],
) -> (BTreeMap<BrokerId, Questions>, Vec<(TopicPartition, Missing)>) {
    let mut by_leader: BTreeMap<BrokerId, Questions> = BTreeMap::new();
    let mut leaderless = Vec::new();
    for at in partitions {
        match topology.leader(at) {
            Ok(leader) => {
                let questions = by_leader.entry(leader.broker).or_default();
                questions.entry(at.topic.clone()).or_default().push((at.partition, leader.epoch));
            }
            Err(why) => leaderless.push((at.clone(), why)),
        }
    }
    (by_leader, leaderless)
}

fn without(questions: &Questions, known: &LogStarts) -> Questions {
    let mut unknown = Questions::new();
    for (topic, partitions) in questions {
        let is_unknown = |(partition, _): &&(PartitionId, _)| {
            !known.contains_key(&TopicPartition { topic: topic.clone(), partition: *partition })
        };
        let partitions: Vec<_> = partitions.iter().filter(is_unknown).copied().collect();
        if !partitions.is_empty() {
            unknown.insert(topic.clone(), partitions);
        }
    }
    unknown
}

/// Asks a leader for one end of its partitions' logs; every partition asked for has a reading.
pub(crate) async fn ends(turn: &Turn<'_>, leader: BrokerId, end: LogEnd, questions: &Questions) -> Ends {
    if questions.is_empty() {
        return Ends::new();
    }
    let answer = match turn.version::<ListOffsets>(leader).await {
        Ok(version) if end == LogEnd::LastStable && version < ISOLATION_FROM => Err(Missing::Unsupported),
        Ok(_) => turn.ask(leader, &request(end, questions)).await,
        Err(why) => Err(why),
    };
    let (answers, absent) = match answer {
        Ok(answers) => (answers, Missing::Garbled(leader)),
        Err(why) => (Vec::new(), why),
    };
    let mut ends = Ends::new();
    for (topic, partitions) in questions {
        for (partition, _) in partitions {
            let at = TopicPartition { topic: topic.clone(), partition: *partition };
            ends.insert(at, Reading::Missing(absent));
        }
    }
    for (topic, listed) in answers {
        let topic = TopicName::from(topic);
        for answer in listed {
            let at = TopicPartition { topic: topic.clone(), partition: PartitionId(answer.partition) };
            if let Some(reading) = ends.get_mut(&at) {
                *reading = match (error::missing(answer.error_code), Offset::new(answer.offset)) {
                    (Some(why), _) => Reading::Missing(why),
                    (None, Some(offset)) => Reading::Read(offset),
                    (None, None) => Reading::Missing(Missing::OffsetNotAvailable),
                };
            }
        }
    }
    ends
}

fn request(end: LogEnd, questions: &Questions) -> ListOffsets {
    let topics: ByTopic<(i32, i32)> = questions
        .iter()
        .map(|(topic, partitions)| {
            let partitions = partitions.iter().map(|(id, epoch)| (id.0, epoch.map_or(-1, LeaderEpoch::get)));
            (topic.as_str().to_owned(), partitions.collect())
        })
        .collect();
    ListOffsets { end, timeout_ms: REMOTE_TIMEOUT_MS, topics }
}
