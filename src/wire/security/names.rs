//! librdkafka's names of security: those that both planes honour, and those that one of them cannot.

/// The properties of security that both planes honour. Those that end in `_file`, and `sasl.oauthbearer.token`, are our
/// own; librdkafka is told what they stand for.
pub const PROPERTIES: &[&str] = &[
    "security.protocol",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "sasl.password_file",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.token",
    "sasl.oauthbearer.token_file",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.secret_file",
    "sasl.oauthbearer.scope",
    "https.ca.location",
    "https.ca.pem",
];

pub(super) const GSSAPI: &str = "Kerberos (GSSAPI) is not built into the poll plane, which holds no Kerberos library; take \
                      SCRAM-SHA-512, OAUTHBEARER or a client certificate";
const CHOICES_OF_TLS: &str =
    "rustls, by which the poll plane speaks TLS, offers sound choices alone and no others; take it out";
const OPENSSL: &str = "means a part of OpenSSL, by which the poll plane does not speak TLS; take it out";
const NO_KEYSTORE: &str = "the poll plane reads PEM and no key stores; convert it by `openssl pkcs12 -in STORE -nodes`, \
                           and set \"ssl.certificate.location\" and \"ssl.key.location\"";
const JAVA: &str = "is a name of Kafka's Java client, not of librdkafka; export the certificates as PEM, and set \
                    \"ssl.ca.location\"";

/// Names, or beginnings of names, that one plane cannot honour, and why and what to do.
const REFUSED: &[(&str, &str)] = &[
    ("sasl.kerberos.", GSSAPI),
    ("ssl.cipher.suites", CHOICES_OF_TLS),
    ("ssl.curves.list", CHOICES_OF_TLS),
    ("ssl.sigalgs.list", CHOICES_OF_TLS),
    ("ssl.engine.", OPENSSL),
    ("ssl.engine", OPENSSL),
    ("ssl.providers", OPENSSL),
    (
        "ssl.crl.location",
        "the poll plane reads no revocation lists; take it out, and let the CA issue short-lived certificates",
    ),
    ("ssl.ca.certificate.stores", "is of Windows alone; set \"ssl.ca.location\""),
    (
        "ssl.key.password",
        "the poll plane reads no encrypted keys; decrypt it by `openssl pkey -in KEY -out PLAIN`, and protect the file by \
         its mode",
    ),
    ("ssl.key.pem_file", "is \"ssl.key.location\" by librdkafka's name"),
    ("ssl.keystore.key", "is a name of Kafka's Java client, not of librdkafka; set \"ssl.key.location\""),
    (
        "ssl.keystore.certificate.chain",
        "is a name of Kafka's Java client, not of librdkafka; set \"ssl.certificate.location\"",
    ),
    ("ssl.keystore.", NO_KEYSTORE),
    ("ssl.truststore.", JAVA),
    (
        "sasl.jaas.config",
        "is a name of Kafka's Java client, not of librdkafka; set \"sasl.username\" and \"sasl.password\"",
    ),
    (
        "sasl.oauthbearer.extensions",
        "the canary's client cannot send SASL extensions; take it out, and give the claims to the token",
    ),
    (
        "sasl.oauthbearer.config",
        "unsecured tokens are not made here; give one by \"sasl.oauthbearer.token_file\", or set \
         \"sasl.oauthbearer.method\" = \"oidc\"",
    ),
    (
        "enable.sasl.oauthbearer.unsecure.jwt",
        "unsecured tokens are not made here; give one by \"sasl.oauthbearer.token_file\"",
    ),
    (
        "sasl.oauthbearer.",
        "of OAUTHBEARER the poll plane knows tokens by file and client credentials by OIDC; take it out, or let a helper \
         write the token to \"sasl.oauthbearer.token_file\"",
    ),
    (
        "https.",
        "of HTTPS only \"https.ca.location\" and \"https.ca.pem\" are known, for the token endpoint; take it out",
    ),
];

/// Why a property cannot be honoured by both planes, and what to do instead; nothing for a name that means no security.
pub(super) fn refusal(name: &str) -> Option<&'static str> {
    if PROPERTIES.contains(&name) {
        return None;
    }
    let fits = |refused: &&(&str, &str)| refused.0 == name || refused.0.ends_with('.') && name.starts_with(refused.0);
    REFUSED.iter().find(fits).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_honoured_or_refused_with_the_reason() {
        let cases = [
            ("sasl.password", None),
            ("sasl.oauthbearer.client.id", None),
            ("bootstrap.servers", None),
            ("ssl.keystore.location", Some("convert it by")),
            ("ssl.keystore.key", Some("set \"ssl.key.location\"")),
            ("sasl.kerberos.keytab", Some("Kerberos (GSSAPI)")),
            ("sasl.oauthbearer.assertion.file", Some("tokens by file")),
            ("ssl.engine.id", Some("OpenSSL")),
        ];
        for (name, want) in cases {
            let why = refusal(name);
            assert_eq!(why.is_some(), want.is_some(), "{name}");
            assert!(want.is_none_or(|want| why.is_some_and(|why| why.contains(want))), "{name}: {why:?}");
        }
    }
}
