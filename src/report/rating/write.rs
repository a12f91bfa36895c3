//! The sheet that is handed out.

use std::collections::BTreeMap;

use super::cell::neutralised;
use super::{CRITERIA, Item, RatingError};
use crate::text::Question;

/// Which paths go on a sheet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Choice {
    /// How many at most; 0 for all.
    pub paths: usize,
    /// How many at most of one question; 0 for all.
    pub per_question: usize,
}

/// Writes a sheet as CSV, and says how many paths are on it. Which ones the seed of their ids decides:
/// of each question those with the least ids, of these again the least, and in that order. So a larger
/// sheet of the same seed has the smaller one's paths too.
///
/// It begins with a byte order mark, by which spreadsheets know UTF-8.
///
/// # Errors
/// A path whose question is not given.
pub(crate) fn write_sheet(
    items: &BTreeMap<String, Item>,
    questions: &[Question],
    choice: Choice,
) -> Result<(Vec<u8>, usize), RatingError> {
    let by_id: BTreeMap<&str, &Question> = questions
        .iter()
        .map(|question| (question.id.as_str(), question))
        .collect();
    let most = |limit: usize| if limit == 0 { usize::MAX } else { limit };
    let mut of_question: BTreeMap<&str, usize> = BTreeMap::new();
    let chosen = items
        .values()
        .filter(|item| {
            let count = of_question.entry(&item.path.question_id).or_default();
            *count += 1;
            *count <= most(choice.per_question)
        })
        .take(most(choice.paths));

    let mut writer = csv::Writer::from_writer("\u{feff}".as_bytes().to_vec());
    let (before, after) = (["item", "question", "path"], ["comment"]);
    writer.write_record(before.into_iter().chain(CRITERIA).chain(after))?;
    let mut count = 0;
    for item in chosen {
        let path = &item.path;
        let question =
            by_id
                .get(path.question_id.as_str())
                .ok_or_else(|| RatingError::NoQuestion {
                    question_id: path.question_id.clone(),
                    questions: questions.len(),
                })?;
        let blank = std::iter::repeat_n(String::new(), CRITERIA.len() + 1);
        let filled = [
            item.id.clone(),
            neutralised(&question.asked()),
            neutralised(&path.text),
        ];
        writer.write_record(filled.into_iter().chain(blank))?;
        count += 1;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    Ok((bytes, count))
}
