//! Training texts as tokens (paper, II).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::append_answer::AppendAnswer;
use super::prompter::Prompter;
use super::training_text::{
    gold_answer, reasoning, thought_and_reasoning, with_thought, without_marks, written_answer,
};
use crate::filter::concluded;
use crate::model::Student;
use crate::model::train::{Example, Keep, TrainOptions};
use crate::stage::{Context, StageError};
use crate::text::{
    ChoiceAnswer, EndReason, Hint, PromptSpec, Question, Reading, ReasoningPath, answer_sentence,
};

/// How the training texts are written; the trained student is asked in the same form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub(crate) prompt: PromptSpec,
    pub(crate) choice_answer: ChoiceAnswer,
    /// By which rule a path's own answer is found, which the gold one takes the place of.
    pub(crate) reading: Reading,
    /// What answer stands at a path's end.
    pub(crate) append_answer: AppendAnswer,
}

/// What to do with a training text longer than the context or `max_length_tokens`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TooLong {
    /// Leave it out: what is left of it would teach to reason without an end.
    #[default]
    Drop,
    /// Cut the end of its reasoning, so that its answer and the end of text stay; leave it out where no reasoning
    /// would be left.
    CutReasoning,
    /// Cut its end off, answer and end of text with it.
    Cut,
}

impl TooLong {
    /// The name in a manifest.
    fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::CutReasoning => "cut-reasoning",
            Self::Cut => "cut",
        }
    }
}

/// Training texts, and what became of those that were too long.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Texts {
    pub(crate) examples: Vec<Example>,
    /// Left out.
    pub(crate) dropped: usize,
    /// Without the end of their reasoning.
    pub(crate) cut: usize,
    /// Paths that were left out since no answer of their own can be read.
    pub(crate) unread: usize,
    /// Tokens of the longest, before anything was cut.
    pub(crate) longest: usize,
    /// Whole ones that the chat template closes with no token that ends a text of the student's.
    pub(crate) endless: usize,
}

impl Texts {
    /// How many there were.
    fn count(&self) -> usize {
        self.examples.len() + self.dropped
    }
}

/// Writes training examples for one student.
pub(crate) struct ExampleWriter<'a> {
    student: &'a Student,
    prompter: &'a Prompter<'a>,
    /// Ends of text, as paths may have them written out.
    end_marks: Vec<String>,
    written: Written,
    too_long: TooLong,
    /// Tokens of a text at most.
    room: usize,
}

impl<'a> ExampleWriter<'a> {
    pub(crate) fn new(
        student: &'a Student,
        prompter: &'a Prompter<'a>,
        written: Written,
        too_long: TooLong,
        options: &TrainOptions,
    ) -> Self {
        Self {
            student,
            prompter,
            end_marks: student.end_marks(),
            written,
            too_long,
            room: options.longest(student.architecture.context),
        }
    }

    fn answer(&self, question: &Question) -> String {
        gold_answer(question, self.written.choice_answer)
    }

    /// `{prompt} {a}.` for each question: the label-only baseline (paper, III-A; the full stop is ours).
    pub(crate) fn labels(&self, questions: &[Question]) -> Result<Texts, StageError> {
        let mut texts = Texts::default();
        for question in questions {
            let answer = format!(" {}.", self.answer(question));
            self.add(&mut texts, question, (None, ["", &answer]))?;
        }
        Ok(texts)
    }

    /// `{prompt} {r} So the answer is {a}.` for each path, in order, where `r` stops before any answer sentence of its
    /// own; or the path as it was written, after the prompt of its question without any hint.
    ///
    /// # Errors
    /// A path of none of the questions.
    pub(crate) fn paths(
        &self,
        questions: &[Question],
        paths: &[ReasoningPath],
    ) -> Result<Texts, StageError> {
        let mut texts = Texts::default();
        for (question, path) in joined(questions, paths)? {
            let answer = match self.written.append_answer {
                AppendAnswer::Gold => self.answer(question),
                AppendAnswer::Own => {
                    let own = concluded(path, question, self.written.reading);
                    let Some(own) = own else {
                        texts.unread += 1;
                        continue;
                    };
                    written_answer(question, &own, self.written.choice_answer)
                }
                AppendAnswer::No => {
                    self.add_as_written(&mut texts, question, path)?;
                    continue;
                }
            };
            let (marks, reading) = (&self.end_marks, self.written.reading);
            let (thought, reasoning) = if self.prompter.is_form() {
                (None, reasoning(&path.text, marks, reading))
            } else {
                thought_and_reasoning(&path.text, marks, reading)
            };
            let said = [reasoning.as_str(), &answer_sentence(&answer)];
            self.add(&mut texts, question, (thought.as_deref(), said))?;
        }
        Ok(texts)
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
    ) -> Result<Texts, StageError> {
        let questions: Vec<Question> = context.optional_input("validation")?.unwrap_or_default();
        let paths: Option<Vec<ReasoningPath>> = context.optional_input("validation_paths")?;
        match paths {
            Some(paths) => self.paths(&questions, &paths),
            None if on_paths && keep == Keep::Best => Err(StageError::Invalid(
                "`keep = \"best\"` on paths needs paths to validate on\nhint: name them with `validation_paths`, for example a teacher's on `data.validation`, or keep the last epoch".to_owned(),
            )),
            None => self.labels(&questions),
        }
    }

