//! Where a sentence ends: not at an abbreviation's full stop, not within a number.

use crate::text::word_list::is_listed;

/// Abbreviations that have a vowel; those without one (`Mr.`, `St.`, `Ltd.`) are known by that.
const ABBREVIATIONS: &str = "prof gen col capt rev hon gov sen rep pres adm maj messrs mme mlle ste supt insp det inc co corp \
    bros ave univ dept assn govt etc vs approx est ca al cf eg ie viz esq jun hrs mins secs min max \
    avg ed eds op illus trans";
/// Abbreviations only before a number: `No. 5`, `Dec. 24`.
const BEFORE_NUMBERS: &str =
    "no nos vol fig pp ch art sec pt eq jan feb mar apr aug sept sep oct nov dec mon tue rs lot";

/// The first sentence of `text` that has a letter or digit, and what stands behind its end. Blank lines before it go.
pub(super) fn first(text: &str) -> (&str, &str) {
    let start = text.find(char::is_alphanumeric).unwrap_or(text.len());
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let text = &text[line..];
    let mut chars = text
        .char_indices()
        .skip_while(|(at, _)| line + at < start)
        .peekable();
    while let Some((at, c)) = chars.next() {
        if c == '.' && text[at..].starts_with("..") {
            // Dots that go on: `0.333...` is no third yet.
            let len = text[at..].len() - text[at..].trim_start_matches('.').len();
            while chars.peek().is_some_and(|(next, _)| *next < at + len) {
                chars.next();
            }
            if chars.peek().is_none_or(|(_, c)| c.is_whitespace()) {
                return (&text[..at + len], &text[at + len..]);
            }
            continue;
        }
        let next = chars.peek().map(|(_, c)| *c);
        let ends = match c {
            '\n' | '\u{3002}' | '\u{964}' => true,
            '!' | '?' => next.is_none_or(is_behind),
            '.' => next.is_none_or(is_behind) && !is_abbreviation(&text[..at], &text[at + 1..]),
            _ => false,
        };
        if ends {
            return (&text[..at], &text[at..]);
        }
    }
    (text, "")
}

/// What may stand behind the mark that ends a sentence.
fn is_behind(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '"' | '\'' | ')' | ']' | '*' | '_' | '\u{201d}' | '\u{2019}' | '<'
        )
}

/// Whether the word before a full stop is shortened, so that the stop ends no sentence. With nothing behind it, it ends.
fn is_abbreviation(before: &str, behind: &str) -> bool {
    let behind = behind.trim_start();
    if behind.is_empty() {
        return false;
    }
    let from = before
        .rfind(|c: char| !(c.is_alphanumeric() || c == '.'))
        .map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
    let word = before[from..].to_lowercase();
    let letters = word.chars().count();
    if word.is_empty() || word.chars().any(char::is_numeric) {
        return false;
    }
    let vowels = word.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    // `TV.` ends a sentence, and so does `Hmm.`
    let acronym = letters > 1 && before[from..].chars().all(char::is_uppercase);
    let spelled = word.is_ascii() && !vowels && !acronym && !matches!(word.as_str(), "hm" | "hmm");
    letters == 1
        || word.contains('.')
        || spelled
        || is_listed(ABBREVIATIONS, &word)
        || (is_listed(BEFORE_NUMBERS, &word) && behind.starts_with(|c: char| c.is_numeric()))
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for (text, sentence) in [
            ("Paris. It lies on the Seine.", "Paris"),
            ("Mr. Smith. He left.", "Mr. Smith"),
            ("J. R. R. Tolkien! He wrote.", "J. R. R. Tolkien"),
            ("the U.S. Army", "the U.S. Army"),
            ("No. 5 is alive. It is.", "No. 5 is alive"),
            ("No. It is dead.", "No"),
            ("1.5. And more", "1.5"),
            ("\n\n  Paris\nand so on", "  Paris"),
            ("\u{8702}\u{5de2}\u{3002}\u{5bf9}", "\u{8702}\u{5de2}"),
            ("It is on TV. Watch", "It is on TV"),
            ("Well... Paris", "Well..."),
            ("", ""),
        ] {
            assert_eq!(first(text).0, sentence, "{text}");
        }
    }
}
