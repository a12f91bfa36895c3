//! `sert-run student`: what the program makes of a model, before any manifest names it.

mod words;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::data;
use super::exit::{Exit, Failure};
use super::session::StoreArgs;
use super::width::WidthArgs;
use crate::fetch::{FetchOptions, Fetcher, HubModel};
use crate::model::architecture::Output;
use crate::model::{
    Architecture, ChatError, ChatMessage, ChatSettings, ChatTemplate, Dtype, LoraOptions, Student,
    WeightFiles, chat_files, is_gguf,
};
use crate::report::bytes_text;
use crate::stage::{Shape, StageError, Work};
use crate::text::{CHAT_DATE, printable};

/// Sequences and tokens that the memory for sampling is told of: the paper's 25 paths of a question, III-A.
const SAMPLED: (u64, u64) = (25, 256);
/// Tokens of a batch that the memory for training is told of: 8 texts of 128 (ours).
const TRAINED: u64 = 1024;
/// Letters of the column of names.
const NAMES: usize = 18;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run student openai-community/gpt2
  sert-run student models/smollm2.gguf --json")]
pub(crate) struct StudentArgs {
    /// A folder in Hub format, a GGUF file, or a model on the hub
    #[arg(value_name = "FOLDER|FILE|ID")]
    model: String,
    /// Branch, tag or commit on the hub
    #[arg(long, default_value = "main")]
    revision: String,
    /// Find files at DIR/<host>/<path> before asking the network
    #[arg(long, env = "SERT_MIRROR", value_name = "DIR")]
    mirror: Option<PathBuf>,
    /// Never ask the network
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StudentArgs) -> Result<Exit, Failure> {
    let folder = folder(args)?;
    let student = Student::open(&folder).map_err(StageError::from)?;
    let told = told(&student, &folder);
    if args.json {
        let told = told
            .into_iter()
            .map(|line| (line.name.replace(' ', "_"), line.value));
        data::print_json(&Value::Object(told.collect()))?;
        return Ok(Exit::Done);
    }
    let width = WidthArgs::default().stdout();
    let mut out = anstream::stdout().lock();
    for Line { name, text, .. } in told {
        write!(out, "{}", width.beside(name, NAMES, &printable(&text)))?;
    }
    Ok(Exit::Done)
}

/// The folder or file that is meant; of a model on the hub its files are fetched.
fn folder(args: &StudentArgs) -> Result<PathBuf, Failure> {
    let local = Path::new(&args.model);
    if local.exists() || args.model.starts_with(['.', '/']) || is_gguf(local) {
        return Ok(local.to_owned());
    }
    let from_environment = FetchOptions::from_env(&args.store.cache);
    let fetcher = Fetcher::new(FetchOptions {
        mirror: args.mirror.clone(),
        offline: args.offline || from_environment.offline,
        ..from_environment
    });
    let model = HubModel {
        id: &args.model,
        revision: &args.revision,
        weights: true,
    };
    Ok(fetcher
        .hub_folder(&model, &|_| ())
        .map_err(StageError::from)?)
}

/// Something that is told: for a program and for a person.
struct Line {
    name: &'static str,
    value: Value,
    text: String,
}

/// A line whose value is its text, or a number.
fn line(name: &'static str, value: impl Into<Value>) -> Line {
    let value = value.into();
    let text = match &value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Line { name, value, text }
}

