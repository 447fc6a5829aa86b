//! Brokers restart, die and hang; leaders change, cleanly and not.

use super::SAFE;
use crate::kafka::{Options, UncleanTruncation};
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage, TOPIC};

/// Classes of which Kafka promises no duplicates.
const ONCE: [&str; 2] = ["idempotent", "transactional"];

/// What holds whatever one broker does: acks=all loses nothing, idempotence writes once.
pub(super) fn promised(outcome: &mut Outcome) {
    outcome.exactly(SAFE, "lost", 0);
    outcome.exactly(&ONCE, "duplicated", 0);
    outcome.exactly(&ONCE, "reordered", 0);
}

/// S2: each broker is stopped in order and started again.
pub(super) async fn clean_restarts(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    for broker in stage.cluster.ids() {
        stage.cluster.term(broker).await.expect("it ran");
        stage.until_led_without(broker).await;
        stage.flow(20).await;
        stage.bring_back(broker).await;
    }
    stage.mark();
    let moved = stage.daemon.findings_of("leader_moved").await.len();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    // What a leader acknowledges alone while its successor is elected may be its own only: acks=1 promises no more, and
    // the daemon has to say what became of it.
    outcome.require(moved >= 3, || format!("{moved} partitions were seen to change their leader, of 3"));
    outcome.note(format!("{moved} leader changes told"));
    outcome
}

/// S3 and S4: the leader of a partition is killed under load.
pub(crate) async fn leader_killed(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.kill_leader(1).await;
    stage.flow(50).await;
    stage.bring_back(1).await;
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome
}

/// A cluster whose followers may hang for four seconds and stay in sync.
fn patient() -> Setting {
    let properties = vec![("replica.lag.time.max.ms".to_owned(), "10000".to_owned())];
    let options = Options { dedicated_controller: true, session_timeout_ms: 9000, properties, ..Options::default() };
    Setting { options, ..Setting::default() }
}

/// Both followers of partition 0 hang while its leader goes on; then it dies and they come back.
async fn followers_hang_and_the_leader_dies(stage: &mut Stage) {
    stage.until_whole().await;
    for broker in [2, 3] {
        stage.cluster.stop(broker).expect("it runs");
    }
    stage.last(4.0).await;
    stage.cluster.kill(1).await.expect("it ran");
    for broker in [2, 3] {
        stage.cluster.cont(broker).expect("it was stopped");
    }
    stage.until_led_without(1).await;
    stage.mark();
    stage.bring_back(1).await;
}

/// S5: what acks=1 acknowledged meanwhile is gone by a clean election.
pub(super) async fn acks1_lost(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, patient()).await;
    followers_hang_and_the_leader_dies(&mut stage).await;
    let mut outcome = stage.verdict().await;
    outcome.at_least("acks1", "lost", 30);
    outcome.exactly(&["acks1"], "duplicated", 0);
    outcome
}

/// S6: acks=all acknowledged nothing meanwhile.
pub(super) async fn acks_all_kept(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, patient()).await;
    followers_hang_and_the_leader_dies(&mut stage).await;
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome
}

/// S7: what acks=0 sent to a hung leader goes down with it.
pub(super) async fn acks0_lost(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.cluster.stop(1).expect("it runs");
    stage.last(2.0).await;
    stage.kill_leader(1).await;
    stage.flow(50).await;
    stage.bring_back(1).await;
    let mut outcome = stage.verdict().await;
    outcome.at_least("acks0", "lost", 10);
    outcome.exactly(&["acks0"], "duplicated", 0);
    outcome
}

/// S8: a replica that missed the last records becomes leader.
pub(crate) async fn unclean(run: Run) -> Outcome {
    let configs = vec![("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")];
    let setting = Setting { replicas: vec![vec![1, 2]], configs, ..Setting::default() };
    let class = if run.has("idempotent") { "idempotent" } else { "acks1" };
    let mut stage = Stage::up(&run, setting).await;
    let drill = UncleanTruncation::new(TOPIC, 1, 2);
    drill.isolate_leader(&mut stage.cluster).await.expect("the follower is fenced");
    stage.until_acked(class, 40).await;
    drill.elect_follower(&mut stage.cluster).await.expect("an unclean election");
    stage.mark();
    stage.flow(30).await;
    stage.bring_back(1).await;
    let mut outcome = stage.verdict().await;
    outcome.at_least(class, "lost", 40);
    outcome
}