    /// Tells of training texts that were left out or cut, and keeps the number of those that were too long with the
    /// result.
    pub(crate) fn tell_left_out(&self, context: &Context<'_>, texts: &Texts, validation: &Texts) {
        for (what, texts) in [("training", texts), ("validation", validation)] {
            if texts.unread > 0 {
                context.report.warn(format!(
                    "{} {what} paths conclude no answer of their own that can be read, and were left out (`append_answer = \"own\"`)",
                    texts.unread
                ));
            }
        }
        if texts.endless > 0 {
            let ends = self.student.vocabulary.ends().iter();
            let ends: Vec<String> = ends
                .filter_map(|id| self.student.tokenizer.decode(&[*id]).ok())
                .collect();
            context.report.warn(format!(
                "the chat template closes {} of {} answers with none of the tokens that end a text of this student ({}): it would learn no end",
                texts.endless,
                texts.count(),
                ends.join(", ")
            ));
        }
        let rule = self.too_long.name();
        for (what, texts) in [("training", texts), ("validation", validation)] {
            if texts.dropped + texts.cut == 0 {
                continue;
            }
            let mut done = Vec::new();
            if texts.dropped > 0 {
                done.push(format!("{} were left out", texts.dropped));
            }
            if texts.cut > 0 {
                done.push(format!("{} lost the end of their reasoning", texts.cut));
            }
            context.report.warn(format!(
                "{} of {} {what} texts are longer than {} tokens (`too_long = \"{rule}\"`): {}; the longest has {}",
                texts.dropped + texts.cut,
                texts.count(),
                self.room,
                done.join(", "),
                texts.longest
            ));
        }
        if texts.dropped + texts.cut > 0 {
            let told = json!({
                "rule": rule,
                "texts": texts.count(),
                "dropped": texts.dropped,
                "cut": texts.cut,
            });
            context.record_use("too_long", told);
        }
    }

    /// Adds the text `{prompt}{reasoning}{close}` with its end; in a chat, what the template makes of it and counts.
    fn add(
        &self,
        texts: &mut Texts,
        question: &Question,
        (thought, [reasoning, close]): (Option<&str>, [&str; 2]),
    ) -> Result<(), StageError> {
        let tokenizer = &self.student.tokenizer;
        let content = format!("{reasoning}{close}");
        let content = content.trim_start();
        if let Some((text, counted)) = self.prompter.chat_training(question, thought, content)? {
            // What closes the text may have been altered by the template; then all of it is.
            let answer = &text.text[counted.clone()];
            let close = answer.rfind(close.trim_start()).unwrap_or(0);
            let borders = [counted.start, counted.start + close, counted.end];
            let (prompt, [reasoning, close, _]) = tokenizer.encode_split(&text, borders)?;
            let ends = self.student.vocabulary.ends();
            texts.endless += usize::from(!close.iter().any(|token| ends.contains(token)));
            self.put(texts, prompt, [reasoning, close]);
            return Ok(());
        }
        let prompt = self.prompter.prompt(question, Hint::None)?;
        let reasoning = with_thought(thought, reasoning);
        let parts = match prompt.led(&reasoning) {
            "" => ["", prompt.led(close)],
            reasoning => [reasoning, close],
        };
        let (prompt, [reasoning, mut close]) = tokenizer.encode_parts(&prompt, parts)?;
        close.push(tokenizer.eos_id());
        self.put(texts, prompt, [reasoning, close]);
        Ok(())
    }

    /// Adds a path as it was written after its prompt, with the token that ended it unless it was cut short: it does not
    /// end there.
    fn add_as_written(
        &self,
        texts: &mut Texts,
        question: &Question,
        path: &ReasoningPath,
    ) -> Result<(), StageError> {
        let tokenizer = &self.student.tokenizer;
        let prompt = self.prompter.prompt(question, Hint::None)?;
        let text = without_marks(&path.text, &self.end_marks);
        let (prompt, [text]) = tokenizer.encode_parts(&prompt, [&text])?;
        let mut close = Vec::new();
        if matches!(path.end, EndReason::EndOfText | EndReason::Unknown) {
            // A chat's turn has an end of its own.
            let ends = self.student.vocabulary.ends();
            let own = path
                .end_token
                .filter(|end| self.prompter.is_chat() && ends.contains(end));
            close.push(own.unwrap_or(tokenizer.eos_id()));
        }
        self.put(texts, prompt, [text, close]);
        Ok(())
    }

