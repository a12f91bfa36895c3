//! What a device is told, and what of it costs something.

use std::collections::{BTreeMap, HashSet};

use burn_ir::{BaseOperationIr, OperationIr, TensorId, TensorIr};

/// What a device was told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Operations that compute or copy.
    pub launches: u64,
    /// Tensors that were brought there.
    pub copies_up: u64,
    /// Their bytes.
    pub bytes_up: u64,
    /// Tensors that were brought back; each waits for all that was told before.
    pub copies_down: u64,
    /// Their bytes.
    pub bytes_down: u64,
    /// The launches by the operation's name.
    pub by_operation: BTreeMap<String, u64>,
}

/// Counts operations as they come.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) counts: Counts,
    /// Tensors whose values do not lie one after another, so that a new shape is a copy.
    strided: HashSet<TensorId>,
}

impl Counter {
    /// One operation.
    pub(crate) fn told(&mut self, operation: &OperationIr) {
        if let OperationIr::Drop(tensor) = operation {
            self.strided.remove(&tensor.id);
            return;
        }
        let (OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base)) =
            operation
        else {
            if !matches!(operation, OperationIr::Init(_)) {
                self.launched(operation);
            }
            return;
        };
        let view = match base {
            BaseOperationIr::Reshape(of) => {
                if self.strided.contains(&of.input.id) {
                    self.launched(operation);
                }
                return;
            }
            BaseOperationIr::SwapDims(of) => {
                let between = of.dim1.min(of.dim2)..=of.dim1.max(of.dim2);
                let long = between.filter(|&dim| of.input.shape[dim] > 1).count();
                Some((&of.input, &of.out, long > 1))
            }
            BaseOperationIr::Permute(of) => {
                let long = of.axes.iter().filter(|&&axis| of.input.shape[axis] > 1);
                Some((&of.input, &of.out, !long.is_sorted()))
            }
            BaseOperationIr::Expand(of) => {
                Some((&of.input, &of.out, elements(&of.input) != elements(&of.out)))
            }
            BaseOperationIr::Slice(of) if of.ranges.iter().all(|range| range.step == 1) => {
                Some((&of.tensor, &of.out, is_apart(&of.tensor, &of.out)))
            }
            BaseOperationIr::Empty(_) => return,
            _ => None,
        };
        match view {
            None => self.launched(operation),
            Some((from, to, strides)) => {
                if strides || self.strided.contains(&from.id) {
                    self.strided.insert(to.id);
                }
            }
        }
    }

    fn launched(&mut self, operation: &OperationIr) {
        self.counts.launches += 1;
        let text = format!("{operation:?}");
        let head = text.split_once(" {").map_or(&*text, |(head, _)| head);
        let name = head.trim_end_matches(|c: char| !c.is_alphanumeric());
        *self.counts.by_operation.entry(name.to_owned()).or_default() += 1;
    }
}

fn elements(tensor: &TensorIr) -> usize {
    tensor.shape.iter().product()
}

/// Whether a part of a tensor lies in pieces: a dimension is cut below one of which there is more than one.
fn is_apart(whole: &TensorIr, part: &TensorIr) -> bool {
    let cut = (0..whole.shape.num_dims()).filter(|&dim| whole.shape[dim] != part.shape[dim]);
    cut.last()
        .is_some_and(|last| part.shape.iter().take(last).any(|&length| length > 1))
}
