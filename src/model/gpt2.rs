//! GPT-2 as a burn module.
//!
//! In: [`Weights`] and a device. Out: logits, on any burn device; on the CPU with autodiff the fused kernels of
//! `model::ops` do the work. Source: Radford et al. 2019; HF transformers, `modeling_gpt2.py`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};

use super::config::Gpt2Config;
use super::dropout::Dropout;
use super::ops::attention::attention;
use super::ops::gelu::gelu;
use super::ops::layer_norm::layer_norm;
use super::ops::linear::linear;
use super::rows::Spans;
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

/// Places of dropout masks: the embedding's, then three in each block.
const EMBEDDING_SITE: u32 = 0;
const SITES_IN_BLOCK: u32 = 3;

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
        let spans = Spans::new(std::iter::repeat_n(length, batch));
        let hidden = self.hidden(tokens.reshape([batch * length]), &spans, None);
        let embedding = self.wte.val();
        let [vocabulary, _] = embedding.dims();
        hidden
            .matmul(embedding.transpose())
            .reshape([batch, length, vocabulary])
    }

    /// Hidden states after the last layer norm.
    ///
    /// # Shapes
    /// `tokens` `[rows]`, the sequences of `spans` end to end; to `[rows, width]`.
    pub(crate) fn hidden(
        &self,
        tokens: Tensor<1, Int>,
        spans: &Spans,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let device = tokens.device();
        let positions = spans
            .positions()
            .into_iter()
            .map(|position| i64::try_from(position).expect("positions fit"))
            .collect();
        let positions = TensorData::new::<i64, _>(positions, [spans.rows()]);
        let positions = Tensor::<1, Int>::from_data(positions, &device);
        let embedded = self.wte.val().select(0, tokens) + self.wpe.val().select(0, positions);
        let mut x = drop_out(embedded, EMBEDDING_SITE, spans, dropout);
        let mut site = EMBEDDING_SITE + 1;
        for block in &self.h {
            let normed = block.ln_1.layer_norm(x.clone(), self.epsilon);
            let qkv = block.c_attn.linear(normed);
            let mixed = attention(
                &qkv,
                spans,
                self.heads,
                dropout.map(|dropout| (dropout, site)),
            );
            x = x + drop_out(block.attn_c_proj.linear(mixed), site + 1, spans, dropout);
            let normed = block.ln_2.layer_norm(x.clone(), self.epsilon);
            let inner = gelu(block.c_fc.linear(normed));
            x = x + drop_out(block.mlp_c_proj.linear(inner), site + 2, spans, dropout);
            site += SITES_IN_BLOCK;
        }
        self.ln_f.layer_norm(x, self.epsilon)
    }

    /// The token embedding, which is also the head.
    ///
    /// # Shapes
    /// `[vocabulary, width]`.
    pub(crate) fn embedding(&self) -> Tensor<2> {
        self.wte.val()
    }

    /// The gradients of all weights, by the weights' names; zeros where none came.
    pub(crate) fn gradients(&self, gradients: &mut Gradients) -> Weights {
        let mut weights = Weights::default();
        self.visit(|name, tensor| {
            weights.arrays.insert(name, tensor.gradient(gradients));
        });
        weights
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
    fn layer_norm(&self, x: Tensor<2>, epsilon: f64) -> Tensor<2> {
        layer_norm(x, self.weight.val(), self.bias.val(), epsilon)
    }
}

impl Affine<2> {
    fn linear(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.weight.val(), self.bias.val())
    }
}

/// A parameter of any rank, as an array.
trait Values {
    fn values(&self) -> Array;
    fn gradient(&self, gradients: &mut Gradients) -> Array;
}

impl<const D: usize> Values for Param<Tensor<D>> {
    fn values(&self) -> Array {
        array(self.val())
    }

    fn gradient(&self, gradients: &mut Gradients) -> Array {
        let tensor = self.val();
        tensor
            .grad_remove(gradients)
            .map_or_else(|| Array::full(&tensor.dims(), 0.0), array)
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

fn drop_out(x: Tensor<2>, site: u32, spans: &Spans, dropout: Option<Dropout>) -> Tensor<2> {
    let Some(dropout) = dropout else { return x };
    let [rows, width] = x.dims();
    let mut mask = vec![0.0; rows * width];
    dropout.fill_rows(site, spans, width, &mut mask);
    let mask = Tensor::from_data(TensorData::new(mask, [rows, width]), &x.device());
    x * mask
}
