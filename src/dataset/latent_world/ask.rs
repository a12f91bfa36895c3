//! Questions about the ends of chains, and the solver that answers them.

use rand_chacha::ChaCha8Rng;

use super::random::{pick, shuffle, stream};
use super::words::{Asked, TOPICS, filled};
use super::world::{Pair, Part, World};
use super::{LatentWorldForm, LatentWorldParams};
use crate::text::{AnswerForm, Question};

/// What the sentences of a reasoning open with, fact by fact; the first word is its first token.
pub(super) const OPENERS: [&str; 3] = ["First,", "Next,", "Then,"];
/// What the conclusion opens with.
pub(super) const CONCLUDES: &str = "So";
/// What it says of a value that was asked about.
pub(super) const YES: &str = "yes";
pub(super) const NO: &str = "no";
/// What follows the last fact of a chain where its value is the one that was asked about: a small student learns to see that
/// two words are the same right behind the second one, and hardly a sentence later.
pub(super) const AS_ASKED: &str = ", as asked";

impl World {
    /// How this world asks about the ends of a topic's chains.
    pub(super) fn asked(&self, topic: usize) -> &'static Asked {
        &TOPICS[topic].asked[self.hops - 2]
    }

    fn name(&self, pair: Pair) -> (&'static str, &'static str) {
        ("{p}", self.people[pair.person])
    }

    /// The conclusion in words, of any value of its topic.
    pub(super) fn say_value(&self, pair: Pair, value: &str) -> String {
        filled(
            self.asked(pair.topic).conclusion,
            &[self.name(pair), ("{v}", value)],
        )
    }

    /// The facts that lead to the value, each a sentence in the phrasing that `phrasing` says for it; 0 is the solver's.
    pub(super) fn say_chain(&self, pair: Pair, mut phrasing: impl FnMut() -> usize) -> String {
        let facts = self.chain(pair).into_iter().zip(OPENERS);
        let facts = facts.map(|(fact, opener)| format!("{opener} {}.", self.say(fact, phrasing())));
        facts.collect::<Vec<_>>().join(" ")
    }

    /// What follows from the chain, a sentence; where a value was asked about, whether it is that one comes first.
    pub(super) fn conclude(&self, pair: Pair, asked: Option<&str>) -> String {
        let value = self.value_words(pair.topic)[self.value(pair)];
        let says = self.say_value(pair, value);
        match asked {
            None => format!("{CONCLUDES} {says}."),
            Some(asked) if asked == value => format!("{CONCLUDES} {YES}, {says}."),
            Some(_) => format!("{CONCLUDES} {NO}, {says}."),
        }
    }
}

/// All questions of a part, in a shuffled order, with ids `latent-world-{name}-0000`.
pub(super) fn questions(
    world: &World,
    params: &LatentWorldParams,
    part: Part,
    name: &str,
) -> Vec<Question> {
    let mut rng = stream(params.seed, name);
    let pairs = world.pairs(part);
    let mut found = Vec::new();
    if params.form != LatentWorldForm::Choice {
        for (pair, other) in others(world, &pairs) {
            found.push(ask_yes_no(world, pair, world.value(pair)));
            found.push(ask_yes_no(world, pair, other));
        }
    }
    if params.form != LatentWorldForm::YesNo {
        let mut dealt = pairs;
        shuffle(&mut rng, &mut dealt);
        // By topic, so that each value stands behind each label as often as it can.
        dealt.sort_by_key(|pair| (pair.topic, world.value(*pair)));
        for (i, pair) in dealt.into_iter().enumerate() {
            found.push(ask_choice(world, pair, i % world.values, &mut rng));
        }
    }
    shuffle(&mut rng, &mut found);
    for (i, question) in found.iter_mut().enumerate() {
        question.id = format!("latent-world-{name}-{i:04}");
    }
    found
}

/// Each pair with a value that is not its own, so that each value of a topic is asked about in vain as often as it is
/// right: the pairs in the order of their values, each with the value of the one that stands as far on as a value has
/// pairs.
fn others(world: &World, pairs: &[Pair]) -> Vec<(Pair, usize)> {
    let mut found = Vec::new();
    for topic in 0..world.topics {
        let mut of_topic: Vec<Pair> = pairs
            .iter()
            .copied()
            .filter(|pair| pair.topic == topic)
            .collect();
        of_topic.sort_by_key(|pair| world.value(*pair));
        let each = of_topic.len() / world.values;
        for (i, &pair) in of_topic.iter().enumerate() {
            // The people of one value are asked about other ones, in turn.
            let on = each * (1 + i % each.max(1) % (world.values - 1));
            found.push((pair, world.value(of_topic[(i + on) % of_topic.len()])));
        }
    }
    found
}

/// Whether `asked` is the value.
pub(super) fn ask_yes_no(world: &World, pair: Pair, asked: usize) -> Question {
    let truth = asked == world.value(pair);
    let word = world.value_words(pair.topic)[asked];
    Question {
        id: String::new(),
        question: filled(
            world.asked(pair.topic).yes_no,
            &[world.name(pair), ("{v}", word)],
        ),
        choices: Vec::new(),
        form: AnswerForm::YesNo,
        answer: if truth { "yes" } else { "no" }.to_owned(),
        rationale: Some(solution(world, pair, Some(word))),
    }
}

/// Which of the topic's values it is; the right one stands at `place`.
pub(super) fn ask_choice(
    world: &World,
    pair: Pair,
    place: usize,
    rng: &mut ChaCha8Rng,
) -> Question {
    let words = world.value_words(pair.topic);
    let value = words[world.value(pair)];
    let mut choices: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| *word != value)
        .collect();
    shuffle(rng, &mut choices);
    choices.insert(place.min(choices.len()), value);
    let label = ('A'..).nth(place).unwrap_or('A');
    Question {
        id: String::new(),
        question: filled(world.asked(pair.topic).choice, &[world.name(pair)]),
        choices: choices.into_iter().map(str::to_owned).collect(),
        form: AnswerForm::Choice,
        answer: label.to_string(),
        rationale: Some(solution(world, pair, None)),
    }
}

/// A question about one of `pairs`, in any form that `form` has; of yes/no questions as many are true as not.
pub(super) fn ask_any(
    world: &World,
    form: LatentWorldForm,
    pairs: &[Pair],
    turn: usize,
    rng: &mut ChaCha8Rng,
) -> Question {
    let pair = *pick(rng, pairs);
    let value = world.value(pair);
    let choice = match form {
        LatentWorldForm::YesNo => false,
        LatentWorldForm::Choice => true,
        LatentWorldForm::Mixed => turn % 3 == 2,
    };
    if choice {
        let places: Vec<usize> = (0..world.values).collect();
        let place = *pick(rng, &places);
        return ask_choice(world, pair, place, rng);
    }
    let others: Vec<usize> = (0..world.values).filter(|other| *other != value).collect();
    let other = *pick(rng, &others);
    let asked = if turn.is_multiple_of(2) { value } else { other };
    ask_yes_no(world, pair, asked)
}

/// The solver: the chain, then what follows.
fn solution(world: &World, pair: Pair, asked: Option<&str>) -> String {
    let chain = world.say_chain(pair, || 0);
    let value = world.value_words(pair.topic)[world.value(pair)];
    let mark = if asked == Some(value) { AS_ASKED } else { "" };
    let (chain, end) = (chain.trim_end_matches('.'), world.conclude(pair, asked));
    format!("{chain}{mark}. {end}")
}
