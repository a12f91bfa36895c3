//! What of a conversation a loss counts.
//!
//! Where the template marks the assistant's text by `{% generation %}`, that. Where it does not, what the whole
//! conversation adds to its prompt: the conversation without its answer, with the assistant's turn opened. That holds only
//! where the prompt is a beginning of the whole, and so that is asked of each text; templates that leave out what was
//! thought, or open the turn with `<think>`, break it.

use std::ops::Range;

use super::error::ChatError;
use super::template::{ChatMessage, ChatTemplate};

/// Characters shown of two texts where they part.
const SHOWN: usize = 60;

/// A conversation to train on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrainingText {
    /// The text, special tokens written out.
    pub text: String,
    /// Bytes of it that a loss counts: in their order, none empty, at least one.
    pub counted: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// Renders a conversation that ends with the assistant's answer, and says what of it a loss counts.
    ///
    /// # Errors
    /// As of [`ChatTemplate::render`]; the last message is not the assistant's; what counts cannot be told.
    pub fn training_text(&self, messages: &[ChatMessage]) -> Result<TrainingText, ChatError> {
        let template = || self.name().to_owned();
        let (answer, prompt) = messages
            .split_last()
            .ok_or_else(|| ChatError::NoMessages(template()))?;
        if answer.role != "assistant" {
            let found = format!("a message of role `{}`", answer.role);
            return Err(ChatError::NoAnswer {
                template: template(),
                found,
            });
        }
        let whole = self.render(messages, false)?;
        if self.marks_generation() {
            let reason = if whole.lost > 0 {
                "a {% generation %} block stands within a macro, a filter or a {% set %}"
            } else if whole.generated.is_empty() {
                "it has {% generation %} blocks, but none of them holds this answer"
            } else {
                return Ok(TrainingText {
                    text: whole.text,
                    counted: whole.generated,
                });
            };
            return Err(ChatError::Generation {
                template: template(),
                reason,
            });
        }
        let prompt = self.render(prompt, true)?.text;
        let counted = prompt.len()..whole.text.len();
        if counted.is_empty() || !whole.text.starts_with(&prompt) {
            let parts = (prompt.chars().zip(whole.text.chars()))
                .take_while(|(one, other)| one == other)
                .count();
            let from = |text: &str| text.chars().skip(parts).take(SHOWN).collect();
            return Err(ChatError::NotAPrefix {
                template: template(),
                prompt: from(&prompt),
                whole: from(&whole.text),
            });
        }
        Ok(TrainingText {
            text: whole.text,
            counted: vec![counted],
        })
    }
}
