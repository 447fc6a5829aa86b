//! Every decoder and encoder of the poll plane, against other implementations and against garbage.
//!
//! The sources are compiled into this crate: what is tested here is private, and memory is counted by an allocator of our
//! own.

mod allocator;
mod answers;
mod corpus;
mod decoders;
mod dice;
mod frames;
mod garbage;
mod mutation;
mod requests;
mod responses;
mod samples;
mod survival;
mod wire;

use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, StrBytes};
// Where the sources of the poll plane look for it.
use kustody::model;

#[global_allocator]
static MEMORY: allocator::Counting = allocator::Counting;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// An id as `kafka-protocol` has it.
fn uuid<T: FromStr<Err: std::fmt::Debug>>(id: [u8; 16]) -> T {
    let text: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().expect("32 hexadecimal digits")
}

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).expect("a message of that version");
    bytes.freeze()
}
