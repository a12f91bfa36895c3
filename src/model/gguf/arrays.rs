//! A file's tensors as the arrays of a Hub folder: by the Hub's names, and in its layout.
//!
//! llama.cpp keeps some arrays in another way than transformers, and converts as it writes a file. Here each is read back as it was,
//! a piece at a time: Llama's queries and keys with their pairs of a rotation side by side, which the Hub has half a head apart;
//! GPT-NeoX's queries, keys and values one after another, which the Hub has by heads; Gemma's norms with 1 added; and GPT-2's linear
//! maps, which the Hub has with inputs first. Source: llama.cpp's converters from the Hub.

use super::config::GgufFamily;
use super::error::{Fault, GgufError};
use super::file::Gguf;
use super::tensor::TensorInfo;

/// What may lie in a file and is no array of the Hub: [`super::config`] reads the factors.
const NO_ARRAYS: [&str; 1] = ["rope_freqs.weight"];
/// Bytes of values that are held while a map is turned over (ours).
const TURNED: usize = 64 << 10;

/// An array of a Hub folder that a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubArray {
    /// The Hub's name.
    pub name: String,
    /// The Hub's shape.
    pub shape: Vec<usize>,
    tensor: TensorInfo,
    change: Change,
}

/// In what an array differs from its tensor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    None,
    /// Rows of heads of this width: the pairs `2i, 2i + 1` are `i, i + half`.
    Pairs(usize),
    /// Rows of so many heads: all queries, all keys, all values are the three of each head.
    Fused(usize),
    /// 1 was added.
    PlusOne,
    /// Rows are columns.
    Turned,
}

/// The arrays of a file's model, in the file's order.
///
/// # Errors
/// A key that this needs is damaged, or there is a tensor that the family does not have.
pub fn arrays(gguf: &Gguf) -> Result<Vec<HubArray>, GgufError> {
    let family = GgufFamily::of(gguf)?;
    let layers = family.layers(gguf)?;
    let (heads, key_heads) = (family.heads(gguf)?, family.key_heads(gguf)?);
    let tensors = gguf.tensors.values();
    let tensors = tensors.filter(|tensor| !NO_ARRAYS.contains(&tensor.name.as_str()));
    let arrays = tensors.map(|tensor| {
        let refuse = |found: &str, expected: String, hint: &str| {
            let place = format!("tensor `{}`", tensor.name);
            Fault::new(place, found, expected, hint).at(gguf.path())
        };
        let (role, part, name) = hub_name(&tensor.name, family, layers).ok_or_else(|| {
            let expected = format!("a tensor of {}", family.model_type());
            let hint = "the file holds more than this family's models have; take another file of the model";
            refuse("it has no place in this model", expected, hint)
        })?;
        let change = change(family, role, part, tensor, (heads, key_heads));
        let change = change.map_err(|expected| {
            let hint = "do the metadata and the tensors belong together?";
            refuse(&format!("shape {:?}", tensor.shape), expected, hint)
        })?;
        let mut shape = tensor.shape.clone();
        if change == Change::Turned {
            shape.reverse();
        }
        Ok(HubArray {
            name,
            shape,
            tensor: tensor.clone(),
            change,
        })
    });
    arrays.collect()
}

