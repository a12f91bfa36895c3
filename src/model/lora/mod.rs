//! Low-rank adapters: beside a frozen linear map `x W` a branch `scale * (x A) B`, whose `A` and `B` alone are trained.
//!
//! In: a model's architecture and [`LoraOptions`]. Out: which branches there are (`LoraShape`), their arrays fresh or out
//! of a folder as PEFT writes it ([`Adapter`]), and the model with them added to its weights (`Delta`). A branch is beside a
//! module of the files' layout, as in PEFT: queries, keys and values have one each where files have three arrays.
//! Source: Hu et al. 2021; PEFT, `tuners/lora`.

mod adapter;
mod delta;
mod folder;
mod options;
mod shape;

pub use self::adapter::Adapter;
pub(crate) use self::delta::Delta;
pub(crate) use self::folder::{ADAPTER_CONFIG, ADAPTER_FILES, ADAPTER_WEIGHTS};
pub use self::options::{LoraOptions, LoraTargets};
pub(crate) use self::shape::{LoraBranch, LoraShape};

#[cfg(test)]
pub(in crate::model) mod tests;
