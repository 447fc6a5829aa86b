//! From properties to what is done with them, with every problem named.

use std::path::PathBuf;

use super::bearer::Origin;
use super::keyring::Material;
use super::names;
use super::oidc::Endpoint;
use crate::model::{Properties, Secret};

/// How the connections of a cluster are secured; secrets in it are never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    pub(crate) tls: Option<TlsSettings>,
    pub(crate) sasl: Option<SaslSettings>,
}

/// A text that is given, or that a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Given(Secret),
    File(PathBuf),
}

/// What TLS is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    /// The CAs that are trusted; the system's without.
    pub(crate) ca: Option<Source>,
    /// Our certificate with its chain, and its key.
    pub(crate) client: Option<(Source, Source)>,
    /// Whether the broker's certificate must be of the host that was dialled.
    pub(crate) checks_host: bool,
}

/// How we say who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SaslSettings {
    Password { mechanism: Mechanism, username: String, password: Source },
    Bearer(Origin),
}

/// The mechanisms that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
    Bearer,
}

impl Mechanism {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::Bearer];

    /// Kafka's name of it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::Bearer => "OAUTHBEARER",
        }
    }
}

impl Security {
    /// What the properties say. Where they say nothing good, more security is taken rather than less; see
    /// [`problems`](Self::problems).
    #[must_use]
    pub fn of(properties: &Properties) -> Self {
        Reader { properties, problems: Vec::new() }.security()
    }

    /// Everything wrong with the properties of security, and with the files they name, each with its remedy.
    #[must_use]
    pub fn problems(properties: &Properties) -> Vec<String> {
        let mut reader = Reader { properties, problems: Vec::new() };
        for name in properties.keys() {
            if let Some(why) = names::refusal(name) {
                reader.problem(name, why);
            }
        }
        let security = reader.security();
        let mut problems = reader.problems;
        // A file that is not named well would be told twice.
        if problems.is_empty() {
            problems.extend(Material::load(&security).err().unwrap_or_default());
        }
        problems
    }
}