/// What there is to say, each with its name.
fn told(student: &Student<WeightFiles>, folder: &Path) -> Vec<Line> {
    let architecture = &student.architecture;
    let (tokenizer, heads) = (&student.tokenizer, architecture.heads);
    let output = match architecture.output {
        Output::Tied => "the token embedding",
        Output::Separate => "an array of its own",
    };
    let named = |ids: &[u32]| -> String {
        let words = ids.iter().map(|&id| match tokenizer.token(id) {
            Some(word) => format!("{id} `{word}`"),
            None => id.to_string(),
        });
        words.collect::<Vec<_>>().join(", ")
    };
    let (ends, prefix) = (student.vocabulary.ends(), tokenizer.prefix());
    let before = if prefix.is_empty() {
        "nothing".to_owned()
    } else {
        named(prefix)
    };
    let mut lines = vec![
        line("family", architecture.family.model_type()),
        line("parameters", student.weights.parameters()),
        line("layers", architecture.layers),
        line("width", architecture.width),
        Line {
            name: "heads",
            value: json!({ "query": heads.query, "key": heads.key, "width": heads.width }),
            text: format!(
                "{} of queries, {} of keys, each {} wide",
                heads.query, heads.key, heads.width
            ),
        },
        line("feed forward", words::feed_forward(architecture)),
        line("norms", words::norms(architecture)),
        line("positions", words::positions(architecture)),
    ];
    lines.extend(words::scales(architecture).map(|scales| line("scales", scales)));
    lines.extend([
        line("output", output),
        line("context", architecture.context),
        Line {
            name: "tokens",
            value: json!({ "tokens": student.vocabulary.tokens(), "rows": architecture.vocab_rows }),
            text: format!(
                "{} of {} rows",
                student.vocabulary.tokens(),
                architecture.vocab_rows
            ),
        },
        line("end of text", tokenizer.eos_token()),
        Line {
            name: "ends",
            value: json!(ends),
            text: named(ends),
        },
        Line {
            name: "before every text",
            value: json!(prefix),
            text: before,
        },
    ]);
    lines.extend(memory(architecture));
    lines.push(line("chat", chat(folder)));
    lines
}

/// What sampling and training take.
fn memory(architecture: &Architecture) -> Vec<Line> {
    let shape = Shape::of(architecture);
    let (paths, length) = SAMPLED;
    let cache = shape.cache_bytes(paths, length);
    let sampling = |dtype| shape.held.by(dtype).saturating_add(cache);
    let (f32, half, int8) = (
        sampling(Dtype::F32),
        sampling(Dtype::Bf16),
        sampling(Dtype::Int8),
    );
    let training = Work::training(shape, 0, TRAINED).memory_bytes;
    let rank = LoraOptions::default().rank;
    let adapting = Work::adapting(shape, rank as u64, 0, TRAINED).memory_bytes;
    let bytes = |name, value: u64, text: String| Line {
        name,
        value: value.into(),
        text,
    };
    vec![
        line(
            "dtype",
            "f32; also bf16, f16 and int8 to sample on the CPU; bf16, f16 on devices",
        ),
        bytes(
            "to sample",
            f32,
            format!(
                "about {} in f32, for {paths} paths of {length} tokens at once on the CPU",
                bytes_text(f32)
            ),
        ),
        bytes(
            "in bf16 or f16",
            half,
            format!("about {}", bytes_text(half)),
        ),
        bytes("in int8", int8, format!("about {}", bytes_text(int8))),
        bytes(
            "to train",
            training,
            format!(
                "about {} in f32, for batches of {TRAINED} tokens",
                bytes_text(training)
            ),
        ),
        bytes(
            "an adapter",
            adapting,
            format!(
                "about {} to train one of rank {rank} beside all linear maps",
                bytes_text(adapting)
            ),
        ),
    ]
}

/// What the chat template of a folder or a file makes of a question, or why it makes nothing.
fn chat(model: &Path) -> String {
    let rendered = || -> Result<String, ChatError> {
        let files = chat_files(model)?;
        let settings = ChatSettings {
            special_tokens: files.special_tokens.clone(),
            arguments: Map::new(),
            today: CHAT_DATE.parse()?,
        };
        let template = ChatTemplate::new("default", files.template(None)?, settings)?;
        let asked = [ChatMessage::new("user", "Is it?")];
        Ok(template.render(&asked, true)?.text)
    };
    match rendered() {
        Ok(text) => format!("`Is it?` is asked as {text:?}"),
        Err(ChatError::NoTemplate(_)) => "no template".to_owned(),
        Err(error) => error.to_string(),
    }
}
