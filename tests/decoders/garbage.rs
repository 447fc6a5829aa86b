//! Garbage of every kind for every decoder: none may panic, take more memory than its size allows, or take its time.
//!
//! `DECODER_INPUTS` says how many inputs each decoder gets (2,000); three quarters are valid answers made wrong. Each is
//! numbered: the same number is the same input.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::allocator::measured;
use super::decoders::{Decoder, addressed, decoder, decoders};
use super::dice::Dice;
use super::frames::Frame;
use super::mutation::{mutated, noise};
use super::samples::{Sample, samples};
use super::{corpus, frames};

/// How many times its own size an input may take in memory.
const MOST_MEMORY: usize = 16;
const MOST_TIME: Duration = Duration::from_millis(50);

fn inputs() -> u64 {
    std::env::var("DECODER_INPUTS").map_or(2_000, |number| number.parse().expect("DECODER_INPUTS is a number"))
}

/// The worst that was seen of one decoder.
#[derive(Debug, Default)]
struct Worst {
    inputs: u64,
    mutated: u64,
    read: u64,
    memory: f64,
    time: Duration,
}

impl Worst {
    fn see(&mut self, decoder: &Decoder, version: i16, bytes: &[u8], input: impl FnOnce() -> String) {
        let begun = Instant::now();
        let (result, memory) = measured(|| decoder.read(version, bytes));
        let took = begun.elapsed();
        let name = decoder.name;
        assert!(
            memory <= bytes.len() * MOST_MEMORY,
            "{name} {version}: {memory} bytes of memory for an input of {} ({})",
            bytes.len(),
            input()
        );
        // One look is not enough on a machine that does other things.
        if took > MOST_TIME {
            let again = Instant::now();
            drop(decoder.read(version, bytes).ok());
            assert!(again.elapsed() <= MOST_TIME, "{name} {version}: {took:?} for {} bytes ({})", bytes.len(), input());
        }
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

/// Valid answers of each API.
fn valid() -> BTreeMap<i16, Vec<Sample>> {
    let mut valid: BTreeMap<i16, Vec<Sample>> = BTreeMap::new();
    for sample in samples(0..12).into_iter().chain(frames::recorded().iter().map(Frame::sample)) {
        valid.entry(sample.key).or_default().push(sample);
    }
    valid
}

#[test]
fn mutated_answers_and_noise_are_survived() {
    let (inputs, valid) = (inputs(), valid());
    let all: Vec<&Sample> = valid.values().flatten().collect();
    let mut table =
        String::from("| decoder | inputs | mutated | read | memory × input | slowest |\n|---|---|---|---|---|---|\n");
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
                let Sample { version, bytes: valid, .. } = &own[dice.below(own.len())];
                let other = all[dice.below(all.len())];
                // Now and then it is taken for an answer of another version.
                let version = if dice.below(8) == 0 { versions[dice.below(versions.len())] } else { *version };
                (version, mutated(&mut dice, valid, &other.bytes))
            };
            worst.see(&decoder, version, &bytes, || format!("input {number}"));
        }
        let Worst { inputs, mutated, read, memory, time } = worst;
        // A generator whose every input is refused at the first byte tests nothing.
        assert!(read * 50 > inputs, "{}: {read} of {inputs} were read", decoder.name);
        table += &format!(
            "| {} | {inputs} | {mutated} | {read} | {memory:.1} | {:.2} ms |\n",
            decoder.name,
            time.as_secs_f64() * 1e3
        );
    }
    println!("{table}");
}

#[test]
fn what_fuzzing_found_is_survived_again() {
    let mut seen = 0;
    for (name, input) in corpus::inputs() {
        let Some((decoder, version, bytes)) = addressed(&input) else { continue };
        Worst::default().see(&decoder, version, bytes, || name.clone());
        seen += 1;
    }
    assert!(seen > 1_000, "the corpus was found: {seen}");
}

/// A decoder that believed one of these lengths would ask for more memory than there is, and abort.
#[test]
fn huge_lengths_at_every_position_are_refused() {
    let lengths: [&[u8]; 4] =
        [&[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x7f, 0xff], &[0x80, 0, 0, 0]];
    for (key, samples) in valid() {
        let decoder = decoder(key).expect("it is one of ours");
        // The longest of each version that is not too long for this.
        let mut chosen: BTreeMap<i16, Bytes> = BTreeMap::new();
        for sample in samples.into_iter().filter(|sample| sample.bytes.len() < 1_500) {
            let longest = chosen.entry(sample.version).or_default();
            if sample.bytes.len() > longest.len() {
                *longest = sample.bytes;
            }
        }
        for (version, sample) in chosen {
            for at in 0..sample.len() {
                for length in lengths {
                    let mut bytes = sample.to_vec();
                    for (byte, new) in bytes.iter_mut().skip(at).zip(length) {
                        *byte = *new;
                    }
                    Worst::default().see(&decoder, version, &bytes, || format!("{length:?} at {at}"));
                }
            }
        }
    }
}
