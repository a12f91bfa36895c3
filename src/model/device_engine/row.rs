//! A row of logits that is on a device: of most rows no more comes here than what a draw asks for.

use std::sync::Arc;

use super::super::kernel::lanes::Isa;
use super::super::network::{BestAsked, BestLogits, LogitRows};
use super::super::sampling::{LogitsRow, Normalizer, OwnedLogits};

/// What is here of a row.
pub(super) enum DeviceRow {
    /// Its most probable tokens and its sum, and the whole where that had to be asked for.
    Best {
        best: BestLogits,
        whole: Option<OwnedLogits>,
        /// Where the whole is, and which row of it.
        logits: Arc<LogitRows>,
        place: usize,
    },
    /// All of it.
    Whole(OwnedLogits),
}

/// What draws ask of rows.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// How many of the most probable tokens; `None` for whole rows.
    pub(super) count: Option<usize>,
    /// The tokens that may be drawn: the first so many.
    pub(super) tokens: usize,
}

/// Rows of logits of which a device was asked what draws ask.
#[derive(Clone)]
pub(super) struct AskedRows {
    logits: LogitRows,
    /// How many of the most probable tokens, and those; `None` where whole rows are wanted.
    best: Option<(usize, BestAsked)>,
}

impl AskedRows {
    /// Asks for it; nothing waits.
    pub(super) fn new(logits: LogitRows, wanted: Wanted) -> Self {
        let count = wanted.count;
        let best = count.map(|count| (count, logits.best(count, wanted.tokens)));
        Self { logits, best }
    }

    /// Waits for both; whether what draws ask of them is the same, bit for bit.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (&self.best, &other.best) {
            (Some((_, one)), Some((_, other))) => one.is_same(other),
            (None, None) => self.logits.is_same(&other.logits),
            _ => false,
        }
    }

    /// Waits for the rows at `places`, in their order.
    ///
    /// # Shapes
    /// One for each of `places`.
    pub(super) fn read(self, isa: Isa, places: &[usize]) -> Vec<DeviceRow> {
        let logits = Arc::new(self.logits);
        let whole = |places: &[usize]| whole_rows(isa, &logits, places).into_iter();
        let Some((count, best)) = self.best else {
            return whole(places).map(DeviceRow::Whole).collect();
        };
        let all = best.read();
        let best: Vec<BestLogits> = places.iter().map(|&place| all[place].clone()).collect();
        // Equal logits at the end of what came: which of them are meant only the row tells.
        let open = |best: &&BestLogits| !best.settles(count);
        let unsettled = best.iter().zip(places).filter(|(best, _)| open(best));
        let unsettled: Vec<usize> = unsettled.map(|(_, place)| *place).collect();
        let mut rows = whole(&unsettled);
        let row = |(best, &place): (BestLogits, &usize)| {
            let whole = if best.settles(count) {
                None
            } else {
                rows.next()
            };
            DeviceRow::Best {
                best,
                whole,
                logits: Arc::clone(&logits),
                place,
            }
        };
        best.into_iter().zip(places).map(row).collect()
    }
}

impl DeviceRow {
    /// Brings the whole row.
    pub(super) fn complete(&mut self, isa: Isa) {
        if let Self::Best {
            whole,
            logits,
            place,
            ..
        } = self
        {
            *whole = whole_rows(isa, logits, &[*place]).pop();
        }
    }

    /// The whole row.
    fn whole(&self) -> &OwnedLogits {
        let (Self::Best {
            whole: Some(whole), ..
        }
        | Self::Whole(whole)) = self
        else {
            unreachable!("what draws ask of a row is known before it is read");
        };
        whole
    }
}

impl LogitsRow for DeviceRow {
    fn vocab_size(&self) -> usize {
        match self {
            Self::Best { logits, .. } => logits.vocabulary(),
            Self::Whole(whole) => whole.vocab_size(),
        }
    }

    fn normalizer(&self) -> Option<Normalizer> {
        match self {
            Self::Best { best, .. } => Normalizer::of_sum(best.max, f64::from(best.sum)),
            Self::Whole(whole) => whole.normalizer(),
        }
    }

    fn knows(&self, token: u32) -> bool {
        match self {
            Self::Best {
                best, whole: None, ..
            } => best.tokens.iter().any(|(_, id)| *id == token),
            _ => true,
        }
    }

    fn logit(&self, token: u32) -> f32 {
        let found = match self {
            Self::Best { best, .. } => best.tokens.iter().find(|(_, id)| *id == token),
            Self::Whole(_) => None,
        };
        found.map_or_else(|| self.whole().logit(token), |(logit, _)| *logit)
    }

    fn best(&self, count: usize, tokens: usize, room: &mut Vec<(f32, u32)>) {
        match self {
            Self::Best {
                best, whole: None, ..
            } => {
                room.clear();
                room.extend(best.tokens.iter().take(count));
            }
            _ => self.whole().best(count, tokens, room),
        }
    }

    fn total_weight(&self, temperature: f64, tokens: usize) -> f64 {
        self.whole().total_weight(temperature, tokens)
    }
}

/// # Shapes
/// One for each of `places`.
fn whole_rows(isa: Isa, logits: &LogitRows, places: &[usize]) -> Vec<OwnedLogits> {
    if places.is_empty() {
        return Vec::new();
    }
    let values = logits.whole(places);
    let rows = values.chunks_exact(logits.vocabulary());
    rows.map(|row| OwnedLogits::new(isa, row)).collect()
}
