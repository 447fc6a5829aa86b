//! The ledger against a model that knows the truth: no false loss and no false duplicate ever, and once everything has
//! healed, no acknowledged record without its verdict.

mod cluster;
mod oracle;
mod senders;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm};

use super::{CanaryClass, LedgerOptions};
use world::{Ending, Fate, Op, World};

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

fn class() -> impl Strategy<Value = CanaryClass> {
    prop_oneof![
        3 => Just(CanaryClass::Idempotent),
        2 => Just(CanaryClass::Transactional),
        2 => Just(CanaryClass::Acks0),
    ]
}

fn op() -> impl Strategy<Value = Op> {
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

fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 1_000;
    }
    // Without optimisation the default generator takes longer than all histories.
    config.rng_algorithm = RngAlgorithm::XorShift;
    config.failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("regressions")));
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_false_loss_and_no_missed_one(
        ops in prop::collection::vec(op(), 1..160),
        class in class(),
        tells_broker: bool,
        tells_epoch in prop::bool::weighted(0.8),
    ) {
        let mut world = World::new(class, tells_broker, tells_epoch, LedgerOptions::default());
        for op in ops {
            world.step(op);
            world.check();
        }
        world.heal();
        world.check_recall();
        if tells_epoch {
            world.check_swallowed();
            world.check_closed();
        }
    }

    #[test]
    fn small_windows_and_caps_break_no_sum(
        ops in prop::collection::vec(op(), 1..160),
        class in class(),
        tells_broker: bool,
    ) {
        let options =
            LedgerOptions { window: Duration::from_secs(20), records_max: 6, ..LedgerOptions::default() };
        let mut world = World::new(class, tells_broker, true, options);
        for op in ops {
            world.step(op);
            world.check();
        }
        world.heal();
    }
}
