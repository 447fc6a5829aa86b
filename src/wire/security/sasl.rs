//! The SASL mechanisms as dialogues: what to send first, and what then.

use super::scram::{Hash, Scram};
use super::settings::Mechanism;
use crate::model::Secret;

/// Who we say we are, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) mechanism: Mechanism,
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// One authentication under way.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// Everything is said at once.
    Plain(Secret),
    Scram(Scram),
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Say(Vec<u8>),
    Done,
}

impl Login {
    /// One line for the operator, with the broker's own words.
    pub(crate) fn refused(&self, words: &str) -> String {
        let Self { mechanism, username, .. } = self;
        let (mechanism, words) = (mechanism.name(), if words.is_empty() { "no reason given" } else { words });
        format!("the broker refuses user {username:?} by {mechanism} ({words}): check sasl.username and sasl.password")
    }

    /// Begins to authenticate.
    pub(crate) fn dialogue(&self) -> Result<Dialogue, String> {
        let scram = |hash| {
            let mut nonce = [0; 24];
            getrandom::fill(&mut nonce).map_err(|error| format!("the system has no randomness: {error}"))?;
            Ok(Dialogue::Scram(Scram::new(hash, &self.username, self.password.clone(), nonce)))
        };
        match self.mechanism {
            Mechanism::Plain => {
                // RFC 4616: whom to act as, who we are, the password.
                let message = format!("\0{}\0{}", self.username, self.password.reveal());
                Ok(Dialogue::Plain(Secret::new(message)))
            }
            Mechanism::ScramSha256 => scram(Hash::Sha256),
            Mechanism::ScramSha512 => scram(Hash::Sha512),
        }
    }
}

impl Dialogue {
    /// What is sent first.
    pub(crate) fn first(&self) -> Vec<u8> {
        match self {
            Self::Plain(message) => message.reveal().as_bytes().to_vec(),
            Self::Scram(scram) => scram.first(),
        }
    }

    /// What follows what the broker told; an error says what is wrong with it.
    pub(crate) fn next(&mut self, told: &[u8]) -> Result<Turn, String> {
        match self {
            Self::Plain(_) => Ok(Turn::Done),
            Self::Scram(scram) => Ok(scram.next(told)?.map_or(Turn::Done, Turn::Say)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(mechanism: Mechanism) -> Login {
        Login { mechanism, username: "me".to_owned(), password: Secret::new("hunter2".to_owned()) }
    }

    #[test]
    fn plain_says_everything_at_once() {
        let mut plain = login(Mechanism::Plain).dialogue().expect("it begins");
        assert_eq!(plain.first(), b"\0me\0hunter2");
        assert_eq!(plain.next(b""), Ok(Turn::Done));
        assert!(!format!("{plain:?}").contains("hunter2"));
    }

    #[test]
    fn no_two_dialogues_have_one_nonce() {
        let first = || login(Mechanism::ScramSha256).dialogue().expect("it begins").first();
        assert_ne!(first(), first());
    }
}
