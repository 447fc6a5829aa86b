//! The arrows between modules and the homes of I/O crates, held by reading the sources.
//!
//! The same rules run over planted violations, so that this test cannot pass by seeing nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Who may name whom. A module always may name itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("observe", &["model"]),
    ("audit", &["model"]),
    ("finding", &["model", "observe", "audit"]),
    ("alert", &["model", "finding"]),
    ("publish", &["model", "observe", "audit", "finding", "alert"]),
    ("clock", &["model"]),
    ("wire", &["model", "clock"]),
    ("canary", &["model", "audit", "clock"]),
    ("store", &["model", "observe", "audit", "finding", "alert", "clock"]),
    ("notify", &["model", "finding", "alert", "store", "clock"]),
    ("metrics", &["model", "observe", "audit", "finding", "alert", "publish"]),
    ("web", &["model", "observe", "audit", "finding", "alert", "publish", "store", "metrics", "clock"]),
    ("schedule", &["clock"]),
    ("config", &["model", "observe", "finding", "alert", "wire", "canary", "store", "notify", "web"]),
    (
        "app",
        &[
            "model", "observe", "audit", "finding", "alert", "publish", "clock", "wire", "canary", "store", "notify",
            "metrics", "web", "schedule", "config",
        ],
    ),
];

/// Where each I/O crate lives.
const HOMES: &[(&str, &[&str])] = &[
    ("rdkafka", &["canary", "app/version.rs"]),
    ("rdkafka_sys", &["canary/raw.rs"]),
    ("sqlx", &["store"]),
    ("axum", &["web"]),
    ("askama", &["web"]),
    ("askama_web", &["web"]),
    ("prometheus", &["metrics"]),
    ("tokio_cron_scheduler", &["schedule.rs"]),
    ("reqwest", &["notify", "wire/security/oidc.rs"]),
    ("rustls", &["notify", "wire/security"]),
    ("tokio_rustls", &["wire/security"]),
    ("rustls_native_certs", &["wire/security"]),
    ("clap", &["main.rs", "command"]),
    ("toml", &["config"]),
    ("tracing_subscriber", &["main.rs", "command"]),
    ("anyhow", &["main.rs", "app", "command"]),
];

/// Modules without I/O, clock, async and logging, and the crates they may use.
const PURE: &[&str] = &["model", "observe", "audit", "finding", "alert", "publish"];
const PURE_CRATES: &[&str] =
    &["std", "core", "serde", "serde_json", "thiserror", "chrono", "crc32c", "proptest", "insta"];

/// What a pure module may not reach for in `std`.
const IMPURE_STD: &[&str] = &["std::net", "std::fs", "std::process", "std::thread", "std::env", "std::io"];

fn module_of(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The code of a line, without its comment and with string literals emptied.
fn code_of(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => {
                chars.next();
            }
            '"' => {
                in_string = !in_string;
                code.push('"');
            }
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => code.push(c),
        }
    }
    code
}

/// The identifiers that follow `prefix` in `code`, a `{a, b::c}` group included.
fn named_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = code.get(at + prefix.len()..).unwrap_or_default();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut name = String::new();
            let mut taking = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.push(std::mem::take(&mut name));
                        taking = true;
                    }
                    c if depth == 0 && taking && (c.is_alphanumeric() || c == '_') => name.push(c),
                    c if depth == 0 && c == ':' => taking = false,
                    _ => {}
                }
            }
            names.push(name);
        } else {
            names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Files that only tests compile, by the names the house gives them.
fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        name == "tests" || name.ends_with("_test") || name.ends_with("_for_tests")
    })
}

fn is_in(file: &str, home: &str) -> bool {
    file == home || file.strip_prefix(home).is_some_and(|rest| rest.starts_with('/')) || module_of(file) == home
}

