//! Groups of the types that `kafka-protocol` knows, and what they committed.

use bytes::Bytes;
use kafka_protocol::messages::consumer_group_describe_response as consumer;
use kafka_protocol::messages::describe_groups_response as classic;
use kafka_protocol::messages::describe_share_group_offsets_response as share_offsets;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::share_group_describe_response as share;
use kafka_protocol::messages::{self as theirs, BrokerId, GroupId};

use super::topic;
use crate::dice::Dice;
use crate::wire::api::ByTopic;
use crate::wire::api::describe_groups::{Described, DescribedMember};
use crate::wire::api::describe_share_group_offsets::{ShareGroupOffsets, SharePartition};
use crate::wire::api::find_coordinator::{Found, MANY_KEYS_FROM};
use crate::wire::api::list_groups::{Listed, Listing};
use crate::wire::api::offset_fetch::{Commit, GroupCommits, MANY_GROUPS_FROM, Topic};
use crate::{text, uuid};

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

pub(crate) fn find_coordinator(dice: &mut Dice) -> (theirs::FindCoordinatorResponse, Vec<Found>) {
    let answer = theirs::FindCoordinatorResponse::default().with_throttle_time_ms(dice.i32());
    if dice.version < MANY_KEYS_FROM {
        let found = Found { key: String::new(), node: dice.i32(), error_code: dice.i16() };
        let answer = answer
            .with_error_code(found.error_code)
            .with_error_message(dice.other_or_null())
            .with_node_id(BrokerId(found.node))
            .with_host(dice.other())
            .with_port(dice.i32())
            .with_unknown_tagged_fields(dice.tags());
        return (answer, vec![found]);
    }
    let (coordinators, found) = dice.lists(|dice| {
        let found = Found { key: dice.text(), node: dice.i32(), error_code: dice.i16() };
        let theirs = Coordinator::default()
            .with_key(text(&found.key))
            .with_node_id(BrokerId(found.node))
            .with_host(dice.other())
            .with_port(dice.i32())
            .with_error_code(found.error_code)
            .with_error_message(dice.other_or_null())
            .with_unknown_tagged_fields(dice.tags());
        (theirs, found)
    });
    (answer.with_coordinators(coordinators).with_unknown_tagged_fields(dice.tags()), found)
}

pub(crate) fn list_groups(dice: &mut Dice) -> (theirs::ListGroupsResponse, Listing) {
    let (their_groups, groups) = dice.lists(|dice| {
        let listed = Listed {
            id: dice.text(),
            protocol_type: dice.text(),
            state: dice.since(4, |dice| Some(dice.text())),
            group_type: dice.since(5, |dice| Some(dice.text())),
        };
        let theirs = ListedGroup::default()
            .with_group_id(group(&listed.id))
            .with_protocol_type(text(&listed.protocol_type))
            .with_group_state(text(listed.state.as_deref().unwrap_or_default()))
            .with_group_type(text(listed.group_type.as_deref().unwrap_or_default()))
            .with_unknown_tagged_fields(dice.tags());
        (theirs, listed)
    });
    let error_code = dice.i16();
    let answer = theirs::ListGroupsResponse::default()
        .with_throttle_time_ms(dice.since(1, Dice::i32))
        .with_error_code(error_code)
        .with_groups(their_groups)
        .with_unknown_tagged_fields(dice.tags());
    (answer, Listing { error_code, groups })
}

/// A `ConsumerProtocolAssignment` as clients write it.
fn assignment_bytes(assignment: &ByTopic<i32>) -> Bytes {
    let length = |length: usize| u32::try_from(length).expect("it is short").to_be_bytes();
    let mut bytes = vec![0, 3];
    bytes.extend(length(assignment.len()));
    for (topic, partitions) in assignment {
        bytes.extend(u16::try_from(topic.len()).expect("it is short").to_be_bytes());
        bytes.extend(topic.as_bytes());
        bytes.extend(length(partitions.len()));
        bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
    }
    bytes.extend([0xff; 4]);
    bytes.into()
}

