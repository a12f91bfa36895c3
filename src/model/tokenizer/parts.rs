//! A text of several parts, as a prompt and what follows it, encoded as the one text that it is.
//!
//! A tokenizer may join characters across a border, or begin a text in a way of its own (`SentencePiece` puts a space
//! there), so parts that are encoded apart need not be what a model reads. GPT-2's splits at a space before a word: of
//! its own prompts and completions both give the same tokens.
//!
//! A token that straddles a border is the later part's: who writes that part has to write it. TRL and
//! lm-evaluation-harness encode the whole too, and take as many tokens for the prompt as it has alone. That is the same
//! where none straddles; where one does, the completion loses its beginning there, against which the harness moves a
//! prompt's last spaces into the completion.

use super::{PromptText, StudentTokenizer};
use crate::model::ModelError;

/// The tokens of a prompt, of each part after it, and of each completion.
pub(crate) type EncodedChoices<const N: usize> = (Vec<u32>, [Vec<u32>; N], Vec<Vec<u32>>);

impl StudentTokenizer {
    /// Token ids of `prompt` and of each of `parts` in the text that they make together, the first after what the tokenizer
    /// puts before every text.
    ///
    /// # Errors
    /// As of [`StudentTokenizer::encode`].
    pub fn encode_parts<const N: usize>(
        &self,
        prompt: &PromptText,
        parts: [&str; N],
    ) -> Result<(Vec<u32>, [Vec<u32>; N]), ModelError> {
        let (tokens, begins) = self.encode_whole(prompt, &parts)?;
        Ok(split(tokens, &begins))
    }

    /// The same where one of `completions` follows: token ids of what all have in common, and of the rest of each. The
    /// common tokens are those of `prompt` and `parts`, unless a completion alters their end.
    ///
    /// # Errors
    /// As of [`StudentTokenizer::encode`].
    pub fn encode_choices<const N: usize>(
        &self,
        prompt: &PromptText,
        parts: [&str; N],
        completions: &[String],
    ) -> Result<EncodedChoices<N>, ModelError> {
        let whole = |last: &String| self.encode_whole(prompt, &[&parts[..], &[last]].concat());
        let wholes = completions.iter().map(whole);
        let mut wholes = wholes.collect::<Result<Vec<_>, _>>()?;
        let Some((first, begins)) = wholes.first().cloned() else {
            let (prompt, parts) = self.encode_parts(prompt, parts)?;
            return Ok((prompt, parts, Vec::new()));
        };
        let alike = |tokens: &[u32]| {
            tokens
                .iter()
                .zip(&first)
                .take_while(|(a, b)| a == b)
                .count()
        };
        let common = wholes.iter();
        let common = common.map(|(tokens, begins)| alike(tokens).min(begins[N]));
        let common = common.min().unwrap_or(0);
        let rests = wholes.iter_mut();
        let rests = rests.map(|(tokens, _)| tokens.split_off(common)).collect();
        let (prompt, parts) = split(wholes.swap_remove(0).0, &begins[..N]);
        Ok((prompt, parts, rests))
    }

    /// Token ids of `text`, split where its bytes at `borders` begin.
    ///
    /// # Errors
    /// As of [`StudentTokenizer::encode`].
    pub fn encode_split<const N: usize>(
        &self,
        text: &PromptText,
        borders: [usize; N],
    ) -> Result<(Vec<u32>, [Vec<u32>; N]), ModelError> {
        let (tokens, ends) = self.encode_ends(text)?;
        let begins = borders.map(|border| before(&tokens, &ends, border));
        Ok(split(tokens, &begins))
    }

    /// Token ids of the text that `prompt` and `parts` make, and where each of the parts begins.
    fn encode_whole(
        &self,
        prompt: &PromptText,
        parts: &[&str],
    ) -> Result<(Vec<u32>, Vec<usize>), ModelError> {
        let mut whole = prompt.clone();
        let borders = parts.iter().map(|part| {
            let border = whole.text.len();
            whole.text += part;
            border
        });
        let borders: Vec<usize> = borders.collect();
        let (tokens, ends) = self.encode_ends(&whole)?;
        let begins = borders.into_iter();
        let begins = begins
            .map(|border| before(&tokens, &ends, border))
            .collect();
        Ok((tokens, begins))
    }
}

/// How many of `tokens` end at the byte `border` or before it: those of the tokenizer's own beginning, which has no
/// bytes, and of the text, whose ends are given.
fn before(tokens: &[u32], ends: &[usize], border: usize) -> usize {
    let inside = ends.iter().take_while(|end| **end <= border).count();
    tokens.len() - ends.len() + inside
}

