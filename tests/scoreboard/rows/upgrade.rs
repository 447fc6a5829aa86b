//! The cluster gets a newer Kafka, node by node, while canaries go on.

use super::elections::promised;
use crate::kafka::{CONTROLLER, Options, Version};
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage};

/// S33: the controller and each broker are stopped in order and started with the next version; then the cluster takes
/// up that version's features, which is what changes its records of metadata, groups and transactions.
pub(super) async fn rolling(run: Run) -> Outcome {
    let (from, to) = (Version::V3_9, Version::V4_3);
    let options = Options { version: from, dedicated_controller: true, ..Options::default() };
    let mut stage = Stage::up(&run, Setting { options, ..Setting::default() }).await;
    let before = stage.client.features().await.expect("the cluster tells its features");
    stage.cluster.upgrade(CONTROLLER, to).expect("it is installed");
    stage.cluster.term(CONTROLLER).await.expect("it ran");
    stage.cluster.start_again(CONTROLLER).await.expect("it starts");
    stage.flow(20).await;
    for broker in stage.cluster.ids() {
        stage.cluster.upgrade(broker, to).expect("it is installed");
        stage.cluster.term(broker).await.expect("it ran");
        stage.until_led_without(broker).await;
        stage.flow(20).await;
        stage.bring_back(broker).await;
        // Brokers of both versions, and all classes come back.
        stage.flow(20).await;
    }
    stage.client.take_up_features().await.expect("the cluster takes up what it can");
    stage.mark();
    stage.flow(100).await;
    let after = stage.client.features().await.expect("the cluster tells its features");
    let moved = stage.daemon.findings_of("leader_moved").await.len();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    let level = |features: &std::collections::BTreeMap<String, i16>| features.get("metadata.version").copied();
    outcome.require(level(&after) > level(&before), || format!("features were {before:?} and are {after:?}"));
    outcome.note(format!("{} → {}, {moved} leader changes told", from.name(), to.name()));
    outcome
}
