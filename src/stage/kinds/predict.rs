//! `predict`: a student's raw answers on a split, one to each question or several; measuring them is `eval`'s work.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::engine_params::{Engine, EngineName, retain_key_fields};
use super::few_shot::{EXAMPLES, port_errors};
use super::predict_prompt::PredictPrompt;
use super::prompt_check::prompt_errors;
use super::prompt_size::prompt_tokens;
use super::prompter::Prompter;
use super::prompts::{LongPrompts, Prompt, cut_left, prompts};
use super::rows::{cached_rows, in_parts, other_end, row_key, stream_numerics, with_ends};
use super::sample_params::Branching;
use super::student_engine::{StudentEngine, once};
use crate::artifact::{ArtifactKind, ModelFolder};
use crate::key::Digest;
use crate::memory::room_for;
use crate::metric::MOST_ANSWERS;
use crate::model::ScoreJob;
use crate::model::sampling::{
    FirstTokenCandidate, Generated, GenerationRequest, SamplingParams, SequenceSpec,
};
use crate::model::{Arithmetic, Dtype, Student, WeightFiles};
use crate::program::ProgramParams;
use crate::served::ServerParams;
use crate::stage::{
    Context, Counts, Estimate, Output, Outputs, ParamError, Port, Size, Sizes, StageError,
    StageKind, product,
};
use crate::teacher::http::Endpoint;
use crate::text::{
    AnswerForm, ChoiceAnswer, EndReason, Hint, LogProbSummary, Prediction, PromptSpec, Question,
};

/// Parameters of `predict`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PredictParams {
    /// The prompt (docs/prompts.md). Default `auto`: the one that the student was trained on.
    pub prompt: PredictPrompt,
    /// Answers to each question, 1 to 1000, each a row with a random stream of its own: more later draws the missing ones
    /// only. Several are recorded with their log-probabilities. Default 1.
    #[schemars(range(min = 1, max = MOST_ANSWERS))]
    pub n: u32,
    /// Where several answers part: nowhere, so that `temperature` alone tells them apart, or at the first token: one answer
    /// from each of the `n` most probable ones, the rest drawn as `temperature` says (greedy: CoT-decoding, Wang & Zhou
    /// 2024). Default `none`.
    pub branching: Branching,
    /// 0 is greedy. Default 0 (ours; the paper is silent; Ho et al. 2023 use 0).
    #[schemars(range(min = 0.0, max = 100.0))]
    pub temperature: f64,
    /// With a temperature: draw among this many most probable tokens; 0 for all. Default 0.
    pub top_k: u32,
    /// With a temperature: draw among the fewest tokens that reach this probability. Default 1.
    #[schemars(range(min = 0.000_001, max = 1.0))]
    pub top_p: f64,
    /// Most tokens of an answer. Default 256 (ours; the paper is silent; its longest mean output is
    /// 257 words).
    #[schemars(range(min = 1, max = 100_000))]
    pub max_new_tokens: u32,
    /// Also record the log-likelihood of each legal answer. Default true.
    pub option_log_probs: bool,
    /// What to do with a prompt that does not fit. Default `truncate-left` (ours).
    pub long_prompts: LongPrompts,
    /// Number format of weights and products. Default `f32` (ours). `bf16` and `f16` halve what weights take: on the
    /// CPU, whose products stay f32, and on a device that has them. `int8` is the CPU's, `tf32` is what `cuda` has for
    /// `f32`. With `engine = "server"`: what the server computes in, which `launch` tells it.
    pub dtype: Dtype,
    /// What draws and reads. Default `builtin`.
    pub engine: EngineName,
    /// With `engine = "server"`: the server. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerParams>,
}

impl Default for PredictParams {
    fn default() -> Self {
        Self {
            prompt: PredictPrompt::default(),
            n: 1,
            branching: Branching::None,
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            max_new_tokens: 256,
            option_log_probs: true,
            long_prompts: LongPrompts::TruncateLeft,
            dtype: Dtype::default(),
            engine: EngineName::Builtin,
            server: None,
        }
    }
}

impl PredictParams {
    /// What draws and reads.
    fn engine(&self) -> Engine<'_> {
        Engine {
            dtype: self.dtype,
            name: self.engine,
            server: self.server.as_ref(),
        }
    }

    /// Whether answers are told apart by their number, and kept with their log-probabilities.
    fn several(&self) -> bool {
        self.n > 1 || self.branching == Branching::FirstToken
    }
}

/// Bytes that an answer takes in memory at least (ours).
const ANSWER_BYTES: u64 = 300;

