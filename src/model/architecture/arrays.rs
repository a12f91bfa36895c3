//! The arrays of an architecture: what each is for, its shape in memory, and how files hold it.
//!
//! In memory a linear map is `[inputs, outputs]`, and what reads one input is one array: queries, keys and values, or the
//! gate and what it gates. Files differ in both; a [`FileArray`] says how.

use super::{Architecture, FeedForwardKind, Heads, NormKind, Output, Positions, QueryKeyNorm};

/// What an array is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// `[vocab_rows, width]`.
    TokenEmbedding,
    /// `[context, width]`.
    PositionEmbedding,
    /// Before a block's attention, `[width]`.
    AttentionNorm,
    /// Queries, keys and values at once, `[width, projected_width]`.
    QueryKeyValue,
    /// Of queries before they are rotated, `[head width]` or `[query_width]`.
    QueryNorm,
    /// Of keys before they are rotated, `[head width]` or `[key_width]`.
    KeyNorm,
    /// From the heads to the residual stream, `[query_width, width]`.
    AttentionOut,
    /// Of what attention gives, before it is added, `[width]`.
    AttentionPostNorm,
    /// Before a block's feed-forward half, `[width]`.
    FeedForwardNorm,
    /// Into the feed-forward half, `[width, inner]`; where it is gated the gate, then what it gates, `[width, 2 * inner]`.
    Up,
    /// Out of it, `[inner, width]`.
    Down,
    /// Of what the feed-forward half gives, before it is added, `[width]`.
    FeedForwardPostNorm,
    /// After the last block, `[width]`.
    FinalNorm,
    /// From the last hidden state to logits where it is not the token embedding, `[vocab_rows, width]`.
    Output,
}

/// Which of a role's arrays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// What is multiplied by: of a linear map `[inputs, outputs]`.
    Weight,
    /// What is added.
    Bias,
    /// Of the low-rank branch beside the weight's file of this number, what its input goes through first, `[inputs, rank]`.
    LoraA(usize),
    /// What that goes through then, `[rank, outputs]`.
    LoraB(usize),
}

impl Part {
    /// What it is called on the Hub.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::LoraA(_) => "lora_A.weight",
            Self::LoraB(_) => "lora_B.weight",
        }
    }
}

/// One array of a model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ArrayId {
    /// What it is for.
    pub role: Role,
    /// In which block, from 0; `None` outside of them.
    pub layer: Option<usize>,
    /// Which part.
    pub part: Part,
}

impl ArrayId {
    /// The token embedding.
    pub const TOKEN_EMBEDDING: Self = Self::outside(Role::TokenEmbedding);
    /// The position embedding.
    pub const POSITION_EMBEDDING: Self = Self::outside(Role::PositionEmbedding);
    /// What makes logits where that is not the token embedding.
    pub const OUTPUT: Self = Self::outside(Role::Output);

    const fn outside(role: Role) -> Self {
        Self {
            role,
            layer: None,
            part: Part::Weight,
        }
    }

    /// What a role multiplies by.
    pub fn weight(role: Role, layer: impl Into<Option<usize>>) -> Self {
        Self {
            role,
            layer: layer.into(),
            part: Part::Weight,
        }
    }

    /// What a role adds.
    pub fn bias(role: Role, layer: impl Into<Option<usize>>) -> Self {
        Self {
            part: Part::Bias,
            ..Self::weight(role, layer)
        }
    }
}

/// An array as an architecture has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArraySpec {
    /// Which.
    pub id: ArrayId,
    /// Its shape in memory.
    pub shape: Vec<usize>,
    /// Its name in messages: the Hub's, of several files' arrays the first, without the family's prefix.
    pub name: String,
    /// What it is in files; together they fill it.
    pub files: Vec<FileArray>,
}

impl ArraySpec {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An array of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileArray {
    /// The Hub's name, without the family's prefix.
    pub name: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Where its values belong in memory.
    pub layout: Layout,
}

/// Where the values of a file's array belong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// The whole array, value for value.
    Same,
    /// Outputs of a linear map: the file has `[outputs, inputs]` of a weight, `[outputs]` of a bias.
    Outputs {
        /// The first of them in memory.
        first: usize,
        /// Their order.
        order: OutputOrder,
    },
}

/// The order of a file's outputs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputOrder {
    /// That of memory.
    Same,
    /// Head by head its query, its key and its value, where memory has all queries, all keys, all values.
    ByHead(Heads),
}

