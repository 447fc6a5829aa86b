//! What the files of a security section hold now; read anew when they change.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{Mutex, watch};
use tracing::{info, warn};

use super::bearer::{Origin, Tokens};
use super::sasl::Login;
use super::settings::{SaslSettings, Security, Source};
use super::tls::{Pem, Tls};
use crate::clock::Clock;
use crate::model::Secret;

/// A file is read up to this size: what is larger is no certificate, key, password or token.
const LONGEST_FILE: u64 = 4 << 20;

/// What connections are made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Material {
    pub(crate) tls: Option<Tls>,
    pub(crate) login: Option<Login>,
}

/// Material with its number, which grows whenever files change.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    /// What cannot be used now, and why.
    pub(crate) material: Result<Arc<Material>, String>,
}

/// What a file looks like without being read.
type Stamps = BTreeMap<PathBuf, Option<(SystemTime, u64)>>;
/// What all files held.
type Texts = BTreeMap<PathBuf, Secret>;

/// Holds the material of a cluster's connections.
#[derive(Debug)]
pub(crate) struct Keyring {
    security: Arc<Security>,
    /// Where tokens come from, for OAUTHBEARER.
    tokens: Option<Tokens>,
    held: watch::Sender<Held>,
    generation: watch::Sender<u64>,
    seen: Mutex<(Stamps, Texts)>,
}

impl Material {
    /// Reads the files and makes ready what is in them; every problem is `"property": what`.
    pub(crate) fn load(security: &Security) -> Result<Self, Vec<String>> {
        Self::from_texts(security, &texts(security), None)
    }

    fn from_texts(
        security: &Security,
        texts: &BTreeMap<PathBuf, Result<Secret, String>>,
        tokens: Option<&Tokens>,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut text = |property: &str, source: &Source| match source {
            Source::Given(secret) => Some(secret.clone()),
            Source::File(path) => match texts.get(path) {
                Some(Ok(secret)) => Some(secret.clone()),
                Some(Err(why)) => {
                    problems.push(format!("{property:?}: cannot read {path:?}: {why}"));
                    None
                }
                None => None,
            },
        };
        let mut material = Self::default();
        let of_tls = security.tls.as_ref().map(|settings| {
            let ca = settings.ca.as_ref().map(|source| text("ssl.ca.location", source));
            let client = settings.client.as_ref().map(|(certificate, key)| {
                (text("ssl.certificate.location", certificate), text("ssl.key.location", key))
            });
            (settings.checks_host, ca, client)
        });
        let of_sasl = security.sasl.as_ref().map(|settings| match settings {
            SaslSettings::Password { mechanism, username, password } => {
                (Some((*mechanism, username.clone(), text("sasl.password_file", password))), None)
            }
            SaslSettings::Bearer(origin) => (None, Some(origin.clone())),
        });
        if let Some((checks_host, ca, client)) = of_tls {
            let ca = ca.map(|ca| ca.map(|text| text.reveal().to_owned()));
            let client = client.map(|(certificate, key)| certificate.zip(key));
            // What could not be read is told already.
            let is_whole = !matches!(ca, Some(None)) && !matches!(client, Some(None));
            if is_whole {
                let client = client.flatten();
                let client = client.as_ref().map(|(certificate, key)| (certificate.reveal(), key.reveal()));
                match Tls::of(&Pem { ca: ca.flatten().as_deref(), client, checks_host }) {
                    Ok(tls) => material.tls = Some(tls),
                    Err(mut of_tls) => problems.append(&mut of_tls),
                }
            }
        }
        if let Some((None, Some(origin))) = &of_sasl {
            problems.extend(unreadable(origin));
            material.login =
                Some(Login::Bearer(tokens.cloned().unwrap_or_else(|| Tokens::new(origin.clone(), Clock::start()))));
        }
        if let Some((Some((mechanism, username, Some(password))), _)) = of_sasl {
            // Editors and `echo` end a file by a new line, which belongs to no password.
            let password = password.reveal().trim_end_matches(['\r', '\n']).to_owned();
            if password.is_empty() {
                problems.push("\"sasl.password_file\": holds no password".to_owned());
            }
            material.login = Some(Login::Password { mechanism, username, password: Secret::new(password) });
        }
        if problems.is_empty() { Ok(material) } else { Err(problems) }
    }
}

impl Keyring {
    /// Reads the files for the first time.
    pub(crate) fn new(security: Security, clock: Clock) -> Self {
        let tokens = match &security.sasl {
            Some(SaslSettings::Bearer(origin)) => Some(Tokens::new(origin.clone(), clock)),
            Some(SaslSettings::Password { .. }) | None => None,
        };
        let stamps = stamps(&security);
        let read = texts(&security);
        let material = Material::from_texts(&security, &read, tokens.as_ref())
            .map(Arc::new)
            .map_err(|problems| problems.join("; "));
        let held = watch::Sender::new(Held { generation: 0, material });
        Self {
            security: Arc::new(security),
            tokens,
            held,
            generation: watch::Sender::new(0),
            seen: Mutex::new((stamps, readable(read))),
        }
    }