/// What is kept of one answer.
#[derive(Clone, Serialize, Deserialize)]
struct AnswerRow {
    tokens: Vec<u32>,
    end: EndReason,
    /// Where it is not the tokenizer's end of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_token: Option<u32>,
    /// Of one among several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_prob: Option<LogProbSummary>,
}

/// Lets a student answer questions, and keeps its raw output.
pub(crate) struct Predict;

impl StageKind for Predict {
    type Params = PredictParams;

    const NAME: &'static str = "predict";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Let a student answer questions; keeps its raw output.";
    const INPUTS: &'static [Port] = &[
        Port::model("The student that answers."),
        Port::questions("questions", "data.test", "The questions to answer.").any_split(),
        EXAMPLES,
    ];
    const OUTPUTS: &'static [Output] =
        &[
            Output::new("predictions", ArtifactKind::Predictions, "The raw answers.")
                .that_counts(Counts::Drawn),
        ];
    const SEEDED: bool = true;
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[
        ("dtype", "\"f32\""),
        ("n", "1"),
        ("branching", "\"none\""),
        ("engine", "\"builtin\""),
    ];

    fn numerics(params: &PredictParams) -> Option<Arithmetic> {
        params.engine().arithmetic()
    }

    fn endpoint(params: &PredictParams) -> Option<Endpoint> {
        params.engine().served()?.endpoint()
    }

    fn programs(params: &PredictParams) -> Vec<ProgramParams> {
        params.engine().programs()
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        retain_key_fields(params);
    }

    fn check(params: &PredictParams) -> Vec<ParamError> {
        let same = params.n > 1 && params.temperature <= 0.0 && params.branching == Branching::None;
        let param_error = same.then(|| ParamError {
            field: "n".to_owned(),
            message: format!("{} greedy answers to a question are all the same", params.n),
            hint: Some(
                "give a `temperature`, or let them part: `branching = \"first-token\"`".to_owned(),
            ),
        });
        let mut param_errors: Vec<ParamError> = param_error.into_iter().collect();
        param_errors.extend(
            params
                .prompt
                .declared()
                .map(prompt_errors)
                .into_iter()
                .flatten(),
        );
        param_errors.extend(params.engine().param_errors());
        param_errors
    }

    fn sharded_by(_: &PredictParams) -> &'static [&'static str] {
        &["questions"]
    }

    fn asks_as_taught(params: &PredictParams) -> bool {
        params.prompt.declared().is_none()
    }

    fn check_ports(params: &PredictParams, fed: &[&str]) -> Vec<ParamError> {
        // What a student was trained on may have examples too.
        let declared = params.prompt.declared();
        declared.map_or_else(Vec::new, |spec| port_errors(spec, fed))
    }

    fn estimate(params: &PredictParams, inputs: &Sizes, _: &Context<'_>) -> Option<Estimate> {
        let (questions, shape) = (inputs.get("questions")?, inputs.get("model")?.model?);
        let rows = product(&[questions.rows, params.n.into()]);
        let tokens = product(&[rows, params.max_new_tokens.into()]);
        let engine = params.engine();
        // What a student was taught on is not known here.
        let usual = PromptSpec::default();
        let length = prompt_tokens(params.prompt.declared().unwrap_or(&usual), questions);
        let work = engine.drawing(shape, [questions.rows, length], rows, params.max_new_tokens);
        Some((
            work,
            BTreeMap::from([(
                "predictions",
                Size {
                    rows,
                    tokens,
                    model: None,
                },
            )]),
        ))
    }

    fn run(params: &PredictParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let questions = context.part(questions, |question| &question.id);
        let (folder, student) = context.opened_student("model")?;
        let spec = params.prompt.declared().unwrap_or(&folder.prompt);
        let prompter = Prompter::new(spec, context, &student, folder.choice_answer)?;
        let prompts = prompts(
            context,
            &student,
            &questions,
            (&prompter, Hint::None),
            params.max_new_tokens,
            params.long_prompts,
        )?;
        let mut engine = None;
        let answers = answer_rows(params, context, &folder, (&student, &mut engine), &prompts)?;
        let options = if params.option_log_probs {
            option_rows(
                params.engine(),
                context,
                &folder,
                (&student, &mut engine),
                &questions,
                &prompts,
            )?
        } else {
            vec![Vec::new(); questions.len()]
        };
        let mut predictions = Vec::with_capacity(answers.len());
        let of_question = answers.chunks(params.n as usize);
        for (((question, prompt), answers), options) in
            questions.iter().zip(prompts).zip(of_question).zip(options)
        {
            for (draw, answer) in (0..).zip(answers) {
                predictions.push(Prediction {
                    question_id: question.id.clone(),
                    draw,
                    prompt: prompt.asked.text.clone(),
                    hint: Hint::None,
                    output: student.tokenizer.decode(&answer.tokens)?,
                    tokens: answer.tokens.clone(),
                    end: answer.end,
                    end_token: answer.end_token,
                    log_prob: answer.log_prob,
                    option_log_probs: options.clone(),
                });
            }
        }
        Ok(Outputs::from([(
            "predictions".to_owned(),
            context.keep(&predictions)?,
        )]))
    }
}

