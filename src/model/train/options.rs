//! What a manifest can say about training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Dtype, LoraOptions};

/// How a student is trained. Defaults are the paper's where it speaks (arXiv 2502.12744, III-A).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainOptions {
    /// Passes over the training set, 1 to 1000. Default 20 (paper).
    #[schemars(range(min = 1, max = 1000))]
    pub epochs: usize,
    /// Examples in a step, 1 to 4096. Default 8 (paper). The last step of an epoch takes what is left.
    #[schemars(range(min = 1, max = 4096))]
    pub batch_size: usize,
    /// Adam's peak learning rate, above 0 to 1. Default 3e-4 (paper).
    #[schemars(range(min = 1e-9, max = 1.0))]
    pub learning_rate: f64,
    /// How the learning rate goes after the warm-up. Default `constant` (ours; the paper is silent).
    pub schedule: Schedule,
    /// Steps in which the learning rate rises in equal parts from 0 to its peak. Default 0 (ours; the paper is silent).
    pub warmup_steps: usize,
    /// Adam's decay of the first moment, 0 to below 1. Default 0.9 (`PyTorch`'s; the paper says only Adam).
    #[schemars(range(min = 0.0, max = 0.9999))]
    pub adam_beta1: f64,
    /// Adam's decay of the second moment, 0 to below 1. Default 0.999 (`PyTorch`'s; the paper says only Adam).
    #[schemars(range(min = 0.0, max = 0.999_999))]
    pub adam_beta2: f64,
    /// Adam's epsilon, above 0 to 1. Default 1e-8 (`PyTorch`'s; the paper says only Adam).
    #[schemars(range(min = 1e-15, max = 1.0))]
    pub adam_epsilon: f64,
    /// Decoupled weight decay (`AdamW`) of the matrices, 0 to 10; biases and layer norms are never decayed.
    /// Default 0 (ours; the paper is silent).
    #[schemars(range(min = 0.0, max = 10.0))]
    pub weight_decay: f64,
    /// Gradients whose norm over all weights is larger are scaled down to it; absent for none.
    /// Default absent (ours; the paper is silent).
    #[schemars(inner(range(min = 1e-6, max = 1e6)))]
    pub grad_clip: Option<f64>,
    /// Share of elements dropped after the embedding, in the attention weights and at the end of each residual
    /// branch, 0 to 0.9. Default 0.1 (the value in GPT-2's config.json; the paper is silent).
    #[schemars(range(min = 0.0, max = 0.9))]
    pub dropout: f64,
    /// Which tokens the loss counts. Default `completion` (ours; the paper is silent).
    pub loss_mask: LossMask,
    /// Tokens of a training text, 2 or more; what becomes of a longer one `too_long` says (`pretrain` cuts its end off).
    /// Absent, or where it is larger, the model's context length holds. Default absent (ours; the paper is silent).
    #[schemars(inner(range(min = 2)))]
    pub max_length_tokens: Option<usize>,
    /// Number format of weights and products; master weights, loss and Adam's moments are f32 in each. Default `f32`
    /// (ours; the paper is silent). `bf16` and `f16` need a device that has them: the CPU trains in f32; `tf32` is what `cuda`
    /// has for `f32`; `int8` does not train.
    pub dtype: Dtype,
    /// Which weights are the result. Default `last` (the paper names no selection).
    pub keep: Keep,
    /// Steps beyond the epochs: data order and schedule go on over more epochs, of which the last may be cut. No
    /// manifest says a number; a stage takes it from another training.
    #[serde(skip)]
    pub extra_steps: usize,
    /// Train a low-rank adapter and leave the weights. A stage that can says so.
    #[serde(skip)]
    pub lora: Option<LoraOptions>,
}

/// How the learning rate goes after the warm-up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It falls in equal parts to 0 at the end.
    Linear,
    /// It falls along half a cosine to 0 at the end.
    Cosine,
}

/// Which tokens the loss counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossMask {
    /// Those that the model is to write: the reasoning and the answer.
    #[default]
    Completion,
    /// Every token but the first, the question's too.
    All,
}

/// Which weights are the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those after the last epoch.
    #[default]
    Last,
    /// Those of the epoch with the lowest validation loss, the earliest of equals; needs validation examples.
    Best,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch_size: 8,
            learning_rate: 3e-4,
            schedule: Schedule::default(),
            warmup_steps: 0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            weight_decay: 0.0,
            grad_clip: None,
            dropout: 0.1,
            loss_mask: LossMask::default(),
            max_length_tokens: None,
            dtype: Dtype::default(),
            keep: Keep::default(),
            extra_steps: 0,
            lora: None,
        }
    }
}

impl TrainOptions {
    /// Steps in all, on so many examples.
    pub fn steps(&self, examples: usize) -> usize {
        examples.div_ceil(self.batch_size) * self.epochs + self.extra_steps
    }

    /// Tokens of an example at most, for a model of this context length.
    pub fn longest(&self, positions: usize) -> usize {
        self.max_length_tokens
            .map_or(positions, |most| most.min(positions))
    }

    /// The learning rate of `step`, counted from 0, of `total`.
    pub fn learning_rate_at(&self, step: usize, total: usize) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let falling = total.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / falling).min(1.0);
        self.learning_rate
            * match self.schedule {
                Schedule::Constant => 1.0,
                Schedule::Linear => 1.0 - progress,
                Schedule::Cosine => f64::midpoint(1.0, (std::f64::consts::PI * progress).cos()),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_worked_by_hand() {
        let options = |schedule| TrainOptions {
            learning_rate: 1.0,
            warmup_steps: 2,
            schedule,
            ..TrainOptions::default()
        };
        let rates = |schedule| {
            (0..6)
                .map(|step| options(schedule).learning_rate_at(step, 6))
                .collect::<Vec<_>>()
        };
        assert_eq!(rates(Schedule::Constant), [0.5, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(rates(Schedule::Linear), [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]);
        let cosine = rates(Schedule::Cosine);
        assert!(
            (cosine[4] - 0.5).abs() < 1e-12 && (cosine[5] - 0.146_446_609).abs() < 1e-8,
            "{cosine:?}"
        );
    }

    #[test]
    fn an_empty_table_is_the_papers_and_an_unknown_key_is_refused() {
        let options: TrainOptions = toml::from_str("").unwrap();
        assert_eq!((options.epochs, options.batch_size), (20, 8));
        assert!(toml::from_str::<TrainOptions>("epoch = 3").is_err());
        let options: TrainOptions =
            toml::from_str("loss_mask = 'all'\nkeep = 'best'\ngrad_clip = 1.0").unwrap();
        assert_eq!(
            (options.loss_mask, options.keep, options.grad_clip),
            (LossMask::All, Keep::Best, Some(1.0))
        );
    }
}
