//! What a training step tells a card; see the counts of sampling in `model::device_engine`.

use super::super::data::Example;
use super::*;
use crate::model::Weights;
use crate::model::architecture::Gpt2;
use crate::model::device::counting::{counting, row};
use crate::model::dropout::Dropout;
use crate::model::train::TrainOptions;

/// Eight examples of 128 tokens, GPT-2 small's twelve layers and heads: how wide it is changes no launch.
#[test]
fn counts_of_training_do_not_grow() {
    let (device, counts) = counting(2);
    let (width, layers, heads, length, batch) = (24, 12, 12, 128, 8);
    let architecture = Architecture::from(Gpt2 {
        vocab_rows: 263,
        context: length,
        width,
        layers,
        heads,
    });
    let mut state = TrainState::new(Weights::init(&architecture, 3));
    let examples: Vec<Example> = (0..batch)
        .map(|index| Example {
            tokens: (0..=length)
                .map(|place| u32::try_from((index * 31 + place * 7) % 256).unwrap())
                .collect(),
            loss_from: 32,
        })
        .collect();
    let of_step = Batch::new(&examples);
    let options = TrainOptions::default();
    let mut backend = OnDevice::new(&architecture, vec![device], Dtype::F32, false).unwrap();
    // As on a card, however slow this machine is.
    backend.together = 16;
    let mut step = |backend: &mut OnDevice<'_>, number| {
        let update = Update {
            options: &options,
            learning_rate: 1e-3,
            dropout: Dropout::new([0.1, 0.0], 1, number),
        };
        counts();
        backend.step(&mut state, &of_step, &update).unwrap();
        counts()
    };
    step(&mut backend, 0);
    let found = step(&mut backend, 1);
    eprintln!("{}", row("a training step, 8 x 128", &found));
    // One bit for each element that may be dropped, rows filled up to 32.
    let rows = (1 + 2 * layers) * batch * length * width.next_multiple_of(32);
    let attention = layers * batch * heads * length * length.next_multiple_of(32);
    let masks = (rows + attention) as u64 / 8;
    assert!(found.bytes_up < masks + 64 * 1024, "{found:?}");
    // Of GPT-2 small's width, by the same rule.
    let small = (1 + 2 * layers) * batch * length * 768 / 8 + attention / 8;
    assert!(
        small as u64 + found.bytes_up - masks < 6_000_000,
        "{found:?}"
    );
    assert!(found.launches <= 1265, "{found:?}");
    // Nobody waits, and a few losses come together, with a number for each group of weights.
    assert_eq!((found.copies_down, found.bytes_down), (0, 0));
    let losses = backend.settle().unwrap().losses();
    let read = counts();
    assert_eq!(
        (read.copies_down, read.bytes_down),
        (1, 4 * (losses.len() + 2) as u64)
    );
}
