//! What is wrong with a manifest, all of it at once, with the text in question marked.
//!
//! In: diagnostics from every pass. Out: a report in the style of rustc, coloured only when asked.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{Origin, SourceText};

/// Mistakes that are told at most (ours): nobody reads on.
const MOST_TOLD: usize = 100;
/// Mistakes of one pass over a manifest that get a hint (ours). Looking for the nearest of many names takes long, and
/// few of them are told.
const MOST_HINTED: usize = 1000;

/// The hint of a mistake after which so many were found in this pass.
pub(super) fn hinted(found: usize, hint: impl FnOnce() -> Option<String>) -> Option<String> {
    if found < MOST_HINTED { hint() } else { None }
}

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
            let (here, elsewhere): (Vec<_>, Vec<_>) = self
                .related
                .iter()
                .partition(|(other, _)| Arc::ptr_eq(&other.source, &origin.source));
            let mut spans = vec![(AnnotationKind::Primary, &origin.span, self.label.as_deref())];
            spans.extend(here.iter().map(|(other, word)| context(other, word)));
            group = group.element(quote(&origin.source, &spans));
            for (other, word) in elsewhere {
                group = group.element(quote(&other.source, &[context(other, word)]));
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

/// A span of a text, how it is marked, and a word under it.
type Marked<'a> = (AnnotationKind, &'a Range<usize>, Option<&'a str>);

fn context<'a>(other: &'a Origin, word: &'a str) -> Marked<'a> {
    (AnnotationKind::Context, &other.span, Some(word))
}

/// The lines that the spans are on and those in between: more of a long text would be looked through for each mistake.
fn quote<'a>(source: &'a SourceText, spans: &[Marked<'a>]) -> Snippet<'a, Annotation<'a>> {
    let text = source.text.as_str();
    let first = spans.iter().map(|(_, span, _)| span.start).min();
    let first = text[..first.unwrap_or(0)]
        .rfind('\n')
        .map_or(0, |at| at + 1);
    let last = spans.iter().map(|(_, span, _)| span.end).max().unwrap_or(0);
    let last = text[last..]
        .find('\n')
        .map_or(text.len(), |at| last + at + 1);
    let mut snippet = Snippet::source(&text[first..last])
        .line_start(text[..first].matches('\n').count() + 1)
        .path(source.name.as_str());
    for (kind, span, word) in spans {
        let span = span.start - first..span.end - first;
        snippet = snippet.annotation(kind.span(span).label(*word));
    }
    snippet
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
        // Each point of a sweep tells of the mistakes that all points share.
        errors.dedup_by(|a, b| a.origin == b.origin && a.message == b.message);
        Self { errors }
    }

    /// The report on the first hundred, with terminal colours if `colour`.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let told = self.errors.iter().take(MOST_TOLD);
        let mut parts: Vec<String> = told.map(|error| error.render(&renderer)).collect();
        if let Some(more @ 1..) = self.errors.len().checked_sub(MOST_TOLD) {
            parts.push(format!("{more} more mistakes are not listed"));
        }
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
