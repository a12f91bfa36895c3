//! Each kind of tokenizer against transformers: the fixtures of `make_tokenizers.py`.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::StudentTokenizer;
use crate::model::architecture::{Architecture, Gpt2};

#[derive(Deserialize)]
struct Expected {
    tokens: usize,
    end: u32,
    texts: Vec<Row>,
}

/// A text, its ids without and with what begins it, and what all and the first of them are decoded to.
#[derive(Deserialize)]
struct Row {
    given: String,
    ids: Vec<u32>,
    begun: Vec<u32>,
    text: String,
    grown: Vec<String>,
}

fn each(check: impl Fn(&str, &StudentTokenizer, &Expected)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        names.push(entry.unwrap().file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names.len(), 9, "{names:?}");
    for name in names {
        let folder = folder.join(&name);
        let expected = fs::read(folder.join("expected.json")).unwrap();
        let expected = serde_json::from_slice(&expected).unwrap();
        check(
            &name,
            &StudentTokenizer::load(&folder, None).unwrap(),
            &expected,
        );
    }
}

#[test]
fn ids_are_those_of_transformers() {
    each(|name, tokenizer, expected| {
        assert_eq!(tokenizer.vocab_size(), expected.tokens, "{name}");
        assert_eq!(tokenizer.eos_id(), expected.end, "{name}");
        assert!(expected.texts.len() > 20, "{name}");
        for row in &expected.texts {
            let ids = tokenizer.encode(&row.given).unwrap();
            assert_eq!(ids, row.ids, "{name}: {:?}", row.given);
            let begun = [tokenizer.prefix(), &ids].concat();
            assert_eq!(begun, row.begun, "{name}: {:?}", row.given);
        }
    });
}

/// A whole text, and one that is still being written.
#[test]
fn texts_are_those_of_transformers() {
    each(|name, tokenizer, expected| {
        for row in &expected.texts {
            let text = tokenizer.decode(&row.ids).unwrap();
            assert_eq!(text, row.text, "{name}: {:?}", row.given);
            for (count, grown) in (1..).zip(&row.grown) {
                let text = tokenizer.decode(&row.ids[..count]).unwrap();
                assert_eq!(&text, grown, "{name}: {count} of {:?}", row.given);
            }
        }
    });
}

#[test]
fn a_tokenizer_of_another_vocabulary_is_refused_with_both_numbers() {
    each(|name, tokenizer, expected| {
        let mut model = Architecture::from(Gpt2::default());
        model.vocab_rows = expected.tokens - 1;
        let said = tokenizer.check(&model).unwrap_err().to_string();
        let numbers = format!(
            "the tokenizer has {} tokens, but config.json says vocab_size {}",
            expected.tokens, model.vocab_rows
        );
        assert!(
            said.contains(&numbers) && said.contains("hint: "),
            "{name}: {said}"
        );
        model.vocab_rows = expected.tokens;
        tokenizer.check(&model).unwrap();
    });
}
