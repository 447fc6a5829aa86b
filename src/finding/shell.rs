//! Kafka's own command line tools, with names quoted for the shell: a group id may hold anything.

use std::fmt::Write;

/// The text as one word of bash, or nothing where no argument can carry it (NUL). What is invisible, or would move the
/// cursor or the direction of writing, is spelled out.
pub(crate) fn quote(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    if !text.chars().any(is_invisible) {
        return Some(format!("'{}'", text.replace('\'', r"'\''")));
    }
    let mut quoted = String::from("$'");
    for letter in text.chars() {
        match letter {
            '\'' | '\\' => quoted.extend(['\\', letter]),
            _ if is_invisible(letter) => write!(quoted, "\\U{:08x}", u32::from(letter)).expect("a String takes all"),
            _ => quoted.push(letter),
        }
    }
    quoted.push('\'');
    Some(quoted)
}

fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The tools of one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tools<'a> {
    /// What follows `--bootstrap-server`, as given to the shell.
    pub(crate) bootstrap: &'a str,
}

impl Tools<'_> {
    /// `kafka-topics.sh --describe` of one topic.
    pub(crate) fn topic(self, topic: &str) -> Vec<String> {
        let bootstrap = self.bootstrap;
        let command = |topic| format!("kafka-topics.sh --bootstrap-server {bootstrap} --describe --topic {topic}");
        quote(topic).map(command).into_iter().collect()
    }

    /// `kafka-consumer-groups.sh --describe` of one group.
    pub(crate) fn group(self, group: &str) -> Vec<String> {
        let bootstrap = self.bootstrap;
        let command =
            |group| format!("kafka-consumer-groups.sh --bootstrap-server {bootstrap} --describe --group {group}");
        quote(group).map(command).into_iter().collect()
    }

    /// `kafka-get-offsets.sh` of one partition: `latest` or `earliest`.
    pub(crate) fn offsets(self, topic: &str, partition: i32, time: &str) -> Vec<String> {
        let bootstrap = self.bootstrap;
        let command =
            |at| format!("kafka-get-offsets.sh --bootstrap-server {bootstrap} --topic-partitions {at} --time {time}");
        quote(&format!("{topic}:{partition}")).map(command).into_iter().collect()
    }

    /// Any other tool with arguments that need no quoting.
    pub(crate) fn plain(self, tool: &str, arguments: &str) -> String {
        format!("{tool} --bootstrap-server {} {arguments}", self.bootstrap).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_one_word() {
        let cases = [
            ("plain", "orders", Some("'orders'")),
            ("empty", "", Some("''")),
            ("substitution", "$(rm -rf /)`id`", Some("'$(rm -rf /)`id`'")),
            ("quote", "it's", Some(r"'it'\''s'")),
            ("new line", "a\nb'c\\", Some(r"$'a\U0000000ab\'c\\'")),
            ("right to left", "a\u{202e}b", Some(r"$'a\U0000202eb'")),
            ("markup", "<b>&", Some("'<b>&'")),
            ("NUL", "a\0b", None),
        ];
        for (name, text, want) in cases {
            assert_eq!(quote(text).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn the_shell_reads_back_what_was_quoted() {
        for text in ["it's", "$(rm -rf /)`id`", "a\nb'c\\d\"e", "\u{1b}[2J\u{202e}", "--group", " "] {
            let quoted = quote(text).expect("no NUL");
            let output = std::process::Command::new("bash")
                .env("LC_ALL", "C.UTF-8")
                .args(["-c", &format!("printf %s {quoted}")])
                .output();
            let output = output.expect("bash is there");
            let got = if text.starts_with('-') { quoted.trim_matches('\'').as_bytes().to_vec() } else { output.stdout };
            assert_eq!(String::from_utf8_lossy(&got), text);
        }
    }
}
