//! The answers of a scripted broker.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::consumer_group_describe_response as group_describe;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, DescribeGroupsRequest, DescribeGroupsResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupId, ListGroupsResponse,
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetFetchRequest,
    OffsetFetchResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, SaslAuthenticateResponse,
    SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::broker::Script;

/// The APIs offered, each with its newest version.
const OFFERED: [(i16, i16); 9] = [(18, 3), (3, 12), (16, 5), (15, 5), (69, 0), (9, 9), (2, 7), (23, 4), (32, 4)];

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).expect("a message of that version");
    bytes.freeze()
}

/// The body of broker `id`'s answer to one request.
pub(crate) fn answer(id: i32, script: &Script, api: i16, version: i16, mut body: Bytes) -> Bytes {
    let error = script.errors.get(&(id, api)).copied().unwrap_or(0);
    let throttle = script.throttles.get(&(id, api)).copied().unwrap_or(0);
    match api {
        18 => encoded(&api_versions(script), version),
        3 => {
            let request = MetadataRequest::decode(&mut body, version).expect("a request");
            encoded(&metadata(id, script, &request, version).with_throttle_time_ms(throttle), version)
        }
        16 => encoded(&list_groups(id, script, error, version).with_throttle_time_ms(throttle), version),
        15 => {
            let request = DescribeGroupsRequest::decode(&mut body, version).expect("a request");
            encoded(&describe_groups(script, &request, error).with_throttle_time_ms(throttle), version)
        }
        69 => {
            let request = ConsumerGroupDescribeRequest::decode(&mut body, version).expect("a request");
            encoded(&consumer_group_describe(&request, error), version)
        }
        9 => {
            let request = OffsetFetchRequest::decode(&mut body, version).expect("a request");
            encoded(&offset_fetch(script, &request, error, version).with_throttle_time_ms(throttle), version)
        }
        2 => {
            let request = ListOffsetsRequest::decode(&mut body, version).expect("a request");
            encoded(&list_offsets(id, script, &request, error).with_throttle_time_ms(throttle), version)
        }
        23 => {
            let request = OffsetForLeaderEpochRequest::decode(&mut body, version).expect("a request");
            encoded(&offset_for_leader_epoch(id, script, &request, error), version)
        }
        32 => {
            let request = DescribeConfigsRequest::decode(&mut body, version).expect("a request");
            encoded(&describe_configs(&request, error), version)
        }
        17 => {
            let handshake =
                SaslHandshakeResponse::default().with_error_code(error).with_mechanisms(vec![text("PLAIN")]);
            encoded(&handshake, version)
        }
        36 => encoded(&SaslAuthenticateResponse::default().with_error_code(error), version),
        10 => {
            let request = FindCoordinatorRequest::decode(&mut body, version).expect("a request");
            encoded(&find_coordinator(id, &request, error), version)
        }
        65 => {
            let request = DescribeTransactionsRequest::decode(&mut body, version).expect("a request");
            encoded(&describe_transactions(&request, error), version)
        }
        other => panic!("API {other} is not offered"),
    }
}

fn api_versions(script: &Script) -> ApiVersionsResponse {
    let mut offered: std::collections::BTreeMap<i16, i16> = OFFERED.into_iter().collect();
    offered.extend(&script.newest);
    let keys = offered.iter().map(|(api, newest)| ApiVersion::default().with_api_key(*api).with_max_version(*newest));
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

fn metadata(id: i32, script: &Script, request: &MetadataRequest, version: i16) -> MetadataResponse {
    let brokers = script.brokers.iter().map(|(id, port)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(*id))
            .with_host(text("127.0.0.1"))
            .with_port(i32::from(*port))
    });
    let wanted: Option<Vec<String>> = request
        .topics
        .as_ref()
        .map(|topics| topics.iter().filter_map(|topic| topic.name.as_ref()).map(|name| name.0.to_string()).collect());
    let topics = script.views.get(&id).unwrap_or(&script.topics).iter();
    let topics = topics.filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| one == *name)));
    let topics = topics.map(|(name, partitions)| {
        let partitions = partitions.iter().zip(0..).map(|((leader, epoch), index)| {
            MetadataResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(*leader))
                .with_leader_epoch(*epoch)
                .with_replica_nodes(script.brokers.keys().copied().map(BrokerId).collect())
                .with_isr_nodes(script.brokers.keys().copied().map(BrokerId).collect())
        });
        let seen = MetadataResponseTopic::default()
            .with_name(Some(topic(name)))
            .with_is_internal(name.starts_with("__"))
            .with_partitions(partitions.collect());
        if version < 10 {
            return seen;
        }
        seen.with_topic_id("00000000-0000-0000-0000-000000000007".parse().expect("an id"))
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text("scripted")))
        .with_controller_id(BrokerId(1))
        .with_topics(topics.collect())
}

fn list_groups(id: i32, script: &Script, error: i16, version: i16) -> ListGroupsResponse {
    let listed = script.listed.iter().filter(|(_, (brokers, _))| brokers.contains(&id));
    let groups = listed.map(|(name, (_, group_type))| {
        let listed = ListedGroup::default().with_group_id(group(name)).with_protocol_type(text("consumer"));
        let state = script.states.get(name).unwrap_or(&"Stable");
        let listed = if version >= 4 { listed.with_group_state(text(state)) } else { listed };
        if version >= 5 { listed.with_group_type(text(group_type)) } else { listed }
    });
    ListGroupsResponse::default().with_error_code(error).with_groups(groups.collect())
}

