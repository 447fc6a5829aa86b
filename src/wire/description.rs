//! State and members of groups, each by the API of its type at its coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::consumer_group_describe::ConsumerGroupDescribe;
use super::api::describe_groups::{DescribeGroups, Described, DescribedMember};
use super::api::error;
use super::api::share_group_describe::ShareGroupDescribe;
use super::api::streams_group_describe::{StreamsDescribed, StreamsGroupDescribe};
use super::matched::{matched, texts};
use super::topology::Topology;
use super::turn::Turn;
use crate::model::{
    BrokerId, GroupId, GroupState, GroupType, Member, Missing, PartitionId, Reading, TopicName, TopicPartition,
};

/// State and members of a group.
pub(crate) type Description = Reading<(GroupState, Vec<Arc<Member>>)>;

const PER_REQUEST: usize = 100;
const IN_FLIGHT: usize = 4;

/// Asks a coordinator to describe groups.
pub(crate) async fn descriptions(
    turn: &Turn<'_>,
    broker: BrokerId,
    groups: &[(GroupId, GroupType)],
    topology: &Topology,
) -> BTreeMap<GroupId, Description> {
    let asked = Asked { turn, broker, topology };
    let of = |wanted: &[GroupType]| -> Vec<GroupId> {
        let these = groups.iter().filter(|(_, group_type)| wanted.contains(group_type));
        these.map(|(id, _)| id.clone()).collect()
    };
    // A group whose type nobody told is most likely a classic one; what is none is answered with that error.
    let classic = of(&[GroupType::Classic, GroupType::Unknown]);
    let (consumer, share, streams) = (of(&[GroupType::Consumer]), of(&[GroupType::Share]), of(&[GroupType::Streams]));
    let (mut of_classic, mut of_consumer, mut of_share, mut of_streams) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    for chunk in classic.chunks(PER_REQUEST) {
        of_classic.push(asked.classic(chunk));
    }
    for chunk in consumer.chunks(PER_REQUEST) {
        of_consumer.push(asked.consumer(chunk));
    }
    for chunk in share.chunks(PER_REQUEST) {
        of_share.push(asked.share(chunk));
    }
    for chunk in streams.chunks(PER_REQUEST) {
        of_streams.push(asked.streams(chunk));
    }
    let (classic, consumer, share, streams) =
        tokio::join!(answers(of_classic), answers(of_consumer), answers(of_share), answers(of_streams));
    [classic, consumer, share, streams].into_iter().flatten().collect()
}

async fn answers(requests: Vec<impl Future<Output = Vec<(GroupId, Description)>>>) -> Vec<(GroupId, Description)> {
    let answers: Vec<_> = stream::iter(requests).buffered(IN_FLIGHT).collect().await;
    answers.concat()
}

/// Whom to ask, and what tells whether what it says can be.
struct Asked<'a> {
    turn: &'a Turn<'a>,
    broker: BrokerId,
    topology: &'a Topology,
}

impl Asked<'_> {
    async fn classic(&self, groups: &[GroupId]) -> Vec<(GroupId, Description)> {
        let answer = self.turn.ask(self.broker, &DescribeGroups { ids: texts(groups) }).await;
        matched(self.broker, groups, answer, |described| match described.error_code {
            // Version 6 says so in place of the state.
            error::GROUP_ID_NOT_FOUND => Reading::Read((GroupState::Dead, Vec::new())),
            _ => description(described),
        })
    }

    async fn consumer(&self, groups: &[GroupId]) -> Vec<(GroupId, Description)> {
        let answer = self.turn.ask(self.broker, &ConsumerGroupDescribe { ids: texts(groups) }).await;
        matched(self.broker, groups, answer, typed_description)
    }

    async fn share(&self, groups: &[GroupId]) -> Vec<(GroupId, Description)> {
        let answer = self.turn.ask(self.broker, &ShareGroupDescribe { ids: texts(groups) }).await;
        matched(self.broker, groups, answer, typed_description)
    }

    async fn streams(&self, groups: &[GroupId]) -> Vec<(GroupId, Description)> {
        let answer = self.turn.ask(self.broker, &StreamsGroupDescribe { ids: texts(groups) }).await;
        let described =
            answer.map(|groups| groups.into_iter().map(|group| by_partition(group, self.topology)).collect());
        matched(self.broker, groups, described, typed_description)
    }
}

/// The description of a group by the API of its type.
fn typed_description(described: Described) -> Description {
    match described.error_code {
        // Gone, or just converted to another type: the next list tells.
        error::GROUP_ID_NOT_FOUND => Reading::Missing(Missing::CoordinatorMoving),
        _ => description(described),
    }
}

/// A streams group by what its members read: the task of partition 3 reads partition 3 of every topic of its
/// subtopology that has one. A partition has one owner, as it has one active task.
fn by_partition(group: StreamsDescribed, topology: &Topology) -> Described {
    let mut owned = BTreeSet::new();
    let exists = |topic: &str, partition: i32| {
        let partitions = topology.topics.get(&TopicName::from(topic)).map(|topic| &topic.partitions);
        matches!(partitions, Some(Reading::Read(known)) if known.contains_key(&PartitionId(partition)))
    };
    let members = group.members.into_iter().map(|streams| {
        let mut assignment: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (subtopology, partitions) in streams.tasks {
            let known = group.subtopologies.iter().find(|known| known.id == subtopology);
            let topics =
                known.into_iter().flat_map(|known| known.source_topics.iter().chain(&known.repartition_topics));
            for topic in topics {
                for partition in partitions.iter().copied().filter(|partition| exists(topic, *partition)) {
                    if owned.insert((topic.clone(), partition)) {
                        assignment.entry(topic.clone()).or_default().push(partition);
                    }
                }
            }
        }
        DescribedMember { assignment: assignment.into_iter().collect(), ..streams.member }
    });
    let members = members.collect();
    Described { error_code: group.error_code, id: group.id, state: group.state, members }
}

