//! `score`: adds to paths what needs a model to judge them: perplexity under another student, or how likely
//! the gold answer becomes by them (in `gold`), or how sure it is of their own answer (in `margin`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::engine_params::{Engine, EngineName, retain_key_fields};
use super::few_shot::{EXAMPLES, port_errors};
use super::prompt_check::prompt_errors;
use super::prompt_size::prompt_tokens;
use super::prompter::Prompter;
use super::prompts::{LongPrompts, cut_left};
use super::rows::{cached_rows, in_parts, row_key};
use super::student_engine::once;
use super::training_text::{reasoning, thought_and_reasoning, with_thought};
use crate::artifact::ArtifactKind;
use crate::key::Digest;
use crate::model::ScoreJob;
use crate::model::{Arithmetic, Dtype, PromptText, Student, WeightFiles};
use crate::program::ProgramParams;
use crate::served::ServerParams;
use crate::stage::{
    Carried, Context, Estimate, Output, Outputs, ParamError, Port, ScoreRange, Sizes, StageError,
    StageKind, Work, product,
};
use crate::teacher::http::Endpoint;
use crate::text::{EndReason, Hint, PromptSpec, Question, Reading, ReasoningPath};

/// Parameters of `score`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(from = "WrittenParams")]
pub(crate) struct ScoreParams {
    /// The name under which the score is kept.
    pub name: String,
    /// What to measure.
    pub measure: Measure,
    /// The prompt before the path.
    pub prompt: PromptSpec,
    /// What to do with a prompt that does not fit.
    pub long_prompts: LongPrompts,
    /// The number format of weights and products.
    pub dtype: Dtype,
    /// By which rule a path's own answer is found.
    pub reading: Reading,
    /// What reads.
    pub engine: EngineName,
    /// The server that reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerParams>,
}

/// Parameters of `score` as a manifest writes them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct WrittenParams {
    /// The name under which the score is kept, and by which `filter` asks for it. Default: the
    /// measure's own, `perplexity`, `gold_log_prob`, `gold_probability` or `answer_margin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    name: Option<String>,
    /// What to measure. Default `perplexity`.
    measure: Measure,
    /// The prompt before the path (docs/prompts.md). Default `answer`: `Question: {q} Answer:`.
    prompt: PromptSpec,
    /// What to do with a prompt that leaves its path no room. Default `truncate-left` (ours).
    long_prompts: LongPrompts,
    /// Number format of weights and products. Default `f32` (ours). `bf16` and `f16` halve what weights take: on the
    /// CPU, whose products stay f32, and on a device that has them. `int8` is the CPU's, `tf32` is what `cuda` has for
    /// `f32`. With `engine = "server"`: what the server computes in, which `launch` tells it.
    dtype: Dtype,
    /// Measures of an answer only: by which rule a path's own answer is found, before which its reasoning ends
    /// (docs/answers.md). Default `standard` (ours).
    reading: Reading,
    /// What reads. Default `builtin`.
    engine: EngineName,
    /// With `engine = "server"`: the server. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ServerParams>,
}

impl From<WrittenParams> for ScoreParams {
    fn from(written: WrittenParams) -> Self {
        let WrittenParams {
            name,
            measure,
            prompt,
            long_prompts,
            dtype,
            reading,
            engine,
            server,
        } = written;
        Self {
            name: name.unwrap_or_else(|| measure.score_name().to_owned()),
            measure,
            prompt,
            long_prompts,
            dtype,
            reading,
            engine,
            server,
        }
    }
}

impl ScoreParams {
    /// What reads.
    pub(super) fn engine(&self) -> Engine<'_> {
        Engine {
            dtype: self.dtype,
            name: self.engine,
            server: self.server.as_ref(),
        }
    }
}

impl JsonSchema for ScoreParams {
    fn schema_name() -> Cow<'static, str> {
        "ScoreParams".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenParams::json_schema(generator)
    }
}

