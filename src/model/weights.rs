//! A student's weights: f32 arrays by what they are for, independent of any backend.
//!
//! Writing safetensors is in `model::safetensors`, reading in `model::weight_files`.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::architecture::{Architecture, ArrayId};
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

/// A student's weights, or what has their shape. A linear map is `[inputs, outputs]`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Weights {
    /// The arrays, in the order of [`Architecture::arrays`]: sums over them all have one order.
    pub arrays: IndexMap<ArrayId, Array>,
}

impl Weights {
    /// Zeros of the same shapes.
    #[must_use]
    pub fn zeros(&self) -> Self {
        let arrays = self.arrays.iter();
        let zeros = arrays.map(|(id, array)| (*id, Array::full(&array.shape, 0.0)));
        Self {
            arrays: zeros.collect(),
        }
    }

    /// Number of parameters; a tied output counts once.
    pub fn parameters(&self) -> usize {
        self.arrays.values().map(|array| array.data.len()).sum()
    }

    /// Checks that exactly the arrays of `architecture` are there, in shape and finite.
    ///
    /// # Errors
    /// The first array, by name, that is missing, misshapen, unknown or not finite.
    pub fn check(&self, architecture: &Architecture) -> Result<(), ModelError> {
        let found = self.arrays.iter();
        let found = found.map(|(id, array)| (architecture.name(*id), array.shape.as_slice()));
        let found: BTreeMap<String, &[usize]> = found.collect();
        let found = found.iter().map(|(name, shape)| (name.as_str(), *shape));
        let found = found.collect();
        check_layers(architecture, &found)?;
        let specs = architecture.arrays();
        let expected = specs.iter();
        let expected = expected.map(|spec| (spec.name.as_str(), spec.shape.as_slice()));
        check_shapes(expected.collect(), &found)?;
        for (id, array) in &self.arrays {
            if array.data.len() != array.shape.iter().product::<usize>() {
                return Err(ModelError::ArrayShape {
                    name: architecture.name(*id),
                    found: vec![array.data.len()],
                    expected: array.shape.clone(),
                });
            }
        }
        self.check_finite(architecture)
    }

    /// Checks that every value is a number.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check_finite(&self, architecture: &Architecture) -> Result<(), ModelError> {
        for (id, array) in &self.arrays {
            if let Some(index) = array.data.iter().position(|value| !value.is_finite()) {
                return Err(ModelError::NotFinite {
                    name: architecture.name(*id),
                    index,
                    value: array.data[index],
                });
            }
        }
        Ok(())
    }
}

/// Checks that an architecture has no more layers than so many arrays can make: its number is a stranger's, and not so many
/// names are made as it says, where so few arrays are there.
///
/// # Errors
/// It has more.
pub(super) fn check_layers(
    architecture: &Architecture,
    found: &BTreeMap<&str, &[usize]>,
) -> Result<(), ModelError> {
    let of_layer = architecture.arrays_per_layer();
    if architecture.layers > of_layer.max(found.len() / of_layer.min(6)) {
        return Err(ModelError::BadShape(format!(
            "`{}` is {}, but the weights have {} arrays, and each layer has {of_layer}",
            architecture.family.keys().layers,
            architecture.layers,
            found.len()
        )));
    }
    Ok(())
}

/// Checks that exactly the arrays of `expected` were found, by name and shape.
///
/// # Errors
/// The first array, in the order of `expected`, that is missing or misshapen, or the first that is unknown.
pub(super) fn check_shapes(
    expected: Vec<(&str, &[usize])>,
    found: &BTreeMap<&str, &[usize]>,
) -> Result<(), ModelError> {
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| *name).collect();
    for (name, shape) in expected {
        let Some(&there) = found.get(name) else {
            let ending = format!(".{name}");
            let longer = found
                .keys()
                .find(|found| found.ends_with(&ending) && !known.contains(**found));
            return Err(match longer {
                Some(found) => ModelError::ArrayName {
                    found: (*found).to_owned(),
                    expected: name.to_owned(),
                },
                None => ModelError::MissingArray {
                    name: name.to_owned(),
                    expected: shape.to_vec(),
                },
            });
        };
        if there != shape {
            return Err(ModelError::ArrayShape {
                name: name.to_owned(),
                found: there.to_owned(),
                expected: shape.to_vec(),
            });
        }
    }
    match found.keys().find(|&&name| !known.contains(name)) {
        Some(&name) => Err(ModelError::UnknownArray(name.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::{ArraySpec, Gpt2, Role};

    fn tiny() -> (Architecture, Weights) {
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: 5,
            context: 4,
            width: 2,
            layers: 1,
            heads: 1,
        });
        let specs = architecture.arrays().into_iter();
        let arrays = specs.map(|spec| (spec.id, Array::full(&spec.shape, 0.5)));
        let arrays = arrays.collect();
        (architecture, Weights { arrays })
    }

    #[test]
    fn gpt2_small_has_124_million_parameters() {
        let architecture = Architecture::from(Gpt2::default());
        let specs = architecture.arrays();
        let total: usize = specs.iter().map(ArraySpec::len).sum();
        // The figure of HF's model card for gpt2: 124,439,808.
        assert_eq!(total, 124_439_808);
        assert_eq!(architecture.parameters(), 124_439_808);
    }

    #[test]
    fn every_defect_has_its_message() {
        let (architecture, good) = tiny();
        good.check(&architecture).unwrap();

        let mut missing = good.clone();
        missing
            .arrays
            .shift_remove(&ArrayId::bias(Role::FinalNorm, None));
        let mut misshapen = good.clone();
        misshapen
            .arrays
            .insert(ArrayId::POSITION_EMBEDDING, Array::full(&[3, 2], 0.0));
        let mut unknown = good.clone();
        unknown.arrays.insert(
            ArrayId::bias(Role::AttentionNorm, 1),
            Array::full(&[2], 0.0),
        );
        let mut infinite = good.clone();
        infinite.arrays[&ArrayId::TOKEN_EMBEDDING].data[3] = f32::INFINITY;

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
            let message = weights.check(&architecture).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
