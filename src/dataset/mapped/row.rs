//! One row of a table as a question's fields, by a mapping of columns.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::at::{at, nested};
use crate::dataset::columns::{AnswerKind, ChoiceColumns, Columns};
use crate::dataset::jsonl::source::{Fields, SourceRow};
use crate::input::{InputError, TableRow, noun};

/// Whole numbers beyond this may have lost digits when they were read (2^53).
const EXACT: f64 = 9_007_199_254_740_992.0;
/// LaTeX's box, whose answer stands in braces.
const BOXED: &str = "\\boxed";
/// What may be done about a row that has nothing where something is expected.
const DROP: &str = "leave such rows out by `bad_rows = \"drop\"`, or name another column";

/// A row and its mapping.
pub(super) struct MappedRow<'a> {
    pub(super) path: &'a Path,
    pub(super) row: &'a TableRow,
    pub(super) columns: &'a Columns,
}

impl SourceRow for MappedRow<'_> {
    fn fields(&self) -> Result<Fields, InputError> {
        let columns = self.columns;
        let mut question = self.needed_text(&columns.question, "the question")?;
        if let Some(column) = &columns.context
            && let Some(context) = self.text(column, "the context")?
        {
            question = format!("{}\n\n{question}", context.trim());
        }
        let choices = columns
            .choices
            .as_ref()
            .map(|choices| self.choices(choices));
        let choices = choices.transpose()?;
        let (answer, solution) = self.answer()?;
        let rationale = match &columns.rationale {
            Some(column) => self.text(column, "the rationale")?,
            None => solution,
        };
        Ok(Fields {
            question: Some(question.into()),
            choices,
            answer: Some(answer),
            answer_key: None,
            rationale: rationale.map(Value::from),
        })
    }

    fn id(&self) -> Result<Option<String>, InputError> {
        let Some(column) = &self.columns.id else {
            return Ok(None);
        };
        match self.at(column)? {
            None => Ok(None),
            Some(Value::String(id)) if !id.trim().is_empty() => Ok(Some(id)),
            Some(Value::String(_)) => Err(self.wrong_in(column, "the id is empty")),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => {
                let what = format!("the id is {}, neither text nor a number", noun(&other));
                Err(self.wrong_in(column, &what))
            }
        }
    }

    fn digits(&self, _: &str, number: &Number) -> String {
        number.to_string()
    }

    fn wrong_at(&self, field: &str, what: String) -> InputError {
        let named = self.columns.named();
        match named.iter().find(|(of, _)| *of == field) {
            Some((_, column)) => self.wrong_in(column, &what),
            None => self.wrong(what),
        }
    }

    fn wrong(&self, what: String) -> InputError {
        self.row.place.wrong(self.path, None, &what)
    }

    fn keys(&self) -> Vec<String> {
        self.row.values.keys().cloned().collect()
    }

    fn named(&self) -> String {
        self.row.place.to_string()
    }

    fn place_of(&self, _: &str) -> String {
        self.row.place.to_string()
    }
}

