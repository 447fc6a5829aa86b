//! Questions about a cluster that no turn needs, put when somebody wants to know.
//!
//! Each answer is a value, or why there is none: an API that a broker lacks is [`Missing::Unsupported`], which is no
//! error.

mod cluster;
mod disks;
mod transactions;

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::api::Request;
use super::api::error;
use super::cluster::{Shared, View};
use super::pool::Lane;
use super::turn::Turn;
use crate::model::{BrokerId, Missing, Reading};

/// Asks what no turn reads: disks, controllers, transactions, moves of replicas. Clones share the connections of their
/// [`Cluster`](super::Cluster); the brokers are those of the last turn.
#[derive(Clone, Debug)]
pub struct Surveyor {
    shared: Arc<Shared>,
}

/// The questions of one call.
struct Survey<'a> {
    turn: Turn<'a>,
    view: Arc<View>,
}

impl Surveyor {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn survey(&self) -> Survey<'_> {
        let view = self.shared.view();
        let deadline = self.shared.deadline();
        let mut turn = Turn::new(&self.shared.pool, Lane::Witness, self.shared.options.request_timeout, deadline);
        turn.admit(view.addresses.clone());
        Survey { turn, view }
    }
}

impl Survey<'_> {
    fn brokers(&self) -> Vec<BrokerId> {
        self.view.topology.brokers.keys().copied().collect()
    }

    /// Asks one broker after another, those that gave the metadata first, until one answers.
    async fn ask_any<R: Request>(&self, request: &R) -> Result<R::Response, Missing> {
        self.ask_in_turn(self.view.source, request, |_| error::NONE).await
    }

    /// Asks the controller, then the others, until one answers that does not refuse for not being the controller. Under
    /// KRaft none does; with a ZooKeeper (before Kafka 4.0) all others do.
    async fn ask_controller<R: Request>(
        &self,
        request: &R,
        error_code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, Missing> {
        self.ask_in_turn(self.view.topology.controller, request, error_code).await
    }

    async fn ask_in_turn<R: Request>(
        &self,
        first: Option<BrokerId>,
        request: &R,
        error_code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, Missing> {
        let others = self.brokers().into_iter().filter(|id| Some(*id) != first);
        let mut last = Missing::ClusterUnreachable;
        for broker in first.into_iter().chain(others) {
            match self.turn.ask(broker, request).await {
                Ok(answer) if error_code(&answer) == error::NOT_CONTROLLER => {
                    last = Missing::KafkaError(error::NOT_CONTROLLER);
                }
                Ok(answer) => return Ok(answer),
                Err(why) => last = why,
            }
            if Instant::now() >= self.turn.deadline {
                break;
            }
        }
        Err(last)
    }

    /// Asks all brokers at once.
    async fn ask_all<R: Request>(&self, request: &R) -> Vec<(BrokerId, Result<R::Response, Missing>)> {
        let brokers = self.brokers();
        let mut asked = Vec::new();
        for broker in &brokers {
            asked.push(self.turn.ask(*broker, request));
        }
        brokers.iter().copied().zip(join_all(asked).await).collect()
    }
}

/// What an answer says when its error code is 0, or why it says nothing.
fn unless<T>(error_code: i16, value: impl FnOnce() -> T) -> Reading<T> {
    error::missing(error_code).map_or_else(|| Reading::Read(value()), Reading::Missing)
}
