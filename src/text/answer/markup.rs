//! Output as plain text: markdown, LaTeX and tags off, Unicode in NFKC, and the marks of an answer as single letters.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::{UnicodeNormalization, is_nfkc};

use super::latex::{BOX, BOX_END, boxes, latex};
use crate::text::number::is_unspaced;

/// `####`, `GSM8K`'s mark.
pub(super) const HASHES: char = '\u{e002}';

static CALCULATED: LazyLock<Regex> = LazyLock::new(|| pattern(r"<<[^<>\n]*>>"));
static ANSWER_TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)<\s*(/?)\s*(?:final[_ -]?)?answer\s*>"));
static LINE_BREAK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)<\s*br\s*/?\s*>"));
/// Colours and other control sequences of a terminal (ECMA-48).
static CONTROL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\x1b\[[0-?]*[ -/]*[@-~]"));
/// Tags of markup, and tokens of a model's own, as `<|endoftext|>`.
static TAG: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)<\|[a-z_]{1,40}\|>|</?(?:b|strong|i|em|u|p|div|span|code|sub|h[1-6]|li|ul|ol|mark|tt|center)(?:\s[^<>\n]*)?/?>",
    )
});
static HASH_MARK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[^#])####([^#]|$)"));
static HEADING: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^[ \t]*#{1,6}[ \t]+"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a fixed, tested pattern")
}

/// `text` as plain text.
pub(super) fn plain(text: &str) -> String {
    composed(&without(text, latex))
}

/// `text` with the marks of an answer as single letters and without markdown and tags; LaTeX and Unicode as they are.
pub(super) fn marked(text: &str) -> String {
    without(text, boxes)
}

/// `text` in NFKC, but for exponents and fractions, which stay apart from the number before them.
pub(crate) fn composed(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let raised = raised(text);
    if is_nfkc(&raised) {
        raised
    } else {
        raised.nfkc().collect()
    }
}

/// `text` without markup, its LaTeX as `latex` makes it.
fn without(text: &str, latex: fn(&str) -> String) -> String {
    let mut text = Cow::Borrowed(text);
    let mut change = |holds: &dyn Fn(&str) -> bool, to: &dyn Fn(&str) -> String| {
        if holds(&text) {
            text = Cow::Owned(to(&text));
        }
    };
    change(&|t| t.contains('\x1b'), &|t| {
        CONTROL.replace_all(t, "").into_owned()
    });
    // Before our marks go in, so that none of them is what a model wrote.
    change(&|t| t.contains(is_unseen), &|t| {
        t.chars().filter(|c| !is_unseen(*c)).collect()
    });
    change(&|t| t.contains("<<"), &|t| {
        CALCULATED.replace_all(t, "").into_owned()
    });
    change(&|t| t.contains(['\\', '{']), &latex);
    change(&|t| t.contains('<'), &tags);
    change(&|t| t.contains('#'), &|t| {
        let hashes = HASH_MARK.replace_all(t, format!("${{1}}{HASHES}${{2}}"));
        HEADING.replace_all(&hashes, "").into_owned()
    });
    change(&|t| t.contains('*'), &emphasis);
    change(&|t| t.contains('`'), &|t| t.replace('`', ""));
    text.into_owned()
}

/// What no reader sees: zero-width and direction marks; and the letters that stand for our marks.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'
            ..='\u{202e}' | '\u{2060}' | '\u{feff}'
    ) || matches!(c, BOX | BOX_END | HASHES)
}

fn tags(text: &str) -> String {
    // A tag that is never closed (its end was a stop sequence) is a mark that the rest of the text follows.
    let closed = text.rfind("</").unwrap_or(0);
    let marked = ANSWER_TAG.replace_all(text, |found: &regex::Captures<'_>| {
        match (&found[1], found.get_match().end() <= closed) {
            ("", true) => BOX.to_string(),
            ("", false) => "\nAnswer: ".to_owned(),
            _ => BOX_END.to_string(),
        }
    });
    let broken = LINE_BREAK.replace_all(&marked, "\n");
    TAG.replace_all(&broken, "").into_owned()
}

/// Takes `*`, `**` and `***` away that stand in pairs around words; a sign of multiplication, and `*args`, stay.
fn emphasis(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    // Where in `kept` a run of stars opened, and how many.
    let mut open: Option<(usize, usize)> = None;
    let mut rest = text;
    while let Some(at) = rest.find(['*', '\n']) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix('\n') {
            (open, rest) = (None, behind);
            kept.push('\n');
            continue;
        }
        let stars = rest.len() - rest.trim_start_matches('*').len();
        let behind = &rest[stars..];
        let before = kept.chars().next_back();
        let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_unspaced(c));
        let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let next = behind.chars().next();
        match open {
            Some((from, many)) if many == stars && !blank(before) && !joins(next) => {
                kept.drain(from..from + many);
                open = None;
            }
            _ => {
                if stars <= 3 && !joins(before) && !blank(next) {
                    open = Some((kept.len(), stars));
                }
                kept.push_str(&rest[..stars]);
            }
        }
        rest = behind;
    }
    kept.push_str(rest);
    kept
}

/// Keeps what NFKC would join: `1½` becomes `1 ½`, `10²` becomes `10^2`.
fn raised(text: &str) -> String {
    let mut kept = String::with_capacity(text.len() + 4);
    let mut up = false;
    for c in text.chars() {
        let before = kept.chars().next_back();
        let is_up = matches!(c, '\u{b2}' | '\u{b3}' | '\u{b9}' | '\u{2070}'..='\u{207b}');
        if is_up && !up && before.is_some_and(|c| c.is_alphanumeric() || c == ')') {
            kept.push('^');
        }
        up = is_up;
        if matches!(c, '\u{bc}'..='\u{be}' | '\u{2150}'..='\u{215e}' | '\u{2189}')
            && before.is_some_and(char::is_numeric)
        {
            kept.push(' ');
        }
        kept.push(c);
    }
    kept
}