fn description(described: Described) -> Description {
    if let Some(why) = error::missing(described.error_code) {
        return Reading::Missing(why);
    }
    Reading::Read((state(&described.state), described.members.into_iter().map(member).collect()))
}

fn member(described: DescribedMember) -> Arc<Member> {
    let mut assignment = Vec::new();
    for (topic, partitions) in described.assignment {
        let topic = TopicName::from(topic);
        let of_topic = |index| TopicPartition { topic: topic.clone(), partition: PartitionId(index) };
        assignment.extend(partitions.into_iter().map(of_topic));
    }
    Arc::new(Member { id: described.id.into(), client_id: described.client_id, host: described.host, assignment })
}

/// A group's state by the name Kafka gives it.
pub(crate) fn state(name: &str) -> GroupState {
    match name {
        "Stable" => GroupState::Stable,
        "Empty" => GroupState::Empty,
        "PreparingRebalance" => GroupState::PreparingRebalance,
        "CompletingRebalance" => GroupState::CompletingRebalance,
        "Assigning" => GroupState::Assigning,
        "Reconciling" => GroupState::Reconciling,
        "NotReady" => GroupState::NotReady,
        "Dead" => GroupState::Dead,
        _ => GroupState::Unknown,
    }
}

/// A group's protocol by the name Kafka gives it.
pub(crate) fn group_type(name: &str) -> GroupType {
    let types = [
        ("classic", GroupType::Classic),
        ("consumer", GroupType::Consumer),
        ("share", GroupType::Share),
        ("streams", GroupType::Streams),
    ];
    let known = types.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    known.map_or(GroupType::Unknown, |(_, group_type)| group_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::api::metadata::{self, PartitionLeader, TopicLeaders};
    use crate::wire::api::streams_group_describe::{StreamsMember, Subtopology};

    #[test]
    fn a_group_no_answer_names_is_not_known() {
        let groups = [GroupId::from("a"), GroupId::from("b")];
        let described = Described { id: "a".to_owned(), state: "Stable".to_owned(), ..Described::default() };
        let want = vec![
            (groups[0].clone(), Reading::Read((GroupState::Stable, Vec::new()))),
            (groups[1].clone(), Reading::Missing(Missing::Garbled(BrokerId(1)))),
        ];
        assert_eq!(matched(BrokerId(1), &groups, Ok(vec![described]), description), want);
        let hung = Missing::TimedOut(BrokerId(1));
        for (_, reading) in matched(BrokerId(1), &groups, Err(hung), description) {
            assert_eq!(reading, Reading::Missing(hung));
        }
    }

    #[test]
    fn a_task_is_of_the_partitions_that_there_are() {
        let partitions = |count| (0..count).map(|index| PartitionLeader { index, ..PartitionLeader::default() });
        let topic = |name: &str, count| TopicLeaders {
            name: Some(name.to_owned()),
            partitions: partitions(count).collect(),
            ..TopicLeaders::default()
        };
        let topics = vec![topic("wide", 3), topic("narrow", 1), topic("g-by-key-repartition", 3)];
        let topology = metadata::Topology { topics, ..metadata::Topology::default() }.into();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let joined = Subtopology {
            id: "0".to_owned(),
            source_topics: names(&["wide", "narrow", "deleted"]),
            repartition_topics: names(&["g-by-key-repartition"]),
        };
        let member = |id: &str, tasks: &[(&str, &[i32])]| StreamsMember {
            member: DescribedMember { id: id.to_owned(), ..DescribedMember::default() },
            tasks: tasks.iter().map(|(id, partitions)| ((*id).to_owned(), partitions.to_vec())).collect(),
        };
        let described = by_partition(
            StreamsDescribed {
                state: "Stable".to_owned(),
                subtopologies: vec![joined],
                members: vec![member("a", &[("0", &[0]), ("unknown", &[0])]), member("b", &[("0", &[2, 0])])],
                ..StreamsDescribed::default()
            },
            &topology,
        );
        let owned = |index: usize| described.members.get(index).expect("there are two").assignment.clone();
        let of = |topic: &str, partitions: &[i32]| (topic.to_owned(), partitions.to_vec());
        assert_eq!(owned(0), [of("g-by-key-repartition", &[0]), of("narrow", &[0]), of("wide", &[0])]);
        assert_eq!(owned(1), [of("g-by-key-repartition", &[2]), of("wide", &[2])], "each partition has one owner");
        assert_eq!(described.state, "Stable");
    }

    #[test]
    fn states_and_types_newer_than_we_are_are_unknown() {
        assert_eq!(state("Reconciling"), GroupState::Reconciling);
        assert_eq!(state("Dreaming"), GroupState::Unknown);
        assert_eq!(group_type("Classic"), GroupType::Classic);
        assert_eq!(group_type("share"), GroupType::Share);
        assert_eq!(group_type("cosmic"), GroupType::Unknown);
    }
}
