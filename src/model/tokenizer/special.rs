//! Special tokens in a text of which some words are somebody's own.
//!
//! The `tokenizers` crate finds special tokens in all of a text or in none of it. Where somebody's words spell one, the text
//! is encoded with none found, and each special token that is meant is a letter of the private use area in it, which a
//! copy of the tokenizer knows as a token that strips and splits as the special one does. So it is still one text that is
//! encoded, with the beginning, the borders and the merges that it has.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use tokenizers::{AddedToken, Tokenizer};

use super::{PromptText, failed, guarded};
use crate::model::ModelError;
use crate::text::Filled;

/// Where private use begins; one letter for each special token.
const PRIVATE: u32 = 0xF_0000;

/// A tokenizer's special tokens.
#[derive(Clone, Debug)]
pub(super) struct Special {
    /// By id.
    tokens: Vec<(u32, AddedToken)>,
    /// The tokenizer that knows them as letters, once it is needed.
    lettered: OnceLock<Arc<Lettered>>,
}

/// A tokenizer that finds no special token but for letters that stand for them.
#[derive(Debug)]
struct Lettered {
    inner: Tokenizer,
    /// By special token, the id of its letter.
    ids: Vec<Option<u32>>,
}

/// A special token written out: its bytes, and its place among all.
type Spelled = (Range<usize>, usize);

