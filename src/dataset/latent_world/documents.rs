//! What a student reads before it is asked: facts one by one, facts one after the other, and questions that are mostly
//! answered outright.
//!
//! The chains stand here for all people, so that writing one is easy wherever it stands; behind `Answer:` they are rare.

use rand_chacha::ChaCha8Rng;

use super::LatentWorldParams;
use super::ask::ask_any;
use super::random::{below, shuffle, stream};
use super::words::{TOPICS, filled};
use super::world::{Part, World};
use crate::dataset::split::share_of;
use crate::text::{AnswerForm, ChoiceAnswer, PromptForm, Question};

/// What a document of facts or of a chain opens with, unless it has a heading.
const NOTE: &str = "Note:";
/// What stands before an answer in a prompt, and what stands there in a worked question.
const ANSWER: &str = "Answer:";
const WORKED: &str = "Steps:";

/// All documents, in a shuffled order.
pub(super) fn documents(world: &World, params: &LatentWorldParams) -> Vec<String> {
    let mut documents = facts(world, params);
    documents.extend(chains(world, params));
    documents.extend(worked(world, params));
    documents.extend(answered(world, params));
    shuffle(&mut stream(params.seed, "order"), &mut documents);
    documents
}

/// Every fact `fact_repeats` times, in each of the phrasings in turn.
fn facts(world: &World, params: &LatentWorldParams) -> Vec<String> {
    let mut rng = stream(params.seed, "facts");
    let mut documents = Vec::new();
    let facts = world.facts();
    for turn in 0..params.fact_repeats {
        let mut clauses: Vec<String> = (facts.iter().enumerate())
            .map(|(i, fact)| world.say(*fact, (turn + i) % params.phrasings))
            .collect();
        shuffle(&mut rng, &mut clauses);
        let some = clauses.chunks(params.facts_per_document);
        documents.extend(some.map(|some| format!("{NOTE} {}.", some.join("; "))));
    }
    documents
}

/// Every chain `chain_repeats` times.
fn chains(world: &World, params: &LatentWorldParams) -> Vec<String> {
    let mut rng = stream(params.seed, "chains");
    let mut documents = Vec::new();
    for pair in world.all_pairs() {
        let mut marked = |share| marks(params.chain_repeats, share, &mut rng);
        let concluded = marked(params.concluded_share);
        let headed = marked(params.headed_share);
        let varied = marked(params.varied_share);
        for ((concluded, headed), varied) in concluded.into_iter().zip(headed).zip(varied) {
            let heading = if headed {
                let name = ("{p}", world.people[pair.person]);
                format!("About {}:", filled(TOPICS[pair.topic].heading, &[name]))
            } else {
                NOTE.to_owned()
            };
            let chain = world.say_chain(pair, || {
                if varied {
                    below(&mut rng, params.phrasings)
                } else {
                    0
                }
            });
            let end = if concluded {
                format!(" {}", world.conclude(pair, None))
            } else {
                String::new()
            };
            documents.push(format!("{heading} {chain}{end}"));
        }
    }
    documents
}

/// So many marks, of which `share` are set.
fn marks(count: usize, share: f64, rng: &mut ChaCha8Rng) -> Vec<bool> {
    let set = share_of(count, share);
    let mut marks: Vec<bool> = (0..count).map(|i| i < set).collect();
    shuffle(rng, &mut marks);
    marks
}

/// Questions about pairs that no split asks about, each with its reasoning behind a mark that no prompt of a student has:
/// what is rare behind `Answer:` is easy here.
fn worked(world: &World, params: &LatentWorldParams) -> Vec<String> {
    let pairs = world.pairs(Part::Text);
    let mut rng = stream(params.seed, "worked");
    let mut question = |turn| ask_any(world, params.form, &pairs, turn, &mut rng);
    let marked = |question: Question| {
        let reasoned = reasoning(&question);
        reasoned.replacen(&format!("{ANSWER} "), &format!("{WORKED} "), 1)
    };
    (0..params.worked_questions)
        .map(|turn| marked(question(turn)))
        .collect()
}

/// Questions about pairs that no split asks about: a share with the reasoning written out, a share that runs on into the
/// next question, the rest answered outright.
fn answered(world: &World, params: &LatentWorldParams) -> Vec<String> {
    let pairs = world.pairs(Part::Text);
    let mut rng = stream(params.seed, "answered");
    let reasoned = share_of(params.pretrain_questions, params.rationale_share);
    let imitative = share_of(params.pretrain_questions - reasoned, params.imitation_share);
    let mut documents = Vec::new();
    for turn in 0..params.pretrain_questions {
        let question = ask_any(world, params.form, &pairs, turn, &mut rng);
        if turn < reasoned {
            documents.push(reasoning(&question));
            continue;
        }
        let mut document = outright(&question);
        if turn < reasoned + imitative {
            for _ in 0..=below(&mut rng, 2) {
                let turn = below(&mut rng, 6);
                let next = ask_any(world, params.form, &pairs, turn, &mut rng);
                document = format!("{document}\n{}", outright(&next));
            }
        }
        documents.push(document);
    }
    documents
}

fn outright(question: &Question) -> String {
    let answer = match question.form {
        AnswerForm::Choice => ChoiceAnswer::Letter.written(question, &question.answer),
        _ => question.answer.clone(),
    };
    format!("{} {answer}.", PromptForm::Answer.prompt(question))
}

fn reasoning(question: &Question) -> String {
    let rationale = question.rationale.as_deref().unwrap_or_default();
    format!("{} {rationale}", PromptForm::Answer.prompt(question))
}
