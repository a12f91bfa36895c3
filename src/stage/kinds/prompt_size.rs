//! How long prompts are, before there is a student that could tell.

use crate::stage::Size;
use crate::text::{AnswerForm, Asks, PromptForm, PromptSpec, Question};

/// Bytes of a token, roughly (ours).
const BYTES_PER_TOKEN: usize = 4;
/// Tokens that a chat template puts around a message, roughly (ours).
const AROUND_MESSAGE: usize = 6;
/// Tokens of the system message that many templates have where none is given, roughly (ours).
const USUAL_SYSTEM: usize = 24;
/// Tokens of an example's answer, its reference solution left aside (ours).
const ANSWER: usize = 8;

/// Tokens of the prompt for a question of these, on average and roughly: by what the manifest declares.
pub(crate) fn prompt_tokens(spec: &PromptSpec, questions: &Size) -> u64 {
    let of_text = |text: &str| text.len().div_ceil(BYTES_PER_TOKEN);
    let (once, each) = match &spec.asks {
        Asks::Form(form) => (0, of_form(*form)),
        Asks::Template(text) => (0, of_text(text)),
        Asks::Chat(chat) => {
            let system = chat.system.as_deref().map_or(USUAL_SYSTEM, of_text);
            let user = of_text(&chat.user) + 2 * AROUND_MESSAGE;
            (system + AROUND_MESSAGE, user)
        }
    };
    let shown = spec.few_shot.as_ref();
    let (count, between) = shown.map_or((0, 0), |shown| {
        (shown.count as usize, ANSWER + of_text(&shown.separator))
    });
    let fixed = once + each + count * (each + between);
    let asked = questions.tokens_per_row().saturating_mul(1 + count as u64);
    asked.saturating_add(fixed as u64)
}

/// What a form of the paper's adds to a question.
fn of_form(form: PromptForm) -> usize {
    let question = Question {
        id: String::new(),
        question: String::new(),
        choices: Vec::new(),
        form: AnswerForm::Text,
        answer: String::new(),
        rationale: None,
    };
    form.prompt(&question).len().div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Ten questions of twelve tokens.
    fn tokens(prompt: Value) -> u64 {
        let questions = Size {
            rows: 10,
            tokens: 120,
            model: None,
        };
        prompt_tokens(&serde_json::from_value(prompt).unwrap(), &questions)
    }

    #[test]
    fn what_a_manifest_declares_is_counted() {
        // `Question:  Answer:` is 18 bytes.
        assert_eq!(tokens(json!("answer")), 12 + 5);
        assert_eq!(tokens(json!("step-by-step")), 12 + 11);
        assert_eq!(
            tokens(json!(format!("{{question}}{}", "x".repeat(390)))),
            12 + 100
        );
        let shown =
            json!({ "template": "answer", "few_shot": { "count": 6, "separator": "\n\n" } });
        assert_eq!(tokens(shown), 7 * (12 + 5) + 6 * (8 + 1));
        let chat = tokens(json!("chat"));
        let told = json!({ "chat": { "system": "x".repeat(400) } });
        assert_eq!(tokens(told), chat - 24 + 100);
    }
}