/// Outputs that are moved together: reads of so many rows fill a whole line of what is written.
const TOGETHER: usize = 16;

impl Layout {
    /// Where the file's output `index` stands in memory.
    fn output(self, index: usize) -> usize {
        match self {
            Self::Same => index,
            Self::Outputs { first, order } => {
                first
                    + match order {
                        OutputOrder::Same => index,
                        OutputOrder::ByHead(heads) => {
                            let (head, within) = (index / (3 * heads.width), index % heads.width);
                            let which = index / heads.width % 3;
                            (which * heads.query + head) * heads.width + within
                        }
                    }
            }
        }
    }
}

impl FileArray {
    /// An array that files hold as memory does.
    pub fn same(name: String, shape: Vec<usize>) -> Self {
        let layout = Layout::Same;
        Self {
            name,
            shape,
            layout,
        }
    }

    /// The module whose weight it is.
    pub(in crate::model) fn module(&self) -> &str {
        self.name.trim_end_matches(".weight")
    }

    /// Puts the file's values where they belong in memory.
    ///
    /// # Shapes
    /// `values` as the file's; `array` as in memory, of `outputs` outputs.
    pub(in crate::model) fn put(&self, values: &[f32], array: &mut [f32], outputs: usize) {
        self.each_move(outputs, |stored, held| array[held] = values[stored]);
    }

    /// Takes the file's values out of the array in memory.
    ///
    /// # Shapes
    /// `array` as in memory, of `outputs` outputs; to the file's.
    pub(in crate::model) fn take(&self, array: &[f32], outputs: usize) -> Vec<f32> {
        let mut values = vec![0.0; self.shape.iter().product()];
        self.each_move(outputs, |stored, held| values[stored] = array[held]);
        values
    }

    /// Calls `copy` with the place of each value in the file and in memory.
    fn each_move(&self, outputs: usize, mut copy: impl FnMut(usize, usize)) {
        let inputs = match (self.layout, self.shape.as_slice()) {
            (Layout::Same, shape) => {
                (0..shape.iter().product()).for_each(|index| copy(index, index));
                return;
            }
            (_, &[_, inputs]) => inputs,
            _ => 1,
        };
        let rows: Vec<usize> = (0..self.shape[0])
            .map(|row| self.layout.output(row))
            .collect();
        for (group, held) in rows.chunks(TOGETHER).enumerate() {
            for input in 0..inputs {
                for (row, output) in (group * TOGETHER..).zip(held) {
                    copy(row * inputs + input, input * outputs + output);
                }
            }
        }
    }
}

/// An array of a block or outside of them.
type RoleShape = (Role, Part, Vec<usize>);

impl Architecture {
    /// How many parameters it has; a tied output counts once. For numbers that are not checked yet, too.
    pub fn parameters(&self) -> u128 {
        let blocks = count(&self.block_shapes()).saturating_mul(self.layers as u128);
        count(&self.outer_shapes()).saturating_add(blocks)
    }

    /// Each of its arrays' roles and parts with how many of its parameters are of such arrays. For numbers that are not
    /// checked yet, too: blocks are not listed one by one.
    pub(in crate::model) fn parameters_by_part(&self) -> Vec<(Role, Part, u128)> {
        let outer = self.outer_shapes().into_iter().map(|shape| (shape, 1));
        let layers = self.layers as u128;
        let block = self.block_shapes().into_iter().map(|shape| (shape, layers));
        outer
            .chain(block)
            .map(|((role, part, shape), times)| {
                let one = count(&[(role, part, shape)]);
                (role, part, one.saturating_mul(times))
            })
            .collect()
    }

    /// How many of its parameters only ever lend a row for a token or a position. For numbers that are not checked yet,
    /// too.
    pub fn parameters_read_by_row(&self) -> u128 {
        let rows = |rows: usize| (rows as u128).saturating_mul(self.width as u128);
        let tokens = match self.output {
            Output::Tied => 0,
            Output::Separate => rows(self.vocab_rows),
        };
        let positions = match self.positions {
            Positions::Learned => rows(self.context),
            Positions::Rotary => 0,
        };
        tokens.saturating_add(positions)
    }

