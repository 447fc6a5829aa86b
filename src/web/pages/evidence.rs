//! Evidence as rows: any object of JSON becomes names and values that people read.

use serde_json::Value;

use super::text;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path of names to it, in words.
    pub(super) name: String,
    /// The value, or its beginning.
    pub(super) value: String,
    /// All of it, where the value is only its beginning.
    pub(super) all: Option<String>,
}

/// How many items of a list stand in a row.
const SHORT: usize = 24;

/// The rows of an object, nested ones under the names of both.
pub(super) fn entries(evidence: &Value) -> Vec<Entry> {
    let mut rows = Vec::new();
    collect("", evidence, &mut rows);
    rows
}

fn collect(name: &str, value: &Value, rows: &mut Vec<Entry>) {
    match value {
        Value::Object(object) => {
            for (inner, value) in object {
                let inner = text::shown(&inner.replace('_', " "));
                let path = if name.is_empty() { inner } else { format!("{name} › {inner}") };
                collect(&path, value, rows);
            }
        }
        // Of records with fields of their own the first is laid out, and the others are there for who asks.
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            let all: Vec<String> = items.iter().map(one).collect();
            let value = format!("{} in all; the first reads", text::count(text::number(all.len())));
            rows.push(Entry { name: named(name), value, all: Some(all.join("\n")) });
            for first in items.iter().take(1) {
                collect(&format!("{} › first", named(name)), first, rows);
            }
        }
        Value::Array(items) => {
            let all: Vec<String> = items.iter().map(one).collect();
            let first = all.iter().take(SHORT).cloned().collect::<Vec<_>>().join(", ");
            let (value, all) = if all.len() > SHORT {
                (format!("{first}, … ({} in all)", text::count(text::number(all.len()))), Some(all.join(", ")))
            } else if all.is_empty() {
                ("none".to_owned(), None)
            } else {
                (first, None)
            };
            rows.push(Entry { name: named(name), value, all });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            rows.push(Entry { name: named(name), value: one(value), all: None });
        }
    }
}

fn named(name: &str) -> String {
    if name.is_empty() { "evidence".to_owned() } else { name.to_owned() }
}

fn one(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.as_i64().map_or_else(|| number.to_string(), text::count),
        Value::String(string) => text::shown(string),
        Value::Array(_) | Value::Object(_) => text::shown(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn evidence_reads_as_rows() {
        let rows = entries(&json!({
            "offset": 12_345, "leader_epoch": 6, "leader": null, "in_sync": [1, 3], "none_left": [],
            "records": [{"offset": 471, "bracket": {"low": 0, "high": null}}, {"offset": 472}],
            "lost_offsets": (0..30).collect::<Vec<u32>>(), "reread": {"outcome": "at_end", "ok": true},
        }));
        let shown: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.name, row.value)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        in sync: 1, 3
        leader: none
        leader epoch: 6
        lost offsets: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, … (30 in all)
        none left: none
        offset: 12,345
        records: 2 in all; the first reads
        records › first › bracket › high: none
        records › first › bracket › low: 0
        records › first › offset: 471
        reread › ok: yes
        reread › outcome: at_end
        ");
    }
}
