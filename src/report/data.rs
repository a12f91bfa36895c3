//! A data set as the program understands it, for a person: rows, counts, answers, what is there twice, lengths.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::width::folded;
use crate::dataset::Splits;
use crate::text::{AnswerForm, Question, fold, printable};

/// Columns of the text.
const WIDTH: usize = 80;
/// Where the values of a row begin.
const INDENT: usize = 12;
/// Letters of a value that are shown (ours): enough to see what it is.
const SHOWN: usize = 600;
/// Answers that are told one by one (ours); the rest together.
const ANSWERS: usize = 8;

/// What there is to say of a data set.
#[derive(Serialize)]
pub(crate) struct DataReport {
    /// Its stage.
    stage: String,
    /// What is good to know.
    notes: Vec<String>,
    /// What may spoil results.
    warnings: Vec<String>,
    /// What lengths are counted in.
    unit: String,
    /// The splits that have questions.
    splits: Vec<SplitReport>,
    /// The first questions.
    rows: Vec<Question>,
}

/// What there is to say of a split.
#[derive(Serialize)]
struct SplitReport {
    split: &'static str,
    questions: usize,
    form: &'static str,
    rationales: usize,
    /// How often each answer is right, the most frequent first.
    answers: Vec<(String, usize)>,
    /// Questions that an earlier one of the split asks too, with the same choices.
    duplicates: usize,
    question_lengths: Lengths,
    #[serde(skip_serializing_if = "Option::is_none")]
    rationale_lengths: Option<Lengths>,
}

/// How long texts are.
#[derive(Serialize)]
struct Lengths {
    shortest: usize,
    median: usize,
    /// 95 of 100 are at most so long.
    most: usize,
    longest: usize,
}

impl DataReport {
    /// Of the data set that `stage` loads, with its first `rows` questions; a text is `length` of `unit` long.
    pub(crate) fn new(
        stage: &str,
        splits: Splits,
        rows: usize,
        unit: &str,
        length: &dyn Fn(&str) -> usize,
    ) -> Self {
        let parts = [
            ("train", &splits.train),
            ("validation", &splits.validation),
            ("test", &splits.test),
        ];
        let parts = parts
            .into_iter()
            .filter(|(_, questions)| !questions.is_empty());
        let reports = parts.map(|(split, questions)| SplitReport::new(split, questions, length));
        let reports = reports.collect();
        let first = if splits.train.is_empty() {
            splits.test
        } else {
            splits.train
        };
        Self {
            stage: stage.to_owned(),
            notes: splits.notes,
            warnings: splits.warnings,
            unit: unit.to_owned(),
            splits: reports,
            rows: first.into_iter().take(rows).collect(),
        }
    }

    /// As text in 80 columns.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let _ = writeln!(out, "{} of {}", number + 1, printable(&self.stage));
            let form = form_name(row.form);
            let choices = row.choices.iter().zip('A'..);
            let choices: Vec<String> = choices
                .map(|(text, label)| format!("({label}) {text}"))
                .collect();
            add(&mut out, "id", &row.id);
            add(&mut out, "question", &row.question);
            if !choices.is_empty() {
                add(&mut out, "choices", &choices.join(" "));
            }
            add(&mut out, "answer", &format!("{} [{form}]", row.answer));
            if let Some(rationale) = &row.rationale {
                add(&mut out, "rationale", rationale);
            }
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "{:<INDENT$}{:>10}{:>12}{:>12}{:>18}",
            "split", "questions", "rationales", "duplicates", "answers"
        );
        for split in &self.splits {
            let _ = writeln!(
                out,
                "{:<INDENT$}{:>10}{:>12}{:>12}{:>18}",
                split.split, split.questions, split.rationales, split.duplicates, split.form
            );
        }
        out.push('\n');
        for split in &self.splits {
            add(&mut out, split.split, &split.shares());
        }
        let _ = writeln!(
            out,
            "\n{:<22}{:>10}{:>10}{:>10}{:>10}",
            self.unit, "shortest", "median", "95 %", "longest"
        );
        for split in &self.splits {
            let rationales = split.rationale_lengths.as_ref();
            let lines = [
                ("questions", Some(&split.question_lengths)),
                ("rationales", rationales),
            ];
            for (of, lengths) in lines {
                let Some(lengths) = lengths else { continue };
                let _ = writeln!(
                    out,
                    "{:<22}{:>10}{:>10}{:>10}{:>10}",
                    format!("{} {of}", split.split),
                    lengths.shortest,
                    lengths.median,
                    lengths.most,
                    lengths.longest
                );
            }
        }
        let told = self.notes.iter().map(|note| ("note", note));
        let told = told.chain(self.warnings.iter().map(|warning| ("warning", warning)));
        for (name, text) in told {
            out.push('\n');
            add(&mut out, name, text);
        }
        out
    }
}

