//! A file's tokens: texts, kinds and scores.

use std::borrow::Cow;

use indexmap::IndexMap;

use crate::model::gguf::error::GgufError;
use crate::model::gguf::file::Gguf;
use crate::model::gguf::value::{List, Value};

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
/// Bytes of one token at most (ours, as of a `tokenizer.json`): splitting one in all ways stays cheap.
const LONGEST: usize = 4096;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Normal,
    Unknown,
    /// Made by whoever writes a prompt, as the end of a text.
    Control,
    /// Found in a text before anything else is.
    Defined,
    Unused,
    /// Stands for a byte.
    Byte,
}

/// Tokens by id.
pub(super) struct Vocabulary<'a> {
    pub(super) tokens: Vec<Cow<'a, str>>,
    pub(super) kinds: Vec<Kind>,
    pub(super) scores: Option<&'a [f32]>,
    ids: IndexMap<&'a str, u32>,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn read(gguf: &'a Gguf) -> Result<Self, GgufError> {
        gguf.need(TOKENS, "a list of texts", |value| {
            value.as_texts().map(|_| ())
        })?;
        let Some(List::Text(texts)) = gguf.list(TOKENS) else {
            unreachable!("it was just looked at");
        };
        if texts.is_empty() || u32::try_from(texts.len()).is_err() {
            let found = format!("{} tokens", texts.len());
            return Err(gguf.wrong(TOKENS, found, "1 to 4294967295"));
        }
        let mut ids = IndexMap::with_capacity(texts.len());
        let mut tokens = Vec::with_capacity(texts.len());
        for (id, text) in (0..).zip(texts) {
            if text.len() > LONGEST {
                let found = format!("token {id} has {} bytes", text.len());
                return Err(gguf.wrong(TOKENS, found, format!("{LONGEST} at most")));
            }
            if text.is_empty() {
                // No text has it; llama.cpp calls it so too.
                tokens.push(Cow::from(format!("[EMPTY_{id}]")));
                continue;
            }
            if let Some(before) = ids.insert(&**text, id) {
                let found = format!("{text:?} is token {before} and token {id}");
                return Err(gguf.wrong(TOKENS, found, "each token once"));
            }
            tokens.push(Cow::from(&**text));
        }
        let as_many = |key: &str, count: usize| {
            if count == texts.len() {
                return Ok(());
            }
            let expected = format!("{}, one for each token", texts.len());
            Err(gguf.wrong(key, format!("a list of {count}"), expected))
        };
        let kinds = match gguf.metadata.get(TYPES) {
            None => vec![Kind::Normal; texts.len()],
            Some(Value::List(List::I32(types))) => {
                as_many(TYPES, types.len())?;
                types.iter().map(|kind| Kind::of(*kind)).collect()
            }
            Some(other) => return Err(gguf.wrong(TYPES, other.said(), "a list of I32")),
        };
        let scores = match gguf.metadata.get(SCORES) {
            None => None,
            Some(Value::List(List::F32(scores))) => {
                as_many(SCORES, scores.len())?;
                Some(scores.as_slice())
            }
            Some(other) => return Err(gguf.wrong(SCORES, other.said(), "a list of F32")),
        };
        Ok(Self {
            tokens,
            kinds,
            scores,
            ids,
        })
    }

    /// The id of a token.
    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// Whether it holds all tokens that stand for bytes.
    pub(super) fn has_bytes(&self) -> bool {
        (0..=255_u8).all(|byte| self.id(&format!("<0x{byte:02X}>")).is_some())
    }

    /// The token that the file names by `tokenizer.ggml.{name}_token_id`.
    pub(super) fn named(&self, gguf: &Gguf, name: &str) -> Result<Option<u32>, GgufError> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = gguf.count(&key)? else {
            return Ok(None);
        };
        let known = u32::try_from(id).ok();
        let known = known.filter(|id| (*id as usize) < self.tokens.len());
        if known.is_none() {
            let expected = format!("the id of one of {} tokens", self.tokens.len());
            return Err(gguf.wrong(&key, id.to_string(), expected));
        }
        Ok(known)
    }

    /// The same by ids, as the crate wants it.
    pub(super) fn by_text(&self) -> tokenizers::models::bpe::Vocab {
        let texts = self.tokens.iter();
        let texts = texts.map(ToString::to_string);
        texts.zip(0..).collect()
    }
}

impl Kind {
    /// ggml's numbers; another counts as normal, as with llama.cpp.
    fn of(number: i32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::Defined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}
