//! How an engine runs, and its threads.

use super::{Dtype, EngineError};

/// How the engine runs. Only `dtype` changes a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EngineOptions {
    /// What weights and products are in.
    pub dtype: Dtype,
    /// Threads; 0 for one per core.
    pub threads: usize,
    /// Sequences decoded together; 0 for as many as pay off.
    pub max_batch: usize,
    /// Whether a device may make graphs of its steps. CUDA lets no other thread wait for a card meanwhile, so nothing else in this
    /// process may use one.
    pub graphs: bool,
}

/// Starts threads; 0 for one per core.
///
/// # Errors
/// They cannot be started.
pub fn thread_pool(threads: usize) -> Result<rayon::ThreadPool, EngineError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("engine-{index}"))
        .build()
        .map_err(|source| EngineError::Threads { threads, source })
}
