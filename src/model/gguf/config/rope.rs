//! How positions are stretched beyond what a model was trained on.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use super::family::GgufFamily;
use crate::model::gguf::error::{Fault, GgufError};
use crate::model::gguf::file::Gguf;

/// The base of rotary frequencies, where a file does not say otherwise (Su et al. 2021, and the format's).
pub(super) const THETA: f64 = 10000.0;
/// Llama 3's: frequencies that are left alone turn more than 4 times within 8192 tokens, those that are divided by the
/// whole factor less than once (HF's `rope_type: llama3`; the file has only what comes of it).
const LLAMA3: (f64, f64, f64) = (1.0, 4.0, 8192.0);
/// What a file's f32 may be off by.
const CLOSE: f64 = 1e-4;
/// What each frequency is divided by, where a file says so.
const FACTORS: &str = "rope_freqs.weight";

/// `rope_scaling` of transformers; null where nothing is stretched.
pub(super) fn scaling(gguf: &Gguf, family: GgufFamily, width: u64) -> Result<Value, GgufError> {
    let key = |name: &str| family.key(&format!("rope.scaling.{name}"));
    let by_tensor = llama3(gguf, family, width)?;
    let factor = match gguf.number(&key("factor"))? {
        Some(factor) => factor,
        // Old files have the inverse.
        None => gguf
            .number(&family.key("rope.scale_linear"))?
            .unwrap_or(1.0),
    };
    let kind = gguf.text(&key("type"))?;
    let stretched = (factor - 1.0).abs() > f64::EPSILON;
    let kind = kind.unwrap_or(if stretched { "linear" } else { "none" });
    match kind {
        "none" => Ok(by_tensor),
        "linear" if !stretched => Ok(by_tensor),
        other if !by_tensor.is_null() => {
            let hint = "positions that are stretched in two ways are not done";
            let found = format!("{other:?} beside the tensor `{FACTORS}`");
            Err(gguf.refused(&key("type"), found, "one of them", hint))
        }
        "linear" => Ok(json!({"rope_type": "linear", "factor": factor})),
        "yarn" => {
            let mut scaling = json!({"rope_type": "yarn", "factor": factor});
            let trained = gguf.count(&key("original_context_length"))?;
            for (name, value) in [
                ("original_max_position_embeddings", trained.map(Value::from)),
                (
                    "beta_fast",
                    gguf.number(&key("yarn_beta_fast"))?.map(Value::from),
                ),
                (
                    "beta_slow",
                    gguf.number(&key("yarn_beta_slow"))?.map(Value::from),
                ),
            ] {
                if let Some(value) = value {
                    scaling[name] = value;
                }
            }
            Ok(scaling)
        }
        other => {
            let hint =
                "take a model whose positions are stretched in one of these ways, or not at all";
            let found = format!("{other:?}");
            Err(gguf.refused(&key("type"), found, "none, linear, yarn", hint))
        }
    }
}

/// Llama 3's scaling, by the factors that came of it; null where there are none.
fn llama3(gguf: &Gguf, family: GgufFamily, width: u64) -> Result<Value, GgufError> {
    let Some(tensor) = gguf.tensors.get(FACTORS) else {
        return Ok(Value::Null);
    };
    let place = format!("tensor `{FACTORS}`");
    if tensor.shape != [usize::try_from(width / 2).unwrap_or(0)] {
        let expected = format!("[{}], half of a head", width / 2);
        let found = format!("shape {:?}", tensor.shape);
        return Err(Fault::damaged(place, found, expected).at(gguf.path()));
    }
    let factors = gguf.read_all(tensor)?;
    let factors = factors.into_iter().map(f64::from);
    let factors: Vec<f64> = factors.collect();
    let factor = factors.iter().copied().fold(1.0, f64::max);
    let (low, high, trained) = LLAMA3;
    let theta = gguf.number(&family.key("rope.freq_base"))?.unwrap_or(THETA);
    let expected = (0..factors.len()).map(|index| {
        let wavelength = TAU * theta.powf(2.0 * index as f64 / width as f64);
        let turns = trained / wavelength;
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        1.0 / ((1.0 - kept) / factor + kept)
    });
    let same = |values: &mut dyn Iterator<Item = f64>| {
        values
            .zip(&factors)
            .all(|(value, found)| (value - found).abs() <= CLOSE * value)
    };
    if same(&mut std::iter::repeat_n(1.0, factors.len())) {
        return Ok(Value::Null);
    }
    if !same(&mut expected.into_iter()) {
        let hint = "positions that are stretched in another way than Llama 3's are not done";
        let fault = Fault::new(place, "other factors", "those of Llama 3", hint);
        return Err(fault.at(gguf.path()));
    }
    Ok(json!({
        "rope_type": "llama3",
        "factor": round(factor),
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": 8192,
    }))
}

/// A factor that is a whole number but for rounding is one.
fn round(factor: f64) -> f64 {
    let whole = factor.round();
    if (factor - whole).abs() <= CLOSE * whole {
        whole
    } else {
        factor
    }
}
