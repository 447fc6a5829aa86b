//! The ledger's rules, each with its counter-case.

mod acks;
mod anomalies;
mod closed;
mod invariants;
mod losses;
mod overtaken;
mod rates;
mod receipts;
mod restarts;
mod scene;
mod slo;
mod suspects;
mod transactions;
mod unacknowledged;
