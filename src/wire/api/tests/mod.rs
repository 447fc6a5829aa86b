//! Every API and version against `kafka-protocol`, which is generated from Kafka's own message definitions.

mod garbage;
mod requests;
mod responses;
mod sasl;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::Request;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The versions that both sides speak; all of ours must be among them.
fn versions<R: Request>() -> impl Iterator<Item = i16> {
    R::VERSIONS
}

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).expect("a message of that version");
    bytes.freeze()
}
