//! Training texts as tokens (paper, II).

use std::collections::BTreeMap;

use super::training::Written;
use crate::model::StudentTokenizer;
use crate::model::train::{Example, Keep};
use crate::stage::{Context, StageError};
use crate::text::{
    AnswerForm, ChoiceAnswer, END_OF_TEXT, Question, Reading, ReasoningPath, answer_sentence,
    reasoning_part,
};

/// Writes training examples for one student.
pub(crate) struct ExampleWriter<'a> {
    pub(crate) tokenizer: &'a StudentTokenizer,
    pub(crate) end_of_text: u32,
    pub(crate) written: Written,
}

impl ExampleWriter<'_> {
    fn answer(&self, question: &Question) -> String {
        gold_answer(question, self.written.choice_answer)
    }

    /// `{prompt} {a}.`: the label-only baseline (paper, III-A; the full stop is ours).
    pub(crate) fn label(&self, question: &Question) -> Result<Example, StageError> {
        self.example(question, &format!(" {}.", self.answer(question)))
    }

    /// `{prompt} {r} So the answer is {a}.`, where `r` stops before any answer sentence of its own.
    pub(crate) fn reasoned(&self, question: &Question, path: &str) -> Result<Example, StageError> {
        let text = reasoning(path, self.written.reading) + &answer_sentence(&self.answer(question));
        self.example(question, &text)
    }

    /// What comes in at the optional port `validation`: with the paths of `validation_paths` where
    /// they are given, on answers only where not.
    ///
    /// # Errors
    /// `keep = "best"` for a student that trains on paths, without validation paths: a student that
    /// learns to reason gets worse at answering outright, and the best epoch would be the first.
    pub(crate) fn validation(
        &self,
        context: &Context<'_>,
        on_paths: bool,
        keep: Keep,
    ) -> Result<Vec<Example>, StageError> {
        let questions: Vec<Question> = context.optional_input("validation")?.unwrap_or_default();
        let paths: Option<Vec<ReasoningPath>> = context.optional_input("validation_paths")?;
        match paths {
            Some(paths) => from_paths(self, &questions, &paths),
            None if on_paths && keep == Keep::Best => Err(StageError::Invalid(
                "`keep = \"best\"` on paths needs paths to validate on\nhint: name them with `validation_paths`, for example a teacher's on `data.validation`, or keep the last epoch".to_owned(),
            )),
            None => questions.iter().map(|question| self.label(question)).collect(),
        }
    }

    fn example(&self, question: &Question, completion: &str) -> Result<Example, StageError> {
        // Byte-level BPE splits words at the space before them, so prompt and completion encoded
        // apart give the tokens of the whole text.
        let mut tokens = self
            .tokenizer
            .encode(&self.written.prompt.prompt(question))?;
        let loss_from = tokens.len();
        tokens.extend(self.tokenizer.encode(completion)?);
        tokens.push(self.end_of_text);
        Ok(Example { tokens, loss_from })
    }
}

/// The gold answer as training texts write it.
pub(crate) fn gold_answer(question: &Question, choice_answer: ChoiceAnswer) -> String {
    match question.form {
        AnswerForm::Choice => choice_answer.written(question, &question.answer),
        _ => question.answer.clone(),
    }
}

/// ` {r}`, a path's reasoning as training texts write it: up to any answer sentence of its own. Empty
/// where the path opens with one.
pub(crate) fn reasoning(path: &str, reading: Reading) -> String {
    // A path may begin with end-of-text (paper, Figure 2). In a training text it would teach the
    // student to end before it begins, so it is left out (ours; the paper is silent).
    let path = path.replace(END_OF_TEXT, "");
    match reasoning_part(&path, reading).trim() {
        "" => String::new(),
        reasoning => format!(" {reasoning}"),
    }
}

