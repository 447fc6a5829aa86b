//! Who is told, and how.

use serde::Deserialize;
use url::Url;

use super::secret::Secret;

/// Everything that delivery needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The receivers; each has its own queue.
    pub receivers: Vec<ReceiverOptions>,
    /// Where people reach this daemon, for the links in notices; without it there are none.
    pub external_url: Option<String>,
}

/// One receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReceiverOptions {
    /// Its name: it is in every notice's id, so another name is another receiver.
    pub name: String,
    /// Where its notices are posted to.
    pub webhook: WebhookOptions,
}

/// A webhook in the shape of Alertmanager's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookOptions {
    /// An `http` or `https` URL. It is never shown: such URLs often carry a token.
    pub url: Secret,
    /// The key of the signature in `X-Kustody-Signature`; without it notices are not signed.
    pub secret: Option<Secret>,
}

impl Options {
    /// What is wrong with the options: key and remedy.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (at, receiver) in self.receivers.iter().enumerate() {
            problems.extend(receiver.problems());
            if self.receivers.iter().take(at).any(|earlier| earlier.name == receiver.name) {
                problems.push(format!("receiver.{}.name: must not be used twice", receiver.name));
            }
        }
        if let Some(url) = &self.external_url
            && web_url(url).is_none()
        {
            problems.push("server.external_url: must be an http or https URL".to_owned());
        }
        problems
    }
}

impl ReceiverOptions {
    /// What is wrong with the options: key and remedy.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push("receiver.name: must not be empty".to_owned());
        }
        if self.webhook.url().is_none() {
            problems.push(format!("receiver.{}.webhook.url: must be an http or https URL", self.name));
        }
        if self.webhook.secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
            problems.push(format!("receiver.{}.webhook.secret: must not be empty; leave it out", self.name));
        }
        problems
    }
}

impl WebhookOptions {
    /// The URL, where it is one.
    pub(super) fn url(&self) -> Option<Url> {
        web_url(self.url.reveal())
    }
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receiver(name: &str, url: &str) -> ReceiverOptions {
        let webhook = WebhookOptions { url: Secret::new(url), secret: None };
        ReceiverOptions { name: name.to_owned(), webhook }
    }

    #[test]
    fn each_problem_names_its_key() {
        let good = receiver("ops", "https://hooks.example/T0KEN");
        let unsigned = WebhookOptions { secret: Some(Secret::default()), ..good.webhook.clone() };
        let cases = [
            ("all is well", vec![good.clone()], ""),
            ("no name", vec![receiver("", "http://h/")], "receiver.name: must not be empty"),
            ("no URL", vec![receiver("a", "")], "receiver.a.webhook.url: must be an http or https URL"),
            (
                "a file",
                vec![receiver("a", "file:///etc/passwd")],
                "receiver.a.webhook.url: must be an http or https URL",
            ),
            ("twice", vec![good.clone(), good.clone()], "receiver.ops.name: must not be used twice"),
            (
                "an empty secret",
                vec![ReceiverOptions { webhook: unsigned, ..good.clone() }],
                "receiver.ops.webhook.secret: must not be empty; leave it out",
            ),
        ];
        for (name, receivers, want) in cases {
            assert_eq!(Options { receivers, external_url: None }.problems().join("\n"), want, "{name}");
        }
        assert!(!format!("{good:?}").contains("T0KEN"));
    }
}
