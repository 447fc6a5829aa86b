//! The network between the canary and the brokers loses answers, and lets one request overtake another.

use super::elections::promised;
use crate::kafka::proxy::{Fault, Link, PRODUCE, Proxy, Rule, Which};
use crate::kafka::{CONTROLLER, Options};
use crate::outcome::Outcome;
use crate::stage::{Run, Setting, Stage};

const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// S15: one of ten answers to a produce request never arrives: the connection is closed instead.
pub(crate) async fn answers_dropped(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting { is_proxied: true, ..Setting::default() }).await;
    let every_tenth = Rule {
        api: Some(PRODUCE),
        client: Some("kustody-canary".to_owned()),
        condition: Some(|request| request.acks() != Some(0)),
        which: Which::Every(10),
        ..Rule::new(Fault::Hangup)
    };
    let dropped = stage.proxy().rule(every_tenth);
    stage.last(8.0).await;
    stage.proxy().lift(&dropped);
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.exactly(&["acks1"], "lost", 0);
    outcome.at_least("all", "duplicated", 3);
    outcome.note(format!("{} of {} answers dropped", dropped.hits(), dropped.matched()));
    outcome
}

/// S16: the first of two requests under way is refused, and the second is not.
pub(super) async fn requests_overtake(run: Run) -> Outcome {
    let mut stage = Stage::up(&run, Setting { is_proxied: true, ..Setting::default() }).await;
    let one = Rule {
        broker: Some(1),
        api: Some(PRODUCE),
        client: Some("kustody-canary".to_owned()),
        condition: Some(|request| request.acks() == Some(-1) && request.producer_id().is_none()),
        which: Which::First(1),
        ..Rule::new(Fault::RefuseBehindNext(NOT_LEADER_OR_FOLLOWER))
    };
    let refused = stage.proxy().rule(one);
    stage.last(3.0).await;
    stage.proxy().lift(&refused);
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.at_least("all", "reordered", 1);
    outcome.require(refused.hits() == 1, || format!("{} requests were refused", refused.hits()));
    outcome
}

/// S17: broker 1 is cut off from the other brokers and from the controller for 30 s, while clients reach all of them.
pub(super) async fn partitioned(run: Run) -> Outcome {
    let between = Proxy::bind(&[1, 2, 3, CONTROLLER]).await.expect("loopback has free ports");
    let mut ports = between.ports();
    let to_controller = ports.remove(&CONTROLLER).expect("it was bound");
    let options = Options {
        dedicated_controller: true,
        internal_ports: ports,
        controller_ports: [(1, to_controller)].into(),
        ..Options::default()
    };
    let mut stage = Stage::set_before(&run, Setting { options, ..Setting::default() }, |cluster| {
        let mut targets: std::collections::BTreeMap<i32, u16> =
            cluster.ids().into_iter().map(|id| (id, cluster.internal_port(id))).collect();
        targets.insert(CONTROLLER, cluster.controller_port(CONTROLLER));
        between.aim_at(targets);
    })
    .await;
    stage.raise().await;
    between.hold(Link { broker: CONTROLLER, client: None });
    between.hold(Link { broker: 1, client: None });
    for other in [2, 3] {
        between.hold(Link { broker: other, client: Some("broker-1-".to_owned()) });
    }
    stage.last(30.0).await;
    between.release();
    stage.mark();
    let mut outcome = stage.verdict().await;
    promised(&mut outcome);
    outcome.at_least("acks1", "lost", 1);
    outcome
}
