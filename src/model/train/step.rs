//! The examples of one step, and how they are split.

use super::data::Example;

/// The examples of one step.
pub(super) struct Batch<'a> {
    examples: Vec<&'a Example>,
    /// Tokens that go in.
    pub(super) tokens: usize,
    /// Tokens that the loss counts.
    pub(super) loss_tokens: usize,
}

impl<'a> Batch<'a> {
    /// A batch of examples that have passed [`super::data::Prepared`].
    pub(super) fn new(examples: impl IntoIterator<Item = &'a Example>) -> Self {
        let examples: Vec<&Example> = examples.into_iter().collect();
        Self {
            tokens: examples.iter().map(|example| inputs(example)).sum(),
            loss_tokens: examples
                .iter()
                .map(|example| example.tokens.len() - example.loss_from)
                .sum(),
            examples,
        }
    }

    /// The examples in order, in micro-batches; see [`Share::parts`].
    pub(super) fn parts(&self, limit: usize, layout: Layout) -> Vec<(usize, &[&'a Example])> {
        let whole = Share {
            first: 0,
            examples: &self.examples,
        };
        whole.parts(limit, layout)
    }

    /// The examples in order, shared out among so many devices, with about as many tokens for each.
    pub(super) fn shares(&self, count: usize) -> impl Iterator<Item = Share<'_, 'a>> {
        let (mut first, mut before) = (0, 0);
        (1..=count).map(move |share| {
            let start = first;
            while first < self.examples.len() && before * count < self.tokens * share {
                before += inputs(self.examples[first]);
                first += 1;
            }
            Share {
                first: start,
                examples: &self.examples[start..first],
            }
        })
    }
}

/// Some examples of a step that follow each other.
#[derive(Clone, Copy)]
pub(super) struct Share<'b, 'a> {
    /// The number in the step of the first.
    first: usize,
    examples: &'b [&'a Example],
}

impl<'b, 'a> Share<'b, 'a> {
    /// The examples in order, in micro-batches of at most `limit` tokens each, unless one example is longer; with the
    /// number in the step of each part's first example.
    pub(super) fn parts(self, limit: usize, layout: Layout) -> Vec<(usize, &'b [&'a Example])> {
        let (mut parts, mut start, mut tokens, mut longest) = (Vec::new(), 0, 0, 0);
        for (index, example) in self.examples.iter().enumerate() {
            let length = inputs(example);
            let with_it = match layout {
                Layout::Packed => tokens + length,
                Layout::Padded => longest.max(length) * (index + 1 - start),
            };
            if index > start && with_it > limit {
                parts.push((self.first + start, &self.examples[start..index]));
                (start, tokens, longest) = (index, 0, 0);
            }
            tokens += length;
            longest = longest.max(length);
        }
        if start < self.examples.len() {
            parts.push((self.first + start, &self.examples[start..]));
        }
        parts
    }
}

/// How the sequences of a micro-batch lie, and so how many tokens it counts.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// End to end.
    Packed,
    /// Each as long as the longest.
    Padded,
}

/// How large micro-batches are, each sequence as long as the longest.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    tokens: usize,
    /// What attention weights take: each token's, of the sequence.
    pairs: usize,
}

impl Size {
    /// Of one.
    pub(super) fn of(examples: &[&Example]) -> Self {
        let longest = examples.iter().map(|example| example.tokens.len()).max();
        let longest = longest.unwrap_or(0);
        let tokens = examples.len() * longest;
        Self {
            tokens,
            pairs: tokens * longest,
        }
    }

    /// The larger of both, in each way.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            pairs: self.pairs.max(other.pairs),
        }
    }

    /// Whether it is larger in any way.
    pub(super) fn exceeds(self, other: Self) -> bool {
        self.tokens > other.tokens || self.pairs > other.pairs
    }
}

/// The last token predicts nothing that is known, so it does not go in.
fn inputs(example: &Example) -> usize {
    example.tokens.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Example> {
        let examples = [3, 5, 2, 9, 2, 2].map(|length| Example {
            tokens: vec![1; length + 1],
            loss_from: 1,
        });
        examples.into()
    }

    #[test]
    fn parts_cover_the_batch_and_keep_the_limit() {
        let examples = examples();
        let batch = Batch::new(&examples);
        let cuts = |limit, layout| -> Vec<(usize, usize)> {
            let parts = batch.parts(limit, layout).into_iter();
            parts.map(|(first, part)| (first, part.len())).collect()
        };
        assert_eq!(cuts(10, Layout::Padded), [(0, 2), (2, 1), (3, 1), (4, 2)]);
        assert_eq!(cuts(10, Layout::Packed), [(0, 3), (3, 1), (4, 2)]);
        for layout in [Layout::Padded, Layout::Packed] {
            assert_eq!(cuts(1000, layout), [(0, 6)]);
            assert_eq!(cuts(1, layout).len(), 6);
        }
    }

    #[test]
    fn shares_cover_the_batch_with_about_as_many_tokens_each() {
        let examples = examples();
        let batch = Batch::new(&examples);
        let shares = |count| -> Vec<(usize, usize)> {
            let shares = batch.shares(count);
            shares
                .map(|share| (share.first, share.examples.len()))
                .collect()
        };
        assert_eq!(shares(1), [(0, 6)]);
        assert_eq!(shares(2), [(0, 4), (4, 2)]);
        assert_eq!(shares(3), [(0, 2), (2, 2), (4, 2)]);
        // More devices than examples: some have nothing to do.
        let found = shares(9);
        assert_eq!(found.iter().map(|(_, count)| count).sum::<usize>(), 6);
        let parts = batch.shares(2).map(|share| share.parts(9, Layout::Packed));
        let parts: Vec<(usize, usize)> = parts
            .flatten()
            .map(|(first, part)| (first, part.len()))
            .collect();
        assert_eq!(parts, [(0, 2), (2, 1), (3, 1), (4, 2)]);
    }
}
