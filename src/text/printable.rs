//! Text from outside (questions, model output, ids, labels), as a terminal may be given it.

/// `text` with its control characters written out, so that it can set no colour, move no cursor and
/// reverse no line; lines after the first are indented by four blanks.
pub(crate) fn printable(text: &str) -> String {
    escaped(text).replace('\n', "\n    ")
}

/// The same with lines left where they begin: for messages that lay themselves out.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && (c.is_control() || reverses(c)) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same on one line, line breaks written out too: for words of others within a sentence.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text).replace('\n', "\\n")
}

/// Marks that turn the direction of what follows (Unicode 16, 23.2: embeddings, overrides, isolates).
fn reverses(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(
            printable("a\u{1b}[31mb\r\n\u{9b}c"),
            r"a\u{1b}[31mb\r
    \u{9b}c"
        );
        assert_eq!(printable("yes\u{202e}no\t\u{7f}"), r"yes\u{202e}no\t\u{7f}");
        assert_eq!(printable("Tür, 木, 'x' \"y\" \\"), "Tür, 木, 'x' \"y\" \\");
        assert_eq!(escaped("one\nhint: \u{7}two"), "one\nhint: \\u{7}two");
        assert_eq!(one_line("one\nhint: \u{7}two"), "one\\nhint: \\u{7}two");
    }
}
