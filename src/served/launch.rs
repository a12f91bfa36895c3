//! A server that the run starts on a student, and stops.
//!
//! It listens on a free port of this machine alone, its output is a log, and it is ended with its children when the stage ends,
//! fails or is interrupted; the system ends it where the run is killed.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::asking::Asking;
use super::{LaunchName, ServedError, ServerParams};
use crate::event::CancelToken;
use crate::model::{Dtype, GGUF_FILE};
use crate::program::{Beside, last_words};

/// How often to look whether it answers (ours).
const LOOK: Duration = Duration::from_millis(200);
/// Sequences that llama.cpp's server goes on with at a time (ours).
const SLOTS: usize = 4;
/// What launched models are called.
const MODEL: &str = "student";

/// What is started, and on what.
pub(crate) struct Launch<'a> {
    pub(crate) params: &'a ServerParams,
    /// The folder that holds the student's files.
    pub(crate) folder: &'a Path,
    /// Tokens of a text at most.
    pub(crate) context: usize,
    pub(crate) dtype: Dtype,
    /// The card that it may use, where the run has given this stage one.
    pub(crate) card: Option<usize>,
    /// Where what it writes is kept.
    pub(crate) log: PathBuf,
}

/// A server that was started; it ends when this is dropped.
pub(crate) struct Launched {
    /// Where it answers.
    pub(crate) base_url: String,
    command: String,
    log: PathBuf,
    running: Mutex<Beside>,
}

impl Launched {
    /// Why it does not answer any more, where it has ended; else `error`, why it was asked in vain.
    pub(crate) fn or_gone(&self, error: ServedError) -> ServedError {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match (running.ended(), error) {
            (Some(how), ServedError::Asked(_)) => ServedError::Launch {
                command: self.command.clone(),
                what: format!("ended while it was asked: {how}"),
                log: self.log.clone(),
                last: last_words(&self.log),
            },
            (_, error) => error,
        }
    }
}

/// Starts a server and waits until it answers.
///
/// # Errors
/// It cannot be started, ends, or does not answer in time; the student has no file that it reads; somebody asked to stop.
pub(crate) fn launch(start: &Launch<'_>, asking: &Asking<'_>) -> Result<Launched, ServedError> {
    let command = start.params.command().unwrap_or_default().to_owned();
    let failed = |what: String| ServedError::Launch {
        command: command.clone(),
        what,
        log: start.log.clone(),
        last: last_words(&start.log),
    };
    let port = free_port().map_err(|error| failed(format!("finds no free port: {error}")))?;
    let words = match start.params.launch {
        Some(LaunchName::LlamaServer) => llama_server(start, port, asking.cancel)?,
        _ => vllm(start, port),
    };
    let mut environment = vec![
        // Neither looks for anything elsewhere, nor tells anybody.
        ("HF_HUB_OFFLINE", "1".to_owned()),
        ("VLLM_NO_USAGE_STATS", "1".to_owned()),
        ("DO_NOT_TRACK", "1".to_owned()),
    ];
    environment.extend(
        start
            .card
            .map(|card| ("CUDA_VISIBLE_DEVICES", card.to_string())),
    );
    let mut running = Beside::start(
        &[std::slice::from_ref(&command), &words].concat(),
        &environment,
        &start.log,
    )
    .map_err(|error| failed(format!("cannot be started: {error}")))?;
    let base_url = format!("http://{}:{port}/v1", Ipv4Addr::LOCALHOST);
    let endpoint = start.params.endpoint_at(&base_url);
    let (paths, _) = start.params.name().form().version;
    let began = Instant::now();
    loop {
        if asking.cancel.is_cancelled() {
            return Err(ServedError::Cancelled);
        }
        if let Some(how) = running.ended() {
            return Err(failed(format!("did not come up: {how}")));
        }
        if asking.look(&endpoint, paths).is_ok() {
            break;
        }
        let limit = start.params.start_timeout_s;
        if began.elapsed() > Duration::from_secs(limit.into()) {
            return Err(failed(format!(
                "did not answer for {limit} s (`server.start_timeout_s`)"
            )));
        }
        asking.cancel.sleep(LOOK);
    }
    Ok(Launched {
        base_url,
        command,
        log: start.log.clone(),
        running: Mutex::new(running),
    })
}

