//! Tokens by their brackets: what stands inside, and what is parted outside of all.

use super::glyph;
use super::token::{Token, What};

/// How many brackets are open behind each token; `None` where more are closed than were opened, or some stay open.
/// `(` may close with `]`, as intervals do.
fn depths(tokens: &[Token]) -> Option<Vec<usize>> {
    let mut depth = 0_usize;
    let mut found = Vec::with_capacity(tokens.len());
    for token in tokens {
        match &token.what {
            What::Sign(c) if glyph::closer(*c).is_some() => depth += 1,
            What::Sign(c) if glyph::is_closer(*c) => depth = depth.checked_sub(1)?,
            What::Begin(_) => depth += 1,
            What::End(_) => depth = depth.checked_sub(1)?,
            _ => {}
        }
        found.push(depth);
    }
    (depth == 0).then_some(found)
}

/// What stands between the first and the last token, where those are one pair of brackets around all others.
pub(super) fn inside(tokens: &[Token]) -> Option<(char, char, &[Token])> {
    let (Some(What::Sign(open)), Some(What::Sign(close))) = (
        tokens.first().map(|token| &token.what),
        tokens.last().map(|token| &token.what),
    ) else {
        return None;
    };
    let depths = depths(tokens)?;
    let whole = depths.iter().position(|depth| *depth == 0) == Some(tokens.len() - 1);
    (glyph::closer(*open).is_some() && glyph::is_closer(*close) && whole)
        .then(|| (*open, *close, &tokens[1..tokens.len() - 1]))
}

/// `tokens` between those outside of all brackets that `parts`, and these; one part where nothing does.
pub(super) fn split(
    tokens: &[Token],
    parts: impl Fn(&What) -> bool,
) -> (Vec<&[Token]>, Vec<&What>) {
    let Some(depths) = depths(tokens) else {
        return (vec![tokens], Vec::new());
    };
    let (mut found, mut between) = (Vec::new(), Vec::new());
    let mut start = 0;
    for (at, token) in tokens.iter().enumerate() {
        if depths[at] == 0 && parts(&token.what) {
            found.push(&tokens[start..at]);
            between.push(&token.what);
            start = at + 1;
        }
    }
    found.push(&tokens[start..]);
    (found, between)
}

/// The place of the first token outside of all brackets, behind the first, of which `test` holds.
pub(super) fn first(tokens: &[Token], test: impl Fn(usize, &Token) -> bool) -> Option<usize> {
    let depths = depths(tokens)?;
    (1..tokens.len()).find(|&at| depths[at] == 0 && test(at, &tokens[at]))
}
