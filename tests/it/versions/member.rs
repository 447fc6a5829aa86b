//! A member of a group of KIP-848, by hand: librdkafka speaks only the version of its heartbeat that came with Kafka 4.0.

use std::time::Duration;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, GroupId, OffsetCommitRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::task::JoinHandle;

use crate::apis::{ask, text};
use crate::kafka::{Cluster, Error, until};
use crate::stage::SOON;

/// A member that has both partitions of `orders`, and beats until it is dropped.
pub(super) struct Member {
    beats: JoinHandle<()>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

/// What a member says of itself.
#[derive(Clone)]
struct Standing {
    group: GroupId,
    id: StrBytes,
    epoch: i32,
    owned: Vec<TopicPartitions>,
}

impl Standing {
    fn beat(&self) -> ConsumerGroupHeartbeatRequest {
        let beat = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(self.id.clone())
            .with_member_epoch(self.epoch)
            .with_topic_partitions(Some(self.owned.clone()));
        if self.epoch > 0 {
            return beat;
        }
        beat.with_rebalance_timeout_ms(30_000).with_subscribed_topic_names(Some(vec![TopicName(text("orders"))]))
    }

    /// Takes over what it is told.
    fn follow(&mut self, answer: ConsumerGroupHeartbeatResponse) {
        self.id = answer.member_id.unwrap_or_default();
        self.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            let owned = assignment.topic_partitions.into_iter().map(|of_topic| {
                TopicPartitions::default().with_topic_id(of_topic.topic_id).with_partitions(of_topic.partitions)
            });
            self.owned = owned.collect();
        }
    }
}

/// Joins a group, and commits these offsets of the two partitions of `orders`.
pub(super) async fn join(cluster: &Cluster, group: &str, offsets: [i64; 2]) -> Result<Member, Error> {
    let mut standing = Standing { group: GroupId(text(group)), id: StrBytes::default(), epoch: 0, owned: Vec::new() };
    let port = until("the member has its partitions", SOON, async || {
        let port = cluster.port(cluster.client().coordinator(group).await?);
        let answer = ask(port, 0, &standing.beat()).await;
        if answer.error_code != 0 {
            return Err(Error::NotYet(format!("{answer:?}")));
        }
        standing.follow(answer);
        match standing.owned.first() {
            Some(owned) if owned.partitions.len() == 2 => Ok(port),
            other => Err(Error::NotYet(format!("{other:?}"))),
        }
    })
    .await?;
    let of_partition = |(partition, offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")))
    };
    let of_topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions((0..).zip(offsets).map(of_partition).collect());
    let commit = OffsetCommitRequest::default()
        .with_group_id(standing.group.clone())
        .with_member_id(standing.id.clone())
        .with_generation_id_or_member_epoch(standing.epoch)
        .with_topics(vec![of_topic]);
    let answer = ask(port, 9, &commit).await;
    let codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, 0], "{answer:?}");
    let beats = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(500));
        loop {
            ticks.tick().await;
            let answer = ask(port, 0, &standing.beat()).await;
            assert_eq!(answer.error_code, 0, "{answer:?}");
            standing.follow(answer);
        }
    });
    Ok(Member { beats })
}
