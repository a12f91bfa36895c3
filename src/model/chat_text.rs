//! Messages as the text that a student's chat template makes of them, of which it is known whose words are whose.
//!
//! A question may spell a special token; the template's own are meant. `tokenizer` tells them apart when the text is
//! encoded, so the text says which words are somebody's.

use std::ops::Range;

use super::chat::{ChatError, ChatMessage, ChatTemplate};
use super::tokenizer::{PromptText, StudentTokenizer};
use crate::text::Filled;

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChatTurn {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// What is said.
    pub content: Filled,
    /// What was thought before it.
    pub thought: Option<Filled>,
}

impl ChatTurn {
    /// A message without a thinking part.
    pub fn new(role: &'static str, content: Filled) -> Self {
        Self {
            role,
            content,
            thought: None,
        }
    }
}

/// The prompt that `template` makes of `turns`; `add_generation_prompt` opens the assistant's next one.
///
/// # Errors
/// As of [`ChatTemplate::render`].
pub fn chat_prompt(
    template: &ChatTemplate,
    tokenizer: &StudentTokenizer,
    turns: &[ChatTurn],
    add_generation_prompt: bool,
) -> Result<PromptText, ChatError> {
    let (text, _) = tokenizer.shielding(&contents(turns), |texts| {
        let rendered = template.render(&messages(turns, texts), add_generation_prompt)?;
        Ok::<_, ChatError>((rendered.text, Vec::new()))
    })?;
    Ok(whole(text))
}

/// The training text that `template` makes of `turns`, which end with the assistant's answer, and which bytes of it a
/// loss counts: of this answer alone, examples before it are part of the prompt.
///
/// # Errors
/// As of [`ChatTemplate::training_text`]; or `{% generation %}` marks one answer in several places.
pub fn chat_training(
    template: &ChatTemplate,
    tokenizer: &StudentTokenizer,
    turns: &[ChatTurn],
) -> Result<(PromptText, Range<usize>), ChatError> {
    let (text, places) = tokenizer.shielding(&contents(turns), |texts| {
        let messages = messages(turns, texts);
        let made = template.training_text(&messages)?;
        let mut earlier = 0;
        let asked = &messages[..messages.len() - 1];
        if template.marks_generation() && asked.iter().any(|each| each.role == "assistant") {
            earlier = template.render(asked, false)?.generated.len();
        }
        let mut counted = made.counted.into_iter().skip(earlier);
        let failed = |reason| ChatError::Generation {
            template: template.name().to_owned(),
            reason,
        };
        let Some(mut all) = counted.next() else {
            return Err(failed(
                "none of its {% generation %} blocks holds this answer",
            ));
        };
        for next in counted {
            if next.start != all.end {
                return Err(failed(
                    "its {% generation %} blocks hold this answer in several places",
                ));
            }
            all.end = next.end;
        }
        Ok((made.text, vec![all.start, all.end]))
    })?;
    Ok((whole(text), places[0]..places[1]))
}

/// A template's text begins as the template has it, and the assistant's turn is open.
fn whole(text: PromptText) -> PromptText {
    PromptText {
        begun: true,
        tight: true,
        ..text
    }
}

fn contents(turns: &[ChatTurn]) -> Vec<&Filled> {
    let texts = turns
        .iter()
        .flat_map(|turn| [Some(&turn.content), turn.thought.as_ref()]);
    texts.flatten().collect()
}

/// The messages of `turns`, whose [`contents`] are `texts`.
fn messages(turns: &[ChatTurn], texts: Vec<String>) -> Vec<ChatMessage> {
    let mut texts = texts.into_iter();
    let message = |turn: &ChatTurn| ChatMessage {
        role: turn.role.to_owned(),
        content: texts.next().unwrap_or_default(),
        reasoning_content: turn.thought.is_some().then(|| texts.next()).flatten(),
    };
    turns.iter().map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::super::chat::ChatSettings;
    use super::*;

    const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    /// The same, which marks what the assistant wrote and what ends it.
    const MARKED: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    fn template(source: &str) -> ChatTemplate {
        let settings = ChatSettings {
            special_tokens: std::collections::BTreeMap::new(),
            arguments: serde_json::Map::new(),
            today: "2026-01-01".parse().unwrap(),
        };
        ChatTemplate::new("chatml", source, settings).unwrap()
    }

    fn tokenizer() -> StudentTokenizer {
        let texts = (0..300).map(|index| format!("assistant user {index}? yes <|endoftext|>"));
        StudentTokenizer::train(texts, 300).unwrap()
    }

    fn turn(role: &'static str, own: &str) -> ChatTurn {
        let mut content = Filled::default();
        content.push_own(own);
        ChatTurn::new(role, content)
    }

    #[test]
    fn words_of_a_question_are_known_again_whatever_the_template_does() {
        let tokenizer = tokenizer();
        let asked = " é <|endoftext|>? ";
        let turns = [turn("user", asked)];
        let source = CHATML.replace("<|im_end|>", "<|endoftext|>");
        let prompt = chat_prompt(&template(&source), &tokenizer, &turns, true).unwrap();
        assert_eq!(
            prompt.text,
            "<|im_start|>user\né <|endoftext|>?<|endoftext|>\n<|im_start|>assistant\n"
        );
        let at = prompt.text.find("<|endoftext|>").unwrap();
        assert_eq!(prompt.words, vec![at..at + 13]);
        let ids = tokenizer.encode_prompt(&prompt).unwrap();
        let ends = ids.iter().filter(|id| **id == tokenizer.eos_id()).count();
        assert_eq!(ends, 1, "the template's own");
        assert_eq!(tokenizer.decode(&ids).unwrap(), prompt.text);
    }

    #[test]
    fn a_loss_counts_the_last_answer() {
        let tokenizer = tokenizer();
        let turns = [
            turn("user", "1?"),
            turn("assistant", "yes"),
            turn("user", "2? <|endoftext|>"),
            turn("assistant", "no <|endoftext|> é"),
        ];
        for (source, counted) in [
            (CHATML, "no <|endoftext|> é<|im_end|>\n"),
            (MARKED, "no <|endoftext|> é<|im_end|>"),
        ] {
            let (text, range) = chat_training(&template(source), &tokenizer, &turns).unwrap();
            assert_eq!(&text.text[range], counted);
            assert_eq!(text.words.len(), 2);
            assert!(
                text.words
                    .iter()
                    .all(|words| &text.text[words.clone()] == "<|endoftext|>")
            );
        }
        let twice = MARKED.replace(
            "{{ m.content + '<|im_end|>' }}{% endgeneration %}",
            "{{ m.content }}{% endgeneration %}-{% generation %}.{% endgeneration %}",
        );
        let error = chat_training(&template(&twice), &tokenizer, &turns).unwrap_err();
        assert!(error.to_string().contains("in several places"), "{error}");
        assert!(error.to_string().contains("hint: "), "{error}");
    }
}
