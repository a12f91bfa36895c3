//! Reading an answer out of an output: one rule for students, teachers, imports and judges.
//!
//! In: a [`Question`], what was written for it, and a [`Reading`]. Out: the answer in the canonical form of
//! [`Question::answer`], or why there is none. `docs/answers.md` has the rules and a table of cases for each form of
//! answer; a test holds the code to them.
//!
//! `standard` goes three steps: `markup` makes plain text of the output; `marks` finds where it says what its answer
//! is; `yes_no`, `choice` (with `mention`), `number` and `free_text` read what is marked, or, where nothing is, the
//! whole. `stance` and `sentence` serve all of them. `paper` is the paper's reading of yes/no and choices; numbers and
//! free text, of which the paper has none, are read by one rule under both. What follows a question that is asked again
//! answers another question and never counts.

mod choice;
mod declared;
mod free_text;
mod latex;
mod markup;
mod marks;
mod mention;
mod number;
mod paper;
mod sentence;
mod stance;
mod yes_no;

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use declared::{Declared, declared};
use marks::{Mark, Sort};
pub(crate) use markup::composed;

use super::number::whole;
use super::thought::parted;
use super::{AnswerForm, Question, asked_again};

/// The rule by which answers are read out of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// The paper's, by which its figures are reproduced: of yes/no the first such word after the last `the answer is`.
    Paper,
    /// What chat models write is read too (bold, quotes, `\boxed{}`, `Final answer:`); what is denied, left open or
    /// contradicted is not.
    #[default]
    Standard,
}

impl Reading {
    /// The name that manifests use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Standard => "standard",
        }
    }
}

/// What was read out of an output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// One legal answer, in canonical form: `yes`, `no`, a label, a number, or normalised text.
    Answer(String),
    /// No legal answer.
    Unparsed,
    /// More than one, and no rule decides between them.
    Ambiguous,
}

impl Parsed {
    /// The answer, if there is one.
    pub fn answer(self) -> Option<String> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Unparsed | Self::Ambiguous => None,
        }
    }
}

/// The answer that `output` gives to `question`.
pub fn parse_answer(question: &Question, output: &str, reading: Reading) -> Parsed {
    if is_papers(question, reading) {
        return paper::parse(question, before_asked_again(output));
    }
    standard(question, &said(output), Cue::InText)
}

/// The answer in `reply`, which was written behind `Therefore, the answer is` (Ho et al. 2023) or its like, so that all
/// of it is what such a mark leads to.
pub fn parse_reply(question: &Question, reply: &str, reading: Reading) -> Parsed {
    if is_papers(question, reading) {
        return paper::parse(question, before_asked_again(reply));
    }
    standard(question, &said(reply), Cue::Before)
}

/// How many answers `output` gives: its marks of an answer, or, where it has none, the answers that its form finds in
/// all of it. What follows an imitated question counts too.
pub fn answers_given(question: &Question, output: &str, reading: Reading) -> usize {
    if is_papers(question, reading) {
        return paper::count(question, output);
    }
    let text = markup::plain(&parted(output).said);
    let marks = marks::find(&text);
    let readable = |mark: &&Mark<'_>| read_mark(question, mark).is_some();
    let marked = marks.iter().filter(readable).count();
    if marked > 0 || (question.form == AnswerForm::Text && !marks.is_empty()) {
        return marked;
    }
    match question.form {
        AnswerForm::YesNo => yes_no::count(&text),
        AnswerForm::Choice => choice::count(question, &text),
        AnswerForm::Number => number::count(&text),
        AnswerForm::Text => usize::from(free_text::unmarked(&text, false).is_some()),
    }
}

/// What a path concludes by itself, if it does: the answer after its last mark, or the answer it opens with. Stricter
/// than [`parse_answer`]: an option that is named in the middle of a path is no conclusion.
pub fn conclusion(question: &Question, text: &str, reading: Reading) -> Option<String> {
    if is_papers(question, reading) {
        return paper::conclusion(question, before_asked_again(text)).answer();
    }
    let text = said(text);
    let marks = marks::find(&text);
    if !marks.is_empty() {
        return standard(question, &text, Cue::InText).answer();
    }
    match question.form {
        AnswerForm::YesNo => yes_no::unmarked(&text).answer(),
        AnswerForm::Choice => choice::opening(question, &text).answer(),
        AnswerForm::Number | AnswerForm::Text => None,
    }
}

