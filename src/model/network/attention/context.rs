//! Where the rows of a pass stand, for whatever a block's attention does: what they see and how they are turned.

use std::cell::OnceCell;

use burn::tensor::{Bool, DType, Device, Int, Tensor};

use crate::model::architecture::{BlockAttention, Rotary};
use crate::model::network::rotary::Turns;

/// Where the rows of a pass stand, for whatever a block's attention does.
pub(in crate::model::network) struct AttentionContext {
    /// By window what a query must not see, to be expanded to `[batch, heads, queries, keys]`.
    unseen: ByWindow<Tensor<4, Bool>>,
    /// The same in other forms, made when they are first asked for.
    seen: OnceCell<ByWindow<Tensor<4, Bool>>>,
    bias: OnceCell<ByWindow<Tensor<4>>>,
    /// Cosines and sines, to be expanded to `[batch, heads, queries, width / 2]`.
    turns: Vec<(Rotary, [Tensor<4>; 2])>,
    /// Whether the queries are the keys' own rows, so that each sees what is before it.
    pub(super) causal: bool,
}

impl AttentionContext {
    /// Of sequences whose rows stand at the positions from 0 to `length`, as their keys do.
    ///
    /// # Shapes
    /// `turns` of `length` positions.
    pub(in crate::model::network) fn of_sequences(
        pattern: &[BlockAttention],
        turns: &Turns,
        length: usize,
        device: &Device,
    ) -> Self {
        let square = [length, length];
        let unseen = |window| {
            let future = Tensor::<2, Bool>::tril_mask(square, 0, device);
            match window {
                None => future.unsqueeze(),
                Some(window) => {
                    let offset = i64::try_from(length.min(window)).expect("lengths fit");
                    let past = Tensor::<2, Bool>::triu_mask(square, 1 - offset, device);
                    future.bool_or(past).unsqueeze()
                }
            }
        };
        Self::new(pattern, unseen, turns.map(Tensor::unsqueeze), true)
    }

    /// Of one row each of some sequences, at these positions, over their keys at the positions from 0 to `keys`.
    ///
    /// # Shapes
    /// `turns` of `keys` positions, `positions` `[sequences]`.
    pub(in crate::model::network) fn of_tokens(
        pattern: &[BlockAttention],
        turns: &Turns,
        positions: &Tensor<1, Int>,
        keys: usize,
    ) -> Self {
        let [count] = positions.dims();
        let last = i64::try_from(keys).expect("lengths fit");
        let columns = Tensor::<1, Int>::arange(0..last, &positions.device());
        let columns: Tensor<4, Int> = columns.reshape([1, 1, 1, keys]);
        let own: Tensor<4, Int> = positions.clone().reshape([count, 1, 1, 1]);
        let unseen = |window: Option<usize>| {
            let future = columns.clone().greater(own.clone());
            match window {
                None => future,
                Some(window) => {
                    let window = i64::try_from(window).expect("lengths fit");
                    let past = columns.clone().lower_equal(own.clone() - window);
                    future.bool_or(past)
                }
            }
        };
        let turns = turns.map(|table| {
            let [_, half] = table.dims();
            let rows = table.select(0, positions.clone());
            rows.reshape([count, 1, 1, half])
        });
        Self::new(pattern, unseen, turns, false)
    }

    fn new(
        pattern: &[BlockAttention],
        unseen: impl Fn(Option<usize>) -> Tensor<4, Bool>,
        turns: Vec<(Rotary, [Tensor<4>; 2])>,
        causal: bool,
    ) -> Self {
        Self {
            unseen: by_window(pattern, unseen),
            seen: OnceCell::new(),
            bias: OnceCell::new(),
            turns,
            causal,
        }
    }

    /// What is added to scores: minus infinity where a query must not look, else nothing. Nothing comes back through it.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, keys]`.
    pub(super) fn bias(&self, window: Option<usize>) -> Tensor<4> {
        let bias = |unseen: &Tensor<4, Bool>| {
            let nothing = Tensor::zeros(unseen.dims(), (&unseen.device(), DType::F32));
            nothing.mask_fill(unseen.clone(), f32::NEG_INFINITY)
        };
        of_window(self.bias.get_or_init(|| each(&self.unseen, bias)), window)
    }

    /// What a query sees.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, keys]`.
    pub(super) fn seen(&self, window: Option<usize>) -> Tensor<4, Bool> {
        let seen = |unseen: &Tensor<4, Bool>| unseen.clone().bool_not();
        of_window(self.seen.get_or_init(|| each(&self.unseen, seen)), window)
    }

    /// What a query must not see.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, keys]`.
    pub(super) fn unseen(&self, window: Option<usize>) -> Tensor<4, Bool> {
        of_window(&self.unseen, window)
    }

    /// Cosines and sines.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, width / 2]`.
    pub(super) fn turns(&self, rotary: Rotary) -> [Tensor<4>; 2] {
        let found = self.turns.iter().find(|(of, _)| *of == rotary);
        found.expect("made for every block").1.clone()
    }
}

/// Something for each window that a block has.
type ByWindow<T> = Vec<(Option<usize>, T)>;

/// That of a window.
fn of_window<T: Clone>(made: &ByWindow<T>, window: Option<usize>) -> T {
    let found = made.iter().find(|(of, _)| *of == window);
    found.expect("made for every block").1.clone()
}

/// `make` of each.
fn each<T, U>(of: &ByWindow<T>, make: impl Fn(&T) -> U) -> ByWindow<U> {
    let made = of.iter().map(|(window, one)| (*window, make(one)));
    made.collect()
}

/// `make` of each window that a block has.
fn by_window<T>(pattern: &[BlockAttention], make: impl Fn(Option<usize>) -> T) -> ByWindow<T> {
    let mut made: ByWindow<T> = Vec::new();
    for &BlockAttention { window, .. } in pattern {
        if made.iter().all(|(of, _)| *of != window) {
            made.push((window, make(window)));
        }
    }
    made
}
