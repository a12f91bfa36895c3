//! A student that is ready to be sampled and to read: by our own engine, or behind a server. Both give the same rows.

use serde_json::json;

use super::engine_params::Engine;
use crate::model::sampling::{Expand, Generated, GenerationRequest};
use crate::model::{Dtype, Inference, PromptText, ScoreJob, Student, WeightFiles};
use crate::served::{
    Asking, Launch, Launched, Served, ServedError, ServedStudent, ServerParams, launch, rounding,
};
use crate::stage::{Context, StageError};

/// A text that a server is tried on, of some length that no student writes by heart.
const TRIED: &str = "Question: Do seven green boats and two old lamps make nine things? Answer:";
/// Letters in which a token is looked for that stands for itself.
const PLAIN: u32 = 4096;

/// A student that is ready.
pub(super) enum StudentEngine<'a> {
    /// By our own engine.
    Own(Inference),
    /// Behind a server.
    Served(Box<ServedEngine<'a>>),
}

/// A served student, with the server if the run started it; it ends with this, and its files go after it.
pub(super) struct ServedEngine<'a> {
    served: Served<'a>,
    launched: Option<Launched>,
    _folder: Option<tempfile::TempDir>,
}

/// The engine, made where it is first needed.
pub(super) fn once<'e, 'a>(
    made: &'e mut Option<StudentEngine<'a>>,
    student: &Student<WeightFiles>,
    engine: Engine<'_>,
    context: &'a Context<'_>,
) -> Result<&'e StudentEngine<'a>, StageError> {
    let ready = match (made.take(), engine.served()) {
        (Some(ready), _) => ready,
        (None, None) => StudentEngine::Own(context.engine(student, engine.dtype)?),
        (None, Some(server)) => {
            let served = serve(student, server, engine, context)?;
            StudentEngine::Served(Box::new(served))
        }
    };
    Ok(made.insert(ready))
}

impl StudentEngine<'_> {
    /// Generates sequences; see [`Inference::generate`].
    pub(super) fn generate(
        &self,
        request: GenerationRequest<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        context: &Context<'_>,
    ) -> Result<(), StageError> {
        match self {
            Self::Own(engine) => {
                let outcome = engine.generate(request, expand, done, context.cancel);
                context.record_batch(engine);
                Ok(outcome?)
            }
            Self::Served(engine) => {
                let outcome = engine.served.generate(request, expand, done);
                engine.told(outcome, context)
            }
        }
    }

    /// Log-probabilities of given continuations; see [`Inference::score`].
    pub(super) fn score(
        &self,
        jobs: &[ScoreJob],
        done: &mut (dyn FnMut(usize, Vec<Vec<f64>>) + Send),
        context: &Context<'_>,
    ) -> Result<(), StageError> {
        match self {
            Self::Own(engine) => Ok(engine.score(jobs, done, context.cancel)?),
            Self::Served(engine) => {
                let outcome = engine.served.score(jobs, done);
                engine.told(outcome, context)
            }
        }
    }
}

impl ServedEngine<'_> {
    /// What came of asking; adds to the provenance what was asked.
    fn told(
        &self,
        outcome: Result<(), ServedError>,
        context: &Context<'_>,
    ) -> Result<(), StageError> {
        if let Some(usage) = self.served.usage() {
            context.record_use("server", json!(usage));
        }
        Ok(outcome.map_err(|error| match &self.launched {
            Some(launched) => launched.or_gone(error),
            None => error,
        })?)
    }
}

/// The student behind its server, which was found to give what is needed.
fn serve<'a>(
    student: &Student<WeightFiles>,
    params: &ServerParams,
    engine: Engine<'_>,
    context: &'a Context<'_>,
) -> Result<ServedEngine<'a>, StageError> {
    let asking = Asking {
        folder: context.work_dir()?,
        cancel: context.cancel,
        permissions: &context.options.permissions,
        offline: context.fetcher.options().offline,
        tell: Box::new(|is_warning, message| {
            if is_warning {
                context.report.warn(message);
            } else {
                context.report.info(message);
            }
        }),
    };
    let mut folder = None;
    let mut launched = None;
    let base_url = match &params.base_url {
        Some(base_url) if params.launch.is_none() => base_url.clone(),
        _ => {
            let files = context.student_folder("model")?;
            let start = Launch {
                params,
                folder: files.path(),
                context: student.architecture.context,
                dtype: engine.dtype,
                card: context.options.device.card(),
                log: context.log_file()?,
            };
            for program in params.programs() {
                context.allowed_program(&program)?;
            }
            let running = launch(&start, &asking)?;
            let base_url = running.base_url.clone();
            (folder, launched) = (Some(files), Some(running));
            base_url
        }
    };
    let (tokenizer, vocabulary) = (&student.tokenizer, &student.vocabulary);
    let is_plain = |token: &u32| {
        let text = tokenizer.decode(&[*token]).unwrap_or_default();
        let letters = text.trim_start();
        !letters.is_empty()
            && letters.chars().all(|letter| letter.is_ascii_alphanumeric())
            && !vocabulary.ends().contains(token)
    };
    let served_student = ServedStudent {
        context: student.architecture.context,
        tokens: vocabulary.tokens(),
        ends: vocabulary.ends().to_vec(),
        plain: (0..PLAIN).find(is_plain).unwrap_or_default(),
    };
    let served = Served::new(params, &base_url, served_student, asking);
    let tried = tokenizer.encode_prompt(&PromptText::from(TRIED))?;
    let most = student.architecture.context.saturating_sub(2).max(1);
    let tried = &tried[..tried.len().min(most)];
    served.check(tried)?;
    if params.launch.is_none() && params.check_weights && tried.len() > 1 {
        let own = context.engine(student, Dtype::F32)?;
        let job = ScoreJob {
            prompt: tried[..1].to_vec(),
            continuations: vec![tried[1..].to_vec()],
        };
        let mut ours = Vec::new();
        own.score(
            &[job],
            &mut |_, scores| ours = scores.concat(),
            context.cancel,
        )?;
        let limit = rounding(engine.dtype, student.weights.is_quantized());
        let apart = served.check_weights(tried, &ours, limit)?;
        context.report.info(format!(
            "the server's weights are taken for the student's: log-probabilities of {} tokens lie {apart:.4} apart from our own engine's on average (at most {limit})",
            ours.len()
        ));
    }
    Ok(ServedEngine {
        served,
        launched,
        _folder: folder,
    })
}
