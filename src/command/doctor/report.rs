//! What a check says, and how all of them are printed: the gravest first.

use std::fmt::Write;

use serde::Serialize;

/// How a check ended, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// Something does not work, or verdicts would be wrong.
    Problem,
    /// It could not be seen.
    Unknown,
    /// It works, and could be better.
    Advice,
    /// As it should be.
    Ok,
}

impl Word {
    fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Unknown => "unknown",
            Self::Advice => "advice",
            Self::Ok => "ok",
        }
    }
}

/// One check: a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The cluster, by our name for it.
    pub(super) cluster: String,
    /// What was looked at.
    pub(super) about: String,
    pub(super) word: Word,
    /// What was found, without a full stop.
    pub(super) text: String,
    /// What to do; absent where there is nothing to do.
    pub(super) remedy: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// False when something is a problem.
    pub(super) is_well: bool,
    /// The gravest first; else in the order they were made.
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn of(mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| check.word);
        Self { is_well: checks.iter().all(|check| check.word != Word::Problem), checks }
    }

    /// One line per check, and one that counts them.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Check { cluster, about, word, text: found, remedy } in &self.checks {
            let remedy = remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
            let line = shown(&format!("{cluster}: {about}: {found}{remedy}"));
            writeln!(text, "{:<8} {line}", word.as_str()).expect("a String takes all");
        }
        let count = |word| self.checks.iter().filter(|check| check.word == word).count();
        let [problem, unknown, advice, ok] = [Word::Problem, Word::Unknown, Word::Advice, Word::Ok].map(count);
        writeln!(text, "{problem} problem, {unknown} unknown, {advice} advice, {ok} ok").expect("a String takes all");
        text
    }

    /// The same for scripts.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and flags are JSON") + "\n"
    }
}

/// One line stays one, whatever a broker calls itself.
fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: Word, about: &str) -> Check {
        let remedy = (word != Word::Ok).then(|| "mend it".to_owned());
        Check { cluster: "main".to_owned(), about: about.to_owned(), word, text: "so it is".to_owned(), remedy }
    }

    #[test]
    fn the_gravest_comes_first_and_a_line_stays_a_line() {
        let report = Report::of(vec![
            check(Word::Ok, "first"),
            check(Word::Advice, "second"),
            check(Word::Unknown, "third"),
            check(Word::Problem, "fourth\n\u{1b}[2J"),
            check(Word::Ok, "fifth"),
        ]);
        insta::assert_snapshot!(report.text(), @"
        problem  main: fourth��[2J: so it is; mend it
        unknown  main: third: so it is; mend it
        advice   main: second: so it is; mend it
        ok       main: first: so it is
        ok       main: fifth: so it is
        1 problem, 1 unknown, 1 advice, 2 ok
        ");
        assert!(!report.is_well);
        assert!(Report::of(vec![check(Word::Unknown, "x"), check(Word::Advice, "y")]).is_well);
    }

    #[test]
    fn scripts_read_the_same() {
        let report = Report::of(vec![check(Word::Ok, "first"), check(Word::Problem, "second")]);
        let json: serde_json::Value = serde_json::from_str(&report.json()).expect("JSON");
        assert_eq!((&json["is_well"], &json["checks"][0]["word"]), (&false.into(), &"problem".into()));
        assert_eq!(
            (&json["checks"][1]["remedy"], &json["checks"][0]["remedy"]),
            (&serde_json::Value::Null, &"mend it".into())
        );
    }
}
