//! The integration tests: everything against a real Apache Kafka.

#[path = "../daemon/mod.rs"]
mod daemon;
#[path = "../kafka/mod.rs"]
mod kafka;
#[path = "../scoreboard/kills.rs"]
mod kills;
#[path = "../scoreboard/oracle.rs"]
mod oracle;
#[path = "../scoreboard/outcome.rs"]
mod outcome;
#[path = "../scoreboard/peer.rs"]
mod peer;
#[path = "../scoreboard/rows/mod.rs"]
mod rows;
#[path = "../scoreboard/stage.rs"]
mod stage;
#[path = "../scoreboard/verdict.rs"]
mod verdict;
#[path = "../scoreboard/watch.rs"]
mod watch;

mod apis;
mod brokers;
mod canary;
mod classes;
mod clusters;
mod crash;
mod doctor;
mod groups;
mod harness;
mod outside;
mod placement;
mod proxy;
mod rereads;
mod scoreboard;
mod security;
mod versions;