impl SplitReport {
    fn new(split: &'static str, questions: &[Question], length: &dyn Fn(&str) -> usize) -> Self {
        let mut answers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut seen: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
        for question in questions {
            *answers.entry(&question.answer).or_default() += 1;
            let mut choices: Vec<String> = question.choices.iter().map(|text| fold(text)).collect();
            choices.sort_unstable();
            *seen.entry((fold(&question.question), choices)).or_default() += 1;
        }
        let mut answers: Vec<(String, usize)> = answers
            .into_iter()
            .map(|(answer, count)| (answer.to_owned(), count))
            .collect();
        answers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let rationales = questions.iter().filter_map(|q| q.rationale.as_deref());
        let rationale_lengths: Vec<usize> = rationales.map(length).collect();
        Self {
            split,
            questions: questions.len(),
            form: questions
                .first()
                .map_or("", |question| form_name(question.form)),
            rationales: rationale_lengths.len(),
            answers,
            duplicates: questions.len() - seen.len(),
            question_lengths: Lengths::of(questions.iter().map(|q| length(&q.asked())).collect())
                .unwrap_or(Lengths {
                    shortest: 0,
                    median: 0,
                    most: 0,
                    longest: 0,
                }),
            rationale_lengths: Lengths::of(rationale_lengths),
        }
    }

    /// `B 20.9 %, A 19.6 %`, or how many answers there are where nearly each is another.
    fn shares(&self) -> String {
        let different = self.answers.len();
        if different * 2 > self.questions && different > ANSWERS {
            return format!("{different} different answers");
        }
        let share = |count: usize| 100.0 * count as f64 / self.questions as f64;
        let told = self.answers.iter().take(ANSWERS);
        let mut each: Vec<String> = told
            .map(|(answer, count)| format!("{} {:.1} %", printable(answer), share(*count)))
            .collect();
        let others: usize = self
            .answers
            .iter()
            .skip(ANSWERS)
            .map(|(_, count)| count)
            .sum();
        if others > 0 {
            let kinds = different - ANSWERS;
            each.push(format!("{kinds} others {:.1} %", share(others)));
        }
        each.join(", ")
    }
}

impl Lengths {
    /// Of these; none of none.
    fn of(mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        // The nearest rank: a length that is there.
        let at = |share: usize| {
            lengths
                .get((lengths.len() * share).div_ceil(100).max(1) - 1)
                .copied()
        };
        Some(Self {
            shortest: at(0)?,
            median: at(50)?,
            most: at(95)?,
            longest: at(100)?,
        })
    }
}

/// What answers of a form are, for a person.
pub(crate) fn form_name(form: AnswerForm) -> &'static str {
    match form {
        AnswerForm::YesNo => "yes or no",
        AnswerForm::Choice => "one of choices",
        AnswerForm::Number => "number",
        AnswerForm::Text => "text",
    }
}

/// Adds a value with its name, folded to the width.
fn add(out: &mut String, name: &str, value: &str) {
    let shown = match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ...", &value[..end]),
        None => value.to_owned(),
    };
    let mut name = name;
    for line in shown
        .trim()
        .lines()
        .flat_map(|line| folded(&printable(line), WIDTH - INDENT))
    {
        let _ = writeln!(out, "{}", format!("{name:<INDENT$}{line}").trim_end());
        name = "";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: usize, answer: &str) -> Question {
        Question {
            id: format!("q-{id}"),
            question: format!("Where would {} bees sleep, if not here? ", id % 4).repeat(3),
            choices: vec!["hive".into(), "sea".into()],
            form: AnswerForm::Choice,
            answer: answer.into(),
            rationale: (id == 0).then(|| "x".repeat(100)),
        }
    }

    #[test]
    fn a_data_set_is_told_in_80_columns() {
        let splits = Splits {
            train: (0..5)
                .map(|id| question(id, if id < 3 { "B" } else { "A" }))
                .collect(),
            test: vec![question(7, "A")],
            notes: vec![
                "the layout is one that goes on for more columns than there are ".repeat(2),
            ],
            warnings: vec!["a tab\tand a \u{1b}[31m colour".into()],
            ..Splits::default()
        };
        let words = |text: &str| text.split_whitespace().count();
        let report = DataReport::new("data", splits, 2, "words", &words);
        let text = report.text();
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        for line in [
            "2 of data",
            "choices     (A) hive (B) sea",
            "answer      B [one of choices]",
            "train                5           1           1    one of choices",
            "train       B 60.0 %, A 40.0 %",
            "train questions               30        30        30        30",
            "train rationales               1         1         1         1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(
            !text.contains('\u{1b}') && !text.contains("validation"),
            "{text}"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["splits"][0]["duplicates"], 1);
        assert_eq!(json["rows"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn lengths_are_those_of_texts() {
        let lengths = Lengths::of((1..=100).rev().collect()).unwrap();
        assert_eq!(
            (
                lengths.shortest,
                lengths.median,
                lengths.most,
                lengths.longest
            ),
            (1, 50, 95, 100)
        );
        assert!(Lengths::of(Vec::new()).is_none());
    }
}
