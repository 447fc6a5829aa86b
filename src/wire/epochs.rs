//! The ends of leader epochs, by OffsetForLeaderEpoch at the leader: the proof of truncation.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::api::ByTopic;
use super::api::error::{self, is_passing};
use super::api::offset_for_leader_epoch::{EpochAnswer, EpochQuestion, OffsetForLeaderEpoch};
use super::poll::{Poll, RETRIES};
use super::turn::Turn;
use crate::model::{
    BrokerId, ConsumerGroup, EpochEnd, GroupId, LeaderEpoch, Missing, Offset, Part, Reading, TopicPartition,
};

/// One question to a partition's leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) at: TopicPartition,
    /// The term the leader must be in to answer.
    pub(crate) current: LeaderEpoch,
    /// The epoch whose end is wanted.
    pub(crate) epoch: LeaderEpoch,
}

type EpochEnds = BTreeMap<(TopicPartition, LeaderEpoch), Reading<EpochEnd>>;

impl Poll<'_> {
    /// Reads the ends of the epochs of commits behind the current one, and those in question.
    pub(crate) async fn epoch_ends(&mut self, groups: &BTreeMap<GroupId, ConsumerGroup>) -> EpochEnds {
        let mut wanted = self.committed_epochs(groups);
        wanted.extend(self.scope.epoch_questions.iter().cloned());
        let mut ends = EpochEnds::new();
        for retry in 0..=RETRIES {
            let is_pending = |reading: &Reading<EpochEnd>| reading.missing().is_some_and(is_passing);
            let pending = wanted.iter().filter(|question| ends.get(*question).is_none_or(is_pending));
            let pending: Vec<_> = pending.cloned().collect();
            let reasons: Vec<_> = pending.iter().filter_map(|question| ends.get(question)?.missing()).collect();
            if pending.is_empty() || (retry > 0 && !self.again(retry, reasons).await) {
                break;
            }
            ends.extend(self.attempt_epoch_ends(pending).await);
        }
        for ((at, _), reading) in &ends {
            if let Some(why) = reading.missing() {
                let broker = self.broker_of(at, why);
                self.gaps.add(Part::EpochEnds, broker, why);
            }
        }
        ends
    }

    fn committed_epochs(&self, groups: &BTreeMap<GroupId, ConsumerGroup>) -> BTreeSet<(TopicPartition, LeaderEpoch)> {
        let mut epochs = BTreeSet::new();
        let commits = groups.values().filter_map(|group| group.commits.as_ref().value()).flatten();
        for (at, commit) in commits {
            let Some(epoch) = commit.value().and_then(|commit| commit.leader_epoch) else { continue };
            let current = self.topology.partition(at).and_then(|partition| partition.leader_epoch);
            if current.is_some_and(|current| epoch < current) {
                epochs.insert((at.clone(), epoch));
            }
        }
        epochs
    }

    async fn attempt_epoch_ends(&self, pending: Vec<(TopicPartition, LeaderEpoch)>) -> EpochEnds {
        let mut ends = EpochEnds::new();
        let mut by_leader: BTreeMap<BrokerId, Vec<Question>> = BTreeMap::new();
        for (at, epoch) in pending {
            match self.topology.leader(&at) {
                Ok(leader) => match leader.epoch {
                    Some(current) => {
                        by_leader.entry(leader.broker).or_default().push(Question { at, current, epoch });
                    }
                    // Without its term, a zombie could not be told from the leader.
                    None => {
                        ends.insert((at, epoch), Reading::Missing(Missing::Unsupported));
                    }
                },
                Err(why) => {
                    ends.insert((at, epoch), Reading::Missing(why));
                }
            }
        }
        let asked = by_leader.iter().map(|(leader, questions)| ask_leader(&self.turn, *leader, questions));
        for (question, reading) in join_all(asked).await.into_iter().flatten() {
            let reading = match reading {
                Reading::Read(Some(end)) => Reading::Read(end),
                // The leader knows nothing of so late an epoch.
                Reading::Read(None) => Reading::Missing(Missing::LeaderMoving),
                Reading::Missing(why) => Reading::Missing(why),
            };
            ends.insert((question.at, question.epoch), reading);
        }
        ends
    }
}

