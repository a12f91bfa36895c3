//! Roots in signs of Unicode, with their degree raised before them: `³√8`, `∛8`.

use std::borrow::Cow;

/// `text` with the degrees of its roots as LaTeX has them. Behind a number, a letter or a bracket what is raised may be a
/// power as well: `2³√8` is not read.
pub(super) fn radicals(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{221a}', '\u{221b}', '\u{221c}']) {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    // What is raised just before.
    let mut raised = String::new();
    for c in text.chars() {
        if digit(c).is_some() {
            raised.push(c);
            continue;
        }
        let degree: String = match c {
            '\u{221a}' => raised.chars().filter_map(digit).collect(),
            '\u{221b}' => "3".to_owned(),
            '\u{221c}' => "4".to_owned(),
            _ => String::new(),
        };
        if degree.is_empty() {
            kept.push_str(&raised);
            kept.push(c);
        } else {
            let before = kept.chars().next_back();
            let power = before.is_some_and(|c| {
                c.is_alphanumeric()
                    || matches!(c, ')' | '}' | ']' | '|' | '!' | '\u{207a}'..='\u{207f}')
            });
            let twice = c != '\u{221a}' && !raised.is_empty();
            if twice || (power && !raised.is_empty()) {
                kept.push('\u{fffd}');
            }
            kept.push_str("\\sqrt[");
            kept.push_str(&degree);
            kept.push(']');
        }
        raised.clear();
    }
    kept.push_str(&raised);
    Cow::Owned(kept)
}

/// The digit that `c` is, raised.
fn digit(c: char) -> Option<char> {
    match c {
        '\u{b9}' => Some('1'),
        '\u{b2}' => Some('2'),
        '\u{b3}' => Some('3'),
        '\u{2070}' | '\u{2074}'..='\u{2079}' => char::from_digit(u32::from(c) - 0x2070, 10),
        _ => None,
    }
}
