//! How likely a path makes the gold answer: the declared stand-in for a judge (ours).
//!
//! The text is a training text's (paper, II): `{prompt} {r} So the answer is {a}.`, with `r` the path up to
//! any answer sentence of its own. What is scored is ` {a}.`, each legal answer in turn, after all before it,
//! so the scoring student's tokens are those it would train on.

use super::examples::{gold_answer, reasoning};
use super::predict::legal_answers;
use super::score::{Asked, Cuts, Measure, Scoring};
use crate::model::ScoreJob;
use crate::stage::StageError;
use crate::text::{ANSWER_CUE, ChoiceAnswer, Question, ReasoningPath};

impl Scoring<'_> {
    /// The answers after each path, written as the scoring student was trained to write them. A path
    /// too long for the context takes room from its prompt, then loses the end of its reasoning, never its answer.
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
        let end_marks = self.student.end_marks();
        let cue = self.student.tokenizer.encode(ANSWER_CUE)?;
        let answer_room = cue.len() + answers.iter().map(Answers::longest).max().unwrap_or(0);
        let prompts = self.prompts()?;
        let mut cuts = Cuts::default();
        let mut asked = Vec::with_capacity(paths.len());
        for path in paths {
            let place = self.place(path)?;
            let most = self.most(&prompts[place]).checked_sub(answer_room);
            let most = most.ok_or_else(|| {
                StageError::Invalid(format!(
                    "the answer to `{}` does not fit in the scoring student's context of {} tokens\nhint: score with a student of a longer context",
                    path.question_id, self.student.config.n_positions
                ))
            })?;
            let reasoning = reasoning(&path.text, &end_marks, self.params.reading);
            let mut reasoning = self.student.tokenizer.encode(&reasoning)?;
            cuts.paths += usize::from(reasoning.len() > most);
            reasoning.truncate(most);
            let after = reasoning.len() + answer_room;
            let mut prompt = self.fitted(&prompts[place], after, path, &mut cuts);
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
        self.tell(&cuts, paths.len())?;
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