/// What `score` measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Measure {
    /// `exp` of the mean negative log-likelihood of the path's tokens, first token and end of text
    /// included, given the prompt. A path that carries tokens of the scoring student's tokenizer is read
    /// by them, another's text is tokenised; the end of text is there where the path ended by it.
    #[default]
    Perplexity,
    /// Log-probability (nats, at most 0) of the gold answer after the path: the sum over the tokens of
    /// ` {a}.` after `{prompt} {r} So the answer is`, as a training text has them, with `r` the path up
    /// to any answer sentence of its own. The declared stand-in for a judge (ours).
    GoldLogProb,
    /// The share of the gold answer among the legal ones after the path, from 0 to 10: 10 times the
    /// softmax of what `gold-log-prob` sums, over `yes` and `no` or over the choices. The declared
    /// stand-in for a judge's score of 0 to 10 (ours).
    GoldProbability,
    /// How far the most probable token lies above the second, in probability, from 0 to 1: the mean over the tokens of
    /// the path's own answer ` {a}` after `{prompt} {r} So the answer is`. A path out of which no answer is read has none
    /// (CoT-decoding, Wang & Zhou 2024).
    AnswerMargin,
}

impl Measure {
    /// The name of the score unless the manifest says another.
    fn score_name(self) -> &'static str {
        match self {
            Self::Perplexity => "perplexity",
            Self::GoldLogProb => "gold_log_prob",
            Self::GoldProbability => "gold_probability",
            Self::AnswerMargin => "answer_margin",
        }
    }

    /// What the score can be.
    fn range(self) -> ScoreRange {
        match self {
            Self::Perplexity => ScoreRange(1.0, f64::INFINITY),
            Self::GoldLogProb => ScoreRange(f64::NEG_INFINITY, 0.0),
            Self::GoldProbability => ScoreRange::TEN,
            Self::AnswerMargin => ScoreRange(0.0, 1.0),
        }
    }

    /// The score, from the log-probabilities of each continuation's tokens; none for an empty path. An answer's margin is
    /// read off other tokens than those that a path has.
    fn of(self, continuations: &[&[f64]], gold: usize) -> Option<f64> {
        let sum = |tokens: &[f64]| tokens.iter().sum::<f64>();
        match self {
            Self::Perplexity => {
                let tokens = continuations.first().filter(|tokens| !tokens.is_empty())?;
                Some((-sum(tokens) / tokens.len() as f64).exp())
            }
            Self::GoldLogProb => continuations.get(gold).map(|tokens| sum(tokens)),
            Self::GoldProbability => {
                let gold = sum(continuations.get(gold)?);
                // Relative to the gold answer's, so that nothing under- or overflows to no number.
                let odds = continuations
                    .iter()
                    .map(|tokens| (sum(tokens) - gold).exp());
                Some(10.0 / odds.sum::<f64>())
            }
            Self::AnswerMargin => None,
        }
    }
}

/// What the engine scores for one path.
pub(super) struct Asked {
    pub(super) job: ScoreJob,
    /// Which of the continuations is the gold answer.
    pub(super) gold: usize,
}

/// Adds scores to paths that a student computes.
pub(crate) struct Score;

impl StageKind for Score {
    type Params = ScoreParams;

