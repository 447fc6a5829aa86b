//! TLS by rustls with ring: the broker's certificate is always verified.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums are rustls' own, which grow, and most of each is told alike"
)]

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What the files of a TLS section hold.
pub(super) struct Pem<'a> {
    pub(super) ca: Option<&'a str>,
    /// Certificate with its chain, and key.
    pub(super) client: Option<(&'a str, &'a str)>,
    pub(super) checks_host: bool,
}

/// TLS, ready to be spoken.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    /// Whether we show a certificate.
    pub(crate) has_certificate: bool,
}

impl Tls {
    /// Every problem is `"property": what and remedy`.
    pub(super) fn of(pem: &Pem<'_>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let roots = match pem.ca.map_or_else(system_roots, given_roots) {
            Ok(roots) => Arc::new(roots),
            Err(problem) => {
                problems.push(problem);
                Arc::new(RootCertStore::empty())
            }
        };
        let client = match pem.client.map(|(chain, key)| client_certificate(chain, key)).transpose() {
            Ok(client) => client,
            Err(mut of_client) => {
                problems.append(&mut of_client);
                None
            }
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let one = |error: &dyn std::fmt::Display| vec![format!("\"ssl.ca.location\": {error}")];
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier: Arc<dyn ServerCertVerifier> = verifier.build().map_err(|error| one(&error))?;
        let verifier = if pem.checks_host { verifier } else { Arc::new(AnyHost(verifier)) };
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| one(&error))?.dangerous().with_custom_certificate_verifier(verifier);
        let has_certificate = client.is_some();
        let config = match client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
                let why = match error {
                    Error::InconsistentKeys(_) => "is not the key of the client certificate".to_owned(),
                    other => format!("cannot be used: {other}"),
                };
                vec![format!("\"ssl.key.location\": {why}")]
            })?,
        };
        Ok(Self { config: Arc::new(config), has_certificate })
    }

    /// Speaks TLS over a connection to `host`; an error is one line for the operator.
    pub(crate) async fn secure(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is no host name TLS knows"))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await.map_err(|error| match told(&error) {
            Some(error) => refusal(error, host, self.has_certificate),
            None => format!(
                "the broker broke off the TLS handshake ({error}): does this port speak plaintext? Then security.protocol \
                 is PLAINTEXT or SASL_PLAINTEXT"
            ),
        })
    }
}

/// What rustls says through an I/O error.
pub(super) fn told(error: &std::io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())
}

fn given_roots(text: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ssl.ca.location", text)? {
        roots.add(certificate).map_err(|error| format!("\"ssl.ca.location\": holds no CA certificate: {error}"))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "\"ssl.ca.location\": is missing, and the system has no CA certificates (Debian: ca-certificates); \
                    name the PEM file of the CA that issued the brokers' certificates"
                .to_owned(),
        );
    }
    Ok(roots)
}

fn certificates(property: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{property:?}: holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")),
        Err(_) => Err(format!("{property:?}: holds PEM that cannot be read")),
    }
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(chain: &str, key: &str) -> Result<ClientCertificate, Vec<String>> {
    let chain = certificates("ssl.certificate.location", chain);
    // What rustls says of a key could repeat some of it.
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| {
        let why = if key.contains("ENCRYPTED") {
            "the key is encrypted, and the poll plane reads no encrypted keys; decrypt it by `openssl pkey -in KEY -out \
             PLAIN`, and protect the file by its mode"
        } else {
            "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"
        };
        format!("\"ssl.key.location\": {why}")
    });
    match (chain, key) {
        (Ok(chain), Ok(key)) => Ok((chain, key)),
        (chain, key) => Err(chain.err().into_iter().chain(key.err()).collect()),
    }
}

/// One line for the operator.
fn refusal(error: &Error, host: &str, has_certificate: bool) -> String {
    match error {
        Error::InvalidCertificate(why) => of_certificate(why, host),
        Error::AlertReceived(alert) => of_alert(*alert, has_certificate),
        Error::InvalidMessage(_) => {
            "the broker answers no TLS: does this port speak plaintext? Then security.protocol is \
                                     PLAINTEXT or SASL_PLAINTEXT"
                .to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!("the broker and we have no version of TLS (1.2, 1.3) in common: {why:?}")
        }
        other => format!("TLS: {other}"),
    }
}

fn of_certificate(why: &CertificateError, host: &str) -> String {
    const REMEDY: &str = "put the CA that issued it into ssl.ca.location";
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the certificate of {host} was issued by a CA that is not trusted: {REMEDY}")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = match why {
                CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                    "for no host (it has no subjectAltName)".to_owned()
                }
                CertificateError::NotValidForNameContext { presented, .. } => format!("for {}", presented.join(", ")),
                _ => "for another host".to_owned(),
            };
            format!(
                "the certificate of {host} is {names}: issue it for that name, or set \
                 ssl.endpoint.identification.algorithm=none"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired: renew it on the broker")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet: is the clock right?")
        }
        other => format!("the certificate of {host} is not accepted ({other:?}): issue one for a server"),
    }
}

/// What a broker says by an alert is about our certificate, if it is not about versions.
pub(super) fn of_alert(alert: AlertDescription, has_certificate: bool) -> String {
    match alert {
        AlertDescription::ProtocolVersion => "the broker refuses TLS 1.2 and 1.3".to_owned(),
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::HandshakeFailure
            if !has_certificate =>
        {
            format!(
                "the broker asks for a client certificate ({alert:?}): set ssl.certificate.location and ssl.key.location"
            )
        }
        AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::CertificateExpired => {
            format!(
                "the broker does not accept our client certificate ({alert:?}): is it of a CA that the broker trusts?"
            )
        }
        _ => format!("the broker ended TLS with {alert:?}"),
    }
}

/// Verifies everything but the name, for ssl.endpoint.identification.algorithm=none.
#[derive(Debug)]
struct AnyHost(Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name comes last: chain, dates and purpose were found good before.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
