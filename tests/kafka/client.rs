//! What a test does to a cluster and asks of it, past the code under test: topics, commits, metadata.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, FindCoordinatorRequest, GroupId,
    IncrementalAlterConfigsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::call::{METADATA, accepted, brokers_named_at, call, controller_named_at};
use super::{Error, until};

/// How long a broker may take to answer a request that changes something.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long a cluster may take to get where a `until_…` waits for: a fencing, an election, a catch-up, on a busy machine.
const SETTLE_LIMIT: Duration = Duration::from_secs(60);

/// A way to talk to all brokers of a cluster, by broker id; it stays valid over kills and restarts.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    ports: BTreeMap<i32, u16>,
}

/// What one broker's metadata says of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) index: i32,
    /// `None` while there is no leader.
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    /// In the order of assignment, the preferred leader first.
    pub(crate) replicas: Vec<i32>,
    /// In-sync replicas, ascending.
    pub(crate) in_sync: Vec<i32>,
    /// Offline replicas, ascending.
    pub(crate) offline: Vec<i32>,
}

impl Client {
    /// A client of the brokers at these ports of 127.0.0.1.
    pub(crate) fn new(ports: BTreeMap<i32, u16>) -> Self {
        Self { ports }
    }

    /// A client that knows this broker alone, and does not wait for the others.
    pub(crate) fn only(&self, id: i32) -> Result<Self, Error> {
        Ok(Self { ports: [(id, self.port(id)?)].into() })
    }

