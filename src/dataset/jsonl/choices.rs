//! The choices of a row, and which of them its answer is.
//!
//! Data sets write both in many ways. Choices: a list of texts or numbers, of objects with `label` and `text`, an
//! object of two lists `label` and `text`, or an object of texts by label. Answers: a label, a text, an index from
//! 0 (MMLU, `HellaSwag`), a number from 1 (ARC's labels, SIQA). An answer that two of these read as different
//! choices is never guessed.

use serde_json::Value;

use super::source::SourceRow;
use crate::dataset::AnswerIs;
use crate::input::{InputError, noun};
use crate::text::fold;

/// Labels go from A to Z.
const MOST: usize = 26;

/// The choices of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Choices {
    /// Their texts, in order.
    pub(super) texts: Vec<String>,
    labels: Labels,
}

/// How a row labels its choices itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Labels {
    /// It does not.
    None,
    /// `A`, `B`, ...
    Letters,
    /// Numbers from this one on.
    From(usize),
}

/// What an answer was taken as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum TakenAs {
    /// The text of a choice.
    Text,
    /// A letter, or a number that the row itself has as a label.
    Label,
    /// A place, counted from 0.
    Index,
    /// A place, counted from 1.
    Number,
}

impl TakenAs {
    /// As messages name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "the text of a choice",
            Self::Label => "a label",
            Self::Index => "an index, counted from 0",
            Self::Number => "a number, counted from 1",
        }
    }

    /// The value of `answer_is` that asks for it.
    fn asked_by(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Label | Self::Number => "label",
            Self::Index => "index",
        }
    }
}

/// An answer as it stands in a row.
pub(super) struct Given<'a> {
    /// Its key.
    pub(super) key: &'a str,
    /// As text.
    pub(super) raw: &'a str,
    /// Whether it was a JSON number: such a one counts from 0.
    pub(super) is_number: bool,
}

/// The choice that an answer is.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Chosen {
    /// Its place.
    pub(super) place: usize,
    /// The readings that lead to it.
    pub(super) by: Vec<TakenAs>,
}

impl Choices {
    /// The choices of `row`, which are `value`; none where there are none. Two may be `alike` where the answer is not told by its
    /// text: published sets have such questions.
    ///
    /// # Errors
    /// They have no known form, or cannot be told apart.
    pub(super) fn read(
        row: &dyn SourceRow,
        value: &Value,
        alike: bool,
    ) -> Result<Option<Self>, InputError> {
        let reader = ChoiceReader { row };
        let (labels, texts) = match value {
            Value::Null => return Ok(None),
            Value::Array(items) => reader.list(items)?,
            Value::Object(fields) => match (fields.get("label"), fields.get("text")) {
                (Some(Value::Array(labels)), Some(Value::Array(texts))) => {
                    reader.two_lists(labels, texts)?
                }
                _ => reader.by_label(fields)?,
            },
            other => {
                return Err(reader.wrong(&format!(
                    "the choices are {}, where a list is expected",
                    noun(other)
                )));
            }
        };
        if texts.is_empty() {
            return Ok(None);
        }
        if texts.len() > MOST {
            return Err(reader.wrong(&format!(
                "{} choices, but only {MOST} have a label, A to Z",
                texts.len()
            )));
        }
        for (place, text) in texts.iter().enumerate() {
            if text.is_empty() {
                return Err(reader.wrong(&format!("the choice ({}) is empty", letter(place))));
            }
            let first = texts[..place].iter().position(|other| other == text);
            if let Some(first) = first.filter(|_| !alike) {
                return Err(reader.wrong(&format!(
                    "the choices ({}) and ({}) are both `{text}`",
                    letter(first),
                    letter(place)
                )));
            }
        }
        let labels = match labels {
            None => Labels::None,
            Some(labels) => reader.labels(&labels)?,
        };
        Ok(Some(Self { texts, labels }))
    }

    /// `(A) hive, (B) sea`.
    pub(super) fn listed(&self) -> String {
        let each = (0..self.texts.len()).map(|place| self.named(place));
        each.collect::<Vec<_>>().join(", ")
    }

    /// The choice that `given` is.
    ///
    /// # Errors
    /// It is none of them, or could be several.
    pub(super) fn chosen(
        &self,
        row: &dyn SourceRow,
        given: &Given<'_>,
        wanted: AnswerIs,
    ) -> Result<Chosen, InputError> {
        let raw = given.raw;
        let mut found = self.readings(given);
        found.retain(|(reading, _)| match wanted {
            // As MMLU and HellaSwag have it.
            AnswerIs::Auto => *reading != TakenAs::Number || !given.is_number,
            wanted => reading.asked_by() == wanted.name(),
        });
        let Some(&(_, place)) = found.first() else {
            let what = format!(
                "the answer `{raw}` is not among the choices: {}",
                self.listed()
            );
            let hint = match wanted {
                AnswerIs::Auto => {
                    "give a label (A, B, ...), the text of a choice, or its index from 0".to_owned()
                }
                wanted => format!("`answer_is` is \"{}\"", wanted.name()),
            };
            return Err(row.wrong_at(given.key, what).hint(hint));
        };
        if found.iter().any(|(_, other)| *other != place) {
            let each = |(reading, place): &(TakenAs, usize)| {
                format!("as {} it is {}", reading.name(), self.named(*place))
            };
            let each: Vec<String> = found.iter().map(each).collect();
            let what = format!(
                "the answer `{raw}` can be read in {} ways: {}",
                found.len(),
                each.join("; ")
            );
            let names: Vec<String> = found
                .iter()
                .map(|(reading, _)| format!("`answer_is = \"{}\"`", reading.asked_by()))
                .collect();
            let hint = format!("say which beside `dataset`: {}", names.join(" or "));
            return Err(row.wrong_at(given.key, what).hint(hint));
        }
        Ok(Chosen {
            place,
            by: found.into_iter().map(|(reading, _)| reading).collect(),
        })
    }

