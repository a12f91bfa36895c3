//! A prompt's declared text that shows the question itself: its answer may follow there.

use crate::stage::StageError;
use crate::text::Question;

/// Letters of a question at least, for it to be told in another text (ours): shorter ones may stand there by chance.
const TELLING: usize = 16;

/// Refuses a question that one of a prompt's declared `texts` shows.
///
/// # Errors
/// A text has the question's words.
pub(crate) fn refuse_shown<'t>(
    mut texts: impl Iterator<Item = &'t str>,
    question: &Question,
) -> Result<(), StageError> {
    let words = question.question.trim();
    if words.chars().count() < TELLING || !texts.any(|text| text.contains(words)) {
        return Ok(());
    }
    Err(StageError::Invalid(format!(
        "the prompt's own text shows the question `{}`, whose answer may follow there\nhint: take it out of the text, or show examples by `few_shot`, which never shows the question itself",
        question.id
    )))
}