    /// All its arrays, in the order of their names: that in which they are drawn, summed and written.
    pub fn arrays(&self) -> Vec<ArraySpec> {
        let outer = self.outer_shapes().into_iter();
        let mut arrays: Vec<ArraySpec> = outer.map(|shape| self.spec(shape, None)).collect();
        let block = self.block_shapes();
        for layer in 0..self.layers {
            let block = block.iter().cloned();
            arrays.extend(block.map(|shape| self.spec(shape, Some(layer))));
        }
        arrays.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        arrays
    }

    /// Arrays of one block.
    pub(in crate::model) fn arrays_per_layer(&self) -> usize {
        self.block_shapes().len()
    }

    /// The Hub's name of an array, of several the first, without the family's prefix.
    pub fn name(&self, id: ArrayId) -> String {
        let (Part::LoraA(file) | Part::LoraB(file)) = id.part else {
            return self.family.name(id);
        };
        let weight = ArrayId::weight(id.role, id.layer);
        let files = self.family.files(self, weight, &[0, 0]);
        format!("{}.{}", files[file].module(), id.part.name())
    }

    fn spec(&self, (role, part, shape): RoleShape, layer: Option<usize>) -> ArraySpec {
        let id = ArrayId { role, layer, part };
        ArraySpec {
            id,
            name: self.name(id),
            files: self.family.files(self, id, &shape),
            shape,
        }
    }

    /// The arrays outside of the blocks.
    fn outer_shapes(&self) -> Vec<RoleShape> {
        let embedding = |role, rows| (role, Part::Weight, vec![rows, self.width]);
        let mut shapes = vec![embedding(Role::TokenEmbedding, self.vocab_rows)];
        match self.output {
            Output::Tied => {}
            Output::Separate => shapes.push(embedding(Role::Output, self.vocab_rows)),
        }
        match self.positions {
            Positions::Learned => shapes.push(embedding(Role::PositionEmbedding, self.context)),
            Positions::Rotary => {}
        }
        shapes.extend(self.norm_shapes(Role::FinalNorm));
        shapes
    }

    /// The arrays of a block.
    fn block_shapes(&self) -> Vec<RoleShape> {
        let (width, heads, inner) = (self.width, self.heads, self.feed_forward.inner);
        let (placement, biases) = (self.norm.placement, self.biases);
        let mut shapes = Vec::new();
        if placement.before {
            shapes.extend(self.norm_shapes(Role::AttentionNorm));
            shapes.extend(self.norm_shapes(Role::FeedForwardNorm));
        }
        if placement.after {
            shapes.extend(self.norm_shapes(Role::AttentionPostNorm));
            shapes.extend(self.norm_shapes(Role::FeedForwardPostNorm));
        }
        let mut linear = |role, inputs, outputs, bias| {
            shapes.push((role, Part::Weight, vec![inputs, outputs]));
            if bias {
                shapes.push((role, Part::Bias, vec![outputs]));
            }
        };
        let projected = heads.projected_width();
        linear(
            Role::QueryKeyValue,
            width,
            projected,
            biases.query_key_value,
        );
        linear(
            Role::AttentionOut,
            heads.query_width(),
            width,
            biases.attention_out,
        );
        let into = match self.feed_forward.kind {
            FeedForwardKind::Plain(_) => inner,
            FeedForwardKind::Gated(_) => inner.saturating_mul(2),
        };
        linear(Role::Up, width, into, biases.feed_forward);
        linear(Role::Down, inner, width, biases.feed_forward);
        let normed = match self.attention.query_key_norm {
            None => None,
            Some(QueryKeyNorm::Head) => Some([heads.width; 2]),
            Some(QueryKeyNorm::All) => Some([heads.query_width(), heads.key_width()]),
        };
        if let Some([query, key]) = normed {
            shapes.push((Role::QueryNorm, Part::Weight, vec![query]));
            shapes.push((Role::KeyNorm, Part::Weight, vec![key]));
        }
        shapes
    }

    fn norm_shapes(&self, role: Role) -> Vec<RoleShape> {
        let shape = |part| (role, part, vec![self.width]);
        match self.norm.kind {
            NormKind::Layer => vec![shape(Part::Weight), shape(Part::Bias)],
            NormKind::Rms { .. } => vec![shape(Part::Weight)],
        }
    }
}

fn count(shapes: &[RoleShape]) -> u128 {
    let values = |(_, _, shape): &RoleShape| {
        let sizes = shape.iter().map(|size| *size as u128);
        sizes.fold(1, u128::saturating_mul)
    };
    shapes.iter().map(values).fold(0, u128::saturating_add)
}
