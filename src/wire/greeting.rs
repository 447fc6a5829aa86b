//! Visits every address by itself, for an operator who asks whether it can be reached: what a turn passes over.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::api::Request;
use super::api::consumer_group_describe::ConsumerGroupDescribe;
use super::api::describe_configs::DescribeConfigs;
use super::api::describe_groups::DescribeGroups;
use super::api::list_groups::ListGroups;
use super::api::list_offsets::ListOffsets;
use super::api::metadata::Metadata;
use super::api::offset_fetch::OffsetFetch;
use super::api::offset_for_leader_epoch::OffsetForLeaderEpoch;
use super::cluster::{Cluster, Shared};
use super::connection::{CallError, Connection};
use super::pool::{Lane, Peer};
use crate::model::{BrokerId, TopicName};

/// One visit to one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Where: `HOST:PORT`.
    pub address: String,
    /// Whose address the metadata says it is; none for one that was configured.
    pub broker: Option<BrokerId>,
    /// What was answered, or why nothing was.
    pub answer: Result<Greeted, String>,
}

/// What a broker said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeted {
    /// How long the connection and its first answer took.
    pub took: Duration,
    /// Kafka's id of the cluster it belongs to; none where it does not tell.
    pub cluster_id: Option<String>,
    /// Each API that is read, and the version both sides speak; none where there is none.
    pub apis: Vec<(&'static str, Option<i16>)>,
}

impl Cluster {
    /// Visits the bootstrap addresses, then the brokers that the last turn saw. `topic` need not exist: it is only asked
    /// about, and not created by that.
    pub async fn greetings(&self, topic: &TopicName) -> Vec<Greeting> {
        let shared = &self.shared;
        let view = shared.view();
        let configured = shared.bootstrap.iter().map(|address| (None, Peer::Bootstrap(address.clone())));
        let present = view.topology.brokers.keys().filter_map(|id| Some((*id, view.addresses.get(id)?.clone())));
        let known = present.map(|(id, address)| (Some(id), Peer::Broker(id, address)));
        let visits = configured.chain(known).map(|(broker, peer)| async move {
            let answer = shared.greet(&peer, topic).await.map_err(|error| error.to_string());
            Greeting { address: peer.address().to_string(), broker, answer }
        });
        join_all(visits).await
    }
}

impl Shared {
    async fn greet(&self, peer: &Peer, topic: &TopicName) -> Result<Greeted, CallError> {
        let begun = Instant::now();
        let deadline = begun + self.options.connect_timeout;
        let line = self.pool.line(peer, Lane::Witness, deadline).await?;
        let took = begun.elapsed();
        let deadline = Instant::now() + self.options.request_timeout;
        let metadata = line.connection.call(&Metadata::Topic(topic.as_str().to_owned()), deadline).await?;
        Ok(Greeted { took, cluster_id: metadata.cluster_id, apis: apis(&line.connection) })
    }
}

fn apis(connection: &Connection) -> Vec<(&'static str, Option<i16>)> {
    fn api<R: Request>(connection: &Connection) -> (&'static str, Option<i16>) {
        (R::NAME, connection.version::<R>().ok())
    }
    vec![
        api::<Metadata>(connection),
        api::<ListGroups>(connection),
        api::<DescribeGroups>(connection),
        api::<ConsumerGroupDescribe>(connection),
        api::<OffsetFetch>(connection),
        api::<ListOffsets>(connection),
        api::<OffsetForLeaderEpoch>(connection),
        api::<DescribeConfigs>(connection),
    ]
}
