//! How a canary record travels: 70 bytes, the last four of them a checksum of all others.
//!
//! ```text
//! magic 4 │ version 1 │ class 1 │ topic id 16 │ lineage 16 │ incarnation 8 │ partition 4 │ sequence 8 │ sent at 8 │ CRC32C 4
//! ```
//!
//! Numbers are big-endian. Every version begins with the magic and the version and ends with the checksum, so that
//! a record of a version we do not know is told from a damaged one. The `crc32c` crate is pure computation.

use super::event::Unreadable;
use super::record::{CanaryClass, CanaryRecord, Incarnation, Lineage, RecordKey};
use crate::model::{PartitionId, Timestamp, TopicId};

/// What a canary record begins with; its first byte is no text, so that nobody writes it by accident.
const MAGIC: [u8; 4] = [0xCA, b'n', b'r', b'y'];
const VERSION: u8 = 1;
const LENGTH: usize = 70;

/// The bytes of a record, 70 of them.
#[must_use]
pub fn encode(record: &CanaryRecord) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.extend(MAGIC);
    bytes.push(VERSION);
    bytes.push(class_number(record.key.class));
    bytes.extend(record.topic_id.0);
    bytes.extend(record.lineage.0);
    bytes.extend(record.key.incarnation.0.to_be_bytes());
    bytes.extend(record.key.partition.0.to_be_bytes());
    bytes.extend(record.key.sequence.to_be_bytes());
    bytes.extend(record.sent_at.as_millis().to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

/// The record of `lineage` in these bytes, or what they are instead.
///
/// # Errors
/// [`Unreadable::Foreign`] without our magic, or intact but of another lineage or version; [`Unreadable::Corrupt`] with
/// our magic and a wrong checksum, length or field.
pub fn decode(bytes: &[u8], lineage: Lineage) -> Result<CanaryRecord, Unreadable> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Unreadable::Foreign);
    }
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(Unreadable::Corrupt)?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*checksum) {
        return Err(Unreadable::Corrupt);
    }
    let rest = body.get(MAGIC.len()..).ok_or(Unreadable::Corrupt)?;
    let (&version, rest) = rest.split_first().ok_or(Unreadable::Corrupt)?;
    if version != VERSION {
        return Err(Unreadable::Foreign);
    }
    let record = fields(rest).ok_or(Unreadable::Corrupt)?;
    if record.lineage == lineage { Ok(record) } else { Err(Unreadable::Foreign) }
}

/// What lies between version and checksum; nothing when a field or the length is wrong.
fn fields(bytes: &[u8]) -> Option<CanaryRecord> {
    let (&class, bytes) = bytes.split_first()?;
    let (topic_id, bytes) = bytes.split_first_chunk::<16>()?;
    let (lineage, bytes) = bytes.split_first_chunk::<16>()?;
    let (incarnation, bytes) = bytes.split_first_chunk::<8>()?;
    let (partition, bytes) = bytes.split_first_chunk::<4>()?;
    let (sequence, bytes) = bytes.split_first_chunk::<8>()?;
    let (sent_at, bytes) = bytes.split_first_chunk::<8>()?;
    let partition = i32::from_be_bytes(*partition);
    if !bytes.is_empty() || partition < 0 {
        return None;
    }
    Some(CanaryRecord {
        topic_id: TopicId(*topic_id),
        lineage: Lineage(*lineage),
        key: RecordKey {
            incarnation: Incarnation(u64::from_be_bytes(*incarnation)),
            class: class_numbered(class)?,
            partition: PartitionId(partition),
            sequence: u64::from_be_bytes(*sequence),
        },
        sent_at: Timestamp::from_millis(i64::from_be_bytes(*sent_at)),
    })
}

/// The class's number on the wire. It is in records that outlive this build: never renumber.
fn class_number(class: CanaryClass) -> u8 {
    match class {
        CanaryClass::Acks0 => 0,
        CanaryClass::Acks1 => 1,
        CanaryClass::All => 2,
        CanaryClass::Idempotent => 3,
        CanaryClass::Transactional => 4,
    }
}