struct Reader<'a> {
    properties: &'a Properties,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn problem(&mut self, name: &str, why: impl AsRef<str>) {
        self.problems.push(format!("{name:?}: {}", why.as_ref()));
    }

    fn set(&self, name: &str) -> Option<&str> {
        self.properties.set(name)
    }

    fn security(&mut self) -> Security {
        let protocol = self.set("security.protocol").unwrap_or("PLAINTEXT").to_ascii_uppercase();
        let (tls, sasl) = match protocol.as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                let why = format!("{protocol:?} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL");
                self.problem("security.protocol", why);
                // Never less than what may have been meant.
                return Security { tls: Some(self.tls()), sasl: None };
            }
        };
        let tls = if tls {
            Some(self.tls())
        } else {
            self.idle(&["ssl.", "enable.ssl."], &protocol, if sasl { "SASL_SSL" } else { "SSL" });
            None
        };
        let sasl = if sasl {
            self.sasl()
        } else {
            self.idle(&["sasl.", "https."], &protocol, "SASL_SSL");
            None
        };
        Security { tls, sasl }
    }

    /// What is set and would not be used is a mistake: whoever sets a password believes that it is asked for.
    fn idle(&mut self, prefixes: &[&str], protocol: &str, wanted: &str) {
        let is_of = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let idle: Vec<&str> =
            names::PROPERTIES.iter().copied().filter(is_of).filter(|name| self.set(name).is_some()).collect();
        for name in idle {
            self.problem(
                name,
                format!("has no effect with security.protocol={protocol}; set \"security.protocol\" = \"{wanted}\""),
            );
        }
    }

    /// A text by one of two properties: itself, or the file that holds it.
    fn source(&mut self, given: &str, file: &str) -> Option<Source> {
        match (self.set(given), self.set(file)) {
            (Some(_), Some(_)) => {
                self.problem(given, format!("stands beside {file:?}; take one of them out"));
                None
            }
            (Some(text), None) => Some(Source::Given(Secret::new(text.to_owned()))),
            (None, Some(path)) => Some(Source::File(path.into())),
            (None, None) => None,
        }
    }

    fn tls(&mut self) -> TlsSettings {
        if self.set("ssl.ca.location") == Some("probe") {
            self.problem(
                "ssl.ca.location",
                "\"probe\" is librdkafka's alone; take it out: the system's CAs are trusted then",
            );
        }
        let ca = self.source("ssl.ca.pem", "ssl.ca.location");
        let certificate = self.source("ssl.certificate.pem", "ssl.certificate.location");
        let key = self.source("ssl.key.pem", "ssl.key.location");
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => {
                self.problem("ssl.key.location", "is missing beside the client certificate; name its key in PEM");
                None
            }
            (None, Some(_)) => {
                self.problem("ssl.certificate.location", "is missing beside the key; name the certificate in PEM");
                None
            }
            (None, None) => None,
        };
        match self.set("enable.ssl.certificate.verification").map(str::to_ascii_lowercase).as_deref() {
            None | Some("true") => {}
            Some(_) => self.problem(
                "enable.ssl.certificate.verification",
                "must be true: nobody who is not verified is given credentials or believed; set \"ssl.ca.location\" to \
                 the CA of the brokers",
            ),
        }
        let algorithm = self.set("ssl.endpoint.identification.algorithm").map(str::to_ascii_lowercase);
        let checks_host = match algorithm.as_deref() {
            None | Some("https") => true,
            Some("none") => false,
            Some(_) => {
                self.problem("ssl.endpoint.identification.algorithm", "must be \"https\" or \"none\"");
                true
            }
        };
        TlsSettings { ca, client, checks_host }
    }

    fn sasl(&mut self) -> Option<SaslSettings> {
        if self.set("sasl.mechanism").is_some() && self.set("sasl.mechanisms").is_some() {
            self.problem(
                "sasl.mechanisms",
                "stands beside \"sasl.mechanism\", which means the same; take one of them out",
            );
        }
        let wanted = self.set("sasl.mechanism").or_else(|| self.set("sasl.mechanisms")).map(str::to_ascii_uppercase);
        let known = Mechanism::ALL.map(Mechanism::name).join(", ");
        let Some(wanted) = wanted else {
            // librdkafka would take GSSAPI.
            self.problem("sasl.mechanism", format!("is missing; set one of {known}"));
            return None;
        };
        let Some(mechanism) = Mechanism::ALL.into_iter().find(|one| one.name() == wanted) else {
            let why = match wanted.as_str() {
                "GSSAPI" => names::GSSAPI.to_owned(),
                _ => format!("{wanted:?} is not known; set one of {known}"),
            };
            self.problem("sasl.mechanism", why);
            return None;
        };
        if mechanism == Mechanism::Bearer {
            self.unused(&["sasl.username", "sasl.password"], &wanted);
            return self.bearer().map(SaslSettings::Bearer);
        }
        self.unused(&["sasl.oauthbearer.", "https."], &wanted);
        let username = self.set("sasl.username").map(str::to_owned);
        if username.is_none() {
            self.problem("sasl.username", format!("is missing; {wanted} asks for it"));
        }
        let password = self.source("sasl.password", "sasl.password_file");
        if password.is_none() && self.set("sasl.password").is_none() {
            self.problem(
                "sasl.password",
                format!("is missing; {wanted} asks for it, here or by \"sasl.password_file\""),
            );
        }
        Some(SaslSettings::Password { mechanism, username: username?, password: password? })
    }

    fn bearer(&mut self) -> Option<Origin> {
        let method = self.set("sasl.oauthbearer.method").unwrap_or("default").to_ascii_lowercase();
        let token = self.source("sasl.oauthbearer.token", "sasl.oauthbearer.token_file");
        match method.as_str() {
            "default" => {
                let of_oidc =
                    ["sasl.oauthbearer.token.endpoint.url", "sasl.oauthbearer.client.", "sasl.oauthbearer.scope"];
                self.unused(&of_oidc, "sasl.oauthbearer.method=default");
                if token.is_none() && self.set("sasl.oauthbearer.token").is_none() {
                    self.problem(
                        "sasl.oauthbearer.token_file",
                        "is missing; name the file that holds the token, or set \"sasl.oauthbearer.method\" = \"oidc\"",
                    );
                }
                Some(match token? {
                    Source::Given(text) => Origin::Given(text),
                    Source::File(path) => Origin::File(path),
                })
            }
            "oidc" => {
                self.unused(&["sasl.oauthbearer.token", "sasl.oauthbearer.token_file"], "sasl.oauthbearer.method=oidc");
                self.endpoint().map(|endpoint| Origin::Endpoint(Box::new(endpoint)))
            }
            _ => {
                self.problem("sasl.oauthbearer.method", "must be \"default\" (a token by file) or \"oidc\"");
                None
            }
        }
    }

    fn endpoint(&mut self) -> Option<Endpoint> {
        let url = match self.set("sasl.oauthbearer.token.endpoint.url").map(Endpoint::url) {
            Some(Ok(url)) => Some(url),
            Some(Err(why)) => {
                self.problem("sasl.oauthbearer.token.endpoint.url", why);
                None
            }
            None => {
                self.problem("sasl.oauthbearer.token.endpoint.url", "is missing; method oidc asks for it");
                None
            }
        };
        let client_id = self.set("sasl.oauthbearer.client.id").map(str::to_owned);
        if client_id.is_none() {
            self.problem("sasl.oauthbearer.client.id", "is missing; method oidc asks for it");
        }
        let client_secret = self.source("sasl.oauthbearer.client.secret", "sasl.oauthbearer.client.secret_file");
        if client_secret.is_none() && self.set("sasl.oauthbearer.client.secret").is_none() {
            self.problem(
                "sasl.oauthbearer.client.secret",
                "is missing; method oidc asks for it, here or by \"sasl.oauthbearer.client.secret_file\"",
            );
        }
        let ca = self.source("https.ca.pem", "https.ca.location");
        let scope = self.set("sasl.oauthbearer.scope").map(str::to_owned);
        Some(Endpoint { url: url?, client_id: client_id?, client_secret: client_secret?, scope, ca })
    }

    /// What is set and not used beside something else is a mistake too. A name that ends in a dot is a beginning.
    fn unused(&mut self, names: &[&str], beside: &str) {
        let is_of = |known: &&str| {
            let fits = |name: &&str| {
                *known == *name || *known == format!("{name}_file") || name.ends_with('.') && known.starts_with(*name)
            };
            names.iter().any(fits)
        };
        let unused: Vec<&str> =
            names::PROPERTIES.iter().copied().filter(is_of).filter(|name| self.set(name).is_some()).collect();
        for name in unused {
            self.problem(name, format!("has no effect with {beside}; take it out"));
        }
    }
}
