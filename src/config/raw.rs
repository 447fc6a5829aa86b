//! From a TOML text and the environment to one map of values per section, with every problem named at once.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::schema::{self, KEYS, Key, Section};
use super::value::Kind;
use crate::model::Properties;

/// One table of the file: its values by dotted name, and the free table `kafka` of a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) values: BTreeMap<&'static str, Value>,
    pub(crate) kafka: Properties,
}

/// All sections of a configuration; list sections may hold several entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Raw {
    pub(crate) entries: BTreeMap<Section, Vec<Entry>>,
}

/// Reads the text, then lays the environment over it. Every problem is appended to `problems`.
pub(crate) fn read(text: &str, environment: &BTreeMap<String, String>, problems: &mut Vec<String>) -> Raw {
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            // The line itself is not repeated: a password may stand in it.
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            problems.push(format!("the file is no TOML: line {line}: {}", error.message().trim_end()));
            return Raw::default();
        }
    };
    let mut raw = Raw::default();
    for (name, value) in &table {
        let Some(section) = Section::ALL.into_iter().find(|section| section.name() == name) else {
            let known = Section::ALL.map(|section| format!("[{}]", section.name())).join(", ");
            problems.push(format!("{name}: there is no such section; there are {known}"));
            continue;
        };
        let tables: Vec<&Table> = match (section.is_list(), value) {
            (false, Value::Table(table)) => vec![table],
            (true, Value::Array(items)) if items.iter().all(Value::is_table) => {
                items.iter().filter_map(Value::as_table).collect()
            }
            (true, _) => {
                problems.push(format!("{name}: must be a list of tables; write [[{name}]]"));
                continue;
            }
            (false, _) => {
                problems.push(format!("{name}: must be a table; write [{name}]"));
                continue;
            }
        };
        for (index, table) in tables.into_iter().enumerate() {
            let at = if section.is_list() { place(section, table, index) } else { name.clone() };
            let entry = entry(section, table, &at, problems);
            raw.entries.entry(section).or_default().push(entry);
        }
    }
    lay_over(&mut raw, environment, problems);
    raw
}

/// How messages name one entry of a list: by its name where it has one.
fn place(section: Section, table: &Table, index: usize) -> String {
    match table.get("name").and_then(Value::as_str) {
        Some(name) => format!("{} {name:?}", section.name()),
        None => format!("{} number {}", section.name(), index + 1),
    }
}

fn entry(section: Section, table: &Table, at: &str, problems: &mut Vec<String>) -> Entry {
    let mut entry = Entry::default();
    let mut flat = Vec::new();
    flatten(table, "", &mut flat);
    for (name, value) in flat {
        if section == Section::Cluster && name.starts_with("kafka.") {
            let property = name.trim_start_matches("kafka.").to_owned();
            match &value {
                Value::String(text) => {
                    entry.kafka.insert(property, text.clone());
                }
                Value::Integer(_) | Value::Boolean(_) | Value::Float(_) => {
                    entry.kafka.insert(property, value.to_string());
                }
                Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
                    problems.push(format!("{at}: kafka.{property}: must be a text, a number or true/false"));
                }
            }
            continue;
        }
        let twin = name.strip_suffix("_file").and_then(|base| schema::find(section, base));
        if let Some(key) = twin.filter(|key| key.kind == Kind::Secret) {
            take_secret_file(key, &value, at, &mut entry, problems);
            continue;
        }
        match schema::find(section, &name) {
            None => problems.push(format!("{at}: {name}: there is no such key{}", nearest(section, &name))),
            Some(key) if !key.kind.accepts(&value) => {
                let shown = if key.kind == Kind::Secret { String::new() } else { format!(", not {value}") };
                problems.push(format!("{at}: {name}: must be {}{shown}", key.kind.expected()));
            }
            Some(key) => {
                entry.values.insert(key.name, value);
            }
        }
    }
    entry
}

fn take_secret_file(key: &Key, value: &Value, at: &str, entry: &mut Entry, problems: &mut Vec<String>) {
    let Some(path) = value.as_str() else {
        problems.push(format!("{at}: {}_file: must be a path", key.name));
        return;
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            entry.values.insert(key.name, Value::String(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        Err(error) => problems.push(format!("{at}: {}_file: cannot read {path:?}: {error}", key.name)),
    }
}

/// Dotted names of all leaves. Under `kafka` a name may be quoted with dots in it, or written as nested tables.
fn flatten(table: &Table, prefix: &str, into: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value.as_table() {
            Some(inner) => flatten(inner, &path, into),
            None => into.push((path, value.clone())),
        }
    }
}

/// "; did you mean …" for a name that is nearly one of ours.
fn nearest(section: Section, name: &str) -> String {
    let close = KEYS
        .iter()
        .filter(|key| key.section == section)
        .map(|key| (distance(key.name, name), key.name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    close.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

/// Levenshtein's distance of two short names.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let cost = usize::from(from != *to) + diagonal;
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A name as it stands in the environment: upper case, everything but letters and digits as `_`.
fn environment_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// `KUSTODY__SECTION__KEY`, and `KUSTODY__CLUSTER__NAME__KEY` for lists.
fn lay_over(raw: &mut Raw, environment: &BTreeMap<String, String>, problems: &mut Vec<String>) {
    for (variable, text) in environment {
        let Some(rest) = variable.strip_prefix("KUSTODY__") else { continue };
        let mut parts = rest.split("__");
        let section = parts.next().unwrap_or_default();
        let Some(section) = Section::ALL.into_iter().find(|one| environment_name(one.name()) == section) else {
            problems.push(format!("{variable}: there is no section {section:?}"));
            continue;
        };
        let entries = raw.entries.entry(section).or_default();
        let target = if section.is_list() {
            let name = parts.next().unwrap_or_default();
            entries.iter_mut().find(|entry| {
                entry.values.get("name").and_then(Value::as_str).is_some_and(|own| environment_name(own) == name)
            })
        } else {
            if entries.is_empty() {
                entries.push(Entry::default());
            }
            entries.first_mut()
        };
        let Some(target) = target else {
            problems.push(format!("{variable}: the file has no {} of that name", section.name()));
            continue;
        };
        let wanted = parts.collect::<Vec<_>>().join("_");
        if section == Section::Cluster && wanted.starts_with("KAFKA_") {
            let wanted = wanted.trim_start_matches("KAFKA_");
            let known = super::check::kafka_properties().find(|name| environment_name(name) == wanted);
            match known {
                Some(name) => {
                    target.kafka.insert(name.to_owned(), text.clone());
                }
                None => problems.push(format!("{variable}: no connection property has that name")),
            }
            continue;
        }
        let own = |key: &&Key| key.section == section;
        let key = KEYS.iter().filter(own).find(|key| environment_name(key.name) == wanted);
        let secret = KEYS
            .iter()
            .filter(own)
            .find(|key| key.kind == Kind::Secret && format!("{}_FILE", environment_name(key.name)) == wanted);
        match (key, secret) {
            (Some(key), _) => {
                let value = key.kind.value_of(text);
                if key.kind.accepts(&value) {
                    target.values.insert(key.name, value);
                } else {
                    problems.push(format!("{variable}: must be {}", key.kind.expected()));
                }
            }
            (None, Some(key)) => {
                take_secret_file(key, &Value::String(text.clone()), variable, target, problems);
            }
            (None, None) => problems.push(format!("{variable}: there is no such key in [{}]", section.name())),
        }
    }
}
