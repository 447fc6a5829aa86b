//! Brokers hang: their sockets stay open, and what they did is told late or never.

use super::elections::promised;
use crate::kafka::Options;
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage};

/// A cluster whose brokers may hang for five seconds without being fenced, and a producer that does not wait for them.
fn impatient() -> Setting {
    let properties = vec![("replica.lag.time.max.ms".to_owned(), "12000".to_owned())];
    let options = Options { dedicated_controller: true, session_timeout_ms: 9000, properties, ..Options::default() };
    Setting { options, kafka: "\"request.timeout.ms\" = \"1000\"".to_owned(), ..Setting::default() }
}

/// S13 and S14: the followers hang for 4 s; the leader appends, gives up waiting, and the producer tries again.
pub(super) async fn followers_hang(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, impatient()).await;
    stage.until_whole().await;
    for broker in [2, 3] {
        stage.cluster.stop(broker).expect("it runs");
    }
    stage.last(4.0).await;
    for broker in [2, 3] {
        stage.cluster.cont(broker).expect("it was stopped");
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks1"], "lost", 0);
    outcome.at_least("all", "duplicated", 1);
    outcome
}

/// S18: the leader hangs for 5 s of every 10.
pub(super) async fn slow_disk(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting { kafka: String::new(), ..impatient() }).await;
    for _ in 0..3 {
        stage.cluster.stop(1).expect("it runs");
        stage.last(5.0).await;
        stage.cluster.cont(1).expect("it was stopped");
        stage.last(5.0).await;
    }
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome
}
