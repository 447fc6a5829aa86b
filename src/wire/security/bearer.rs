//! Tokens for OAUTHBEARER: from a file, or from an endpoint by client credentials; for both planes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::oidc::{self, Endpoint};
use crate::clock::Clock;
use crate::model::{Secret, Timestamp};

/// How long a token is taken to hold that does not say so itself: so long until the file is looked at again.
const UNSAID_LIFETIME_MS: i64 = 300_000;
/// A token is larger in no header that a broker takes.
const LONGEST_TOKEN: usize = 64 << 10;

/// A token, and what it says of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: Secret,
    /// Whose it is, by its claim `sub`; empty where it cannot be read.
    pub principal: String,
    /// When it ends, by its claim `exp`; none where it does not say.
    pub expires: Option<Timestamp>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    exp: Option<f64>,
}

impl Token {
    /// A token as it was given: a JWT, or text that only the broker understands.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("there is no token in it".to_owned());
        }
        if text.len() > LONGEST_TOKEN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("what it holds is no token: one line of letters, digits and signs".to_owned());
        }
        let claims = text.split('.').nth(1).and_then(|claims| BASE64.decode(claims.trim_end_matches('=')).ok());
        let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
        let (principal, expires) = claims.map_or((String::new(), None), |claims| (claims.sub, claims.exp));
        #[expect(clippy::cast_possible_truncation, reason = "as saturates, and a date beyond all dates is one")]
        let expires = expires.map(|seconds| Timestamp::from_millis((seconds * 1_000.0) as i64));
        Ok(Self { text: Secret::new(text.to_owned()), principal, expires })
    }

    /// The token itself: for the broker it is shown to, and nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.reveal()
    }

    /// When it ends, or is to be looked at again where it does not say, in milliseconds since 1970.
    #[must_use]
    pub fn expires_ms(&self, now: Timestamp) -> i64 {
        self.expires.map_or_else(|| now.as_millis().saturating_add(UNSAID_LIFETIME_MS), |at| at.as_millis())
    }
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Given(Secret),
    /// Read anew whenever a token is wanted.
    File(PathBuf),
    Endpoint(Box<Endpoint>),
}

/// Gives out tokens that still hold; clones share what was fetched.
#[derive(Clone, Debug)]
pub struct Tokens {
    origin: Origin,
    clock: Clock,
    /// The last one fetched, and from when on another is fetched.
    fetched: Arc<Mutex<Option<(Token, Duration)>>>,
}

impl Tokens {
    pub(crate) fn new(origin: Origin, clock: Clock) -> Self {
        Self { origin, clock, fetched: Arc::default() }
    }

    /// A token that holds now.
    ///
    /// # Errors
    /// One line for the operator.
    pub async fn token(&self) -> Result<Token, String> {
        let (token, place) = match &self.origin {
            Origin::Given(text) => (Token::read(text.reveal()), "sasl.oauthbearer.token".to_owned()),
            Origin::File(path) => {
                let text = tokio::fs::read_to_string(path).await;
                let token = text.map_err(|error| error.to_string()).and_then(|text| Token::read(&text));
                (token, format!("{}", path.display()))
            }
            Origin::Endpoint(endpoint) => (self.fetched(endpoint).await, endpoint.url.to_string()),
        };
        let token = token.map_err(|why| format!("no token from {place}: {why}"))?;
        match token.expires {
            Some(expires) if expires <= self.clock.wall() => {
                Err(format!("the token from {place} expired at {expires}: renew it"))
            }
            Some(_) | None => Ok(token),
        }
    }

    /// A fetched token serves for four fifths of its life, as librdkafka renews its own.
    async fn fetched(&self, endpoint: &Endpoint) -> Result<Token, String> {
        let mut fetched = self.fetched.lock().await;
        if let Some((token, until)) = fetched.as_ref()
            && self.clock.now().mono < *until
        {
            return Ok(token.clone());
        }
        let begun = self.clock.now();
        let (token, lifetime) = oidc::fetch(endpoint).await?;
        let said = token.expires.and_then(|at| u64::try_from(at.as_millis() - begun.wall.as_millis()).ok());
        let lifetime = lifetime.or(said.map(Duration::from_millis)).unwrap_or(Duration::from_mins(1));
        *fetched = Some((token.clone(), begun.mono + lifetime.mul_f64(0.8)));
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims))
    }

    #[test]
    fn a_token_says_whose_it_is_and_how_long_it_holds() {
        let cases = [
            ("a JWT", jwt(r#"{"sub":"me","exp":1700000000}"#), Ok(("me", Some(1_700_000_000_000)))),
            ("parts of seconds", jwt(r#"{"sub":"me","exp":1700000000.5}"#), Ok(("me", Some(1_700_000_000_500)))),
            ("no end", jwt(r#"{"sub":"me"}"#), Ok(("me", None))),
            ("only the broker's", "2YotnFZFEjr1zCsicMWpAA".to_owned(), Ok(("", None))),
            ("a line end behind it", "2YotnFZFEjr1zCsicMWpAA\n".to_owned(), Ok(("", None))),
            ("nothing", " \n".to_owned(), Err("there is no token in it")),
            (
                "what would end the message",
                "a\u{1}b".to_owned(),
                Err("what it holds is no token: one line of letters, digits and signs"),
            ),
        ];
        for (name, text, want) in cases {
            let token = Token::read(&text);
            let seen = token.as_ref().map(|token| (token.principal.as_str(), token.expires.map(|at| at.as_millis())));
            assert_eq!(seen.map_err(String::as_str), want, "{name}");
            assert!(!format!("{token:?}").contains("2Yot"), "{name}");
        }
    }

    #[tokio::test]
    async fn an_expired_token_is_not_sent() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let tokens = Tokens::new(Origin::File(file.path().to_owned()), Clock::start());
        let say = |text: &str| std::fs::write(file.path(), text).expect("it is writable");
        say(&jwt(r#"{"sub":"me","exp":1700000000}"#));
        let why = tokens.token().await.expect_err("it ended long ago");
        assert!(why.ends_with("expired at 2023-11-14T22:13:20.000Z: renew it"), "{why}");
        say(&jwt(r#"{"sub":"me","exp":99999999999}"#));
        assert_eq!(tokens.token().await.expect("the file is read again").principal, "me");
        say("");
        let why = tokens.token().await.expect_err("there is none");
        assert!(why.ends_with("there is no token in it"), "{why}");
    }
}
