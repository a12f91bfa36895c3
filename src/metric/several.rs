//! What several answers to a question are worth together: votes, choices by a score, and the chance that one of so many
//! is right. Each has its value for a question, so that intervals and tests are over questions.
//!
//! An answer out of which nothing was read does not vote, as in the public harnesses (None is no vote there), and of
//! equals the first drawn wins, as where Python's `Counter.most_common` counts the votes; draws are exchangeable, so that
//! is a fair draw among equals. With nothing read there is no winner, and the question is wrong.
//!
//! Sources: majority vote, Wang et al. 2023 (self-consistency); pass@k without bias, Chen et al. 2021; vote by the answers'
//! margins, Wang & Zhou 2024 (CoT-decoding); the score of a forecast over several classes, Brier 1950.

use std::collections::BTreeMap;

use super::QuestionOutcome;

/// 1 where the answer that most of them give is right.
pub(super) fn majority(answers: &[QuestionOutcome]) -> f64 {
    voted(answers, |_| Some(1.0)).unwrap_or(0.0)
}

/// 1 where the answer is right whose givers' weights (the answers' margins) have the greatest sum; `None` where several
/// answers have no weight among them. One answer needs none.
pub(super) fn weighted(answers: &[QuestionOutcome]) -> Option<f64> {
    if let [only] = answers {
        return Some(share(only.correct));
    }
    let known = answers.iter().any(|answer| answer.weight.is_some());
    known.then(|| voted(answers, |answer| answer.weight).unwrap_or(0.0))
}

/// 1 where the answer of the greatest score is right; `None` where several answers have no score among them. One answer
/// needs none.
pub(super) fn best(answers: &[QuestionOutcome]) -> Option<f64> {
    if let [only] = answers {
        return Some(share(only.correct));
    }
    let mut best: Option<(f64, bool)> = None;
    for answer in answers {
        let Some(score) = answer.score.filter(|score| !score.is_nan()) else {
            continue;
        };
        // Strictly greater, so that of equals the first wins.
        if best.is_none_or(|(greatest, _)| score > greatest) {
            best = Some((score, answer.correct));
        }
    }
    best.map(|(_, correct)| share(correct))
}

/// The chance that of `k` answers, drawn from these without putting back, one at least is right; `None` where there are
/// fewer.
///
/// `1 - C(n - c, k) / C(n, k)`, with `c` of `n` right, as the product of `1 - k / i` over `i` from `n - c + 1` to `n`,
/// which no factorial overflows (Chen et al. 2021).
pub(super) fn pass(answers: &[QuestionOutcome], k: usize) -> Option<f64> {
    let n = answers.len();
    if k == 0 || k > n {
        return None;
    }
    let wrong = answers.iter().filter(|answer| !answer.correct).count();
    if wrong < k {
        return Some(1.0);
    }
    let none: f64 = (wrong + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Some(1.0 - none)
}

/// The squared distance, over the classes, of the shares of answers that give each from what is right: 0 where all are
/// right, 2 where all give one wrong answer. Unread answers are a class that is never right.
pub(super) fn brier_of_votes(answers: &[QuestionOutcome]) -> f64 {
    let mut wrong: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    let mut right = 0;
    for answer in answers {
        if answer.correct {
            right += 1;
        } else {
            *wrong.entry(answer.parsed.as_deref()).or_default() += 1;
        }
    }
    let part = |count: usize| count as f64 / answers.len() as f64;
    let wrong: f64 = wrong.into_values().map(|count| part(count).powi(2)).sum();
    (1.0 - part(right)).powi(2) + wrong
}

/// Whether the answer with the greatest sum of weights is right, 1 or 0; `None` where nothing was read.
fn voted(
    answers: &[QuestionOutcome],
    weight: impl Fn(&QuestionOutcome) -> Option<f64>,
) -> Option<f64> {
    // In the order in which each was first given.
    let mut votes: Vec<(&str, f64, bool)> = Vec::new();
    for answer in answers {
        let (Some(said), Some(weight)) = (answer.parsed.as_deref(), weight(answer)) else {
            continue;
        };
        match votes.iter_mut().find(|(known, ..)| *known == said) {
            Some((_, sum, _)) => *sum += weight,
            None => votes.push((said, weight, answer.correct)),
        }
    }
    let mut winner: Option<(f64, bool)> = None;
    for (_, sum, correct) in votes {
        if winner.is_none_or(|(most, _)| sum > most) {
            winner = Some((sum, correct));
        }
    }
    winner.map(|(_, correct)| share(correct))
}

fn share(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

#[cfg(test)]
#[path = "several_tests.rs"]
mod tests;
