//! The exact judge: whether a path reasons, whether the facts that it states are true, and whether its conclusion follows.
//!
//! What is true is what the world's text states. A path is read up to where it asks a question again, sentence by
//! sentence, in any phrasing of the world; what is no fact, no conclusion and no answer is no true fact either.

use std::collections::BTreeMap;

use super::ask::{AS_ASKED, CONCLUDES, NO, OPENERS, YES};
use super::words::{NAMES, TOPICS, read};
use crate::text::{AnswerForm, Question, Reading, asked_again, parse_answer, parse_reply};

/// What a fact is about: topic, link and subject.
type About<'t> = (usize, usize, &'t str);

/// Judges the paths of one world.
pub(crate) struct Judge<'t> {
    facts: BTreeMap<About<'t>, &'t str>,
}

/// What the judge finds of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Judged {
    /// Whether it states a fact, true or not.
    pub(crate) reasoning_written: bool,
    /// Whether it states facts, all of them true, and beside its conclusion nothing else.
    pub(crate) facts_true: bool,
    /// Whether the facts that it states, true or not, lead from the one who is asked about to the answer that it gives.
    pub(crate) conclusion_valid: bool,
    /// That answer, in canonical form: the declared one, else what the conclusion says.
    pub(crate) answer: Option<String>,
}

/// What a question is about.
struct Asks<'q> {
    topic: usize,
    hops: usize,
    person: &'q str,
    /// The value that it asks about, of a yes/no question.
    value: Option<&'q str>,
}

/// A conclusion that a path draws.
struct Conclusion<'t> {
    topic: usize,
    hops: usize,
    person: &'t str,
    value: &'t str,
    /// What it says of the value that was asked about, where it does: whether it is this one.
    as_asked: Option<bool>,
}

impl<'t> Judge<'t> {
    /// The judge of the world whose pretraining text this is; `None` where it states no fact of such a world.
    pub(crate) fn of_text(documents: &'t [String]) -> Option<Self> {
        let mut facts = BTreeMap::new();
        for document in documents {
            // Questions tell what is asked, not what is so.
            let Some((heading, text)) = document.split_once(": ") else {
                continue;
            };
            if heading == "Question" {
                continue;
            }
            facts.extend(sentences(text).filter_map(fact));
        }
        (!facts.is_empty()).then_some(Self { facts })
    }

    /// What it finds of `text`, written in reply to `question`; a teacher's reply to being asked for the answer counts
    /// before what it wrote. `None` where the question is not of such a world.
    pub(crate) fn judge(
        &self,
        question: &Question,
        text: &str,
        reply: Option<&str>,
    ) -> Option<Judged> {
        let about = understood(question)?;
        let own = &text[..asked_again(text).unwrap_or(text.len())];
        let mut stated: BTreeMap<About<'_>, &str> = BTreeMap::new();
        let mut concluded = None;
        let (mut written, mut all_true, mut declared) = (false, true, false);
        let mut marked_rightly = true;
        for sentence in sentences(own) {
            let (bare, is_marked) = match sentence.strip_suffix(AS_ASKED) {
                Some(bare) => (bare, true),
                None => (sentence, false),
            };
            if let Some((what, object)) = fact(bare) {
                written = true;
                marked_rightly &= !is_marked || about.value == Some(object);
                all_true &= self.facts.get(&what) == Some(&object);
                stated.entry(what).or_insert(object);
            } else if let Some(found) = conclusion(sentence) {
                concluded = Some(found);
            } else if is_answer(sentence) {
                declared = true;
            } else {
                all_true = false;
            }
        }
        let declared = match reply {
            Some(reply) => parse_reply(question, reply, Reading::Standard).answer(),
            None if declared => parse_answer(question, own, Reading::Standard).answer(),
            None => None,
        };
        let says = |of: &Conclusion<'_>| about.answer(question, of.value, of.as_asked);
        let answer = declared.or_else(|| concluded.as_ref().and_then(says));
        let led_to = about.follow(&stated);
        let conclusion_valid = led_to.is_some_and(|value| {
            let follows = |of: &Conclusion<'_>| {
                (of.topic, of.hops, of.person, of.value)
                    == (about.topic, about.hops, about.person, value)
                    && of
                        .as_asked
                        .is_none_or(|it| it == (about.value == Some(value)))
            };
            marked_rightly
                && answer.is_some()
                && answer == about.answer(question, value, None)
                && concluded.as_ref().is_none_or(follows)
        });
        Some(Judged {
            reasoning_written: written,
            facts_true: written && all_true,
            conclusion_valid,
            answer,
        })
    }
}

