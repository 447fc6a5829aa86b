//! The SASL mechanisms as dialogues: what to send first, and what then.

use serde::Deserialize;

use super::bearer::Tokens;
use super::scram::{Hash, Scram};
use super::settings::Mechanism;
use crate::model::Secret;

/// Who we say we are, and how.
#[derive(Clone, Debug)]
pub(crate) enum Login {
    Password { mechanism: Mechanism, username: String, password: Secret },
    Bearer(Tokens),
}

/// One authentication under way.
#[derive(Debug)]
pub(crate) enum Dialogue {
    /// Everything is said at once.
    Plain(Secret),
    Scram(Scram),
    /// Everything is said at once; if the broker answers, then with the reason of its refusal.
    Bearer {
        message: Secret,
        status: Option<String>,
    },
}

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Say(Vec<u8>),
    Done,
}

/// Why a token is refused (RFC 7628, section 3.2.2).
#[derive(Deserialize)]
struct Refusal {
    status: String,
}

impl Login {
    /// Kafka's name of the mechanism.
    pub(crate) const fn mechanism(&self) -> &'static str {
        match self {
            Self::Password { mechanism, .. } => mechanism.name(),
            Self::Bearer(_) => Mechanism::Bearer.name(),
        }
    }

    /// Begins to authenticate.
    pub(crate) async fn dialogue(&self) -> Result<Dialogue, String> {
        let (mechanism, username, password) = match self {
            Self::Password { mechanism, username, password } => (mechanism, username, password),
            Self::Bearer(tokens) => {
                let token = tokens.token().await?;
                let message = Secret::new(format!("n,,\u{1}auth=Bearer {}\u{1}\u{1}", token.reveal()));
                return Ok(Dialogue::Bearer { message, status: None });
            }
        };
        let scram = |hash| {
            let mut nonce = [0; 24];
            getrandom::fill(&mut nonce).map_err(|error| format!("the system has no randomness: {error}"))?;
            Ok(Dialogue::Scram(Scram::new(hash, username, password.clone(), nonce)))
        };
        match mechanism {
            Mechanism::ScramSha256 => scram(Hash::Sha256),
            Mechanism::ScramSha512 => scram(Hash::Sha512),
            // RFC 4616: whom to act as, who we are, the password.
            Mechanism::Plain | Mechanism::Bearer => {
                Ok(Dialogue::Plain(Secret::new(format!("\0{username}\0{}", password.reveal()))))
            }
        }
    }

    /// One line for the operator on a refusal, with the broker's own words.
    pub(crate) fn refused(&self, dialogue: &Dialogue, words: &str) -> String {
        let words = if words.is_empty() { "no reason given" } else { words };
        let mechanism = self.mechanism();
        match self {
            Self::Password { username, .. } => format!(
                "the broker refuses user {username:?} by {mechanism} ({words}): check sasl.username and sasl.password"
            ),
            Self::Bearer(_) => {
                let status = match dialogue {
                    Dialogue::Bearer { status: Some(status), .. } => format!("{status}; {words}"),
                    Dialogue::Bearer { status: None, .. } | Dialogue::Plain(_) | Dialogue::Scram(_) => words.to_owned(),
                };
                format!("the broker refuses our token ({status}): has it expired, and is it for these brokers?")
            }
        }
    }
}

impl Dialogue {
    /// What is sent first.
    pub(crate) fn first(&self) -> Vec<u8> {
        match self {
            Self::Plain(message) | Self::Bearer { message, .. } => message.reveal().as_bytes().to_vec(),
            Self::Scram(scram) => scram.first(),
        }
    }

    /// What follows what the broker told; an error says what is wrong with it.
    pub(crate) fn next(&mut self, told: &[u8]) -> Result<Turn, String> {
        match self {
            Self::Plain(_) => Ok(Turn::Done),
            Self::Scram(scram) => Ok(scram.next(told)?.map_or(Turn::Done, Turn::Say)),
            Self::Bearer { .. } if told.is_empty() => Ok(Turn::Done),
            Self::Bearer { status, .. } => {
                // The broker ends the dialogue once its reason is taken note of.
                let refusal = serde_json::from_slice::<Refusal>(told).map_err(|_| "it gives no reason".to_owned())?;
                let word = refusal.status.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c));
                *status = Some(word.take(60).collect());
                Ok(Turn::Say(vec![1]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bearer::Origin;
    use super::*;
    use crate::clock::Clock;

    fn login(mechanism: Mechanism) -> Login {
        Login::Password { mechanism, username: "me".to_owned(), password: Secret::new("hunter2".to_owned()) }
    }

    #[tokio::test]
    async fn plain_says_everything_at_once() {
        let mut plain = login(Mechanism::Plain).dialogue().await.expect("it begins");
        assert_eq!(plain.first(), b"\0me\0hunter2");
        assert_eq!(plain.next(b""), Ok(Turn::Done));
        assert!(!format!("{plain:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn no_two_dialogues_have_one_nonce() {
        let login = login(Mechanism::ScramSha256);
        let first = login.dialogue().await.expect("it begins").first();
        assert_ne!(login.dialogue().await.expect("it begins").first(), first);
    }

    #[tokio::test]
    async fn a_refused_token_is_taken_note_of() {
        let login = Login::Bearer(Tokens::new(Origin::Given(Secret::new("abc.def".to_owned())), Clock::start()));
        let mut bearer = login.dialogue().await.expect("it begins");
        assert_eq!(bearer.first(), b"n,,\x01auth=Bearer abc.def\x01\x01");
        assert_eq!(bearer.next(b""), Ok(Turn::Done));
        assert_eq!(bearer.next(br#"{"status":"invalid_token","scope":"x"}"#), Ok(Turn::Say(vec![1])));
        let line = login.refused(&bearer, "");
        assert_eq!(
            line,
            "the broker refuses our token (invalid_token; no reason given): has it expired, and is it for these brokers?"
        );
        assert!(bearer.next(b"<html>").is_err());
        assert!(!format!("{bearer:?}").contains("abc.def"));
    }
}
