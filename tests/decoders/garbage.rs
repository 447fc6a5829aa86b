//! Garbage of every kind for every decoder: none may panic, take more memory than its size allows, or take its time.
//!
//! `DECODER_INPUTS` says how many inputs each decoder gets (2,000). `make fuzz-blind` gives each a million, as a release.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::decoders::{addressed, decoder};
use super::frames::Frame;
use super::samples::{Sample, samples};
use super::survival::{Valid, Worst, survived};
use super::{corpus, frames};

fn inputs() -> u64 {
    std::env::var("DECODER_INPUTS").map_or(2_000, |number| number.parse().expect("DECODER_INPUTS is a number"))
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
#[expect(clippy::print_stdout, reason = "with --nocapture it prints its table")]
fn mutated_answers_and_noise_are_survived() {
    let of_api = |samples: Vec<Sample>| samples.into_iter().map(|one| (one.version, one.bytes.to_vec())).collect();
    let valid: Valid = valid().into_iter().map(|(key, samples)| (key, of_api(samples))).collect();
    println!("{}", survived(inputs(), &valid));
}

#[test]
fn what_fuzzing_found_is_survived_again() {
    let mut seen = 0;
    for (line, input) in (1..).zip(corpus::inputs()) {
        let Some((decoder, version, bytes)) = addressed(&input) else { continue };
        Worst::default().see(&decoder, version, bytes, || format!("line {line} of the corpus"));
        seen += 1;
    }
    assert!(seen > 1_000, "the corpus was found: {seen}");
}

/// Fuzzing begins with valid answers: it would not find a whole message by itself. `CORPUS_SEEDS` names a file for those
/// that are to be added to `tests/corpus/answers` when a decoder is new.
#[test]
fn the_corpus_has_a_valid_answer_of_every_version() {
    let mut read = BTreeSet::new();
    for input in corpus::answers() {
        let Some((decoder, version, bytes)) = addressed(&input) else { continue };
        if decoder.read(version, bytes).is_ok() {
            read.insert((decoder.key, version));
        }
    }
    let mut lacking: BTreeMap<(i16, i16), Vec<Bytes>> = BTreeMap::new();
    for sample in valid().into_values().flatten().filter(|sample| sample.bytes.len() < 2_000) {
        let (key, version) = (sample.key, sample.version);
        if !read.contains(&(key, version)) {
            lacking.entry((key, version)).or_default().push(sample.bytes);
        }
    }
    if let Ok(file) = std::env::var("CORPUS_SEEDS") {
        let lines = lacking.iter_mut().map(|((key, version), answers)| {
            answers.sort_unstable_by_key(Bytes::len);
            let median = answers.get(answers.len() / 2).expect("there is one");
            let digits: String = median.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{key:02x}{version:02x}{digits}\n")
        });
        std::fs::write(file, lines.collect::<String>()).expect("it can be written");
    }
    assert!(lacking.is_empty(), "answers are to be added: {:?}", lacking.keys());
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
