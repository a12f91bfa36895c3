//! `teach`: a teacher's reasoning paths (paper, II: zero-shot chain of thought), recorded ones or those
//! of a model behind a server.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::few_shot::{EXAMPLES, Shots, port_errors};
use super::prompt_check::template_error;
use super::prompt_size::prompt_tokens;
use super::replies::{self, Server};
use super::rows::row_key;
use super::shown::Declared;
use crate::artifact::ArtifactKind;
use crate::filter::unreadable;
use crate::stage::{
    Brings, Carried, Context, Estimate, Output, Outputs, OutsideFile, ParamError, Port, Size,
    Sizes, StageError, StageKind, Work, product,
};
use crate::teacher::http::{Endpoint, Reply, ReplyKind, Request, Turn};
use crate::teacher::{TeachParams, TeachSource, TeacherError, cot, files, load};
use crate::text::{Asks, ChoiceAnswer, EndReason, Hint, Question, ReasoningPath};

/// Most tokens of a teacher's reply, for either step (Ho et al. 2023).
const REPLY_TOKENS: u32 = 128;
/// Tokens of a recorded path, about: the paper's have 77 words (paper, Table II).
const PATH_TOKENS: u64 = 100;

/// Prompts by name.
const NAMES: [&str; 4] = [cot::PAPER, cot::HO, "answer", "step-by-step"];

/// Brings in a teacher's reasoning paths, recorded or asked for.
pub(crate) struct Teach;

impl StageKind for Teach {
    type Params = TeachParams;

    const NAME: &'static str = "teach";
    const VERSION: u32 = 2;
    const DOC: &'static str = "Bring in a teacher's reasoning paths.";
    const INPUTS: &'static [Port] = &[
        Port::questions("questions", "data.train", "The questions that were asked."),
        EXAMPLES,
    ];
    const BRINGS: Option<Brings> = Some(Brings::Teacher);
    const OUTPUTS: &'static [Output] = &[Output::new(
        "paths",
        ArtifactKind::Paths,
        "The teacher's paths, for each question that it answered.",
    )];
    const READS_ANSWERS: bool = true;
    const LOCATIONS: &'static [&'static str] = TeachParams::PATH_FIELDS;
    const NEUTRAL: &'static [(&'static str, &'static str)] = &[
        ("prompt", "\"paper\""),
        ("answer_prompt", "\"Therefore, the answer is\""),
    ];

    fn check(params: &TeachParams) -> Vec<ParamError> {
        let param_error = |field: &str, message: &str, hint: &str| ParamError {
            field: field.to_owned(),
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        match (params.source, &params.endpoint) {
            (TeachSource::Recorded, None) => check_recording(params),
            (TeachSource::Recorded, Some(_)) => vec![param_error(
                "endpoint",
                "a recorded teacher has no server",
                "add `source = \"http\"`",
            )],
            (TeachSource::Http, None) => vec![param_error(
                "source",
                "no server is named",
                "add `endpoint = { base_url = \"http://127.0.0.1:8080/v1\", model = \"...\" }`",
            )],
            (TeachSource::Http, Some(endpoint)) => {
                let mut param_errors = replies::param_errors(endpoint, params.budget.as_ref());
                match &params.prompt.asks {
                    Asks::Template(text) if !NAMES.contains(&text.as_str()) => {
                        param_errors.extend(template_error("prompt", "template", text, &NAMES));
                    }
                    Asks::Chat(_) => param_errors.push(param_error(
                        "prompt",
                        cot::CHAT,
                        "write what the user's message says as `prompt`, and set `endpoint.api = \"chat\"` and `endpoint.system`",
                    )),
                    _ => {}
                }
                param_errors
            }
        }
    }

    fn check_ports(params: &TeachParams, fed: &[&str]) -> Vec<ParamError> {
        port_errors(&params.prompt, fed)
    }

    fn endpoint(params: &TeachParams) -> Option<Endpoint> {
        params.endpoint.clone()
    }

    fn check_outside(params: &TeachParams, context: &Context<'_>) -> Vec<ParamError> {
        let path = params.path.as_ref();
        let missing = path.and_then(|path| context.missing_file("path", path));
        missing.into_iter().collect()
    }

    fn carried(_: &TeachParams, _: Carried) -> Carried {
        Carried::default()
    }

    fn retain_key_fields(params: &mut Map<String, Value>) {
        params.remove("reading");
        if params.get("source") == Some(&json!(TeachSource::Http)) {
            params.remove("recording");
            params.remove("teacher");
        }
        replies::retain_key_fields(params);
    }

    fn files(params: &TeachParams, context: &Context<'_>) -> Result<Vec<OutsideFile>, StageError> {
        match params.source {
            TeachSource::Recorded => context.outside(&files(&located(params, context))?),
            TeachSource::Http => Ok(Vec::new()),
        }
    }

    fn estimate(params: &TeachParams, inputs: &Sizes, context: &Context<'_>) -> Option<Estimate> {
        let questions = inputs.get("questions")?;
        let size = |rows, tokens| {
            BTreeMap::from([(
                "paths",
                Size {
                    rows,
                    tokens,
                    model: None,
                },
            )])
        };
        let Some(endpoint) = params.endpoint.as_ref() else {
            let size = size(questions.rows, questions.rows * PATH_TOKENS);
            return Some((Work::default(), size));
        };
        let most = endpoint.longest_reply(REPLY_TOKENS);
        let work = match context.input::<Vec<Question>>("questions") {
            Ok(questions) => known_work(params, endpoint, &questions, context)?,
            Err(_) => unknown_work(params, endpoint, questions),
        };
        let rows = product(&[questions.rows, endpoint.n.into()]);
        Some((
            replies::priced(endpoint, work),
            size(rows, product(&[rows, most])),
        ))
    }

    fn run(params: &TeachParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let questions: Vec<Question> = context.input("questions")?;
        let paths = if let Some(endpoint) = &params.endpoint {
            asked(params, endpoint, &questions, context)?
        } else {
            let params = located(params, context);
            let taught = context.with_source(|source| load(&params, &questions, source))?;
            context.report.info(taught.summary());
            taught.paths
        };
        if let Some(warning) = unreadable(&paths, &questions, params.reading)? {
            context.report.warn(warning);
        }
        Ok(Outputs::from([("paths".to_owned(), context.keep(&paths)?)]))
    }
}

