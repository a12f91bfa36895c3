//! Where a text imitates its prompt: `Question: ... Answer:` (paper, III-A).
//!
//! The rules stand here and not in `filter`, because the sampling engine stops early by them.

use std::sync::LazyLock;

use regex::Regex;

/// A question's mark: `Question:`, `Question 2:`, `Q:`; a capital first, nothing joined on its left.
const QUESTION: &str = r"(?:^|[^0-9A-Za-z])(?:Question(?:\s*#?\d+)?|Q\d*)\s?:";

static ASKED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(QUESTION).expect("a fixed, tested pattern"));

// No end anchor and nothing that looks to the right of the last colon: a match in a text is a match
// in every longer text, so `imitative_complete` can never turn false again.
static COMPLETE: LazyLock<Regex> = LazyLock::new(|| {
    let long =
        r"(?:^|[^0-9A-Za-z])Question(?:\s*#?\d+)?\s?:(?s:.*?)[^0-9A-Za-z]Answer(?:\s*#?\d+)?\s?:";
    let short = r"(?:^|[^0-9A-Za-z])Q\d*\s?:(?s:.*?)[^0-9A-Za-z]A\d*\s?:";
    Regex::new(&format!("{long}|{short}")).expect("a fixed, tested pattern")
});

/// Whether the imitative pattern is complete: a question's mark and, after it, the mark of its
/// answer (`Question:` with `Answer:`, `Q:` with `A:`; case-sensitive, so that prose on "the
/// question: ..." is none). `Answer choices:` is no answer's mark.
///
/// Monotone: once true for a text it is true for every text that begins with it. The engine may
/// therefore stop there, and the filter drops the same paths either way.
pub fn imitative_complete(text: &str) -> bool {
    COMPLETE.is_match(text)
}

/// The byte at which a text first asks a question again (its mark `Question:` or `Q:`), whether or
/// not an answer's mark follows.
pub fn asked_again(text: &str) -> Option<usize> {
    let found = ASKED.find(text)?;
    let inside = found.as_str().find('Q').unwrap_or(0);
    Some(found.start() + inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_found_in_its_spellings() {
        for text in [
            " No\nQuestion: Is tin a metal? Answer:",
            "Question: x Answer choices: (A) y.\nAnswer: (A)",
            "Q: Is tin a metal?\nA: yes",
            "Question 2: Why? Answer 2: So.",
        ] {
            assert!(imitative_complete(text), "{text}");
        }
        for text in [
            "Question: x Answer choices: (A) y, (B) z.",
            "He put the question: who? The answer: a bear.",
            "Answer: yes. Question: why?",
            "Vitamin A: good",
            "",
        ] {
            assert!(!imitative_complete(text), "{text}");
        }
    }

    #[test]
    fn once_complete_stays_complete() {
        let texts = [
            "Yes\n\nQuestion : Is é a letter?\nAnswer choices: (A) a.\nAnswer: (A) Question: Q: b A:",
            "Q1: x\nQuestion: Answer A: y Answer: z",
        ];
        for text in texts {
            let mut before = false;
            for (end, _) in text.char_indices().chain([(text.len(), ' ')]) {
                let now = imitative_complete(&text[..end]);
                assert!(now || !before, "turned false at {:?}", &text[..end]);
                before = now;
            }
            assert!(before);
        }
    }

    #[test]
    fn the_mark_itself_is_pointed_at() {
        assert_eq!(asked_again(" No.\nQuestion: why"), Some(5));
        assert_eq!(asked_again("Question: why"), Some(0));
        assert_eq!(asked_again("IQ: 100, no question: here"), None);
    }
}
