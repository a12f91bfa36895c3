//! Where a value came from: a file or a command-line argument, and a byte span in its text.
//!
//! Every later message can quote it. Origins share their source by
//! reference count, so that a value keeps its origin through merging and a diagnostic needs
//! nothing else to be rendered.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A text that values come from.
#[derive(PartialEq, Eq, Debug)]
pub struct SourceText {
    /// The path as messages show it, or the argument, for example `--set #1`.
    pub name: String,
    /// All of it.
    pub text: String,
    /// Its place in the order in which messages are listed.
    pub rank: usize,
}

/// The rank of the first command-line argument: arguments are listed after every file.
pub(super) const ARGUMENTS: usize = 1 << 20;

impl SourceText {
    /// Whether it is a command-line argument.
    pub fn is_argument(&self) -> bool {
        self.rank >= ARGUMENTS
    }
}

/// A span of bytes in a source.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// The text.
    pub source: Arc<SourceText>,
    /// Bytes in it; within the text and at character boundaries.
    pub span: Range<usize>,
}

impl Origin {
    /// A span of `source`, moved to character boundaries within the text.
    pub fn new(source: &Arc<SourceText>, span: Range<usize>) -> Self {
        let text = &source.text;
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end).max(start);
        Self {
            source: Arc::clone(source),
            span: start..end,
        }
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// What messages are sorted by.
    pub(super) fn order(&self) -> (usize, usize, usize) {
        (self.source.rank, self.span.start, self.span.end)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}
