//! Listeners with TLS and SASL beside the plain ones, the certificates they show, and who may come.

use std::collections::BTreeMap;
use std::path::Path;

use hmac::{Hmac, Mac};
use kafka_protocol::messages::AlterUserScramCredentialsRequest;
use kafka_protocol::messages::alter_user_scram_credentials_request::ScramCredentialUpsertion;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use sha2::{Sha256, Sha512};

use super::Error;
use super::client::{Client, accepted_or, text};
use super::place::Place;

/// The user of every mechanism.
pub(crate) const USER: &str = "kustody";
/// Its password by PLAIN, for good.
pub(crate) const PLAIN_PASSWORD: &str = "plain-Zk3pQx-secret";
/// Iterations of SCRAM: as few as Kafka allows.
const ITERATIONS: i32 = 4_096;

/// A listener of the second kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listener {
    /// `SASL_SSL`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER.
    Sasl,
    /// SSL that asks for a client certificate.
    Mutual,
    /// `SASL_PLAINTEXT`: PLAIN, SCRAM-SHA-256, so that a proxy can read what passes.
    Open,
}

impl Listener {
    const ALL: [Self; 3] = [Self::Sasl, Self::Mutual, Self::Open];

    const fn name(self) -> &'static str {
        match self {
            Self::Sasl => "SECURED",
            Self::Mutual => "MUTUAL",
            Self::Open => "OPEN",
        }
    }

    const fn protocol(self) -> &'static str {
        match self {
            Self::Sasl => "SASL_SSL",
            Self::Mutual => "SSL",
            Self::Open => "SASL_PLAINTEXT",
        }
    }

    /// Its port in the block of a cluster of at most three brokers, whose other ports are at 0 to 3, 7 to 9, 13 to 15.
    pub(super) const fn port(self, index: u16) -> u16 {
        index
            + match self {
                Self::Sasl => 3,
                Self::Mutual => 9,
                Self::Open => 15,
            }
    }
}

/// What the secured listeners of a cluster are given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secured {
    /// Port told to clients of [`Listener::Open`] in place of the broker's own, by broker id.
    pub(crate) open_ports: BTreeMap<i32, u16>,
    /// `connections.max.reauth.ms`; 0 without an end.
    pub(crate) max_reauth_ms: u32,
    /// PEM of the brokers' key and certificate, and of the CA whose clients are let in.
    pub(crate) broker: String,
    pub(crate) ca: String,
}

