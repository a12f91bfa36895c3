//! Rounds: stages that are there once for each round, where a round takes what the one before made.
//!
//! In: the tree of one point, with `[rounds.NAME]`. Out: the same tree in which each stage of a round stands as often as
//! there are rounds, as `sert[round=2]`, what it reads rewritten; and stages that decide after each round whether there is
//! another, and the one that takes the best round's model. Whatever comes after sees stages like others. Tables and figures
//! name a stage as the manifest does: [`View`] tells which one that is in a round.

mod members;
mod read;
mod reads;
mod section;
mod stop;
mod unroll;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub(super) use reads::stage_of;
pub(super) use section::RoundsSection;
pub(super) use unroll::unroll;

use super::stage_name::{StageName, split_reference};

/// What stands before a dot and a stage's name for the stage's outputs of this and all earlier rounds.
const GATHERED: &str = "rounds";

/// What stages of a tree are that rounds made.
#[derive(Default)]
pub(super) struct Unrolled {
    /// By their keys in the tree, which nobody can write.
    stages: BTreeMap<String, OfRounds>,
    /// How many rounds a stage is in, by its name in the manifest.
    counts: BTreeMap<String, usize>,
}

/// A stage that rounds made.
pub(super) struct OfRounds {
    pub(super) name: StageName,
    /// The keys that lead to where it was declared.
    pub(super) path: Vec<String>,
    /// The section that it is a part of; `None` for one that only reads from such stages.
    pub(super) rounds: Option<String>,
    /// The decision that it waits for.
    pub(super) gate: Option<StageName>,
}

impl Unrolled {
    /// What the stage of this key in the tree is; `None` for one that rounds leave as it is.
    pub(super) fn stage(&self, key: &str) -> Option<&OfRounds> {
        self.stages.get(key)
    }

    /// How many rounds there are, at most; 0 without rounds.
    pub(super) fn most(&self) -> usize {
        self.counts.values().copied().max().unwrap_or(0)
    }

    /// What references mean in each round, and in one that is not there; without rounds one view.
    pub(super) fn views(&self) -> impl Iterator<Item = View<'_>> {
        let rounds = match self.most() {
            0 => 1..=1,
            most => 1..=most + 1,
        };
        rounds.map(move |round| View {
            unrolled: self,
            round,
        })
    }
}

/// What a reference means in one round.
#[derive(Clone, Copy)]
pub(super) struct View<'u> {
    unrolled: &'u Unrolled,
    round: usize,
}

impl View<'_> {
    /// Whether mistakes are told here: they are the same in every round.
    pub(super) fn is_first(self) -> bool {
        self.round == 1
    }

    /// `text` with the key that its stage has in the tree; `None` where the stage has no such round.
    pub(super) fn reference(self, text: &str) -> Option<Cow<'_, str>> {
        let (stage, output) = split_reference(text);
        match self.unrolled.counts.get(stage) {
            None => Some(Cow::Borrowed(text)),
            Some(count) if self.round <= *count => {
                Some(Cow::Owned(unroll::reference(stage, self.round, output)))
            }
            Some(_) => None,
        }
    }
}
