//! The kinds, and what several of them share: prompts, training texts, trainings, rows.

mod answers_as_paths;
mod append_answer;
mod best;
#[cfg(test)]
mod chat_tests;
mod corpus;
mod dataset;
mod decide;
mod distill;
mod drawing;
mod engine_params;
mod eval;
mod examples;
mod few_shot;
mod filter;
mod finding;
mod finetune;
mod gold;
mod import;
mod imported;
mod judge;
mod judge_params;
mod judge_server;
mod judge_student;
#[cfg(test)]
mod latent_world_calibration;
mod margin;
mod merge;
mod overlap;
mod perplexity;
mod predict;
mod predict_prompt;
mod predict_recorded;
mod pretrain;
mod prompt_check;
mod prompt_size;
mod prompter;
mod prompts;
mod replies;
mod rows;
mod sample;
mod sample_params;
mod sampler;
mod score;
mod shown;
mod shuffle;
mod student;
mod student_engine;
mod teach;
mod training;
mod training_text;
mod transform;
mod union;
mod unsolved;
mod verify;
mod verify_asked;
mod verify_by;
mod verify_exec;
mod verify_http;
mod verify_latent_world;
mod verify_params;
mod verify_server;
mod verify_vote;

pub(crate) use dataset::data_splits;
pub(crate) use few_shot::EXAMPLES;

use super::{Stage, Typed};

/// Every stage kind, in the order in which help and schema list them.
pub static KINDS: &[&dyn Stage] = &[
    &Typed::<dataset::Dataset>::new(),
    &Typed::<student::Student>::new(),
    &Typed::<pretrain::Pretrain>::new(),
    &Typed::<teach::Teach>::new(),
    &Typed::<sample::Sample>::new(),
    &Typed::<score::Score>::new(),
    &Typed::<verify::Verify>::new(),
    &Typed::<judge::Judge>::new(),
    &Typed::<filter::Filter>::new(),
    &Typed::<union::Union>::new(),
    &Typed::<transform::Transform>::new(),
    &Typed::<shuffle::Shuffle>::new(),
    &Typed::<overlap::Overlap>::new(),
    &Typed::<finetune::Finetune>::new(),
    &Typed::<distill::Distill>::new(),
    &Typed::<merge::Merge>::new(),
    &Typed::<predict::Predict>::new(),
    &Typed::<predict_recorded::PredictRecorded>::new(),
    &Typed::<answers_as_paths::AnswersAsPaths>::new(),
    &Typed::<eval::Eval>::new(),
    &Typed::<perplexity::Perplexity>::new(),
    &Typed::<decide::Decide>::new(),
    &Typed::<best::Best>::new(),
    &Typed::<import::ImportPaths>::new(),
    &Typed::<import::ImportPredictions>::new(),
];
