//! Where work runs: on this thread alone, or shared out over the engine's pool.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::model::kernel::lanes::Isa;

/// How a forward pass runs. It never decides what is computed, only by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parallel {
    isa: Isa,
    pool: bool,
}

impl Parallel {
    /// Everything on the calling thread.
    pub(super) fn serial(isa: Isa) -> Self {
        Self { isa, pool: false }
    }

    /// Shared out over the rayon pool that the caller runs in.
    pub(super) fn pool(isa: Isa) -> Self {
        Self { isa, pool: true }
    }

    /// The instruction set of the kernels.
    pub(super) fn isa(self) -> Isa {
        self.isa
    }

    /// How many threads share the work.
    pub(super) fn threads(self) -> usize {
        if self.pool {
            rayon::current_num_threads()
        } else {
            1
        }
    }

    /// Runs `task` for `0..count`, at least `grain` in a row on one thread.
    pub(super) fn for_each(self, count: usize, grain: usize, task: impl Fn(usize) + Sync + Send) {
        let grain = grain.max(1);
        if count > grain && self.threads() > 1 {
            // A few pieces per thread even out their speeds; more would only cost hand-overs.
            let grain = grain.max(count / (self.threads() * 8));
            let tasks = (0..count).into_par_iter().with_min_len(grain);
            tasks.for_each(&task);
        } else {
            (0..count).for_each(task);
        }
    }

    /// Runs `task` for every item of `items`, at least `grain` in a row on one thread.
    pub(super) fn for_each_mut<T: Send>(
        self,
        items: &mut [T],
        grain: usize,
        task: impl Fn(usize, &mut T) + Sync,
    ) {
        if items.len() > grain && self.threads() > 1 {
            let items = items.into_par_iter().with_min_len(grain.max(1)).enumerate();
            items.for_each(|(i, item)| task(i, item));
        } else {
            for (i, item) in items.iter_mut().enumerate() {
                task(i, item);
            }
        }
    }
}