pub(crate) fn describe_groups(dice: &mut Dice) -> (theirs::DescribeGroupsResponse, Vec<Described>) {
    let (their_groups, groups) = dice.lists(|dice| {
        let protocol_type = dice.text();
        let (their_members, members) = dice.lists(|dice| {
            let assignment = dice.list(|dice| (dice.text(), dice.i32s()));
            let bytes = if dice.below(5) == 0 {
                Bytes::from_static(b"\0\0\x7f\xff\xff\xffsomebody's own")
            } else {
                assignment_bytes(&assignment)
            };
            let told = bytes.starts_with(&[0, 3]) && protocol_type == "consumer";
            let member = DescribedMember {
                id: dice.text(),
                client_id: dice.text(),
                host: dice.text(),
                assignment: if told { assignment } else { Vec::new() },
            };
            let theirs = classic::DescribedGroupMember::default()
                .with_member_id(text(&member.id))
                .with_group_instance_id(dice.since(4, Dice::other_or_null))
                .with_client_id(text(&member.client_id))
                .with_client_host(text(&member.host))
                .with_member_metadata(Bytes::from(vec![1; dice.below(50)]))
                .with_member_assignment(bytes)
                .with_unknown_tagged_fields(dice.tags());
            (theirs, member)
        });
        let described = Described { error_code: dice.i16(), id: dice.text(), state: dice.text(), members };
        let theirs = classic::DescribedGroup::default()
            .with_error_code(described.error_code)
            .with_error_message(dice.since(6, Dice::other_or_null))
            .with_group_id(group(&described.id))
            .with_group_state(text(&described.state))
            .with_protocol_type(text(&protocol_type))
            .with_protocol_data(dice.other())
            .with_members(their_members)
            .with_authorized_operations(dice.since_or(3, i32::MIN, Dice::i32))
            .with_unknown_tagged_fields(dice.tags());
        (theirs, described)
    });
    let answer = theirs::DescribeGroupsResponse::default()
        .with_throttle_time_ms(dice.since(1, Dice::i32))
        .with_groups(their_groups)
        .with_unknown_tagged_fields(dice.tags());
    (answer, groups)
}

fn consumer_assignment(dice: &mut Dice, assignment: &ByTopic<i32>) -> consumer::Assignment {
    let topics = assignment.iter().map(|(name, partitions)| {
        let topic =
            consumer::TopicPartitions::default().with_topic_name(topic(name)).with_partitions(partitions.clone());
        topic.with_topic_id(uuid(dice.uuid())).with_unknown_tagged_fields(dice.tags())
    });
    let topics = topics.collect();
    consumer::Assignment::default().with_topic_partitions(topics).with_unknown_tagged_fields(dice.tags())
}

fn member(dice: &mut Dice) -> DescribedMember {
    DescribedMember {
        id: dice.text(),
        client_id: dice.text(),
        host: dice.text(),
        assignment: dice.list(|dice| (dice.text(), dice.i32s())),
    }
}

