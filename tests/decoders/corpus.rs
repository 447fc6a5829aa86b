//! The inputs that fuzzing kept, by name: each reaches some part of a decoder that no other does.

use std::path::Path;

/// All of them, from `tests/corpus`: files of `length, bytes` one behind the other.
pub(crate) fn inputs() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&root).expect("the corpus is there") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("it is readable");
        let mut left = bytes.as_slice();
        while let Some((length, rest)) = left.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_be_bytes(*length)).expect("32 bits fit");
            let (input, rest) = rest.split_at_checked(length).expect("a whole input");
            inputs.push((format!("{name} {}", inputs.len()), input.to_vec()));
            left = rest;
        }
    }
    inputs
}