    /// Adds a text of tokens, unless it is too long.
    fn put(&self, texts: &mut Texts, mut tokens: Vec<u32>, [mut reasoning, close]: [Vec<u32>; 2]) {
        let loss_from = tokens.len();
        let length = loss_from + reasoning.len() + close.len();
        texts.longest = texts.longest.max(length);
        if length > self.room && self.too_long != TooLong::Cut {
            // What closes the text keeps its place, and the reasoning gets what the prompt leaves.
            reasoning.truncate(self.room.saturating_sub(loss_from + close.len()));
            if self.too_long == TooLong::Drop || reasoning.is_empty() {
                texts.dropped += 1;
                return;
            }
            texts.cut += 1;
        }
        tokens.extend(reasoning);
        tokens.extend(close);
        texts.examples.push(Example { tokens, loss_from });
    }
}

/// Each path with its question, in the order of the paths.
fn joined<'q, 'p>(
    questions: &'q [Question],
    paths: &'p [ReasoningPath],
) -> Result<Vec<(&'q Question, &'p ReasoningPath)>, StageError> {
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
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Digest;
    use crate::model::StudentTokenizer;
    use crate::model::architecture::Gpt2;
    use crate::text::{AnswerForm, PromptForm};

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

    fn student(tokenizer: StudentTokenizer) -> Student {
        let gpt2 = Gpt2 {
            vocab_rows: 320,
            context: 64,
            width: 2,
            layers: 1,
            heads: 1,
        };
        Student::init(gpt2.into(), tokenizer, 1).unwrap()
    }

    fn plain() -> Student {
        let text = "Question: Answer: bees live".to_owned();
        student(StudentTokenizer::train(std::iter::once(text), 260).unwrap())
    }

    fn path(text: &str) -> ReasoningPath {
        ReasoningPath {
            question_id: "q".into(),
            stream: Digest::of(b""),
            first_token: None,
            draw: 0,
            hint: crate::text::Hint::None,
            text: text.into(),
            tokens: Vec::new(),
            log_prob: None,
            end: EndReason::Unknown,
            end_token: None,
            answer_text: None,
            scores: BTreeMap::new(),
            unparsed: std::collections::BTreeSet::new(),
        }
    }

    fn written(form: PromptForm, choice_answer: ChoiceAnswer) -> Written {
        Written {
            prompt: PromptSpec::form(form),
            choice_answer,
            ..Written::default()
        }
    }

    fn prompter<'s>(student: &'s Student, written: &Written) -> Prompter<'s> {
        Prompter::with_shots(&written.prompt, None, student, written.choice_answer).unwrap()
    }

    fn texts(
        form: PromptForm,
        choice_answer: ChoiceAnswer,
        question: &Question,
        text: Option<&str>,
    ) -> (String, String) {
        let student = plain();
        let options = TrainOptions {
            max_length_tokens: Some(usize::MAX),
            ..TrainOptions::default()
        };
        let written = written(form, choice_answer);
        let prompter = prompter(&student, &written);
        let mut writer = ExampleWriter::new(&student, &prompter, written, TooLong::Drop, &options);
        writer.room = usize::MAX;
        let questions = std::slice::from_ref(question);
        let found = match text {
            Some(text) => writer.paths(questions, &[path(text)]).unwrap(),
            None => writer.labels(questions).unwrap(),
        };
        let example = &found.examples[0];
        let (prompt, completion) = example.tokens.split_at(example.loss_from);
        let decode = |tokens| student.tokenizer.decode(tokens).unwrap();
        (decode(prompt), decode(completion))
    }

    #[test]
    fn a_text_that_is_too_long_is_left_out_cut_short_or_cut_off() {
        let student = plain();
        let (question, reasoning) = (
            question(&[], AnswerForm::YesNo, "no"),
            " Bees live in hives of wax and not in the sea. So the answer is yes.",
        );
        let questions = std::slice::from_ref(&question);
        let made = |rule, most, text: Option<&str>| {
            let options = TrainOptions {
                max_length_tokens: Some(most),
                ..TrainOptions::default()
            };
            let prompter = prompter(&student, &Written::default());
            let mut writer =
                ExampleWriter::new(&student, &prompter, Written::default(), rule, &options);
            // Longer than this student's context, so that a whole text fits too.
            writer.room = most;
            match text {
                Some(text) => writer.paths(questions, &[path(text)]).unwrap(),
                None => writer.labels(questions).unwrap(),
            }
        };
        let shown = |texts: &Texts| {
            let shown = texts.examples.iter();
            let shown = shown.map(|each| student.tokenizer.decode(&each.tokens).unwrap());
            (shown.collect::<Vec<_>>(), texts.dropped, texts.cut)
        };
        let whole = made(TooLong::Drop, 1000, Some(reasoning));
        let length = whole.longest;
        assert_eq!((whole.dropped, whole.cut, whole.examples.len()), (0, 0, 1));
        for rule in [TooLong::Drop, TooLong::CutReasoning, TooLong::Cut] {
            // What fits stays as it is, to the last token.
            assert_eq!(made(rule, length, Some(reasoning)), whole);
        }
        let short = length - 1;
        assert_eq!(
            shown(&made(TooLong::Drop, short, Some(reasoning))),
            (vec![], 1, 0)
        );
        assert_eq!(
            shown(&made(TooLong::CutReasoning, short, Some(reasoning))),
            (
                vec!["Question: Where do bees live? Answer: Bees live in hives of wax and not in the sea So the answer is no.<|endoftext|>".to_owned()],
                0,
                1
            )
        );
        // The cut itself is the training's, as it always was.
        assert_eq!(made(TooLong::Cut, short, Some(reasoning)), whole);
        // One token of the reasoning is enough, none is not; an answer is never cut.
        let prompt = whole.examples[0].loss_from;
        let close = student.tokenizer.encode(" So the answer is no.").unwrap();
        let least = prompt + 1 + close.len() + 1;
        let found = made(TooLong::CutReasoning, least, Some(reasoning));
        assert_eq!((found.examples[0].tokens.len(), found.cut), (least, 1));
        for (most, text) in [
            (least - 1, Some(reasoning)),
            (3, Some(reasoning)),
            (8, None),
        ] {
            for rule in [TooLong::Drop, TooLong::CutReasoning] {
                assert_eq!(shown(&made(rule, most, text)), (vec![], 1, 0), "{most}");
            }
        }
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
    fn the_answer_at_a_paths_end_is_the_one_declared() {
        let student = plain();
        let options = TrainOptions {
            max_length_tokens: Some(usize::MAX),
            ..TrainOptions::default()
        };
        let questions = [question(&["sea", "hive"], AnswerForm::Choice, "B")];
        let cut = ReasoningPath {
            end: EndReason::Length,
            ..path(" Bees\nlive")
        };
        let paths = [path(" Bees live. So the answer is (A).<|endoftext|>"), cut];
        let made = |append_answer| {
            let form = Written {
                append_answer,
                ..written(PromptForm::Answer, ChoiceAnswer::Both)
            };
            let prompter = prompter(&student, &form);
            let mut writer = ExampleWriter::new(&student, &prompter, form, TooLong::Drop, &options);
            writer.room = usize::MAX;
            let texts = writer.paths(&questions, &paths).unwrap();
            let completion = |each: &Example| {
                student
                    .tokenizer
                    .decode(&each.tokens[each.loss_from..])
                    .unwrap()
            };
            (
                texts.examples.iter().map(completion).collect::<Vec<_>>(),
                texts.unread,
            )
        };
        let gold = " So the answer is (B) hive.<|endoftext|>";
        assert_eq!(
            made(AppendAnswer::Gold),
            (
                vec![format!(" Bees live.{gold}"), format!(" Bees\nlive{gold}")],
                0
            )
        );
        assert_eq!(
            made(AppendAnswer::Own),
            (
                vec![" Bees live. So the answer is (A) sea.<|endoftext|>".to_owned()],
                1
            )
        );
        // As they were written; what was cut goes on where it stops.
        assert_eq!(
            made(AppendAnswer::No),
            (
                vec![
                    " Bees live. So the answer is (A).<|endoftext|>".to_owned(),
                    " Bees\nlive".to_owned()
                ],
                0
            )
        );
    }

    #[test]
    fn paths_of_other_questions_are_refused_with_their_number() {
        let student = plain();
        let options = TrainOptions::default();
        let written = Written::default();
        let prompter = prompter(&student, &written);
        let writer = ExampleWriter::new(&student, &prompter, written, TooLong::Drop, &options);
        let stranger = ReasoningPath {
            question_id: "elsewhere-1".into(),
            ..path("")
        };
        let error = writer
            .paths(&[question(&[], AnswerForm::YesNo, "no")], &[stranger])
            .unwrap_err();
        assert!(error.to_string().contains("1 of 1 paths"), "{error}");
        assert!(error.to_string().contains("elsewhere-1"), "{error}");
    }
}