pub(crate) fn consumer_group_describe(dice: &mut Dice) -> (theirs::ConsumerGroupDescribeResponse, Vec<Described>) {
    let (their_groups, groups) = dice.lists(|dice| {
        let (their_members, members) = dice.lists(|dice| {
            let member = member(dice);
            let target = dice.list(|dice| (dice.text(), dice.i32s()));
            let theirs = consumer::Member::default()
                .with_member_id(text(&member.id))
                .with_instance_id(dice.other_or_null())
                .with_rack_id(dice.other_or_null())
                .with_member_epoch(dice.i32())
                .with_client_id(text(&member.client_id))
                .with_client_host(text(&member.host))
                .with_subscribed_topic_names(dice.list(|dice| topic(&dice.text())))
                .with_subscribed_topic_regex(dice.other_or_null())
                .with_assignment(consumer_assignment(dice, &member.assignment))
                .with_target_assignment(consumer_assignment(dice, &target))
                .with_member_type(dice.since_or(1, -1, |_| 1))
                .with_unknown_tagged_fields(dice.tags());
            (theirs, member)
        });
        let described = Described { error_code: dice.i16(), id: dice.text(), state: dice.text(), members };
        let theirs = consumer::DescribedGroup::default()
            .with_error_code(described.error_code)
            .with_error_message(dice.other_or_null())
            .with_group_id(group(&described.id))
            .with_group_state(text(&described.state))
            .with_group_epoch(dice.i32())
            .with_assignment_epoch(dice.i32())
            .with_assignor_name(dice.other())
            .with_members(their_members)
            .with_authorized_operations(dice.i32())
            .with_unknown_tagged_fields(dice.tags());
        (theirs, described)
    });
    let answer = theirs::ConsumerGroupDescribeResponse::default().with_throttle_time_ms(dice.i32());
    (answer.with_groups(their_groups).with_unknown_tagged_fields(dice.tags()), groups)
}

pub(crate) fn share_group_describe(dice: &mut Dice) -> (theirs::ShareGroupDescribeResponse, Vec<Described>) {
    let (their_groups, groups) = dice.lists(|dice| {
        let (their_members, members) = dice.lists(|dice| {
            let member = member(dice);
            let owned = member.assignment.iter().map(|(name, partitions)| {
                let of = share::TopicPartitions::default().with_topic_name(topic(name));
                let of = of.with_partitions(partitions.clone()).with_topic_id(uuid(dice.uuid()));
                of.with_unknown_tagged_fields(dice.tags())
            });
            let owned = owned.collect();
            let theirs = share::Member::default()
                .with_member_id(text(&member.id))
                .with_rack_id(dice.other_or_null())
                .with_member_epoch(dice.i32())
                .with_client_id(text(&member.client_id))
                .with_client_host(text(&member.host))
                .with_subscribed_topic_names(dice.list(|dice| topic(&dice.text())))
                .with_assignment(share::Assignment::default().with_topic_partitions(owned))
                .with_unknown_tagged_fields(dice.tags());
            (theirs, member)
        });
        let described = Described { error_code: dice.i16(), id: dice.text(), state: dice.text(), members };
        let theirs = share::DescribedGroup::default()
            .with_error_code(described.error_code)
            .with_error_message(dice.other_or_null())
            .with_group_id(group(&described.id))
            .with_group_state(text(&described.state))
            .with_group_epoch(dice.i32())
            .with_assignment_epoch(dice.i32())
            .with_assignor_name(dice.other())
            .with_members(their_members)
            .with_authorized_operations(dice.i32())
            .with_unknown_tagged_fields(dice.tags());
        (theirs, described)
    });
    let answer = theirs::ShareGroupDescribeResponse::default().with_throttle_time_ms(dice.i32());
    (answer.with_groups(their_groups).with_unknown_tagged_fields(dice.tags()), groups)
}

pub(crate) fn describe_share_group_offsets(
    dice: &mut Dice,
) -> (theirs::DescribeShareGroupOffsetsResponse, Vec<ShareGroupOffsets>) {
    let (their_groups, groups) = dice.lists(|dice| {
        let (their_topics, topics) = dice.lists(|dice| {
            let name = dice.text();
            let (their_partitions, partitions) = dice.lists(|dice| {
                let partition =
                    SharePartition { partition: dice.i32(), start_offset: dice.i64(), lag: -1, error_code: dice.i16() };
                let theirs = share_offsets::DescribeShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(partition.partition)
                    .with_start_offset(partition.start_offset)
                    .with_leader_epoch(dice.i32())
                    .with_error_code(partition.error_code)
                    .with_error_message(dice.other_or_null())
                    .with_unknown_tagged_fields(dice.tags());
                (theirs, partition)
            });
            let theirs = share_offsets::DescribeShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic(&name))
                .with_topic_id(uuid(dice.uuid()))
                .with_partitions(their_partitions)
                .with_unknown_tagged_fields(dice.tags());
            (theirs, (name, partitions))
        });
        let offsets = ShareGroupOffsets { id: dice.text(), error_code: dice.i16(), topics };
        let theirs = share_offsets::DescribeShareGroupOffsetsResponseGroup::default()
            .with_group_id(group(&offsets.id))
            .with_topics(their_topics)
            .with_error_code(offsets.error_code)
            .with_error_message(dice.other_or_null())
            .with_unknown_tagged_fields(dice.tags());
        (theirs, offsets)
    });
    let answer = theirs::DescribeShareGroupOffsetsResponse::default().with_throttle_time_ms(dice.i32());
    (answer.with_groups(their_groups).with_unknown_tagged_fields(dice.tags()), groups)
}

