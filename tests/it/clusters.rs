//! Which cluster a test runs on.
//!
//! A cluster of three costs about 4 s and 500 MB. Tests that harm nothing therefore [`share`](shared) one and keep to
//! topics and groups of their own; a test that kills, stops or reconfigures brokers [`owns`](own) one, and such tests run
//! one after the other: two clusters with faults at once would starve each other into faults nobody asked for.

use std::ops::{Deref, DerefMut};

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::kafka::{Cluster, Error, Options};

/// The cluster of three brokers that all harmless tests share, started by the first that asks. It ends with the process.
pub(crate) async fn shared() -> &'static Cluster {
    static SHARED: OnceCell<Cluster> = OnceCell::const_new();
    SHARED.get_or_init(async || Cluster::start(Options::default()).await.expect("the shared cluster starts")).await
}

/// A cluster of the test's own, when its turn has come.
pub(crate) async fn own(options: Options) -> Own {
    try_own(options).await.expect("the cluster starts")
}

/// As [`own`], for a cluster that may not start.
pub(crate) async fn try_own(options: Options) -> Result<Own, Error> {
    let turn = turn().await;
    Ok(Own { cluster: Cluster::start(options).await?, _turn: turn })
}

/// The turn to have a cluster of one's own.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    static TURN: Semaphore = Semaphore::const_new(1);
    TURN.acquire().await.expect("nobody closes this semaphore")
}

/// A cluster, and the turn to have one.
#[derive(Debug)]
pub(crate) struct Own {
    // Dropped first, so that its brokers are gone when the next test gets its turn.
    cluster: Cluster,
    _turn: SemaphorePermit<'static>,
}

impl Deref for Own {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.cluster
    }
}
