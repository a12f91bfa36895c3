//! `SentencePiece`'s BPE, as of Llama 2, Mistral and Gemma: pieces with scores, spaces written `▁`, and bytes for what no piece has.
//!
//! `SentencePiece` joins the two neighbours whose piece scores highest, the first such of a text. The crate wants merges in order: every
//! way to cut a piece into two pieces, the highest score first.

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;

use super::Parts;
use super::vocabulary::{Kind, Vocabulary};
use crate::model::gguf::error::{Fault, GgufError};
use crate::model::gguf::file::Gguf;

/// Bytes of a piece at most that is cut (ours): `SentencePiece`'s own limit is some 16 letters, Gemma's longest has 48 bytes.
const LONGEST: usize = 512;
/// Bytes of all cuts at most (ours): Gemma's have some 6 MB, and a made-up vocabulary could have hundreds of times its size.
const MOST_CUT: usize = 256 << 20;
/// Llama's special tokens, which a file may leave out (llama.cpp's).
const BOS: u32 = 1;
const EOS: u32 = 2;
const UNKNOWN: u32 = 0;

pub(super) fn parts(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<Parts, GgufError> {
    let merges = merges(gguf, vocabulary)?;
    let usual = |id: u32| Some(id).filter(|id| (*id as usize) < vocabulary.tokens.len());
    let named = |name: &str, id| Ok::<_, GgufError>(vocabulary.named(gguf, name)?.or(usual(id)));
    let mut model = BPE::builder()
        .vocab_and_merges(vocabulary.by_text(), merges)
        .fuse_unk(true)
        .byte_fallback(vocabulary.has_bytes());
    if let Some(id) = named("unknown", UNKNOWN)? {
        model = model.unk_token(vocabulary.tokens[id as usize].to_string());
    }
    let model = model.build().map_err(|error| {
        Fault::damaged("the tokenizer", error.to_string(), "pieces of its tokens").at(gguf.path())
    })?;
    let spaced = gguf
        .truth("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let escape = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let normalizer = if spaced {
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, escape]})
    } else {
        escape
    };
    let mut back = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if spaced {
        back.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    let begins = gguf.truth("tokenizer.ggml.add_bos_token")?.unwrap_or(true);
    let ends = gguf.truth("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    Ok(Parts {
        model,
        normalizer,
        pre_tokenizer: Value::Null,
        decoder: json!({"type": "Sequence", "decoders": back}),
        // As with SentencePiece, for which a `▁` is a space. Not where a text gets a space: the crate would give each of them one.
        normalized: !spaced,
        begin: if begins { named("bos", BOS)? } else { None },
        end: if ends { named("eos", EOS)? } else { None },
    })
}

/// Every way to cut a piece into two, the highest score first.
fn merges(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<Vec<(String, String)>, GgufError> {
    let key = "tokenizer.ggml.scores";
    let scores = vocabulary.scores.ok_or_else(|| {
        let hint =
            "a tokenizer of this kind has a score for each piece; take another file of the model";
        gguf.refused(key, "it is missing", "a list of F32", hint)
    })?;
    let is_piece = |id: u32| {
        let kind = vocabulary.kinds[id as usize];
        matches!(kind, Kind::Normal | Kind::Defined | Kind::Unused)
    };
    let piece = |text: &str| vocabulary.id(text).filter(|id| is_piece(*id));
    let (mut cuts, mut bytes) = (Vec::new(), 0);
    for (id, text) in (0_u32..).zip(&vocabulary.tokens) {
        let score = scores[id as usize];
        if !is_piece(id) || text.len() > LONGEST {
            continue;
        }
        if score.is_nan() {
            return Err(gguf.wrong(key, format!("the score of token {id} is NaN"), "a number"));
        }
        for (at, _) in text.char_indices().skip(1) {
            let (first, second) = text.split_at(at);
            if piece(first).is_some() && piece(second).is_some() {
                cuts.push((score, first, second));
                bytes += text.len();
            }
        }
    }
    if bytes > MOST_CUT {
        let found = format!("pieces that can be cut into {bytes} bytes");
        let key = "tokenizer.ggml.tokens";
        return Err(gguf.wrong(key, found, format!("{MOST_CUT} at most")));
    }
    // Where one piece can be cut in several ways, those with the longer beginning go first, as of transformers' converter.
    cuts.sort_by(|a, b| {
        let by_score = b.0.total_cmp(&a.0);
        let letters = |text: &str| text.chars().count();
        by_score.then_with(|| letters(b.1).cmp(&letters(a.1)))
    });
    let cuts = cuts.into_iter();
    Ok(cuts
        .map(|(_, first, second)| (first.to_owned(), second.to_owned()))
        .collect())
}
