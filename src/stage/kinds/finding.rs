//! What a verifier finds of a path, and what is told and recorded of all that it found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::verify_params::{Unanswered, VerifyParams};
use crate::key::{Digest, canonical_json};
use crate::stage::Context;
use crate::text::{ReasoningPath, cut, one_line};

/// Reasons that are recorded, the most frequent first (ours).
const REASONS: usize = 5;
/// Letters of each (ours): it may be a program's, of any length.
const LETTERS: usize = 160;

/// What a verifier found of one path.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Finding {
    Right,
    Wrong,
    /// Neither: a score between 0 and 1.
    Between(f64),
    /// There is no answer.
    NoAnswer,
    /// Whether it is right is not known, and why.
    Unknown(String),
}

impl Finding {
    pub(super) fn of(is_right: bool) -> Self {
        if is_right { Self::Right } else { Self::Wrong }
    }

    /// The score; none where it is unparsed.
    fn score(&self) -> Option<f64> {
        match self {
            Self::Right => Some(1.0),
            Self::Wrong => Some(0.0),
            Self::Between(score) => Some(*score),
            Self::NoAnswer | Self::Unknown(_) => None,
        }
    }
}

/// Turns a share of the verdicts round, and says how many.
pub(super) fn turn_round(
    share: f64,
    paths: &[ReasoningPath],
    findings: &mut [Finding],
    context: &Context<'_>,
) {
    if share <= 0.0 {
        return;
    }
    let mut turned = 0;
    for (path, finding) in paths.iter().zip(findings) {
        let other = match finding {
            Finding::Right => Finding::Wrong,
            Finding::Wrong => Finding::Right,
            _ => continue,
        };
        if place_of(path) < share {
            *finding = other;
            turned += 1;
        }
    }
    let of = paths.len();
    context.report.info(format!(
        "label noise: the verdicts of {turned} of {of} paths are turned round"
    ));
}

/// Where between 0 and 1 a path lies by its question and its text.
fn place_of(path: &ReasoningPath) -> f64 {
    let parts = json!([path.question_id, path.text]);
    let digest = Digest::of(canonical_json(&parts).as_bytes());
    let first = digest
        .as_bytes()
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes));
    f64::from(first.unwrap_or_default()) / 2.0_f64.powi(32)
}

/// How many of a question's paths are right.
#[derive(Clone, Copy, Default)]
struct Share {
    right: u32,
    /// Those that count.
    of: u32,
}

impl Share {
    fn value(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.right) / f64::from(self.of))
    }
}

/// Gives each path its two scores.
pub(super) fn note(params: &VerifyParams, paths: &mut [ReasoningPath], findings: &[Finding]) {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for (path, finding) in paths.iter().zip(findings) {
        let share = shares.entry(path.question_id.clone()).or_default();
        share.right += u32::from(*finding == Finding::Right);
        share.of += u32::from(match finding {
            Finding::Right | Finding::Wrong | Finding::Between(_) => true,
            Finding::NoAnswer => params.unanswered == Unanswered::NotRight,
            Finding::Unknown(_) => false,
        });
    }
    let pass_rate = params.pass_rate();
    for (path, finding) in paths.iter_mut().zip(findings) {
        record(path, &params.name, finding.score());
        record(path, &pass_rate, shares[&path.question_id].value());
    }
}

/// Gives `path` the score `name`; where there is none, it is unparsed.
pub(super) fn record(path: &mut ReasoningPath, name: &str, score: Option<f64>) {
    path.scores.remove(name);
    path.unparsed.remove(name);
    match score {
        Some(score) => _ = path.scores.insert(name.to_owned(), score),
        None => _ = path.unparsed.insert(name.to_owned()),
    }
}

/// Tells, and records, what was found and why some scores are unparsed.
pub(super) fn tell(
    params: &VerifyParams,
    context: &Context<'_>,
    paths: &[ReasoningPath],
    findings: &[Finding],
) {
    let count = |wanted: &Finding| findings.iter().filter(|each| *each == wanted).count();
    let (right, wrong) = (count(&Finding::Right), count(&Finding::Wrong));
    let none = count(&Finding::NoAnswer);
    let between = (findings.iter())
        .filter(|each| matches!(each, Finding::Between(_)))
        .count();
    let unknown = findings.len() - right - wrong - none - between;
    let mut solved: BTreeMap<&str, bool> = BTreeMap::new();
    for (path, finding) in paths.iter().zip(findings) {
        *solved.entry(&path.question_id).or_default() |= *finding == Finding::Right;
    }
    let mut text = format!(
        "{right} of {} paths are right, {wrong} wrong, {none} without an answer, {unknown} not decided; {} of {} questions have a right one",
        paths.len(),
        solved.values().filter(|is_solved| **is_solved).count(),
        solved.len(),
    );
    if between > 0 {
        let _ = write!(
            text,
            "; {between} have a score between 0 and 1, and are not right"
        );
    }
    if none > 0 {
        text += match params.unanswered {
            Unanswered::NotRight => "; in `pass_rate` those without an answer count as not right",
            Unanswered::LeftOut => "; `pass_rate` leaves those without an answer out",
        };
    }
    context.report.info(text);
    let (reasons, others) = reasons(paths, findings);
    for Reason { why, times, first } in &reasons {
        context.report.info(format!(
            "not decided, {times} times: {why} (first for question `{}`)",
            one_line(first)
        ));
    }
    if others > 0 {
        let text = format!("not decided, and {others} times for other reasons");
        context.report.info(text);
    }
    let reasons: Vec<_> = reasons
        .iter()
        .map(
            |Reason { why, times, first }| json!({ "reason": why, "paths": times, "first": first }),
        )
        .collect();
    context.record_use(
        "verified",
        json!({
            "paths": paths.len(),
            "right": right,
            "wrong": wrong,
            "no_answer": none,
            "between": between,
            "not_decided": unknown,
            "reasons": reasons,
            "for_other_reasons": others,
        }),
    );
}