/// What is wrong with a recording's parameters.
pub(super) fn check_recording(params: &TeachParams) -> Vec<ParamError> {
    match files(params) {
        Err(TeacherError::Param { field, reason }) => vec![ParamError::of(field, &reason)],
        _ => Vec::new(),
    }
}

/// The parameters with a local path led from the manifest's folder.
pub(super) fn located(params: &TeachParams, context: &Context<'_>) -> TeachParams {
    let mut params = params.clone();
    if let Some(path) = params.path.as_mut().filter(|path| !path.contains("://")) {
        *path = context.resolve(&*path).to_string_lossy().into_owned();
    }
    params
}

/// A question, and which of its `n` paths.
type Draw<'q> = (&'q Question, u32);

fn draws<'q>(questions: &'q [Question], endpoint: &Endpoint) -> Vec<Draw<'q>> {
    let n = endpoint.n;
    let of = |question: &'q Question| (0..n).map(move |draw| (question, draw));
    questions.iter().flat_map(of).collect()
}

/// How a teacher is asked.
struct Asking<'a> {
    params: &'a TeachParams,
    endpoint: &'a Endpoint,
    shots: Option<Shots>,
    declared: Declared,
}

impl<'a> Asking<'a> {
    fn new(
        params: &'a TeachParams,
        endpoint: &'a Endpoint,
        context: &Context<'_>,
    ) -> Result<Self, StageError> {
        Ok(Self {
            params,
            endpoint,
            shots: Shots::of(&params.prompt, context)?,
            declared: Declared::of(&params.prompt),
        })
    }

    /// What is asked: the question, after examples where the prompt shows some.
    fn asked(&self, question: &Question) -> Result<String, StageError> {
        let prompt = &self.params.prompt;
        self.declared.refuse_shown(question)?;
        let mut text = String::new();
        if let Some(shots) = &self.shots {
            for example in shots.before(question)? {
                let answer = shots.answer(example, ChoiceAnswer::default());
                text += &cot::asked(prompt, example)?;
                let blank = text.ends_with(char::is_whitespace);
                text += if blank { answer.trim_start() } else { &answer };
                text += shots.separator();
            }
        }
        Ok(text + &cot::asked(prompt, question)?)
    }

    /// The first step's requests.
    fn reasoning(&self, draws: &[Draw<'_>]) -> Result<Vec<Request>, StageError> {
        let request = |&(question, draw): &Draw<'_>| {
            let turns = [Turn::Asked(self.asked(question)?)];
            Ok(Request::new(self.endpoint, &turns, draw, REPLY_TOKENS))
        };
        draws.iter().map(request).collect()
    }

    /// The second step's request, after the first one's reply; `None` where there is none. A model that did not
    /// come to the end of its thinking has nothing to conclude from: it would begin anew, and be paid again.
    fn answer(
        &self,
        (question, draw): Draw<'_>,
        reply: &Reply,
    ) -> Result<Option<Request>, StageError> {
        let answer_prompt = &self.params.answer_prompt;
        let cut_short = reply.kind == ReplyKind::ThoughtOnly && reply.is_cut();
        if answer_prompt.is_empty() || reply.reasoning().is_none() || cut_short {
            return Ok(None);
        }
        let turns = cot::answer(self.asked(question)?, reply.written(), answer_prompt);
        let request = Request::new(self.endpoint, &turns, draw, REPLY_TOKENS);
        Ok(Some(request))
    }
}

