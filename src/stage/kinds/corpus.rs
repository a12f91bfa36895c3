//! `corpus`: the text of a file of the user's, in the place of what comes in by the port `text`.

use crate::dataset::{TextParams, pretraining_text};
use crate::stage::{Context, OutsideFile, ParamError, Size, Sizes, StageError};

/// What tells that the file is not there, if one is named and is not.
pub(super) fn missing(corpus: Option<&TextParams>, context: &Context<'_>) -> Vec<ParamError> {
    let missing = corpus.and_then(|corpus| context.missing_file("corpus.path", &corpus.path));
    missing.into_iter().collect()
}

/// The file, where one is named.
pub(super) fn files(corpus: Option<&TextParams>, context: &Context<'_>) -> Vec<OutsideFile> {
    let file = corpus.map(|corpus| OutsideFile {
        role: "corpus".to_owned(),
        path: context.resolve(&corpus.path),
    });
    file.into_iter().collect()
}

/// How much text it is; `None` where that is not known.
pub(super) fn size(
    corpus: Option<&TextParams>,
    inputs: &Sizes,
    context: &Context<'_>,
) -> Option<Size> {
    match corpus {
        None => inputs.get("text").copied(),
        Some(corpus) => {
            let bytes = context.resolve(&corpus.path).metadata().ok()?.len();
            Some(Size::of_text(1, bytes))
        }
    }
}

/// The documents; `purpose` is what they are for, as in "no text to read".
///
/// # Errors
/// The file cannot be read, or there is no document.
pub(super) fn documents(
    corpus: Option<&TextParams>,
    purpose: &str,
    context: &Context<'_>,
) -> Result<Vec<String>, StageError> {
    let documents: Vec<String> = match corpus {
        None => context.optional_input("text")?.unwrap_or_default(),
        Some(corpus) => pretraining_text(&TextParams {
            path: context.resolve(&corpus.path),
            ..corpus.clone()
        })?,
    };
    if documents.is_empty() {
        return Err(StageError::Invalid(format!(
            "there is no text to {purpose}\nhint: only `microworld` and `latent-world` bring their own; name a file with `corpus = {{ path = \"...\" }}`"
        )));
    }
    Ok(documents)
}
