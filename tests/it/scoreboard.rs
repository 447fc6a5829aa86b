//! A few rows of the scoreboard, each once: `make scoreboard` plays them all, and more often.

use crate::clusters::turn;
use crate::kills::Plan;
use crate::rows::ROWS;
use crate::stage::Run;

/// Plays one row with these classes when its turn for a cluster has come.
async fn plays(id: &str, classes: &[&str], kills: Option<Plan>) {
    let _turn = turn().await;
    let row = ROWS.iter().find(|row| row.id == id).expect("the scoreboard has this row");
    let evidence = std::env::temp_dir().join(format!("kustody-scoreboard-{id}"));
    let classes = classes.iter().map(|class| (*class).to_owned()).collect();
    let run = Run { binary: None, classes, evidence, peer: None, kills };
    let run = row.run(&run).expect("the classes are those it needs");
    let outcome = (row.play)(run).await;
    assert_eq!(outcome.problems, [""; 0], "{id}, {}: {outcome:#?}", row.fault);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_judged_as_the_logs_say() {
    plays("S3", &["acks1", "all", "idempotent"], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_answers_are_the_duplicates_that_are_in_the_logs() {
    plays("S15", &["all", "idempotent"], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_unread_is_expired_and_not_lost() {
    plays("S21", &["acks1", "idempotent"], None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_killed_during_the_fault_says_nothing_false() {
    plays("S13", &["acks1", "all"], Some(Plan { times: 3, seed: 1 })).await;
}
