//! The group probe: a consumer group of our own, by which joining and committing are measured.

/// The group it is a member of. Nothing is ever found on it: what it does is for measurement alone.
pub const PROBE_GROUP: &str = "kustody-canary-probe";
