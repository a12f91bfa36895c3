//! What a `tokenizer.json` may ask for, looked at before the `tokenizers` crate acts on it: some values make that
//! panic, others let a text grow without end or take memory that the file does not account for.
//!
//! In: the file's bytes. Out: nothing, or the key that does not do. It is a stranger's file.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Bytes of one token at most (ours): a text of some hundred tokens is still small. GPT-2's longest has 128.
const LONGEST_TOKEN: usize = 4096;
/// How many times its length a text may grow to, all steps together (ours).
const MOST_GROWTH: f64 = 1e5;
/// How many times its length a text grows to by Unicode's compatibility forms (Unicode, UAX 15).
const COMPATIBILITY_GROWTH: f64 = 18.0;
/// The same, generously, by other forms, by lower case, and by letters that stand for bytes.
const FORM_GROWTH: f64 = 3.0;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    content: Longest,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    dropout: Value,
    #[serde(default)]
    continuing_subword_prefix: Value,
    #[serde(rename = "type", default)]
    kind: Value,
    #[serde(default)]
    vocab: Longest,
}

/// Checks a `tokenizer.json`. What else is wrong with it, the crate tells.
pub(super) fn check(bytes: &[u8]) -> Result<(), String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let added = file.added_tokens.iter().map(|added| added.content.0).max();
    longest_of("added_tokens", added.unwrap_or(0))?;
    longest_of("model.vocab", file.model.vocab.0)?;
    if file
        .model
        .dropout
        .as_f64()
        .is_some_and(|dropout| dropout != 0.0)
    {
        return Err("`model.dropout` is set, so it would read a text differently each time\nhint: set it to null".into());
    }
    // The crate takes that many bytes off the second half of each merge, whatever it is.
    let is_bpe = file.model.kind.as_str().is_none_or(|kind| kind == "BPE");
    let prefix = &file.model.continuing_subword_prefix;
    if is_bpe && prefix.as_str().is_some_and(|prefix| !prefix.is_empty()) {
        return Err(format!(
            "`model.continuing_subword_prefix` is {prefix}, accepted: none; a byte-level BPE has none"
        ));
    }
    let grown = [("normalizer", &file.normalizer), ("decoder", &file.decoder)];
    for (key, part) in grown {
        let growth = checked(key, part)?;
        if growth > MOST_GROWTH {
            return Err(format!(
                "`{key}` makes a text up to {growth:.0} times as long, accepted: {MOST_GROWTH:.0} times"
            ));
        }
    }
    checked("pre_tokenizer", &file.pre_tokenizer)?;
    checked("post_processor", &file.post_processor)?;
    Ok(())
}

/// What the crate says of a part that is of no kind: it names types of its own.
pub(super) fn in_words(says: String) -> String {
    let parts = [
        ("Model", "model"),
        ("Normalizer", "normalizer"),
        ("PreTokenizer", "pre_tokenizer"),
        ("PostProcessor", "post_processor"),
        ("Decoder", "decoder"),
    ];
    let of = says.split_once("untagged enum ").map(|(_, name)| name);
    let part = of.and_then(|name| parts.iter().find(|(own, _)| name.starts_with(own)));
    match part {
        Some((_, key)) => {
            format!("`{key}` is of no kind that is known, or lacks a field of its kind")
        }
        None => says,
    }
}

/// Checks a `vocab.json`.
pub(super) fn check_vocabulary(bytes: &[u8]) -> Result<(), String> {
    let longest: Longest = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    longest_of("vocabulary", longest.0)
}

fn longest_of(key: &str, bytes: usize) -> Result<(), String> {
    if bytes > LONGEST_TOKEN {
        return Err(format!(
            "`{key}` has a token of {bytes} bytes, accepted: up to {LONGEST_TOKEN}"
        ));
    }
    Ok(())
}

