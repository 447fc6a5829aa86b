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
    BrokerId, CommittedOffset, GroupId, LeaderEpoch, Offset, PartitionId, Reading, Timestamp, TopicId, TopicName,
    TopicPartition,
};

/// What a group committed, by partition.
pub(crate) type Commits = BTreeMap<TopicPartition, Reading<CommittedOffset>>;

/// Requests of many groups in flight at a broker: more would only fill its memory.
const MANY_IN_FLIGHT: usize = 4;
/// Requests of one group in flight at a broker.
const SINGLE_IN_FLIGHT: usize = 32;

/// What the answer of a group is expected to take that no turn has read yet.
const UNREAD_BYTES: usize = 1 << 10;

/// What each group's part of the last answer took, in bytes.
pub(crate) type Sizes = BTreeMap<GroupId, usize>;

/// How commits are asked for, and what their answers are read with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch<'a> {
    /// Groups in one request, where the broker takes more than one.
    pub(crate) groups: usize,
    /// Bytes that one answer may take, as far as `sizes` tells.
    pub(crate) bytes: usize,
    pub(crate) sizes: &'a Sizes,
    pub(crate) names: &'a TopicNames,
}

impl Fetch<'_> {
    /// The groups, request by request. A group that is expected to take more than all that a request may goes alone.
    fn chunks<'g>(&self, groups: &'g [GroupId]) -> Vec<&'g [GroupId]> {
        let (mut chunks, mut rest) = (Vec::new(), groups);
        while !rest.is_empty() {
            let mut left = self.bytes;
            let fitting = rest.iter().take(self.groups).take_while(|id| {
                let expected = self.sizes.get(*id).copied().unwrap_or(UNREAD_BYTES);
                let fits = expected <= left;
                left = left.saturating_sub(expected);
                fits
            });
            let (chunk, behind) = rest.split_at_checked(fitting.count().max(1)).unwrap_or((rest, &[]));
            chunks.push(chunk);
            rest = behind;
        }
        chunks
    }
}

/// What commits take of an answer, in bytes, without what clients add to them.
pub(crate) fn size(commits: &Commits) -> usize {
    let mut topic: Option<&TopicName> = None;
    let partitions = commits.keys().map(|at| {
        let of_topic = if topic.replace(&at.topic) == Some(&at.topic) { 0 } else { at.topic.as_str().len() + 4 };
        20 + of_topic
    });
    partitions.sum()
}

/// Asks a coordinator for the commits of groups; each comes with the time it was asked for.
pub(crate) async fn commits(
    turn: &Turn<'_>,
    clock: &Clock,
    broker: BrokerId,
    groups: &[GroupId],
    fetch: Fetch<'_>,
) -> Vec<(GroupId, Timestamp, Reading<Commits>)> {
    let many = match turn.version::<OffsetFetch>(broker).await {
        Ok(version) => version >= MANY_GROUPS_FROM,
        Err(why) => {
            let at = clock.wall();
            return groups.iter().map(|id| (id.clone(), at, Reading::Missing(why))).collect();
        }
    };
    let in_flight = if many { MANY_IN_FLIGHT } else { SINGLE_IN_FLIGHT };
    let fetch = Fetch { groups: if many { fetch.groups } else { 1 }, ..fetch };
    let mut requests = Vec::new();
    for chunk in fetch.chunks(groups) {
        requests.push(chunk_commits(turn, clock, broker, chunk, fetch.names));
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
    use crate::model::Missing;

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
    fn a_request_asks_for_no_more_than_it_may_bring() {
        let groups: Vec<GroupId> = ["a", "b", "c", "d", "e"].map(GroupId::from).into();
        type Case<'a> = (&'a str, usize, usize, &'a [usize], &'a [usize]);
        let cases: [Case<'_>; 7] = [
            ("all fit", 100, 1_000, &[200; 5], &[5]),
            ("by number", 2, 1_000, &[1; 5], &[2, 2, 1]),
            ("by bytes", 100, 1_000, &[400, 400, 400, 400, 400], &[2, 2, 1]),
            ("exactly so many bytes", 100, 1_000, &[500, 500, 500, 499, 1], &[2, 3]),
            ("one too large for any", 100, 1_000, &[1, 9_000, 1, 1, 1], &[1, 1, 3]),
            ("all too large", 100, 1_000, &[9_000; 5], &[1; 5]),
            ("never read", 100, 2 * UNREAD_BYTES, &[], &[2, 2, 1]),
        ];
        for (name, most, bytes, sizes, want) in cases {
            let sizes: Sizes = groups.iter().cloned().zip(sizes.iter().copied()).collect();
            let fetch = Fetch { groups: most, bytes, sizes: &sizes, names: &TopicNames::default() };
            let chunks = fetch.chunks(&groups);
            assert_eq!(chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), want, "{name}");
            assert_eq!(chunks.concat(), groups, "{name}: each once");
        }
    }

    #[test]
    fn a_size_counts_each_partition_and_each_name_once() {
        let commits = |at: &[(&str, i32)]| -> Commits {
            let missing = Reading::Missing(Missing::CoordinatorMoving);
            at.iter().map(|(topic, partition)| (TopicPartition::new(*topic, *partition), missing)).collect()
        };
        assert_eq!(size(&commits(&[])), 0);
        assert_eq!(size(&commits(&[("t", 0)])), 25);
        assert_eq!(size(&commits(&[("t", 0), ("t", 1), ("u", 0)])), 25 + 20 + 25);
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
