//! Brokers, topics, controllers, moves of replicas.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::describe_quorum_response as quorum;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor as TheirCursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{self as theirs, BrokerId};

use super::{brokers, topic};
use crate::dice::Dice;
use crate::wire::api::describe_cluster;
use crate::wire::api::describe_quorum::{Quorum, QuorumPartition, QuorumReplica};
use crate::wire::api::describe_topic_partitions::{Cursor, Page, PartitionReplicas, TopicReplicas};
use crate::wire::api::list_partition_reassignments::{Reassigned, Reassignments};
use crate::wire::api::metadata::{Node, PartitionLeader, TopicLeaders, Topology};
use crate::{text, uuid};

fn node(dice: &mut Dice) -> Node {
    Node { id: dice.i32(), host: dice.text(), port: dice.i32(), rack: dice.maybe(Dice::text) }
}

pub(crate) fn metadata(dice: &mut Dice) -> (theirs::MetadataResponse, Topology) {
    let (their_brokers, nodes) = dice.lists(|dice| {
        let node = node(dice);
        let broker = MetadataResponseBroker::default()
            .with_node_id(BrokerId(node.id))
            .with_host(text(&node.host))
            .with_port(node.port)
            .with_rack(node.rack.as_deref().map(text))
            .with_unknown_tagged_fields(dice.tags());
        (broker, node)
    });
    let (their_topics, topics) = dice.lists(topic_leaders);
    let (cluster_id, controller) = (dice.since(2, |dice| dice.maybe(Dice::text)), dice.i32());
    let error_code = dice.since(13, Dice::i16);
    let answer = theirs::MetadataResponse::default()
        .with_throttle_time_ms(dice.since(3, Dice::i32))
        .with_brokers(their_brokers)
        .with_cluster_id(cluster_id.as_deref().map(text))
        .with_controller_id(BrokerId(controller))
        .with_topics(their_topics)
        .with_error_code(error_code)
        .with_unknown_tagged_fields(dice.tags());
    (answer, Topology { brokers: nodes, cluster_id, controller, topics, error_code })
}

fn topic_leaders(dice: &mut Dice) -> (MetadataResponseTopic, TopicLeaders) {
    let name = if dice.version >= 12 { dice.maybe(Dice::text) } else { Some(dice.text()) };
    let (error_code, id, internal) = (dice.i16(), dice.since(10, Dice::uuid), dice.bool());
    let (their_partitions, partitions) = dice.lists(|dice| {
        let partition = PartitionLeader {
            error_code: dice.i16(),
            index: dice.i32(),
            leader: dice.i32(),
            leader_epoch: dice.since_or(7, -1, Dice::i32),
            replicas: dice.i32s(),
            in_sync: dice.i32s(),
            offline: dice.since(5, Dice::i32s),
        };
        let theirs = MetadataResponsePartition::default()
            .with_error_code(partition.error_code)
            .with_partition_index(partition.index)
            .with_leader_id(BrokerId(partition.leader))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(brokers(&partition.replicas))
            .with_isr_nodes(brokers(&partition.in_sync))
            .with_offline_replicas(brokers(&partition.offline))
            .with_unknown_tagged_fields(dice.tags());
        (theirs, partition)
    });
    let theirs = MetadataResponseTopic::default()
        .with_error_code(error_code)
        .with_name(name.as_deref().map(topic))
        .with_topic_id(uuid(id))
        .with_is_internal(internal)
        .with_partitions(their_partitions)
        .with_unknown_tagged_fields(dice.tags());
    (theirs, TopicLeaders { error_code, name, id, internal, partitions })
}

