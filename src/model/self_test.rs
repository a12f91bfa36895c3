//! Whether a device computes what the CPU does, and the same each time: seconds of work on two small models, a GPT-2 and a
//! Llama with grouped keys and a window.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde_json::json;

use super::EngineOptions;
use super::architecture::Gpt2;
use super::device::DeviceName;
use super::distance::furthest;
use super::sampling::{GenerationRequest, SamplingParams, SequenceSpec};
use super::train::{Example, TrainOptions, TrainRuntime, train};
use super::{Architecture, Dtype, Inference, Student, StudentTokenizer, Vocabulary, Weights};
use crate::event::CancelToken;
use crate::key::Digest;

/// What a device was seen to do.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SelfTest {
    /// The largest difference of a logit from the CPU's in f32; logits here are up to about 10.
    pub logit_difference: f64,
    /// What of that is accepted.
    pub logit_tolerance: f64,
    /// The largest difference of a training loss from the CPU's over some steps; `None` where it does not train in
    /// this number format.
    pub loss_difference: Option<f64>,
    /// What of that is accepted.
    pub loss_tolerance: f64,
    /// Whether paths are the same, token for token and bit for bit in their log-probabilities, when sampled again, in
    /// another batch size.
    pub sampling_repeats: bool,
    /// Whether training again gives the same bits; `None` where it does not train in this number format.
    pub training_repeats: Option<bool>,
    /// How long it took.
    pub seconds: f64,
}

impl SelfTest {
    /// Whether results can be trusted.
    pub fn passed(&self) -> bool {
        self.logit_difference <= self.logit_tolerance
            && self
                .loss_difference
                .is_none_or(|difference| difference <= self.loss_tolerance)
            && self.sampling_repeats
    }
}

/// Training steps that are compared.
const STEPS: usize = 4;
/// Tokens of the vocabulary: the bytes and the end of text.
const TOKENS: usize = 257;
/// The last positions that the Llama sees; paths go far beyond it.
const WINDOW: usize = 24;
/// Weights are this many times larger than fresh ones, so that nothing is near uniform.
const SPREAD: f32 = 6.0;

/// The largest difference from the CPU's f32 that is accepted of logits and of losses: of f32 the rounding of sums in
/// another order, of others their own rounding (ours).
pub fn tolerances(dtype: Dtype) -> (f64, f64) {
    match dtype {
        Dtype::F32 => (1e-3, 1e-4),
        // The same bits of mantissa.
        Dtype::Tf32 | Dtype::F16 => (0.05, 0.005),
        Dtype::Bf16 => (0.3, 0.02),
        // It does not train.
        Dtype::Int8 => (0.4, 0.0),
    }
}

