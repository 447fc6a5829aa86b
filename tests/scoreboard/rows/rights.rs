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
    let is_blind = until("it says that it is blind", Duration::from_secs(15), async || {
        let found = stage.daemon.findings_of("monitor_blind").await;
        if found.is_empty() { Err(Error::NotYet("no finding".to_owned())) } else { Ok(()) }
    });
    let is_blind = is_blind.await.is_ok();
    stage.client.deny_no_more(TOPIC, Operation::Read).await.expect("the ACL is taken back");
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks1"], "lost", 0);
    outcome.require(is_blind, || "it does not say that it is blind".to_owned());
    for (name, class) in outcome.classes.clone() {
        outcome.require(name == "acks0" || class.rejected > 0, || format!("{name}: nothing was rejected"));
    }
    outcome
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
    outcome.exactly(&["acks0", "acks1"], "lost", 0);
    outcome
}
