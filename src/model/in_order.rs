//! Collecting what threads made.

use rayon::iter::ParallelIterator;

/// All results in their order; of several errors the first, where rayon would give whichever came first.
pub(super) fn in_order<T, E, C>(made: impl ParallelIterator<Item = Result<T, E>>) -> Result<C, E>
where
    T: Send,
    E: Send,
    C: FromIterator<T>,
{
    let made: Vec<Result<T, E>> = made.collect();
    made.into_iter().collect()
}
