//! What the demo says, line by line; in colour where there is a terminal and nobody asked for none.

use std::io::{IsTerminal as _, Write as _};

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
    Faint,
    Notice,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Good => "32",
            Self::Bad => "1;31",
            Self::Faint => "2",
            Self::Notice => "35",
        }
    }
}

/// The terminal, or whatever stands in for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    colour: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let unwanted = |name: &str, unless: &str| std::env::var_os(name).is_some_and(|value| value == *unless);
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: std::io::stdout().is_terminal() && !no_colour && !unwanted("TERM", "dumb") }
    }

    /// Writes one line, whatever characters the text holds.
    pub(crate) fn line(self, tone: Tone, text: &str) {
        let text: String = text.chars().map(|one| if one.is_control() { '\u{fffd}' } else { one }).collect();
        let line = if self.colour && tone != Tone::Plain {
            format!("\x1b[{}m{text}\x1b[0m\n", tone.code())
        } else {
            format!("{text}\n")
        };
        // In one write, so that lines of several tasks do not mix. A reader that went away must not keep brokers running.
        std::io::stdout().write_all(line.as_bytes()).ok();
    }

    pub(crate) fn say(self, text: &str) {
        self.line(Tone::Plain, text);
    }

    /// Writes lines in a box.
    pub(crate) fn boxed(self, lines: &[&str]) {
        let width = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let rule = "─".repeat(width + 4);
        self.line(Tone::Strong, &format!("╭{rule}╮"));
        for line in lines {
            self.line(Tone::Strong, &format!("│  {line:width$}  │"));
        }
        self.line(Tone::Strong, &format!("╰{rule}╯"));
    }
}