/// Tests a device in a number format.
///
/// # Errors
/// What the device says when it fails, or has not the number format.
pub fn self_test(device: DeviceName, dtype: Dtype, threads: usize) -> Result<SelfTest, String> {
    let began = Instant::now();
    let students = [gpt2(), llama()].map(student);
    let (logit_tolerance, loss_tolerance) = tolerances(dtype);
    let logits = |device, dtype| {
        let tokens: Vec<u32> = (0..40).map(|index| index * 37 % 257).collect();
        let mut logits = Vec::new();
        for student in &students {
            let engine = engine(student, device, dtype, threads, 0)?;
            let found = engine.logits(&tokens);
            logits.extend(found.map_err(|error| error.to_string())?);
        }
        Ok::<_, String>(logits)
    };
    let expected = logits(DeviceName::Cpu, Dtype::F32)?;
    let logit_difference = furthest(&expected, &logits(device, dtype)?);
    let sampled = |batch| {
        let sample = |student| {
            let engine = engine(student, device, dtype, threads, batch)?;
            sample(&engine, &student.vocabulary)
        };
        students.iter().map(sample).collect::<Result<Vec<_>, _>>()
    };
    let sampling_repeats = sampled(0)? == sampled(7)?;
    let (mut loss_difference, mut training_repeats) = (None, None);
    if device != DeviceName::Cpu || dtype == Dtype::F32 {
        let all = |device, dtype| {
            let trained = |student| trained(student, device, dtype, threads);
            students.iter().map(trained).collect::<Result<Vec<_>, _>>()
        };
        let losses = |trained: &[(Vec<f64>, Weights)]| {
            let losses = trained.iter().map(|(losses, _)| losses.as_slice());
            losses.collect::<Vec<_>>().concat()
        };
        let expected = losses(&all(DeviceName::Cpu, Dtype::F32)?);
        let found = all(device, dtype)?;
        loss_difference = Some(furthest(&losses(&found), &expected));
        training_repeats = Some(all(device, dtype)? == found);
    }
    Ok(SelfTest {
        logit_difference,
        logit_tolerance,
        loss_difference,
        loss_tolerance,
        sampling_repeats,
        training_repeats,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn gpt2() -> Architecture {
    let gpt2 = Gpt2 {
        vocab_rows: TOKENS,
        context: 128,
        width: 64,
        layers: 2,
        heads: 4,
    };
    gpt2.into()
}

fn llama() -> Architecture {
    let config = json!({
        "model_type": "llama",
        "vocab_size": TOKENS,
        "max_position_embeddings": 128,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "intermediate_size": 96,
    });
    let config = config.to_string();
    let read = Architecture::parse(config.as_bytes(), Path::new("config.json"));
    let mut architecture = read.expect("it is a Llama");
    for block in &mut architecture.attention.pattern {
        block.window = Some(WINDOW);
    }
    architecture
}

fn student(mut architecture: Architecture) -> Student {
    let mut weights = Weights::init(&architecture, 1);
    for array in weights.arrays.values_mut() {
        if array.shape.len() > 1 {
            array.data.iter_mut().for_each(|value| *value *= SPREAD);
        }
    }
    let tokenizer = StudentTokenizer::train(std::iter::empty(), TOKENS)
        .expect("the bytes and end-of-text are a vocabulary");
    architecture.end_of_text = Some(tokenizer.eos_id());
    Student::new(architecture, weights, tokenizer).expect("they are made for one another")
}

fn engine(
    student: &Student,
    device: DeviceName,
    dtype: Dtype,
    threads: usize,
    max_batch: usize,
) -> Result<Inference, String> {
    let options = EngineOptions {
        dtype,
        threads,
        max_batch,
        graphs: true,
    };
    Inference::new(device, &student.architecture, &student.weights, options)
        .map_err(|error| error.to_string())
}

/// Paths of different lengths after prompts of different lengths: tokens, and the log-probabilities' bits.
fn sample(
    engine: &Inference,
    vocabulary: &Vocabulary,
) -> Result<Vec<(u64, Vec<u32>, u64)>, String> {
    let prompts: Vec<Vec<u32>> = (1..6)
        .map(|length| vec![length; 9 * length as usize])
        .collect();
    let drawing = SamplingParams {
        max_new_tokens: 40,
        ..SamplingParams::default()
    };
    let mut paths = Vec::new();
    let outcome = engine.generate(
        GenerationRequest {
            prompts: &prompts,
            candidates: 2,
            params: &drawing,
            vocabulary,
            stop: None,
        },
        &mut |prompt, candidates| {
            let specs = candidates
                .iter()
                .flat_map(|first| (0..4).map(move |draw| (first, draw)));
            specs
                .map(|(first, draw)| {
                    let tag = (prompt * 100) as u64 + u64::from(first.rank) * 10 + draw;
                    SequenceSpec {
                        forced_first: Some(first.token),
                        stream: Digest::of(&tag.to_le_bytes()),
                        tag,
                    }
                })
                .collect()
        },
        &mut |path| paths.push((path.tag, path.tokens, path.log_prob.sum.to_bits())),
        &CancelToken::default(),
    );
    outcome.map_err(|error| error.to_string())?;
    paths.sort();
    Ok(paths)
}

/// A short training: its losses step by step, and the weights at the end.
fn trained(
    student: &Student,
    device: DeviceName,
    dtype: Dtype,
    threads: usize,
) -> Result<(Vec<f64>, Weights), String> {
    let examples: Vec<Example> = (0..4 * STEPS)
        .map(|index| Example {
            tokens: (0..20 + 3 * (index % 7))
                .map(|place| u32::try_from((index * 31 + place * 7) % 256).expect("small"))
                .collect(),
            loss_from: 5,
        })
        .collect();
    let options = TrainOptions {
        epochs: 1,
        batch_size: 4,
        dtype,
        ..TrainOptions::default()
    };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut losses = Vec::new();
    let runtime = TrainRuntime {
        threads,
        device,
        ..TrainRuntime::default()
    };
    let trained = train(
        student.clone(),
        &examples,
        &[],
        &options,
        1,
        folder.path(),
        &runtime,
        &mut |progress| losses.push(progress.loss),
        &CancelToken::default(),
    );
    let trained = trained.map_err(|error| error.to_string())?;
    Ok((losses, trained.weights))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Arithmetic;

    #[test]
    fn a_device_that_answers_no_number_does_not_pass() {
        let good = self_test(DeviceName::Cpu, Dtype::F32, 2).unwrap();
        assert!(good.passed(), "{good:?}");
        for bad in [f64::NAN, f64::INFINITY, 1.0] {
            let logits = SelfTest {
                logit_difference: bad,
                ..good.clone()
            };
            let losses = SelfTest {
                loss_difference: Some(bad),
                ..good.clone()
            };
            assert!(!logits.passed() && !losses.passed(), "{bad}");
        }
    }

    /// `flex` in every build; what `SERT_TEST_DEVICES` names besides.
    fn devices() -> Vec<DeviceName> {
        let named = std::env::var("SERT_TEST_DEVICES").unwrap_or_default();
        let named = named.split(',').filter(|name| !name.is_empty());
        let named = named.map(|name| name.parse().unwrap());
        [DeviceName::Cpu, DeviceName::Flex]
            .into_iter()
            .chain(named)
            .collect()
    }

    #[test]
    fn every_device_computes_what_the_cpu_does_and_the_same_each_time() {
        for device in devices() {
            let found = self_test(device, device.single(), 2).unwrap();
            eprintln!("{device}: {found:?}");
            assert!(found.passed(), "{device}: {found:?}");
            assert_eq!(found.training_repeats, Some(true), "{device}: {found:?}");
        }
    }

    #[test]
    fn other_number_formats_stay_near() {
        for dtype in [Dtype::Bf16, Dtype::F16] {
            self_test(DeviceName::Cpu, dtype, 2).unwrap();
        }
        let int8 = self_test(DeviceName::Cpu, Dtype::Int8, 2).unwrap();
        assert!(int8.passed() && int8.logit_difference > 1e-3, "{int8:?}");
        for device in devices() {
            for dtype in [Dtype::Bf16, Dtype::F16, Dtype::Int8] {
                match self_test(device, dtype, 2) {
                    Ok(found) => {
                        eprintln!("{device} {dtype}: {found:?}");
                        assert!(found.passed(), "{device} {dtype}: {found:?}");
                        // And differ: the number format is used.
                        assert!(found.logit_difference > 1e-4, "{device} {dtype}: {found:?}");
                    }
                    Err(reason) => {
                        eprintln!("{device} {dtype}: {reason}");
                        assert!(reason.contains("hint: "), "{reason}");
                        // A device that says nothing of its formats beforehand says which one it has not.
                        assert!(
                            !Arithmetic::sample(dtype).may_be_on(device)
                                || reason.contains("dtype"),
                            "{reason}"
                        );
                    }
                }
            }
        }
    }
}
