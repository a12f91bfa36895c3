//! A short piece of a text, to be shown in a message.

/// Letters of an excerpt.
const LETTERS: usize = 120;

/// Which piece of a text to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Excerpt {
    /// How it begins.
    Head,
    /// How it ends, where an answer as a rule stands.
    End,
}

/// `text` in quotes, on one line, cut to 120 letters.
pub fn excerpt(text: &str, which: Excerpt) -> String {
    let text = text.trim();
    let cut = match which {
        Excerpt::Head => text.char_indices().nth(LETTERS).map(|(at, _)| &text[..at]),
        Excerpt::End => text
            .char_indices()
            .rev()
            .nth(LETTERS - 1)
            .map(|(at, _)| &text[at..]),
    };
    match (cut.filter(|cut| cut.len() < text.len()), which) {
        (None, _) => format!("{text:?}"),
        (Some(cut), Excerpt::Head) => format!("{cut:?}..."),
        (Some(cut), Excerpt::End) => format!("...{cut:?}"),
    }
}

/// `text` as it is, but for what is behind so many letters.
pub(crate) fn cut(mut text: String, letters: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(letters) {
        text.truncate(at);
        text += "...";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_behind_so_many_letters() {
        let two = "\u{e9}\u{e9}".to_owned();
        assert_eq!(cut(two.clone(), 2), two);
        assert_eq!(cut(two, 1), "\u{e9}...");
    }

    #[test]
    fn long_texts_are_cut_where_the_letters_are() {
        assert_eq!(excerpt(" a\nb ", Excerpt::End), "\"a\\nb\"");
        let exact = "\u{e9}".repeat(120);
        assert_eq!(excerpt(&exact, Excerpt::End), format!("{exact:?}"));
        let long = format!("{exact}x");
        assert_eq!(excerpt(&long, Excerpt::Head), format!("{exact:?}..."));
        let end = format!("{}x", "\u{e9}".repeat(119));
        assert_eq!(excerpt(&long, Excerpt::End), format!("...{end:?}"));
    }
}
