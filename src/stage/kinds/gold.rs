//! How likely a path makes the gold answer: the declared stand-in for a judge (ours).
//!
//! The text is a training text's (paper, II): `{prompt} {r} So the answer is {a}.`, with `r` the path up to
//! any answer sentence of its own. What is scored is ` {a}.`, each legal answer in turn, after all before it,
//! so the scoring student's tokens are those it would train on.

use super::examples::{gold_answer, reasoning};
use super::predict::legal_answers;
use super::score::{Asked, Measure, Scoring};
use crate::model::engine::ScoreJob;
use crate::stage::StageError;
use crate::text::{ANSWER_CUE, ChoiceAnswer, Question, ReasoningPath};

impl Scoring<'_> {
    /// The answers after each path, written as the scoring student was trained to write them. A path
    /// too long for the context loses the end of its reasoning, never its answer.
    pub(super) fn gold(
        &self,
        paths: &[ReasoningPath],
        form: ChoiceAnswer,
    ) -> Result<Vec<Asked>, StageError> {
        let answers = self
            .questions
            .iter()
            .map(|question| self.answers(question, form))
            .collect::<Result<Vec<_>, _>>()?;
        let reasonings = paths
            .iter()
            .map(|path| {
                let reasoning = reasoning(&path.text, self.params.reading);
                Ok(self.student.tokenizer.encode(&reasoning)?)
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let cue = self.student.tokenizer.encode(ANSWER_CUE)?;
        let answer_room = cue.len() + answers.iter().map(Answers::longest).max().unwrap_or(0);
        let longest = reasonings.iter().map(Vec::len).max().unwrap_or(0);
        let prompts = self.prompts(longest + answer_room)?;
        let mut cut = 0;
        let mut asked = Vec::with_capacity(paths.len());
        for (path, mut reasoning) in paths.iter().zip(reasonings) {
            let place = self.place(path)?;
            let mut prompt = prompts[place].tokens.clone();
            let positions = self.student.config.n_positions;
            let room = positions
                .checked_sub(prompt.len() + answer_room)
                .ok_or_else(|| {
                    StageError::Invalid(format!(
                        "the answer to `{}` does not fit behind its question in the scoring student's context of {positions} tokens\nhint: score with a student of a longer context",
                        path.question_id
                    ))
                })?;
            cut += usize::from(reasoning.len() > room);
            reasoning.truncate(room);
            prompt.extend(reasoning);
            prompt.extend(&cue);
            asked.push(Asked {
                job: ScoreJob {
                    prompt,
                    continuations: answers[place].tokens.clone(),
                },
                gold: answers[place].gold,
            });
        }
        self.tell_cut(cut, paths.len());
        Ok(asked)
    }

    /// What is scored after each path of `question`: its legal answers, or the gold one alone where no
    /// other is needed.
    fn answers(&self, question: &Question, form: ChoiceAnswer) -> Result<Answers, StageError> {
        let gold = format!(" {}", gold_answer(question, form));
        let texts = match self.params.measure {
            Measure::GoldProbability => legal_answers(question, form),
            _ => vec![gold.clone()],
        };
        let place = texts.iter().position(|text| *text == gold).ok_or_else(|| {
            StageError::Invalid(format!(
                "`gold-probability` compares legal answers, and `{}` has none to compare: its answer is free\nhint: use `measure = \"gold-log-prob\"`",
                question.id
            ))
        })?;
        let encode = |text: &String| self.student.tokenizer.encode(&format!("{text}."));
        Ok(Answers {
            tokens: texts.iter().map(encode).collect::<Result<_, _>>()?,
            gold: place,
        })
    }
}

/// The answers scored for one question.
struct Answers {
    tokens: Vec<Vec<u32>>,
    gold: usize,
}

impl Answers {
    fn longest(&self) -> usize {
        self.tokens.iter().map(Vec::len).max().unwrap_or(0)
    }
}