/// Each prompt's answers, `n` by `n`: from their rows, or generated and kept.
///
/// The first answer has the stream that one answer has, so it is the same; it is kept again where it is one of several,
/// with its log-probabilities. A row does not say how many others there are.
fn answer_rows<'a>(
    params: &PredictParams,
    context: &'a Context<'_>,
    folder: &ModelFolder,
    (student, engine): (&Student<WeightFiles>, &mut Option<StudentEngine<'a>>),
    prompts: &[Prompt],
) -> Result<Vec<AnswerRow>, StageError> {
    let n = params.n as usize;
    let branching = params.branching == Branching::FirstToken;
    let first_tokens = student.vocabulary.tokens();
    if branching && n > first_tokens {
        return Err(StageError::Invalid(format!(
            "`n` is {n}, and the student has only {first_tokens} tokens that an answer may begin with\nhint: lower `n`, or set `branching = \"none\"`"
        )));
    }
    if params.several() {
        let answers = product(&[prompts.len() as u64, params.n.into(), ANSWER_BYTES]);
        let hint = "lower `n`, or take fewer questions with --limit";
        room_for("the answers to all questions", hint, answers)?;
    }
    let drawing = SamplingParams {
        temperature: params.temperature,
        top_k: params.top_k,
        top_p: params.top_p,
        max_new_tokens: params.max_new_tokens,
    };
    let (streams, keys) = answer_keys(params, &drawing, context, (folder, student), prompts);
    cached_rows(context, "answers", &keys, |missing, rows| {
        let of_prompt: Vec<&[usize]> = missing.chunk_by(|a, b| a / n == b / n).collect();
        let texts: Vec<Vec<u32>> = of_prompt
            .iter()
            .map(|places| prompts[places[0] / n].tokens.clone())
            .collect();
        let (mut done, mut tokens) = (keys.len() - missing.len(), 0);
        let rows = Mutex::new(rows);
        let locked = || rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut expand = |index: usize, candidates: &[FirstTokenCandidate]| {
            let mut rows = locked();
            let ours = of_prompt[index]
                .iter()
                .filter(|place| rows.begin(&keys[**place]));
            let spec = |&place: &usize| {
                let forced_first = if branching {
                    Some(candidates.get(place % n)?.token)
                } else {
                    None
                };
                Some(SequenceSpec {
                    forced_first,
                    stream: streams[place],
                    tag: place as u64,
                })
            };
            ours.filter_map(spec).collect()
        };
        let mut finished = |generated: Generated| {
            done += 1;
            tokens += generated.tokens.len() as u64;
            let row = AnswerRow {
                tokens: generated.tokens,
                end: generated.end,
                end_token: other_end(generated.end_token, student),
                log_prob: params.several().then_some(generated.log_prob),
            };
            #[expect(clippy::cast_possible_truncation, reason = "a place in memory")]
            let place = generated.tag as usize;
            let mut rows = locked();
            rows.push(keys[place], &row);
            context.progress("answers", done, keys.len(), tokens, String::new());
            if rows.failed() {
                context.cancel.cancel();
            }
        };
        let engine = once(engine, student, params.engine(), context)?;
        engine.generate(
            GenerationRequest {
                prompts: &texts,
                candidates: if branching { n } else { 0 },
                params: &drawing,
                vocabulary: &student.vocabulary,
                stop: None,
            },
            &mut expand,
            &mut finished,
            context,
        )
    })
}

