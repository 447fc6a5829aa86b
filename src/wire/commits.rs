//! Committed offsets, by OffsetFetch at a group's coordinator.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::error;
use super::api::offset_fetch::{GroupCommits, MANY_GROUPS_FROM, OffsetFetch, Topic};
use super::matched::{matched, texts};
use super::topic_names::TopicNames;
use super::turn::Turn;
use crate::clock::Clock;
use crate::model::{
    BrokerId, CommittedOffset, GroupId, LeaderEpoch, Missing, Offset, PartitionId, Reading, Timestamp, TopicId,
    TopicName, TopicPartition,
};

/// What a group committed, by partition.
pub(crate) type Commits = BTreeMap<TopicPartition, Reading<CommittedOffset>>;

/// Requests of many groups in flight at a broker: more would only fill its memory.
const MANY_IN_FLIGHT: usize = 4;
/// Requests of one group in flight at a broker.
const SINGLE_IN_FLIGHT: usize = 32;

/// Asks a coordinator for the commits of groups; each comes with the time it was asked for.
pub(crate) async fn commits(
    turn: &Turn<'_>,
    clock: &Clock,
    broker: BrokerId,
    groups: &[GroupId],
    per_request: usize,
    names: &TopicNames,
) -> Vec<(GroupId, Timestamp, Reading<Commits>)> {
    let many = match turn.version::<OffsetFetch>(broker).await {
        Ok(version) => version >= MANY_GROUPS_FROM,
        Err(why) => {
            let at = clock.wall();
            return groups.iter().map(|id| (id.clone(), at, Reading::Missing(why))).collect();
        }
    };
    let (per_request, in_flight) = if many { (per_request.max(1), MANY_IN_FLIGHT) } else { (1, SINGLE_IN_FLIGHT) };
    let mut requests = Vec::new();
    for chunk in groups.chunks(per_request) {
        requests.push(chunk_commits(turn, clock, broker, chunk, names));
    }
    let answers: Vec<_> = stream::iter(requests).buffered(in_flight).collect().await;
    answers.concat()
}

async fn chunk_commits(
    turn: &Turn<'_>,
    clock: &Clock,
    broker: BrokerId,
    groups: &[GroupId],
    names: &TopicNames,
) -> Vec<(GroupId, Timestamp, Reading<Commits>)> {
    let at = clock.wall();
    let answer = turn.ask(broker, &OffsetFetch { ids: texts(groups) }).await.map(|answers| named(groups, answers));
    let readings = matched(broker, groups, answer, |answer| group_commits(answer, names));
    readings.into_iter().map(|(id, reading)| (id, at, reading)).collect()
}

/// Before version 8 the answer does not repeat the one group that was asked for.
fn named(groups: &[GroupId], mut answers: Vec<GroupCommits>) -> Vec<GroupCommits> {
    if let ([id], [answer]) = (groups, answers.as_mut_slice())
        && answer.id.is_empty()
    {
        answer.id = id.as_str().to_owned();
    }
    answers
}

fn group_commits(answer: GroupCommits, names: &TopicNames) -> Reading<Commits> {
    if let Some(why) = error::missing(answer.error_code) {
        return Reading::Missing(why);
    }
    let mut commits = Commits::new();
    for (topic, partitions) in answer.topics {
        let topic = match topic {
            Topic::Name(name) => TopicName::from(name),
            Topic::Id(id) => match names.name(TopicId(id)) {
                Some(name) => name.clone(),
                // Of a topic created since the metadata was read, or of an earlier life of one: not of any that is judged.
                None => continue,
            },
        };
        for commit in partitions {
            let reading = match (error::missing(commit.error_code), Offset::new(commit.offset)) {
                (Some(why), _) => Reading::Missing(why),
                (None, Some(offset)) => {
                    Reading::Read(CommittedOffset { offset, leader_epoch: LeaderEpoch::new(commit.leader_epoch) })
                }
                (None, None) => continue,
            };
            let partition = PartitionId(commit.partition);
            commits.insert(TopicPartition { topic: topic.clone(), partition }, reading);
        }
    }
    Reading::Read(commits)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::api::offset_fetch::Commit;
    use super::*;

    #[test]
    fn a_partition_without_a_commit_is_left_out() {
        let commit =
            |partition, offset, leader_epoch, error_code| Commit { partition, offset, leader_epoch, error_code };
        let names = TopicNames::default();
        let answer = GroupCommits {
            id: "g".to_owned(),
            error_code: 0,
            topics: vec![(
                Topic::Name("t".to_owned()),
                vec![commit(0, 0, 0, 0), commit(1, 9, -1, 0), commit(2, -1, -1, 0), commit(3, -1, -1, 29)],
            )],
        };
        let read = |offset, epoch| {
            let offset = Offset::new(offset).expect("not negative");
            Reading::Read(CommittedOffset { offset, leader_epoch: LeaderEpoch::new(epoch) })
        };
        let want = [
            (TopicPartition::new("t", 0), read(0, 0)),
            (TopicPartition::new("t", 1), read(9, -1)),
            (TopicPartition::new("t", 3), Reading::Missing(Missing::TopicNotAuthorized)),
        ];
        assert_eq!(group_commits(answer, &names), Reading::Read(want.into_iter().collect()));
        let refused = GroupCommits { error_code: 16, ..GroupCommits::default() };
        assert_eq!(group_commits(refused, &names), Reading::Missing(Missing::CoordinatorMoving));
    }

    #[test]
    fn a_commit_by_id_is_of_the_topic_that_has_it() {
        let mut names = TopicNames::default();
        let topic = |id| (TopicId([id; 16]), TopicName::from("t"));
        names.renew([topic(1)], Instant::now());
        let commit = Commit { partition: 0, offset: 7, leader_epoch: -1, error_code: 0 };
        let answer = |id| GroupCommits { topics: vec![(Topic::Id([id; 16]), vec![commit])], ..GroupCommits::default() };
        let read =
            |reading: Reading<Commits>| reading.value().expect("it was answered").into_keys().collect::<Vec<_>>();
        assert_eq!(read(group_commits(answer(1), &names)), [TopicPartition::new("t", 0)]);
        assert_eq!(read(group_commits(answer(2), &names)), [], "no topic has that id");
    }
}
