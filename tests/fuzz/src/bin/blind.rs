//! So many inputs for each decoder of the poll plane, made wrong from the corpus: `blind 1000000` prints the table.

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
#[path = "../../../decoders/survival.rs"]
mod survival;
#[path = "../../../decoders/wire.rs"]
mod wire;

use survival::{Valid, survived};

#[global_allocator]
static MEMORY: allocator::Counting = allocator::Counting;

fn main() {
    let inputs = std::env::args().nth(1).map_or(1_000_000, |number| number.parse().expect("a number of inputs"));
    let mut valid = Valid::new();
    for input in corpus::inputs() {
        if let Some((decoder, version, bytes)) = decoders::addressed(&input)
            && decoder.read(version, bytes).is_ok()
        {
            valid.entry(decoder.key).or_default().push((version, bytes.to_vec()));
        }
    }
    print!("{}", survived(inputs, &valid));
}
