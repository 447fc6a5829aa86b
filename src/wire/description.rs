//! State and members of groups, by DescribeGroups or ConsumerGroupDescribe at a group's coordinator.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;

use super::api::consumer_group_describe::ConsumerGroupDescribe;
use super::api::describe_groups::{DescribeGroups, Described, DescribedMember};
use super::api::error;
use super::turn::Turn;
use crate::model::{
    BrokerId, GroupId, GroupState, GroupType, Member, Missing, PartitionId, Reading, TopicName, TopicPartition,
};

/// State and members of a group.
pub(crate) type Description = Reading<(GroupState, Vec<Member>)>;

const PER_REQUEST: usize = 100;
const IN_FLIGHT: usize = 4;

/// Asks a coordinator to describe groups. Share and streams groups are not asked for.
pub(crate) async fn descriptions(
    turn: &Turn<'_>,
    broker: BrokerId,
    groups: &[(GroupId, GroupType)],
) -> BTreeMap<GroupId, Description> {
    let of = |wanted: &[GroupType]| -> Vec<GroupId> {
        let these = groups.iter().filter(|(_, group_type)| wanted.contains(group_type));
        these.map(|(id, _)| id.clone()).collect()
    };
    let classic = of(&[GroupType::Classic, GroupType::Unknown]);
    let consumer = of(&[GroupType::Consumer]);
    let mut classic_requests = Vec::new();
    for chunk in classic.chunks(PER_REQUEST) {
        classic_requests.push(classic_chunk(turn, broker, chunk));
    }
    let mut consumer_requests = Vec::new();
    for chunk in consumer.chunks(PER_REQUEST) {
        consumer_requests.push(consumer_chunk(turn, broker, chunk));
    }
    let (classic, consumer): (Vec<_>, Vec<_>) = tokio::join!(
        stream::iter(classic_requests).buffered(IN_FLIGHT).collect(),
        stream::iter(consumer_requests).buffered(IN_FLIGHT).collect(),
    );
    classic.into_iter().chain(consumer).flatten().collect()
}

async fn classic_chunk(turn: &Turn<'_>, broker: BrokerId, groups: &[GroupId]) -> Vec<(GroupId, Description)> {
    let answer = turn.ask(broker, &DescribeGroups { ids: texts(groups) }).await;
    matched(broker, groups, answer, |described| match described.error_code {
        // Version 6 says so in place of the state.
        error::GROUP_ID_NOT_FOUND => Reading::Read((GroupState::Dead, Vec::new())),
        _ => description(described),
    })
}

async fn consumer_chunk(turn: &Turn<'_>, broker: BrokerId, groups: &[GroupId]) -> Vec<(GroupId, Description)> {
    let answer = turn.ask(broker, &ConsumerGroupDescribe { ids: texts(groups) }).await;
    matched(broker, groups, answer, |described| match described.error_code {
        // Gone, or just converted to the classic protocol: the next list tells.
        error::GROUP_ID_NOT_FOUND => Reading::Missing(Missing::CoordinatorMoving),
        _ => description(described),
    })
}

fn texts(groups: &[GroupId]) -> Vec<String> {
    groups.iter().map(|id| id.as_str().to_owned()).collect()
}

/// Each group with its own answer.
fn matched(
    broker: BrokerId,
    groups: &[GroupId],
    answer: Result<Vec<Described>, Missing>,
    read: impl Fn(Described) -> Description,
) -> Vec<(GroupId, Description)> {
    let (mut answers, absent) = match answer {
        Ok(answers) => {
            let by_id = answers.into_iter().map(|described| (described.id.clone(), described));
            (by_id.collect::<BTreeMap<_, _>>(), Missing::Garbled(broker))
        }
        Err(why) => (BTreeMap::new(), why),
    };
    let readings = groups.iter().map(|id| {
        let reading = answers.remove(id.as_str()).map_or(Reading::Missing(absent), &read);
        (id.clone(), reading)
    });
    readings.collect()
}

fn description(described: Described) -> Description {
    if let Some(why) = error::missing(described.error_code) {
        return Reading::Missing(why);
    }
    Reading::Read((state(&described.state), described.members.into_iter().map(member).collect()))
}

fn member(described: DescribedMember) -> Member {
    let mut assignment = Vec::new();
    for (topic, partitions) in described.assignment {
        let topic = TopicName::from(topic);
        let of_topic = |index| TopicPartition { topic: topic.clone(), partition: PartitionId(index) };
        assignment.extend(partitions.into_iter().map(of_topic));
    }
    Member { id: described.id.into(), client_id: described.client_id, host: described.host, assignment }
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
    fn states_and_types_newer_than_we_are_are_unknown() {
        assert_eq!(state("Reconciling"), GroupState::Reconciling);
        assert_eq!(state("Dreaming"), GroupState::Unknown);
        assert_eq!(group_type("Classic"), GroupType::Classic);
        assert_eq!(group_type("share"), GroupType::Share);
        assert_eq!(group_type("cosmic"), GroupType::Unknown);
    }
}