/// The reasoning `r` of a training text: a path up to its first mark of an answer, blanks at both ends and a comma left
/// hanging cut. Empty where the path opens with its answer.
pub fn reasoning_part(text: &str, reading: Reading) -> &str {
    let start = match reading {
        Reading::Paper => paper::answer_start(text),
        Reading::Standard => answer_start(text),
    };
    text[..start.unwrap_or(text.len())]
        .trim_start()
        .trim_end_matches(|c: char| c.is_whitespace() || c == ',' || c == ';')
}

/// Whether `answer`, in canonical form, is the question's gold answer.
pub fn is_gold(question: &Question, answer: &str) -> bool {
    match question.form {
        AnswerForm::YesNo | AnswerForm::Choice => question.answer == answer,
        AnswerForm::Number => {
            whole(&markup::plain(&question.answer)).is_some_and(|gold| gold.to_string() == answer)
        }
        AnswerForm::Text => {
            free_text::canonical(&markup::plain(&question.answer)).as_deref() == Some(answer)
        }
    }
}

/// The gold answer `raw` as questions of this form keep it; `None` where it is none. Of a choice it is for the data to
/// say which option is meant.
pub fn gold(form: AnswerForm, raw: &str) -> Option<String> {
    let plain = markup::plain(raw);
    match form {
        AnswerForm::YesNo => match free_text::canonical(&plain)?.as_str() {
            "yes" | "true" => Some("yes".to_owned()),
            "no" | "false" => Some("no".to_owned()),
            _ => None,
        },
        AnswerForm::Choice => Some(raw.to_owned()),
        AnswerForm::Number => whole(&plain).map(|number| number.to_string()),
        AnswerForm::Text => free_text::canonical(&plain).map(|_| raw.to_owned()),
    }
}

/// What stands behind the number that `text` opens with, in plain text and lower case, if it opens with one and has no
/// other.
pub(crate) fn behind_opening_number(text: &str) -> Option<String> {
    let plain = markup::plain(text);
    number::behind_head(&plain).map(str::to_lowercase)
}

/// `text` without markup, for rules about what it opens with.
pub(crate) fn without_markup(text: &str) -> String {
    let open = |c: char| matches!(c, latex::BOX | latex::BOX_END | markup::HASHES);
    markup::plain(text).replace(open, " ")
}

/// Whether an answer was asked for right before the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cue {
    Before,
    InText,
}

fn is_papers(question: &Question, reading: Reading) -> bool {
    reading == Reading::Paper && matches!(question.form, AnswerForm::YesNo | AnswerForm::Choice)
}

/// The standard reading of `text`, which is plain and asks no question again.
fn standard(question: &Question, text: &str, cue: Cue) -> Parsed {
    let mut marks = marks::find(text);
    if cue == Cue::Before {
        let end = marks.first().map_or(text.len(), |first| first.start);
        marks.insert(
            0,
            Mark {
                sort: Sort::Sentence,
                strong: false,
                start: 0,
                part: &text[..end],
                at: 0,
                closes: end == text.len(),
            },
        );
    }
    if let Some(found) = marked(question, &marks, text) {
        return found;
    }
    // `The answer is ...` says nothing, and the words around it are no answer either.
    let led = |mark: &Mark<'_>| mark.sort == Sort::Sentence || question.form == AnswerForm::Text;
    if cue == Cue::InText && marks.iter().any(led) {
        return Parsed::Unparsed;
    }
    match question.form {
        AnswerForm::YesNo => yes_no::unmarked(text),
        AnswerForm::Choice => choice::unmarked(question, text),
        AnswerForm::Number => number::unmarked(text),
        AnswerForm::Text => {
            free_text::unmarked(text, is_long(question)).map_or(Parsed::Unparsed, Parsed::Answer)
        }
    }
}

