//! The dropout masks of a pass: all go up at once, as bits, and are expanded there together.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

use crate::model::architecture::Architecture;
use crate::model::dropout::{Dropout, EMBEDDING_SITE, block_site};
use crate::model::rows::Spans;

/// Masks by their place: 0 where an element is dropped, else what keeps the mean.
pub(super) struct Masks {
    /// End to end, each row filled up to a multiple of 32; f32.
    all: Option<Tensor<1>>,
    places: BTreeMap<u32, Place>,
}

/// Where a mask lies.
#[derive(Clone, Copy)]
struct Place {
    first: usize,
    rows: usize,
    columns: usize,
}

/// Bits of a word.
const WORD: usize = 32;

impl Masks {
    /// Those of an architecture's places: the embedding, each block's attention and the ends of its residual branches. Those
    /// before low-rank branches have a rate of their own and are made one by one.
    pub(super) fn new(
        architecture: &Architecture,
        spans: &Spans,
        dropout: Option<Dropout>,
        device: &Device,
    ) -> Self {
        let mut masks = Self {
            all: None,
            places: BTreeMap::new(),
        };
        let Some(dropout) = dropout.and_then(|dropout| dropout.at(EMBEDDING_SITE)) else {
            return masks;
        };
        let (width, heads) = (architecture.width, architecture.heads.query);
        let length = spans.longest();
        let mut words = Vec::new();
        let mut add = |site, rows, columns, bits: Vec<u32>| {
            let first = words.len() * WORD;
            words.extend(bits.into_iter().map(u32::cast_signed));
            let place = Place {
                first,
                rows,
                columns,
            };
            masks.places.insert(site, place);
        };
        let mut rows = |site| {
            let bits = dropout.row_bits(site, spans, width);
            add(site, spans.rows(), width, bits);
        };
        rows(EMBEDDING_SITE);
        for site in (0..architecture.layers).map(block_site) {
            rows(site + 1);
            rows(site + 2);
        }
        for site in (0..architecture.layers).map(block_site) {
            let bits = dropout.head_bits(site, spans, heads, length);
            add(site, spans.ranges().len() * heads * length, length, bits);
        }
        masks.all = Some(expanded(words, dropout, device));
        masks
    }

    /// The mask of a place; `None` where none was made for it.
    ///
    /// # Shapes
    /// To `[rows, columns]`.
    pub(super) fn at(&self, site: u32) -> Option<Tensor<2>> {
        let (all, place) = (self.all.as_ref()?, self.places.get(&site)?);
        let padded = place.columns.next_multiple_of(WORD);
        let own = all.clone().narrow(0, place.first, place.rows * padded);
        Some(
            own.reshape([place.rows, padded])
                .narrow(1, 0, place.columns),
        )
    }
}

/// Bits as numbers: 0 where a bit is 0, else what keeps the mean.
///
/// # Shapes
/// `words` of 32 bits each; to `[32 * words]`, f32.
pub(super) fn expanded(words: Vec<i32>, dropout: Dropout, device: &Device) -> Tensor<1> {
    let count = words.len();
    let integers = |values: Vec<i32>, shape: [usize; 2]| {
        // Of 32 bits, also where a device's integers have 64.
        Tensor::<2, Int>::from_data(TensorData::new(values, shape), (device, DType::I32))
    };
    let words = integers(words, [count, 1]).expand([count, WORD]);
    let places = integers((0..32).collect(), [1, WORD]).expand([count, WORD]);
    let kept = words.bitwise_right_shift(places).bitwise_and_scalar(1);
    let kept = kept.float().cast(FloatDType::F32) * dropout.scale();
    kept.reshape([count * WORD])
}
