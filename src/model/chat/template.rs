//! A template, compiled, and what it makes of messages.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, Value, ValueKind, ValueOrKwargs};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, OutputSpan, OutputSpanKind, State,
};

use super::date::Date;
use super::error::ChatError;
use super::number::python_float;
use super::rewrite::{self, Generation, Rewritten};
use super::{json, methods, strings};

/// What one text may cost (ours): a step of the template costs 1, 64 bytes that it makes cost 1 too. Published templates
/// take some hundreds for a message; all of it is less than a second.
const FUEL: u64 = 1_000_000;

/// Bytes of stack: values may lie in each other as deep as [`FUEL`] allows, and printing and freeing them recurses; so does
/// compiling, by operators of a tag and by `elif` after `elif`, of which [`LONGEST_SOURCE`] and [`rewrite::LONGEST_TAG`] allow
/// 30,000. The system gives only what is used.
const STACK: usize = 1 << 28;

/// Bytes of a text at most (ours): more than any model reads.
const LONGEST: usize = 16 << 20;

/// Bytes of a template at most (ours): the largest published ones have some 30,000.
const LONGEST_SOURCE: usize = 256 << 10;

/// What the program sets, as `apply_chat_template` does, and no argument may.
const RESERVED: [&str; 2] = ["messages", "add_generation_prompt"];

/// One message.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    /// Who says it: `system`, `user` or `assistant`, as the template knows them.
    pub role: String,
    /// What is said.
    pub content: String,
    /// What was thought before, where that is kept apart. Templates see it as `reasoning_content` and, as transformers
    /// gives it to them, as `thinking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}

impl ChatMessage {
    /// A message without a thinking part.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            reasoning_content: None,
        }
    }
}

/// What a template sees besides messages. All of it shapes the text, so all of it belongs in a key.
#[derive(Clone, PartialEq, Debug)]
pub struct ChatSettings {
    /// Special tokens by their names (`bos_token`, `eos_token`, ...).
    pub special_tokens: BTreeMap<String, String>,
    /// Further arguments, as `apply_chat_template` takes them: `enable_thinking`, ... They win over special tokens.
    pub arguments: serde_json::Map<String, serde_json::Value>,
    /// The day that `strftime_now` tells.
    pub today: Date,
}

/// A text, and what of it the assistant wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// The text, special tokens written out.
    pub text: String,
    /// Bytes within `{% generation %}`, in their order; none where the template has no such block.
    pub generated: Vec<Range<usize>>,
    /// Blocks whose text went through a macro or a filter, so that nobody knows where it stands.
    pub(super) lost: usize,
}

/// A compiled template with its settings.
#[derive(Debug)]
pub struct ChatTemplate {
    name: String,
    environment: Environment<'static>,
    settings: ChatSettings,
    source: Rewritten,
}

