//! Brokers of TLS in this process, and what is said of each that is not trusted.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates_for_tests::{Authority, Pair};
use super::keyring::{Keyring, Material};
use super::tls::told;
use super::{Clues, Login, Security};
use crate::clock::Clock;
use crate::model::Properties;

/// Properties by name.
type Given<'a> = &'a [(&'a str, &'a str)];

const NOW: std::ops::Range<i32> = 2020..2999;

fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().copied().collect()
}

fn material(pairs: &[(&str, &str)]) -> Material {
    Material::load(&Security::of(&properties(pairs))).expect("good material")
}

/// What a client made of `pairs` says after a handshake with a server of `pair`, and one byte each way.
async fn met(pair: &Pair, clients: Option<&Authority>, host: &str, pairs: &[(&str, &str)]) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = TlsAcceptor::from(Authority::server(pair, clients));
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("somebody comes");
        if let Ok(mut stream) = acceptor.accept(stream).await {
            stream.read_u8().await.and(Ok(())).ok();
            stream.write_u8(7).await.ok();
            stream.shutdown().await.ok();
        }
    });
    let tls = material(pairs).tls.expect("TLS was asked for");
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let result = async {
        let mut stream = tls.secure(host, stream).await?;
        let spoken = async {
            stream.write_u8(1).await?;
            stream.flush().await?;
            stream.read_u8().await
        };
        let clues = Clues { tls: true, certificate: tls.has_certificate, sasl: false };
        spoken.await.map(drop).map_err(|error| match told(&error) {
            Some(_) => clues.lost(&error, 0).to_string(),
            None => error.to_string(),
        })
    };
    let result = tokio::time::timeout(Duration::from_secs(10), result).await.expect("it ends");
    server.abort();
    result
}

#[tokio::test]
async fn a_broker_is_trusted_by_its_ca_name_and_dates() {
    let (ca, other) = (Authority::new(), Authority::new());
    let good = ca.issue(&["kafka.test", "127.0.0.1"], NOW);
    let expired = ca.issue(&["kafka.test"], 2000..2001);
    let given = |ca: &Authority| {
        [("security.protocol".to_owned(), "ssl".to_owned()), ("ssl.ca.pem".to_owned(), ca.certificate.clone())]
    };
    let cases = [
        ("all is well", &good, "kafka.test", &ca, "https", None),
        ("an address", &good, "127.0.0.1", &ca, "https", None),
        (
            "an untrusted CA",
            &good,
            "kafka.test",
            &other,
            "https",
            Some(
                "the certificate of kafka.test was issued by a CA that is not trusted: put the CA that issued it into ssl.ca.location",
            ),
        ),
        (
            "an untrusted CA, whatever the name",
            &good,
            "kafka.test",
            &other,
            "none",
            Some(
                "the certificate of kafka.test was issued by a CA that is not trusted: put the CA that issued it into ssl.ca.location",
            ),
        ),
        (
            "another host",
            &good,
            "localhost",
            &ca,
            "https",
            Some(
                r#"the certificate of localhost is for DnsName("kafka.test"), IpAddress(127.0.0.1): issue it for that name, or set ssl.endpoint.identification.algorithm=none"#,
            ),
        ),
        ("another host, unchecked", &good, "localhost", &ca, "none", None),
        (
            "expired",
            &expired,
            "kafka.test",
            &ca,
            "https",
            Some("the certificate of kafka.test has expired: renew it on the broker"),
        ),
        (
            "expired, unchecked name",
            &expired,
            "localhost",
            &ca,
            "none",
            Some("the certificate of localhost has expired: renew it on the broker"),
        ),
    ];
    for (name, pair, host, trusted, algorithm, want) in cases {
        let [protocol, pem] = given(trusted);
        let pairs = [
            (protocol.0.as_str(), protocol.1.as_str()),
            (pem.0.as_str(), pem.1.as_str()),
            ("ssl.endpoint.identification.algorithm", algorithm),
        ];
        assert_eq!(met(pair, None, host, &pairs).await.err().as_deref(), want, "{name}");
    }
}

