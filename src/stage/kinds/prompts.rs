//! Prompts as tokens, with the declared rule for those that do not fit the context.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prompter::Prompter;
use crate::model::{PromptText, Student, WeightFiles};
use crate::stage::{Context, StageError};
use crate::text::{Hint, Question};

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
    pub(crate) asked: PromptText,
    pub(crate) tokens: Vec<u32>,
    /// Tokens that had to go on the left.
    pub(crate) cut: usize,
}

/// Cuts a prompt on the left until it has at most `room` tokens: what the tokenizer puts before every text stays. How many
/// had to go.
pub(crate) fn cut_left(
    tokens: &mut Vec<u32>,
    room: usize,
    student: &Student<WeightFiles>,
) -> usize {
    let cut = tokens.len().saturating_sub(room);
    if cut > 0 {
        // A chat's text has no beginning but its template's.
        let prefix = student.tokenizer.prefix();
        let prefix = if tokens.starts_with(prefix) {
            prefix.len()
        } else {
            0
        };
        let kept = prefix.min(room.saturating_sub(1));
        tokens.drain(kept..kept + cut);
    }
    cut
}

/// The prompts of `questions` in order, each giving away what `hint` says.
pub(crate) fn prompts(
    context: &Context<'_>,
    student: &Student<WeightFiles>,
    questions: &[Question],
    (prompter, hint): (&Prompter<'_>, Hint),
    max_new_tokens: u32,
    rule: LongPrompts,
) -> Result<Vec<Prompt>, StageError> {
    let positions = student.architecture.context;
    let room = positions
        .saturating_sub((max_new_tokens as usize).min(positions / 2))
        .max(1);
    let mut long = Vec::new();
    let mut prompts = Vec::with_capacity(questions.len());
    for question in questions {
        let asked = prompter.prompt(question, hint)?;
        let mut tokens = student.tokenizer.encode_prompt(&asked)?;
        let cut = cut_left(&mut tokens, room, student);
        if cut > 0 {
            long.push(question.id.as_str());
        }
        prompts.push(Prompt { asked, tokens, cut });
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