impl Asks<'_> {
    /// Where facts lead from the person who is asked about.
    fn follow<'s>(&self, facts: &BTreeMap<About<'s>, &'s str>) -> Option<&'s str> {
        let mut found = None;
        for link in 0..self.hops {
            let subject = found.unwrap_or(self.person);
            // The key's lifetime is the text's; the subject may be the question's.
            let mut of_link = facts.iter();
            let fact = of_link
                .find(|((topic, at, of), _)| (*topic, *at, *of) == (self.topic, link, subject));
            found = Some(*fact?.1);
        }
        found
    }

    /// The answer that a value is, or that what is said of the one asked about is.
    fn answer(&self, question: &Question, value: &str, as_asked: Option<bool>) -> Option<String> {
        match self.value {
            Some(asked) => {
                let yes = as_asked.unwrap_or(asked == value);
                Some(if yes { "yes" } else { "no" }.to_owned())
            }
            None => question
                .labels()
                .find(|label| question.choice(label) == Some(value)),
        }
    }
}

/// What a question is about.
fn understood(question: &Question) -> Option<Asks<'_>> {
    for (topic, words) in TOPICS.iter().enumerate() {
        for (asked, hops) in words.asked.iter().zip(2..) {
            let template = match question.form {
                AnswerForm::YesNo => asked.yes_no,
                _ => asked.choice,
            };
            let Some(places) = read(template, &question.question) else {
                continue;
            };
            let value = at(&places, "{v}");
            if value.is_none_or(|value| words.links[hops - 1].objects.contains(&value)) {
                return Some(Asks {
                    topic,
                    hops,
                    person: at(&places, "{p}")?,
                    value,
                });
            }
        }
    }
    None
}

/// What stands in a place that was read.
fn at<'t>(places: &[(&str, &'t str)], name: &str) -> Option<&'t str> {
    places
        .iter()
        .find(|(place, _)| *place == name)
        .map(|(_, word)| *word)
}

/// The sentences and clauses of a text, without what they open with.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(['.', ';', '\n']).map(str::trim);
    parts.filter(|part| !part.is_empty()).map(|part| {
        let (first, rest) = part.split_once(' ').unwrap_or((part, ""));
        if OPENERS.contains(&first) || first == CONCLUDES {
            rest
        } else {
            part
        }
    })
}

/// The fact that a sentence states.
fn fact(sentence: &str) -> Option<(About<'_>, &str)> {
    for (topic, words) in TOPICS.iter().enumerate() {
        for (link, kind) in words.links.iter().enumerate() {
            let subjects = match link.checked_sub(1) {
                None => &NAMES[..],
                Some(before) => words.links[before].objects,
            };
            for phrasing in kind.phrasings {
                let Some(places) = read(phrasing, sentence) else {
                    continue;
                };
                let (subject, object) = (at(&places, "{s}")?, at(&places, "{o}")?);
                if subjects.contains(&subject) && kind.objects.contains(&object) {
                    return Some(((topic, link, subject), object));
                }
            }
        }
    }
    None
}

/// The conclusion that a sentence draws.
fn conclusion(sentence: &str) -> Option<Conclusion<'_>> {
    let (as_asked, says) = match sentence.split_once(", ") {
        Some((YES, says)) => (Some(true), says),
        Some((NO, says)) => (Some(false), says),
        Some(_) => return None,
        None => (None, sentence),
    };
    for (topic, words) in TOPICS.iter().enumerate() {
        for (asked, hops) in words.asked.iter().zip(2..) {
            let Some(places) = read(asked.conclusion, says) else {
                continue;
            };
            let (person, value) = (at(&places, "{p}")?, at(&places, "{v}")?);
            let objects = words.links[hops - 1].objects;
            if !NAMES.contains(&person) || !objects.contains(&value) {
                continue;
            }
            return Some(Conclusion {
                topic,
                hops,
                person,
                value,
                as_asked,
            });
        }
    }
    None
}

/// Whether a sentence is an answer by itself: `yes`, `(B)`, `the answer is no`.
fn is_answer(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    let said = lower.strip_prefix("the answer is ").unwrap_or(&lower);
    let bare = said.trim_start_matches('(').trim_end_matches(')');
    matches!(bare, "yes" | "no")
        || (bare.len() == 1 && bare.starts_with(|c: char| c.is_ascii_lowercase()))
        || said.len() < lower.len()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
