//! The canary is forbidden something, or slowed down, by the cluster's own rules.

use std::time::Duration;

use super::elections::promised;
use crate::kafka::{Error, Operation, Options, until};
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage, TOPIC};

/// S28: writing, then reading the canary's topic is forbidden for a while.
pub(super) async fn forbidden(run: Run) -> Outcome {
    let properties = [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("allow.everyone.if.no.acl.found", "true"),
    ];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let options = Options { dedicated_controller: true, properties, ..Options::default() };
    let cluster = "canary.acknowledge_within = \"5s\"\ncanary.deliver_within = \"5s\"".to_owned();
    let mut stage = Stage::set(&run, Setting { options, cluster, ..Setting::default() }).await;
    stage.client.allow(TOPIC).await.expect("an ACL is made");
    stage.raise().await;
    stage.client.deny(TOPIC, Operation::Write).await.expect("an ACL is made");
    stage.last(4.0).await;
    stage.client.deny_no_more(TOPIC, Operation::Write).await.expect("the ACL is taken back");
    stage.flow(50).await;
    stage.client.deny(TOPIC, Operation::Read).await.expect("an ACL is made");
    let class = run.classes.first().cloned().unwrap_or_default();
    stage.until_seen("canaries are overdue", |seen| seen.count(&class, "overdue") >= 20).await;
    stage.may_be_blind = true;
    // One of each reader.
    let readers = if run.has("transactional") && run.classes.len() > 1 { 2 } else { 1 };
    let is_blind = blind_readers(&stage, "it says that it is blind", 15, |open| open == readers).await;
    stage.client.deny_no_more(TOPIC, Operation::Read).await.expect("the ACL is taken back");
    stage.mark();
    let sees_again = blind_readers(&stage, "it says that it sees again", 30, |open| open == 0).await;
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks1"], "lost", 0);
    outcome.require(is_blind, || "it does not say that it is blind".to_owned());
    outcome.require(sees_again, || "it says that it is blind for longer than it is".to_owned());
    for (name, class) in outcome.classes.clone() {
        let refused = match name.as_str() {
            // Nobody answers.
            "acks0" => continue,
            // Its partitions are refused before any record is sent; what waits for them is given up with its transaction.
            "transactional" => class.rejected + class.indeterminate,
            _ => class.rejected,
        };
        outcome.require(refused > 0, || format!("{name}: nothing was rejected"));
    }
    outcome
}

/// Whether so many readers of ours are called blind within so many seconds.
async fn blind_readers(stage: &Stage, what: &str, seconds: u64, enough: impl Fn(usize) -> bool) -> bool {
    let found = until(what, Duration::from_secs(seconds), async || {
        let found = stage.daemon.findings_of("monitor_blind").await;
        let open = found.iter().filter(|one| one["state"] == "open" && one["topic"] == TOPIC).count();
        if enough(open) { Ok(()) } else { Err(Error::NotYet(format!("{open} findings"))) }
    });
    found.await.is_ok()
}

/// S29: the canary's clients may move a kilobyte a second.
pub(super) async fn throttled(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting::default()).await;
    stage.client.limit("kustody-canary", Some(1_000.0)).await.expect("a quota is set");
    stage.last(10.0).await;
    stage.client.limit("kustody-canary", None).await.expect("the quota is lifted");
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    // What is muted for long enough loses its connection: acks=0 promises nothing then.
    outcome.exactly(&["acks1"], "lost", 0);
    outcome
}
