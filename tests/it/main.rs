//! The integration tests: everything against a real Apache Kafka.

#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../kafka/mod.rs"]
mod kafka;

mod brokers;
mod canary;
mod classes;
mod clusters;
mod crash;
mod groups;
mod harness;
mod outside;
mod proxy;
