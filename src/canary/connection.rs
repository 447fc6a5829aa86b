//! What the canary's clients are connected by: the operator's section, and tokens that somebody else fetches.

use std::fmt;
use std::sync::Arc;

use rdkafka::client::OAuthToken;

use crate::model::{Properties, Secret};

/// A token for OAUTHBEARER.
#[derive(Clone, Debug)]
pub struct BearerToken {
    /// The token itself.
    pub text: Secret,
    /// Whose it is.
    pub principal: String,
    /// When another is wanted at the latest, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// Gives a token that holds now, or one line on why there is none. Called on threads of the canary's, which may wait.
type Source = dyn Fn() -> Result<BearerToken, String> + Send + Sync;

/// Where the tokens of OAUTHBEARER come from; nowhere for other mechanisms.
#[derive(Clone, Default)]
pub struct TokenSource(Option<Arc<Source>>);

impl TokenSource {
    /// Tokens by this function.
    pub fn new(source: impl Fn() -> Result<BearerToken, String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(source)))
    }

    /// True where a new client cannot connect before it was polled: it asks for its first token by that.
    pub(super) const fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// What librdkafka is given when it asks for a token; it asks again, ten seconds later, where there is none.
    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let source = self.0.as_ref().ok_or("no source of tokens")?;
        let BearerToken { text, principal, expires_ms } = source()?;
        Ok(OAuthToken { token: text.reveal().to_owned(), principal_name: principal, lifetime_ms: expires_ms })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenSource").field(&self.0.is_some()).finish()
    }
}

/// What clients are connected by.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The connection section of the cluster, in librdkafka's property names.
    pub properties: Properties,
    /// Where tokens come from, for OAUTHBEARER.
    pub tokens: TokenSource,
}

impl From<Properties> for Connection {
    fn from(properties: Properties) -> Self {
        Self { properties, tokens: TokenSource::default() }
    }
}
