//! Texts compared as a reader compares them: whatever the Unicode form, the case and the blanks.

use unicode_normalization::UnicodeNormalization;

/// `text` in the form in which equal texts are equal bytes: NFKC (composed and decomposed letters, full-width and
/// compatibility forms), full case folding (`ß` is `ss`, a dotted capital `İ` is `i`), white space at both ends cut and
/// joined to one blank inside. Punctuation stays.
pub fn fold(text: &str) -> String {
    let cased: String = text
        .nfkc()
        // Upper case first, since only then do `ß` and `ss`, `ς` and `σ` meet.
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect();
    // `İ` in lower case is an `i` with a dot above it.
    let cased = cased.replace("i\u{307}", "i");
    let words: Vec<&str> = cased.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn what_readers_take_for_one_text_is_one_text() {
        for (one, other) in [
            ("Zürich", "ZU\u{308}RICH"),
            ("straße", "STRASSE"),
            ("İstanbul", "istanbul"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("ﬁn", "FIN"),
            ("ＡＢＣ１２", "abc12"),
            (" Do  owls\n\u{a0}swim? ", "do owls swim?"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} and {other}");
        }
        for (one, other) in [
            ("café", "cafe"),
            ("C++", "C#"),
            ("-5", "5"),
            ("Mr. Fox", "Mr Fox"),
        ] {
            assert_ne!(fold(one), fold(other), "{one} and {other}");
        }
    }
}
