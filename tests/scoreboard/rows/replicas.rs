//! Too few replicas, other replicas, and controllers that are gone.

use super::SAFE;
use super::elections::promised;
use crate::kafka::{CONTROLLER, Options, quorum_leader, until};
use crate::outcome::Outcome;
use crate::stage::{Run, SOON, Setting, Stage, TOPIC};

/// S11: two of three replicas are gone, and what needs two is refused.
pub(super) async fn not_enough(run: Run) -> Outcome {
    let kafka = "\"message.timeout.ms\" = \"4000\"\n\"request.timeout.ms\" = \"1500\"".to_owned();
    let mut stage = Stage::up(&run, Setting { kafka, ..Setting::default() }).await;
    for broker in [2, 3] {
        stage.cluster.kill(broker).await.expect("it ran");
    }
    for partition in 0..3 {
        let alone = |seen: &crate::kafka::Partition| seen.in_sync == [1] && seen.leader == Some(1);
        stage.client.until_partition("one is left", TOPIC, partition, alone).await.expect("the others are fenced");
    }
    stage.last(8.0).await;
    let paused = stage.daemon.json("/clusters/main/canary").await["paused"].clone();
    stage.cluster.launch(2).await.expect("it starts");
    stage.bring_back(3).await;
    stage.mark();
    let mut outcome = stage.verdict().await;
    outcome.exactly(SAFE, "lost", 0);
    outcome.exactly(SAFE, "phantom", 0);
    note_copies(&mut outcome);
    for (name, class) in outcome.classes.clone().into_iter().filter(|(name, _)| !name.starts_with("acks")) {
        let refused = class.rejected + class.indeterminate;
        // The state of transactions has too few replicas too: after the first one none can be begun, and nothing is sent.
        let is_held_up = name == "transactional";
        outcome.require(refused >= 50 || is_held_up, || format!("{name}: only {refused} were refused or undecided"));
        outcome.note(format!("{name} {} rejected, {} indeterminate", class.rejected, class.indeterminate));
    }
    outcome.note(format!("meanwhile it said: paused {paused}"));
    outcome
}

/// An idempotent producer that gave a record up begins its sequences anew, and sends again what waited behind it: Kafka
/// promises nothing across that, and the copies are in the log.
fn note_copies(outcome: &mut Outcome) {
    for class in ["idempotent", "transactional"] {
        let copies = outcome.oracle(class, "duplicated");
        if copies > 0 {
            outcome.note(format!("{copies} copies of {class} after records that were given up"));
        }
    }
}

/// S12: the followers hang until the producer has given up: the leader has appended all the same.
pub(super) async fn shrinking(run: Run) -> Outcome {
    let properties = vec![("replica.lag.time.max.ms".to_owned(), "12000".to_owned())];
    let options = Options { dedicated_controller: true, session_timeout_ms: 9000, properties, ..Options::default() };
    let kafka = "\"message.timeout.ms\" = \"2500\"\n\"request.timeout.ms\" = \"1000\"".to_owned();
    let mut stage = Stage::up(&run, Setting { options, kafka, ..Setting::default() }).await;
    for broker in [2, 3] {
        stage.cluster.stop(broker).expect("it runs");
    }
    stage.last(5.0).await;
    for broker in [2, 3] {
        stage.cluster.cont(broker).expect("it was stopped");
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    outcome.exactly(&["all", "idempotent", "transactional"], "lost", 0);
    note_copies(&mut outcome);
    for class in ["all", "idempotent"] {
        outcome.at_least(class, "indeterminate_delivered", 1);
    }
    outcome
}

/// S31: every partition moves to other brokers.
pub(super) async fn reassigned(run: Run) -> Outcome {
    let options = Options { brokers: 4, dedicated_controller: true, ..Options::default() };
    let mut stage = Stage::up(&run, Setting { options, ..Setting::default() }).await;
    let wanted: [&[i32]; 3] = [&[4, 2, 3], &[4, 3, 1], &[2, 1, 4]];
    stage.client.reassign(TOPIC, &wanted).await.expect("it is accepted");
    for (partition, replicas) in (0..).zip(wanted) {
        let moved = |seen: &crate::kafka::Partition| seen.replicas == replicas && seen.in_sync.len() == 3;
        stage.client.until_partition("it has moved", TOPIC, partition, moved).await.expect("it moves");
    }
    stage.mark();
    stage.flow(100).await;
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome
}

/// S32: the leader of three controllers is killed; then two of them for a minute.
pub(super) async fn controllers(run: Run) -> Outcome {
    let options = Options { dedicated_controller: true, controllers: 3, ..Options::default() };
    let mut stage = Stage::up(&run, Setting { options, ..Setting::default() }).await;
    let leader = quorum_leader(&stage.client).await.expect("there is a quorum");
    stage.cluster.kill(leader).await.expect("it ran");
    let client = stage.client.clone();
    until("another controller leads", SOON, async || match quorum_leader(&client).await? {
        next if next == leader || next < CONTROLLER => Err(crate::kafka::Error::NotYet(next.to_string())),
        _ => Ok(()),
    })
    .await
    .expect("two of three elect one");
    stage.flow(100).await;
    stage.cluster.start_again(leader).await.expect("it starts");
    let two = [CONTROLLER, CONTROLLER + 1];
    for controller in two {
        stage.cluster.kill(controller).await.expect("it ran");
    }
    stage.last(60.0).await;
    for controller in two {
        stage.cluster.launch(controller).await.expect("it starts");
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome
}