/// The random streams of all answers, and the keys of their rows, `n` by `n`.
fn answer_keys(
    params: &PredictParams,
    drawing: &SamplingParams,
    context: &Context<'_>,
    (folder, student): (&ModelFolder, &Student<WeightFiles>),
    prompts: &[Prompt],
) -> (Vec<Digest>, Vec<Digest>) {
    // Greedy answers do not depend on the seed, so arms that differ in it alone share them.
    let seed = (params.temperature > 0.0).then_some(context.seed);
    let base = json!({
        "row": "answer/1",
        "model": folder.identity(),
        "numerics": stream_numerics(),
        "drawing": drawing,
        "seed": seed,
    });
    let base = row_key(&with_ends(base, student));
    let stream = |prompt: &Prompt, draw: u32| {
        row_key(&match (params.branching, draw) {
            (Branching::FirstToken, rank) => json!([base, prompt.tokens, {"first_token": rank}]),
            (Branching::None, 0) => json!([base, prompt.tokens]),
            (Branching::None, draw) => json!([base, prompt.tokens, {"draw": draw}]),
        })
    };
    let streams: Vec<Digest> = prompts
        .iter()
        .flat_map(|prompt| (0..params.n).map(move |draw| (prompt, draw)))
        .map(|(prompt, draw)| stream(prompt, draw))
        .collect();
    let numerics = params.engine().computes(context);
    let key = |stream: &Digest| {
        row_key(&if params.several() {
            json!([stream, numerics, "log_prob"])
        } else {
            json!([stream, numerics])
        })
    };
    let keys = streams.iter().map(key).collect();
    (streams, keys)
}

/// The log-likelihood of each legal answer after each prompt: from its row, or computed and kept.
fn option_rows<'a>(
    choice: Engine<'_>,
    context: &'a Context<'_>,
    folder: &ModelFolder,
    (student, engine): (&Student<WeightFiles>, &mut Option<StudentEngine<'a>>),
    questions: &[Question],
    prompts: &[Prompt],
) -> Result<Vec<Vec<f64>>, StageError> {
    let base = row_key(&json!({
        "row": "options/1",
        "model": folder.identity(),
        "numerics": choice.computes(context),
    }));
    let mut jobs = Vec::with_capacity(questions.len());
    for (question, prompt) in questions.iter().zip(prompts) {
        let answers = legal_answers(question, folder.choice_answer).into_iter();
        let answers: Vec<String> = answers
            .map(|answer| prompt.asked.led(&answer).to_owned())
            .collect();
        let (mut tokens, [], continuations) =
            (student.tokenizer).encode_choices(&prompt.asked, [], &answers)?;
        // As where the answer is written: of a prompt that is too long the same tokens are read.
        let room = tokens.len().saturating_sub(prompt.cut);
        cut_left(&mut tokens, room, student);
        jobs.push(ScoreJob {
            prompt: tokens,
            continuations,
        });
    }
    let keys: Vec<Digest> = jobs
        .iter()
        .map(|job| row_key(&json!([base, job.prompt, job.continuations])))
        .collect();
    let legal: Vec<usize> = (0..jobs.len())
        .filter(|&place| !jobs[place].continuations.is_empty())
        .collect();
    let legal_keys: Vec<Digest> = legal.iter().map(|&place| keys[place]).collect();
    let sums: Vec<Vec<f64>> = cached_rows(context, "scores", &legal_keys, |missing, rows| {
        let engine = once(engine, student, choice, context)?;
        let mut done = questions.len() - missing.len();
        in_parts(&legal_keys, missing, rows, |part, rows| {
            let wanted: Vec<ScoreJob> = part
                .iter()
                .map(|&place| jobs[legal[place]].clone())
                .collect();
            let mut finished = |index: usize, scores: Vec<Vec<f64>>| {
                done += 1;
                let sums: Vec<f64> = scores.iter().map(|each| each.iter().sum()).collect();
                rows.push(legal_keys[part[index]], &sums);
                context.progress("options", done, questions.len(), 0, String::new());
                if rows.failed() {
                    context.cancel.cancel();
                }
            };
            engine.score(&wanted, &mut finished, context)
        })
    })?;
    let mut options = vec![Vec::new(); questions.len()];
    for (place, sums) in legal.into_iter().zip(sums) {
        options[place] = sums;
    }
    Ok(options)
}

/// The legal answers of a question as they would follow its prompt, in the form that the student was
/// trained to write them; empty where any text is legal.
pub(super) fn legal_answers(question: &Question, form: ChoiceAnswer) -> Vec<String> {
    match question.form {
        AnswerForm::YesNo => vec![" yes".to_owned(), " no".to_owned()],
        AnswerForm::Choice => question
            .labels()
            .map(|label| format!(" {}", form.written(question, &label)))
            .collect(),
        AnswerForm::Number | AnswerForm::Text => Vec::new(),
    }
}
