//! Answers that are whole numbers, over a whole file.

use std::path::Path;

use super::choices::{Given, TakenAs};
use super::source::SourceRow;
use crate::input::InputError;

/// What answers that are whole numbers were taken as: the same throughout a file.
#[derive(Default)]
pub(in crate::dataset) struct Numbers {
    /// The readings that fit every one so far, and the place of the first.
    common: Option<(Vec<TakenAs>, String)>,
    indices: usize,
    zeros: usize,
}

impl Numbers {
    /// So many indices without a 0 are unlikely to be counted from 0: at four choices each, 3 files in 1,000 (ours).
    const TELLING: usize = 20;

    /// Takes note of an answer that was read `by` these readings.
    ///
    /// # Errors
    /// It has no reading in common with those before.
    pub(super) fn note(
        &mut self,
        line: &dyn SourceRow,
        given: &Given<'_>,
        by: &[TakenAs],
    ) -> Result<(), InputError> {
        if given.raw.parse::<u64>().is_err() {
            return Ok(());
        }
        self.indices += 1;
        self.zeros += usize::from(given.raw == "0");
        let Some((common, first)) = &mut self.common else {
            self.common = Some((by.to_vec(), line.named()));
            return Ok(());
        };
        let was = common.first().copied();
        common.retain(|reading| by.contains(reading));
        if let (true, Some(was), Some(is)) = (common.is_empty(), was, by.first()) {
            let what = format!(
                "the answer `{}` is {}, but in {first} it is {}",
                given.raw,
                is.name(),
                was.name()
            );
            let hint = "say which is meant beside `dataset`: `answer_is = \"text\"`, \"label\" or \"index\"";
            return Err(line.wrong_at(given.key, what).hint(hint));
        }
        Ok(())
    }

    /// What makes the readings doubtful.
    pub(super) fn warning(&self, path: &Path) -> Option<String> {
        let (common, _) = self.common.as_ref()?;
        let as_index = common.as_slice() == [TakenAs::Index];
        (as_index && self.zeros == 0 && self.indices >= Self::TELLING).then(|| {
            format!(
                "{}: the answers are taken as indices from 0, but none of {} is 0; if they count from 1, say `answer_is = \"label\"`",
                path.display(),
                self.indices
            )
        })
    }
}
