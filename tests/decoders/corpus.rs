//! The inputs that fuzzing begins with and those it kept, a line of hexadecimal digits each.

use std::path::Path;

/// All of them. Each that was kept reaches some part of a decoder that no other does.
pub(crate) fn inputs() -> Vec<Vec<u8>> {
    [answers(), lines("decoders")].concat()
}

/// A valid answer of every version, which no fuzzing takes away.
pub(crate) fn answers() -> Vec<Vec<u8>> {
    lines("answers")
}

fn lines(name: &str) -> Vec<Vec<u8>> {
    // The crate that fuzzes has its manifest beside the corpus, ours has it one up.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = [root.join("tests/corpus"), root.join("../corpus")].into_iter().find(|corpus| corpus.exists());
    let file = corpus.expect("the corpus is there").join(name);
    std::fs::read_to_string(file).expect("it is readable").lines().map(bytes).collect()
}

/// The bytes that hexadecimal digits say.
pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}
