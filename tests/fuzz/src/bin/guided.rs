//! Coverage-guided fuzzing of the poll plane's decoders: see `tests/fuzz/run`.
//!
//! An input is the key of an API, a version, and an answer. New ones are made from those that are kept, which began as valid
//! answers, by changes that know what a count and a length look like; what reaches code that none before reached is kept.

#![no_main]
#![expect(dead_code, unused_imports, reason = "what is shared with the tests is more than what is used here")]

#[path = "../../../decoders/allocator.rs"]
mod allocator;
#[path = "../../../decoders/corpus.rs"]
mod corpus;
#[path = "../../../decoders/decoders.rs"]
mod decoders;
#[path = "../../../decoders/dice.rs"]
mod dice;
#[path = "../../../../src/model/mod.rs"]
mod model;
#[path = "../../../decoders/mutation.rs"]
mod mutation;
#[path = "../../../decoders/wire.rs"]
mod wire;

use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

use allocator::measured;
use decoders::addressed;
use dice::Dice;
use mutation::mutated;

#[global_allocator]
static MEMORY: allocator::Counting = allocator::Counting;

/// The corpus as it was when this process began: what is spliced into other inputs, and begun with anew.
fn kept() -> &'static [Vec<u8>] {
    static KEPT: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    KEPT.get_or_init(corpus::inputs)
}

fuzz_target!(|input: &[u8]| {
    let Some((decoder, version, bytes)) = addressed(input) else { return };
    let (_, memory) = measured(|| decoder.read(version, bytes));
    assert!(memory <= bytes.len() * 16, "{} {version}: {memory} bytes for {}", decoder.name, bytes.len());
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice::new(u64::from(seed), 0, false);
    let choice = dice.below(8);
    if choice < 2 && size > 2 {
        return fuzzer_mutate(data, size, max_size);
    }
    let Some(other) = kept().get(dice.below(kept().len().max(1))) else { return fuzzer_mutate(data, size, max_size) };
    let current = data.get(..size).unwrap_or_default().to_vec();
    let new = match (current.split_at_checked(2), other.split_at_checked(2)) {
        (Some((address, bytes)), Some((_, other))) if choice < 7 => [address, &mutated(&mut dice, bytes, other)].concat(),
        (_, Some((address, other))) => [address, &mutated(&mut dice, other, &current)].concat(),
        (_, None) => current,
    };
    let length = new.len().min(max_size);
    data[..length].copy_from_slice(&new[..length]);
    length
});
