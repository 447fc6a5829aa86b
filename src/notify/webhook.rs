//! Delivery by HTTP POST.

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use sha2::Sha256;
use url::Url;

use super::options::WebhookOptions;
use super::payload::Payload;
use super::secret::Secret;
use super::{Attempt, Courier, NotifyError};
use crate::alert::Notice;

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(10);
/// What is read of an answer: a receiver may send without end.
const BODY: usize = 64 * 1024;
/// What is kept of an answer that explains a refusal.
const EXPLANATION: usize = 200;

/// A webhook.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    url: Url,
    secret: Option<Secret>,
    external_url: Option<String>,
}

impl Webhook {
    /// A webhook that is ready to be posted to; nothing is connected yet.
    ///
    /// # Errors
    /// Where the URL is none, or TLS is not available.
    pub fn new(options: &WebhookOptions, external_url: Option<String>) -> Result<Self, NotifyError> {
        // Somebody else may have installed one: any will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = options.url().ok_or(NotifyError::Url)?;
        let mut client = Client::builder()
            .user_agent(concat!("kustody/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(1);
        if url.scheme() == "http" {
            // A machine without root certificates still posts to plain HTTP.
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| NotifyError::Tls(in_full(&error)))?;
        Ok(Self { client, url, secret: options.secret.clone(), external_url })
    }
}

impl Courier for Webhook {
    async fn deliver(&self, notices: &[Arc<Notice>]) -> Attempt {
        let Some(payload) = Payload::of(notices, self.external_url.as_deref()) else { return Attempt::Delivered };
        let body = match serde_json::to_vec(&payload) {
            Ok(body) => body,
            Err(error) => return Attempt::Refused { why: error.to_string() },
        };
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(secret) = &self.secret {
            request = request.header("X-Kustody-Signature", signature(secret, &body));
        }
        match request.body(body).send().await {
            Ok(response) => judge(response).await,
            Err(error) => Attempt::Retry { why: in_full(&error.without_url()), after: None },
        }
    }
}

async fn judge(response: Response) -> Attempt {
    let status = response.status();
    let after = retry_after(response.headers());
    if status.is_success() {
        // Read what little there is, so that the connection can be used again; the answer is in already.
        tokio::time::timeout(Duration::from_secs(1), beginning(response)).await.ok();
        return Attempt::Delivered;
    }
    let said = beginning(response).await;
    let said: String = String::from_utf8_lossy(&said).trim().chars().take(EXPLANATION).collect();
    let why = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
    if status.is_redirection() {
        return Attempt::Refused { why: format!("{status}: redirects are not followed, configure the final URL") };
    }
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if status.is_client_error() && !passing {
        return Attempt::Refused { why };
    }
    Attempt::Retry { why, after }
}

async fn beginning(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    // A broken answer is as good as its beginning: the status says what counts.
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = BODY.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if body.len() >= BODY {
            break;
        }
    }
    body
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// `sha256=` and the HMAC of the body in hexadecimal, as GitHub's and many others' webhooks have it.
fn signature(secret: &Secret, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    let mut text = String::from("sha256=");
    for byte in mac.finalize().into_bytes() {
        write!(text, "{byte:02x}").expect("a string grows");
    }
    text
}

/// An error with its causes: reqwest's own text never says why.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        let want = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(&Secret::new("Jefe"), b"what do ya want for nothing?"), want);
    }

    #[test]
    fn https_is_ready_with_the_roots_of_the_machine() {
        let options = WebhookOptions { url: Secret::new("https://hooks.example/"), secret: None };
        if let Err(error) = Webhook::new(&options, None) {
            // Only a machine without any root certificate may say no, and it says why.
            assert!(error.to_string().contains("certificate"), "{error}");
        }
    }
}