/// Why paths were not decided.
#[derive(PartialEq, Eq, Debug)]
struct Reason<'f> {
    /// As it is told: on one line, and cut.
    why: String,
    /// How often.
    times: usize,
    /// The first question.
    first: &'f str,
}

/// The most frequent reasons, and how many paths have another.
fn reasons<'f>(paths: &'f [ReasoningPath], findings: &[Finding]) -> (Vec<Reason<'f>>, usize) {
    let mut counted: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (path, finding) in paths.iter().zip(findings) {
        if let Finding::Unknown(reason) = finding {
            counted.entry(reason).or_insert((0, &path.question_id)).0 += 1;
        }
    }
    let mut reasons: Vec<_> = counted.into_iter().collect();
    reasons.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
    let others = reasons.iter().skip(REASONS).map(|(_, (times, _))| times);
    let others = others.sum();
    let told = reasons.into_iter().take(REASONS);
    let told = told.map(|(why, (times, first))| Reason {
        why: one_line(&cut(why.to_owned(), LETTERS)),
        times,
        first,
    });
    (told.collect(), others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(question_id: &str) -> ReasoningPath {
        serde_json::from_value(json!({ "question_id": question_id, "text": "t" })).unwrap()
    }

    fn unknown(why: &str) -> Finding {
        Finding::Unknown(why.into())
    }

    /// A path without an answer is not right unless it is left out; one of which it is not known counts nowhere.
    #[test]
    fn shares_are_of_what_is_known() {
        let findings = [
            Finding::Right,
            Finding::Wrong,
            Finding::NoAnswer,
            Finding::NoAnswer,
            unknown("crash"),
            unknown("crash"),
        ];
        let ids = ["q", "q", "q", "q", "q", "p"];
        let noted = |unanswered| {
            let params = VerifyParams {
                unanswered,
                ..VerifyParams::default()
            };
            let mut paths = ids.map(path);
            // What it had is replaced.
            paths[4].scores.insert("correct".into(), 1.0);
            note(&params, &mut paths, &findings);
            paths
        };
        let paths = noted(Unanswered::NotRight);
        let correct = paths
            .each_ref()
            .map(|path| path.scores.get("correct").copied());
        assert_eq!(correct, [Some(1.0), Some(0.0), None, None, None, None]);
        for path in &paths {
            let parsed = path.scores.contains_key("correct");
            assert_eq!(path.unparsed.contains("correct"), !parsed);
        }
        let rate = |path: &ReasoningPath| path.scores.get("pass_rate").copied();
        assert_eq!((rate(&paths[0]), rate(&paths[5])), (Some(0.25), None));
        assert!(paths[5].unparsed.contains("pass_rate"));
        assert_eq!(rate(&noted(Unanswered::LeftOut)[0]), Some(0.5));
    }

    #[test]
    fn frequent_reasons_come_first() {
        let findings = [unknown("a"), unknown("b"), Finding::Right, unknown("b")];
        let paths = ["1", "2", "3", "4"].map(path);
        let reason = |why: &str, times, first| Reason {
            why: why.to_owned(),
            times,
            first,
        };
        assert_eq!(
            reasons(&paths, &findings),
            (vec![reason("b", 2, "2"), reason("a", 1, "1")], 0)
        );
    }

    /// A reason is a program's own words: it makes no line and no colour of its own, and what is not told is counted.
    #[test]
    fn reasons_are_told_on_one_line_and_the_others_counted() {
        let mut findings = vec![unknown(&format!(
            "a\nwarning: \u{1b}[31m{}",
            "x".repeat(200)
        ))];
        findings.extend((0..8).map(|n| unknown(&format!("b{n}"))));
        findings.push(findings[0].clone());
        let paths: Vec<ReasoningPath> = findings.iter().map(|_| path("q")).collect();
        let (told, others) = reasons(&paths, &findings);
        assert_eq!((told.len(), others), (5, 4));
        let head = "a\\nwarning: \\u{1b}[31m";
        let letters = 160 - "a\nwarning: \u{1b}[31m".chars().count();
        assert_eq!(told[0].why, format!("{head}{}...", "x".repeat(letters)));
    }
}
