//! Tokenizers of files, held to the crate's own, to `SentencePiece`'s, and to messages.

use std::fs;

use serde_json::{Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};

use super::super::tokenizer::{tokenizer, tokenizer_config};
use super::super::{Gguf, Value as Meta};
use super::{File, fixture, says};

const TEXTS: [&str; 14] = [
    "",
    " ",
    "the cat sat on the mat, 2024 times; it's CAN'T",
    "  two  blanks\n\n\tand\r\n lines \n",
    "Ünïcode e\u{301}a\u{308} 日本語のテスト 🙂👩‍👩‍👧 ",
    "1234567 3.14 ٣٤٥ ½",
    "<|end|>a<|end|> <|tool|>x",
    "a<tag>b</tag>",
    "def f(x):\n    return x+1 # comment",
    "\u{a0}hard\u{2003}space\u{feff}",
    "''''s 's'S I'LL",
    "--==>>...!!",
    "\u{1}\u{7f}\u{0}",
    "한국어 привет мир",
];

fn byte_level(split: bool) -> ByteLevel {
    ByteLevel::new(false, true, split)
}

/// A tokenizer that was trained here, and the file of it.
fn trained(pre: &str, splits: PreTokenizerWrapper, composed: bool) -> (Tokenizer, File) {
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(420)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from("<|end|>", true)])
        .build();
    let mut own = Tokenizer::new(BPE::default());
    own.with_pre_tokenizer(Some(splits));
    own.with_decoder(Some(byte_level(true)));
    if composed {
        own.with_normalizer(Some(NFC));
    }
    let texts = TEXTS
        .iter()
        .map(|text| (*text).to_owned())
        .cycle()
        .take(200);
    own.train(&mut TrainerWrapper::BpeTrainer(trainer), texts)
        .unwrap();
    own.add_tokens(&[AddedToken::from("<|tool|>", false).normalized(false)]);
    let json: Value = serde_json::from_str(&own.to_string(false).unwrap()).unwrap();
    let size = own.get_vocab_size(true);
    let tokens: Vec<String> = (0..u32::try_from(size).unwrap())
        .map(|id| own.id_to_token(id).unwrap())
        .collect();
    let types: Vec<u8> = tokens
        .iter()
        .map(|token| match token.as_str() {
            "<|end|>" => 3,
            "<|tool|>" => 4,
            _ => 1_i32,
        })
        .flat_map(i32::to_le_bytes)
        .collect();
    let merges = json["model"]["merges"].as_array().unwrap().iter();
    let merges = merges.map(|pair| {
        format!(
            "{} {}",
            pair[0].as_str().unwrap(),
            pair[1].as_str().unwrap()
        )
    });
    let file = File::new("llama")
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", pre)
        .texts("tokenizer.ggml.tokens", &tokens)
        .list("tokenizer.ggml.token_type", 5, size, &types)
        .texts("tokenizer.ggml.merges", &merges.collect::<Vec<_>>());
    (own, file)
}

fn ids(tokenizer: &Tokenizer, text: &str, whole: bool) -> Vec<u32> {
    tokenizer
        .encode_fast(text, whole)
        .unwrap()
        .get_ids()
        .to_vec()
}

fn made(file: &File) -> Tokenizer {
    tokenizer(&file.open().unwrap()).unwrap()
}

#[test]
fn byte_level_tokenizers_are_those_of_the_hub() {
    let digits = || {
        let steps = vec![Digits::new(true).into(), byte_level(true).into()];
        PreTokenizerWrapper::from(Sequence::new(steps))
    };
    let plain = || PreTokenizerWrapper::from(byte_level(true));
    for (pre, splits, composed) in [
        ("gpt-2", plain(), false),
        ("olmo", plain(), true),
        ("smollm", digits(), false),
        ("starcoder", digits(), false),
        ("command-r", digits(), true),
    ] {
        let (own, file) = trained(pre, splits, composed);
        let found = made(&file);
        for text in TEXTS {
            let expected = ids(&own, text, false);
            assert_eq!(ids(&found, text, false), expected, "{pre} {text:?}");
            assert_eq!(ids(&found, text, true), expected, "{pre} {text:?}");
            let back = found.decode(&expected, false).unwrap();
            assert_eq!(
                back,
                own.decode(&expected, false).unwrap(),
                "{pre} {text:?}"
            );
        }
        let expected = own.token_to_id("<|end|>").unwrap();
        assert_eq!(ids(&found, "<|end|>", false), [expected]);
    }
}