    const NAME: &'static str = "score";
    // 2: perplexity counts the end of text and reads a path by its own tokens; a prompt makes room for its path.
    const VERSION: u32 = 2;
    const DOC: &'static str = "Score paths with a student: their perplexity under it, how likely they make the gold answer, or how sure it is of their own.";
    const INPUTS: &'static [Port] = &[
        Port::required("paths", ArtifactKind::Paths, "The paths to score.").passes_on(),
        Port::model("The student that scores."),
        Port::questions(
            "questions",
            "data.train",
            "The questions that the paths answer, of any split; scored test paths may be shown, never trained on.",
        )
        .any_split(),
        EXAMPLES,
    ];
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "The same paths with the score added.",
    )];
    const READS_ANSWERS: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[
        ("dtype", "\"f32\""),
        ("reading", "\"paper\""),
        ("engine", "\"builtin\""),
    ];

    fn numerics(params: &ScoreParams) -> Option<Arithmetic> {
        params.engine().arithmetic()
    }

    fn check(params: &ScoreParams) -> Vec<ParamError> {
        [
            prompt_errors(&params.prompt),
            params.engine().param_errors(),
        ]
        .concat()
    }

    fn endpoint(params: &ScoreParams) -> Option<Endpoint> {
        params.engine().served()?.endpoint()
    }

    fn programs(params: &ScoreParams) -> Vec<ProgramParams> {
        params.engine().programs()
    }

    fn check_ports(params: &ScoreParams, fed: &[&str]) -> Vec<ParamError> {
        port_errors(&params.prompt, fed)
    }

    fn sharded_by(_: &ScoreParams) -> &'static [&'static str] {
        &["paths"]
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        // A path's perplexity is that of all of it.
        if params.get("measure") == Some(&json!(Measure::Perplexity)) {
            params.remove("reading");
        }
        retain_key_fields(params);
    }

    fn carried(params: &ScoreParams, input: Carried) -> Carried {
        input.with(&params.name, params.measure.range())
    }

    fn estimate(params: &ScoreParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (paths, shape) = (*inputs.get("paths")?, inputs.get("model")?.model?);
        // Each path is read after its prompt; answers are a few tokens.
        let prompt = prompt_tokens(&params.prompt, inputs.get("questions")?);
        let length = prompt + paths.tokens_per_row();
        let requested = params.engine().requests(paths.rows, length, 1);
        let work = requested.unwrap_or_else(|| {
            Work::inference(
                shape,
                params.dtype,
                product(&[paths.rows, length]),
                0,
                paths.rows.min(128),
                length,
            )
        });
        Some((work, BTreeMap::from([("paths", paths)])))
    }

    fn run(params: &ScoreParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let paths: Vec<ReasoningPath> = context.input("paths")?;
        let mut paths = context.part(paths, |path| &path.question_id);
        let questions: Vec<Question> = context.input("questions")?;
        let (folder, student) = context.opened_student("model")?;
        let base = row_key(&json!({
            "row": "score/1",
            "model": folder.identity(),
            "numerics": params.engine().computes(context),
        }));
        let prompter = Prompter::new(&params.prompt, context, &student, folder.choice_answer)?;
        let scoring = Scoring {
            params,
            context,
            student: &student,
            prompter: &prompter,
            questions: &questions,
            by_id: questions
                .iter()
                .zip(0..)
                .map(|(q, place)| (q.id.as_str(), place))
                .collect(),
        };
        if params.measure == Measure::AnswerMargin {
            let margins = scoring.margins(&paths, &folder)?;
            for (path, margin) in paths.iter_mut().zip(margins) {
                match margin {
                    Some(margin) => _ = path.scores.insert(params.name.clone(), margin),
                    None => _ = path.unparsed.insert(params.name.clone()),
                }
            }
            return Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]));
        }
        let asked = match params.measure {
            Measure::Perplexity => scoring.perplexity(&paths)?,
            _ => scoring.gold(&paths, folder.choice_answer)?,
        };
        let keys: Vec<Digest> = asked
            .iter()
            .map(|each| row_key(&json!([base, each.job.prompt, each.job.continuations])))
            .collect();
        let mut engine = None;
        let scored: Vec<Vec<f64>> = cached_rows(context, "scores", &keys, |missing, rows| {
            let engine = once(&mut engine, &student, params.engine(), context)?;
            let mut done = paths.len() - missing.len();
            in_parts(&keys, missing, rows, |part, rows| {
                let wanted: Vec<ScoreJob> =
                    part.iter().map(|&place| asked[place].job.clone()).collect();
                let mut finished = |index: usize, scores: Vec<Vec<f64>>| {
                    done += 1;
                    rows.push(keys[part[index]], &scores.concat());
                    context.progress("paths", done, paths.len(), 0, String::new());
                    if rows.failed() {
                        context.cancel.cancel();
                    }
                };
                engine.score(&wanted, &mut finished, context)
            })
        })?;
        for ((path, asked), log_probs) in paths.iter_mut().zip(&asked).zip(&scored) {
            let mut rest = log_probs.as_slice();
            let mut next = |tokens: &Vec<u32>| {
                let (now, later) = rest.split_at(tokens.len().min(rest.len()));
                rest = later;
                now
            };
            let continuations: Vec<&[f64]> =
                asked.job.continuations.iter().map(&mut next).collect();
            if let Some(score) = params.measure.of(&continuations, asked.gold) {
                path.scores.insert(params.name.clone(), score);
            }
        }
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// What the questions to the engine are made from.
pub(super) struct Scoring<'a> {
    pub(super) params: &'a ScoreParams,
    pub(super) context: &'a Context<'a>,
    pub(super) student: &'a Student<WeightFiles>,
    prompter: &'a Prompter<'a>,
    pub(super) questions: &'a [Question],
    by_id: BTreeMap<&'a str, usize>,
}