#[tokio::test]
async fn a_broker_that_asks_for_a_certificate_is_shown_ours() {
    let (ca, other) = (Authority::new(), Authority::new());
    let broker = ca.issue(&["kafka.test"], NOW);
    let base = [("security.protocol", "SSL"), ("ssl.ca.pem", ca.certificate.as_str())];
    let none = met(&broker, Some(&ca), "kafka.test", &base).await.expect_err("it has none");
    assert!(none.starts_with("the broker asks for a client certificate"), "{none}");
    for (issuer, is_accepted) in [(&ca, true), (&other, false)] {
        let mine = issuer.issue(&["me"], NOW);
        let with = [("ssl.certificate.pem", mine.certificate.as_str()), ("ssl.key.pem", mine.key.as_str())];
        let result = met(&broker, Some(&ca), "kafka.test", &[&base[..], &with].concat()).await;
        assert_eq!(result.is_ok(), is_accepted, "{result:?}");
        if let Err(why) = result {
            assert!(why.starts_with("the broker does not accept our client certificate"), "{why}");
        }
    }
}

#[tokio::test]
async fn a_port_without_tls_is_named() {
    let cases: [(&str, &[u8]); 2] =
        [("hangs up, as Kafka does", b""), ("answers something else", b"HTTP/1.1 400 Bad\r\n\r\n")];
    for (name, answer) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("somebody comes");
            stream.read_u8().await.expect("a hello");
            stream.write_all(answer).await.expect("it is there");
        };
        let ca = Authority::new();
        let tls = material(&[("security.protocol", "ssl"), ("ssl.ca.pem", &ca.certificate)]).tls.expect("TLS");
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let ((), secured) = tokio::join!(server, tls.secure("localhost", stream));
        let why = secured.expect_err(name);
        assert!(why.contains("does this port speak plaintext?"), "{name}: {why}");
    }
}

