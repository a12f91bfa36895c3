//! Named f32 arrays: the weights of a student, independent of any backend.
//!
//! Writing safetensors is in `model::safetensors`, reading in `model::weight_files`.

use std::collections::BTreeMap;

use super::config::Gpt2Config;
use super::error::ModelError;

/// One dense row-major f32 array.
#[derive(Clone, PartialEq, Debug)]
pub struct Array {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub data: Vec<f32>,
}

impl Array {
    /// An array of `shape` full of `value`.
    pub fn full(shape: &[usize], value: f32) -> Self {
        Self {
            shape: shape.to_vec(),
            data: vec![value; shape.iter().product()],
        }
    }
}

/// Arrays of one layer.
const ARRAYS_PER_LAYER: usize = 12;

/// A student's weights by the Hub's names without the `transformer.` prefix: `wte.weight`
/// `[vocab, width]`, `wpe.weight`, `h.0.ln_1.weight`, `h.0.attn.c_attn.weight` `[width, 3 * width]`
/// (`Conv1D`: in by out), ..., `ln_f.bias`. The head is tied to `wte.weight`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Weights {
    /// The arrays by name.
    pub arrays: BTreeMap<String, Array>,
}

impl Weights {
    /// Names and shapes of all arrays of a GPT-2 of this shape.
    pub fn shapes(config: &Gpt2Config) -> BTreeMap<String, Vec<usize>> {
        let (width, inner) = (config.n_embd, config.inner_width());
        let mut shapes = BTreeMap::from([
            ("wte.weight".to_owned(), vec![config.vocab_size, width]),
            ("wpe.weight".to_owned(), vec![config.n_positions, width]),
            ("ln_f.weight".to_owned(), vec![width]),
            ("ln_f.bias".to_owned(), vec![width]),
        ]);
        let layers: [(&str, Vec<usize>); ARRAYS_PER_LAYER] = [
            ("ln_1.weight", vec![width]),
            ("ln_1.bias", vec![width]),
            ("attn.c_attn.weight", vec![width, 3 * width]),
            ("attn.c_attn.bias", vec![3 * width]),
            ("attn.c_proj.weight", vec![width, width]),
            ("attn.c_proj.bias", vec![width]),
            ("ln_2.weight", vec![width]),
            ("ln_2.bias", vec![width]),
            ("mlp.c_fc.weight", vec![width, inner]),
            ("mlp.c_fc.bias", vec![inner]),
            ("mlp.c_proj.weight", vec![inner, width]),
            ("mlp.c_proj.bias", vec![width]),
        ];
        for layer in 0..config.n_layer {
            for (name, shape) in &layers {
                shapes.insert(format!("h.{layer}.{name}"), shape.clone());
            }
        }
        shapes
    }

    /// Zeros of the same names and shapes.
    #[must_use]
    pub fn zeros(&self) -> Self {
        let zeros =
            |(name, array): (&String, &Array)| (name.clone(), Array::full(&array.shape, 0.0));
        Self {
            arrays: self.arrays.iter().map(zeros).collect(),
        }
    }

    /// The array of this name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// Number of parameters; the tied head counts once.
    pub fn parameters(&self) -> usize {
        self.arrays.values().map(|array| array.data.len()).sum()
    }

    /// Checks that exactly the arrays of `config` are there, in shape and finite.
    ///
    /// # Errors
    /// The first array, by name, that is missing, misshapen, unknown or not finite.
    pub fn check(&self, config: &Gpt2Config) -> Result<(), ModelError> {
        let found = self.arrays.iter();
        let found = found.map(|(name, array)| (name.as_str(), array.shape.as_slice()));
        check_shapes(config, &found.collect())?;
        for (name, array) in &self.arrays {
            if array.data.len() != array.shape.iter().product::<usize>() {
                return Err(ModelError::ArrayShape {
                    name: name.clone(),
                    found: vec![array.data.len()],
                    expected: array.shape.clone(),
                });
            }
        }
        self.check_finite()
    }