impl Scoring<'_> {
    /// The place of a path's question.
    pub(super) fn place(&self, path: &ReasoningPath) -> Result<usize, StageError> {
        let place = self.by_id.get(path.question_id.as_str()).copied();
        place.ok_or_else(|| {
            StageError::Invalid(format!(
                "the path of `{}` belongs to none of the {} questions\nhint: `paths` and `questions` must come from one dataset and one split",
                path.question_id,
                self.questions.len()
            ))
        })
    }

    /// The text of a path's prompt.
    pub(super) fn prompt(&self, path: &ReasoningPath) -> Result<PromptText, StageError> {
        let question = &self.questions[self.place(path)?];
        self.prompter.prompt(question, Hint::None)
    }

    /// A path's reasoning as a training text has it behind its prompt, what it thinks included where that is known.
    pub(super) fn reasoning(&self, path: &ReasoningPath, end_marks: &[String]) -> String {
        let reading = self.params.reading;
        if self.prompter.is_form() {
            return reasoning(&path.text, end_marks, reading);
        }
        let (thought, said) = thought_and_reasoning(&path.text, end_marks, reading);
        with_thought(thought.as_deref(), &said)
    }

    /// Tokens that fit behind a prompt of which only the end is left.
    pub(super) fn most(&self, prompt: &[u32]) -> usize {
        let least = (self.student.tokenizer.prefix().len() + 1).min(prompt.len());
        self.student.architecture.context.saturating_sub(least)
    }

    /// As much of a prompt's end as leaves room for the `after` tokens of the path that follows.
    pub(super) fn fitted<'p>(
        &self,
        prompt: &[u32],
        after: usize,
        path: &'p ReasoningPath,
        cuts: &mut Cuts<'p>,
    ) -> Vec<u32> {
        let room = self.student.architecture.context.saturating_sub(after);
        let mut prompt = prompt.to_vec();
        if cut_left(&mut prompt, room.max(1), self.student) > 0 {
            cuts.prompts.push(&path.question_id);
        }
        prompt
    }

    /// Tells of what was cut.
    ///
    /// # Errors
    /// A prompt had to be, and `long_prompts` forbids it.
    pub(super) fn tell(&self, cuts: &Cuts<'_>, paths: usize) -> Result<(), StageError> {
        let positions = self.student.architecture.context;
        if let Some(first) = cuts.prompts.first() {
            let what = format!(
                "{} of {paths} paths leave their prompt too little room in the scoring student's context of {positions} tokens (first: `{first}`)",
                cuts.prompts.len()
            );
            match self.params.long_prompts {
                LongPrompts::Refuse => {
                    return Err(StageError::Invalid(format!(
                        "{what}\nhint: score with a student of a longer context, or set `long_prompts = \"truncate-left\"`"
                    )));
                }
                LongPrompts::TruncateLeft => self
                    .context
                    .report
                    .warn(format!("{what}; these prompts were cut on the left")),
            }
        }
        if cuts.paths > 0 {
            self.context.report.warn(format!(
                "{} of {paths} paths are longer than the scoring student's context of {positions} tokens and were scored without their end",
                cuts.paths
            ));
        }
        Ok(())
    }

    /// The path's tokens after its prompt.
    fn perplexity(&self, paths: &[ReasoningPath]) -> Result<Vec<Asked>, StageError> {
        let mut cuts = Cuts::default();
        let mut asked = Vec::with_capacity(paths.len());
        for path in paths {
            let [prompt, mut tokens] = written_tokens(&self.prompt(path)?, path, self.student)?;
            let most = self.most(&prompt);
            cuts.paths += usize::from(tokens.len() > most);
            tokens.truncate(most);
            let job = ScoreJob {
                prompt: self.fitted(&prompt, tokens.len(), path, &mut cuts),
                continuations: vec![tokens],
            };
            asked.push(Asked { job, gold: 0 });
        }
        self.tell(&cuts, paths.len())?;
        Ok(asked)
    }
}

