//! A training against itself: on other threads, interrupted, damaged, longer.

use std::fs;
use std::path::Path;

use super::*;

/// Examples of many lengths for the fixture's student.
pub(super) fn many() -> Vec<Example> {
    let token =
        |index: usize, place: usize| u32::try_from((index * 31 + place * place * 7) % 257).unwrap();
    let example = |index| {
        let tokens = (0..5 + index * 7 % 40)
            .map(|place| token(index, place))
            .collect();
        Example {
            tokens,
            loss_from: index % 4,
        }
    };
    (0..21).map(example).collect()
}

/// Trains three epochs of six steps; `stop_at` cancels after that many steps.
fn run(
    folder: &Path,
    threads: usize,
    stop_at: Option<usize>,
    keep: Keep,
) -> Result<Trained, TrainError> {
    run_epochs(folder, threads, stop_at, keep, (3, 0))
}

/// Trains so many epochs of six steps, and more steps.
fn run_epochs(
    folder: &Path,
    threads: usize,
    stop_at: Option<usize>,
    keep: Keep,
    (epochs, extra_steps): (usize, usize),
) -> Result<Trained, TrainError> {
    let (student, _) = fixture();
    let options = TrainOptions {
        epochs,
        extra_steps,
        batch_size: 4,
        grad_clip: Some(1.0),
        schedule: Schedule::Linear,
        keep,
        ..TrainOptions::default()
    };
    let cancel = CancelToken::default();
    let examples = many();
    let mut progress = |progress: TrainProgress| {
        assert_eq!(progress.steps_total, 6 * epochs + extra_steps);
        if Some(progress.step) == stop_at {
            cancel.cancel();
        }
    };
    train(
        student.clone(),
        &examples,
        &examples[..5],
        &options,
        7,
        folder,
        &TrainRuntime {
            threads,
            ..TrainRuntime::default()
        },
        &mut progress,
        &cancel,
    )
}

#[test]
fn threads_and_interruptions_do_not_change_a_bit() {
    let undisturbed = run(tempfile::tempdir().unwrap().path(), 1, None, Keep::Last).unwrap();
    assert_eq!(undisturbed.losses.len(), 3);
    assert!(undisturbed.losses[2].train_loss < undisturbed.losses[0].train_loss);
    assert_eq!(
        run(tempfile::tempdir().unwrap().path(), 4, None, Keep::Last).unwrap(),
        undisturbed
    );

    // At the end of epoch 1, in the middle of epoch 2, and twice.
    for stops in [&[6][..], &[9], &[3, 8, 14]] {
        let folder = tempfile::tempdir().unwrap();
        for stop in stops {
            let stopped = run(folder.path(), 2, Some(*stop), Keep::Last);
            assert!(matches!(stopped, Err(TrainError::Cancelled)));
        }
        assert_eq!(
            run(folder.path(), 2, None, Keep::Last).unwrap(),
            undisturbed
        );
        // Once more: all is done already.
        assert_eq!(
            run(folder.path(), 2, Some(1), Keep::Last).unwrap(),
            undisturbed
        );
    }
}

#[test]
fn extra_steps_are_more_epochs_the_last_of_them_cut() {
    let fresh = |keep, length| {
        run_epochs(tempfile::tempdir().unwrap().path(), 2, None, keep, length).unwrap()
    };
    // Whole epochs: the same bits.
    assert_eq!(fresh(Keep::Last, (1, 12)), fresh(Keep::Last, (3, 0)));
    // Cut: two steps of the fourth.
    let cut = fresh(Keep::Last, (2, 8));
    let steps: Vec<_> = cut.losses.iter().map(|at| (at.epoch, at.step)).collect();
    assert_eq!(steps, [(1, 6), (2, 12), (3, 18), (4, 20)]);
    // The schedule falls over all of them: the last step of 20 has a twentieth.
    assert!((cut.losses[3].learning_rate / 3e-4 - 0.05).abs() < 1e-9);
    assert!(cut.losses.iter().all(|at| at.validation_loss.is_some()));

    // Interrupted in the epochs, in the extra ones and in the cut one.
    for stops in [&[9][..], &[15], &[19], &[3, 13, 18, 19]] {
        let folder = tempfile::tempdir().unwrap();
        for stop in stops {
            let stopped = run_epochs(folder.path(), 1, Some(*stop), Keep::Last, (2, 8));
            assert!(matches!(stopped, Err(TrainError::Cancelled)));
        }
        let resumed = run_epochs(folder.path(), 2, None, Keep::Last, (2, 8)).unwrap();
        assert_eq!(resumed, cut);
        // Another length is another training: its checkpoint is left alone.
        let other = run_epochs(folder.path(), 2, None, Keep::Last, (2, 9)).unwrap();
        assert!(
            other.warnings[0].contains("other options"),
            "{:?}",
            other.warnings
        );
        assert_eq!(other.losses, fresh(Keep::Last, (2, 9)).losses);
    }
}

#[test]
fn a_damaged_checkpoint_costs_time_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let undisturbed = run(folder.path(), 2, None, Keep::Best).unwrap();
    let path = folder.path().join("current.ckpt");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let again = run(folder.path(), 2, None, Keep::Best).unwrap();
    assert!(
        again.warnings.len() == 1 && again.warnings[0].contains("damaged"),
        "{:?}",
        again.warnings
    );
    assert_eq!(
        (again.weights, again.losses),
        (undisturbed.weights, undisturbed.losses)
    );
}
