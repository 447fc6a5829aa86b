//! The poll plane: our own small Kafka client, read-only, and never blind.

mod api;
mod codec;
mod connection;
mod requests;
mod transport;