/// Asks the teacher in two steps, each for all questions.
fn asked(
    params: &TeachParams,
    endpoint: &Endpoint,
    questions: &[Question],
    context: &Context<'_>,
) -> Result<Vec<ReasoningPath>, StageError> {
    let server = Server {
        endpoint,
        mode: params.mode,
        budget: params.budget.unwrap_or_default(),
    };
    let draws = draws(questions, endpoint);
    let asking = Asking::new(params, endpoint, context)?;
    let requests = asking.reasoning(&draws)?;
    server.ask(context, |client| {
        let reasoned = client.ask(&requests)?;
        replies::tell_silent(context, endpoint, REPLY_TOKENS, &reasoned);
        let mut paths = Vec::new();
        // The place of the path that each request is about.
        let mut about = Vec::new();
        let mut second = Vec::new();
        for ((draw, request), reply) in draws.iter().zip(&requests).zip(&reasoned) {
            let Some(text) = reply.reasoning() else {
                continue;
            };
            if let Some(request) = asking.answer(*draw, reply)? {
                about.push(paths.len());
                second.push(request);
            }
            paths.push(path(*draw, request, reply, text));
        }
        let answered = client.ask(&second)?;
        replies::tell_silent(context, endpoint, REPLY_TOKENS, &answered);
        for (place, reply) in about.iter().zip(&answered) {
            if let Some(answer) = reply.answer() {
                paths[*place].answer_text = Some(answer.to_owned());
            }
        }
        context.report.info(format!(
            "{} paths for {} questions; {}; of the reasoning {}, of the answers {}",
            paths.len(),
            questions.len(),
            EndReason::cut_told(paths.iter().map(|path| path.end), "paths"),
            replies::refused_text(&reasoned, |reply| reply.reasoning().is_some()),
            replies::refused_text(&answered, |reply| reply.answer().is_some()),
        ));
        Ok(paths)
    })
}

/// The path that a reply is, and that `text` is the reasoning of. Its row holds the request's key and the question,
/// so that two questions with the same words have rows of their own. Where thinking stands before what was said,
/// that is the answer: the thinking weighs several.
fn path(
    (question, draw): Draw<'_>,
    request: &Request,
    reply: &Reply,
    text: String,
) -> ReasoningPath {
    let said = reply.answer().filter(|_| reply.thought.is_some());
    ReasoningPath {
        question_id: question.id.clone(),
        stream: row_key(&json!({ "reply": request.key, "question": question.id })),
        first_token: None,
        draw,
        hint: Hint::None,
        text,
        tokens: Vec::new(),
        log_prob: None,
        end: reply.end(),
        end_token: None,
        answer_text: said.map(str::to_owned),
        scores: BTreeMap::new(),
        unparsed: std::collections::BTreeSet::new(),
    }
}

/// What is still to be asked, where the questions are here: replies that are kept cost nothing.
fn known_work(
    params: &TeachParams,
    endpoint: &Endpoint,
    questions: &[Question],
    context: &Context<'_>,
) -> Option<Work> {
    let draws = draws(questions, endpoint);
    let asking = Asking::new(params, endpoint, context).ok()?;
    let first = asking.reasoning(&draws).ok()?;
    let mut work = Work::default();
    let mut second = Vec::new();
    for ((draw, request), reply) in draws
        .iter()
        .zip(&first)
        .zip(replies::known(context, &first)?)
    {
        let tokens = request.tokens;
        let Some(reply) = reply else {
            work = work.and(replies::requests(1, tokens.prompt, tokens.completion));
            if !params.answer_prompt.is_empty() {
                // After reasoning of which only the greatest length is known.
                let asked = params.answer_prompt.len() as u64;
                let prompt = tokens.total().saturating_add(asked);
                work = work.and(replies::requests(1, prompt, tokens.completion));
            }
            continue;
        };
        second.extend(asking.answer(*draw, &reply).ok()?);
    }
    for (request, reply) in second.iter().zip(replies::known(context, &second)?) {
        if reply.is_none() {
            let tokens = request.tokens;
            work = work.and(replies::requests(1, tokens.prompt, tokens.completion));
        }
    }
    Some(work)
}

/// What is to be asked, where only the number of questions and their length are known.
fn unknown_work(params: &TeachParams, endpoint: &Endpoint, questions: &Size) -> Work {
    let rows = questions.rows * u64::from(endpoint.n);
    let most = endpoint.longest_reply(REPLY_TOKENS);
    let prompt = prompt_tokens(&params.prompt, questions);
    let first = replies::requests(rows, prompt, most);
    if params.answer_prompt.is_empty() {
        return first;
    }
    first.and(replies::requests(rows, prompt.saturating_add(most), most))
}
