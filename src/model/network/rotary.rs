//! Rotary positions on a device. Angles are made on the host: a device's sines of large angles are not to be relied on.

use burn::tensor::{Device, Tensor, TensorData};

use crate::model::architecture::{BlockAttention, Rotary};

/// Cosines and sines of the positions from 0 on, for each way in which blocks turn: `[positions, width / 2]`, f32.
#[derive(Clone)]
pub(super) struct Turns(Vec<(Rotary, [Tensor<2>; 2])>);

impl Turns {
    pub(super) fn new(pattern: &[BlockAttention], positions: usize, device: &Device) -> Self {
        let mut all: Vec<(Rotary, [Tensor<2>; 2])> = Vec::new();
        for rotary in pattern.iter().filter_map(|block| block.rotary) {
            if all.iter().all(|(of, _)| *of != rotary) {
                all.push((rotary, table(&rotary, positions, device)));
            }
        }
        Self(all)
    }

    /// `change` of each table.
    ///
    /// # Shapes
    /// `change` takes `[positions, width / 2]`.
    pub(super) fn map(
        &self,
        change: impl Fn(Tensor<2>) -> Tensor<4>,
    ) -> Vec<(Rotary, [Tensor<4>; 2])> {
        let all = self.0.iter();
        all.map(|(rotary, tables)| (*rotary, tables.clone().map(&change)))
            .collect()
    }
}

/// # Shapes
/// To `[positions, width / 2]` each.
fn table(rotary: &Rotary, positions: usize, device: &Device) -> [Tensor<2>; 2] {
    let frequencies = rotary.frequencies();
    let half = frequencies.len();
    let mut tables = [vec![0.0; positions * half], vec![0.0; positions * half]];
    let [cosines, sines] = &mut tables;
    let rows = cosines.chunks_exact_mut(half);
    for (position, (cosines, sines)) in rows.zip(sines.chunks_exact_mut(half)).enumerate() {
        rotary.turns(&frequencies, position, cosines, sines);
    }
    tables.map(|values: Vec<f32>| {
        Tensor::from_data(TensorData::new(values, [positions, half]), device)
    })
}

/// Which way heads are turned: forward, or back as gradients go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    Forward,
    Back,
}

/// The first `width` values of each head, their first half turned against their second.
///
/// # Shapes
/// `x` `[batch, heads, rows, head width]`, `turns` to be expanded to `[batch, heads, rows, width / 2]`; to the shape of
/// `x`.
pub(super) fn turned(x: Tensor<4>, width: usize, turns: [Tensor<4>; 2], turn: Turn) -> Tensor<4> {
    let ([_, _, _, head_width], half) = (x.dims(), width / 2);
    let [cosines, sines] = turns;
    let first = x.clone().narrow(3, 0, half);
    let second = x.clone().narrow(3, half, half);
    let along = [&first, &second].map(|part| part.clone() * cosines.clone());
    let across = [second, first].map(|part| part * sines.clone());
    let ([first, second], [from_second, from_first]) = (along, across);
    let mut parts = match turn {
        Turn::Forward => vec![first - from_second, second + from_first],
        Turn::Back => vec![first + from_second, second - from_first],
    };
    if width < head_width {
        parts.push(x.narrow(3, width, head_width - width));
    }
    Tensor::cat(parts, 3)
}
