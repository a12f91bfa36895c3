//! How likely a path makes the gold answer: the declared stand-in for a judge (ours).
//!
//! The text is a training text's (paper, II): `{prompt} {r} So the answer is {a}.`, with `r` the path up to
//! any answer sentence of its own. What is scored is ` {a}.`, each legal answer in turn, after all before it,
//! so the scoring student's tokens are those it would train on.

use super::predict::legal_answers;
use super::score::{Asked, Cuts, Measure, Scoring};
use super::training_text::gold_answer;
use crate::model::{PromptText, ScoreJob};
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
        let tokenizer = &self.student.tokenizer;
        let answers = self
            .questions
            .iter()
            .map(|question| self.answers(question, form))
            .collect::<Result<Vec<_>, _>>()?;
        // The longest of all questions, so that all paths are cut alike.
        let mut answer_room = 0;
        for answers in &answers {
            let (_, [cue], tokens) =
                tokenizer.encode_choices(&PromptText::default(), [ANSWER_CUE], &answers.texts)?;
            answer_room = answer_room.max(room(&cue, &tokens));
        }
        let of_path = (paths.iter())
            .map(|path| Ok(&answers[self.place(path)?]))
            .collect::<Result<Vec<_>, StageError>>()?;
        let texts: Vec<&[String]> = of_path.iter().map(|each| &*each.texts).collect();
        let jobs = self.after_cue(paths, &texts, answer_room)?;
        let asked = jobs.into_iter().zip(of_path);
        Ok(asked
            .map(|(job, answers)| Asked {
                job,
                gold: answers.gold,
            })
            .collect())
    }

    /// Each path up to any answer sentence of its own and ` So the answer is`, with its texts of `answers` to follow, for
    /// which `answer_room` tokens are kept at least. What does not fit is cut, and told.
    pub(super) fn after_cue(
        &self,
        paths: &[ReasoningPath],
        answers: &[&[String]],
        answer_room: usize,
    ) -> Result<Vec<ScoreJob>, StageError> {
        let tokenizer = &self.student.tokenizer;
        let end_marks = self.student.end_marks();
        let mut cuts = Cuts::default();
        let mut jobs = Vec::with_capacity(paths.len());
        for (path, answers) in paths.iter().zip(answers) {
            let prompt = self.prompt(path)?;
            let reasoning = self.reasoning(path, &end_marks);
            let parts = match prompt.led(&reasoning) {
                "" => ["", prompt.led(ANSWER_CUE)],
                reasoning => [reasoning, ANSWER_CUE],
            };
            let (prompt, [mut reasoning, cue], continuations) =
                tokenizer.encode_choices(&prompt, parts, answers)?;
            let answer_room = answer_room.max(room(&cue, &continuations));
            let most = self.most(&prompt).checked_sub(answer_room);
            let most = most.ok_or_else(|| {
                StageError::Invalid(format!(
                    "the answer to `{}` does not fit in the scoring student's context of {} tokens\nhint: score with a student of a longer context",
                    path.question_id, self.student.architecture.context
                ))
            })?;
            cuts.paths += usize::from(reasoning.len() > most);
            reasoning.truncate(most);
            let after = reasoning.len() + answer_room;
            let mut prompt = self.fitted(&prompt, after, path, &mut cuts);
            prompt.extend(reasoning);
            prompt.extend(cue);
            jobs.push(ScoreJob {
                prompt,
                continuations,
            });
        }
        self.tell(&cuts, paths.len())?;
        Ok(jobs)
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
        Ok(Answers {
            texts: texts.into_iter().map(|text| text + ".").collect(),
            gold: place,
        })
    }
}

/// The answers scored for one question.
struct Answers {
    texts: Vec<String>,
    gold: usize,
}

/// Tokens that the longest of some answers takes after the cue.
fn room(cue: &[u32], answers: &[Vec<u32>]) -> usize {
    cue.len() + answers.iter().map(Vec::len).max().unwrap_or(0)
}
