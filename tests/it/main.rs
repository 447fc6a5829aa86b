//! The integration tests: everything against a real Apache Kafka.

#[path = "../kafka/mod.rs"]
mod kafka;

mod brokers;
mod canary;
mod classes;
mod clusters;
mod crash;
mod daemon;
mod groups;
mod harness;
mod outside;
