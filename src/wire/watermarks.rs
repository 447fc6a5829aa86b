//! The ends of each partition's log, by ListOffsets at its leader.
//!
//! The leader epoch of the same turn's Metadata goes with every question, so a zombie refuses (KIP-320); and a leader
//! that was just elected says that it does not know its high watermark yet, instead of a smaller one (KIP-207).

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;

use super::api::ByTopic;
use super::api::error::{self, is_passing};
use super::api::list_offsets::{ISOLATION_FROM, ListOffsets, LogEnd};
use super::poll::{Poll, RETRIES};
use super::topology::Topology;
use super::turn::Turn;
use crate::model::{
    BrokerId, ConsumerGroup, GroupId, LeaderEpoch, Missing, Offset, Part, PartitionId, Reading, TopicId, TopicName,
    TopicPartition, Watermarks,
};

/// How long a leader may look for an offset in remote storage, in milliseconds.
const REMOTE_TIMEOUT_MS: i32 = 2_000;

/// A log start offset as a leader told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogStart {
    /// The life of the topic it is of.
    topic_id: Option<TopicId>,
    /// The term in which it was told: another leader's log may begin elsewhere.
    leader_epoch: Option<LeaderEpoch>,
    offset: Offset,
}

/// The last log start offset read of each partition.
pub(crate) type LogStarts = BTreeMap<TopicPartition, LogStart>;

