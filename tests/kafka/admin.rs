//! What an operator may do to a topic, its clients and the cluster: more partitions, other replicas, ACLs, quotas, features.

use std::collections::BTreeMap;

use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::update_features_request::FeatureUpdateKey;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterPartitionReassignmentsRequest, ApiVersionsRequest, CreateAclsRequest,
    CreatePartitionsRequest, DeleteAclsRequest, UpdateFeaturesRequest,
};

use super::Error;
use super::call::accepted;
use super::client::{Client, accepted_or, text, topic_name};

/// What an ACL is about; every principal of a cluster without authentication is `User:ANONYMOUS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    All,
    Read,
    Write,
    Describe,
    DescribeConfigs,
}

impl Operation {
    fn code(self) -> i8 {
        match self {
            Self::All => 2,
            Self::Read => 3,
            Self::Write => 4,
            Self::Describe => 8,
            Self::DescribeConfigs => 10,
        }
    }
}

/// Something a user is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    /// On what.
    pub(crate) resource: Resource,
    /// Its name, `*` for all of them, or with [`Resource::TransactionalIds`] and [`Resource::Groups`] a beginning.
    pub(crate) name: &'static str,
    pub(crate) operation: Operation,
}

/// What an ACL may be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Topic,
    Group,
    /// The groups that begin so.
    Groups,
    Cluster,
    TransactionalId,
    /// The transactional ids that begin so.
    TransactionalIds,
}

impl Resource {
    /// The codes of its type and of its kind of pattern.
    fn codes(self) -> (i8, i8) {
        const PREFIXED: i8 = 4;
        match self {
            Self::Topic => (TOPIC, LITERAL),
            Self::Group => (3, LITERAL),
            Self::Groups => (3, PREFIXED),
            Self::Cluster => (4, LITERAL),
            Self::TransactionalId => (5, LITERAL),
            Self::TransactionalIds => (5, PREFIXED),
        }
    }
}

const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const DENY: i8 = 2;
const ALLOW: i8 = 3;
const ANONYMOUS: &str = "User:ANONYMOUS";

impl Client {
    /// Adds partitions with exactly these replicas behind the `present` ones, and returns when all have leaders.
    pub(crate) async fn add_partitions(&self, topic: &str, present: usize, replicas: &[&[i32]]) -> Result<(), Error> {
        let count = present + replicas.len();
        let assignments = replicas.iter().map(|replicas| {
            CreatePartitionsAssignment::default().with_broker_ids(replicas.iter().map(|id| (*id).into()).collect())
        });
        let wanted = CreatePartitionsTopic::default()
            .with_name(topic_name(topic))
            .with_count(i32::try_from(count).expect("few partitions"))
            .with_assignments(Some(assignments.collect()));
        let request = CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(20_000);
        for added in self.ask_controller("CreatePartitions", 3, &request).await?.results {
            accepted_or("CreatePartitions", added.error_code, added.error_message.as_ref())?;
        }
        self.until_led(topic, count).await
    }