/// A port of this machine that nobody has; it is given back at once, for the server to take.
fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The arguments of `vllm`.
fn vllm(start: &Launch<'_>, port: u16) -> Vec<String> {
    let dtype = match start.dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        // The others are our own engine's, and are refused before.
        Dtype::Bf16 | Dtype::Int8 | Dtype::Tf32 => "bfloat16",
    };
    let mut words = vec!["serve".to_owned(), start.folder.display().to_string()];
    let flags = [
        ("--host", Ipv4Addr::LOCALHOST.to_string()),
        ("--port", port.to_string()),
        ("--served-model-name", MODEL.to_owned()),
        ("--dtype", dtype.to_owned()),
        ("--max-model-len", start.context.to_string()),
        ("--logprobs-mode", "raw_logprobs".to_owned()),
        // The student's own defaults of drawing, which would stand in for what a request leaves out.
        ("--generation-config", "vllm".to_owned()),
    ];
    words.extend(
        flags
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value]),
    );
    words.extend(start.params.args.iter().cloned());
    words
}

/// The arguments of `llama-server`, whose file is made first where the student is no GGUF file.
fn llama_server(
    start: &Launch<'_>,
    port: u16,
    cancel: &CancelToken,
) -> Result<Vec<String>, ServedError> {
    let model = gguf(start, cancel)?;
    // Its keys and values are in 16 bits unless told otherwise.
    let cache = match start.dtype {
        Dtype::F32 | Dtype::Tf32 => "f32",
        Dtype::F16 => "f16",
        Dtype::Bf16 => "bf16",
        Dtype::Int8 => "q8_0",
    };
    let context = start.context.saturating_mul(SLOTS);
    let flags = [
        ("--model", model.display().to_string()),
        ("--host", Ipv4Addr::LOCALHOST.to_string()),
        ("--port", port.to_string()),
        ("--alias", MODEL.to_owned()),
        ("--parallel", SLOTS.to_string()),
        ("--ctx-size", context.to_string()),
        ("--cache-type-k", cache.to_owned()),
        ("--cache-type-v", cache.to_owned()),
    ];
    let flags = flags
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value]);
    Ok(flags.chain(start.params.args.iter().cloned()).collect())
}

/// The student as a GGUF file.
fn gguf(start: &Launch<'_>, cancel: &CancelToken) -> Result<PathBuf, ServedError> {
    let own = start.folder.join(GGUF_FILE);
    if own.exists() {
        return Ok(own);
    }
    let Some(first) = start.params.converter.first() else {
        return Err(ServedError::NoFile {
            what: "llama-server reads GGUF files, and this student is a folder of safetensors"
                .to_owned(),
            hint: "set `server.converter = [\"python3\", \"PATH/convert_hf_to_gguf.py\"]`, llama.cpp's own; or take `launch = \"vllm\"`",
        });
    };
    let outtype = match start.dtype {
        Dtype::F32 | Dtype::Tf32 => "f32",
        Dtype::F16 => "f16",
        Dtype::Bf16 => "bf16",
        Dtype::Int8 => "q8_0",
    };
    let made = start.folder.join("converted.gguf");
    let mut words = start.params.converter.clone();
    words.extend([
        start.folder.display().to_string(),
        "--outfile".to_owned(),
        made.display().to_string(),
        "--outtype".to_owned(),
        outtype.to_owned(),
    ]);
    let failed = |what: String| ServedError::Launch {
        command: start.params.converter.join(" "),
        what,
        log: start.log.clone(),
        last: last_words(&start.log),
    };
    let offline = [("HF_HUB_OFFLINE", "1".to_owned())];
    let running = Beside::start(&words, &offline, &start.log)
        .map_err(|error| failed(format!("cannot be started, `{first}`: {error}")))?;
    match running.wait(cancel) {
        None => Err(ServedError::Cancelled),
        Some(Err(how)) => Err(failed(format!("made no GGUF file: {how}"))),
        Some(Ok(())) if !made.exists() => Err(failed("made no GGUF file".to_owned())),
        Some(Ok(())) => Ok(made),
    }
}