fn describe_groups(script: &Script, request: &DescribeGroupsRequest, error: i16) -> DescribeGroupsResponse {
    let groups = request.groups.iter().map(|id| {
        let state = match script.listed.contains_key(id.0.as_str()) {
            true => script.states.get(id.0.as_str()).copied().unwrap_or("Stable"),
            false => "Dead",
        };
        DescribedGroup::default()
            .with_error_code(error)
            .with_group_id(id.clone())
            .with_group_state(text(if error == 0 { state } else { "" }))
            .with_protocol_type(text("consumer"))
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn consumer_group_describe(request: &ConsumerGroupDescribeRequest, error: i16) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.iter().map(|id| {
        group_describe::DescribedGroup::default()
            .with_error_code(error)
            .with_group_id(id.clone())
            .with_group_state(text("Assigning"))
    });
    ConsumerGroupDescribeResponse::default().with_groups(groups.collect())
}

fn offset_fetch(script: &Script, request: &OffsetFetchRequest, error: i16, version: i16) -> OffsetFetchResponse {
    let of = |id: &str| script.commits.get(id).cloned().unwrap_or_default();
    let with_epoch = version >= 5;
    if version < 8 {
        let topics = of(&request.group_id.0).into_iter().map(|(name, partition, offset, epoch)| {
            let commit = OffsetFetchResponsePartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(if with_epoch { epoch } else { -1 });
            OffsetFetchResponseTopic::default().with_name(topic(name)).with_partitions(vec![commit])
        });
        return OffsetFetchResponse::default().with_error_code(error).with_topics(topics.collect());
    }
    let groups = request.groups.iter().map(|asked| {
        let topics = of(&asked.group_id.0).into_iter().map(|(name, partition, offset, epoch)| {
            let commit = OffsetFetchResponsePartitions::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(epoch);
            OffsetFetchResponseTopics::default().with_name(topic(name)).with_partitions(vec![commit])
        });
        OffsetFetchResponseGroup::default()
            .with_group_id(asked.group_id.clone())
            .with_error_code(error)
            .with_topics(if error == 0 { topics.collect() } else { Vec::new() })
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

/// What the real leader checks: that it leads, and in the term it is asked in.
fn refusal(id: i32, script: &Script, name: &str, partition: i32, current: i32) -> i16 {
    let index = usize::try_from(partition).expect("an index");
    match script.topics.get(name).and_then(|partitions| partitions.get(index)) {
        None => 3,
        Some((leader, _)) if *leader != id => 6,
        Some((_, epoch)) if current >= 0 && current < *epoch => 74,
        Some((_, epoch)) if current > *epoch => 75,
        Some(_) => 0,
    }
}

fn list_offsets(id: i32, script: &Script, request: &ListOffsetsRequest, error: i16) -> ListOffsetsResponse {
    let (start, stable, high) = script.ends;
    let topics = request.topics.iter().map(|asked| {
        let partitions = asked.partitions.iter().map(|asked_partition| {
            let offset = match (asked_partition.timestamp, request.isolation_level) {
                (-2, _) => start,
                (_, 1) => stable,
                _ => high,
            };
            let index = asked_partition.partition_index;
            let refusal = refusal(id, script, &asked.name.0, index, asked_partition.current_leader_epoch);
            let code = if error == 0 { refusal } else { error };
            ListOffsetsPartitionResponse::default()
                .with_partition_index(index)
                .with_error_code(code)
                .with_offset(if code == 0 { offset } else { -1 })
        });
        ListOffsetsTopicResponse::default().with_name(asked.name.clone()).with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn offset_for_leader_epoch(
    id: i32,
    script: &Script,
    request: &OffsetForLeaderEpochRequest,
    error: i16,
) -> OffsetForLeaderEpochResponse {
    let (epoch, end) = script.epoch_end;
    let topics = request.topics.iter().map(|asked| {
        let partitions = asked.partitions.iter().map(|question| {
            let refusal = refusal(id, script, &asked.topic.0, question.partition, question.current_leader_epoch);
            let code = if error == 0 { refusal } else { error };
            EpochEndOffset::default()
                .with_error_code(code)
                .with_partition(question.partition)
                .with_leader_epoch(if code == 0 { epoch.min(question.leader_epoch) } else { -1 })
                .with_end_offset(if code == 0 { end } else { -1 })
        });
        OffsetForLeaderTopicResult::default().with_topic(asked.topic.clone()).with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn describe_configs(request: &DescribeConfigsRequest, error: i16) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let setting =
            DescribeConfigsResourceResult::default().with_name(text("min.insync.replicas")).with_value(Some(text("2")));
        DescribeConfigsResult::default()
            .with_error_code(error)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_configs(if error == 0 { vec![setting] } else { Vec::new() })
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

/// Every broker says that it is the coordinator itself.
fn find_coordinator(id: i32, request: &FindCoordinatorRequest, error: i16) -> FindCoordinatorResponse {
    let coordinators = request
        .coordinator_keys
        .iter()
        .map(|key| Coordinator::default().with_key(key.clone()).with_node_id(BrokerId(id)).with_error_code(error));
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}

fn describe_transactions(request: &DescribeTransactionsRequest, error: i16) -> DescribeTransactionsResponse {
    let states = request
        .transactional_ids
        .iter()
        .map(|id| TransactionState::default().with_transactional_id(id.clone()).with_error_code(error));
    DescribeTransactionsResponse::default().with_transaction_states(states.collect())
}