    /// Gives the partitions of a topic these replicas, and does not wait for them.
    pub(crate) async fn reassign(&self, topic: &str, replicas: &[&[i32]]) -> Result<(), Error> {
        let partitions = (0..).zip(replicas).map(|(index, replicas)| {
            let brokers = replicas.iter().map(|id| (*id).into()).collect();
            ReassignablePartition::default().with_partition_index(index).with_replicas(Some(brokers))
        });
        let of_topic = ReassignableTopic::default().with_name(topic_name(topic)).with_partitions(partitions.collect());
        let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![of_topic]).with_timeout_ms(20_000);
        let answer = self.ask_controller("AlterPartitionReassignments", 0, &request).await?;
        accepted_or("AlterPartitionReassignments", answer.error_code, answer.error_message.as_ref())?;
        for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            accepted_or("AlterPartitionReassignments", partition.error_code, partition.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Allows everything on a topic; without an ACL of its own, the first DENY would be the only word on it.
    pub(crate) async fn allow(&self, topic: &str) -> Result<(), Error> {
        self.create_acl(topic, Operation::All, ALLOW).await
    }

    /// Denies everybody an operation on a topic.
    pub(crate) async fn deny(&self, topic: &str, operation: Operation) -> Result<(), Error> {
        self.create_acl(topic, operation, DENY).await
    }

    async fn create_acl(&self, topic: &str, operation: Operation, permission: i8) -> Result<(), Error> {
        let acl = AclCreation::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_resource_pattern_type(LITERAL)
            .with_principal(text(ANONYMOUS))
            .with_host(text("*"))
            .with_operation(operation.code())
            .with_permission_type(permission);
        let request = CreateAclsRequest::default().with_creations(vec![acl]);
        for created in self.ask_any("CreateAcls", 3, &request).await?.results {
            accepted_or("CreateAcls", created.error_code, created.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Allows a user something.
    pub(crate) async fn grant(&self, user: &str, acls: &[Acl]) -> Result<(), Error> {
        let creations = acls.iter().map(|acl| {
            let (resource, pattern) = acl.resource.codes();
            AclCreation::default()
                .with_resource_type(resource)
                .with_resource_name(text(acl.name))
                .with_resource_pattern_type(pattern)
                .with_principal(text(&format!("User:{user}")))
                .with_host(text("*"))
                .with_operation(acl.operation.code())
                .with_permission_type(ALLOW)
        });
        let request = CreateAclsRequest::default().with_creations(creations.collect());
        for created in self.ask_any("CreateAcls", 3, &request).await?.results {
            accepted_or("CreateAcls", created.error_code, created.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Takes back what a user was allowed.
    pub(crate) async fn revoke(&self, user: &str, acl: &Acl) -> Result<(), Error> {
        let (resource, pattern) = acl.resource.codes();
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(resource)
            .with_resource_name_filter(Some(text(acl.name)))
            .with_pattern_type_filter(pattern)
            .with_principal_filter(Some(text(&format!("User:{user}"))))
            .with_host_filter(None)
            .with_operation(acl.operation.code())
            .with_permission_type(ALLOW);
        let request = DeleteAclsRequest::default().with_filters(vec![filter]);
        for deleted in self.ask_any("DeleteAcls", 3, &request).await?.filter_results {
            accepted_or("DeleteAcls", deleted.error_code, deleted.error_message.as_ref())?;
            assert_eq!(deleted.matching_acls.len(), 1, "{acl:?} was granted");
        }
        Ok(())
    }

    /// Takes a denial back.
    pub(crate) async fn deny_no_more(&self, topic: &str, operation: Operation) -> Result<(), Error> {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(TOPIC)
            .with_resource_name_filter(Some(text(topic)))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(Some(text(ANONYMOUS)))
            .with_host_filter(None)
            .with_operation(operation.code())
            .with_permission_type(DENY);
        let request = DeleteAclsRequest::default().with_filters(vec![filter]);
        for deleted in self.ask_any("DeleteAcls", 3, &request).await?.filter_results {
            accepted_or("DeleteAcls", deleted.error_code, deleted.error_message.as_ref())?;
        }
        Ok(())
    }

    /// Limits clients of this client id to so many bytes a second in each direction; nothing lifts the limit.
    pub(crate) async fn limit(&self, client_id: &str, bytes_per_second: Option<f64>) -> Result<(), Error> {
        let entity = EntityData::default().with_entity_type(text("client-id")).with_entity_name(Some(text(client_id)));
        let ops = ["producer_byte_rate", "consumer_byte_rate"].map(|key| {
            let value = bytes_per_second.unwrap_or_default();
            OpData::default().with_key(text(key)).with_value(value).with_remove(bytes_per_second.is_none())
        });
        let entry = EntryData::default().with_entity(vec![entity]).with_ops(ops.to_vec());
        let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
        for altered in self.ask_any("AlterClientQuotas", 1, &request).await?.entries {
            accepted("AlterClientQuotas", altered.error_code)?;
        }
        Ok(())
    }
}

impl Client {
    /// The features of the cluster and their levels.
    pub(crate) async fn features(&self) -> Result<BTreeMap<String, i16>, Error> {
        let answer = self.ask_any("ApiVersions", 3, &api_versions()).await?;
        accepted("ApiVersions", answer.error_code)?;
        let levels = answer.finalized_features.iter().map(|one| (one.name.to_string(), one.max_version_level));
        Ok(levels.collect())
    }

    /// Raises every feature to the highest level that all nodes know, as `kafka-features upgrade` does after the last of them
    /// was upgraded. `kraft.version` stays: it is about controllers that come and go.
    pub(crate) async fn take_up_features(&self) -> Result<(), Error> {
        const METADATA: &str = "metadata.version";
        const UPGRADE: i8 = 1;
        let answer = self.ask_any("ApiVersions", 3, &api_versions()).await?;
        let supported = answer.supported_features.iter().map(|one| (one.name.to_string(), one.max_version));
        let mut wanted: BTreeMap<String, i16> = supported.filter(|(name, _)| name != "kraft.version").collect();
        // The levels of all others suppose that of the metadata.
        let first = wanted.remove_entry(METADATA).into_iter().collect();
        for levels in [first, wanted] {
            let updates = levels.into_iter().map(|(feature, level)| {
                let update = FeatureUpdateKey::default().with_feature(text(&feature)).with_max_version_level(level);
                update.with_upgrade_type(UPGRADE)
            });
            let request =
                UpdateFeaturesRequest::default().with_feature_updates(updates.collect()).with_timeout_ms(20_000);
            let answer = self.ask_controller("UpdateFeatures", 1, &request).await?;
            accepted_or("UpdateFeatures", answer.error_code, answer.error_message.as_ref())?;
            for updated in answer.results {
                accepted_or("UpdateFeatures", updated.error_code, updated.error_message.as_ref())?;
            }
        }
        Ok(())
    }
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest::default().with_client_software_name(text("tests")).with_client_software_version(text("1"))
}

/// The id of the leader of the controllers' quorum, as a broker knows it.
pub(crate) async fn quorum_leader(client: &Client) -> Result<i32, Error> {
    use kafka_protocol::messages::DescribeQuorumRequest;
    use kafka_protocol::messages::describe_quorum_request::{PartitionData, TopicData};
    let partition = PartitionData::default().with_partition_index(0);
    let topic = TopicData::default().with_topic_name(topic_name("__cluster_metadata")).with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = client.ask_any("DescribeQuorum", 0, &request).await?;
    accepted("DescribeQuorum", answer.error_code)?;
    let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
    let partition = partition.ok_or(Error::Codec { request: "DescribeQuorum", text: "empty answer".to_owned() })?;
    accepted("DescribeQuorum", partition.error_code)?;
    Ok(partition.leader_id.0)
}
