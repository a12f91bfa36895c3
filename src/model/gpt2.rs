//! GPT-2 as a burn module.
//!
//! In: [`Weights`] and a device. Out: logits, on any burn device, by its stock operations. Source: Radford et al. 2019; HF transformers, `modeling_gpt2.py`.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};

use super::config::Gpt2Config;
use super::weights::{Array, Weights};

/// The model. The head is tied to the token embedding.
#[derive(Module, Debug)]
pub struct Gpt2 {
    wte: Param<Tensor<2>>,
    wpe: Param<Tensor<2>>,
    h: Vec<Block>,
    ln_f: Affine<1>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    epsilon: f64,
}

#[derive(Module, Debug)]
struct Block {
    ln_1: Affine<1>,
    c_attn: Affine<2>,
    attn_c_proj: Affine<2>,
    ln_2: Affine<1>,
    c_fc: Affine<2>,
    mlp_c_proj: Affine<2>,
}

/// A weight of `D` dimensions and its bias.
#[derive(Module, Debug)]
struct Affine<const D: usize> {
    weight: Param<Tensor<D>>,
    bias: Param<Tensor<1>>,
}

impl Gpt2 {
    /// The model with these weights.
    ///
    /// # Panics
    /// `weights` has not passed [`Weights::check`] for `config`.
    pub fn new(config: &Gpt2Config, weights: &Weights, device: &Device) -> Self {
        let block = |layer: usize| {
            let name = |part: &str| format!("h.{layer}.{part}");
            Block {
                ln_1: affine(weights, &name("ln_1"), device),
                c_attn: affine(weights, &name("attn.c_attn"), device),
                attn_c_proj: affine(weights, &name("attn.c_proj"), device),
                ln_2: affine(weights, &name("ln_2"), device),
                c_fc: affine(weights, &name("mlp.c_fc"), device),
                mlp_c_proj: affine(weights, &name("mlp.c_proj"), device),
            }
        };
        Self {
            wte: parameter(weights, "wte.weight", device),
            wpe: parameter(weights, "wpe.weight", device),
            h: (0..config.n_layer).map(block).collect(),
            ln_f: affine(weights, "ln_f", device),
            heads: config.n_head,
            epsilon: config.layer_norm_epsilon,
        }
    }

    /// The weights, as [`Gpt2::new`] takes them.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        self.visit(|name, tensor| {
            weights.arrays.insert(name, tensor.values());
        });
        weights
    }

    /// Logits of the token after each; no dropout.
    ///
    /// # Shapes
    /// `tokens` `[batch, length]` to `[batch, length, vocabulary]`. Row `i` sees tokens `0..=i` alone, so shorter
    /// sequences may be padded on the right with any token.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [batch, length] = tokens.dims();
        let hidden = self.hidden(tokens);
        let embedding = self.wte.val();
        let [vocabulary, _] = embedding.dims();
        let width = self.wpe.dims()[1];
        hidden
            .reshape([batch * length, width])
            .matmul(embedding.transpose())
            .reshape([batch, length, vocabulary])
    }

    /// Hidden states after the last layer norm.
    ///
    /// # Shapes
    /// `tokens` `[batch, length]` to `[batch, length, width]`.
    fn hidden(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [batch, length] = tokens.dims();
        let [_, width] = self.wpe.dims();
        let positions = self.wpe.val().slice([0..length]);
        let embedded = self.wte.val().select(0, tokens.reshape([batch * length]));
        let mut x = embedded.reshape([batch, length, width]) + positions.unsqueeze();
        for block in &self.h {
            let normed = block.ln_1.layer_norm(x.clone(), self.epsilon);
            let mixed = attention(&block.c_attn.linear(normed), self.heads);
            x = x + block.attn_c_proj.linear(mixed);
            let normed = block.ln_2.layer_norm(x.clone(), self.epsilon);
            let inner = activation::gelu_approximate(block.c_fc.linear(normed));
            x = x + block.mlp_c_proj.linear(inner);
        }
        self.ln_f.layer_norm(x, self.epsilon)
    }

    /// Calls `visit` for each parameter with the name that the Hub gives it.
    fn visit(&self, mut visit: impl FnMut(String, &dyn Values)) {
        visit("wte.weight".to_owned(), &self.wte);
        visit("wpe.weight".to_owned(), &self.wpe);
        for (layer, block) in self.h.iter().enumerate() {
            for (name, affine) in [("ln_1", &block.ln_1), ("ln_2", &block.ln_2)] {
                affine.visit(&format!("h.{layer}.{name}"), &mut visit);
            }
            for (name, affine) in [
                ("attn.c_attn", &block.c_attn),
                ("attn.c_proj", &block.attn_c_proj),
                ("mlp.c_fc", &block.c_fc),
                ("mlp.c_proj", &block.mlp_c_proj),
            ] {
                affine.visit(&format!("h.{layer}.{name}"), &mut visit);
            }
        }
        self.ln_f.visit("ln_f", &mut visit);
    }
}