/// What did not fit.
#[derive(Default)]
pub(super) struct Cuts<'p> {
    /// The questions of paths whose prompts were cut.
    prompts: Vec<&'p str>,
    /// Paths that were cut.
    pub(super) paths: usize,
}

/// The tokens of a prompt, and those that a path was written in after it, the one that ended it included: its own where
/// they are of this student's tokenizer, which then reads the path's text out of them.
fn written_tokens<W>(
    prompt: &PromptText,
    path: &ReasoningPath,
    student: &Student<W>,
) -> Result<[Vec<u32>; 2], StageError> {
    let tokenizer = &student.tokenizer;
    let known = |token: &u32| (*token as usize) < tokenizer.vocab_size();
    let own = path.tokens.iter().all(known) && tokenizer.decode(&path.tokens)? == path.text;
    let (prompt, mut tokens) = if own {
        (tokenizer.encode_prompt(prompt)?, path.tokens.clone())
    } else {
        let (prompt, [tokens]) = tokenizer.encode_parts(prompt, [&path.text])?;
        (prompt, tokens)
    };
    if path.end == EndReason::EndOfText {
        let end = path.end_token.filter(|end| own && known(end));
        tokens.push(end.unwrap_or(tokenizer.eos_id()));
    }
    Ok([prompt, tokens])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> ScoreParams {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_name_follows_the_measure_unless_given() {
        assert_eq!(params("").name, "perplexity");
        assert_eq!(params("measure = 'gold-log-prob'").name, "gold_log_prob");
        let named = params("measure = 'gold-probability'\nname = 'judge'");
        assert_eq!(
            (named.name.as_str(), named.measure),
            ("judge", Measure::GoldProbability)
        );
        assert!(toml::from_str::<ScoreParams>("measures = 'perplexity'").is_err());
    }

    #[test]
    fn scores_worked_by_hand() {
        let ln = |p: f64| p.ln();
        let (yes, no) = ([ln(0.5), ln(0.4)], [ln(0.05)]);
        let of = |measure: Measure, gold| measure.of(&[&yes, &no], gold).unwrap();
        let close = |found: f64, wanted: f64| assert!((found - wanted).abs() < 1e-12, "{found}");
        // exp(-(ln 0.5 + ln 0.4) / 2) = 1 / sqrt(0.2)
        close(of(Measure::Perplexity, 0), 1.0 / 0.2_f64.sqrt());
        close(of(Measure::GoldLogProb, 0), ln(0.2));
        close(of(Measure::GoldLogProb, 1), ln(0.05));
        // 0.2 and 0.05 are eight and two of ten.
        close(of(Measure::GoldProbability, 0), 8.0);
        close(of(Measure::GoldProbability, 1), 2.0);
        assert_eq!(Measure::Perplexity.of(&[&[]], 0), None);
        // Far apart, it is still a number from 0 to 10.
        let (far, near) = ([-2000.0], [-1.0]);
        close(Measure::GoldProbability.of(&[&far, &near], 0).unwrap(), 0.0);
        close(
            Measure::GoldProbability.of(&[&far, &near], 1).unwrap(),
            10.0,
        );
    }
}
