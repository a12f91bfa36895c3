//! What can be wrong with a chat template, or with what it is given.

use super::super::error::ModelError;

/// A chat template that cannot be found, read or used.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The template is not Jinja, or does what cannot be done.
    #[error(
        "chat template `{template}`, line {line}{}: {reason}\nhint: {hint}", column.map_or_else(String::new, |column| format!(", column {column}"))
    )]
    Template {
        /// Its name.
        template: String,
        /// Where, counted from 1.
        line: usize,
        /// Where in that line, counted from 1 in characters; `None` where only the line is known.
        column: Option<usize>,
        /// What is wrong.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The template calls `raise_exception`.
    #[error(
        "chat template `{template}`, line {line}: it refuses these messages: {message}\nhint: some templates know no system text, or want user and assistant by turns; change the messages, or write the prompt as a template of the manifest"
    )]
    Raised {
        /// Its name.
        template: String,
        /// Where, counted from 1.
        line: usize,
        /// What it says, word for word.
        message: String,
    },
    /// It ran too long or made too much.
    #[error(
        "chat template `{template}`: stopped after {what}\nhint: published templates need less than a hundredth of that; the template is broken, or meant to harm"
    )]
    TooMuch {
        /// Its name.
        template: String,
        /// Of what.
        what: String,
    },
    /// It is larger than any template.
    #[error(
        "chat template `{template}`: it has {bytes} bytes, accepted: up to {most}\nhint: published templates have up to some 30,000; is this one a template?"
    )]
    TooLong {
        /// Its name.
        template: String,
        /// How long it is.
        bytes: usize,
        /// How long one may be.
        most: usize,
    },
    /// No message to render, as transformers refuses too.
    #[error("chat template `{0}`: there is no message\nhint: give at least the user's")]
    NoMessages(String),
    /// A training text needs an answer at its end.
    #[error(
        "chat template `{template}`: a training text ends with the assistant's answer, this one with {found}\nhint: give the answer as a last message of role `assistant`"
    )]
    NoAnswer {
        /// Its name.
        template: String,
        /// The last message's role.
        found: String,
    },
    /// What is rendered for sampling is no beginning of what is rendered for training.
    #[error(
        "chat template `{template}`: the conversation does not begin with its prompt, so what a loss should count is not known\n  the prompt goes on with       {prompt:?}\n  the conversation goes on with {whole:?}\nhint: write the prompt as a template of the manifest, or take a template that marks the answer by {{% generation %}}"
    )]
    NotAPrefix {
        /// Its name.
        template: String,
        /// What the prompt has where they part.
        prompt: String,
        /// What the conversation has there.
        whole: String,
    },
    /// `{% generation %}` marks nothing, or where it stands is not known.
    #[error(
        "chat template `{template}`: {reason}, so what a loss should count is not known\nhint: write the prompt as a template of the manifest, or mend the template's {{% generation %}} blocks"
    )]
    Generation {
        /// Its name.
        template: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// An argument with the name of what is given otherwise.
    #[error(
        "chat template arguments: `{0}` is not an argument, it is set by the program\nhint: remove it"
    )]
    Reserved(String),
    /// Not a date.
    #[error("`{0}` is not a date\nhint: write YEAR-MONTH-DAY, as in 2024-07-26")]
    Date(String),
    /// The folder has no template.
    #[error(
        "`{0}` has no chat template\nhint: a base model has none: write the prompt as a template of the manifest; an instruct model has chat_template.jinja, or chat_template in tokenizer_config.json"
    )]
    NoTemplate(String),
    /// The folder has templates, but not that one.
    #[error("`{folder}` has no chat template `{name}`, but: {}\nhint: name one of them", names.join(", "))]
    NoSuchTemplate {
        /// The folder.
        folder: String,
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
    /// A file says something that transformers would not take.
    #[error(
        "`{file}`: `{key}` is {found}, accepted: {accepted}\nhint: take the file as the model's author published it, or have transformers write it anew (save_pretrained)"
    )]
    Entry {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
        /// What would do.
        accepted: &'static str,
    },
    /// The system gives no thread to work on.
    #[error(
        "chat template: no thread to work on: {0}\nhint: is the memory of this process limited (`ulimit -v`)?"
    )]
    Thread(std::io::Error),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] ModelError),
}
