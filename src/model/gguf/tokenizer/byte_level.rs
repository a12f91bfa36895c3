//! Byte-level BPE, as of GPT-2 and those after it.
//!
//! Merges are in the file; how a text is split before them is not: `tokenizer.ggml.pre` names it, and each name means what the
//! Hub's tokenizer of that model does. A name that is not known here is refused, as a text would quietly be split in another way.

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;

use super::Parts;
use super::vocabulary::Vocabulary;
use crate::model::gguf::error::{Fault, GgufError};
use crate::model::gguf::file::Gguf;

const PRE: &str = "tokenizer.ggml.pre";
const MERGES: &str = "tokenizer.ggml.merges";

/// GPT-2's, as the crate has it too.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// GPT-4's, with up to three digits together.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with each digit alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same where marks belong to their letters.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

/// How texts are split, one expression after another: what one matches stands alone for the next.
struct Pre {
    names: &'static [&'static str],
    splits: &'static [&'static str],
    /// Whether a text is brought to Unicode's form NFC first. llama.cpp does not; the Hub's tokenizers of these do.
    composed: bool,
    /// Whether a piece that is a token whole is that token, whatever its merges make of it.
    whole: bool,
    /// Whether a text begins with a token where the file does not say.
    begins: bool,
}

const PLAIN: Pre = Pre {
    names: &[],
    splits: &[],
    composed: false,
    whole: false,
    begins: false,
};

const PRES: &[Pre] = &[
    Pre {
        names: &[
            "gpt-2",
            "phi-2",
            "gigachat",
            "mellum",
            "exaone4",
            "jais",
            "trillion",
            "granite-docling",
        ],
        splits: &[GPT2],
        ..PLAIN
    },
    // GPT-NeoX's tokenizer.
    Pre {
        names: &["olmo", "mpt"],
        splits: &[GPT2],
        composed: true,
        ..PLAIN
    },
    Pre {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "codeshell",
            "exaone",
            "minerva-7b",
        ],
        splits: &[r"\p{N}", GPT2],
        ..PLAIN
    },
    Pre {
        names: &["command-r"],
        splits: &[r"\p{N}", GPT2],
        composed: true,
        ..PLAIN
    },
    Pre {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "lfm2",
        ],
        splits: &[LLAMA3],
        whole: true,
        begins: true,
        ..PLAIN
    },
    Pre {
        names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
        splits: &[LLAMA3],
        ..PLAIN
    },
    Pre {
        names: &["qwen2", "deepseek-r1-qwen", "megrez"],
        splits: &[QWEN2],
        composed: true,
        ..PLAIN
    },
    Pre {
        names: &["stablelm2", "hunyuan"],
        splits: &[QWEN2],
        ..PLAIN
    },
    Pre {
        names: &["qwen35"],
        splits: &[QWEN35],
        composed: true,
        ..PLAIN
    },
    Pre {
        names: &["tekken"],
        splits: &[TEKKEN],
        whole: true,
        begins: true,
        ..PLAIN
    },
    Pre {
        names: &["gpt-4o", "llama4"],
        splits: &[GPT4O],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-v3"],
        splits: &[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3],
        ..PLAIN
    },
    Pre {
        names: &["deepseek-coder"],
        splits: &[
            r"[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            "[一-龥ࠀ-一가-퟿]+",
            r"\p{N}",
        ],
        ..PLAIN
    },
    Pre {
        names: &["falcon"],
        splits: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
        ..PLAIN
    },
    // What llama.cpp does with a file whose writer knew no better.
    Pre {
        names: &["default"],
        splits: &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
        ..PLAIN
    },
];

/// What a file is taken to say that was written before there were names (April 2024), by its architecture.
const BEFORE_NAMES: [(&str, &str); 3] =
    [("gpt2", "gpt-2"), ("gptneox", "olmo"), ("qwen2", "qwen2")];

impl Pre {
    fn of(gguf: &Gguf) -> Result<&'static Self, GgufError> {
        let known = |name: &str| PRES.iter().find(|pre| pre.names.contains(&name));
        let refuse = |found: String| {
            let names: Vec<&str> = PRES.iter().flat_map(|pre| pre.names).copied().collect();
            let hint = "without it texts would be split in another way than in training; take a newer file of the model, or its \
                        folder in Hub format";
            gguf.refused(PRE, found, format!("one of {}", names.join(", ")), hint)
        };
        if let Some(name) = gguf.text(PRE)? {
            return known(name).ok_or_else(|| refuse(format!("{name:?}")));
        }
        let architecture = gguf.text("general.architecture")?;
        let meant = BEFORE_NAMES
            .iter()
            .find(|(name, _)| Some(*name) == architecture)
            .and_then(|(_, name)| known(name));
        meant.ok_or_else(|| refuse("it is missing".to_owned()))
    }
}

pub(super) fn parts(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<Parts, GgufError> {
    let pre = Pre::of(gguf)?;
    let merges = merges(gguf, vocabulary)?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary.by_text(), merges)
        .ignore_merges(pre.whole)
        .build();
    let model = model.map_err(|error| {
        Fault::damaged("the tokenizer", error.to_string(), "merges of its tokens").at(gguf.path())
    })?;
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let splits = pre.splits.iter().map(|expression| {
        json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": false})
    });
    let steps: Vec<Value> = splits.chain([bytes.clone()]).collect();
    let begins = gguf.truth("tokenizer.ggml.add_bos_token")?;
    let begin = if begins.unwrap_or(pre.begins) {
        vocabulary.named(gguf, "bos")?
    } else {
        None
    };
    let end = match gguf.truth("tokenizer.ggml.add_eos_token")? {
        Some(true) => vocabulary.named(gguf, "eos")?,
        _ => None,
    };
    Ok(Parts {
        model,
        normalizer: if pre.composed {
            json!({"type": "NFC"})
        } else {
            Value::Null
        },
        pre_tokenizer: json!({"type": "Sequence", "pretokenizers": steps}),
        decoder: bytes,
        normalized: false,
        begin,
        end,
    })
}

/// Pairs of tokens in the order in which they are put together.
fn merges(gguf: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<Vec<(String, String)>, GgufError> {
    let texts = gguf.need(MERGES, "a list of texts", |value| {
        value.as_texts().map(<[_]>::to_vec)
    })?;
    let pairs = texts.iter().enumerate().map(|(index, text)| {
        let refuse = |what: String| {
            let found = format!("merge {index}, {text:?}, {what}");
            gguf.wrong(MERGES, found, "two tokens that make a third")
        };
        // A space that is part of a token is written in another letter, but for one that begins a merge.
        let space = text
            .char_indices()
            .skip(1)
            .find(|(_, letter)| *letter == ' ');
        let (at, _) = space.ok_or_else(|| refuse("is no pair".to_owned()))?;
        let (first, second) = (&text[..at], &text[at + 1..]);
        for token in [first, second, &format!("{first}{second}")] {
            if vocabulary.id(token).is_none() {
                return Err(refuse(format!("needs {token:?}, which is no token")));
            }
        }
        Ok((first.to_owned(), second.to_owned()))
    });
    pairs.collect()
}
