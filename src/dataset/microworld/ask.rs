//! Questions over two facts, the pairs they are about, and the solver that answers them.

use rand_chacha::ChaCha8Rng;

use super::random::{pick, shuffle, stream};
use super::world::{CHAINS, World};
use super::{MicroworldForm, MicroworldParams};
use crate::text::{AnswerForm, Question};

/// Who and which chain: what a question is about. Held-out questions are held out by pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Pair {
    pub(super) person: usize,
    pub(super) chain: usize,
}

/// Which pairs are asked about where; no pair is in two of them.
pub(super) struct Pairs {
    pub(super) test: Vec<Pair>,
    pub(super) train: Vec<Pair>,
    pub(super) pretrain: Vec<Pair>,
}

/// How many pairs `count` questions take: a pair gives a yes and a no question, or one choice.
pub(super) fn pairs_for(count: usize, form: MicroworldForm) -> usize {
    match form {
        MicroworldForm::YesNo => count.div_ceil(2),
        MicroworldForm::Choice => count,
        MicroworldForm::Mixed => count / 3 * 2 + usize::from(!count.is_multiple_of(3)),
    }
}

impl Pairs {
    /// Deals all pairs of the world. There are enough: the parameters were checked.
    pub(super) fn deal(params: &MicroworldParams) -> Self {
        let mut pairs: Vec<Pair> = (0..params.entities)
            .flat_map(|person| (0..CHAINS.len()).map(move |chain| Pair { person, chain }))
            .collect();
        shuffle(&mut stream(params.seed, "pairs"), &mut pairs);
        // Test pairs come first, so that more training questions do not change the test.
        let mut rest = pairs.split_off(pairs_for(params.test_questions, params.form));
        let pretrain = rest.split_off(pairs_for(params.train_questions, params.form));
        Self {
            test: pairs,
            train: rest,
            pretrain,
        }
    }
}

/// `count` questions about `pairs`, in a shuffled order, with ids `microworld-{part}-0000`.
pub(super) fn questions(
    world: &World,
    params: &MicroworldParams,
    pairs: &[Pair],
    count: usize,
    part: &str,
) -> Vec<Question> {
    let mut rng = stream(params.seed, part);
    let mut found = Vec::new();
    for (i, &pair) in pairs.iter().enumerate() {
        let choice = match params.form {
            MicroworldForm::YesNo => false,
            MicroworldForm::Choice => true,
            MicroworldForm::Mixed => i % 2 == 1,
        };
        if choice {
            found.push(ask_choice(world, pair, &mut rng));
        } else {
            found.push(ask_yes_no(world, pair, true, &mut rng));
            found.push(ask_yes_no(world, pair, false, &mut rng));
        }
    }
    found.truncate(count);
    shuffle(&mut rng, &mut found);
    for (i, question) in found.iter_mut().enumerate() {
        question.id = format!("microworld-{part}-{i:04}");
    }
    found
}

/// A question whose answer is `truth`.
pub(super) fn ask_yes_no(world: &World, pair: Pair, truth: bool, rng: &mut ChaCha8Rng) -> Question {
    let words = &CHAINS[pair.chain];
    let value = value_of(world, pair);
    let asked = if truth {
        value
    } else {
        let others: Vec<usize> = (0..words.values.len()).filter(|&v| v != value).collect();
        *pick(rng, &others)
    };
    let (value, asked) = (words.values[value], words.values[asked]);
    let conclusion = if truth {
        format!("The question asks about {asked}, so it is true.")
    } else {
        format!("The question asks about {asked} and not about {value}, so it is not true.")
    };
    Question {
        id: String::new(),
        question: words
            .ask_yes_no
            .replace("{p}", &world.people[pair.person])
            .replace("{v}", asked),
        choices: Vec::new(),
        form: AnswerForm::YesNo,
        answer: if truth { "yes" } else { "no" }.to_owned(),
        rationale: Some(solution(world, pair, &conclusion)),
    }
}

/// A question with all values of its chain as choices.
pub(super) fn ask_choice(world: &World, pair: Pair, rng: &mut ChaCha8Rng) -> Question {
    let words = &CHAINS[pair.chain];
    let value = words.values[value_of(world, pair)];
    let mut choices = words.values.to_vec();
    shuffle(rng, &mut choices);
    let label = choices
        .iter()
        .zip('A'..)
        .find(|(choice, _)| **choice == value)
        .map(|(_, label)| label)
        .expect("the value is one of its chain's");
    let conclusion = format!("Of all the choices, it is choice ({label}) that says {value}.");
    Question {
        id: String::new(),
        question: words.ask_choice.replace("{p}", &world.people[pair.person]),
        choices: choices.into_iter().map(str::to_owned).collect(),
        form: AnswerForm::Choice,
        answer: label.to_string(),
        rationale: Some(solution(world, pair, &conclusion)),
    }
}

fn value_of(world: &World, pair: Pair) -> usize {
    world.value(world.middle(pair.person, pair.chain), pair.chain)
}

/// The solver: both hops as sentences, then what follows.
fn solution(world: &World, pair: Pair, conclusion: &str) -> String {
    let first = world.say_first(pair.person, pair.chain, 0);
    let second = world.say_second(world.middle(pair.person, pair.chain), pair.chain, 0);
    format!("We know that {first}. We also know that {second}. {conclusion}")
}