/// What a tensor is, `weight` or `bias`, and the Hub's name.
fn hub_name(name: &str, family: GgufFamily, layers: u64) -> Option<(&str, &str, String)> {
    let (stem, part) = name.rsplit_once('.')?;
    if !["weight", "bias"].contains(&part) {
        return None;
    }
    let known = |role: &str, names: &[(&str, &'static str)]| {
        let found = names.iter().find(|(own, _)| *own == role);
        found.map(|(_, hub)| *hub)
    };
    if let Some(rest) = stem.strip_prefix("blk.") {
        let (layer, role) = rest.split_once('.')?;
        // As it is written: `01` is another name.
        let index: u64 = layer.parse().ok()?;
        if index >= layers || index.to_string() != layer {
            return None;
        }
        let (before, names) = layer_names(family);
        let hub = known(role, names)?;
        return Some((role, part, format!("{before}.{index}.{hub}.{part}")));
    }
    let hub = known(stem, outer_names(family))?;
    Some((stem, part, format!("{hub}.{part}")))
}

type Names = &'static [(&'static str, &'static str)];

fn outer_names(family: GgufFamily) -> Names {
    match family {
        GgufFamily::Gpt2 => &[
            ("token_embd", "transformer.wte"),
            ("position_embd", "transformer.wpe"),
            ("output_norm", "transformer.ln_f"),
            ("output", "lm_head"),
        ],
        GgufFamily::GptNeox => &[
            ("token_embd", "gpt_neox.embed_in"),
            ("output_norm", "gpt_neox.final_layer_norm"),
            ("output", "embed_out"),
        ],
        _ => &[
            ("token_embd", "model.embed_tokens"),
            ("output_norm", "model.norm"),
            ("output", "lm_head"),
        ],
    }
}

/// What stands before a layer's number, and the names after it.
fn layer_names(family: GgufFamily) -> (&'static str, Names) {
    match family {
        GgufFamily::Gpt2 => (
            "transformer.h",
            &[
                ("attn_norm", "ln_1"),
                ("attn_qkv", "attn.c_attn"),
                ("attn_output", "attn.c_proj"),
                ("ffn_norm", "ln_2"),
                ("ffn_up", "mlp.c_fc"),
                ("ffn_down", "mlp.c_proj"),
            ],
        ),
        GgufFamily::GptNeox => (
            "gpt_neox.layers",
            &[
                ("attn_norm", "input_layernorm"),
                ("attn_qkv", "attention.query_key_value"),
                ("attn_output", "attention.dense"),
                ("ffn_norm", "post_attention_layernorm"),
                ("ffn_up", "mlp.dense_h_to_4h"),
                ("ffn_down", "mlp.dense_4h_to_h"),
            ],
        ),
        GgufFamily::Llama | GgufFamily::Qwen2 | GgufFamily::Qwen3 => (
            "model.layers",
            &[
                ("attn_norm", "input_layernorm"),
                ("attn_q", "self_attn.q_proj"),
                ("attn_k", "self_attn.k_proj"),
                ("attn_v", "self_attn.v_proj"),
                ("attn_output", "self_attn.o_proj"),
                ("attn_q_norm", "self_attn.q_norm"),
                ("attn_k_norm", "self_attn.k_norm"),
                ("ffn_norm", "post_attention_layernorm"),
                ("ffn_gate", "mlp.gate_proj"),
                ("ffn_up", "mlp.up_proj"),
                ("ffn_down", "mlp.down_proj"),
            ],
        ),
        GgufFamily::Gemma2 | GgufFamily::Gemma3 | GgufFamily::Olmo2 => (
            "model.layers",
            &[
                ("attn_norm", "input_layernorm"),
                ("attn_q", "self_attn.q_proj"),
                ("attn_k", "self_attn.k_proj"),
                ("attn_v", "self_attn.v_proj"),
                ("attn_output", "self_attn.o_proj"),
                ("attn_q_norm", "self_attn.q_norm"),
                ("attn_k_norm", "self_attn.k_norm"),
                ("post_attention_norm", "post_attention_layernorm"),
                ("ffn_norm", "pre_feedforward_layernorm"),
                ("ffn_gate", "mlp.gate_proj"),
                ("ffn_up", "mlp.up_proj"),
                ("ffn_down", "mlp.down_proj"),
                ("post_ffw_norm", "post_feedforward_layernorm"),
            ],
        ),
    }
}

/// What was done to a tensor, or the shape that this could have been done to.
fn change(
    family: GgufFamily,
    role: &str,
    part: &str,
    tensor: &TensorInfo,
    (heads, key_heads): (u64, u64),
) -> Result<Change, String> {
    let rows = tensor.shape[0];
    let count = |heads: u64| usize::try_from(heads).unwrap_or(usize::MAX);
    let pairs = |heads: u64| {
        let heads = count(heads);
        if rows.is_multiple_of(heads.saturating_mul(2)) {
            Ok(Change::Pairs(rows / heads))
        } else {
            Err(format!("rows of pairs of {heads} heads"))
        }
    };
    match (family, role, part) {
        (GgufFamily::Llama, "attn_q", _) => pairs(heads),
        (GgufFamily::Llama, "attn_k", _) => pairs(key_heads),
        (GgufFamily::GptNeox, "attn_qkv", _) => {
            if rows.is_multiple_of(count(heads).saturating_mul(3)) {
                Ok(Change::Fused(count(heads)))
            } else {
                Err(format!("rows of queries, keys and values of {heads} heads"))
            }
        }
        (GgufFamily::Gemma2 | GgufFamily::Gemma3, role, "weight") if role.ends_with("norm") => {
            Ok(Change::PlusOne)
        }
        (GgufFamily::Gpt2, "attn_qkv" | "attn_output" | "ffn_up" | "ffn_down", "weight") => {
            if tensor.shape.len() == 2 {
                Ok(Change::Turned)
            } else {
                Err("two sizes".to_owned())
            }
        }
        _ => Ok(Change::None),
    }
}

impl HubArray {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.tensor.len()
    }

    /// Whether it has none; no array of a file is so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor that it is made of.
    pub fn tensor(&self) -> &TensorInfo {
        &self.tensor
    }

    /// Values in f32 and in the Hub's order, from `first` on, as many as `into` has room for. Threads may read at once. Of
    /// GPT-2's maps each call reads a part of every column: ask for many rows at once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_at(&self, gguf: &Gguf, first: usize, into: &mut [f32]) -> Result<(), GgufError> {
        let rows = self.tensor.shape[0];
        match self.change {
            Change::None => gguf.read_values(&self.tensor, first, into),
            Change::PlusOne => {
                gguf.read_values(&self.tensor, first, into)?;
                for value in into {
                    *value -= 1.0;
                }
                Ok(())
            }
            Change::Pairs(width) => self.read_rows(gguf, first, into, |row| {
                let (head, within) = (row / width, row % width);
                let half = width / 2;
                head * width + within % half * 2 + within / half
            }),
            Change::Fused(heads) => {
                let width = rows / heads / 3;
                self.read_rows(gguf, first, into, |row| {
                    let (head, within) = (row / (3 * width), row % (3 * width));
                    let (which, within) = (within / width, within % width);
                    (which * heads + head) * width + within
                })
            }
            Change::Turned => self.read_turned(gguf, first, into),
        }
    }

    /// All values. See that there is room for them.
    ///
    /// # Errors
    /// As of [`HubArray::read_at`].
    pub fn read_all(&self, gguf: &Gguf) -> Result<Vec<f32>, GgufError> {
        let mut values = vec![0.0; self.len()];
        self.read_at(gguf, 0, &mut values)?;
        Ok(values)
    }

    /// The same of rows that lie elsewhere in the file.
    fn read_rows(
        &self,
        gguf: &Gguf,
        first: usize,
        into: &mut [f32],
        stored: impl Fn(usize) -> usize,
    ) -> Result<(), GgufError> {
        let width: usize = self.tensor.shape[1..].iter().product();
        let (mut at, mut rest) = (first, into);
        while !rest.is_empty() {
            let (row, column) = (at / width, at % width);
            let count = (width - column).min(rest.len());
            let part = rest.split_off_mut(..count).expect("so many are left");
            gguf.read_values(&self.tensor, stored(row) * width + column, part)?;
            at += count;
        }
        Ok(())
    }

    /// The same where rows are columns.
    fn read_turned(&self, gguf: &Gguf, first: usize, into: &mut [f32]) -> Result<(), GgufError> {
        let (columns, width) = (self.tensor.shape[0], self.tensor.shape[1]);
        // Ours are rows of `columns` values, of which value `c` is value `row` of stored row `c`. A few of ours at a time, so
        // that what is held stays small.
        let last = first + into.len();
        let most = (TURNED / size_of::<f32>()).min(width);
        let mut held = vec![0.0; most];
        let mut begin = first / columns;
        while begin * columns < last {
            let end = last.div_ceil(columns).min(begin + most);
            let held = &mut held[..end - begin];
            for column in 0..columns {
                gguf.read_values(&self.tensor, column * width + begin, held)?;
                for (row, value) in (begin..end).zip(held.iter()) {
                    let at = row * columns + column;
                    if (first..last).contains(&at) {
                        into[at - first] = *value;
                    }
                }
            }
            begin = end;
        }
        Ok(())
    }
}
