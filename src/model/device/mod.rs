//! Where a model runs: names, opening, finding, and what to do when a device fails.
//!
//! `open` and `probe` alone know which backends this build has.

#[cfg(test)]
pub(in crate::model) mod counting;
mod guard;
#[cfg(all(feature = "cuda", feature = "kernel-cache"))]
mod kernel_cache;
mod name;
mod open;
mod probe;

pub use guard::DeviceFailure;
pub(crate) use guard::guarded;
pub use name::{DeviceChoice, DeviceName, UnknownDevice};
pub(crate) use open::FusedAttention;
pub use open::{DeviceError, OpenDevice};
pub use probe::{Backend, FoundDevice, auto, backends, description};
