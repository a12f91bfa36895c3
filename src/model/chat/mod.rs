//! Chat templates: messages as the text that a chat model was trained on, exactly as HF transformers writes it.
//!
//! In: a template (Jinja), special tokens, arguments, a date, messages. Out: the text and, where the template says so by
//! `{% generation %}`, which bytes of it the assistant wrote. The engine is `minijinja`, set up as transformers sets up
//! jinja2: `trim_blocks`, `lstrip_blocks`, loop controls, `tojson`, `raise_exception`, `strftime_now`, Python's methods of
//! strings, dicts and lists. A template comes from whoever published the model, so it sees nothing but what is given to
//! it, and how much it may do is bounded.
//!
//! - [`ChatTemplate`] renders, for sampling.
//! - [`ChatTemplate::training_text`] says what of a whole conversation a loss counts.
//! - [`ChatFiles`] finds templates and special tokens in a Hub folder.
//!
//! The text has its special tokens written out: it is encoded without adding any, as `apply_chat_template` does. What a
//! model thinks before it answers is parted from the answer by the rule for servers' replies, `crate::text::thought`;
//! nothing here reads an answer.
//!
//! `tests/fixtures/make_templates.py` writes what transformers makes of published templates and of many small ones;
//! the tests hold this module to it byte for byte.

mod date;
mod error;
mod files;
mod json;
mod methods;
mod number;
mod rewrite;
mod strings;
mod template;
mod training;

#[cfg(test)]
mod tests;

pub use date::Date;
pub use error::ChatError;
pub use files::ChatFiles;
pub use template::{ChatMessage, ChatSettings, ChatTemplate, Rendered};
pub use training::TrainingText;
