//! Valid answers, made wrong in the ways that a broker, a proxy or an attacker makes them wrong.

use super::dice::Dice;

/// Lengths and counts that a decoder must not believe, in each encoding.
const CLAIMS: [&[u8]; 10] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0, 1, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x80, 0x04],
    &[0x7f, 0xff],
    &[0xff, 0xfe],
    &[0],
];

/// The longest input, in bytes: a mutation may double its length.
const LONGEST: usize = 1 << 16;

/// Another input, made from `valid` by some changes; `other` is spliced in.
pub(crate) fn mutated(dice: &mut Dice, valid: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..1 + dice.below(4) {
        change(dice, &mut bytes, other);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = dice.below(bytes.len() + 1);
    let length = dice.below(64).min(bytes.len() - at);
    match dice.below(9) {
        0 => bytes.truncate(at),
        1 => overwrite(bytes, at, CLAIMS[dice.below(CLAIMS.len())]),
        2 => overwrite(bytes, at, &[dice.number().to_be_bytes()[0]]),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        4 => {
            let claim = CLAIMS[dice.below(CLAIMS.len())];
            bytes.splice(at..at, claim.iter().copied());
        }
        5 => {
            bytes.drain(at..at + length);
        }
        6 => {
            let copy = bytes.get(at..at + length).unwrap_or_default().to_vec();
            let times = 1 + dice.below(200);
            bytes.splice(at..at, copy.repeat(times));
        }
        7 => {
            let from = dice.below(other.len() + 1);
            bytes.splice(at.., other.get(from..).unwrap_or_default().iter().copied());
        }
        _ => {
            // Many small elements: what they take in memory is much more than their bytes.
            let filler = [0, 1, 0xff][dice.below(3)];
            let count = dice.below(4_000);
            bytes.splice(at..at, std::iter::repeat_n(filler, count));
        }
    }
}

fn overwrite(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(new) {
        *byte = *new;
    }
}

/// Bytes of no meaning.
pub(crate) fn noise(dice: &mut Dice) -> Vec<u8> {
    let length = dice.below(2_000);
    let sparse = dice.bool();
    let byte = |dice: &mut Dice| {
        let byte = dice.number().to_be_bytes()[0];
        if sparse { byte & 3 } else { byte }
    };
    (0..length).map(|_| byte(dice)).collect()
}
