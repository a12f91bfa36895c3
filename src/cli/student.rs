//! `sert-run student`: what the program makes of a model, before any manifest names it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use super::data;
use super::exit::{Exit, Failure};
use super::session::StoreArgs;
use crate::fetch::{FetchOptions, Fetcher, HubModel};
use crate::model::architecture::{
    Activation, FeedForwardKind, NormKind, Output, Placement, Positions, QueryKeyNorm,
};
use crate::model::{
    Architecture, ChatError, ChatMessage, ChatSettings, ChatTemplate, Dtype, LoraOptions, Student,
    WeightFiles, chat_files, is_gguf, weight_bytes,
};
use crate::report::bytes_text;
use crate::stage::{Shape, StageError, Work};
use crate::text::{CHAT_DATE, printable};

/// Sequences and tokens that the memory for sampling is told of: the paper's 25 paths of a question, III-A.
const SAMPLED: (u64, u64) = (25, 256);
/// Tokens of a batch that the memory for training is told of: 8 texts of 128 (ours).
const TRAINED: u64 = 1024;

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
    let mut told = told(&student);
    told.push(("chat".to_owned(), json!(chat(&folder))));
    if args.json {
        let told = told
            .into_iter()
            .map(|(name, value)| (name.replace(' ', "_"), value));
        data::print_json(&Value::Object(told.collect()))?;
        return Ok(Exit::Done);
    }
    let mut out = anstream::stdout().lock();
    for (name, value) in told {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        writeln!(out, "{name:<18} {}", printable(&value))?;
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

/// What there is to say, each with its name.
fn told(student: &Student<WeightFiles>) -> Vec<(String, Value)> {
    let architecture = &student.architecture;
    let (tokenizer, heads) = (&student.tokenizer, architecture.heads);
    let shape = Shape::of(architecture);
    let (paths, length) = SAMPLED;
    let cache = shape.cache_bytes(paths, length);
    let sampling = |dtype| bytes_text(weight_bytes(architecture, dtype).saturating_add(cache));
    let training = Work::training(shape, 0, TRAINED).memory_bytes;
    let rank = LoraOptions::default().rank;
    let adapting = Work::adapting(shape, rank as u64, 0, TRAINED).memory_bytes;
    let says = [
        ("family", json!(architecture.family.model_type())),
        ("parameters", json!(student.weights.parameters())),
        ("layers", json!(architecture.layers)),
        ("width", json!(architecture.width)),
        (
            "heads",
            json!(format!(
                "{} of queries, {} of keys, each {} wide",
                heads.query, heads.key, heads.width
            )),
        ),
        ("feed forward", json!(feed_forward(architecture))),
        ("norms", json!(norms(architecture))),
        ("positions", json!(positions(architecture))),
        (
            "output",
            json!(match architecture.output {
                Output::Tied => "the token embedding",
                Output::Separate => "an array of its own",
            }),
        ),
        ("context", json!(architecture.context)),
        (
            "tokens",
            json!(format!(
                "{} of {} rows",
                student.vocabulary.tokens(),
                architecture.vocab_rows
            )),
        ),
        ("end of text", json!(tokenizer.eos_token())),
        ("ends", json!(student.vocabulary.ends())),
        ("before every text", json!(tokenizer.prefix())),
        (
            "dtype",
            json!("f32; also bf16, f16 and int8 to sample on the CPU; bf16, f16 on devices"),
        ),
        (
            "to sample",
            json!(format!(
                "about {} in f32, for {paths} paths of {length} tokens at once on the CPU",
                sampling(Dtype::F32)
            )),
        ),
        (
            "in bf16 or f16",
            json!(format!("about {}", sampling(Dtype::Bf16))),
        ),
        ("in int8", json!(format!("about {}", sampling(Dtype::Int8)))),
        (
            "to train",
            json!(format!(
                "about {} in f32, for batches of {TRAINED} tokens",
                bytes_text(training)
            )),
        ),
        (
            "an adapter",
            json!(format!(
                "about {} to train one of rank {rank} beside all linear maps",
                bytes_text(adapting)
            )),
        ),
    ];
    says.map(|(name, value)| (name.to_owned(), value)).into()
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

fn feed_forward(architecture: &Architecture) -> String {
    let (activation, gated) = match architecture.feed_forward.kind {
        FeedForwardKind::Plain(activation) => (activation, ""),
        FeedForwardKind::Gated(activation) => (activation, ", gated"),
    };
    let activation = match activation {
        Activation::Gelu => "GELU",
        Activation::GeluTanh => "GELU by tanh",
        Activation::Silu => "SiLU",
    };
    let beside = if architecture.parallel {
        ", beside attention"
    } else {
        ""
    };
    format!(
        "{} wide, {activation}{gated}{beside}",
        architecture.feed_forward.inner
    )
}

fn norms(architecture: &Architecture) -> String {
    let kind = match architecture.norm.kind {
        NormKind::Layer => "layer norm",
        NormKind::Rms { .. } => "RMS norm",
    };
    let place = match architecture.norm.placement {
        Placement { before, after } if before && after => "before and after each half",
        Placement { after: true, .. } => "after each half",
        Placement { .. } => "before each half",
    };
    let of_heads = match architecture.attention.query_key_norm {
        None => "",
        Some(QueryKeyNorm::Head) => "; of queries and keys by head",
        Some(QueryKeyNorm::All) => "; of all queries and all keys",
    };
    format!("{kind} {place}{of_heads}")
}

fn positions(architecture: &Architecture) -> String {
    if architecture.positions == Positions::Learned {
        return "learned".to_owned();
    }
    let blocks = (0..architecture.layers).map(|layer| architecture.block_attention(layer));
    let (without, windows): (Vec<_>, Vec<_>) = blocks
        .map(|block| (block.rotary.is_none(), block.window))
        .unzip();
    let without = without.into_iter().filter(|without| *without).count();
    let mut text = "rotary".to_owned();
    if without > 0 {
        let _ = write!(text, ", none in {without} layers");
    }
    if let Some(window) = windows.iter().flatten().next() {
        let count = windows.iter().flatten().count();
        let _ = write!(text, ", a window of {window} tokens in {count} layers");
    }
    text
}
