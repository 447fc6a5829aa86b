//! Every key with its default and meaning, as a configuration one can start from.

use super::schema::{KEYS, Section};

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
        }
    }
    text
}
