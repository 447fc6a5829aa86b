//! What can go wrong with a cluster under test.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a cluster, or a client of it, did not do what a test asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The jars are not there; no test is skipped for that.
    #[error("Kafka for the tests is not prepared, {} is missing: run tests/install", .0.display())]
    NotInstalled(PathBuf),
    /// A JVM ended by itself.
    #[error("broker {id} ended by itself ({status}); its log says:\n{log}")]
    Ended { id: i32, status: ExitStatus, log: String },
    /// A signal was meant for a broker that does not run.
    #[error("broker {0} does not run")]
    NotRunning(i32),
    /// A broker was to be started, or its log deleted, while it runs.
    #[error("broker {0} runs")]
    Running(i32),
    /// The cluster has no broker of this id.
    #[error("there is no broker {0}")]
    NoSuchBroker(i32),
    /// A condition that [`until`](super::until) waits for does not hold yet.
    #[error("{0}")]
    NotYet(String),
    /// A condition did not hold in time.
    #[error("{what}: not within {limit:?}; last seen: {seen}")]
    Deadline { what: String, limit: Duration, seen: String },
    /// A broker answered with an error code.
    #[error("{request} was answered with {code}")]
    Refused { request: &'static str, code: String },
    /// What a broker sent is not what its version of the protocol says.
    #[error("{request} could not be encoded or decoded: {text}")]
    Codec { request: &'static str, text: String },
    /// librdkafka said no.
    #[error("librdkafka")]
    Librdkafka(#[from] rdkafka::error::KafkaError),
    /// The operating system said no.
    #[error("{what}")]
    System { what: String, source: std::io::Error },
}

impl Error {
    /// Says what was tried when the operating system said no.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