/// The earliest commit of any group, by partition.
pub(crate) type EarliestCommits<'a> = HashMap<&'a TopicPartition, Offset>;

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
    ///
    /// Log start offsets that are not to be read anew stand as last read, unless something speaks against them: another
    /// term, a high watermark below, or a commit so near that retention may overtake its group.
    pub(crate) async fn watermarks(
        &mut self,
        groups: &BTreeMap<GroupId, ConsumerGroup>,
        log_starts: &mut LogStarts,
    ) -> BTreeMap<TopicPartition, Watermarks> {
        let commits = if self.scope.read_earliest { EarliestCommits::new() } else { earliest_commits(groups) };
        let mut watermarks: BTreeMap<_, _> = self.covered().into_iter().map(|at| (at, NOT_ASKED)).collect();
        log_starts.retain(|at, known| {
            let topic = self.topology.topics.get(&at.topic);
            watermarks.contains_key(at) && topic.is_some_and(|topic| topic.id == known.topic_id)
        });
        for retry in 0..=RETRIES {
            let pending: Vec<_> = match retry {
                0 => watermarks.keys().cloned().collect(),
                _ => watermarks.iter().filter(|(_, ends)| is_pending(ends)).map(|(at, _)| at.clone()).collect(),
            };
            let reasons: Vec<_> = pending.iter().filter_map(|at| watermarks.get(at)).flat_map(passing).collect();
            if pending.is_empty() || (retry > 0 && !self.again(retry, reasons).await) {
                break;
            }
            self.attempt_watermarks(&pending, &commits, log_starts, &mut watermarks).await;
        }
        for (at, ends) in &mut watermarks {
            if ends.log_start == NOT_ASKED.log_start
                && let Some(known) = log_starts.get(at)
            {
                ends.log_start = Reading::Read(known.offset);
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
        commits: &EarliestCommits<'_>,
        log_starts: &mut LogStarts,
        watermarks: &mut BTreeMap<TopicPartition, Watermarks>,
    ) {
        let (by_leader, leaderless) = by_leader(&self.topology, pending);
        for (at, why) in leaderless {
            let why = Reading::Missing(why);
            watermarks.insert(at, Watermarks { log_start: why, last_stable: why, high_watermark: why });
        }
        let known: &LogStarts = log_starts;
        let asked = by_leader.iter().map(|(leader, all)| async move {
            let few = all.values().map(Vec::len).sum::<usize>() <= self.options.always_earliest;
            let unknown = if self.scope.read_earliest || few {
                all.clone()
            } else {
                only(all, |at, epoch| self.is_unread(known, at, epoch))
            };
            // Pipelined, in this order: all three are answered within one round trip.
            let (high_watermarks, last_stable, mut log_start) = tokio::join!(
                ends(&self.turn, *leader, LogEnd::HighWatermark, all),
                ends(&self.turn, *leader, LogEnd::LastStable, all),
                ends(&self.turn, *leader, LogEnd::LogStart, &unknown),
            );
            let doubted = only(all, |at, _| {
                let high = high_watermarks.get(at).and_then(|reading| reading.value());
                let known = known.get(at).filter(|_| !log_start.contains_key(at));
                known.zip(high).is_some_and(|(known, high)| is_doubtful(known.offset, high, commits.get(at).copied()))
            });
            log_start.extend(ends(&self.turn, *leader, LogEnd::LogStart, &doubted).await);
            (all, high_watermarks, last_stable, log_start)
        });
        for (all, high_watermarks, last_stable, log_start) in join_all(asked).await {
            for (at, leader_epoch) in each(all) {
                if let Some(Reading::Read(offset)) = log_start.get(&at).copied() {
                    let topic_id = self.topology.topics.get(&at.topic).and_then(|topic| topic.id);
                    log_starts.insert(at, LogStart { topic_id, leader_epoch, offset });
                }
            }
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

impl Poll<'_> {
    /// True where no log start offset of this term was read, or where the last one is never good enough.
    fn is_unread(&self, known: &LogStarts, at: &TopicPartition, epoch: Option<LeaderEpoch>) -> bool {
        self.scope.canary_topic.as_ref() == Some(&at.topic)
            || known.get(at).is_none_or(|known| known.leader_epoch != epoch)
    }
}

/// True when the log may have begun anew since its start was read: it ends before that, or a group is nearer to its
/// start than to its end, where retention would overtake it first.
fn is_doubtful(start: Offset, high_watermark: Offset, earliest: Option<Offset>) -> bool {
    let (start, high, earliest) = (start.get(), high_watermark.get(), earliest.map(Offset::get));
    start > high || earliest.is_some_and(|commit| commit < high && commit - start < high - commit)
}

fn earliest_commits(groups: &BTreeMap<GroupId, ConsumerGroup>) -> EarliestCommits<'_> {
    let mut earliest = EarliestCommits::new();
    let commits = groups.values().filter_map(|group| group.commits.as_ref().value()).flatten();
    for (at, commit) in commits {
        let Reading::Read(commit) = commit else { continue };
        earliest.entry(at).and_modify(|known| *known = commit.offset.min(*known)).or_insert(commit.offset);
    }
    earliest
}

/// Why something is missing that another ask may bring.
fn passing(ends: &Watermarks) -> impl Iterator<Item = Missing> + use<> {
    let readings = [ends.log_start, ends.last_stable, ends.high_watermark];
    readings.into_iter().filter_map(|reading| reading.missing()).filter(|why| is_passing(*why))
}

fn is_pending(ends: &Watermarks) -> bool {
    passing(ends).next().is_some()
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

fn each(questions: &Questions) -> impl Iterator<Item = (TopicPartition, Option<LeaderEpoch>)> {
    questions.iter().flat_map(|(topic, partitions)| {
        partitions
            .iter()
            .map(|(partition, epoch)| (TopicPartition { topic: topic.clone(), partition: *partition }, *epoch))
    })
}

fn only(questions: &Questions, is_wanted: impl Fn(&TopicPartition, Option<LeaderEpoch>) -> bool) -> Questions {
    let mut wanted = Questions::new();
    for (at, epoch) in each(questions).filter(|(at, epoch)| is_wanted(at, *epoch)) {
        wanted.entry(at.topic).or_default().push((at.partition, epoch));
    }
    wanted
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_start_is_doubted_where_a_group_is_near_it() {
        let offset = |number| Offset::new(number).expect("not negative");
        let cases = [
            ("nobody commits", 10, 100, None, false),
            ("caught up", 10, 100, Some(100), false),
            ("nearer to the end", 10, 100, Some(60), false),
            ("half way", 10, 100, Some(55), false),
            ("nearer to the start", 10, 100, Some(54), true),
            ("at the start", 10, 100, Some(10), true),
            ("overtaken", 10, 100, Some(3), true),
            ("an empty log", 10, 10, Some(10), false),
            ("ahead of the log", 10, 100, Some(500), false),
            ("the log ends before its start", 101, 100, None, true),
            ("an emptied log", 100, 100, None, false),
        ];
        for (name, start, high, commit, want) in cases {
            assert_eq!(is_doubtful(offset(start), offset(high), commit.map(offset)), want, "{name}");
        }
    }
}
