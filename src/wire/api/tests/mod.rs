//! What no other test reads, against `kafka-protocol`, which is generated from Kafka's own message definitions.

mod sasl;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, StrBytes};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn encoded(message: &impl Encodable, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut bytes, version).expect("a message of that version");
    bytes.freeze()
}
