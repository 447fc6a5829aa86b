//! kustody keeps the chain of custody of Kafka messages: it reads a cluster, judges what it read, keeps it, and tells.
//!
//! ```text
//!         wire ───── ClusterSnapshot ───► observe ──── Observation ───┐
//!  (rdkafka) canary ─ canary Event ─────► audit ────── Verdict ───────┤
//!                                                                     ▼
//!                                                        finding ─── Finding ───► alert ─── Notice
//!                                                                     │                      │
//!                                             store (sqlx: history.db, ledger.db) ◄──────────┘ ── outbox ──► notify
//!                                                                     ▼
//!                       watch<Arc<Published>> ───► web (axum, askama) · metrics (prometheus)   read-only
//! ```
//!
//! `model observe audit finding alert publish` are pure: no I/O, no clock, no async, no logging; the time is an
//! argument. Everything else is an edge, and each I/O crate has one home. `tests/architecture.rs` holds the arrows.

pub mod model;

pub mod observe;

pub mod audit;

pub mod finding;

pub mod alert;

pub mod publish;

pub mod clock;

pub mod wire;

pub mod canary;

pub mod store;

pub mod notify;

pub mod metrics;

pub mod web;

pub mod schedule;

pub mod config;

pub mod command;

pub mod app;
