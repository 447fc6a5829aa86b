//! The poll plane: our own small Kafka client, read-only, and never blind.

#[cfg_attr(not(test), expect(dead_code, reason = "the connection comes next"))]
mod api;
#[cfg_attr(not(test), expect(dead_code, reason = "the connection comes next"))]
mod codec;