pub(crate) fn describe_cluster(dice: &mut Dice) -> (theirs::DescribeClusterResponse, describe_cluster::Described) {
    let (their_brokers, nodes) = dice.lists(|dice| {
        let (node, fenced) = (node(dice), dice.since(2, |dice| Some(dice.bool())));
        let broker = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(node.id))
            .with_host(text(&node.host))
            .with_port(node.port)
            .with_rack(node.rack.as_deref().map(text))
            .with_is_fenced(fenced.unwrap_or(false))
            .with_unknown_tagged_fields(dice.tags());
        (broker, (node, fenced))
    });
    let (error_code, cluster_id, controller) = (dice.i16(), dice.text(), dice.i32());
    let answer = theirs::DescribeClusterResponse::default()
        .with_throttle_time_ms(dice.i32())
        .with_error_code(error_code)
        .with_error_message(dice.other_or_null())
        .with_endpoint_type(1)
        .with_cluster_id(text(&cluster_id))
        .with_controller_id(BrokerId(controller))
        .with_brokers(their_brokers)
        .with_cluster_authorized_operations(dice.i32())
        .with_unknown_tagged_fields(dice.tags());
    (answer, describe_cluster::Described { error_code, cluster_id, controller, brokers: nodes })
}

fn quorum_replica(dice: &mut Dice) -> (quorum::ReplicaState, QuorumReplica) {
    let replica = QuorumReplica {
        id: dice.i32(),
        log_end: dice.i64(),
        last_fetch: dice.since_or(1, -1, Dice::i64),
        last_caught_up: dice.since_or(1, -1, Dice::i64),
    };
    let theirs = quorum::ReplicaState::default()
        .with_replica_id(BrokerId(replica.id))
        .with_replica_directory_id(uuid(dice.since(2, Dice::uuid)))
        .with_log_end_offset(replica.log_end)
        .with_last_fetch_timestamp(replica.last_fetch)
        .with_last_caught_up_timestamp(replica.last_caught_up)
        .with_unknown_tagged_fields(dice.tags());
    (theirs, replica)
}

pub(crate) fn describe_quorum(dice: &mut Dice) -> (theirs::DescribeQuorumResponse, Quorum) {
    let (topics, partitions) = dice.lists(|dice| {
        let (their_partitions, partitions) = dice.lists(|dice| {
            let (error_code, leader, leader_epoch) = (dice.i16(), dice.i32(), dice.i32());
            let high_watermark = dice.i64();
            let ((their_voters, voters), (their_observers, observers)) =
                (dice.lists(quorum_replica), dice.lists(quorum_replica));
            let theirs = quorum::PartitionData::default()
                .with_partition_index(dice.i32())
                .with_error_code(error_code)
                .with_error_message(dice.since(2, Dice::other_or_null))
                .with_leader_id(BrokerId(leader))
                .with_leader_epoch(leader_epoch)
                .with_high_watermark(high_watermark)
                .with_current_voters(their_voters)
                .with_observers(their_observers)
                .with_unknown_tagged_fields(dice.tags());
            (theirs, QuorumPartition { error_code, leader, leader_epoch, high_watermark, voters, observers })
        });
        let topic = quorum::TopicData::default().with_topic_name(topic(&dice.text())).with_partitions(their_partitions);
        (topic.with_unknown_tagged_fields(dice.tags()), partitions)
    });
    let nodes = dice.since(2, |dice| {
        dice.list(|dice| {
            let listeners = dice.list(|dice| {
                let listener = quorum::Listener::default().with_name(dice.other()).with_host(dice.other());
                listener.with_port(9_093).with_unknown_tagged_fields(dice.tags())
            });
            let node = quorum::Node::default().with_node_id(BrokerId(dice.i32())).with_listeners(listeners);
            node.with_unknown_tagged_fields(dice.tags())
        })
    });
    let error_code = dice.i16();
    let answer = theirs::DescribeQuorumResponse::default()
        .with_error_code(error_code)
        .with_error_message(dice.since(2, Dice::other_or_null))
        .with_topics(topics)
        .with_nodes(nodes)
        .with_unknown_tagged_fields(dice.tags());
    // One topic is asked for.
    (answer, Quorum { error_code, partitions: partitions.into_iter().next().unwrap_or_default() })
}