#[test]
fn each_name_splits_as_it_should() {
    let (_, file) = trained("gpt-2", byte_level(true).into(), false);
    let split = |pre: &str, text: &str| -> Vec<String> {
        let mut file = file.clone();
        file.pairs.retain(|(key, _)| key != "tokenizer.ggml.pre");
        let found = made(&file.text("tokenizer.ggml.pre", pre));
        let mut text = tokenizers::PreTokenizedString::from(text);
        let steps = found.get_pre_tokenizer().unwrap();
        tokenizers::PreTokenizer::pre_tokenize(steps, &mut text).unwrap();
        let pieces = text.get_splits(
            tokenizers::OffsetReferential::Original,
            tokenizers::OffsetType::Byte,
        );
        pieces
            .into_iter()
            .map(|(piece, ..)| piece.replace('Ġ', " "))
            .collect()
    };
    for (pre, expected) in [
        ("gpt-2", &["I", "'m", " 12345", "!", " ", " x"][..]),
        (
            "smollm",
            &["I", "'m", " ", "1", "2", "3", "4", "5", "!", " ", " x"],
        ),
        ("llama-bpe", &["I", "'m", " ", "123", "45", "!", " ", " x"]),
        ("dbrx", &["I", "'m", " ", "123", "45", "!", " ", " x"]),
        (
            "qwen2",
            &["I", "'m", " ", "1", "2", "3", "4", "5", "!", " ", " x"],
        ),
        ("gpt-4o", &["I'm", " ", "123", "45", "!", " ", " x"]),
        (
            "tekken",
            &["I", "'m", " ", "1", "2", "3", "4", "5", "!", " ", " x"],
        ),
        (
            "default",
            &["I", "'", "m", " ", "123", "45", "!", " ", " x"],
        ),
        ("falcon", &["I", "'", "m", " ", "123", "45", "!", " ", " x"]),
        (
            "deepseek-v3",
            &["I", "'m", " ", "123", "45", "!", " ", " x"],
        ),
    ] {
        assert_eq!(split(pre, "I'm 12345!  x"), expected, "{pre}");
    }
}

#[test]
fn a_text_begins_as_the_file_says() {
    let (_, file) = trained("gpt-2", byte_level(true).into(), false);
    let end = 0;
    let begun = |file: File| {
        let ids = ids(&made(&file), "the", true);
        (ids[0] == end, ids.last() == Some(&end))
    };
    let named = || {
        let named = file.clone().count("tokenizer.ggml.bos_token_id", end);
        named.count("tokenizer.ggml.eos_token_id", end)
    };
    let asked = |begin, last| {
        named()
            .truth("tokenizer.ggml.add_bos_token", begin)
            .truth("tokenizer.ggml.add_eos_token", last)
    };
    assert_eq!(begun(named()), (false, false));
    assert_eq!(begun(asked(true, false)), (true, false));
    assert_eq!(begun(asked(false, true)), (false, true));
    assert_eq!(begun(asked(true, true)), (true, true));
    let mut llama = named();
    llama.pairs.retain(|(key, _)| key != "tokenizer.ggml.pre");
    assert_eq!(
        begun(llama.text("tokenizer.ggml.pre", "llama-bpe")),
        (true, false)
    );
    let config = tokenizer_config(
        &named()
            .text("tokenizer.chat_template", "{{x}}")
            .open()
            .unwrap(),
    );
    let expected = json!({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
        "bos_token": "<|end|>", "eos_token": "<|end|>", "chat_template": "{{x}}"});
    assert_eq!(config.unwrap(), expected);
    // Further ones, with their names.
    let several = |default: bool| {
        let file = named().texts("tokenizer.chat_templates", &["rag", "tool_use"]);
        let file = file.text("tokenizer.chat_template.rag", "{{r}}");
        let file = file.text("tokenizer.chat_template.tool_use", "{{t}}");
        let file = if default {
            file.text("tokenizer.chat_template", "{{x}}")
        } else {
            file
        };
        tokenizer_config(&file.open().unwrap()).unwrap()["chat_template"].clone()
    };
    let one = |name: &str, template: &str| json!({"name": name, "template": template});
    let (rag, tools) = (one("rag", "{{r}}"), one("tool_use", "{{t}}"));
    assert_eq!(several(false), json!([rag, tools]));
    assert_eq!(several(true), json!([one("default", "{{x}}"), rag, tools]));
    let lacking = named().texts("tokenizer.chat_templates", &["rag"]);
    let said = tokenizer_config(&lacking.open().unwrap()).unwrap_err();
    assert!(
        said.to_string().contains("tokenizer.chat_template.rag"),
        "{said}"
    );
}