/// Puts questions to one leader; each has a reading, and "nothing known" (-1) is `None`.
pub(crate) async fn ask_leader(
    turn: &Turn<'_>,
    leader: BrokerId,
    questions: &[Question],
) -> Vec<(Question, Reading<Option<EpochEnd>>)> {
    let rounds = rounds(questions);
    let asked = rounds.iter().map(|round| async move { (round, turn.ask(leader, &request(round)).await) });
    let mut readings = Vec::new();
    for (round, answer) in join_all(asked).await {
        let answers = match answer {
            Ok(answers) => answers,
            Err(why) => {
                readings.extend(round.iter().map(|question| (question.clone(), Reading::Missing(why))));
                continue;
            }
        };
        let mut by_partition = BTreeMap::new();
        for (topic, answers) in answers {
            by_partition.extend(
                answers.into_iter().map(|answer| (TopicPartition::new(topic.as_str(), answer.partition), answer)),
            );
        }
        for question in round {
            let answer = by_partition.get(&question.at);
            let garbled = Reading::Missing(Missing::Garbled(leader));
            readings.push((question.clone(), answer.map_or(garbled, |answer| end(leader, question.epoch, *answer))));
        }
    }
    readings
}

/// The questions in rounds, each with a partition at most once: an answer does not repeat the epoch it is for.
fn rounds(questions: &[Question]) -> Vec<Vec<Question>> {
    let mut rounds: Vec<Vec<Question>> = Vec::new();
    let mut asked: BTreeMap<&TopicPartition, usize> = BTreeMap::new();
    for question in questions {
        let round = asked.entry(&question.at).and_modify(|round| *round += 1).or_insert(0);
        if rounds.len() <= *round {
            rounds.push(Vec::new());
        }
        if let Some(round) = rounds.get_mut(*round) {
            round.push(question.clone());
        }
    }
    rounds
}

fn request(round: &[Question]) -> OffsetForLeaderEpoch {
    let mut topics: BTreeMap<&str, Vec<EpochQuestion>> = BTreeMap::new();
    for question in round {
        topics.entry(question.at.topic.as_str()).or_default().push(EpochQuestion {
            partition: question.at.partition.0,
            current: question.current.get(),
            epoch: question.epoch.get(),
        });
    }
    let topics: ByTopic<EpochQuestion> =
        topics.into_iter().map(|(topic, questions)| (topic.to_owned(), questions)).collect();
    OffsetForLeaderEpoch { topics }
}

fn end(leader: BrokerId, asked: LeaderEpoch, answer: EpochAnswer) -> Reading<Option<EpochEnd>> {
    if let Some(why) = error::missing(answer.error_code) {
        return Reading::Missing(why);
    }
    match (LeaderEpoch::new(answer.leader_epoch), Offset::new(answer.end_offset)) {
        // The largest epoch not above the one asked for, by KIP-320; anything else is no answer to the question.
        (Some(leader_epoch), Some(_)) if leader_epoch > asked => Reading::Missing(Missing::Garbled(leader)),
        (Some(leader_epoch), Some(end_offset)) => Reading::Read(Some(EpochEnd { leader_epoch, end_offset })),
        (None, _) | (_, None) => Reading::Read(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: i32) -> LeaderEpoch {
        LeaderEpoch::new(number).expect("not negative")
    }

    #[test]
    fn an_answer_is_an_end_or_proves_nothing() {
        let read = |number, offset| {
            let end_offset = Offset::new(offset).expect("not negative");
            Reading::Read(Some(EpochEnd { leader_epoch: epoch(number), end_offset }))
        };
        let cases = [
            ("the epoch itself", (0, 5, 40), read(5, 40)),
            ("an earlier one: this left nothing", (0, 3, 40), read(3, 40)),
            ("nothing known", (0, -1, -1), Reading::Read(None)),
            ("half known", (0, 3, -1), Reading::Read(None)),
            ("a later one", (0, 6, 40), Reading::Missing(Missing::Garbled(BrokerId(1)))),
            ("fenced", (74, -1, -1), Reading::Missing(Missing::LeaderMoving)),
        ];
        for (name, (error_code, leader_epoch, end_offset), want) in cases {
            let answer = EpochAnswer { error_code, partition: 0, leader_epoch, end_offset };
            assert_eq!(end(BrokerId(1), epoch(5), answer), want, "{name}");
        }
    }

    #[test]
    fn a_partition_is_asked_once_in_each_round() {
        let question = |partition, number| Question {
            at: TopicPartition::new("t", partition),
            current: epoch(9),
            epoch: epoch(number),
        };
        let questions = [question(0, 1), question(0, 2), question(1, 1), question(0, 3)];
        let want =
            [vec![questions[0].clone(), questions[2].clone()], vec![questions[1].clone()], vec![questions[3].clone()]];
        assert_eq!(rounds(&questions), want);
        assert_eq!(rounds(&[]), Vec::<Vec<Question>>::new());
    }
}