    /// What connections are made with now.
    pub(crate) fn held(&self) -> Held {
        self.held.borrow().clone()
    }

    /// Where tokens come from, for OAUTHBEARER.
    pub(crate) fn tokens(&self) -> Option<Tokens> {
        self.tokens.clone()
    }

    /// Tells whenever files have changed.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Looks at the files, and reads them when they look changed. What cannot be used leaves in place what was held: a
    /// certificate is replaced before its key, and both are good only together.
    pub(crate) async fn look(&self) {
        let mut seen = self.seen.lock().await;
        if seen.0.is_empty() {
            return;
        }
        let security = Arc::clone(&self.security);
        let (before, tokens) = (seen.0.clone(), self.tokens.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let now = stamps(&security);
            if now == before {
                return None;
            }
            let read = texts(&security);
            let material = Material::from_texts(&security, &read, tokens.as_ref());
            Some((now, readable(read), material))
        });
        // A failed look is a look that did not happen: the next turn makes another.
        let Ok(Some((now, read, material))) = looked.await else { return };
        let is_same = read == seen.1;
        *seen = (now, read);
        match material {
            Ok(_) if is_same && self.held.borrow().material.is_ok() => {}
            Ok(material) => {
                info!("certificates or passwords have changed: connections are made anew");
                self.held.send_modify(|held| {
                    held.generation += 1;
                    held.material = Ok(Arc::new(material));
                });
                self.generation.send_modify(|generation| *generation += 1);
            }
            Err(problems) => {
                let problems = problems.join("; ");
                warn!(%problems, "certificates or passwords have changed and cannot be used: the former ones are kept");
            }
        }
    }
}

fn files(security: &Security) -> Vec<&Path> {
    let of_tls = security.tls.iter().flat_map(|tls| {
        let client = tls.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        tls.ca.iter().chain(client)
    });
    // Tokens, and what they are fetched with, are read whenever they are wanted.
    let of_sasl = security.sasl.iter().filter_map(|sasl| match sasl {
        SaslSettings::Password { password, .. } => Some(password),
        SaslSettings::Bearer(_) => None,
    });
    let of = |source| match source {
        &Source::Given(_) => None,
        Source::File(path) => Some(path.as_path()),
    };
    of_tls.chain(of_sasl).filter_map(of).collect()
}

/// What of an origin of tokens cannot be read at the start; whether a token holds is seen when it is shown.
fn unreadable(origin: &Origin) -> Vec<String> {
    let file = |property: &str, path: &Path| {
        read(path).err().map(|error| format!("{property:?}: cannot read {path:?}: {error}"))
    };
    let source = |property: &str, source: &Source| match source {
        Source::Given(_) => None,
        Source::File(path) => file(property, path),
    };
    match origin {
        Origin::Given(_) => Vec::new(),
        Origin::File(path) => file("sasl.oauthbearer.token_file", path).into_iter().collect(),
        Origin::Endpoint(endpoint) => {
            let secret = source("sasl.oauthbearer.client.secret_file", &endpoint.client_secret);
            let ca = endpoint.ca.as_ref().and_then(|ca| source("https.ca.location", ca));
            secret.into_iter().chain(ca).collect()
        }
    }
}

/// What a source holds now, without the new line that editors end a file by.
pub(super) async fn text_of(source: &Source) -> Result<Secret, String> {
    match source {
        Source::Given(secret) => Ok(secret.clone()),
        Source::File(path) => {
            let text = tokio::fs::read_to_string(path).await;
            let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
    }
}

fn stamps(security: &Security) -> Stamps {
    let stamp = |path: &Path| std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
    files(security).into_iter().map(|path| (path.to_owned(), stamp(path))).collect()
}

fn texts(security: &Security) -> BTreeMap<PathBuf, Result<Secret, String>> {
    let all = files(security).into_iter();
    all.map(|path| (path.to_owned(), read(path).map(Secret::new).map_err(|error| error.to_string()))).collect()
}

fn readable(texts: BTreeMap<PathBuf, Result<Secret, String>>) -> Texts {
    texts.into_iter().filter_map(|(path, text)| Some((path, text.ok()?))).collect()
}

fn read(path: &Path) -> io::Result<String> {
    let file = std::fs::metadata(path)?;
    if file.is_dir() {
        return Err(io::Error::other("it is a directory; name one file"));
    }
    if file.len() > LONGEST_FILE {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    std::fs::read_to_string(path)
}
