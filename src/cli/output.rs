//! How commands show things: aligned columns, ages, colours that mean something.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;

use super::args::{Color, Global};
use super::logging;

/// Writes `text` to standard output and ends its last line. An error where the reader has left (`windlass history | head`):
/// for a command that is the end, see [`reader_left`].
pub fn show(text: impl std::fmt::Display) -> io::Result<()> {
    let text = text.to_string();
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.is_empty() && !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Whether a command failed only because nobody reads what it prints any more.
pub fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Colours for words of state, or none.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
}

impl Paint {
    pub fn for_stdout(global: &Global) -> Self {
        Self { on: logging::wanted(global.color, io::stdout().is_terminal()) }
    }

    pub fn of(color: Color) -> Self {
        Self { on: logging::wanted(color, io::stdout().is_terminal()) }
    }

    pub fn is_on(self) -> bool {
        self.on
    }

    /// Green for what is well, yellow for what is under way, red for what needs a person.
    pub fn state(self, word: &str) -> String {
        match word {
            "Synced" | "Healthy" | "Succeeded" => self.wrap(word, "32"),
            "OutOfSync" | "Progressing" | "Suspended" | "Running" => self.wrap(word, "33"),
            "Degraded" | "Missing" | "Failed" | "Error" => self.wrap(word, "31"),
            other => other.to_owned(),
        }
    }

    pub fn bold(self, text: &str) -> String {
        self.wrap(text, "1")
    }

    pub fn dim(self, text: &str) -> String {
        self.wrap(text, "2")
    }

    fn wrap(self, text: &str, code: &str) -> String {
        match self.on {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Rows as aligned columns under a heading, three spaces apart, as kubectl prints them.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(visible_width(cell));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded =
            cells.zip(&widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - visible_width(cell))));
        padded.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    let mut out = line(&mut heading.iter().copied());
    for row in rows {
        out += &line(&mut row.iter().map(String::as_str));
    }
    out
}

/// Characters that a terminal shows, colour codes left out.
fn visible_width(cell: &str) -> usize {
    let mut width = 0;
    let mut chars = cell.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => drop(chars.by_ref().find(|&c| c == 'm')),
            _ => width += 1,
        }
    }
    width
}

/// How long ago an RFC 3339 time was: `12s`, `5m`, `3h`, `2d`; empty for no time.
pub fn ago(time: Option<&str>, now: Timestamp) -> String {
    let Some(then) = time.and_then(|t| t.parse::<Timestamp>().ok()) else { return String::new() };
    match now.duration_since(then).as_secs().max(0) {
        s @ ..120 => format!("{s}s"),
        s @ ..7200 => format!("{}m", s / 60),
        s @ ..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// The first seven characters of a commit, as git shows it.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Text from a manifest or commit, safe for a terminal: control and direction-changing characters are escaped.
pub fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if hidden(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_with_and_without_colours() {
        let rows =
            |paint: Paint| vec![vec!["web".into(), paint.state("Healthy")], vec!["a-longer-name".into(), "x".into()]];
        let none = table(&["NAME", "HEALTH"], &rows(Paint { on: false }));
        assert_eq!(none, "NAME            HEALTH\nweb             Healthy\na-longer-name   x\n");
        let colours = table(&["NAME", "HEALTH"], &rows(Paint { on: true }));
        assert_eq!(colours.replace("\x1b[32m", "").replace("\x1b[0m", ""), none);
    }

    #[test]
    fn ages_are_read_at_a_glance() {
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        let cases = [
            ("2026-01-01T23:59:48Z", "12s"),
            ("2026-01-01T23:55:00Z", "5m"),
            ("2026-01-01T12:00:00Z", "12h"),
            ("2025-12-01T00:00:00Z", "32d"),
            ("2026-01-02T00:00:05Z", "0s"),
        ];
        for (then, want) in cases {
            assert_eq!(ago(Some(then), now), want, "{then}");
        }
        assert_eq!(ago(None, now), "");
    }

    #[test]
    fn what_a_commit_says_cannot_drive_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\u{202e}c"), "a\\u{1b}[31mb\\u{202e}c");
    }
}
