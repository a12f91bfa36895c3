//! The answer that an output declares, as it was written.

use super::decide::Match;
use super::equal;
use crate::text::{Declared, declared};

/// The answer that `output` declares: in its last `\boxed{}`, `####`, `<answer>` or behind `Final answer:`, else behind
/// its last `the answer is`. LaTeX stays. `None` where it declares none, where its last box was cut off, and where it
/// goes on to declare another.
///
/// ```
/// use sert_run::verify::math::extract;
///
/// assert_eq!(extract(r"So \boxed{\frac{1}{2}}.").as_deref(), Some(r"\frac{1}{2}"));
/// assert_eq!(extract("I add them."), None);
/// ```
pub fn extract(output: &str) -> Option<String> {
    let all = declared(output);
    let place = all
        .iter()
        .rposition(|mark| mark.strong)
        .or(all.len().checked_sub(1))?;
    let mark = &all[place];
    let answer = mark.answer.clone()?;
    let other = |later: &Declared| {
        later
            .answer
            .as_deref()
            .is_some_and(|later| equal(&answer, later) == Match::Different)
    };
    if mark.strong && all[place + 1..].iter().any(other) {
        return None;
    }
    // `\boxed{2} or \boxed{3}` declares both.
    let joined = all[..place]
        .iter()
        .rev()
        .take_while(|before| before.goes_on)
        .filter_map(|before| before.answer.clone());
    let mut parts: Vec<String> = joined.collect();
    parts.reverse();
    parts.push(answer);
    Some(parts.join(", "))
}