impl MappedRow<'_> {
    fn wrong_in(&self, column: &str, what: &str) -> InputError {
        self.row.place.wrong(self.path, Some(column), what)
    }

    fn at(&self, column: &str) -> Result<Option<Value>, InputError> {
        match at(&self.row.values, column) {
            Ok(found) => Ok(found.map(std::borrow::Cow::into_owned)),
            Err(what) => Err(self.wrong_in(column, &what).hint(DROP)),
        }
    }

    /// The text in `column`, unless it is blank; a number is its digits.
    fn text(&self, column: &str, called: &str) -> Result<Option<String>, InputError> {
        match self.at(column)? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => {
                let what = format!("{called} is {}, where text is expected", noun(&other));
                Err(self.wrong_in(column, &what))
            }
        }
    }

    fn needed_text(&self, column: &str, called: &str) -> Result<String, InputError> {
        let missing = || {
            self.wrong_in(column, &format!("{called} is missing"))
                .hint(DROP)
        };
        self.text(column, called)?.ok_or_else(missing)
    }

    /// The choices in one of the forms of `jsonl`.
    fn choices(&self, columns: &ChoiceColumns) -> Result<Value, InputError> {
        let listed = |column: &str| {
            let missing = || self.wrong_in(column, "the choices are missing").hint(DROP);
            match self.at(column)?.ok_or_else(missing)? {
                Value::String(text) => nested(&text).ok_or_else(|| {
                    let what = "the choices are a text, where a list is expected";
                    let hint = "in CSV a list is written as JSON: [\"hive\", \"sea\"]; or name a column for each: choices = [\"A\", \"B\"]";
                    self.wrong_in(column, what).hint(hint)
                }),
                value => Ok(value),
            }
        };
        match columns {
            ChoiceColumns::Lists(lists) => {
                let texts = listed(&lists.text)?;
                let Some(column) = &lists.label else {
                    return Ok(texts);
                };
                let labels = listed(column)?;
                let each = [("label", labels), ("text", texts)];
                let each = each.map(|(name, value)| (name.to_owned(), value));
                Ok(Value::Object(Map::from_iter(each)))
            }
            ChoiceColumns::Each(columns) => {
                let mut found = Vec::new();
                let mut gap: Option<&str> = None;
                for column in columns {
                    match (self.text(column, "the choice")?, gap) {
                        (None, _) => gap = gap.or(Some(column)),
                        // Only the last ones may be missing: a question with fewer choices.
                        (Some(_), Some(gap)) => {
                            return Err(self.wrong_in(gap, "the choice is missing").hint(DROP));
                        }
                        (Some(text), None) => found.push(Value::from(text)),
                    }
                }
                Ok(found.into())
            }
        }
    }

    /// The answer, and the solution that stands before it where both are one text.
    fn answer(&self) -> Result<(Value, Option<String>), InputError> {
        let answer = &self.columns.answer;
        let column = &answer.column;
        let missing = || self.wrong_in(column, "the answer is missing").hint(DROP);
        let value = self.at(column)?.ok_or_else(missing)?;
        if let Some(mark) = &answer.after {
            let Value::String(text) = &value else {
                let what = format!(
                    "the answer is {}, where a text with `{mark}` is expected",
                    noun(&value)
                );
                return Err(self.wrong_in(column, &what));
            };
            let (solution, said) = behind(text, mark).ok_or_else(|| {
                let what = format!(
                    "the answer has no `{mark}`, behind which `columns.answer.after` looks for it"
                );
                self.wrong_in(column, &what).hint(DROP)
            })?;
            if said.is_empty() {
                return Err(self
                    .wrong_in(column, &format!("nothing stands behind `{mark}`"))
                    .hint(DROP));
            }
            // What a box is in goes on behind it.
            let solution = Some(solution).filter(|text| mark != BOXED && !text.is_empty());
            return Ok((said.into(), solution.map(str::to_owned)));
        }
        match &value {
            Value::String(text) if text.trim().is_empty() => return Err(missing()),
            Value::Number(number) => return Ok((self.whole(column, number)?, None)),
            _ => {}
        }
        if answer.is == Some(AnswerKind::Index) {
            let text = value.as_str().unwrap_or_default().trim();
            if text.parse::<u64>().is_err() {
                let what = format!(
                    "the answer is {}, where an index, counted from 0, is expected",
                    noun(&value)
                );
                return Err(self.wrong_in(column, &what));
            }
        }
        Ok((value, None))
    }

    /// A number with all its digits; a whole one without a point, as tables with gaps have them: `2.0`.
    fn whole(&self, column: &str, number: &Number) -> Result<Value, InputError> {
        let Some(real) = number.as_f64().filter(|_| number.is_f64()) else {
            return Ok(number.clone().into());
        };
        if real.abs() > EXACT {
            let what = format!("the number {number} has more digits than a number is read with");
            return Err(self.wrong_in(column, &what).hint("write it as text"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 2^53")]
        let whole = (real.fract() == 0.0).then_some(real as i64);
        Ok(whole.map_or_else(|| number.clone().into(), Value::from))
    }
}

/// What stands before the last `mark` and behind it; of a box what is in its braces.
fn behind<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let (before, after) = text.rsplit_once(mark)?;
    if mark != BOXED {
        return Some((before.trim(), after.trim()));
    }
    let inner = after.trim_start();
    let Some(inner) = inner.strip_prefix('{') else {
        // `\boxed 5`, as old sources have it.
        let end = inner
            .find(|c: char| c.is_whitespace() || c == '$')
            .unwrap_or(inner.len());
        return Some((before, &inner[..end]));
    };
    let mut depth = 1_usize;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        escaped = c == '\\';
        if depth == 0 {
            return Some((before, inner[..at].trim()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::behind;

    #[test]
    fn an_answer_stands_behind_its_last_mark_or_in_its_last_box() {
        assert_eq!(
            behind("a\n#### 1\n#### 2", "####"),
            Some(("a\n#### 1", "2"))
        );
        assert_eq!(behind("a 2", "####"), None);
        for (text, said) in [
            (r"so $\boxed{\frac{1}{2}}$ then", r"\frac{1}{2}"),
            (r"\boxed{1} and \boxed{2}", "2"),
            (r"$\boxed 5$", "5"),
            (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
            (r"\boxed{}", ""),
        ] {
            assert_eq!(
                behind(text, r"\boxed").map(|(_, said)| said),
                Some(said),
                "{text}"
            );
        }
        assert_eq!(behind(r"\boxed{1", r"\boxed"), None);
    }
}
