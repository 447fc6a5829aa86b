//! Who we are to a broker, and who it is to us: TLS and SASL of the poll plane, by librdkafka's property names.
//!
//! [`Security`] is what was configured, [`Keyring`] what its files hold now. Secrets leave this module on the wire only.

mod bearer;
mod clues;
mod keyring;
mod names;
mod oidc;
mod sasl;
mod scram;
mod settings;
mod tls;

pub use bearer::{Token, Tokens};
pub(crate) use clues::Clues;
pub(crate) use keyring::{Held, Keyring};
pub use names::PROPERTIES;
pub(crate) use sasl::{Login, Turn};
pub use settings::Security;
pub(crate) use tls::Tls;

#[cfg(test)]
mod certificates_for_tests;
#[cfg(test)]
mod tests;