/// Examples for every path whose question is among `questions`, in the order of the paths.
pub(crate) fn from_paths(
    writer: &ExampleWriter<'_>,
    questions: &[Question],
    paths: &[ReasoningPath],
) -> Result<Vec<Example>, StageError> {
    let by_id: BTreeMap<&str, &Question> = questions.iter().map(|q| (q.id.as_str(), q)).collect();
    let joined: Vec<(&Question, &ReasoningPath)> = paths
        .iter()
        .filter_map(|path| Some((*by_id.get(path.question_id.as_str())?, path)))
        .collect();
    if joined.len() < paths.len() {
        let stranger = paths
            .iter()
            .find(|path| !by_id.contains_key(path.question_id.as_str()));
        return Err(StageError::Invalid(format!(
            "{} of {} paths belong to none of the {} questions (first: `{}`)\nhint: `paths` and `questions` must come from one dataset and one split",
            paths.len() - joined.len(),
            paths.len(),
            questions.len(),
            stranger.map_or("", |path| &path.question_id),
        )));
    }
    joined
        .into_iter()
        .map(|(question, path)| writer.reasoned(question, &path.text))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Digest;
    use crate::text::{EndReason, PromptForm};

    fn question(choices: &[&str], form: AnswerForm, answer: &str) -> Question {
        Question {
            id: "q".into(),
            question: "Where do bees live?".into(),
            choices: choices.iter().map(|&c| c.into()).collect(),
            form,
            answer: answer.into(),
            rationale: None,
        }
    }

    fn texts(
        form: PromptForm,
        choice_answer: ChoiceAnswer,
        question: &Question,
        path: Option<&str>,
    ) -> (String, String) {
        let tokenizer =
            StudentTokenizer::train(["Question: Answer: bees live".to_owned()].into_iter(), 260)
                .unwrap();
        let writer = ExampleWriter {
            tokenizer: &tokenizer,
            end_of_text: tokenizer.eos_id(),
            written: Written {
                prompt: form,
                choice_answer,
                reading: Reading::default(),
            },
        };
        let example = match path {
            Some(path) => writer.reasoned(question, path).unwrap(),
            None => writer.label(question).unwrap(),
        };
        let (prompt, completion) = example.tokens.split_at(example.loss_from);
        (
            tokenizer.decode(prompt).unwrap(),
            tokenizer.decode(completion).unwrap(),
        )
    }

    #[test]
    fn texts_are_the_papers() {
        let yes_no = question(&[], AnswerForm::YesNo, "no");
        let (prompt, completion) = texts(PromptForm::Answer, ChoiceAnswer::Letter, &yes_no, None);
        assert_eq!(prompt, "Question: Where do bees live? Answer:");
        assert_eq!(completion, " no.<|endoftext|>");
        // The path's own answer sentence goes, whatever it says.
        let path = " Bees live in hives. So the answer is yes.";
        let (_, completion) = texts(
            PromptForm::Answer,
            ChoiceAnswer::Letter,
            &yes_no,
            Some(path),
        );
        assert_eq!(
            completion,
            " Bees live in hives. So the answer is no.<|endoftext|>"
        );
        let (prompt, completion) = texts(
            PromptForm::StepByStep,
            ChoiceAnswer::Letter,
            &yes_no,
            Some(" So the answer is yes."),
        );
        assert!(prompt.ends_with("Answer: Let's think step by step."));
        assert_eq!(completion, " So the answer is no.<|endoftext|>");
    }

    #[test]
    fn choices_are_written_as_declared() {
        let choice = question(&["sea", "hive"], AnswerForm::Choice, "B");
        for (declared, written) in [
            (ChoiceAnswer::Letter, " (B).<|endoftext|>"),
            (ChoiceAnswer::Text, " hive.<|endoftext|>"),
            (ChoiceAnswer::Both, " (B) hive.<|endoftext|>"),
        ] {
            assert_eq!(
                texts(PromptForm::Answer, declared, &choice, None).1,
                written
            );
        }
    }

    #[test]
    fn paths_of_other_questions_are_refused_with_their_number() {
        let tokenizer = StudentTokenizer::train(std::iter::empty(), 260).unwrap();
        let writer = ExampleWriter {
            tokenizer: &tokenizer,
            end_of_text: tokenizer.eos_id(),
            written: Written::default(),
        };
        let stranger = ReasoningPath {
            question_id: "elsewhere-1".into(),
            row: Digest::of(b""),
            first_token: None,
            draw: 0,
            text: String::new(),
            tokens: Vec::new(),
            log_prob: None,
            end: EndReason::Unknown,
            answer_text: None,
            scores: BTreeMap::new(),
            unparsed: std::collections::BTreeSet::new(),
        };
        let error = from_paths(
            &writer,
            &[question(&[], AnswerForm::YesNo, "no")],
            &[stranger],
        )
        .unwrap_err();
        assert!(error.to_string().contains("1 of 1 paths"), "{error}");
        assert!(error.to_string().contains("elsewhere-1"), "{error}");
    }
}
