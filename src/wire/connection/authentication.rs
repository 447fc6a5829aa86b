//! Authenticates a connection by SASL, at its beginning and again before its session ends (KIP-368).

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::super::api::api_versions::Offered;
use super::super::api::error;
use super::super::api::sasl_authenticate::SaslAuthenticate;
use super::super::api::sasl_handshake::SaslHandshake;
use super::super::security::{Login, Turn};
use super::{CallError, Link};

/// More messages than any mechanism has.
const MOST_MESSAGES: usize = 8;
/// How much of a broker's own words is repeated.
const LONGEST_WORDS: usize = 300;

/// When an authenticated session is to be renewed, and when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) renew_at: Instant,
    pub(super) over_at: Instant,
}

impl Session {
    fn of(lifetime_ms: i64, now: Instant) -> Option<Self> {
        let lifetime = Duration::from_millis(u64::try_from(lifetime_ms).ok().filter(|ms| *ms > 0)?);
        // As Kafka's own clients do: between 85 and 95 % of the lifetime have passed then.
        Some(Self { renew_at: now + lifetime.mul_f64(0.85), over_at: now + lifetime })
    }
}

impl Link {
    /// Says who we are, on a connection that nobody else uses meanwhile.
    pub(super) async fn authenticate(
        &self,
        login: &Login,
        offered: &Offered,
        deadline: Instant,
    ) -> Result<Option<Session>, CallError> {
        // A broker takes nothing but SASL between the handshake and its end, so all places in the queue are taken.
        let all = u32::try_from(self.limits.in_flight).unwrap_or(u32::MAX);
        let alone = timeout_at(deadline, std::sync::Arc::clone(&self.in_flight).acquire_many_owned(all)).await;
        let _alone = alone.map_err(|_| CallError::TimedOut)?.map_err(|_| self.broken())?;
        let mechanism = login.mechanism();
        let version = offered.version::<SaslHandshake>().ok_or_else(|| no_sasl(mechanism))?;
        let handshake = self.exchange(&SaslHandshake { mechanism }, version, deadline, None).await?;
        match handshake.error_code {
            error::NONE => {}
            error::UNSUPPORTED_SASL_MECHANISM => {
                let offered = clipped(&handshake.offered.join(", "));
                return Err(CallError::Refused(format!(
                    "the broker does not offer SASL mechanism {mechanism} here; it offers {offered}: set sasl.mechanism to \
                     one of them"
                )));
            }
            error::ILLEGAL_SASL_STATE => return Err(no_sasl(mechanism)),
            code => return Err(CallError::Refused(format!("SaslHandshake was answered with error {code}"))),
        }
        let version = offered.version::<SaslAuthenticate>().ok_or_else(|| no_sasl(mechanism))?;
        let began = Instant::now();
        let begun = timeout_at(deadline, login.dialogue()).await.map_err(|_| CallError::TimedOut)?;
        let mut dialogue = begun.map_err(CallError::Refused)?;
        let mut message = dialogue.first();
        for _ in 0..MOST_MESSAGES {
            let answer = self.exchange(&SaslAuthenticate { message }, version, deadline, None).await?;
            match answer.error_code {
                error::NONE => {}
                error::SASL_AUTHENTICATION_FAILED => {
                    let words = clipped(answer.error_message.as_deref().unwrap_or_default());
                    return Err(CallError::Refused(login.refused(&dialogue, &words)));
                }
                code => return Err(CallError::Refused(format!("SaslAuthenticate was answered with error {code}"))),
            }
            let next = dialogue.next(&answer.message);
            match next.map_err(|why| CallError::Refused(format!("the broker is not believed: {why}")))? {
                Turn::Say(next) => message = next,
                Turn::Done => return Ok(Session::of(answer.session_lifetime_ms, began)),
            }
        }
        Err(CallError::Refused("the broker does not come to an end of SASL".to_owned()))
    }
}

fn no_sasl(mechanism: &str) -> CallError {
    CallError::Refused(format!(
        "the broker takes no SASL on this port, so not {mechanism}: set security.protocol to SSL or PLAINTEXT"
    ))
}

/// A broker's words on one line, and not too many of them.
fn clipped(words: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    words.chars().map(clean).take(LONGEST_WORDS).collect::<String>().trim().to_owned()
}
