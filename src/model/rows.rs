//! Tokens of a training batch as rows: sequences laid end to end, never padded.

use std::ops::Range;

/// Sequences laid end to end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Spans(Vec<Range<usize>>);

impl Spans {
    /// Sequences of these lengths, in this order.
    pub(crate) fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut end = 0;
        let span = |length| {
            let start = end;
            end += length;
            start..end
        };
        Self(lengths.into_iter().map(span).collect())
    }

    /// Each sequence's rows.
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// The length of the longest sequence.
    pub(crate) fn longest(&self) -> usize {
        let lengths = self.0.iter().map(ExactSizeIterator::len);
        lengths.max().unwrap_or(0)
    }

    /// Rows of all sequences together.
    pub(crate) fn rows(&self) -> usize {
        self.0.last().map_or(0, |span| span.end)
    }

    /// Each row's position in its own sequence.
    pub(crate) fn positions(&self) -> Vec<usize> {
        self.0.iter().flat_map(|span| 0..span.len()).collect()
    }

    /// Splits rows of `stride` elements by sequence.
    pub(crate) fn split<'a, T>(&self, mut rows: &'a mut [T], stride: usize) -> Vec<&'a mut [T]> {
        let mut parts = Vec::new();
        for span in &self.0 {
            let (part, rest) = rows.split_at_mut(span.len() * stride);
            parts.push(part);
            rows = rest;
        }
        parts
    }
}

/// Which row predicts which token.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Targets {
    /// Rows of the hidden states.
    pub(crate) rows: Vec<usize>,
    /// The token that follows each.
    pub(crate) tokens: Vec<u32>,
}