/// Checks one step and those in it; gives how many times its length a text may grow to by them. A step is known by its
/// fields: the crate finds out its type by them where it is not named.
fn checked(key: &str, part: &Value) -> Result<f64, String> {
    let refuse = |field: &str, says: &str| Err(format!("`{key}.{field}` {says}"));
    let mut growth = match part["type"].as_str().unwrap_or_default() {
        "NFKC" | "NFKD" | "Nmt" => COMPATIBILITY_GROWTH,
        "NFC" | "NFD" | "Lowercase" | "ByteLevel" | "BertNormalizer" => FORM_GROWTH,
        _ => 1.0,
    };
    for list in ["normalizers", "pretokenizers", "processors", "decoders"] {
        let steps = part[list].as_array().into_iter().flatten();
        for (index, step) in steps.enumerate() {
            growth *= checked(&format!("{key}.{list}[{index}]"), step)?;
        }
    }
    if let Some(content) = part["content"].as_str() {
        growth *= match &part["pattern"]["String"] {
            Value::String(text) if text.is_empty() => {
                return refuse("pattern", "is empty, so it is everywhere");
            }
            Value::String(text) => (content.len() as f64 / text.len() as f64).max(1.0),
            // An expression may match nothing, before each byte.
            _ => 1.0 + content.len() as f64,
        };
    }
    match part["prepend"].as_str() {
        Some("") => return refuse("prepend", "is empty"),
        // A text has a character at least.
        Some(text) => growth *= 1.0 + text.len() as f64,
        None => {}
    }
    if let Some(table) = part.get("precompiled_charsmap") {
        match charsmap(table.as_str()) {
            Ok(longest) => growth *= longest,
            Err(says) => return refuse("precompiled_charsmap", &says),
        }
    }
    if part["length"] == 0 {
        return refuse("length", "is 0, accepted: 1 or more");
    }
    let pieces = || part["single"].as_array().into_iter().flatten();
    // A template's pieces: the crate looks both up, and takes them for there.
    let special = pieces().filter_map(|piece| piece["SpecialToken"]["id"].as_str());
    for token in special {
        if part["special_tokens"].get(token).is_none() {
            let says = format!("names `{token}`, which its `special_tokens` lacks");
            return refuse("single", &says);
        }
    }
    if pieces().any(|piece| piece["Sequence"]["id"] == "B") {
        return refuse(
            "single",
            "has the second text of a pair, accepted: the first",
        );
    }
    let texts = pieces().filter(|piece| piece.get("Sequence").is_some());
    match texts.count() {
        0 | 1 => Ok(growth),
        count => refuse(
            "single",
            &format!("has the text {count} times, accepted: once"),
        ),
    }
}

/// `SentencePiece`'s table: its trie's length in bytes (32 bits), the trie, then what it replaces by, each closed by a
/// zero. How many times its length a character may grow to.
fn charsmap(text: Option<&str>) -> Result<f64, String> {
    let bytes = BASE64_STANDARD.decode(text.unwrap_or_default());
    let bytes = bytes.map_err(|error| format!("is not Base64: {error}"))?;
    let Some((head, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(format!("has {} bytes, so it is no table", bytes.len()));
    };
    let trie = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
    if trie == 0 || !trie.is_multiple_of(4) || trie > rest.len() {
        return Err(format!(
            "names a trie of {trie} bytes, but has {} after that number",
            rest.len()
        ));
    }
    let longest = rest[trie..].split(|&byte| byte == 0).map(<[u8]>::len).max();
    Ok(longest.unwrap_or(0).max(1) as f64)
}

/// Bytes of the longest string in a JSON value, keys included.
#[derive(Default)]
struct Longest(usize);

impl<'de> Deserialize<'de> for Longest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfAny)
    }
}

struct OfAny;

impl<'de> Visitor<'de> for OfAny {
    type Value = Longest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Longest, E> {
        Ok(Longest(text.len()))
    }