    /// Checks that every value is a number.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check_finite(&self) -> Result<(), ModelError> {
        for (name, array) in &self.arrays {
            if let Some(index) = array.data.iter().position(|value| !value.is_finite()) {
                return Err(ModelError::NotFinite {
                    name: name.clone(),
                    index,
                    value: array.data[index],
                });
            }
        }
        Ok(())
    }
}

/// Checks that exactly the arrays of `config` were found, by name and shape.
///
/// # Errors
/// The first array, by name, that is missing, misshapen or unknown.
pub(super) fn check_shapes(
    config: &Gpt2Config,
    found: &BTreeMap<&str, &[usize]>,
) -> Result<(), ModelError> {
    // A stranger's number: not so many names are made as it says, where so few arrays are there.
    if config.n_layer > ARRAYS_PER_LAYER.max(found.len() / 6) {
        return Err(ModelError::BadShape(format!(
            "`n_layer` is {}, but the weights have {} arrays, and each layer has {ARRAYS_PER_LAYER}",
            config.n_layer,
            found.len()
        )));
    }
    let shapes = Weights::shapes(config);
    for (name, expected) in &shapes {
        let Some(&shape) = found.get(name.as_str()) else {
            let ending = format!(".{name}");
            let longer = found
                .keys()
                .find(|found| found.ends_with(&ending) && !shapes.contains_key(**found));
            return Err(match longer {
                Some(found) => ModelError::ArrayName {
                    found: (*found).to_owned(),
                    expected: name.clone(),
                },
                None => ModelError::MissingArray {
                    name: name.clone(),
                    expected: expected.clone(),
                },
            });
        };
        if shape != expected {
            return Err(ModelError::ArrayShape {
                name: name.clone(),
                found: shape.to_owned(),
                expected: expected.clone(),
            });
        }
    }
    match found.keys().find(|&&name| !shapes.contains_key(name)) {
        Some(&name) => Err(ModelError::UnknownArray(name.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> (Gpt2Config, Weights) {
        let config = Gpt2Config {
            vocab_size: 5,
            n_positions: 4,
            n_embd: 2,
            n_layer: 1,
            n_head: 1,
            eos_token_id: Some(0),
            ..Gpt2Config::default()
        };
        let arrays = Weights::shapes(&config)
            .into_iter()
            .map(|(name, shape)| (name, Array::full(&shape, 0.5)))
            .collect();
        (config, Weights { arrays })
    }

    #[test]
    fn gpt2_small_has_124_million_parameters() {
        let total: usize = Weights::shapes(&Gpt2Config::default())
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        // The figure of HF's model card for gpt2: 124,439,808.
        assert_eq!(total, 124_439_808);
    }

    #[test]
    fn every_defect_has_its_message() {
        let (config, good) = tiny();
        good.check(&config).unwrap();

        let mut missing = good.clone();
        missing.arrays.remove("ln_f.bias");
        let mut misshapen = good.clone();
        misshapen
            .arrays
            .insert("wpe.weight".to_owned(), Array::full(&[3, 2], 0.0));
        let mut unknown = good.clone();
        unknown
            .arrays
            .insert("h.1.ln_1.bias".to_owned(), Array::full(&[2], 0.0));
        let mut infinite = good.clone();
        infinite.arrays.get_mut("wte.weight").unwrap().data[3] = f32::INFINITY;

        for (weights, expected) in [
            (
                missing,
                "array `ln_f.bias` is missing, expected with shape [2]",
            ),
            (
                misshapen,
                "array `wpe.weight` has shape [3, 2], but config.json asks for [4, 2]",
            ),
            (unknown, "array `h.1.ln_1.bias` has no place"),
            (infinite, "array `wte.weight` holds inf at index 3"),
        ] {
            let message = weights.check(&config).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