impl<const D: usize> Affine<D> {
    fn visit(&self, name: &str, visit: &mut impl FnMut(String, &dyn Values)) {
        visit(format!("{name}.weight"), &self.weight);
        visit(format!("{name}.bias"), &self.bias);
    }
}

impl Affine<1> {
    fn layer_norm(&self, x: Tensor<3>, epsilon: f64) -> Tensor<3> {
        let centred = x.clone() - x.mean_dim(2);
        let variance = (centred.clone() * centred.clone()).mean_dim(2);
        centred / (variance + epsilon).sqrt() * self.weight.val().unsqueeze()
            + self.bias.val().unsqueeze()
    }
}

impl Affine<2> {
    fn linear(&self, x: Tensor<3>) -> Tensor<3> {
        x.matmul(self.weight.val().unsqueeze()) + self.bias.val().unsqueeze()
    }
}

/// Causal attention. `qkv` `[batch, length, 3 * width]` to `[batch, length, width]`.
fn attention(qkv: &Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, length, columns] = qkv.dims();
    let width = columns / 3;
    let part = |index: usize| {
        let columns = index * width..(index + 1) * width;
        let part = qkv.clone().slice([0..batch, 0..length, columns]);
        part.reshape([batch, length, heads, width / heads])
            .swap_dims(1, 2)
    };
    let (query, key, value) = (part(0), part(1), part(2));
    let scores = query.matmul(key.swap_dims(2, 3)) / ((width / heads) as f64).sqrt();
    let future = Tensor::<2, Bool>::tril_mask([length, length], 0, &qkv.device());
    let scores = scores.mask_fill(future.unsqueeze(), f32::NEG_INFINITY);
    activation::softmax(scores, 3)
        .matmul(value)
        .swap_dims(1, 2)
        .reshape([batch, length, width])
}

/// A parameter of any rank, as an array.
trait Values {
    fn values(&self) -> Array;
}

impl<const D: usize> Values for Param<Tensor<D>> {
    fn values(&self) -> Array {
        array(self.val())
    }
}

fn array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().to_vec();
    let data = tensor
        .into_data()
        .try_into_vec()
        .expect("parameters are f32");
    Array { shape, data }
}

fn affine<const D: usize>(weights: &Weights, name: &str, device: &Device) -> Affine<D> {
    Affine {
        weight: parameter(weights, &format!("{name}.weight"), device),
        bias: parameter(weights, &format!("{name}.bias"), device),
    }
}

fn parameter<const D: usize>(weights: &Weights, name: &str, device: &Device) -> Param<Tensor<D>> {
    let array = weights
        .get(name)
        .expect("the weights were checked against the config");
    Param::from_data(
        TensorData::new(array.data.clone(), array.shape.clone()),
        device,
    )
}
