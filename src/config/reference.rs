//! Every key with its default and meaning, as a configuration one can start from.

use super::schema::{KEYS, Section};

/// The properties of security: name, what to write, and what it does. `docs/security.md` says more.
const SECURITY: &[(&str, &str, &str)] = &[
    (
        "security.protocol",
        "\"PLAINTEXT\"",
        "How the brokers' listener is secured: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    ),
    (
        "ssl.ca.location",
        "a path",
        "The PEM file of the CAs that are trusted; without it, and \"ssl.ca.pem\", the system's.",
    ),
    ("ssl.ca.pem", "a text", "The same, in place."),
    ("ssl.certificate.location", "a path", "The PEM file of our certificate and its chain, where brokers ask for one."),
    ("ssl.certificate.pem", "a text", "The same, in place."),
    ("ssl.key.location", "a path", "The PEM file of its key, not encrypted."),
    ("ssl.key.pem", "a secret", "The same, in place."),
    (
        "ssl.endpoint.identification.algorithm",
        "\"https\"",
        "https: a broker's certificate must name its host; none: it need not.",
    ),
    ("enable.ssl.certificate.verification", "true", "May only be true."),
    (
        "sasl.mechanism",
        "a mechanism",
        "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; \"sasl.mechanisms\" means the same.",
    ),
    ("sasl.mechanisms", "a mechanism", "See \"sasl.mechanism\"."),
    ("sasl.username", "a text", "The user, for PLAIN and SCRAM."),
    ("sasl.password", "a secret", "Its password."),
    ("sasl.password_file", "a path", "The file that holds the password; read again when it changes."),
    (
        "sasl.oauthbearer.method",
        "\"default\"",
        "Where the tokens of OAUTHBEARER come from: default (given, or by file) or oidc (client credentials).",
    ),
    ("sasl.oauthbearer.token", "a secret", "The token."),
    ("sasl.oauthbearer.token_file", "a path", "The file that holds the token; read whenever one is wanted."),
    ("sasl.oauthbearer.token.endpoint.url", "a URL", "Where method oidc fetches tokens, by https."),
    ("sasl.oauthbearer.client.id", "a text", "Who fetches them."),
    ("sasl.oauthbearer.client.secret", "a secret", "The secret to do so."),
    ("sasl.oauthbearer.client.secret_file", "a path", "The file that holds it."),
    ("sasl.oauthbearer.scope", "a text", "The scope that is asked for."),
    (
        "https.ca.location",
        "a path",
        "The PEM file of the CAs that the endpoint's certificate is of; else the system's.",
    ),
    ("https.ca.pem", "a text", "The same, in place."),
];

/// The reference: valid TOML in which every key stands with its default, or commented where it has none.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Every key of kustody with its default. Each can also be set as KUSTODY__SECTION__KEY, and in the lists as\n\
         # KUSTODY__CLUSTER__NAME__KEY and KUSTODY__RECEIVER__NAME__KEY, with '.' and '-' as '_'.\n",
    );
    for section in Section::ALL {
        let heading =
            if section.is_list() { format!("\n[[{}]]\n", section.name()) } else { format!("\n[{}]\n", section.name()) };
        text.push_str(&heading);
        for key in KEYS.iter().filter(|key| key.section == section) {
            let expected = key.kind.expected();
            match key.default {
                Some(default) => text.push_str(&format!("# {}\n{} = {default}\n", key.doc, key.name)),
                None => text.push_str(&format!("# {}\n# {} = {expected}\n", key.doc, key.name)),
            }
        }
        if section == Section::Cluster {
            text.push_str(
                "# The connection, in librdkafka's property names; it feeds poll plane and canary alike.\n\
                 [cluster.kafka]\n# \"bootstrap.servers\" = \"host:port,host:port\"\n# \"client.id\" = \"kustody\"\n",
            );
            for (name, expected, doc) in SECURITY {
                text.push_str(&format!("# {doc}\n# {name:?} = {expected}\n"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_of_security_stands_in_the_reference() {
        let told: Vec<&str> = SECURITY.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(told, crate::wire::PROPERTIES);
    }
}
