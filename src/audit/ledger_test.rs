//! The ledger's rules, each with its counter-case.

mod losses;
mod rates;
mod receipts;
mod restarts;
mod scene;
mod suspects;
mod transactions;
