//! What runs: our version and commit, and librdkafka's version.

/// The text of `kustody version`.
#[must_use]
pub fn version() -> String {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    format!("kustody {}\ncommit {}\nlibrdkafka {librdkafka}\n", env!("CARGO_PKG_VERSION"), commit())
}

/// The commit this was built from, where the build was told.
#[must_use]
pub fn commit() -> &'static str {
    option_env!("KUSTODY_COMMIT").unwrap_or("unknown")
}