pub(crate) fn list_partition_reassignments(
    dice: &mut Dice,
) -> (theirs::ListPartitionReassignmentsResponse, Reassignments) {
    let (their_topics, topics) = dice.lists(|dice| {
        let name = dice.text();
        let (their_partitions, partitions) = dice.lists(|dice| {
            let moved =
                Reassigned { partition: dice.i32(), replicas: dice.i32s(), adding: dice.i32s(), removing: dice.i32s() };
            let theirs = OngoingPartitionReassignment::default()
                .with_partition_index(moved.partition)
                .with_replicas(brokers(&moved.replicas))
                .with_adding_replicas(brokers(&moved.adding))
                .with_removing_replicas(brokers(&moved.removing))
                .with_unknown_tagged_fields(dice.tags());
            (theirs, moved)
        });
        let theirs = OngoingTopicReassignment::default().with_name(topic(&name)).with_partitions(their_partitions);
        (theirs.with_unknown_tagged_fields(dice.tags()), (name, partitions))
    });
    let error_code = dice.i16();
    let answer = theirs::ListPartitionReassignmentsResponse::default()
        .with_throttle_time_ms(dice.i32())
        .with_error_code(error_code)
        .with_error_message(dice.other_or_null())
        .with_topics(their_topics)
        .with_unknown_tagged_fields(dice.tags());
    (answer, Reassignments { error_code, topics })
}

pub(crate) fn describe_topic_partitions(dice: &mut Dice) -> (theirs::DescribeTopicPartitionsResponse, Page) {
    let (their_topics, topics) = dice.lists(|dice| {
        let (error_code, name) = (dice.i16(), dice.maybe(Dice::text));
        let (their_partitions, partitions) = dice.lists(|dice| {
            let partition = PartitionReplicas {
                error_code: dice.i16(),
                index: dice.i32(),
                leader: dice.i32(),
                leader_epoch: dice.i32(),
                in_sync: dice.i32s(),
                eligible: dice.maybe(Dice::i32s),
                last_known_eligible: dice.maybe(Dice::i32s),
            };
            let theirs = DescribeTopicPartitionsResponsePartition::default()
                .with_error_code(partition.error_code)
                .with_partition_index(partition.index)
                .with_leader_id(BrokerId(partition.leader))
                .with_leader_epoch(partition.leader_epoch)
                .with_replica_nodes(brokers(&dice.i32s()))
                .with_isr_nodes(brokers(&partition.in_sync))
                .with_eligible_leader_replicas(partition.eligible.as_deref().map(brokers))
                .with_last_known_elr(partition.last_known_eligible.as_deref().map(brokers))
                .with_offline_replicas(brokers(&dice.i32s()))
                .with_unknown_tagged_fields(dice.tags());
            (theirs, partition)
        });
        let theirs = DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(error_code)
            .with_name(name.as_deref().map(topic))
            .with_topic_id(uuid(dice.uuid()))
            .with_is_internal(dice.bool())
            .with_partitions(their_partitions)
            .with_topic_authorized_operations(dice.i32())
            .with_unknown_tagged_fields(dice.tags());
        (theirs, TopicReplicas { error_code, name, partitions })
    });
    let next = dice.maybe(|dice| Cursor { topic: dice.text(), partition: dice.i32() });
    let cursor = next.as_ref().map(|next| {
        let cursor = TheirCursor::default().with_topic_name(topic(&next.topic)).with_partition_index(next.partition);
        cursor.with_unknown_tagged_fields(dice.tags())
    });
    let answer = theirs::DescribeTopicPartitionsResponse::default()
        .with_throttle_time_ms(dice.i32())
        .with_topics(their_topics)
        .with_next_cursor(cursor)
        .with_unknown_tagged_fields(dice.tags());
    (answer, Page { topics, next })
}
