//! Histories drawn at random, and what has to hold while one is lived.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use proptest::collection::SizeRange;
use proptest::prelude::*;

use super::world::{Ending, Fate, Op, World};
use crate::audit::{CanaryClass, Counts, LedgerOptions};

/// What happens, step by step, to a ledger and its cluster.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) ops: Vec<Op>,
    pub(super) class: CanaryClass,
    /// The client tells who acknowledged.
    pub(super) tells_broker: bool,
    /// The client tells in which epoch a record was written.
    pub(super) tells_epoch: bool,
    /// The window and the cap are so small that records are forgotten.
    pub(super) is_cramped: bool,
}

/// What a history came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) counts: Counts,
    /// Of all verdicts, sums and anomalies.
    pub(super) digest: u64,
}

impl History {
    pub(super) fn world(&self) -> World {
        let options = if self.is_cramped {
            LedgerOptions { window: Duration::from_secs(20), records_max: 6, ..LedgerOptions::default() }
        } else {
            LedgerOptions::default()
        };
        World::new(self.class, self.tells_broker, self.tells_epoch, options)
    }

    /// Lives it: no false loss and no false duplicate on the way, and once everything has healed, no acknowledged
    /// record without its verdict.
    pub(super) fn live(&self) -> End {
        let mut world = self.world();
        for op in &self.ops {
            world.step(*op);
            world.check();
        }
        world.heal();
        if !self.is_cramped {
            world.check_recall();
            if self.tells_epoch {
                world.check_swallowed();
                world.check_closed();
            }
        }
        world.end()
    }
}

impl World {
    pub(super) fn end(&self) -> End {
        let counts = self.ledger.counts(self.class, self.now);
        let mut hasher = DefaultHasher::new();
        for (key, record) in &self.ledger.records {
            (key, record.state, record.offset).hash(&mut hasher);
        }
        let anomalies: Vec<_> = self.ledger.anomalies().map(|one| (one.key, one.count, &one.offsets)).collect();
        format!("{counts:?} {anomalies:?}").hash(&mut hasher);
        End { counts, digest: hasher.finish() }
    }
}

pub(super) fn history(
    steps: impl Into<SizeRange>,
    is_cramped: impl Strategy<Value = bool>,
) -> impl Strategy<Value = History> {
    let ops = prop::collection::vec(op(), steps);
    let telling = (any::<bool>(), prop::bool::weighted(0.8));
    (ops, class(), telling, is_cramped).prop_map(|(ops, class, (tells_broker, tells_epoch), is_cramped)| History {
        ops,
        class,
        tells_broker,
        tells_epoch,
        is_cramped,
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::AckedByAll),
        4 => Just(Fate::AckedByOne),
        1 => Just(Fate::Retried),
        1 => Just(Fate::AckedSomewhere),
        1 => Just(Fate::TimedOut),
        1 => Just(Fate::NeverArrived),
        1 => Just(Fate::Rejected),
        1 => Just(Fate::RejectedFalsely),
        2 => Just(Fate::Delayed),
        1 => Just(Fate::Swallowed),
    ]
}

/// Mostly the acting leader, sometimes one that was replaced and does not know it.
fn leader() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0_usize), 1 => 1..3_usize]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        6 => Just(Ending::Commit),
        2 => Just(Ending::Abort),
        1 => Just(Ending::Abandon),
        1 => any::<bool>().prop_map(|commits| Ending::Unknown { commits }),
    ]
}

pub(super) fn class() -> impl Strategy<Value = CanaryClass> {
    prop_oneof![
        3 => Just(CanaryClass::Idempotent),
        2 => Just(CanaryClass::Transactional),
        2 => Just(CanaryClass::Acks0),
    ]
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let broker = || 0..3_usize;
    prop_oneof![
        20 => (fate(), leader()).prop_map(|(fate, leader)| Op::Send { fate, leader }),
        1 => (leader(), any::<bool>()).prop_map(|(leader, is_control)| Op::Noise { leader, is_control }),
        8 => ending().prop_map(Op::EndTransaction),
        2 => Just(Op::Fence),
        6 => Just(Op::Mark),
        2 => Just(Op::Deliver),
        1 => Just(Op::Disconnect),
        6 => Just(Op::LookAtLink),
        10 => (1..4_usize).prop_map(|n| Op::Report { n }),
        5 => broker().prop_map(|broker| Op::Replicate { broker }),
        3 => broker().prop_map(|broker| Op::Learn { broker }),
        3 => (broker(), prop_oneof![3 => Just(0_usize), 1 => 1..4_usize])
            .prop_map(|(broker, tail_lost)| Op::Kill { broker, tail_lost }),
        3 => broker().prop_map(|broker| Op::Start { broker }),
        3 => broker().prop_map(|broker| Op::Isolate { broker }),
        3 => broker().prop_map(|broker| Op::Heal { broker }),
        5 => (broker(), any::<bool>()).prop_map(|(broker, is_unclean)| Op::Elect { broker, is_unclean }),
        1 => Just(Op::Leaderless),
        3 => Just(Op::AdjustInSync),
        1 => (0..12_usize).prop_map(|to| Op::Trim { to }),
        1 => Just(Op::Recreate),
        12 => (leader(), 1..6_usize, any::<bool>())
            .prop_map(|(leader, n, validates)| Op::Read { leader, n, validates }),
        1 => Just(Op::Skip),
        1 => (1..5_usize).prop_map(|n| Op::Rewind { n }),
        8 => any::<bool>().prop_map(|is_late| Op::Sight { is_late }),
        1 => broker().prop_map(|broker| Op::Deaf { broker }),
        2 => broker().prop_map(|broker| Op::Hear { broker }),
        5 => (broker(), any::<bool>()).prop_map(|(broker, is_late)| Op::SightTopic { broker, is_late }),
        10 => (leader(), prop::bool::weighted(0.2), prop::bool::weighted(0.3))
            .prop_map(|(leader, fails, is_late)| Op::Answer { leader, fails, is_late }),
        12 => prop_oneof![Just(50_u64), Just(1_100), Just(6_000), Just(16_000)].prop_map(|millis| Op::Wait { millis }),
        3 => Just(Op::Flush),
        1 => Just(Op::Crash),
        1 => Just(Op::Stop),
    ]
}