/// What the last mark says, a strong one before others; `None` where no mark says anything.
fn marked(question: &Question, marks: &[Mark<'_>], text: &str) -> Option<Parsed> {
    let last = |strong: bool| {
        let marks = marks.iter().enumerate().rev();
        marks
            .filter(|(_, mark)| mark.strong == strong && mark.says())
            .find_map(
                |(place, mark)| match (read_mark(question, mark), mark.sort) {
                    (Some(found), _) => Some((place, found)),
                    // A heading, or a label over more than an answer.
                    (None, Sort::Hashes) => None,
                    (None, Sort::Label) if !strong => None,
                    // `The answer is: it depends.`
                    (None, _) => Some((place, Parsed::Unparsed)),
                },
            )
    };
    let Some((place, found)) = last(true) else {
        return last(false).map(|(_, found)| found);
    };
    if question.form == AnswerForm::Text {
        return Some(found);
    }
    // `\boxed{2} or \boxed{3}`, and another answer in the prose behind it.
    let before = place.checked_sub(1).map(|before| &marks[before]);
    let joined = before.filter(|before| {
        let end = before.at + before.part.len();
        before.sort == Sort::Box && is_joint(&text[end..marks[place].start])
    });
    let later = marks[place + 1..].iter().filter(|mark| !mark.strong);
    let contradicted = joined
        .into_iter()
        .chain(later)
        .filter_map(|mark| read_mark(question, mark))
        .any(|other| matches!(other, Parsed::Answer(_)) && other != found);
    Some(if contradicted {
        Parsed::Ambiguous
    } else {
        found
    })
}

fn read_mark(question: &Question, mark: &Mark<'_>) -> Option<Parsed> {
    if mark.sort == Sort::CutBox {
        return None;
    }
    match question.form {
        AnswerForm::YesNo => yes_no::marked(mark),
        AnswerForm::Choice => choice::marked(question, mark),
        AnswerForm::Number => number::marked(mark),
        AnswerForm::Text => free_text::marked(mark, is_long(question)).map(Parsed::Answer),
    }
}

fn is_long(question: &Question) -> bool {
    free_text::is_long(&markup::plain(&question.answer))
}

/// Whether two boxes with `between` between them are told together.
fn is_joint(between: &str) -> bool {
    between
        .split(|c: char| !c.is_alphanumeric())
        .all(|word| matches!(word, "" | "or" | "and" | "to"))
}

/// What `output` says before it asks a question again, as plain text.
fn said(output: &str) -> String {
    markup::plain(before_asked_again(&parted(output).said))
}

fn before_asked_again(text: &str) -> &str {
    &text[..asked_again(text).unwrap_or(text.len())]
}

/// Where the answer begins in a text as it was written: at its first mark, with the words that lead to it.
fn answer_start(text: &str) -> Option<usize> {
    static START: LazyLock<Regex> = LazyLock::new(|| {
        let adjectives = r"(?:(?:final|correct|best|right|only|likely|most\s+(?:likely|plausible|probable|appropriate|reasonable)|short|overall|numerical|exact|complete)\s+)*";
        Regex::new(&format!(
            r#"(?im)(?:\b(?:and\s+so|so|then|therefore|thus|hence)\b,?\s+)?(?:\bi\s+(?:think|believe)\s+(?:that\s+)?)?\b(?:the|my|our)\s+{adjectives}(?:answer|(?:correct|right|final)\s+(?:option|choice))(?:\s+(?:choice|option))?(?:\s+(?:to|for)\s+(?:\w+\s+){{0,5}}?(?:question|problem))?(?:\s+(?:is|would\s+be|should\s+be|must\s+be)\b|['\u{{2019}}]s\b):?|^[\s#*_>"']*(?:(?:so|therefore|thus|hence),?\s+)?(?:(?:the|my)\s+)?{adjectives}answer[*_]*\s*(?:[:=\u{{ff1a}}]|$)|(?:\*\*|__)\s*(?:final\s+)?answer\s*:|####|<\s*(?:final[_ -]?)?answer\s*>|(?:\b(?:so|then|therefore|thus|hence)\b,?\s+)?(?:\$+|\\[(\[])?\s*\\(?:boxed|fbox)\b"#,
        ))
        .expect("a fixed, tested pattern")
    });
    START.find(text).map(|m| m.start())
}

#[cfg(test)]
mod tests;
