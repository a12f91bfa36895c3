//! What is wrong with a manifest, all of it at once, with the text in question marked.
//!
//! In: diagnostics from every pass. Out: a report in the style of rustc, coloured only when asked.

use std::fmt;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::Origin;

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostic {
    /// What is wrong; a lower-case fragment.
    pub message: String,
    /// The text in question; none for a manifest that cannot be read.
    pub origin: Option<Origin>,
    /// A word under the marked text.
    pub label: Option<String>,
    /// Other places that take part, each with its word.
    pub related: Vec<(Origin, String)>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The manifest's keys that lead to the place.
    pub path: Vec<String>,
}

impl Diagnostic {
    /// A mistake without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// A mistake at a place.
    pub fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            origin: Some(origin.clone()),
            ..Self::default()
        }
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(&self.message));
        if let Some(origin) = &self.origin {
            let mut snippet = quote(origin).annotation(
                AnnotationKind::Primary
                    .span(origin.span.clone())
                    .label(self.label.as_deref()),
            );
            let (here, elsewhere): (Vec<_>, Vec<_>) = self
                .related
                .iter()
                .partition(|(other, _)| other.source == origin.source);
            for (other, word) in here {
                snippet = snippet.annotation(
                    AnnotationKind::Context
                        .span(other.span.clone())
                        .label(word.as_str()),
                );
            }
            group = group.element(snippet);
            for (other, word) in elsewhere {
                group = group.element(
                    quote(other).annotation(
                        AnnotationKind::Context
                            .span(other.span.clone())
                            .label(word.as_str()),
                    ),
                );
            }
        }
        let mut text = renderer.render(&[group]);
        if let Some(hint) = &self.hint {
            let hint = Group::with_title(Level::HELP.with_name("hint").secondary_title(hint));
            text.push('\n');
            text.push_str(&renderer.render(&[hint]));
        }
        text
    }
}

fn quote(origin: &Origin) -> Snippet<'_, Annotation<'_>> {
    Snippet::source(origin.source.text.as_str()).path(origin.source.name.as_str())
}

/// All that is wrong with a manifest, sorted by file and position; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestErrors {
    /// The mistakes.
    pub errors: Vec<Diagnostic>,
}

impl ManifestErrors {
    /// Sorts `errors` by file and position, and drops repetitions.
    pub(super) fn new(mut errors: Vec<Diagnostic>) -> Self {
        errors.sort_by(|a, b| {
            let order = |error: &Diagnostic| error.origin.as_ref().map(Origin::order);
            order(a)
                .cmp(&order(b))
                .then_with(|| a.message.cmp(&b.message))
        });
        errors.dedup_by(|a, b| a.origin == b.origin && a.message == b.message);
        Self { errors }
    }

    /// The report, with terminal colours if `colour`.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let parts: Vec<String> = self
            .errors
            .iter()
            .map(|error| error.render(&renderer))
            .collect();
        parts.join("\n\n")
    }
}

impl ManifestErrors {
    /// The mistakes, if there are any.
    ///
    /// # Errors
    /// There are.
    pub fn if_any(errors: Vec<Diagnostic>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self::new(errors))
        }
    }
}

impl From<Diagnostic> for ManifestErrors {
    fn from(error: Diagnostic) -> Self {
        Self {
            errors: vec![error],
        }
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ManifestErrors {}