    fn visit_unit<E>(self) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Longest, E> {
        Ok(Longest(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Longest, A::Error> {
        let mut longest = 0;
        while let Some(Longest(item)) = items.next_element()? {
            longest = longest.max(item);
        }
        Ok(Longest(longest))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Longest, A::Error> {
        let mut longest = 0;
        while let Some(Longest(key)) = entries.next_key()? {
            entries.next_value::<IgnoredAny>()?;
            longest = longest.max(key);
        }
        Ok(Longest(longest))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        let mut file = json!({
            "version": "1.0",
            "added_tokens": [{"id": 0, "content": "<|endoftext|>"}],
            "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
            "post_processor": {"type": "ByteLevel", "trim_offsets": true},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "dropout": null, "continuing_subword_prefix": null, "vocab": {"a": 0}, "merges": []},
        });
        change(&mut file);
        let checked = check(file.to_string().as_bytes());
        checked.err().unwrap_or_default()
    }

    /// What is said of a file that was changed so.
    type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));

    #[test]
    fn each_refusal_names_the_key() {
        let table = |length: u32, rest: &str| {
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend(rest.as_bytes());
            let text = BASE64_STANDARD.encode(bytes);
            json!({"type": "Precompiled", "precompiled_charsmap": text})
        };
        let replace = |pattern: &str, content: &str| json!({"type": "Replace", "pattern": {"String": pattern}, "content": content});
        let many = |step: Value, count: usize| json!({"type": "Sequence", "normalizers": vec![step; count]});
        for normalizer in [
            replace(" ", "▁"),
            json!({"type": "NFC"}),
            json!({"type": "Prepend", "prepend": "▁"}),
            many(replace("a", "aa"), 16),
            table(4, "trieab\0c\0"),
        ] {
            assert_eq!(refusal(|file| file["normalizer"] = normalizer), "");
        }
        let cases = [
            (replace("", "x"), "`normalizer.pattern` is empty"),
            (
                many(replace("", "x"), 1),
                "`normalizer.normalizers[0].pattern` is empty",
            ),
            (
                many(replace("a", "aa"), 40),
                "`normalizer` makes a text up to 1099511627776 times as long",
            ),
            (
                many(
                    json!({"type": "Replace", "pattern": {"Regex": "."}, "content": "x".repeat(400)}),
                    2,
                ),
                "`normalizer` makes",
            ),
            (many(json!({"type": "NFKC"}), 5), "`normalizer` makes"),
            (
                json!({"type": "Prepend", "prepend": ""}),
                "`normalizer.prepend` is empty",
            ),
            (
                json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
                "has 3 bytes",
            ),
            (
                json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="}),
                "a trie of 4294967295 bytes, but has 0",
            ),
            (table(0, "trie"), "a trie of 0 bytes"),
            (
                json!({"type": "Precompiled", "precompiled_charsmap": "*"}),
                "is not Base64",
            ),
        ];
        for (normalizer, expected) in cases {
            let found = refusal(|file| file["normalizer"] = normalizer);
            assert!(found.contains(expected), "{expected}: {found}");
        }
        let long = "a".repeat(LONGEST_TOKEN + 1);
        let others: [Change<'_>; 7] = [
            ("`pre_tokenizer.length` is 0", &|file| {
                file["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0});
            }),
            ("`post_processor.single` has the text 2 times", &|file| {
                file["post_processor"] = json!({"type": "TemplateProcessing", "single": [{"Sequence": {}}, {"Sequence": {}}]});
            }),
            ("`decoder` makes", &|file| {
                file["decoder"] =
                    json!({"type": "Sequence", "decoders": vec![replace("a", "aaaa"); 20]});
            }),
            ("`model.dropout` is set", &|file| {
                file["model"]["dropout"] = json!(0.1);
            }),
            ("`model.continuing_subword_prefix` is \"##\"", &|file| {
                file["model"]["continuing_subword_prefix"] = json!("##");
            }),
            ("`model.vocab` has a token of 4097 bytes", &|file| {
                file["model"]["vocab"] = json!({"b": 0, &long: 1});
            }),
            ("`added_tokens` has a token of 4097 bytes", &|file| {
                file["added_tokens"][0]["content"] = json!(long);
            }),
        ];
        for (expected, change) in others {
            let found = refusal(change);
            assert!(found.contains(expected), "{expected}: {found}");
        }
        assert!(
            check_vocabulary(format!("{{{long:?}: 0}}").as_bytes())
                .unwrap_err()
                .contains("4097")
        );
        check_vocabulary(b"{\"a\": 0}").unwrap();
    }
}
