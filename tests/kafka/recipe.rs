//! Ways to lose records that a cluster has acknowledged, as steps: a test may act, and look, between any two of them.

use std::time::Duration;

use super::client::{Client, Partition};
use super::{Cluster, Error};

/// Loss by an unclean election: a replica that missed the last records becomes leader, and the log is cut.
///
/// ```no_run
/// let drill = UncleanTruncation::new("orders", 1, 2);
/// drill.create(&client).await?;                  // records produced now are kept
/// drill.isolate_leader(&mut cluster).await?;     // records produced now, with acks=all, will be lost
/// let cut = drill.elect_follower(&mut cluster).await?;
/// drill.heal(&mut cluster).await?;               // the old leader truncates its log and follows
/// ```
///
/// Needs [`Options::dedicated_controller`](super::Options::dedicated_controller), because two brokers are down at a time.
#[derive(Clone, Debug)]
pub(crate) struct UncleanTruncation {
    topic: String,
    leader: i32,
    follower: i32,
}

/// The partition before and after an election that lost records.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// Under the leader that had everything.
    pub(crate) before: Partition,
    /// Under the leader that has not.
    pub(crate) after: Partition,
}

impl UncleanTruncation {
    /// A drill on partition 0 of `topic`, which has these two replicas.
    pub(crate) fn new(topic: &str, leader: i32, follower: i32) -> Self {
        Self { topic: topic.to_owned(), leader, follower }
    }

    /// Creates the topic: two replicas, of which one suffices, and unclean elections allowed.
    pub(crate) async fn create(&self, client: &Client) -> Result<(), Error> {
        let configs = [("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")];
        client.create_topic(&self.topic, &[&[self.leader, self.follower]], &configs).await
    }

    /// Kills the follower and waits until the leader alone is in sync.
    pub(crate) async fn isolate_leader(&self, cluster: &mut Cluster) -> Result<Partition, Error> {
        let client = cluster.client();
        client.until_in_sync(&self.topic, 0, &self.both()).await?;
        cluster.kill(self.follower).await?;
        client.until_in_sync(&self.topic, 0, &[self.leader]).await
    }

    /// Kills the leader, starts the follower, and waits until it leads.
    pub(crate) async fn elect_follower(&self, cluster: &mut Cluster) -> Result<Cut, Error> {
        let client = cluster.client();
        let before = client.partition(&self.topic, 0).await?;
        cluster.kill(self.leader).await?;
        // Were the follower back before the leader is fenced, it would catch up with nobody and be elected by nobody.
        client.until_leader(&self.topic, 0, None).await?;
        cluster.start_again(self.follower).await?;
        let after = client.until_leader(&self.topic, 0, Some(self.follower)).await?;
        Ok(Cut { before, after })
    }

    /// Starts the old leader and waits until both are in sync.
    pub(crate) async fn heal(&self, cluster: &mut Cluster) -> Result<Partition, Error> {
        cluster.start_again(self.leader).await?;
        cluster.client().until_in_sync(&self.topic, 0, &self.both()).await
    }

    fn both(&self) -> [i32; 2] {
        let (a, b) = (self.leader, self.follower);
        [a.min(b), a.max(b)]
    }
}

/// Loss without any unclean election: with `acks=1` the leader alone acknowledges, and a hung follower is still in sync
/// when the leader dies.
///
/// Steps: [`create`](Self::create), [`hang_follower`](Self::hang_follower), produce with `acks=1` by
/// [`Client::only`], [`elect_follower`](Self::elect_follower), [`heal`](Self::heal). From the second step to the fourth
/// less than the session timeout and than `replica.lag.time.max.ms` (5 s) may pass, or the follower is no longer in sync
/// and the loss does not happen; the fourth then says so.
#[derive(Clone, Debug)]
pub(crate) struct CleanTruncation {
    pair: UncleanTruncation,
}

impl CleanTruncation {
    /// A drill on partition 0 of `topic`, which has these two replicas.
    pub(crate) fn new(topic: &str, leader: i32, follower: i32) -> Self {
        Self { pair: UncleanTruncation::new(topic, leader, follower) }
    }

    /// Creates the topic: two replicas, of which one suffices, and no unclean elections.
    pub(crate) async fn create(&self, client: &Client) -> Result<(), Error> {
        let replicas = [self.pair.leader, self.pair.follower];
        client.create_topic(&self.pair.topic, &[&replicas], &[("min.insync.replicas", "1")]).await
    }

    /// Stops the follower so that it gets none of the records to come, while it counts as in sync.
    pub(crate) async fn hang_follower(&self, cluster: &mut Cluster) -> Result<(), Error> {
        cluster.client().until_in_sync(&self.pair.topic, 0, &self.pair.both()).await?;
        cluster.stop(self.pair.follower)?;
        // The fetch that waits at the leader would still carry the first record to the follower; it is answered, empty,
        // after replica.fetch.wait.max.ms (200). Nothing tells from outside when that was.
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(())
    }

    /// Kills the leader, lets the follower go on, and waits until it leads.
    pub(crate) async fn elect_follower(&self, cluster: &mut Cluster) -> Result<Cut, Error> {
        let client = cluster.client();
        let before = client.metadata(self.pair.leader, &self.pair.topic).await?;
        let before = before.into_iter().find(|partition| partition.in_sync.contains(&self.pair.follower));
        let before = before.ok_or_else(|| Error::NotYet("too slow: the follower is no longer in sync".to_owned()))?;
        cluster.kill(self.pair.leader).await?;
        cluster.cont(self.pair.follower)?;
        let after = client.until_leader(&self.pair.topic, 0, Some(self.pair.follower)).await?;
        Ok(Cut { before, after })
    }

    /// Starts the old leader and waits until both are in sync.
    pub(crate) async fn heal(&self, cluster: &mut Cluster) -> Result<Partition, Error> {
        self.pair.heal(cluster).await
    }
}