    /// Every reading under which the answer is a choice, with that choice.
    fn readings(&self, given: &Given<'_>) -> Vec<(TakenAs, usize)> {
        let mut found = Vec::new();
        let raw = given.raw;
        let text = self.texts.iter().position(|text| text == raw);
        let text = text.or_else(|| {
            // In another form or case, where that is one choice's alone.
            let raw = fold(raw);
            let mut alike = (0..self.texts.len()).filter(|&at| fold(&self.texts[at]) == raw);
            alike.next().filter(|_| alike.next().is_none())
        });
        found.extend(text.map(|place| (TakenAs::Text, place)));
        let bare = raw.trim_matches(['(', ')', '.', ' ']);
        if let Labels::From(first) = self.labels {
            found.extend(
                self.counted(bare, first)
                    .map(|place| (TakenAs::Label, place)),
            );
        } else {
            let label = (0..self.texts.len()).find(|&place| {
                let upper = bare.chars().map(|c| c.to_ascii_uppercase());
                upper.eq([letter(place)])
            });
            found.extend(label.map(|place| (TakenAs::Label, place)));
            found.extend(self.counted(raw, 0).map(|place| (TakenAs::Index, place)));
            found.extend(self.counted(raw, 1).map(|place| (TakenAs::Number, place)));
        }
        found
    }

    /// The place of a number, where the first choice is `first`.
    fn counted(&self, raw: &str, first: usize) -> Option<usize> {
        let number: usize = raw.parse().ok()?;
        number
            .checked_sub(first)
            .filter(|place| *place < self.texts.len())
    }

    /// `(A) hive`.
    pub(super) fn named(&self, place: usize) -> String {
        format!("({}) {}", letter(place), self.texts[place])
    }
}

/// The label of the choice at `place`.
pub(super) fn letter(place: usize) -> char {
    ('A'..='Z').nth(place).unwrap_or('?')
}

/// The choices' own labels, if they have any, and their texts.
type LabelsAndTexts = (Option<Vec<String>>, Vec<String>);

/// Where the choices stand.
struct ChoiceReader<'r> {
    row: &'r dyn SourceRow,
}

impl ChoiceReader<'_> {
    fn wrong(&self, what: &str) -> InputError {
        self.row.wrong_at("choices", what.to_owned())
    }

    /// Texts or numbers, or objects with `label` and `text`.
    fn list(&self, items: &[Value]) -> Result<LabelsAndTexts, InputError> {
        if !items.iter().any(Value::is_object) {
            return Ok((None, self.texts(items)?));
        }
        let (mut labels, mut texts) = (Vec::new(), Vec::new());
        for (place, item) in items.iter().enumerate() {
            let (Some(label), Some(text)) = (item.get("label"), item.get("text")) else {
                return Err(self
                    .wrong(&format!(
                        "the choice ({}) is {}, without `label` and `text`",
                        letter(place),
                        noun(item)
                    ))
                    .hint("each is a text, or each is {\"label\": \"A\", \"text\": \"...\"}"));
            };
            labels.push(label.clone());
            texts.push(text.clone());
        }
        Ok((Some(self.texts(&labels)?), self.texts(&texts)?))
    }

    /// As the Hub has them: `{"label": ["A", "B"], "text": ["hive", "sea"]}`.
    fn two_lists(&self, labels: &[Value], texts: &[Value]) -> Result<LabelsAndTexts, InputError> {
        if labels.len() != texts.len() {
            return Err(self.wrong(&format!(
                "the choices have {} labels but {} texts",
                labels.len(),
                texts.len()
            )));
        }
        Ok((Some(self.texts(labels)?), self.texts(texts)?))
    }

    /// `{"A": "hive", "B": "sea"}`.
    fn by_label(
        &self,
        fields: &serde_json::Map<String, Value>,
    ) -> Result<LabelsAndTexts, InputError> {
        // In the row's order, which serde_json keeps (`preserve_order`).
        let texts: Vec<Value> = fields.values().cloned().collect();
        Ok((Some(fields.keys().cloned().collect()), self.texts(&texts)?))
    }

    fn texts(&self, items: &[Value]) -> Result<Vec<String>, InputError> {
        let text = |(place, item): (usize, &Value)| match item {
            Value::String(text) => Ok(text.trim().to_owned()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            other => Err(self.wrong(&format!(
                "the choice ({}) is {}, neither text nor a number",
                letter(place),
                noun(other)
            ))),
        };
        items.iter().enumerate().map(text).collect()
    }

    fn labels(&self, labels: &[String]) -> Result<Labels, InputError> {
        let bare: Vec<&str> = labels
            .iter()
            .map(|label| label.trim_matches(['(', ')', '.', ' ']))
            .collect();
        let letters = |(place, label): (usize, &&str)| {
            let upper = label.chars().map(|c| c.to_ascii_uppercase());
            upper.eq([letter(place)])
        };
        if bare.iter().enumerate().all(letters) {
            return Ok(Labels::Letters);
        }
        for first in [0, 1] {
            let numbers = |(place, label): (usize, &&str)| **label == (place + first).to_string();
            if bare.iter().enumerate().all(numbers) {
                return Ok(Labels::From(first));
            }
        }
        let listed: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        Err(self
            .wrong(&format!("the choices are labelled {}", listed.join(", ")))
            .hint("labels are A, B, ... or 1, 2, ... or 0, 1, ..., in order"))
    }
}
