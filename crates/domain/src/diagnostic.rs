//! Diagnostics: what is wrong with a file a person wrote, where, and what to do.

use std::fmt::Write as _;
use std::ops::Range;

/// A place in a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot be used as it is.
    Error,
    /// It can be used, but will likely disappoint.
    Warning,
}

/// One thing that is wrong with a file, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where, if it has a place.
    pub span: Option<Span>,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            span: Some(span.into()),
            message: message.into(),
            hint: None,
        }
    }

    /// A warning at a place.
    pub fn warning(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column, from 1, of its place in `text`. Columns count characters.
    pub fn position(&self, text: &str) -> Option<(usize, usize)> {
        let before = text.get(..self.span?.start.min(text.len()))?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        Some((before.matches('\n').count() + 1, column + 1))
    }

    /// As people read it: the message, the file with line and column, the line with carets under
    /// the place, and the hint.
    ///
    /// ```
    /// # use impasto_domain::Diagnostic;
    /// let shown = Diagnostic::error(6..9, "no such task").hint("did you mean 'trim'?").render("f.yaml", "task: trm\n");
    /// assert_eq!(shown, "error: no such task\n --> f.yaml:1:7\n  |\n1 | task: trm\n  |       ^^^\n  = help: did you mean 'trim'?\n");
    /// ```
    pub fn render(&self, file: &str, text: &str) -> String {
        let word = if self.severity == Severity::Error { "error" } else { "warning" };
        let mut shown = format!("{word}: {}\n", self.message);
        let mut gutter = String::new();
        if let (Some(span), Some((line, column))) = (self.span, self.position(text)) {
            let number = line.to_string();
            gutter = " ".repeat(number.len());
            let source = text.lines().nth(line - 1).unwrap_or_default();
            let room = source.chars().count().saturating_sub(column - 1).max(1);
            let wanted =
                text.get(span.start..span.end.min(text.len())).map_or(1, |t| t.chars().count());
            let carets = "^".repeat(wanted.clamp(1, room));
            let _ = write!(
                shown,
                "{gutter}--> {file}:{line}:{column}\n{gutter} |\n{number} | {source}\n{gutter} | {}{carets}\n",
                " ".repeat(column - 1)
            );
        } else {
            let _ = writeln!(shown, "{gutter} --> {file}");
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(shown, "{gutter} = help: {hint}");
        }
        shown
    }
}
