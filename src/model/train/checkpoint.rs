//! What an interrupted training goes on from.
//!
//! One file per training: a header in JSON, then all arrays in f32, then the blake3 digest of all before. It is written
//! beside its place, synced and renamed; the one before it stays as `previous.ckpt`. A file that is damaged or belongs
//! to another training is reported and left alone: training then starts earlier, and never from something wrong.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Take, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::LossPoint;
use super::adam::Adam;
use crate::beneath::{self, Foreign};
use crate::key::{Digest, DigestWriter};
use crate::model::architecture::ArraySpec;
use crate::model::{Array, Weights};

const MAGIC: &[u8; 8] = b"SERTCKP1";
const CURRENT: &str = "current.ckpt";
const PREVIOUS: &str = "previous.ckpt";

/// The state of a training after some whole epochs.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct TrainState {
    /// Epochs done.
    pub(super) epochs: usize,
    /// Tokens trained on so far.
    pub(super) tokens: u64,
    pub(super) weights: Weights,
    pub(super) adam: Adam,
    pub(super) losses: Vec<LossPoint>,
    /// The lowest validation loss so far and its weights, if the best are to be kept.
    pub(super) best: Option<(f64, Weights)>,
}

impl TrainState {
    /// Before the first step.
    pub(super) fn new(weights: Weights) -> Self {
        Self {
            epochs: 0,
            tokens: 0,
            adam: Adam::new(&weights),
            weights,
            losses: Vec::new(),
            best: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    /// Which training this is: options, seed, start and examples.
    training: Digest,
    epochs: usize,
    tokens: u64,
    steps: usize,
    losses: Vec<LossPoint>,
    best_loss: Option<f64>,
    /// The Hub's name and the shape of each array of the weights; the moments and the best weights follow in the same order.
    arrays: Vec<(String, Vec<usize>)>,
}

/// Bytes of a state, roughly: weights and two moments, in f32.
pub(super) fn bytes(specs: &[ArraySpec]) -> u64 {
    let values = specs
        .iter()
        .map(|spec| spec.shape.iter().product::<usize>() as u64);
    12 * values.sum::<u64>()
}

/// Writes `state`, whose arrays are those of `specs`, into `folder`.
pub(super) fn save(
    folder: &Path,
    training: Digest,
    specs: &[ArraySpec],
    state: &TrainState,
) -> io::Result<()> {
    let header = Header {
        training,
        epochs: state.epochs,
        tokens: state.tokens,
        steps: state.adam.steps,
        losses: state.losses.clone(),
        best_loss: state.best.as_ref().map(|(loss, _)| *loss),
        arrays: specs
            .iter()
            .map(|spec| (spec.name.clone(), spec.shape.clone()))
            .collect(),
    };
    let header = serde_json::to_vec(&header)?;
    fs::create_dir_all(folder)?;
    let file = tempfile::NamedTempFile::new_in(folder)?;
    let mut writer = DigestWriter::new(BufWriter::with_capacity(1 << 20, file));
    writer.write_all(MAGIC)?;
    writer.write_all(&(header.len() as u64).to_le_bytes())?;
    writer.write_all(&header)?;
    let best = state.best.as_ref().map(|(_, weights)| weights);
    for weights in [
        Some(&state.weights),
        Some(&state.adam.first),
        Some(&state.adam.second),
        best,
    ] {
        for array in weights
            .into_iter()
            .flat_map(|weights| weights.arrays.values())
        {
            for block in array.data.chunks(1 << 14) {
                let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
                writer.write_all(&bytes)?;
            }
        }
    }
    let (mut writer, digest) = writer.finish();
    writer.write_all(digest.as_bytes())?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    let current = folder.join(CURRENT);
    match fs::rename(&current, folder.join(PREVIOUS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    file.persist(&current)?;
    beneath::share(&current); // a temporary file is private
    // The renames themselves; not every system can sync a folder, and a lost one costs what was done since.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
    Ok(())
}

/// The newest state of this training of the arrays of `specs` in `folder`, and a warning about each file that could not be
/// used.
pub(super) fn load(
    folder: &Path,
    training: Digest,
    specs: &[ArraySpec],
) -> (Option<TrainState>, Vec<String>) {
    let mut warnings = Vec::new();
    for name in [CURRENT, PREVIOUS] {
        let path = folder.join(name);
        match read(&path, training, specs) {
            Ok(state) => return (Some(state), warnings),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => warnings.push(format!(
                "checkpoint `{}` is not used: {error}",
                path.display()
            )),
        }
    }
    (None, warnings)
}

/// What [`check_checkpoints`] found.
#[derive(Debug, Default)]
pub struct CheckedCheckpoints {
    /// How many are sound.
    pub sound: usize,
    /// Those that are not.
    pub damaged: Vec<PathBuf>,
}

/// Reads the checkpoints in a training's work folder, whichever training that is.
pub fn check_checkpoints(folder: &Path) -> CheckedCheckpoints {
    let mut checked = CheckedCheckpoints::default();
    for name in [CURRENT, PREVIOUS] {
        let path = folder.join(name);
        match open_checked(&path) {
            Ok(_) => checked.sound += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if Foreign::of(&error).is_some() => {} // not a file of ours
            Err(_) => checked.damaged.push(path),
        }
    }
    checked
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The file's content without its digest, which was checked: all is read before anything is believed.
fn open_checked(path: &Path) -> io::Result<Take<BufReader<File>>> {
    let mut file = beneath::open(path.parent().unwrap_or(path), path)?;
    let body = file
        .metadata()?
        .len()
        .checked_sub(32)
        .ok_or_else(|| damaged("it is cut off"))?;
    let mut reader = BufReader::with_capacity(1 << 20, &file);
    let digest = Digest::of_reader(&mut (&mut reader).take(body))?;
    let mut expected = [0; 32];
    reader.read_exact(&mut expected)?;
    if digest != Digest::from_bytes(expected) {
        return Err(damaged("its digest does not match, it is damaged"));
    }
    file.rewind()?;
    Ok(BufReader::with_capacity(1 << 20, file).take(body))
}

fn read(path: &Path, training: Digest, specs: &[ArraySpec]) -> io::Result<TrainState> {
    let mut reader = open_checked(path)?;
    let (mut magic, mut size) = ([0; 8], [0; 8]);
    reader.read_exact(&mut magic)?;
    reader.read_exact(&mut size)?;
    if magic != *MAGIC {
        return Err(damaged("it is of another version"));
    }
    let mut header = Vec::new();
    (&mut reader)
        .take(u64::from_le_bytes(size))
        .read_to_end(&mut header)?;
    let header: Header = serde_json::from_slice(&header)?;
    if header.training != training {
        return Err(damaged(
            "it belongs to a training with other options, seed, start or examples",
        ));
    }
    let known = specs.iter().map(|spec| (&spec.name, &spec.shape));
    if !known.eq(header.arrays.iter().map(|(name, shape)| (name, shape))) {
        return Err(damaged("its arrays are another student's"));
    }
    let mut arrays = || -> io::Result<Weights> {
        let mut weights = Weights::default();
        for ArraySpec { id, shape, .. } in specs {
            let mut data = vec![0.0; shape.iter().product()];
            let mut bytes = vec![0; 1 << 16];
            for block in data.chunks_mut(bytes.len() / 4) {
                let bytes = &mut bytes[..4 * block.len()];
                reader.read_exact(bytes)?;
                for (value, raw) in block.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*raw);
                }
            }
            let shape = shape.clone();
            weights.arrays.insert(*id, Array { shape, data });
        }
        Ok(weights)
    };
    let weights = arrays()?;
    let adam = Adam {
        first: arrays()?,
        second: arrays()?,
        steps: header.steps,
    };
    let best = header
        .best_loss
        .map(|loss| arrays().map(|weights| (loss, weights)))
        .transpose()?;
    Ok(TrainState {
        epochs: header.epochs,
        tokens: header.tokens,
        weights,
        adam,
        losses: header.losses,
        best,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Architecture;
    use crate::model::architecture::{ArrayId, Gpt2};

    fn architecture() -> Architecture {
        Architecture::from(Gpt2 {
            vocab_rows: 3,
            context: 2,
            width: 2,
            layers: 1,
            heads: 1,
        })
    }

    fn state(epochs: usize) -> TrainState {
        let mut weights = Weights::init(&architecture(), 1);
        weights.arrays[&ArrayId::POSITION_EMBEDDING].data = vec![0.1, -0.0, f32::MIN_POSITIVE, 3.0];
        let mut adam = Adam::new(&weights);
        adam.steps = 7;
        let point = LossPoint {
            epoch: 1,
            step: 7,
            train_loss: 0.1,
            validation_loss: Some(1.0 / 3.0),
            learning_rate: 3e-4,
            tokens: 9,
        };
        TrainState {
            epochs,
            tokens: 9,
            adam,
            losses: vec![point],
            best: Some((0.1, weights.clone())),
            weights,
        }
    }

    #[test]
    fn damage_leads_back_to_the_one_before_and_strangers_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let specs = architecture().arrays();
        let load = |training| load(folder.path(), training, &specs);
        let save = |state| save(folder.path(), Digest::of(b"this"), &specs, &state);
        let training = Digest::of(b"this");
        assert_eq!(load(training), (None, vec![]));
        save(state(1)).unwrap();
        save(state(2)).unwrap();
        assert_eq!(load(training), (Some(state(2)), vec![]));

        let (found, warnings) = load(Digest::of(b"that"));
        assert!(
            found.is_none()
                && warnings.len() == 2
                && warnings[0].contains("another") | warnings[0].contains("other options")
        );

        let path = folder.path().join(CURRENT);
        let whole = fs::read(&path).unwrap();
        for place in [0, 20, whole.len() / 2, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(&path, bytes).unwrap();
            let (found, warnings) = load(training);
            assert_eq!(found, Some(state(1)));
            assert!(warnings[0].contains("damaged"), "{warnings:?}");
        }
        fs::write(&path, &whole[..10]).unwrap();
        let (found, warnings) = load(training);
        assert_eq!(found, Some(state(1)));
        assert!(warnings[0].contains("cut off"), "{warnings:?}");
        // Nothing half-written stays behind.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
