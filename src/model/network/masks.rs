//! The dropout masks of a pass: all go up at once, as bits.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

use crate::model::architecture::Architecture;
use crate::model::dropout::{Dropout, EMBEDDING_SITE, LORA_SITE, block_site};
use crate::model::lora::LoraBranch;
use crate::model::rows::Spans;

/// Masks by their place: 0 where an element is dropped, else what keeps the mean.
#[derive(Default)]
pub(super) struct Masks {
    groups: Vec<Group>,
    places: BTreeMap<u32, Place>,
}

/// Masks of one rate, end to end, each row filled up to a multiple of [`WORD`].
struct Group {
    scale: f32,
    /// A word for each [`WORD`] elements.
    bits: Tensor<1, Int>,
    /// As numbers, where they are kept; f32.
    numbers: Option<Tensor<1>>,
}

/// Where a mask lies.
#[derive(Clone, Copy)]
struct Place {
    group: usize,
    /// In words.
    first: usize,
    rows: usize,
    columns: usize,
}

/// Bits of a word.
const WORD: usize = 32;

impl Masks {
    /// Those of an architecture's places (the embedding, each block's attention and the ends of its residual branches) and
    /// those before low-rank branches. `keep` expands all of them now, in a few operations; else each is expanded when
    /// it is asked for, and takes memory no longer.
    pub(super) fn new(
        architecture: &Architecture,
        branches: &[LoraBranch],
        spans: &Spans,
        dropout: Option<Dropout>,
        keep: bool,
        device: &Device,
    ) -> Self {
        let mut masks = Self::default();
        let Some(dropout) = dropout else {
            return masks;
        };
        if let Some(dropout) = dropout.at(EMBEDDING_SITE) {
            let (width, heads) = (architecture.width, architecture.heads.query);
            let sites = (0..architecture.layers).map(block_site);
            let ends = sites.clone().flat_map(|site| [site + 1, site + 2]);
            let rows = std::iter::once(EMBEDDING_SITE).chain(ends).map(|site| {
                let bits = dropout.row_bits(site, spans, width);
                (site, [spans.rows(), width], bits)
            });
            let length = spans.longest();
            let squares = [spans.ranges().len() * heads * length, length];
            let heads = sites.map(|site| {
                let bits = dropout.head_bits(site, spans, heads, length);
                (site, squares, bits)
            });
            masks.add(rows.chain(heads), dropout, keep, device);
        }
        if let Some(dropout) = dropout.at(LORA_SITE) {
            let rows = branches.iter().map(|branch| {
                let bits = dropout.row_bits(branch.site, spans, branch.inputs);
                (branch.site, [spans.rows(), branch.inputs], bits)
            });
            masks.add(rows, dropout, keep, device);
        }
        masks
    }

    /// Brings masks of one rate there: of each its place, its rows and columns, and its bits.
    fn add(
        &mut self,
        all: impl Iterator<Item = (u32, [usize; 2], Vec<u32>)>,
        dropout: Dropout,
        keep: bool,
        device: &Device,
    ) {
        let (mut words, group) = (Vec::new(), self.groups.len());
        for (site, [rows, columns], bits) in all {
            let first = words.len();
            words.extend(bits.into_iter().map(u32::cast_signed));
            let place = Place {
                group,
                first,
                rows,
                columns,
            };
            self.places.insert(site, place);
        }
        if words.is_empty() {
            return;
        }
        let count = words.len();
        // Of 32 bits, also where a device's integers have 64.
        let bits = Tensor::from_data(TensorData::new(words, [count]), (device, DType::I32));
        let mut group = Group {
            scale: dropout.scale(),
            bits,
            numbers: None,
        };
        group.numbers = keep.then(|| group.expanded(0, count));
        self.groups.push(group);
    }

    /// The mask of a place; `None` where none was made for it.
    ///
    /// # Shapes
    /// To `[rows, columns]`.
    pub(super) fn at(&self, site: u32) -> Option<Tensor<2>> {
        let place = self.places.get(&site)?;
        let group = &self.groups[place.group];
        let padded = place.columns.next_multiple_of(WORD);
        let words = place.rows * padded / WORD;
        let own = match &group.numbers {
            Some(all) => all.clone().narrow(0, place.first * WORD, words * WORD),
            None => group.expanded(place.first, words),
        };
        Some(
            own.reshape([place.rows, padded])
                .narrow(1, 0, place.columns),
        )
    }
}

impl Group {
    /// Bits as numbers: 0 where a bit is 0, else what keeps the mean.
    ///
    /// # Shapes
    /// Of so many words; to [`WORD`] times as many values, f32.
    fn expanded(&self, first: usize, words: usize) -> Tensor<1> {
        let device = self.bits.device();
        let own = self.bits.clone().narrow(0, first, words);
        let own = own.reshape([words, 1]).expand([words, WORD]);
        let places = TensorData::new((0..32).collect::<Vec<i32>>(), [1, WORD]);
        let places = Tensor::<2, Int>::from_data(places, (&device, DType::I32));
        let places = places.expand([words, WORD]);
        let kept = own.bitwise_right_shift(places).bitwise_and_scalar(1);
        let kept = kept.float().cast(FloatDType::F32) * self.scale;
        kept.reshape([words * WORD])
    }
}