    /// `bootstrap.servers` with every broker.
    pub(crate) fn bootstrap(&self) -> String {
        self.ports.values().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Creates a topic with exactly these replicas (one slice per partition, the preferred leader first, all of one
    /// length), and returns when every broker that answers knows all its leaders.
    pub(crate) async fn create_topic(
        &self,
        topic: &str,
        replicas: &[&[i32]],
        configs: &[(&str, &str)],
    ) -> Result<(), Error> {
        let assignment = (0..).zip(replicas).map(|(index, replicas)| {
            let brokers = replicas.iter().map(|id| (*id).into()).collect();
            CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(brokers)
        });
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
        let creatable = CreatableTopic::default()
            .with_name(topic_name(topic))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(assignment.collect())
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default().with_topics(vec![creatable]).with_timeout_ms(20_000);
        let answer = self.ask_controller("CreateTopics", 7, &request).await?;
        for created in &answer.topics {
            accepted_or("CreateTopics", created.error_code, created.error_message.as_ref())?;
        }
        self.until_led(topic, replicas.len()).await
    }

    /// Deletes a topic, and returns when no broker that answers knows it.
    pub(crate) async fn delete_topic(&self, topic: &str) -> Result<(), Error> {
        let state = DeleteTopicState::default().with_name(Some(topic_name(topic)));
        let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(20_000);
        for deleted in self.ask_controller("DeleteTopics", 6, &request).await?.responses {
            accepted("DeleteTopics", deleted.error_code)?;
        }
        until(&format!("no broker knows {topic}"), SETTLE_LIMIT, async || {
            for (id, partitions) in self.metadata_everywhere(topic).await? {
                if partitions.is_ok() {
                    return Err(Error::NotYet(format!("broker {id} knows it")));
                }
            }
            Ok(())
        })
        .await
    }

    /// Sets these configuration keys of a topic and leaves the others alone.
    pub(crate) async fn alter_topic(&self, topic: &str, configs: &[(&str, &str)]) -> Result<(), Error> {
        const TOPIC: i8 = 2;
        const SET: i8 = 0;
        let configs = configs.iter().map(|(name, value)| {
            let config = AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
            config.with_config_operation(SET)
        });
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(configs.collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        for altered in self.ask_any("IncrementalAlterConfigs", 1, &request).await?.responses {
            accepted_or("IncrementalAlterConfigs", altered.error_code, altered.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Deletes the records below `offset` and returns the log start offset after it.
    pub(crate) async fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<i64, Error> {
        let until_offset = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
        let of_topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![until_offset]);
        let request = DeleteRecordsRequest::default().with_topics(vec![of_topic]).with_timeout_ms(20_000);
        let leader = self.partition(topic, partition).await?.leader;
        let leader = leader.ok_or_else(|| Error::NotYet(format!("{topic}-{partition} has no leader")))?;
        let answer = call("DeleteRecords", self.port(leader)?, 2, &request, ANSWER_LIMIT).await?;
        let results = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let mut log_start_offset = None;
        for result in results {
            accepted("DeleteRecords", result.error_code)?;
            log_start_offset = Some(result.low_watermark);
        }
        log_start_offset.ok_or(Error::Codec { request: "DeleteRecords", text: "empty answer".to_owned() })
    }

    /// Commits an offset for a group without members, with no leader epoch and no metadata.
    pub(crate) async fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64) -> Result<(), Error> {
        self.commit_with(group, topic, partition, offset, None, "").await
    }

    /// Commits an offset for a group without members; `leader_epoch` is that of the last record read, if there is one.
    pub(crate) async fn commit_with(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        leader_epoch: Option<i32>,
        metadata: &str,
    ) -> Result<(), Error> {
        let of_partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(leader_epoch.unwrap_or(-1))
            .with_committed_metadata(Some(text(metadata)));
        let of_topic =
            OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(vec![of_partition]);
        // Generation -1 and no member: a commit by hand, which Kafka takes while the group has no members.
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![of_topic]);
        until(&format!("the commit of {group} is taken"), SETTLE_LIMIT, async || {
            let coordinator = self.coordinator(group).await?;
            let answer = call("OffsetCommit", self.port(coordinator)?, 8, &request, ANSWER_LIMIT).await?;
            for committed in answer.topics.iter().flat_map(|topic| &topic.partitions) {
                accepted("OffsetCommit", committed.error_code)?;
            }
            Ok(())
        })
        .await
    }

    /// The committed offset and leader epoch of a group on one partition, as its coordinator keeps them.
    pub(crate) async fn committed(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<(i64, Option<i32>)>, Error> {
        let of_topic =
            OffsetFetchRequestTopic::default().with_name(topic_name(topic)).with_partition_indexes(vec![partition]);
        let request =
            OffsetFetchRequest::default().with_group_id(GroupId(text(group))).with_topics(Some(vec![of_topic]));
        let coordinator = self.coordinator(group).await?;
        let answer = call("OffsetFetch", self.port(coordinator)?, 7, &request, ANSWER_LIMIT).await?;
        accepted("OffsetFetch", answer.error_code)?;
        let mut committed = None;
        for found in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            accepted("OffsetFetch", found.error_code)?;
            let epoch = (found.committed_leader_epoch >= 0).then_some(found.committed_leader_epoch);
            committed = (found.committed_offset >= 0).then_some((found.committed_offset, epoch));
        }
        Ok(committed)
    }

    /// The broker that coordinates a group.
    pub(crate) async fn coordinator(&self, group: &str) -> Result<i32, Error> {
        let request = FindCoordinatorRequest::default().with_key_type(0).with_key(text(group));
        let found = self.ask_any("FindCoordinator", 3, &request).await?;
        accepted("FindCoordinator", found.error_code)?;
        Ok(found.node_id.0)
    }

    /// What broker `asked` says of a topic's partitions, ascending by index.
    pub(crate) async fn metadata(&self, asked: i32, topic: &str) -> Result<Vec<Partition>, Error> {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
        let request = MetadataRequest::default().with_topics(Some(vec![wanted]));
        let answer = call("Metadata", self.port(asked)?, METADATA, &request, Duration::from_secs(2)).await?;
        let mut partitions = Vec::new();
        for topic in answer.topics {
            accepted("Metadata", topic.error_code)?;
            partitions.extend(topic.partitions.into_iter().map(|partition| Partition {
                index: partition.partition_index,
                leader: (partition.leader_id.0 >= 0).then_some(partition.leader_id.0),
                leader_epoch: partition.leader_epoch,
                replicas: partition.replica_nodes.iter().map(|id| id.0).collect(),
                in_sync: ascending(&partition.isr_nodes),
                offline: ascending(&partition.offline_replicas),
            }));
        }
        partitions.sort_by_key(|partition| partition.index);
        Ok(partitions)
    }

    /// What the first broker that answers says of one partition.
    pub(crate) async fn partition(&self, topic: &str, index: i32) -> Result<Partition, Error> {
        let (_, partitions) = self.metadata_everywhere(topic).await?.swap_remove(0);
        let found = partitions?.into_iter().find(|partition| partition.index == index);
        found.ok_or_else(|| Error::NotYet(format!("{topic} has no partition {index}")))
    }

    /// Waits until every broker that answers says of a partition what `holds` wants.
    pub(crate) async fn until_partition(
        &self,
        what: &str,
        topic: &str,
        index: i32,
        holds: impl Fn(&Partition) -> bool,
    ) -> Result<Partition, Error> {
        until(&format!("{topic}-{index}: {what}"), SETTLE_LIMIT, async || {
            let mut last = Err(Error::NotYet("no broker answers".to_owned()));
            for (id, partitions) in self.metadata_everywhere(topic).await? {
                let found = partitions?.into_iter().find(|partition| partition.index == index);
                match found {
                    Some(partition) if holds(&partition) => last = Ok(partition),
                    other => return Err(Error::NotYet(format!("broker {id} says {other:?}"))),
                }
            }
            last
        })
        .await
    }

    /// Waits until these are the in-sync replicas (ascending) in the metadata of every broker that answers.
    pub(crate) async fn until_in_sync(&self, topic: &str, index: i32, in_sync: &[i32]) -> Result<Partition, Error> {
        let what = format!("in-sync replicas are {in_sync:?}");
        self.until_partition(&what, topic, index, |partition| partition.in_sync == in_sync).await
    }

    /// Waits until this is the leader in the metadata of every broker that answers; `None` waits for none.
    pub(crate) async fn until_leader(&self, topic: &str, index: i32, leader: Option<i32>) -> Result<Partition, Error> {
        let what = leader.map_or_else(|| "there is no leader".to_owned(), |id| format!("broker {id} leads"));
        self.until_partition(&what, topic, index, |partition| partition.leader == leader).await
    }

    pub(super) async fn until_led(&self, topic: &str, count: usize) -> Result<(), Error> {
        until(&format!("every partition of {topic} has a leader"), SETTLE_LIMIT, async || {
            for (id, partitions) in self.metadata_everywhere(topic).await? {
                let partitions = partitions?;
                if partitions.len() != count || partitions.iter().any(|partition| partition.leader.is_none()) {
                    return Err(Error::NotYet(format!("broker {id} says {partitions:?}")));
                }
            }
            Ok(())
        })
        .await
    }

    /// What each broker that answers says of a topic; at least one has to.
    async fn metadata_everywhere(&self, topic: &str) -> Result<Vec<(i32, Result<Vec<Partition>, Error>)>, Error> {
        let mut said = Vec::new();
        let mut silent = Error::NotYet("no broker answers".to_owned());
        for id in self.ports.keys() {
            match self.metadata(*id, topic).await {
                Err(error @ Error::System { .. }) => silent = error,
                answer => said.push((*id, answer)),
            }
        }
        if said.is_empty() { Err(silent) } else { Ok(said) }
    }

    /// The answer of the controller. Under KRaft that is any broker, which passes the request on; with a ZooKeeper it is one.
    pub(super) async fn ask_controller<R: Request>(
        &self,
        name: &'static str,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Error> {
        let mut silent = Error::NotYet("no broker answers".to_owned());
        for port in self.ports.values() {
            match controller_named_at(*port).await {
                Ok(controller) => {
                    // One that hangs may still be named; then another may pass the request on.
                    let named = self.port(controller)?;
                    let answers = brokers_named_at(named).await.is_ok();
                    return call(name, if answers { named } else { *port }, version, request, ANSWER_LIMIT).await;
                }
                Err(error) => silent = error,
            }
        }
        Err(silent)
    }

    /// The answer of the first broker that is there.
    pub(super) async fn ask_any<R: Request>(
        &self,
        name: &'static str,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Error> {
        let mut silent = Error::NotYet("no broker answers".to_owned());
        for port in self.ports.values() {
            // A stopped broker accepts connections and keeps them waiting: a short question first.
            match brokers_named_at(*port).await {
                Ok(_) => return call(name, *port, version, request, ANSWER_LIMIT).await,
                Err(error) => silent = error,
            }
        }
        Err(silent)
    }

    fn port(&self, id: i32) -> Result<u16, Error> {
        self.ports.get(&id).copied().ok_or(Error::NoSuchBroker(id))
    }
}

/// As [`accepted`], with the broker's own words if it gave any.
pub(super) fn accepted_or(request: &'static str, code: i16, message: Option<&StrBytes>) -> Result<(), Error> {
    accepted(request, code).map_err(|error| match (error, message) {
        (Error::Refused { request, code }, Some(message)) => {
            Error::Refused { request, code: format!("{code}: {}", message.as_str()) }
        }
        (error, _) => error,
    })
}

pub(super) fn text(of: &str) -> StrBytes {
    StrBytes::from_string(of.to_owned())
}

pub(super) fn topic_name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

fn ascending(ids: &[kafka_protocol::messages::BrokerId]) -> Vec<i32> {
    let mut ids: Vec<i32> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids
}
