//! Histories by number, each of the same length: the same number is the same history on every machine.
//!
//! `make truth` lives a million of them, a chunk in a process: `TRUTH_CHUNK` names it, `TRUTH_SIZE` is how many histories it
//! has. `TRUTH_HISTORY=chunk:index` shows the shortest of its histories that still fails.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::histories::{End, History, history};
use super::world::Op;
use crate::audit::Counts;

const STEPS: usize = 200;

/// Histories that once found a mistake: chunk and index.
const KEPT: &[(u64, u64)] = &[
    (0, 129),
    (0, 2788),
    (0, 5283),
    (2, 469),
    (3, 1832),
    (4, 146),
    (4, 1936),
    (5, 3438),
    (6, 361),
    (6, 1105),
    (7, 1918),
    (7, 2566),
    (8, 1901),
    (8, 2424),
    (9, 4794),
    (10, 866),
    (10, 6737),
    (12, 1268),
    (14, 1533),
    (15, 1248),
    (16, 9557),
    (17, 6717),
    (34, 8953),
    (46, 4662),
    (61, 9828),
    (88, 4565),
    (95, 2642),
];

/// The history of this number.
fn numbered(strategy: &impl Strategy<Value = History>, chunk: u64, index: u64) -> History {
    let (high, low) = (scattered(chunk), scattered(scattered(chunk) ^ index));
    let seed: Vec<u8> = [high, low].into_iter().flat_map(u64::to_le_bytes).collect();
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    strategy.new_tree(&mut runner).expect("nothing is refused").current()
}

fn strategy() -> impl Strategy<Value = History> {
    history(STEPS, prop::bool::weighted(0.2))
}

/// Neighbouring numbers, far apart (the finalizer of SplitMix64): else their histories would begin alike.
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Lives it, and says in a few words where it fails.
fn outcome(history: &History) -> Result<End, String> {
    catch_unwind(AssertUnwindSafe(|| history.live())).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        words.unwrap_or("no words").lines().next().unwrap_or_default().chars().take(60).collect()
    })
}

/// What it says without numbers, and as long as it says the same of every record.
fn kind(words: &str) -> String {
    words.chars().filter(|c| c.is_alphabetic()).take(18).collect()
}

/// Leaves out steps as long as it still fails in the same way.
fn shortest(mut history: History) -> History {
    let mut width = history.ops.len();
    let wanted = outcome(&history).err().map(|words| kind(&words));
    while width > 0 {
        let mut from = 0;
        while from < history.ops.len() {
            let mut shorter = history.clone();
            shorter.ops.drain(from..(from + width).min(shorter.ops.len()));
            if outcome(&shorter).err().map(|words| kind(&words)) == wanted { history = shorter } else { from += width }
        }
        width /= 2;
    }
    history
}

/// What the histories of a chunk came to.
#[derive(Default)]
struct Tally {
    histories: u64,
    steps: usize,
    restarts: usize,
    counts: Counts,
    digest: u64,
}

impl Tally {
    fn add(&mut self, history: &History, end: End) {
        self.histories += 1;
        self.steps += history.ops.len();
        self.restarts += history.ops.iter().filter(|op| matches!(op, Op::Crash | Op::Stop)).count();
        let (sum, one) = (&mut self.counts, end.counts);
        sum.sent += one.sent;
        sum.acked += one.acked + one.unacknowledged;
        sum.delivered += one.delivered + one.late;
        sum.lost += one.lost;
        sum.truncated_after_delivery += one.truncated_after_delivery;
        sum.expired += one.expired;
        sum.duplicated += one.duplicated;
        // The order counts, too.
        self.digest = scattered(self.digest ^ end.digest);
    }

    /// Its columns in the file of results.
    fn line(&self) -> String {
        let Counts { sent, acked, delivered, lost, truncated_after_delivery, expired, duplicated, .. } = self.counts;
        let Self { histories, steps, restarts, digest, .. } = self;
        let sums = [sent, acked, delivered, lost, truncated_after_delivery, expired, duplicated];
        let sums: Vec<String> = sums.iter().map(u64::to_string).collect();
        format!("{histories}\t{steps}\t{restarts}\t{}\t{digest:016x}", sums.join("\t"))
    }
}

/// Told past the harness of the tests, which keeps what a test prints.
fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("somebody listens");
}

fn number_in(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Without words of its own where one of many fails.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = run();
    set_hook(hook);
    result
}

#[test]
fn the_histories_of_a_chunk() {
    let strategy = strategy();
    if let Ok(name) = std::env::var("TRUTH_HISTORY") {
        let (chunk, index) = name.split_once(':').expect("TRUTH_HISTORY is chunk:index");
        let number = |text: &str| text.parse().expect("TRUTH_HISTORY is of two numbers");
        let history = numbered(&strategy, number(chunk), number(index));
        if quietly(|| outcome(&history)).is_err() {
            let shortest = quietly(|| shortest(history));
            say(&format!("{shortest:#?}"));
            shortest.live();
        }
        return;
    }
    let Some(chunk) = number_in("TRUTH_CHUNK") else {
        // A taste of it; and the same history always comes to the same end.
        let taste = (0..20).map(|index| (0, index));
        for (chunk, index) in KEPT.iter().copied().chain(taste) {
            let history = numbered(&strategy, chunk, index);
            let again = numbered(&strategy, chunk, index);
            assert_eq!(history.ops.len(), STEPS);
            assert_eq!(history.live().digest, again.live().digest, "{chunk}:{index}");
        }
        return;
    };
    let size = number_in("TRUTH_SIZE").unwrap_or(10_000);
    let mut tally = Tally::default();
    let mut failed: Vec<String> = Vec::new();
    quietly(|| {
        for index in 0..size {
            let history = numbered(&strategy, chunk, index);
            match outcome(&history) {
                Ok(end) => tally.add(&history, end),
                Err(words) => failed.push(format!("{chunk}:{index} {words}")),
            }
        }
    });
    // Whoever has to mend them begins with the first.
    let outcome = match failed.as_slice() {
        [] => "ok".to_owned(),
        [first, others @ ..] => format!("{first} (and {} more)", others.len()),
    };
    say(&format!("\ntruth\t{}\t{}\t{outcome}", tally.line(), failed.len()));
    assert_eq!(outcome, "ok");
}
