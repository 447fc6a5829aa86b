//! The integration tests: everything against a real Apache Kafka.

#[path = "../kafka/mod.rs"]
mod kafka;

mod clusters;
mod harness;
