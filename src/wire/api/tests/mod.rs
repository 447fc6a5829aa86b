//! What no other test reads, against `kafka-protocol`, which is generated from Kafka's own message definitions.

mod names;
mod throttle;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).expect("a message of that version");
    bytes.freeze()
}
