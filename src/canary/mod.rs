//! The data plane: rdkafka's home. Canary records go out and come back.

mod client;
mod cursor;
mod intake;
mod outcome;
mod producer;
mod raw;
mod reader;
mod reread;
pub mod topic;

pub use client::{Isolation, problems};
pub use producer::{Flushed, SendRefused};
pub use reader::{ReadStart, ReaderCommand, ReaderNotice};

use rdkafka::error::KafkaError;

use crate::audit::CanaryClass;

/// Why the canary cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// A property of the connection section is unknown or has no such value; its value is not repeated.
    #[error("{name}: {text}")]
    Property {
        /// The property.
        name: String,
        /// What librdkafka says of it.
        text: String,
    },
    /// librdkafka made no client of it: a certificate that cannot be read, properties that contradict each other.
    #[error("no client: {0}")]
    Client(#[source] KafkaError),
    /// No thread could be started.
    #[error("no thread for the canary")]
    Thread(#[source] std::io::Error),
    /// The event queue is too short: a send needs room for two.
    #[error("the event queue holds fewer than two events")]
    NoRoom,
    /// It must be started within a tokio runtime.
    #[error("no runtime")]
    NoRuntime,
    /// This build does not offer the class.
    #[error("class {0} is not offered")]
    ClassNotOffered(CanaryClass),
}

impl From<KafkaError> for CanaryError {
    fn from(error: KafkaError) -> Self {
        // The value may be a password.
        if let KafkaError::ClientConfig(_, text, name, _) = error {
            Self::Property { name, text }
        } else {
            Self::Client(error)
        }
    }
}
