//! An adapter as a folder that PEFT loads: `adapter_config.json` and `adapter_model.safetensors`.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::Deserialize;
use serde_json::{Value, json};

use super::adapter::Adapter;
use super::options::{LoraOptions, LoraTargets};
use super::shape::LoraShape;
use crate::disk;
use crate::model::Architecture;
use crate::model::error::ModelError;
use crate::model::safetensors::write;
use crate::model::weights::{Array, Weights};

/// The configuration.
pub(crate) const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The values.
pub(crate) const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// What an adapter is.
pub(crate) const ADAPTER_FILES: [&str; 2] = [ADAPTER_CONFIG, ADAPTER_WEIGHTS];

/// What PEFT puts before the names of a causal language model's arrays.
const PREFIX: &str = "base_model.model.";

/// What is read of a configuration that [`Adapter::save`] wrote.
#[derive(Deserialize)]
struct Config {
    r: usize,
    lora_alpha: f64,
    lora_dropout: f64,
    use_rslora: bool,
    target_modules: Vec<String>,
}

impl Adapter {
    /// Writes it beside whatever `folder` holds. The same adapter gives the same bytes.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path, architecture: &Architecture) -> Result<(), ModelError> {
        let config = format!("{:#}\n", self.config());
        let path = folder.join(ADAPTER_CONFIG);
        fs::write(&path, config).map_err(ModelError::writing(&path))?;
        let prefix = format!("{PREFIX}{}", architecture.family.prefix());
        let specs = self.shape.arrays();
        write(
            &self.weights,
            &specs,
            |_| &prefix,
            &folder.join(ADAPTER_WEIGHTS),
        )
    }

    /// What PEFT's `LoraConfig` writes. The base is nobody's path here: whoever exports an adapter says what it is called.
    fn config(&self) -> Value {
        let LoraOptions {
            rank,
            alpha,
            dropout,
            targets,
            use_rslora,
        } = &self.options;
        let modules = match targets {
            LoraTargets::AllLinear => self.shape.module_names(),
            LoraTargets::Modules(names) => names.clone(),
        };
        // As PEFT's own, whose type is an integer.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number within the range of the option"
        )]
        let alpha = match alpha.fract() {
            0.0 => json!(*alpha as i64),
            _ => json!(alpha),
        };
        json!({
            "alpha_pattern": {},
            "base_model_name_or_path": null,
            "bias": "none",
            "fan_in_fan_out": self.shape.branches.iter().any(|branch| branch.transposed),
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": alpha,
            "lora_dropout": dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": rank,
            "rank_pattern": {},
            "revision": null,
            "target_modules": modules,
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": use_rslora,
        })
    }

    /// Reads an adapter of `architecture` that [`Adapter::save`] wrote.
    ///
    /// # Errors
    /// A file is missing or damaged, or is not of this architecture.
    pub fn load(folder: &Path, architecture: &Architecture) -> Result<Self, ModelError> {
        let path = folder.join(ADAPTER_CONFIG);
        let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
        let config: Config =
            serde_json::from_slice(&bytes).map_err(|source| ModelError::Json { path, source })?;
        let options = LoraOptions {
            rank: config.r,
            alpha: config.lora_alpha,
            dropout: config.lora_dropout,
            targets: LoraTargets::Modules(config.target_modules),
            use_rslora: config.use_rslora,
        };
        let shape = LoraShape::new(architecture, &options)?;
        let weights = read(&folder.join(ADAPTER_WEIGHTS), &shape, architecture)?;
        let adapter = Self {
            options,
            shape,
            weights,
        };
        adapter.check_finite(architecture)?;
        Ok(adapter)
    }
}

/// The arrays of `shape`, in f32.
fn read(
    path: &Path,
    shape: &LoraShape,
    architecture: &Architecture,
) -> Result<Weights, ModelError> {
    let bytes = fs::read(path).map_err(ModelError::reading(path))?;
    let damaged = |reason: String| ModelError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let prefix = architecture.family.prefix();
    let mut weights = Weights::default();
    let specs = shape.arrays();
    for spec in &specs {
        let name = format!("{PREFIX}{prefix}{}", spec.name);
        let [of] = spec.files.as_slice() else {
            continue;
        };
        let view = file
            .tensor(&name)
            .map_err(|error| damaged(error.to_string()))?;
        if view.dtype() != Dtype::F32 || view.shape() != of.shape {
            return Err(ModelError::ArrayShape {
                name,
                found: view.shape().to_vec(),
                expected: of.shape.clone(),
            });
        }
        let values = view.data().as_chunks::<4>().0.iter();
        let values: Vec<f32> = values.copied().map(f32::from_le_bytes).collect();
        let mut array = Array::full(&spec.shape, 0.0);
        of.put(&values, &mut array.data, spec.shape[1]);
        weights.arrays.insert(spec.id, array);
    }
    if file.len() != specs.len() {
        return Err(damaged(format!(
            "it has {} arrays, its configuration asks for {}",
            file.len(),
            specs.len()
        )));
    }
    Ok(weights)
}
