//! A prompt's text, and whose words it is made of.
//!
//! A template writes special tokens out (`<|im_start|>`), and they are meant; a question that spells one is a question, and
//! a model that read the token would read the end of a turn there. So a text says which of its bytes are somebody's words:
//! what these spell stays text.

use std::ops::Range;

use super::StudentTokenizer;
use crate::model::ModelError;
use crate::text::Filled;

/// A prompt's text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PromptText {
    /// The text, special tokens written out.
    pub text: String,
    /// Bytes in which a special token written out is no token, in their order.
    pub words: Vec<Range<usize>>,
    /// Whether the text begins as it is to begin, as a chat template's does: what the tokenizer puts before every text is
    /// then not put before it. Nor is it where the text begins with that, written out.
    pub begun: bool,
    /// Whether what follows comes without a blank, as it does behind the opening of a chat's turn.
    pub tight: bool,
}

/// A text in which what spells a special token is that token.
impl From<&str> for PromptText {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

impl PromptText {
    /// `text` as it follows the prompt: texts are written with a leading blank (paper, II), which falls away behind a line
    /// break or another blank, and in a chat where its template puts none.
    pub fn led<'t>(&self, text: &'t str) -> &'t str {
        if self.tight || self.text.ends_with(char::is_whitespace) {
            text.trim_start_matches(' ')
        } else {
            text
        }
    }

    /// A text that is made of a template's and of others' words.
    pub fn of(filled: Filled) -> Self {
        Self {
            text: filled.text,
            words: filled.own,
            ..Self::default()
        }
    }
}

impl StudentTokenizer {
    /// Token ids of a prompt, after what the tokenizer puts before every text.
    ///
    /// # Errors
    /// As of [`StudentTokenizer::encode`].
    pub fn encode_prompt(&self, prompt: &PromptText) -> Result<Vec<u32>, ModelError> {
        Ok(self.encode_ends(prompt)?.0)
    }

    /// The same, and for each token of the text the byte at which it ends; the tokenizer's own beginning has none.
    pub(super) fn encode_ends(
        &self,
        prompt: &PromptText,
    ) -> Result<(Vec<u32>, Vec<usize>), ModelError> {
        let (ids, ends) = self.special.encode(&self.inner, prompt)?;
        let begun = prompt.begun || self.begins(prompt);
        let prefix = if begun { &[][..] } else { &self.prefix };
        Ok(([prefix, &ids].concat(), ends))
    }

    /// What `make` makes of `texts`, with some places in it: it sees them with letters in place of the special tokens that
    /// their own words spell, so that whatever it does to them these are known again.
    ///
    /// # Errors
    /// `make` fails, or a text has such letters.
    pub(in crate::model) fn shielding<E: From<ModelError>>(
        &self,
        texts: &[&Filled],
        make: impl FnOnce(Vec<String>) -> Result<(String, Vec<usize>), E>,
    ) -> Result<(PromptText, Vec<usize>), E> {
        let special = &self.special;
        let Some(shielded) = special.shielded(texts)? else {
            let plain = texts.iter().map(|text| text.text.clone()).collect();
            let (text, places) = make(plain)?;
            return Ok((text.as_str().into(), places));
        };
        let (text, mut places) = make(shielded)?;
        Ok((special.unshielded(&text, &mut places), places))
    }