fn class_numbered(number: u8) -> Option<CanaryClass> {
    CanaryClass::ALL.iter().copied().find(|class| class_number(*class) == number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: Lineage = Lineage([7; 16]);

    fn record() -> CanaryRecord {
        CanaryRecord {
            topic_id: TopicId([3; 16]),
            lineage: OURS,
            key: RecordKey {
                incarnation: Incarnation(0x0123_4567_89ab_cdef),
                class: CanaryClass::Idempotent,
                partition: PartitionId(2),
                sequence: 41,
            },
            sent_at: Timestamp::from_millis(1_795_336_103_007),
        }
    }

    /// The bytes with a checksum that fits them.
    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        body.extend(crc32c::crc32c(&body).to_be_bytes());
        body
    }

    /// The body of `record()` with the byte at `at` replaced.
    fn with_byte(at: usize, value: u8) -> Vec<u8> {
        let mut body = encode(&record());
        body.truncate(LENGTH - 4);
        *body.get_mut(at).expect("within the body") = value;
        body
    }

    #[test]
    fn the_bytes_never_change() {
        // A record that is in a log today is read by tomorrow's build.
        let hex: String = encode(&record()).iter().map(|byte| format!("{byte:02x}")).collect();
        insta::assert_snapshot!(hex, @"ca6e7279010303030303030303030303030303030303070707070707070707070707070707070123456789abcdef000000020000000000000029000001a2025ee45fa1189dc8");
    }

    #[test]
    fn what_is_no_record_of_ours_is_named() {
        let mut long = encode(&record());
        long.truncate(LENGTH - 4);
        long.push(0);
        let cases = [
            ("nothing", Vec::new(), Unreadable::Foreign),
            ("somebody else's text", b"hello".to_vec(), Unreadable::Foreign),
            ("only the magic", MAGIC.to_vec(), Unreadable::Corrupt),
            ("the magic and a checksum", sealed(MAGIC.to_vec()), Unreadable::Corrupt),
            ("cut short", encode(&record()).into_iter().take(40).collect(), Unreadable::Corrupt),
            ("a byte too long, checksum right", sealed(long), Unreadable::Corrupt),
            ("a class that is none, checksum right", sealed(with_byte(5, 9)), Unreadable::Corrupt),
            ("a negative partition, checksum right", sealed(with_byte(46, 0x80)), Unreadable::Corrupt),
            ("a later version, checksum right", sealed(with_byte(4, 2)), Unreadable::Foreign),
            ("a later version, checksum wrong", with_byte(4, 2), Unreadable::Corrupt),
        ];
        for (name, bytes, want) in cases {
            assert_eq!(decode(&bytes, OURS), Err(want), "{name}");
        }
    }

    #[test]
    fn another_lineage_is_foreign_and_not_corrupt() {
        assert_eq!(decode(&encode(&record()), Lineage([8; 16])), Err(Unreadable::Foreign));
        assert_eq!(decode(&encode(&record()), OURS), Ok(record()));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let whole = encode(&record());
        for at in 0..whole.len() {
            for flip in 1..=u8::MAX {
                let mut bytes = whole.clone();
                *bytes.get_mut(at).expect("within the record") ^= flip;
                let want = if at < MAGIC.len() { Unreadable::Foreign } else { Unreadable::Corrupt };
                assert_eq!(decode(&bytes, OURS), Err(want), "byte {at} ^ {flip:#x}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            topic_id: [u8; 16], lineage: [u8; 16], incarnation: u64, class in 0..5_usize,
            partition in 0..=i32::MAX, sequence: u64, sent_at: i64,
        ) {
            let record = CanaryRecord {
                topic_id: TopicId(topic_id),
                lineage: Lineage(lineage),
                key: RecordKey {
                    incarnation: Incarnation(incarnation),
                    class: *CanaryClass::ALL.get(class).expect("five classes"),
                    partition: PartitionId(partition),
                    sequence,
                },
                sent_at: Timestamp::from_millis(sent_at),
            };
            let bytes = encode(&record);
            prop_assert_eq!(bytes.len(), LENGTH);
            prop_assert_eq!(decode(&bytes, record.lineage), Ok(record));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, framed: bool) {
            let mut all = if framed { MAGIC.to_vec() } else { Vec::new() };
            all.extend(bytes);
            prop_assert!(decode(&all, OURS).is_err());
            prop_assert!(decode(&sealed(all), OURS).is_err());
        }
    }
}
