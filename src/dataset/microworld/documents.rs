//! What a student reads before it is asked: facts, and questions that are mostly answered outright.

use rand_chacha::ChaCha8Rng;

use super::ask::{Pair, Pairs, ask_choice, ask_yes_no};
use super::random::{below, pick, shuffle, stream};
use super::world::{CHAINS, World, sentence};
use super::{MicroworldForm, MicroworldParams};
use crate::dataset::split::share_of;
use crate::text::{PromptForm, Question, answer_sentence};

/// Second-hop facts in one document. Ours.
const FACTS_PER_DOCUMENT: usize = 5;

/// All documents, in a shuffled order.
pub(super) fn documents(params: &MicroworldParams) -> Vec<String> {
    let world = World::new(params.seed, params.entities);
    let mut documents = facts(&world, params);
    documents.extend(answered(&world, params));
    shuffle(&mut stream(params.seed, "order"), &mut documents);
    documents
}

/// Every fact `fact_repeats` times (those of the second hop, which all people share, twice as
/// often), in each of its phrasings in turn.
fn facts(world: &World, params: &MicroworldParams) -> Vec<String> {
    let mut rng = stream(params.seed, "facts");
    let mut documents = Vec::new();
    for turn in 0..params.fact_repeats {
        for person in 0..world.people.len() {
            let mut clauses: Vec<String> = (0..CHAINS.len())
                .map(|chain| {
                    let how = (turn + person + chain) % CHAINS[chain].first.len();
                    world.say_first(person, chain, how)
                })
                .collect();
            shuffle(&mut rng, &mut clauses);
            documents.push(paragraph(&clauses));
        }
        for half in 0..2 {
            let mut clauses = Vec::new();
            for (chain, words) in CHAINS.iter().enumerate() {
                for middle in 0..words.middles.len() {
                    let how = (2 * turn + half + middle) % words.second.len();
                    clauses.push(world.say_second(middle, chain, how));
                }
            }
            shuffle(&mut rng, &mut clauses);
            documents.extend(clauses.chunks(FACTS_PER_DOCUMENT).map(paragraph));
        }
    }
    documents
}

fn paragraph(clauses: &[String]) -> String {
    let sentences: Vec<String> = clauses.iter().map(|clause| sentence(clause)).collect();
    sentences.join(" ")
}

/// Questions about pairs that no split asks about: a share with the reasoning written out, a
/// share that runs on into the next question, the rest answered outright.
fn answered(world: &World, params: &MicroworldParams) -> Vec<String> {
    let pairs = Pairs::deal(params).pretrain;
    let mut rng = stream(params.seed, "answered");
    let reasoned = share_of(params.pretrain_questions, params.rationale_share);
    let imitative = share_of(params.pretrain_questions - reasoned, params.imitation_share);
    let mut documents = Vec::new();
    for i in 0..params.pretrain_questions {
        let question = ask(world, params.form, &pairs, i, &mut rng);
        if i < reasoned {
            documents.push(reasoning(&question));
            continue;
        }
        let mut document = outright(&question);
        if i < reasoned + imitative {
            for _ in 0..=below(&mut rng, 2) {
                let truth = below(&mut rng, 2);
                let next = ask(world, params.form, &pairs, truth, &mut rng);
                document = format!("{document}\n{}", outright(&next));
            }
        }
        documents.push(document);
    }
    documents
}

/// Yes and no in turns.
fn ask(
    world: &World,
    form: MicroworldForm,
    pairs: &[Pair],
    turn: usize,
    rng: &mut ChaCha8Rng,
) -> Question {
    let pair = *pick(rng, pairs);
    let choice = match form {
        MicroworldForm::YesNo => false,
        MicroworldForm::Choice => true,
        MicroworldForm::Mixed => below(rng, 3) == 0,
    };
    if choice {
        ask_choice(world, pair, rng)
    } else {
        ask_yes_no(world, pair, turn.is_multiple_of(2), rng)
    }
}

fn outright(question: &Question) -> String {
    format!(
        "{} {}.",
        PromptForm::Answer.prompt(question),
        question.answer
    )
}

fn reasoning(question: &Question) -> String {
    format!(
        "{} {}{}",
        PromptForm::Answer.prompt(question),
        question
            .rationale
            .as_deref()
            .expect("every question here has its solution"),
        answer_sentence(&question.answer)
    )
}
