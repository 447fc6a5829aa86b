//! What runs: our version and commit, and librdkafka's version.

/// The text of `kustody version`.
#[must_use]
pub fn version() -> String {
    format!("kustody {}\ncommit {}\nlibrdkafka {}\n", env!("CARGO_PKG_VERSION"), commit(), librdkafka())
}

/// The commit this was built from, where the build was told.
#[must_use]
pub fn commit() -> &'static str {
    option_env!("KUSTODY_COMMIT").unwrap_or("unknown")
}

/// The version of librdkafka that is linked.
#[must_use]
pub fn librdkafka() -> String {
    rdkafka::util::get_rdkafka_version().1
}