impl ChatTemplate {
    /// Compiles `source`; `name` is what errors call it.
    ///
    /// # Errors
    /// It is not Jinja, is larger than any template, or an argument has a reserved name.
    pub fn new(name: &str, source: &str, settings: ChatSettings) -> Result<Self, ChatError> {
        if let Some(argument) = RESERVED
            .iter()
            .find(|name| settings.arguments.contains_key(**name))
        {
            return Err(ChatError::Reserved((*argument).to_owned()));
        }
        if source.len() > LONGEST_SOURCE {
            return Err(ChatError::TooLong {
                template: name.to_owned(),
                bytes: source.len(),
                most: LONGEST_SOURCE,
            });
        }
        // As jinja2 reads them.
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let source = rewrite::rewrite(&source)
            .map_err(|(at, reason)| unpaired(name, &source[..at], reason))?;
        let mut environment = environment(settings.today);
        let generation = source.generation.clone();
        environment.add_filter(generation.clone(), rewrite::generation(generation));
        environment.add_filter(source.kept.clone(), rewrite::kept);
        on_a_deep_stack(|| environment.add_template_owned(TEMPLATE, source.source.clone()))
            .map_err(ChatError::Thread)?
            .map_err(|error| told(name, &source, &error))?;
        Ok(Self {
            name: name.to_owned(),
            environment,
            settings,
            source,
        })
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was given.
    pub fn settings(&self) -> &ChatSettings {
        &self.settings
    }

    /// Whether it marks the assistant's text by `{% generation %}`.
    pub fn marks_generation(&self) -> bool {
        self.source.marks
    }

    /// Renders `messages`; `add_generation_prompt` opens the assistant's next turn.
    ///
    /// # Errors
    /// There is no message; the template refuses them, fails, or does not end.
    pub fn render(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<Rendered, ChatError> {
        if messages.is_empty() {
            return Err(ChatError::NoMessages(self.name.clone()));
        }
        on_a_deep_stack(|| self.rendered(messages, add_generation_prompt))
            .unwrap_or_else(|error| Err(ChatError::Thread(error)))
    }

    fn rendered(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<Rendered, ChatError> {
        let wrong = |error: &Error| told(&self.name, &self.source, error);
        let generation = Arc::new(Generation::default());
        let context = self.context(messages, add_generation_prompt, &generation);
        let template = self
            .environment
            .get_template(TEMPLATE)
            .map_err(|error| wrong(&error))?;
        let (text, spans) = template
            .render_with_spans(context)
            .map_err(|error| wrong(&error))?;
        if text.len() > LONGEST {
            let what = format!(
                "a text of {} bytes, accepted: at most {LONGEST}",
                text.len()
            );
            return Err(ChatError::TooMuch {
                template: self.name.clone(),
                what,
            });
        }
        let filter = Some(&*self.source.generation);
        let generated: Vec<Range<usize>> = (spans.iter())
            .filter(|span| span.kind() == OutputSpanKind::Expression)
            .filter(|span| self.source.source.get(span.source_range()) == filter)
            .map(OutputSpan::output_range)
            .collect();
        let lost = generation.written().saturating_sub(generated.len());
        Ok(Rendered {
            text,
            generated,
            lost,
        })
    }

    fn context(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
        generation: &Arc<Generation>,
    ) -> Value {
        let messages: Vec<Value> = messages.iter().map(message).collect();
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        for name in ["tools", "documents"] {
            context.insert(name, Value::from(()));
        }
        let tokens = &self.settings.special_tokens;
        context.extend(
            tokens
                .iter()
                .map(|(name, token)| (name.as_str(), Value::from(token.as_str()))),
        );
        let arguments = &self.settings.arguments;
        context.extend(
            arguments
                .iter()
                .map(|(name, json)| (name.as_str(), value(json))),
        );
        context.insert("messages", Value::from(messages));
        context.insert("add_generation_prompt", Value::from(add_generation_prompt));
        if self.source.marks {
            let count = Value::from_dyn_object(generation.clone());
            context.insert(&self.source.generation, count);
        }
        Value::from_pairs(context)
    }
}

/// What the engine calls any template: no ending that it would take as a sign to escape HTML.
const TEMPLATE: &str = "chat";

/// As transformers makes jinja2's.
fn environment(today: Date) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    if let Ok(syntax) = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
    {
        environment.set_syntax(syntax);
    }
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(printed);
    environment.set_unknown_method_callback(methods::call);
    // jinja2 has no such function, and templates ask what is defined.
    environment.remove_global("debug");
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("namespace", |args: Rest<ValueOrKwargs>| {
        rewrite::namespace(&args.into_values())
    });
    environment.add_function("strftime_now", move |format: &str| today.strftime(format));
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("trim", |text: String, chars: Option<&str>| {
        strings::strip(&text, chars, true, true).to_owned()
    });
    // jinja2 takes a thing for iterable where Python iterates over it, and for a sequence where it has a length and items.
    environment.add_test("iterable", |value: &Value| {
        value.is_undefined() || listed(value) || value.kind() == ValueKind::String
    });
    environment.add_test("sequence", |value: &Value| {
        value.kind() == ValueKind::String || (listed(value) && value.len().is_some())
    });
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_filter("capitalize", |text: String| strings::capitalize(&text));
    environment
}

fn listed(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable
    )
}

/// Prints as Python: the engine does but for floats with an exponent.
fn printed(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_number() && !value.is_integer() {
        let float = f64::try_from(value.clone())?;
        return out.write_str(&python_float(float)).map_err(Error::from);
    }
    if listed(value) {
        // The engine charges for a text once it is there, and a list may be long without being large.
        state.consume_fuel(value.len().unwrap_or(0) as u64)?;
        let mut text = Bounded(String::new());
        write!(text, "{value}").map_err(|_| Error::from(ErrorKind::OutOfFuel))?;
        return out.write_str(&text.0).map_err(Error::from);
    }
    minijinja::escape_formatter(out, state, value)
}

/// A text of at most [`LONGEST`] bytes.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
}

/// What a template raised.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

/// As transformers passes it: the thinking part under its older name too, and nothing that is not there.
fn message(message: &ChatMessage) -> Value {
    let thinking = message.reasoning_content.as_deref();
    let fields = [
        ("thinking", thinking),
        ("role", Some(&*message.role)),
        ("content", Some(&*message.content)),
        ("reasoning_content", thinking),
    ];
    Value::from_pairs(
        fields
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?))),
    )
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(yes) => Value::from(*yes),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::from(items.iter().map(value).collect::<Vec<_>>()),
        serde_json::Value::Object(fields) => Value::from_pairs(
            fields
                .iter()
                .map(|(name, json)| (name.as_str(), value(json))),
        ),
    }
}

/// Does `work` where recursion cannot end the process.
fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn unpaired(template: &str, before: &str, reason: &str) -> ChatError {
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    ChatError::Template {
        template: template.to_owned(),
        line: before.matches('\n').count() + 1,
        column: Some(before[line..].chars().count() + 1),
        reason: format!("syntax error: {reason}"),
        hint: NOT_JINJA,
    }
}

const NOT_JINJA: &str = "a template is Jinja, as jinja2 3.1 reads it; is the file whole?";

/// The engine's error with its place in the template, and what to do.
fn told(template: &str, source: &Rewritten, error: &Error) -> ChatError {
    let template = template.to_owned();
    let line = error.line().unwrap_or(1);
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(raised) = inner.downcast_ref::<Raised>() {
            return ChatError::Raised {
                template,
                line,
                message: raised.0.clone(),
            };
        }
        cause = inner.source();
    }
    if error.kind() == ErrorKind::OutOfFuel {
        let what = format!("{FUEL} steps (64 bytes made are one), or {LONGEST} bytes of one value");
        return ChatError::TooMuch { template, what };
    }
    let column = error.range().and_then(|range| source.column(range.start));
    let kind = error.kind().to_string();
    let reason = error
        .detail()
        .map_or_else(|| kind.clone(), |detail| format!("{kind}: {detail}"));
    let hint = match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::BadEscape => NOT_JINJA,
        ErrorKind::UndefinedError => {
            "the template reads what it was not given: name it among the arguments, if it is one"
        }
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownMethod => {
            "only what transformers gives to templates is there; write the prompt as a template of the manifest"
        }
        _ => "mend the template, or write the prompt as a template of the manifest",
    };
    ChatError::Template {
        template,
        line,
        column,
        reason,
        hint,
    }
}
