//! What a decoder must survive: no panic, no more memory than the input's size allows, no waiting.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::allocator::measured;
use super::decoders::{Decoder, decoders};
use super::dice::Dice;
use super::mutation::{mutated, noise};

/// How many times its own size an input may take in memory.
const MOST_MEMORY: usize = 16;
const MOST_TIME: Duration = Duration::from_millis(50);

/// The worst that was seen of one decoder.
#[derive(Debug, Default)]
pub(crate) struct Worst {
    inputs: u64,
    mutated: u64,
    read: u64,
    memory: f64,
    time: Duration,
}

impl Worst {
    fn row(&self, name: &str) -> String {
        let Self { inputs, mutated, read, memory, time } = self;
        // A generator whose every input is refused at the first byte tests nothing.
        assert!(read * 50 > *inputs, "{name}: {read} of {inputs} were read");
        let slowest = time.as_secs_f64() * 1e3;
        format!("| {name} | {inputs} | {mutated} | {read} | {memory:.1} | {slowest:.2} ms |\n")
    }

    #[expect(clippy::disallowed_methods, reason = "time is what is measured")]
    pub(crate) fn see(&mut self, decoder: &Decoder, version: i16, bytes: &[u8], input: impl FnOnce() -> String) {
        let begun = Instant::now();
        let (result, memory) = measured(|| decoder.read(version, bytes));
        let mut took = begun.elapsed();
        let name = decoder.name;
        assert!(
            memory <= bytes.len() * MOST_MEMORY,
            "{name} {version}: {memory} bytes of memory for an input of {} ({})",
            bytes.len(),
            input()
        );
        // On a machine that does other things one look says little.
        for _ in 0..10 {
            if took <= MOST_TIME {
                break;
            }
            let again = Instant::now();
            decoder.read(version, bytes).ok();
            took = took.min(again.elapsed());
        }
        assert!(took <= MOST_TIME, "{name} {version}: {took:?} for {} bytes ({})", bytes.len(), input());
        self.inputs += 1;
        self.read += u64::from(result.is_ok());
        if !bytes.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "for a table")]
            let ratio = memory as f64 / bytes.len() as f64;
            self.memory = self.memory.max(ratio);
        }
        self.time = self.time.max(took);
    }
}

/// Valid answers by the key of their API: version and bytes.
pub(crate) type Valid = BTreeMap<i16, Vec<(i16, Vec<u8>)>>;

/// Gives each decoder so many inputs, three quarters of them valid answers made wrong, and says in a table what was the
/// worst. The same number is the same input.
pub(crate) fn survived(inputs: u64, valid: &Valid) -> String {
    let all: Vec<&Vec<u8>> = valid.values().flatten().map(|(_, bytes)| bytes).collect();
    let mut table =
        String::from("| decoder | inputs | mutated | read | memory / input | slowest |\n|---|---|---|---|---|---|\n");
    for decoder in decoders() {
        let own = valid.get(&decoder.key).expect("every decoder has an answer to begin with");
        let versions: Vec<i16> = decoder.versions.clone().collect();
        let mut worst = Worst::default();
        for number in 0..inputs {
            let mut dice = Dice::new(number, 0, false);
            let (version, bytes) = if number % 4 == 3 {
                (versions[dice.below(versions.len())], noise(&mut dice))
            } else {
                worst.mutated += 1;
                let (version, valid) = &own[dice.below(own.len())];
                let other = all[dice.below(all.len())];
                // Now and then it is taken for an answer of another version.
                let version = if dice.below(8) == 0 { versions[dice.below(versions.len())] } else { *version };
                (version, mutated(&mut dice, valid, other))
            };
            worst.see(&decoder, version, &bytes, || format!("input {number}"));
        }
        table += &worst.row(decoder.name);
    }
    table
}
