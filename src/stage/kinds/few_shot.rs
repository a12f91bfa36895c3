//! Answered examples before a question.
//!
//! One order of the examples is drawn by the seed, and before each question stand the first of it that are not the question
//! itself: the same before all, and its own answer before none. An example's place follows from its words and the seed
//! alone, so that more questions in the data move none of them.

use super::training_text::{gold_answer, reasoning};
use crate::key::{Digest, canonical_json};
use crate::stage::{Context, ParamError, Port, StageError};
use crate::text::{ChoiceAnswer, FewShot, PromptSpec, Question, Reading, answer_sentence};

/// The port that they come in at.
pub(crate) const EXAMPLES: Port = Port::questions(
    "examples",
    "data.train",
    "With `few_shot` in `prompt`: the questions that examples are of.",
)
.only_with("prompt.few_shot");

/// What is wrong with what is fed.
pub(crate) fn port_errors(spec: &PromptSpec, fed: &[&str]) -> Vec<ParamError> {
    if spec.few_shot.is_some() || !fed.contains(&EXAMPLES.name) {
        return Vec::new();
    }
    vec![ParamError {
        field: EXAMPLES.name.to_owned(),
        message: "examples stand before a question only where the prompt shows some".to_owned(),
        hint: Some(
            "add `prompt = { template = \"answer\", few_shot = { count = 4 } }`, or leave `examples` out"
                .to_owned(),
        ),
    }]
}

/// The examples of a prompt.
#[derive(Clone, Debug)]
pub(crate) struct Shots {
    /// In the order of their seed.
    order: Vec<Question>,
    shown: FewShot,
}

impl Shots {
    /// Those that `spec` asks for, of the questions that come in; `None` where it asks for none.
    pub(crate) fn of(spec: &PromptSpec, context: &Context<'_>) -> Result<Option<Self>, StageError> {
        let Some(shown) = spec.few_shot.clone() else {
            return Ok(None);
        };
        let questions: Option<Vec<Question>> = context.optional_input(EXAMPLES.name)?;
        let questions = questions.ok_or_else(|| {
            StageError::Invalid(
                "the student was trained on a prompt with examples, and none come in\nhint: add `examples = \"data.train\"`, or say another `prompt`".to_owned(),
            )
        })?;
        Ok(Some(Self::new(shown, questions)))
    }

    pub(super) fn new(shown: FewShot, mut questions: Vec<Question>) -> Self {
        let place = |question: &Question| {
            let parts =
                serde_json::json!(["few-shot/1", shown.seed, question.id, question.asked()]);
            Digest::of(canonical_json(&parts).as_bytes()).to_string()
        };
        questions.sort_by_cached_key(place);
        Self {
            order: questions,
            shown,
        }
    }

    /// What stands between examples.
    pub(crate) fn separator(&self) -> &str {
        &self.shown.separator
    }

    /// The examples before `question`.
    ///
    /// # Errors
    /// There are too few besides it.
    pub(crate) fn before(&self, question: &Question) -> Result<Vec<&Question>, StageError> {
        let count = self.shown.count as usize;
        let others = self.order.iter().filter(|each| !is_same(each, question));
        let chosen: Vec<&Question> = others.take(count).collect();
        if chosen.len() < count {
            return Err(StageError::Invalid(format!(
                "`few_shot` shows {count} examples, and of the {} questions at `examples` only {} are not `{}` itself\nhint: lower `count`, or name other questions by `examples`",
                self.order.len(),
                chosen.len(),
                question.id
            )));
        }
        Ok(chosen)
    }

    /// An example's answer as a training text has it, with its reference solution where one is there and wanted.
    pub(crate) fn answer(&self, example: &Question, choice_answer: ChoiceAnswer) -> String {
        let gold = gold_answer(example, choice_answer);
        let rationale = example
            .rationale
            .as_deref()
            .filter(|_| self.shown.rationales);
        match rationale.map(|text| reasoning(text, &[], Reading::Standard)) {
            Some(reasoning) if !reasoning.is_empty() => reasoning + &answer_sentence(&gold),
            _ => format!(" {gold}."),
        }
    }
}

/// Whether two questions have one answer, as far as their words tell.
fn is_same(one: &Question, other: &Question) -> bool {
    let words = |question: &Question| -> Vec<String> {
        let words = question.question.split_whitespace();
        words.map(str::to_lowercase).collect()
    };
    let solved = one.rationale.is_some() && one.rationale == other.rationale;
    one.id == other.id || solved || words(one) == words(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn question(id: usize) -> Question {
        Question {
            id: format!("q-{id}"),
            question: format!("Is {id} even?"),
            choices: Vec::new(),
            form: AnswerForm::YesNo,
            answer: if id.is_multiple_of(2) { "yes" } else { "no" }.into(),
            rationale: (id == 3).then(|| "3 is 2 and 1. The answer is no.".to_owned()),
        }
    }

    fn shots(count: u32, seed: u64, questions: usize) -> Shots {
        let shown = FewShot {
            count,
            seed,
            ..FewShot::default()
        };
        Shots::new(shown, (0..questions).map(question).collect())
    }

    fn ids(shots: &Shots, question: &Question) -> Vec<String> {
        let before = shots.before(question).unwrap();
        before.into_iter().map(|each| each.id.clone()).collect()
    }

    #[test]
    fn examples_are_the_same_before_all_questions_but_never_the_question_itself() {
        let stranger = question(1000);
        let eight = shots(4, 1, 8);
        let shown = ids(&eight, &stranger);
        assert_eq!(shown.len(), 4);
        assert_eq!(ids(&shots(4, 1, 8), &stranger), shown);
        assert_ne!(ids(&shots(4, 2, 8), &stranger), shown);
        // A prefix of what more would be shown; more data moves none of those that stay.
        assert_eq!(ids(&shots(2, 1, 8), &stranger), shown[..2]);
        let more = ids(&shots(12, 1, 12), &stranger);
        let kept: Vec<_> = more.into_iter().filter(|id| shown.contains(id)).collect();
        assert_eq!(kept, shown);
        for place in 0..8 {
            let asked = question(place);
            let before = ids(&eight, &asked);
            assert!(before.len() == 4 && !before.contains(&asked.id));
            // The same words under another id are the same question.
            let again = Question {
                id: "other".into(),
                question: asked.question.to_uppercase(),
                ..asked
            };
            assert_eq!(ids(&eight, &again), before);
        }
    }

    #[test]
    fn too_few_are_told_with_the_question() {
        let error = shots(4, 0, 4).before(&question(2)).unwrap_err().to_string();
        assert!(
            error.starts_with("`few_shot` shows 4 examples, and of the 4 questions at `examples` only 3 are not `q-2` itself\nhint: "),
            "{error}"
        );
    }

    #[test]
    fn answers_are_written_as_training_texts_have_them() {
        let shots = shots(1, 0, 1);
        let written = |id| shots.answer(&question(id), ChoiceAnswer::Letter);
        assert_eq!(written(2), " yes.");
        assert_eq!(written(3), " 3 is 2 and 1. So the answer is no.");
        let bare = Shots {
            shown: FewShot {
                rationales: false,
                ..FewShot::default()
            },
            ..shots
        };
        assert_eq!(bare.answer(&question(3), ChoiceAnswer::Letter), " no.");
    }
}
