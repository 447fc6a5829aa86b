//! Tokens by OIDC: the client credentials grant (RFC 6749, section 4.4), as librdkafka puts it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Certificate, Client, redirect};
use serde::Deserialize;
use url::{Host, Url, form_urlencoded};

use super::bearer::Token;
use super::keyring;
use super::settings::Source;
use crate::model::Secret;

const TOTAL: Duration = Duration::from_secs(5);
/// What is read of an answer.
const BODY: usize = 128 << 10;

/// Where tokens are fetched, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: Source,
    pub(crate) scope: Option<String>,
    /// The CAs that are trusted; the system's without.
    pub(crate) ca: Option<Source>,
}

impl Endpoint {
    /// The URL of an endpoint, or why none of a secret goes there.
    pub(crate) fn url(text: &str) -> Result<Url, &'static str> {
        let url = Url::parse(text).map_err(|_| "is no URL")?;
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        match url.scheme() {
            _ if !url.username().is_empty() || url.password().is_some() => Err(
                "must hold no credentials; set \"sasl.oauthbearer.client.id\" and \"sasl.oauthbearer.client.secret\"",
            ),
            "https" => Ok(url),
            "http" if is_here => Ok(url),
            _ => Err("must begin with https://: the client's secret is sent there"),
        }
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// A new token, and how long it holds if the endpoint says so.
pub(super) async fn fetch(endpoint: &Endpoint) -> Result<(Token, Option<Duration>), String> {
    let secret = keyring::text_of(&endpoint.client_secret).await?;
    let client = client(endpoint).await?;
    let request = client
        .post(endpoint.url.clone())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(AUTHORIZATION, basic(&endpoint.client_id, &secret))
        .body(form(endpoint));
    let mut response = request.send().await.map_err(|error| in_full(&error.without_url()))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| in_full(&error.without_url()))? {
        if body.len() + chunk.len() > BODY {
            return Err("its answer is too long for a token".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        // Of the body only the word that RFC 6749 defines: the rest may repeat what was sent.
        let word = serde_json::from_slice::<Denied>(&body).map(|denied| denied.error).unwrap_or_default();
        let word: String = word.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).take(60).collect();
        let word = if word.is_empty() { String::new() } else { format!(" ({word})") };
        return Err(format!("it answered {status}{word}: check sasl.oauthbearer.client.id and its secret"));
    }
    let granted: Granted = serde_json::from_slice(&body).map_err(|_| "its answer holds no access_token".to_owned())?;
    let lifetime = granted.expires_in.filter(|seconds| (1.0..1e9).contains(seconds)).map(Duration::from_secs_f64);
    Ok((Token::read(&granted.access_token)?, lifetime))
}

fn form(endpoint: &Endpoint) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = &endpoint.scope {
        form.append_pair("scope", scope);
    }
    form.finish()
}

/// RFC 6749, section 2.3.1: both parts are form-encoded first.
fn basic(id: &str, secret: &Secret) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", BASE64.encode(format!("{}:{}", encoded(id), encoded(secret.reveal()))))
}

async fn client(endpoint: &Endpoint) -> Result<Client, String> {
    // Somebody else may have installed one: any will do.
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut client = Client::builder().timeout(TOTAL).redirect(redirect::Policy::none()).pool_max_idle_per_host(0);
    if let Some(ca) = &endpoint.ca {
        let pem = keyring::text_of(ca).await?;
        let roots = Certificate::from_pem_bundle(pem.reveal().as_bytes());
        client = client.tls_certs_only(roots.map_err(|_| "https.ca.location holds no CA in PEM".to_owned())?);
    } else if endpoint.url.scheme() == "http" {
        // A machine without root certificates still asks its neighbour.
        client = client.tls_certs_only([]);
    }
    client.build().map_err(|error| in_full(&error))
}

/// An error with its causes: the outermost says only that something went wrong.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::Clock;
    use crate::wire::security::bearer::{Origin, Tokens};

    #[test]
    fn a_secret_goes_by_https_or_stays_on_the_machine() {
        let cases = [
            ("https://idp.test/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://[::1]/token", true),
            ("http://localhost/token", true),
            ("http://idp.test/token", false),
            ("https://me:secret@idp.test/token", false),
            ("file:///token", false),
            ("token", false),
        ];
        for (url, is_good) in cases {
            assert_eq!(Endpoint::url(url).is_ok(), is_good, "{url}");
        }
    }

    /// An endpoint that gives these answers in order, and tells what it was asked.
    async fn endpoint(
        answers: &'static [(&'static str, &'static str)],
    ) -> (Tokens, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.expect("somebody comes");
                let mut request = Vec::new();
                while !request.ends_with(b"client_credentials&scope=kafka") {
                    let mut some = [0; 512];
                    let count = stream.read(&mut some).await.expect("a request");
                    request.extend_from_slice(&some[..count]);
                }
                asked.push(String::from_utf8_lossy(&request).into_owned());
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.expect("it waits");
            }
            asked
        });
        let endpoint = Endpoint {
            url: Endpoint::url(&format!("http://127.0.0.1:{port}/token")).expect("a URL"),
            client_id: "me:too".to_owned(),
            client_secret: Source::Given(Secret::new("hunter2".to_owned())),
            scope: Some("kafka".to_owned()),
            ca: None,
        };
        (Tokens::new(Origin::Endpoint(Box::new(endpoint)), Clock::start()), asked)
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_for_its_life() {
        let (tokens, asked) =
            endpoint(&[("200 OK", r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","expires_in":3600}"#)]).await;
        for _ in 0..3 {
            assert_eq!(tokens.token().await.expect("a token").reveal(), "2YotnFZFEjr1zCsicMWpAA");
        }
        let asked = asked.await.expect("it answered");
        // "me%3Atoo:hunter2"
        assert!(asked[0].to_lowercase().contains("authorization: basic bwulm0f0b286ahvudgvymg=="), "{asked:?}");
        assert!(!format!("{tokens:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_refusal_is_one_line_without_the_secret() {
        let (tokens, asked) = endpoint(&[
            ("401 Unauthorized", r#"{"error":"invalid_client","error_description":"hunter2 is wrong"}"#),
            ("200 OK", "<html>hunter2</html>"),
        ])
        .await;
        let why = tokens.token().await.expect_err("it is refused");
        assert!(
            why.ends_with(
                "it answered 401 Unauthorized (invalid_client): check sasl.oauthbearer.client.id and its secret"
            ),
            "{why}"
        );
        let why = tokens.token().await.expect_err("it is no token");
        assert!(why.ends_with("its answer holds no access_token") && !why.contains("hunter2"), "{why}");
        asked.await.expect("it answered");
    }
}
