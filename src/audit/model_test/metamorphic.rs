//! What may change in a history without changing what is proven: when the cluster is polled, how much a fetch brings, and
//! when the auditor is restarted.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::config;
use super::histories::{History, history};
use super::world::{Op, World};
use crate::audit::{CanaryClass, Incarnation, RecordKey, State};

/// What the ledger says of a record in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Lost, or truncated after it was read.
    Gone,
    /// Read, and not gone.
    Stands,
    /// Neither is proven.
    Open,
}

fn verdicts(world: &World) -> BTreeMap<RecordKey, Verdict> {
    let of = |state: State| match state {
        State::Lost | State::TruncatedAfterDelivery => Verdict::Gone,
        State::Delivered | State::Late => Verdict::Stands,
        State::Sent
        | State::Pending
        | State::Expired
        | State::Untracked
        | State::Aborted
        | State::AbortedVisible
        | State::Rejected
        | State::Phantom
        | State::IndeterminatePending
        | State::IndeterminateDelivered
        | State::IndeterminateAbsent
        | State::IndeterminateExpired => Verdict::Open,
    };
    let records = world.ledger.records.iter().filter(|(key, _)| !has_come_back(world, key));
    records.map(|(key, record)| (*key, of(record.state))).collect()
}

/// It was gone, and an election brought it back: each verdict was right once.
fn has_come_back(world: &World, key: &RecordKey) -> bool {
    let leader = world.cluster.acting().expect("all is healed");
    let mut there = world.cluster.brokers[leader].log.iter().filter_map(|entry| entry.record);
    let was_gone = world.cluster.acked.get(key).is_some_and(|(_, _, truth)| truth.was_gone)
        || world.cluster.read.get(key).is_some_and(|reads| reads.values().any(|truth| truth.was_gone));
    was_gone && there.any(|record| record.key == *key)
}

fn lived(history: &History, mut after: impl FnMut(usize, &mut World)) -> BTreeMap<RecordKey, Verdict> {
    let mut world = history.world();
    for (at, op) in history.ops.iter().enumerate() {
        world.step(*op);
        after(at, &mut world);
    }
    world.heal();
    verdicts(&world)
}

/// No record is proven to be gone in the one and to stand in the other.
fn agree(one: &BTreeMap<RecordKey, Verdict>, other: &BTreeMap<RecordKey, Verdict>) {
    for (key, verdict) in one {
        let pair = (*verdict, other.get(key).copied().unwrap_or(Verdict::Open));
        let is_contradiction = matches!(pair, (Verdict::Gone, Verdict::Stands) | (Verdict::Stands, Verdict::Gone));
        assert!(!is_contradiction, "{key:?} is {pair:?}");
    }
}

/// A history in which a reader tells epochs, nothing is trimmed, and the topic is never created anew: else it depends on
/// who was asked when whether anything can be proven.
fn of_one_life() -> impl Strategy<Value = History> {
    history(1..=120, Just(false)).prop_map(|mut history| {
        history.tells_epoch = true;
        history.ops.retain(|op| !matches!(op, Op::Recreate | Op::Trim { .. }));
        history
    })
}

proptest! {
    #![proptest_config(config(200, "metamorphic"))]

    #[test]
    fn it_does_not_matter_when_the_cluster_is_polled(history in of_one_life(), at in prop::collection::vec(0..120_usize, 0..8)) {
        let polled = lived(&history, |step, world| if at.contains(&step) { world.poll() });
        agree(&lived(&history, |_, _| {}), &polled);
    }

    #[test]
    fn it_does_not_matter_how_much_a_fetch_brings(history in of_one_life()) {
        let mut split = History { ops: Vec::new(), ..history.clone() };
        for op in &history.ops {
            if let Op::Read { leader, n, validates } = *op {
                split.ops.extend((0..n).map(|_| Op::Read { leader, n: 1, validates }));
            } else {
                split.ops.push(*op);
            }
        }
        agree(&lived(&history, |_, _| {}), &lived(&split, |_, _| {}));
    }

    #[test]
    fn a_crash_makes_no_loss_and_takes_none_back(mut history in of_one_life(), at in prop::collection::vec(0..120_usize, 1..4)) {
        // A crash ends the connections of acks=0 and the transactions: what is in the log would be another.
        history.class = CanaryClass::Idempotent;
        let killed = lived(&history, |step, world| if at.contains(&step) {
            world.step(Op::Flush);
            world.step(Op::Crash);
        });
        // Those of later incarnations are others in the two.
        let mut plain = lived(&history, |_, _| {});
        plain.retain(|key, _| key.incarnation == Incarnation(1));
        agree(&plain, &killed);
    }
}
