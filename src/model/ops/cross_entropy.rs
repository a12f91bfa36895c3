//! The head and the loss in one: logits are made for a few rows at a time, only where the loss asks for them, and
//! turned into gradients at once, so that `[rows, vocabulary]` never exists.

use rayon::prelude::*;

use super::gemm::{Into, Matrix, isa, product};
use crate::model::kernel::scalar::ln;
use crate::model::kernel::soft_cap::{exp_all_of_capped, soft_cap};
use crate::model::kernel::vector::{exp_all, sum_exp};
use crate::model::rows::Targets;

/// Rows whose logits exist at a time; fixed, so that it is part of the arithmetic.
const ROWS: usize = 128;

/// Memory that one call after another uses.
#[derive(Default)]
pub(crate) struct HeadScratch {
    logits: Vec<f32>,
    gathered: Vec<f32>,
    drows: Vec<f32>,
}

/// What makes logits of hidden rows.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// `[vocabulary, width]`.
    pub(crate) weight: &'a [f32],
    pub(crate) width: usize,
    /// `cap * tanh(logit / cap)` of each logit.
    pub(crate) cap: Option<f32>,
}

/// `scale` times the sum of -ln p(target) over `targets`. Adds the gradients of hidden rows and of the head's weight to
/// `gradients`, in this order, where they are wanted; that of a frozen weight is not.
///
/// # Shapes
/// `hidden` `[rows, width]`, gradients as what they are of.
pub(crate) fn cross_entropy(
    hidden: &[f32],
    head: Head<'_>,
    targets: &Targets,
    scale: f32,
    mut gradients: Option<(&mut [f32], Option<&mut [f32]>)>,
    scratch: &mut HeadScratch,
) -> f64 {
    let Head { weight, width, cap } = head;
    let vocabulary = weight.len() / width;
    let weight = Matrix::rows(weight, width);
    let most = ROWS.min(targets.rows.len());
    let HeadScratch {
        logits,
        gathered,
        drows,
    } = scratch;
    logits.resize(logits.len().max(most * vocabulary), 0.0);
    drows.resize(drows.len().max(most * width), 0.0);
    let mut loss = 0.0;
    let chunks = targets.rows.chunks(ROWS).zip(targets.tokens.chunks(ROWS));
    for (rows, tokens) in chunks {
        gathered.clear();
        for row in rows {
            gathered.extend_from_slice(&hidden[row * width..(row + 1) * width]);
        }
        let left = Matrix::rows(gathered, width);
        let logits = &mut logits[..rows.len() * vocabulary];
        let sizes = [rows.len(), width, vocabulary];
        let right = weight.transposed();
        product(sizes, left, right, Into::Set, logits, vocabulary);
        let losses: Vec<f64> = logits
            .par_chunks_mut(vocabulary)
            .zip(tokens)
            .map(|(logits, token)| loss_and_gradient(logits, cap, *token as usize, scale))
            .collect();
        loss += losses.iter().sum::<f64>();
        let Some((dhidden, dweight)) = &mut gradients else {
            continue;
        };
        let dlogits = Matrix::rows(logits, vocabulary);
        let sizes = [rows.len(), vocabulary, width];
        product(sizes, dlogits, weight, Into::Set, drows, width);
        for (row, drow) in rows.iter().zip(drows.chunks_exact(width)) {
            let dhidden = &mut dhidden[row * width..(row + 1) * width];
            for (sum, value) in dhidden.iter_mut().zip(drow) {
                *sum += value;
            }
        }
        if let Some(dweight) = dweight {
            let sizes = [vocabulary, rows.len(), width];
            let dlogits = dlogits.transposed();
            product(sizes, dlogits, left, Into::Add, dweight, width);
        }
    }
    loss * f64::from(scale)
}

/// -ln softmax(logits)[target], of capped logits; leaves `scale` times its gradient in `logits`.
///
/// # Shapes
/// `logits` `[vocabulary]`.
#[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
fn loss_and_gradient(logits: &mut [f32], cap: Option<f32>, target: usize, scale: f32) -> f64 {
    if let Some(cap) = cap {
        soft_cap(isa(), logits, 1.0, cap);
    }
    let (largest, total) = sum_exp(isa(), logits, 1.0);
    let (chosen, factor) = (logits[target], (f64::from(scale) / total) as f32);
    match cap {
        None => {
            exp_all(isa(), logits, largest, factor);
            logits[target] -= scale;
        }
        Some(cap) => {
            exp_all_of_capped(isa(), logits, largest, factor, cap);
            let tanh = chosen / cap;
            logits[target] -= scale * (1.0 - tanh * tanh);
        }
    }
    // A diverged training has to show: `ln` is for finite numbers.
    if total.is_finite() {
        ln(total) - f64::from(chosen - largest)
    } else {
        f64::NAN
    }
}