/// Every violation in one source file, as `src/FILE:LINE: what`.
fn violations(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let mut found = Vec::new();
    if matches!(module, "main" | "lib" | "command") {
        // The command line and the crate root name everything.
    } else if !ARROWS.iter().any(|(name, _)| *name == module) {
        found.push(format!("src/{file}:1: {module} has no arrows in tests/architecture.rs"));
    }
    let allowed = ARROWS.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed);
    // A `use` that spans lines is read as one line, reported at its first.
    let mut statement = String::new();
    let mut starts_at = 0;
    let mut previous = String::new();
    let mut in_tests = false;
    for (index, line) in text.lines().enumerate() {
        let code = code_of(line);
        if statement.is_empty() {
            starts_at = index + 1;
        }
        statement.push_str(&code);
        let opens = statement.trim_start().trim_start_matches("pub ").starts_with("use ") && !statement.contains(';');
        if opens {
            continue;
        }
        let code = std::mem::take(&mut statement);
        let mut say = |what: String| found.push(format!("src/{file}:{starts_at}: {what}"));
        if let Some(allowed) = allowed {
            for other in named_after(&code, "crate::") {
                let known = ARROWS.iter().any(|(name, _)| *name == other);
                if known && other != module && !allowed.contains(&other.as_str()) {
                    say(format!("{module} may not name {other}"));
                }
            }
        }
        for (name, homes) in HOMES {
            let used = code.match_indices(&format!("{name}::")).any(|(at, _)| {
                !code
                    .get(..at)
                    .and_then(|b| b.chars().next_back())
                    .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if used && !homes.iter().any(|home| is_in(file, home)) {
                say(format!("{name} lives in {}", homes.join(", ")));
            }
        }
        // What only tests compile may run a shell to check what it is told.
        in_tests |= code.starts_with("mod ") && code.ends_with('{') && previous == "#[cfg(test)]";
        previous = code.trim().to_owned();
        if PURE.contains(&module) && !in_tests && !is_test_file(file) {
            if let Some(path) = code.trim_start().trim_start_matches("pub ").strip_prefix("use ") {
                let root: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let local = matches!(root.as_str(), "crate" | "super" | "self") || root.is_empty();
                let is_submodule =
                    root.chars().next().is_some_and(char::is_lowercase) && text.contains(&format!("mod {root};"));
                let is_type = root.chars().next().is_some_and(char::is_uppercase);
                if !local && !is_submodule && !is_type && !PURE_CRATES.contains(&root.as_str()) {
                    say(format!("{module} is pure and may not use {root}"));
                }
            }
            for path in IMPURE_STD {
                if code.contains(path) {
                    say(format!("{module} is pure and may not use {path}"));
                }
            }
            for word in ["async fn", ".await", "tracing::", "tokio::"] {
                let ends =
                    |at: usize| code.get(at + word.len()..).is_none_or(|rest| !rest.starts_with(char::is_alphanumeric));
                if code.match_indices(word).any(|(at, _)| word.ends_with(':') || ends(at)) {
                    say(format!("{module} is pure and may not hold `{word}`"));
                }
            }
        }
        if code.contains("unsafe ") && file != "canary/raw.rs" {
            say("unsafe lives in canary/raw.rs".to_owned());
        }
    }
    found
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the source tree is readable") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn arrows_and_homes_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were found: {}", files.len());
    let mut found = Vec::new();
    let mut modules = BTreeSet::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a source file is text");
        let file = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
        modules.insert(module_of(&file).to_owned());
        found.extend(violations(&file, &text));
    }
    for (name, _) in ARROWS {
        assert!(modules.contains(*name), "{name} has arrows and no source");
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let cases = [
        (
            "an edge in a pure module",
            "observe/lag.rs",
            "\n\n\nuse crate::wire::Cluster;",
            "src/observe/lag.rs:4: observe may not name wire",
        ),
        (
            "inside a group",
            "audit/x.rs",
            "use crate::{model::Offset, finding::Kind};",
            "src/audit/x.rs:1: audit may not name finding",
        ),
        (
            "over several lines",
            "store/x.rs",
            "use crate::{\n    model::Offset,\n    web::Page,\n};",
            "src/store/x.rs:1: store may not name web",
        ),
        (
            "without use",
            "model/x.rs",
            "fn f() -> crate::observe::Lag { todo }",
            "src/model/x.rs:1: model may not name observe",
        ),
        ("a crate away from home", "web/x.rs", "use sqlx::Row;", "src/web/x.rs:1: sqlx lives in store"),
        (
            "a crate by path",
            "app/x.rs",
            "let c = rdkafka::ClientConfig::new();",
            "src/app/x.rs:1: rdkafka lives in canary, app/version.rs",
        ),
        (
            "another crate in a pure module",
            "alert/x.rs",
            "use tokio::sync::mpsc;",
            "src/alert/x.rs:1: alert is pure and may not use tokio",
        ),
        (
            "files in a pure module",
            "model/x.rs",
            "use std::fs::File;",
            "src/model/x.rs:1: model is pure and may not use std::fs",
        ),
        (
            "async in a pure module",
            "finding/x.rs",
            "pub async fn f() {}",
            "src/finding/x.rs:1: finding is pure and may not hold `async fn`",
        ),
        ("unsafe elsewhere", "wire/x.rs", "unsafe { f() }", "src/wire/x.rs:1: unsafe lives in canary/raw.rs"),
        ("a module nobody placed", "util/x.rs", "", "src/util/x.rs:1: util has no arrows in tests/architecture.rs"),
    ];
    for (name, file, text, want) in cases {
        let found = violations(file, text);
        assert_eq!(found.first().map(String::as_str), Some(want), "{name}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let cases = [
        ("a comment", "observe/lag.rs", "// use crate::wire::Cluster;"),
        ("a string", "finding/x.rs", "let advice = \"crate::wire and sqlx::query\";"),
        ("an arrow", "finding/x.rs", "use crate::{model::Offset, observe::Lag};"),
        ("itself", "store/x.rs", "use crate::store::StoreError; use sqlx::Row;"),
        ("a field that begins alike", "audit/x.rs", "self.awaited.len();"),
        ("a test that asks a shell", "finding/x.rs", "#[cfg(test)]\nmod tests {\n    use std::process::Command;\n}"),
        ("a word that ends alike", "web/x.rs", "mysqlx::f(); other_axum::g();"),
    ];
    for (name, file, text) in cases {
        assert_eq!(violations(file, text), Vec::<String>::new(), "{name}");
    }
}