impl Secured {
    /// The properties of one broker (its number in the block of ports), to be joined with those of its plain listeners.
    pub(super) fn properties(&self, place: &Place, id: i32, index: u16) -> Result<SecuredProperties, Error> {
        let directory = place.directory().join(id.to_string());
        let (broker, ca) = (directory.join("broker.pem"), directory.join("ca.pem"));
        let write = |path: &Path, pem: &str| {
            std::fs::create_dir_all(&directory)
                .and_then(|()| std::fs::write(path, pem))
                .map_err(Error::system(format!("write {}", path.display())))
        };
        write(&broker, &self.broker)?;
        write(&ca, &self.ca)?;
        let mut secured = SecuredProperties::default();
        let (broker, ca) = (broker.display().to_string(), ca.display().to_string());
        let login = "org.apache.kafka.common.security";
        for listener in Listener::ALL {
            let name = listener.name();
            let own = place.port(listener.port(index));
            let told = match listener {
                Listener::Open => self.open_ports.get(&id).copied().unwrap_or(own),
                Listener::Sasl | Listener::Mutual => own,
            };
            secured.listeners.push(format!("{name}://127.0.0.1:{own}"));
            secured.advertised.push(format!("{name}://localhost:{told}"));
            secured.protocols.push(format!("{name}:{}", listener.protocol()));
            let at = format!("listener.name.{}", name.to_lowercase());
            let mut set = |key: &str, value: String| secured.others.push((format!("{at}.{key}"), value));
            if listener != Listener::Open {
                set("ssl.keystore.type", "PEM".to_owned());
                set("ssl.keystore.location", broker.clone());
                set("ssl.truststore.type", "PEM".to_owned());
                set("ssl.truststore.location", ca.clone());
            }
            if listener == Listener::Mutual {
                set("ssl.client.auth", "required".to_owned());
                set("ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/".to_owned());
                continue;
            }
            let mechanisms = match listener {
                Listener::Open => "PLAIN,SCRAM-SHA-256",
                Listener::Sasl | Listener::Mutual => "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            };
            set("sasl.enabled.mechanisms", mechanisms.to_owned());
            let plain = format!("{login}.plain.PlainLoginModule required user_{USER}=\"{PLAIN_PASSWORD}\";");
            let scram = format!("{login}.scram.ScramLoginModule required;");
            // Kafka's own handler of tokens without signatures.
            let bearer = format!(
                "{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"{USER}\";"
            );
            for (mechanism, module) in
                [("plain", &plain), ("scram-sha-256", &scram), ("scram-sha-512", &scram), ("oauthbearer", &bearer)]
            {
                set(&format!("{mechanism}.sasl.jaas.config"), module.clone());
                set(&format!("{mechanism}.connections.max.reauth.ms"), self.max_reauth_ms.to_string());
            }
        }
        Ok(secured)
    }
}

/// Parts of a broker's properties.
#[derive(Debug, Default)]
pub(super) struct SecuredProperties {
    pub(super) listeners: Vec<String>,
    pub(super) advertised: Vec<String>,
    pub(super) protocols: Vec<String>,
    pub(super) others: Vec<(String, String)>,
}

/// The properties that make every broker ask its ACLs; who is not authenticated, the harness itself, may do all.
pub(crate) fn authorizer() -> Vec<(String, String)> {
    let properties = [
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:ANONYMOUS"),
    ];
    properties.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

/// A CA that issues certificates for a test; its key is nowhere but here.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: String,
}

/// A certificate with its key, in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("ring makes keys");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("it signs itself").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate of this common name, for these hosts.
    pub(crate) fn issue(&self, name: &str, hosts: &[&str]) -> Pair {
        let key = KeyPair::generate().expect("ring makes keys");
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("good names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed").pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    /// Brokers of `localhost` that let in clients with certificates of this CA.
    pub(crate) fn secured(&self) -> Secured {
        let Pair { certificate, key } = self.issue("broker", &["localhost"]);
        Secured { broker: key + &certificate, ca: self.certificate.clone(), ..Secured::default() }
    }
}

impl Client {
    /// Gives [`USER`] this password by both kinds of SCRAM.
    pub(crate) async fn set_scram_password(&self, password: &str) -> Result<(), Error> {
        let salt = *b"salt of a test";
        let salted = |mechanism: i8, salted: Vec<u8>| {
            ScramCredentialUpsertion::default()
                .with_name(text(USER))
                .with_mechanism(mechanism)
                .with_iterations(ITERATIONS)
                .with_salt(salt.to_vec().into())
                .with_salted_password(salted.into())
        };
        let upsertions = vec![
            salted(1, pbkdf2::<Hmac<Sha256>>(password, &salt)),
            salted(2, pbkdf2::<Hmac<Sha512>>(password, &salt)),
        ];
        // Kafka takes one kind at a time.
        for upsertion in upsertions {
            let request = AlterUserScramCredentialsRequest::default().with_upsertions(vec![upsertion]);
            for altered in self.ask_any("AlterUserScramCredentials", 0, &request).await?.results {
                accepted_or("AlterUserScramCredentials", altered.error_code, altered.error_message.as_ref())?;
            }
        }
        Ok(())
    }
}

fn pbkdf2<M: Mac + hmac::digest::KeyInit + Clone>(password: &str, salt: &[u8]) -> Vec<u8> {
    let mac = <M as Mac>::new_from_slice(password.as_bytes()).expect("any key");
    let mut last = mac.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes();
    let mut sum = last.to_vec();
    for _ in 1..ITERATIONS {
        last = mac.clone().chain_update(&last).finalize().into_bytes();
        sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}
