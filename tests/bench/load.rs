//! What the daemon is to watch: topics, and groups that committed on them.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::kafka::{Client, Cluster};

const PARTITIONS_PER_TOPIC: i32 = 10;

/// Topics of ten partitions on all three brokers, and groups without members.
pub(crate) struct Load {
    pub(crate) topics: i32,
    pub(crate) groups: i32,
    /// Partitions that each group has committed.
    pub(crate) commits: i32,
}

impl Load {
    pub(crate) fn partitions(&self) -> i32 {
        self.topics * PARTITIONS_PER_TOPIC
    }

    /// Puts it on the cluster.
    pub(crate) async fn create(&self, cluster: &Cluster) {
        let client = cluster.client();
        for topic in 0..self.topics {
            let replicas: Vec<[i32; 3]> =
                (0..PARTITIONS_PER_TOPIC).map(|partition| [0, 1, 2].map(|nth| (partition + nth) % 3 + 1)).collect();
            let replicas: Vec<&[i32]> = replicas.iter().map(<[i32; 3]>::as_slice).collect();
            client.create_topic(&name(topic), &replicas, &[]).await.expect("the topic is created");
        }
        for group in 0..self.groups {
            let mut commits = TopicPartitionList::new();
            for nth in 0..self.commits {
                let index = (group * self.commits + nth) % self.partitions();
                let (topic, partition) = (name(index / PARTITIONS_PER_TOPIC), index % PARTITIONS_PER_TOPIC);
                commits.add_partition_offset(&topic, partition, Offset::Offset(0)).expect("an offset of ours");
            }
            commit(&client, format!("billing-{group}"), commits).await;
        }
    }
}

fn name(topic: i32) -> String {
    format!("orders-{topic}")
}

async fn commit(client: &Client, group: String, commits: TopicPartitionList) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", client.bootstrap()).set("group.id", group).set("enable.auto.commit", "false");
    let committing = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().expect("these settings are known");
        consumer.commit(&commits, CommitMode::Sync).expect("the group has no members");
    });
    committing.await.expect("the commit is taken");
}
