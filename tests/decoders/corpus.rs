//! The inputs that fuzzing kept: each reaches some part of a decoder that no other does.

use std::path::Path;

/// All of them: a line of hexadecimal digits each.
pub(crate) fn inputs() -> Vec<Vec<u8>> {
    // The crate that fuzzes has its manifest beside the corpus, ours has it one up.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file =
        [root.join("tests/corpus/decoders"), root.join("../corpus/decoders")].into_iter().find(|file| file.exists());
    let text = std::fs::read_to_string(file.expect("the corpus is there")).expect("it is readable");
    text.lines().map(bytes).collect()
}

/// The bytes that hexadecimal digits say.
pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).expect("digits"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal digits")).collect()
}
