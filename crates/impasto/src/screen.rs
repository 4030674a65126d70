//! What is written to the terminal: text, tables, errors. The only place that prints.

use std::io::{IsTerminal, Write};

use impasto_domain::Error;

/// The terminal, or whatever stands in its place.
///
/// A reader that has gone away (`impasto models | head -1`) is not an error: what would be written
/// to it is dropped.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    /// Whether answers are JSON.
    pub(crate) json: bool,
    colors: bool,
}

/// A way to set a piece of text apart.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Screen {
    /// The screen of this process. Colours only for a person, and not where `NO_COLOR` is set.
    pub(crate) fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            json,
            colors: wanted && std::io::stdout().is_terminal() && std::io::stderr().is_terminal(),
        }
    }

    /// Writes a line to standard output.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        let _gone = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
    }

    /// Writes a value as JSON to standard output, in one line.
    pub(crate) fn json_line(self, value: &impl serde::Serialize) {
        self.line(serde_json::to_string(value).unwrap_or_default());
    }

    /// Writes a value as indented JSON to standard output.
    pub(crate) fn json_block(self, value: &impl serde::Serialize) {
        self.line(serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Writes a line to standard error, for a person who is watching.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        let _gone = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
    }

    /// Writes text that carries its own line breaks to standard error.
    pub(crate) fn raw_note(self, text: &str) {
        let _gone = write!(std::io::stderr().lock(), "{text}");
    }

    /// Writes an error with its remedy; as JSON on standard output where JSON was asked for.
    pub(crate) fn error(self, error: &Error) {
        if self.json {
            self.json_line(&serde_json::json!({ "error": error }));
            return;
        }
        self.note(format!("{} {}", self.paint("error:", Style::Red), error.message));
        if let Some(hint) = &error.hint {
            self.note(format!("  = help: {hint}"));
        }
    }

    /// The text in a style, where colours are shown.
    pub(crate) fn paint(self, text: &str, style: Style) -> String {
        if !self.colors {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Red => 31,
            Style::Green => 32,
            Style::Yellow => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Writes rows under headings, in columns as wide as their widest cell; the last column is cut
    /// at the width of the terminal.
    pub(crate) fn table(self, headings: &[&str], rows: &[Vec<String>]) {
        let room = terminal_width();
        for (place, line) in lay_out(headings, rows, room).into_iter().enumerate() {
            self.line(if place == 0 { self.paint(&line, Style::Bold) } else { line });
        }
    }
}

/// Columns of the terminal; without one there is room for everything.
fn terminal_width() -> usize {
    if !std::io::stdout().is_terminal() {
        return usize::MAX;
    }
    usize::from(console::Term::stdout().size().1).max(60)
}

fn lay_out(headings: &[&str], rows: &[Vec<String>], room: usize) -> Vec<String> {
    let heading: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    all.iter().map(|row| lay_out_row(row, &widths, room)).collect()
}

fn lay_out_row(row: &[String], widths: &[usize], room: usize) -> String {
    let cells = row.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}"));
    let line = cells.collect::<Vec<_>>().join("  ");
    let line = line.trim_end();
    if line.chars().count() <= room {
        return line.to_owned();
    }
    line.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_end_at_the_room() {
        let rows = vec![
            vec!["a".to_owned(), "bb".to_owned()],
            vec!["long one".to_owned(), "c".to_owned()],
        ];
        assert_eq!(lay_out(&["x", "y"], &rows, 99), ["x         y", "a         bb", "long one  c"]);
        assert_eq!(lay_out(&["x", "y"], &rows, 8)[2], "long on…");
    }
}