fn commit(dice: &mut Dice) -> Commit {
    Commit {
        partition: dice.i32(),
        offset: dice.i64(),
        leader_epoch: dice.since_or(5, -1, Dice::i32),
        error_code: dice.i16(),
    }
}

pub(crate) fn offset_fetch(dice: &mut Dice) -> (theirs::OffsetFetchResponse, Vec<GroupCommits>) {
    let answer = theirs::OffsetFetchResponse::default().with_throttle_time_ms(dice.since(3, Dice::i32));
    if dice.version < MANY_GROUPS_FROM {
        let (their_topics, topics) = dice.lists(|dice| {
            let name = dice.text();
            let (their_partitions, commits) = dice.lists(|dice| {
                let commit = commit(dice);
                let theirs = OffsetFetchResponsePartition::default()
                    .with_partition_index(commit.partition)
                    .with_committed_offset(commit.offset)
                    .with_committed_leader_epoch(commit.leader_epoch)
                    .with_metadata(dice.other_or_null())
                    .with_error_code(commit.error_code)
                    .with_unknown_tagged_fields(dice.tags());
                (theirs, commit)
            });
            let theirs = OffsetFetchResponseTopic::default().with_name(topic(&name)).with_partitions(their_partitions);
            (theirs.with_unknown_tagged_fields(dice.tags()), (Topic::Name(name), commits))
        });
        let error_code = dice.i16();
        let answer = answer.with_error_code(error_code).with_topics(their_topics);
        let answer = answer.with_unknown_tagged_fields(dice.tags());
        return (answer, vec![GroupCommits { id: String::new(), error_code, topics }]);
    }
    let (their_groups, groups) = dice.lists(|dice| {
        let (their_topics, topics) = dice.lists(|dice| {
            let (their_partitions, commits) = dice.lists(|dice| {
                let commit = commit(dice);
                let theirs = OffsetFetchResponsePartitions::default()
                    .with_partition_index(commit.partition)
                    .with_committed_offset(commit.offset)
                    .with_committed_leader_epoch(commit.leader_epoch)
                    .with_metadata(dice.other_or_null())
                    .with_error_code(commit.error_code)
                    .with_unknown_tagged_fields(dice.tags());
                (theirs, commit)
            });
            let theirs = OffsetFetchResponseTopics::default().with_partitions(their_partitions);
            let (theirs, named) = if dice.version >= 10 {
                let id = dice.uuid();
                (theirs.with_topic_id(uuid(id)), Topic::Id(id))
            } else {
                let name = dice.text();
                (theirs.with_name(topic(&name)), Topic::Name(name))
            };
            (theirs.with_unknown_tagged_fields(dice.tags()), (named, commits))
        });
        let commits = GroupCommits { id: dice.text(), error_code: dice.i16(), topics };
        let theirs = OffsetFetchResponseGroup::default()
            .with_group_id(group(&commits.id))
            .with_topics(their_topics)
            .with_error_code(commits.error_code)
            .with_unknown_tagged_fields(dice.tags());
        (theirs, commits)
    });
    (answer.with_groups(their_groups).with_unknown_tagged_fields(dice.tags()), groups)
}
