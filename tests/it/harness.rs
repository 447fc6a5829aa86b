//! The harness itself: if a cluster under test does not do what it is told, no other test means anything.

use crate::kafka::{Cluster, Options};

#[tokio::test]
async fn a_cluster_starts_loses_a_broker_and_gets_it_back() {
    let mut cluster = Cluster::start(Options::default()).await.expect("starts");
    assert_eq!(cluster.alive(), [1, 2, 3]);
    cluster.kill(2).await.expect("killed");
    assert_eq!(cluster.alive(), [1, 3]);
    cluster.start_again(2).await.expect("ready again");
    assert_eq!(cluster.alive(), [1, 2, 3]);
}
