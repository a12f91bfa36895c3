//! What an output declares as its answer, in its own words: LaTeX and the case of letters stay.

use super::marks::{self, Mark, Sort};
use super::{before_asked_again, free_text, is_joint, markup, sentence};
use crate::text::parted;

/// Words behind `####` at most, where the line is an answer and no heading (ours).
const MOST_WORDS: usize = 6;

/// Items of a list below a mark at most (ours).
const MOST_ITEMS: usize = 24;

/// A place where an answer is declared.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// Whether it wins over `the answer is` in the prose around it.
    pub(crate) strong: bool,
    /// The answer as it was written; `None` where it was cut off.
    pub(crate) answer: Option<String>,
    /// Whether the next one is told together with it: `\boxed{2} or \boxed{3}`.
    pub(crate) goes_on: bool,
}

/// The answers that `output` declares, in order. What it thinks is not said, and what follows a question that it asks
/// again answers another.
pub(crate) fn declared(output: &str) -> Vec<Declared> {
    let text = markup::marked(before_asked_again(&parted(output).said));
    let marks = marks::find(&text);
    let answers = marks
        .iter()
        .enumerate()
        .filter(|(_, mark)| mark.says() && !is_heading(mark));
    answers
        .map(|(place, mark)| {
            let end = mark.at + mark.part.len();
            let boxes = |next: &Mark<'_>| mark.sort == Sort::Box && next.sort == Sort::Box;
            let goes_on = marks
                .get(place + 1)
                .is_some_and(|next| boxes(next) && is_joint(&text[end..next.start]));
            Declared {
                strong: mark.strong,
                answer: answer(mark),
                goes_on,
            }
        })
        .collect()
}

fn answer(mark: &Mark<'_>) -> Option<String> {
    let part = match mark.sort {
        Sort::CutBox => return None,
        Sort::Box | Sort::Hashes => mark.part,
        Sort::Sentence | Sort::Label => {
            if let Some(items) = listed(mark.part) {
                return Some(items);
            }
            free_text::because(sentence::first(mark.part).0)
        }
    };
    let part = part.trim_matches(|c: char| c.is_whitespace() || c == '*' || c == '_');
    Some(part.to_owned())
}

/// What the items of a list below the mark say: of `The answer is:\n- 2\n- 3` it is `2, 3`. The dash before a single number
/// may be its sign as well, and becomes a bullet, which is no sign of any number.
fn listed(part: &str) -> Option<String> {
    let (head, below) = part.split_once('\n')?;
    if head.contains(char::is_alphanumeric) {
        return None;
    }
    let item = |line: &str| {
        let item = line.trim().strip_prefix(['-', '\u{2022}'])?;
        let text = free_text::because(sentence::first(item).0).trim();
        (item.starts_with(char::is_whitespace) && !text.is_empty()).then(|| text.to_owned())
    };
    let lines = below.lines().skip_while(|line| line.trim().is_empty());
    let items: Vec<String> = lines.map_while(item).take(MOST_ITEMS).collect();
    match &items[..] {
        [] => None,
        [one] => {
            let word = one.chars().take(2).filter(|c| c.is_alphabetic()).count() == 2;
            let marked = one.starts_with("\\(") || (one.starts_with('$') && one.ends_with('$'));
            let dash = below.trim_start().starts_with('-');
            Some(if word || marked || !dash {
                one.clone()
            } else {
                format!("\u{2022} {one}")
            })
        }
        _ => Some(items.join(", ")),
    }
}

/// `#### 2. Add them`, `#### Step 2: add`
fn is_heading(mark: &Mark<'_>) -> bool {
    let part = mark.part.trim();
    let words = part.split_whitespace().count();
    let counted = part
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .starts_with([')', '.'])
        && part.contains(' ');
    let title = part.ends_with(':') || part.starts_with("Step ");
    mark.sort == Sort::Hashes && !mark.closes && (title || counted || words > MOST_WORDS)
}
