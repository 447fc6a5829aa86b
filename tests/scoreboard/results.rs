//! The file of results: one JSON line per scenario, repeat and commit of the binary.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Passed,
    Failed,
    NotRun,
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) scenario: String,
    pub(crate) repeat: u32,
    /// The commit of the binary.
    pub(crate) commit: String,
    pub(crate) verdict: Verdict,
    pub(crate) seconds: f64,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// The file, and what it holds.
#[derive(Debug)]
pub(crate) struct Results {
    path: PathBuf,
    pub(crate) lines: Vec<Line>,
}

impl Results {
    /// Reads what is there; no file is no results.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error.into()),
        };
        // A run that was killed may have left half a line: it is done again.
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self { path: path.to_owned(), lines })
    }

    /// Whether this was done, passed or not.
    pub(crate) fn has(&self, scenario: &str, repeat: u32, commit: &str) -> bool {
        let same = |line: &Line| line.scenario == scenario && line.repeat == repeat && line.commit == commit;
        self.lines.iter().any(|line| same(line) && line.verdict != Verdict::NotRun)
    }

    /// Appends a line.
    pub(crate) fn add(&mut self, line: Line) -> anyhow::Result<()> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
        // In one piece: another process may add to the same file.
        file.write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())?;
        self.lines.push(line);
        Ok(())
    }
}