/// `pieces.json` has what `SentencePiece` makes of texts, with a space before each and without. Where a text gets a space,
/// one follows each user-defined token too, as with llama.cpp and transformers' older tokenizers; not with `SentencePiece`.
#[test]
fn pieces_are_those_of_sentencepiece() {
    let rows: Vec<Value> =
        serde_json::from_slice(&fs::read(fixture("pieces.json")).unwrap()).unwrap();
    assert!(rows.len() > 100);
    let mut gguf = Gguf::open(&fixture("pieces.gguf")).unwrap();
    for (key, spaced) in [("spaced", true), ("plain", false)] {
        gguf.metadata.insert(
            "tokenizer.ggml.add_space_prefix".to_owned(),
            Meta::Bool(spaced),
        );
        let found = tokenizer(&gguf).unwrap();
        let mut compared = 0;
        for row in &rows {
            let text = row["text"].as_str().unwrap();
            let escaped = format!("▁{}", text.replace(' ', "▁"));
            if spaced
                && ["▁▁", "<tag>", "</tag>"]
                    .iter()
                    .any(|token| escaped.contains(token))
            {
                continue;
            }
            compared += 1;
            let expected: Vec<u32> = serde_json::from_value(row[key].clone()).unwrap();
            assert_eq!(ids(&found, text, false), expected, "{key} {text:?}");
            // Its beginning is the file's own.
            assert_eq!(ids(&found, text, true), [&[1], &expected[..]].concat());
            assert_eq!(
                found.decode(&expected, false).unwrap(),
                text.replace('▁', " "),
                "{key}"
            );
        }
        assert!(compared > 50, "{key}: {compared}");
    }
    gguf.metadata.insert(
        "tokenizer.ggml.add_space_prefix".to_owned(),
        Meta::Bool(true),
    );
    let found = tokenizer(&gguf).unwrap();
    let piece = |text: &str| ids(&found, text, false);
    assert_eq!(
        piece("a<s>a</s>"),
        [&piece("a")[..], &[1], &piece("a"), &[2]].concat()
    );
}

#[test]
fn each_refusal_names_the_key() {
    let (_, file) = trained("gpt-2", byte_level(true).into(), false);
    let with = |key: &str, change: &dyn Fn(File) -> File| {
        let mut file = file.clone();
        file.pairs.retain(|(name, _)| name != key);
        tokenizer(&change(file).open().unwrap())
    };
    let without = |key: &str| with(key, &|file| file);
    says(
        without("tokenizer.ggml.model"),
        &["`tokenizer.ggml.model`", "missing"],
    );
    says(
        without("tokenizer.ggml.tokens"),
        &["`tokenizer.ggml.tokens`", "missing"],
    );
    says(
        without("tokenizer.ggml.merges"),
        &["`tokenizer.ggml.merges`", "missing"],
    );
    says(
        without("tokenizer.ggml.pre"),
        &["`tokenizer.ggml.pre`", "missing", "another way"],
    );
    let text = |key: &str, value: &str| with(key, &|file| file.text(key, value));
    says(
        text("tokenizer.ggml.pre", "viking"),
        &["\"viking\"", "llama-bpe"],
    );
    says(
        text("tokenizer.ggml.model", "t5"),
        &["\"t5\"", "SentencePiece"],
    );
    says(
        text("tokenizer.ggml.model", "llama"),
        &["`tokenizer.ggml.scores`", "missing"],
    );
    says(
        text("tokenizer.ggml.tokens", "x"),
        &["\"x\"", "a list of texts"],
    );
    says(text("tokenizer.ggml.token_type", "x"), &["a list of I32"]);
    let key = "tokenizer.ggml.tokens";
    let tokens = |tokens: &[&str]| with(key, &|file| file.texts(key, tokens));
    says(tokens(&[]), &["0 tokens"]);
    says(tokens(&["a", "b", "a"]), &["\"a\" is token 0 and token 2"]);
    says(
        tokens(&["a", "b"]),
        &["`tokenizer.ggml.token_type`", "2, one for each token"],
    );
    says(tokens(&[&"x".repeat(4097)]), &["token 0 has 4097 bytes"]);
    let key = "tokenizer.ggml.merges";
    let merges = |merge: &str| with(key, &|file| file.texts(key, &[merge]));
    says(merges("ab"), &["merge 0", "is no pair"]);
    says(merges("a zz"), &["\"zz\", which is no token"]);
    says(merges(""), &["is no pair"]);
    let named = with("none", &|file| {
        file.truth("tokenizer.ggml.add_bos_token", true)
            .count("tokenizer.ggml.bos_token_id", 9999)
    });
    says(named, &["`tokenizer.ggml.bos_token_id`", "9999", "tokens"]);
    // Before there were names.
    let mut old = file.clone();
    old.pairs
        .retain(|(name, _)| name != "tokenizer.ggml.pre" && name != "general.architecture");
    let old = old.text("general.architecture", "gpt2");
    assert_eq!(
        ids(&made(&old), "the cat", false),
        ids(&made(&file), "the cat", false)
    );
}