    /// Whether a text begins with what the tokenizer puts before every text, written out, and not by somebody's words.
    fn begins(&self, prompt: &PromptText) -> bool {
        let written: Option<Vec<String>> = self
            .prefix
            .iter()
            .map(|id| self.special_token(*id))
            .collect();
        let Some(written) = written.map(|tokens| tokens.concat()) else {
            return false;
        };
        let words = prompt.words.first().map_or(usize::MAX, |words| words.start);
        !written.is_empty() && prompt.text.starts_with(&written) && words >= written.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{edited, template};
    use super::*;

    fn words(text: &str, words: &str) -> PromptText {
        let start = text.find(words).unwrap();
        PromptText {
            words: std::iter::once(start..start + words.len()).collect(),
            ..text.into()
        }
    }

    #[test]
    fn a_special_token_is_one_only_where_the_template_writes_it() {
        let texts = (0..300).map(|index| format!("is {index} even? <|endoftext|> is text"));
        let tokenizer = StudentTokenizer::train(texts, 300).unwrap();
        let end = tokenizer.eos_id();
        let asked = "Is <|endoftext|> odd?";
        let whole = format!("<|endoftext|>{asked}<|endoftext|>\n");
        let ids = tokenizer.encode_prompt(&words(&whole, asked)).unwrap();
        let places: Vec<usize> = (0..ids.len()).filter(|&at| ids[at] == end).collect();
        assert_eq!(places.len(), 2, "{ids:?}");
        assert_eq!(places[0], 0);
        assert_eq!(tokenizer.decode(&ids).unwrap(), whole);
        // The letters of the spelled token, as any text has them.
        let spelled = &ids[1..places[1]];
        let mut apart = tokenizer.encode("Is ").unwrap();
        apart.extend(
            tokenizer
                .encode_prompt(&words("<|endoftext|>", "<|endoftext|>"))
                .unwrap(),
        );
        apart.extend(tokenizer.encode(" odd?").unwrap());
        assert_eq!(tokenizer.decode(spelled).unwrap(), asked);
        assert!(!apart.contains(&end));
        // Where nobody spells one, nothing changes.
        for text in ["a cat", "<|endoftext|>a cat", "Question: is it?\n\nAnswer:"] {
            let plain = tokenizer.encode(text).unwrap();
            let own = text.find("at").unwrap_or(0)..text.len();
            for words in [None, Some(own)].map(Vec::from_iter) {
                let prompt = PromptText {
                    words,
                    ..text.into()
                };
                assert_eq!(tokenizer.encode_prompt(&prompt).unwrap(), plain, "{text}");
            }
        }
    }

    #[test]
    fn ends_are_those_of_the_text_as_it_is_written() {
        let texts = (0..300).map(|index| format!("is {index} even? is text"));
        let tokenizer = StudentTokenizer::train(texts, 300).unwrap();
        let asked = "é <|endoftext|> 🙂";
        let whole = format!("<|endoftext|><|endoftext|>{asked}<|endoftext|> even");
        let (ids, ends) = tokenizer.encode_ends(&words(&whole, asked)).unwrap();
        assert_eq!(ids.len(), ends.len());
        for (place, end) in ends.iter().enumerate() {
            if whole.is_char_boundary(*end) && ends.get(place + 1).is_none_or(|next| next > end) {
                let text = tokenizer.decode(&ids[..=place]).unwrap();
                assert_eq!(text, whole[..*end], "{place}");
            }
        }
        assert_eq!(ends.last(), Some(&whole.len()));
    }

    #[test]
    fn a_text_has_one_beginning() {
        let end = "<|endoftext|>";
        let folder = edited(|own, _| own["post_processor"] = template(&[end], &[]));
        let tokenizer = StudentTokenizer::load(folder.path(), None).unwrap();
        let encode = |prompt: &PromptText| tokenizer.encode_prompt(prompt).unwrap();
        let begun = encode(&"a cat".into());
        assert_eq!(begun[..1], [0]);
        assert_eq!(encode(&"<|endoftext|>a cat".into()), begun);
        let chat = PromptText {
            begun: true,
            ..PromptText::from("a cat")
        };
        assert_eq!(encode(&chat), begun[1..]);
        // Words that spell it are no beginning.
        let spelled = encode(&words("<|endoftext|>a cat", end));
        assert_eq!(spelled[0], 0);
        assert!(!spelled[1..].contains(&0) && spelled.len() > begun.len());
    }
}
