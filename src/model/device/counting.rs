//! Test: a device that counts what it is told, as a card would be told it.

use burn::tensor::Device;
use burn_ndarray::{Counts, NdArrayDevice};

use super::{DeviceName, FusedAttention, OpenDevice};

/// The device of this number, which must be no other test's, and what asks it for its counts.
pub(in crate::model) fn counting(index: u16) -> (OpenDevice, impl Fn() -> Counts) {
    let device = NdArrayDevice::new(index);
    let card = DeviceName::LibtorchCuda(0);
    let open = OpenDevice {
        attention: Some(FusedAttention::MaskHides),
        ..OpenDevice::new(card, Device::new(device))
    };
    (open, move || device.take_counts())
}

/// A line of the table in docs/devices.md.
pub(in crate::model) fn row(what: &str, counts: &Counts) -> String {
    let Counts {
        launches,
        copies_up,
        bytes_up,
        copies_down,
        bytes_down,
        ..
    } = counts;
    format!("| {what} | {launches} | {copies_up} | {bytes_up} | {bytes_down} | {copies_down} |")
}

/// What the first was told more than the second.
pub(in crate::model) fn more(first: &Counts, second: &Counts) -> Counts {
    let mut by_operation = first.by_operation.clone();
    for (operation, count) in &second.by_operation {
        let left = by_operation.entry(operation.clone()).or_default();
        *left = left.saturating_sub(*count);
    }
    by_operation.retain(|_, count| *count > 0);
    Counts {
        launches: first.launches - second.launches,
        copies_up: first.copies_up - second.copies_up,
        bytes_up: first.bytes_up - second.bytes_up,
        copies_down: first.copies_down - second.copies_down,
        bytes_down: first.bytes_down - second.bytes_down,
        by_operation,
    }
}