/// `tokens` cut where the parts begin.
fn split<const N: usize>(mut tokens: Vec<u32>, begins: &[usize]) -> (Vec<u32>, [Vec<u32>; N]) {
    let mut parts = [const { Vec::new() }; N];
    for (part, begin) in parts.iter_mut().zip(begins).rev() {
        *part = tokens.split_off(tokens.len().min(*begin));
    }
    (tokens, parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{edited, template};
    use super::*;

    /// Students' tokenizers: one that is trained here, and GPT-2-like ones of other files.
    fn tokenizers() -> Vec<StudentTokenizer> {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parity");
        let shared = crate::needs::shared("models/qa-nano");
        let folders = std::iter::once(fixture.into()).chain(shared);
        let loaded = folders.map(|folder| StudentTokenizer::load(&folder, None).unwrap());
        let texts = (0..300).map(|index| {
            format!("Question: is {index} even? Answer: {index}, so. So the answer is yes.")
        });
        loaded
            .chain([StudentTokenizer::train(texts, 400).unwrap()])
            .collect()
    }

    /// What keys and numbers are made of: it must not change for GPT-2's tokenizer.
    #[test]
    fn gpt2s_parts_have_the_tokens_that_they_have_apart() {
        let mut texts: Vec<String> = [
            "",
            "x",
            "a cat's 3.5 km",
            "two  blanks ",
            "tabs\tand\n\nlines\n",
            "Ünïcode 日本 🙂",
            "e\u{301}",
            "\u{a0}hard",
            "(A) \"hive\"",
            "...",
            "'s",
            "100%",
            "<|endoftext|>",
            "\u{feff}",
        ]
        .map(str::to_owned)
        .into();
        let rows = crate::text::teacher_fixture::rows().unwrap_or_default();
        texts.extend(rows.iter().take(200).map(|row| row.reasoning.clone()));
        for tokenizer in tokenizers() {
            let apart = |text: &str| tokenizer.encode(text).unwrap();
            for text in &texts {
                for prompt in [
                    format!("Question: {text} Answer:"),
                    format!("Question: {text}\nAnswer: Let's think step by step."),
                ] {
                    let reasoning = match text.trim() {
                        "" => String::new(),
                        text => format!(" {text}"),
                    };
                    let close = format!(" So the answer is {text}.");
                    let asked = PromptText::from(prompt.as_str());
                    let (first, rest) = tokenizer
                        .encode_parts(&asked, [&reasoning, &close])
                        .unwrap();
                    assert_eq!(first, apart(&prompt));
                    assert_eq!(rest, [&reasoning, &close].map(|part| apart(part)));
                    let choices = [" yes", " no.", " [1]", " [10]"].map(str::to_owned);
                    let (first, [second], rests) = tokenizer
                        .encode_choices(&asked, [&reasoning], &choices)
                        .unwrap();
                    assert_eq!([first, second], [apart(&prompt), apart(&reasoning)]);
                    assert_eq!(rests, choices.map(|choice| apart(&choice)));
                }
            }
        }
    }

    #[test]
    fn a_token_that_straddles_a_border_is_the_later_parts() {
        let words =
            |word: &str| std::iter::repeat_n(format!("the {word} sat"), 9).collect::<Vec<_>>();
        let texts = [words("cat"), words("cab")].concat();
        let tokenizer = StudentTokenizer::train(texts.into_iter(), 290).unwrap();
        let one = |text: &str| {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(ids.len(), 1, "{text}");
            ids[0]
        };
        let (the, cat, cab) = (one("the"), one(" cat"), one(" cab"));
        for ([prompt, part], [first, second]) in [
            (["the", " cat"], [vec![the], vec![cat]]),
            (["the ", "cat"], [vec![the], vec![cat]]),
            (["the ca", "t"], [vec![the], vec![cat]]),
            (["", "the cat"], [vec![], vec![the, cat]]),
            (["the cat", ""], [vec![the, cat], vec![]]),
            (["th", "e cat"], [vec![], vec![the, cat]]),
        ] {
            let found = tokenizer.encode_parts(&prompt.into(), [part]).unwrap();
            assert_eq!(found, (first.clone(), [second.clone()]), "{prompt}|{part}");
            let whole = format!("{prompt}{part}");
            let found = tokenizer.encode_split(&whole.as_str().into(), [prompt.len()]);
            assert_eq!(found.unwrap(), (first, [second]), "{prompt}|{part}");
        }
        // A character of several tokens lies on one side.
        let (prompt, [after]) = tokenizer.encode_parts(&"🙂".into(), ["🙂"]).unwrap();
        assert!(prompt.len() > 1 && prompt == after);
        // What follows alters the prompt's end: that goes to each of the choices.
        let choices = ["t", "b"].map(str::to_owned);
        let found = tokenizer.encode_choices(&"the".into(), [" ca"], &choices);
        assert_eq!(
            found.unwrap(),
            (vec![the], [vec![]], vec![vec![cat], vec![cab]])
        );
        let found = tokenizer.encode_choices(&"the".into(), [" cat"], &[]);
        assert_eq!(found.unwrap(), (vec![the], [vec![cat]], vec![]));
    }

    #[test]
    fn a_text_begins_once() {
        let folder = edited(|own, settings| {
            own["post_processor"] = template(&["<|endoftext|>"], &["a"]);
            settings["add_prefix_space"] = json!(true);
        });
        let tokenizer = StudentTokenizer::load(folder.path(), None).unwrap();
        let (prompt, [after]) = tokenizer.encode_parts(&"the".into(), ["(cat"]).unwrap();
        assert_eq!(
            [prompt, after.clone()].concat(),
            tokenizer.encode_prompt(&"the(cat".into()).unwrap()
        );
        assert_eq!(tokenizer.decode(&after).unwrap(), "(cat");
        // Apart it would begin as a text does.
        let apart = tokenizer.encode("(cat").unwrap();
        assert_eq!(tokenizer.decode(&apart).unwrap(), " (cat");
    }
}