impl Special {
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder().into_iter();
        let special = added.filter(|(_, token)| token.special && !token.content.is_empty());
        let mut tokens: Vec<_> = special.collect();
        tokens.sort_by_key(|(id, _)| *id);
        Self {
            tokens,
            lettered: OnceLock::new(),
        }
    }

    /// Token ids of a text, nothing added, and the byte at which each ends.
    pub(super) fn encode(
        &self,
        tokenizer: &Tokenizer,
        prompt: &PromptText,
    ) -> Result<(Vec<u32>, Vec<usize>), ModelError> {
        let text = prompt.text.as_str();
        let words = || {
            prompt
                .words
                .iter()
                .filter_map(|words| text.get(words.clone()))
        };
        if !words().any(|words| self.spelled(words).next().is_some()) {
            let encoding = guarded(None, || tokenizer.encode(text, false))?;
            let ends = encoding.get_offsets().iter().map(|(_, end)| *end).collect();
            return Ok((encoding.get_ids().to_vec(), ends));
        }
        let lettered = self.lettered(tokenizer)?;
        if self.has_letters(text) {
            return Err(taken());
        }
        let is_word = |bytes: &Range<usize>| {
            let mut words = prompt.words.iter();
            words.any(|words| bytes.start < words.end && words.start < bytes.end)
        };
        let meant: Vec<Spelled> = (self.spelled(text))
            .filter(|(bytes, _)| !is_word(bytes))
            .collect();
        let mut letters = String::with_capacity(text.len());
        let mut from = 0;
        for (bytes, place) in &meant {
            letters += &text[from..bytes.start];
            letters.extend(letter(*place));
            from = bytes.end;
        }
        letters += &text[from..];
        let encoding = guarded(None, || lettered.inner.encode(letters.as_str(), false))?;
        let real = |id: &u32| {
            let place = lettered.ids.iter().position(|letter| *letter == Some(*id));
            place.map_or(*id, |place| self.tokens[place].0)
        };
        let ids = encoding.get_ids().iter().map(real).collect();
        // Each letter stands for a token of another length.
        let written = |end: usize| {
            let (mut letters, mut tokens) = (0, 0);
            for (bytes, place) in &meant {
                let width = letter(*place).map_or(0, char::len_utf8);
                if bytes.start + letters + width > end + tokens {
                    break;
                }
                letters += width;
                tokens += bytes.len();
            }
            end + tokens - letters
        };
        let ends = encoding.get_offsets().iter().map(|(_, end)| written(*end));
        Ok((ids, ends.collect()))
    }

    /// `texts` with letters for the special tokens that their own words spell; `None` where they spell none.
    pub(super) fn shielded(&self, texts: &[&Filled]) -> Result<Option<Vec<String>>, ModelError> {
        let is_spelled = |text: &&Filled| {
            let mut words = text.own.iter().map(|words| &text.text[words.clone()]);
            words.any(|words| self.spelled(words).next().is_some())
        };
        if !texts.iter().any(is_spelled) {
            return Ok(None);
        }
        if texts.iter().any(|text| self.has_letters(&text.text)) {
            return Err(taken());
        }
        Ok(Some(texts.iter().map(|text| self.shield(text)).collect()))
    }

    fn shield(&self, text: &Filled) -> String {
        let mut shielded = String::with_capacity(text.text.len());
        let mut from = 0;
        for words in &text.own {
            for (bytes, place) in self.spelled(&text.text[words.clone()]) {
                shielded += &text.text[from..words.start + bytes.start];
                shielded.extend(letter(place));
                from = words.start + bytes.end;
            }
        }
        shielded + &text.text[from..]
    }

    /// Whether a text has one of the letters.
    fn has_letters(&self, text: &str) -> bool {
        text.chars().any(|letter| self.place(letter).is_some())
    }

    /// The place of the special token that a letter stands for.
    fn place(&self, letter: char) -> Option<usize> {
        let place = u32::from(letter).checked_sub(PRIVATE)? as usize;
        (place < self.tokens.len()).then_some(place)
    }

    /// The text that was shielded, in which the letters are words; `places` in it go along.
    pub(super) fn unshielded(&self, shielded: &str, places: &mut [usize]) -> PromptText {
        let mut text = PromptText::default();
        let before = places.to_vec();
        for (at, letter) in shielded.char_indices() {
            let Some(place) = self.place(letter) else {
                text.text.push(letter);
                continue;
            };
            let content = &self.tokens[place].1.content;
            let start = text.text.len();
            text.text += content;
            text.words.push(start..text.text.len());
            for (place, before) in places.iter_mut().zip(&before) {
                if *before > at {
                    *place = *place + content.len() - letter.len_utf8();
                }
            }
        }
        text
    }

    /// The special tokens that `text` spells, from the left, of two at one place the longer.
    fn spelled<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Spelled> + 't {
        let mut from = 0;
        std::iter::from_fn(move || {
            while let Some(first) = text[from..].chars().next() {
                let rest = &text[from..];
                let here = self.tokens.iter().enumerate().filter(|(_, (_, token))| {
                    // Most texts have few of the letters that special tokens begin with.
                    token.content.starts_with(first) && rest.starts_with(&token.content)
                });
                let longest = here.max_by_key(|(_, (_, token))| token.content.len());
                if let Some((place, (_, token))) = longest {
                    let bytes = from..from + token.content.len();
                    from = bytes.end;
                    return Some((bytes, place));
                }
                from += first.len_utf8();
            }
            None
        })
    }

    fn lettered(&self, tokenizer: &Tokenizer) -> Result<Arc<Lettered>, ModelError> {
        if let Some(made) = self.lettered.get() {
            return Ok(Arc::clone(made));
        }
        let mut inner = tokenizer.clone();
        let letters = (0..self.tokens.len()).map(|place| letter(place).map(String::from));
        let letters: Vec<Option<String>> = letters.collect();
        let added = (letters.iter().zip(&self.tokens)).filter_map(|(letter, (_, token))| {
            let content = letter.clone()?;
            Some(AddedToken {
                content,
                special: false,
                ..token.clone()
            })
        });
        let added: Vec<AddedToken> = added.collect();
        let known = |letter: &Option<String>| tokenizer.token_to_id(letter.as_ref()?);
        if letters.iter().find_map(known).is_some() {
            return Err(taken());
        }
        // The tokenizer's normaliser reads them.
        guarded(None, || {
            inner.add_tokens(&added);
            inner.set_encode_special_tokens(true);
            Ok(())
        })?;
        let ids = letters
            .iter()
            .map(|letter| inner.token_to_id(letter.as_ref()?))
            .collect();
        let made = Arc::new(Lettered { inner, ids });
        Ok(Arc::clone(self.lettered.get_or_init(|| made)))
    }
}

/// The letters that are to stand for special tokens stand for something else already.
fn taken() -> ModelError {
    let reason = "a text spells special tokens, and has letters of a private use plane beside them, by which they would be told apart\nhint: take one or the other out of the data";
    failed(None)(reason.into())
}

/// The letter that stands for the special token at `place`.
fn letter(place: usize) -> Option<char> {
    char::from_u32(PRIVATE + u32::try_from(place).ok()?)
}
