//! Prompts as tokens, with the declared rule for those that do not fit the context.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Student, WeightFiles};
use crate::stage::{Context, StageError};
use crate::text::{PromptForm, Question};

/// What to do with a prompt that leaves no room in the context (ours; the paper is silent).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LongPrompts {
    /// Drop tokens from the left until `max_new_tokens` fit (at most half the context); counted.
    #[default]
    TruncateLeft,
    /// Fail, naming the questions.
    Refuse,
}

/// One question's prompt.
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) tokens: Vec<u32>,
}

/// A question's prompt, however long.
pub(crate) fn prompt(
    student: &Student<WeightFiles>,
    question: &Question,
    form: PromptForm,
) -> Result<Prompt, StageError> {
    let text = form.prompt(question);
    let tokens = student.tokenizer.encode_prompt(&text)?;
    Ok(Prompt { text, tokens })
}

/// Cuts a prompt on the left until it has at most `room` tokens: what the tokenizer puts before every text stays. Whether
/// anything had to go.
pub(crate) fn cut_left(tokens: &mut Vec<u32>, room: usize, student: &Student<WeightFiles>) -> bool {
    let long = tokens.len() > room;
    if long {
        let kept = student.tokenizer.prefix().len().min(room.saturating_sub(1));
        tokens.drain(kept..tokens.len() - (room - kept));
    }
    long
}

/// The prompts of `questions` in order.
pub(crate) fn prompts(
    context: &Context<'_>,
    student: &Student<WeightFiles>,
    questions: &[Question],
    form: PromptForm,
    max_new_tokens: u32,
    rule: LongPrompts,
) -> Result<Vec<Prompt>, StageError> {
    let positions = student.config.n_positions;
    let room = positions
        .saturating_sub((max_new_tokens as usize).min(positions / 2))
        .max(1);
    let mut long = Vec::new();
    let mut prompts = Vec::with_capacity(questions.len());
    for question in questions {
        let mut prompt = prompt(student, question, form)?;
        if cut_left(&mut prompt.tokens, room, student) {
            long.push(question.id.as_str());
        }
        prompts.push(prompt);
    }
    if let Some(first) = long.first() {
        let what = format!(
            "{} of {} prompts leave no room for {max_new_tokens} new tokens in a context of {positions} (first: `{first}`)",
            long.len(),
            questions.len(),
        );
        match rule {
            LongPrompts::Refuse => {
                return Err(StageError::Invalid(format!(
                    "{what}\nhint: lower `max_new_tokens`, or set `long_prompts = \"truncate-left\"`"
                )));
            }
            LongPrompts::TruncateLeft => context
                .report
                .warn(format!("{what}; cut on the left to {room} tokens")),
        }
    }
    Ok(prompts)
}