#[test]
fn problems_name_the_property_and_the_remedy() {
    let pair = Authority::new().issue(&["me"], NOW);
    let other = Authority::new().issue(&["other"], NOW);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), "\n").expect("it is writable");
    let empty = file.path().to_str().expect("a temporary file's name is text");
    let cases: [(Given<'_>, &[&str]); 15] = [
        (
            &[("security.protocol", "TLS")],
            &[r#""security.protocol": "TLS" is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"#],
        ),
        (
            &[("sasl.password", "hunter2"), ("ssl.ca.location", "/ca.pem")],
            &[
                r#""ssl.ca.location": has no effect with security.protocol=PLAINTEXT; set "security.protocol" = "SSL""#,
                r#""sasl.password": has no effect with security.protocol=PLAINTEXT; set "security.protocol" = "SASL_SSL""#,
            ],
        ),
        (
            &[("security.protocol", "SASL_PLAINTEXT")],
            &[r#""sasl.mechanism": is missing; set one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"#],
        ),
        (
            &[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "GSSAPI")],
            &[
                r#""sasl.mechanism": Kerberos (GSSAPI) is not built into the poll plane, which holds no Kerberos library; take SCRAM-SHA-512, OAUTHBEARER or a client certificate"#,
            ],
        ),
        (
            &[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "plain")],
            &[
                r#""sasl.username": is missing; PLAIN asks for it"#,
                r#""sasl.password": is missing; PLAIN asks for it, here or by "sasl.password_file""#,
            ],
        ),
        (
            &[
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", "plain"),
                ("sasl.username", "me"),
                ("sasl.password", "a"),
                ("sasl.password_file", "b"),
            ],
            &[r#""sasl.password": stands beside "sasl.password_file"; take one of them out"#],
        ),
        (
            &[
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", "plain"),
                ("sasl.username", "me"),
                ("sasl.password_file", empty),
            ],
            &[r#""sasl.password_file": holds no password"#],
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.ca.location", "/nonexistent/ca.pem")],
            &[r#""ssl.ca.location": cannot read "/nonexistent/ca.pem": No such file or directory (os error 2)"#],
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.ca.pem", "hunter2")],
            &[r#""ssl.ca.location": holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"#],
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.certificate.pem", "hunter2"), ("ssl.key.pem", "hunter2")],
            &[
                r#""ssl.certificate.location": holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"#,
                r#""ssl.key.location": holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"#,
            ],
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.certificate.pem", "x")],
            &[r#""ssl.key.location": is missing beside the client certificate; name its key in PEM"#],
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.certificate.pem", &pair.certificate), ("ssl.key.pem", &other.key)],
            &[r#""ssl.key.location": is not the key of the client certificate"#],
        ),
        (
            &[("security.protocol", "ssl"), ("ssl.key.password", "hunter2")],
            &[
                r#""ssl.key.password": the poll plane reads no encrypted keys; decrypt it by `openssl pkey -in KEY -out PLAIN`, and protect the file by its mode"#,
            ],
        ),
        (
            &[("security.protocol", "ssl"), ("enable.ssl.certificate.verification", "false")],
            &[
                r#""enable.ssl.certificate.verification": must be true: nobody who is not verified is given credentials or believed; set "ssl.ca.location" to the CA of the brokers"#,
            ],
        ),
        (
            &[
                ("security.protocol", "ssl"),
                ("ssl.ca.pem", &Authority::new().certificate),
                ("ssl.endpoint.identification.algorithm", "https"),
            ],
            &[],
        ),
    ];
    for (given, want) in cases {
        assert_eq!(Security::problems(&properties(given)), want);
    }
}

#[tokio::test]
async fn a_changed_file_is_read_anew_once_it_is_good() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| directory.path().join(name);
    let ca = Authority::new();
    let write = |pair: &Pair| {
        std::fs::write(at("certificate.pem"), &pair.certificate).expect("it is writable");
        std::fs::write(at("key.pem"), &pair.key).expect("it is writable");
    };
    write(&ca.issue(&["me"], NOW));
    std::fs::write(at("password"), "hunter2\n").expect("it is writable");
    let text = |name: &str| at(name).to_str().expect("a temporary directory's name is text").to_owned();
    let (certificate, key, password) = (text("certificate.pem"), text("key.pem"), text("password"));
    let keyring = Keyring::new(
        Security::of(&properties(&[
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.pem", &ca.certificate),
            ("ssl.certificate.location", &certificate),
            ("ssl.key.location", &key),
            ("sasl.mechanism", "SCRAM-SHA-256"),
            ("sasl.username", "me"),
            ("sasl.password_file", &password),
        ])),
        Clock::start(),
    );
    let password_held = || {
        let material = keyring.held().material.expect("good material");
        material.login.as_ref().map(|login| match login {
            Login::Password { password, .. } => password.reveal().to_owned(),
            Login::Bearer(_) => String::new(),
        })
    };
    keyring.look().await;
    assert_eq!((keyring.held().generation, password_held().as_deref()), (0, Some("hunter2")));

    std::fs::write(at("password"), "swordfish").expect("it is writable");
    keyring.look().await;
    assert_eq!((keyring.held().generation, password_held().as_deref()), (1, Some("swordfish")));

    let next = ca.issue(&["me"], NOW);
    std::fs::write(at("certificate.pem"), &next.certificate).expect("it is writable");
    keyring.look().await;
    assert_eq!(keyring.held().generation, 1, "the key of it is not there yet");
    write(&next);
    keyring.look().await;
    assert_eq!(keyring.held().generation, 2);

    std::fs::remove_file(at("password")).expect("it is there");
    keyring.look().await;
    assert_eq!((keyring.held().generation, password_held().as_deref()), (2, Some("swordfish")));
    assert!(!format!("{keyring:?}").contains("swordfish"), "a secret is never shown");
}
