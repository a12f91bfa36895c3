//! What Python's string methods do, where Rust's do otherwise.

/// Python's `str.isspace`: Unicode's white space and the four separators of ASCII.
pub(super) fn is_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// `strip`, `lstrip`, `rstrip`: which ends, and of what (white space without `chars`).
pub(super) fn strip<'a>(text: &'a str, chars: Option<&str>, left: bool, right: bool) -> &'a str {
    let strips =
        |letter: char| chars.map_or_else(|| is_space(letter), |chars| chars.contains(letter));
    let text = if left {
        text.trim_start_matches(strips)
    } else {
        text
    };
    if right {
        text.trim_end_matches(strips)
    } else {
        text
    }
}

/// `split` without a separator: words, at most `times` cuts, the rest with the white space behind it.
pub(super) fn words(text: &str, times: Option<usize>) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if times.is_some_and(|times| found.len() >= times) {
            found.push(rest);
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        found.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    found
}

/// `rsplit` without a separator.
pub(super) fn words_from_right(text: &str, times: Option<usize>) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_end_matches(is_space);
    while !rest.is_empty() {
        if times.is_some_and(|times| found.len() >= times) {
            found.push(rest);
            break;
        }
        let start = rest
            .char_indices()
            .rev()
            .find(|(_, letter)| is_space(*letter));
        let start = start.map_or(0, |(at, letter)| at + letter.len_utf8());
        found.push(&rest[start..]);
        rest = rest[..start].trim_end_matches(is_space);
    }
    found.reverse();
    found
}

/// `splitlines`.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let ends = |letter: char| matches!(letter, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let behind = &rest[at..];
        let len = match behind.chars().next() {
            _ if behind.starts_with("\r\n") => 2,
            letter => letter.map_or(1, char::len_utf8),
        };
        found.push(&rest[..if keep_ends { at + len } else { at }]);
        rest = &rest[at + len..];
    }
    if !rest.is_empty() {
        found.push(rest);
    }
    found
}

/// `capitalize`: the first letter in title case, the others in lower case.
pub(super) fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map_or_else(String::new, title_case);
    first + &letters.as_str().to_lowercase()
}

/// `title`: each first letter of a run of letters in title case, the others in lower case.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut within = false;
    for letter in text.chars() {
        if within {
            out.extend(letter.to_lowercase());
        } else {
            out += &title_case(letter);
        }
        within = is_cased(letter);
    }
    out
}

/// `swapcase`.
pub(super) fn swap_case(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_uppercase() {
            out.extend(letter.to_lowercase());
        } else {
            out.extend(letter.to_uppercase());
        }
    }
    out
}

fn is_cased(letter: char) -> bool {
    letter.is_lowercase() || letter.is_uppercase() || is_title_case(letter)
}

/// Digraphs in title case, which are neither upper nor lower.
fn is_title_case(letter: char) -> bool {
    matches!(letter, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ')
}

fn title_case(letter: char) -> String {
    let digraph = match letter {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        _ => {
            // `ß` is `SS` in upper case and `Ss` in title case.
            let mut upper = letter.to_uppercase();
            let first: String = upper.next().into_iter().collect();
            return first + &upper.flat_map(char::to_lowercase).collect::<String>();
        }
    };
    digraph.to_string()
}
