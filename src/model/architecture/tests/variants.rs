//! For tests: small random models, which together have every choice of an [`Architecture`], in odd shapes. Each is what one
//! family does.

use super::*;

/// Each by the name of a family.
pub(in crate::model) fn variants() -> Vec<(&'static str, Architecture)> {
    let llama = Architecture {
        family: &Renamed,
        vocab_rows: 263,
        context: 256,
        width: 20,
        layers: 3,
        heads: Heads {
            query: 6,
            key: 2,
            width: 6,
        },
        positions: Positions::Rotary,
        embedding_scale: 1.0,
        attention: Attention {
            scale: None,
            score_cap: None,
            query_key_norm: None,
            pattern: vec![everywhere(RotaryScaling::None)],
        },
        norm: Norm {
            kind: NormKind::Rms { plus_one: false },
            placement: Placement {
                before: true,
                after: false,
            },
            epsilon: 1e-5,
        },
        parallel: false,
        biases: Biases::NONE,
        feed_forward: FeedForward {
            kind: FeedForwardKind::Gated(Activation::Silu),
            inner: 34,
        },
        output: Output::Separate,
        logit_cap: None,
        end_of_text: None,
        ends: Vec::new(),
        config: Map::new(),
    };
    let with = |change: &dyn Fn(&mut Architecture)| {
        let mut architecture = llama.clone();
        change(&mut architecture);
        architecture
    };
    vec![
        ("llama", llama.clone()),
        (
            "llama 3",
            with(&|it| {
                it.attention.pattern = vec![everywhere(RotaryScaling::Llama3 {
                    factor: 8.0,
                    low_frequency: 1.0,
                    high_frequency: 4.0,
                    context: 64,
                })];
                it.output = Output::Tied;
            }),
        ),
        (
            "mistral",
            with(&|it| it.attention.pattern[0].window = Some(11)),
        ),
        (
            "qwen 2",
            with(&|it| {
                it.biases.query_key_value = true;
                it.attention.pattern = vec![everywhere(RotaryScaling::Yarn {
                    factor: 4.0,
                    fast: 32.0,
                    slow: 1.0,
                    context: 64,
                    attention_factor: 1.138,
                    truncate: true,
                })];
            }),
        ),
        (
            "qwen 3",
            with(&|it| it.attention.query_key_norm = Some(QueryKeyNorm::Head)),
        ),
        (
            "smollm 3",
            with(&|it| {
                it.output = Output::Tied;
                it.attention.pattern.push(BlockAttention::default());
            }),
        ),
        (
            "olmo 2",
            with(&|it| {
                it.norm.placement = Placement {
                    before: false,
                    after: true,
                };
                it.attention.query_key_norm = Some(QueryKeyNorm::All);
            }),
        ),
        (
            "gemma 2",
            with(&|it| {
                gemma(it);
                it.attention.score_cap = Some(5.0);
                it.logit_cap = Some(9.0);
                it.attention.pattern.insert(
                    0,
                    BlockAttention {
                        window: Some(13),
                        ..everywhere(RotaryScaling::None)
                    },
                );
            }),
        ),
        (
            "gemma 3",
            with(&|it| {
                gemma(it);
                it.heads.key = 1;
                it.attention.query_key_norm = Some(QueryKeyNorm::Head);
                let near = BlockAttention {
                    window: Some(9),
                    ..everywhere(RotaryScaling::None)
                };
                let mut far = everywhere(RotaryScaling::Linear { factor: 8.0 });
                far.rotary.as_mut().unwrap().theta = 1e6;
                it.attention.pattern = vec![near, near, far];
            }),
        ),
        (
            "gpt-neox",
            with(&|it| {
                it.heads.key = it.heads.query;
                it.norm.kind = NormKind::Layer;
                it.parallel = true;
                it.biases = Biases::ALL;
                it.feed_forward.kind = FeedForwardKind::Plain(Activation::Gelu);
                it.attention.pattern[0].rotary.as_mut().unwrap().width = 4;
            }),
        ),
    ]
}

/// What Gemma 2 and 3 share.
fn gemma(it: &mut Architecture) {
    it.norm.kind = NormKind::Rms { plus_one: true };
    it.norm.placement.after = true;
    it.feed_forward.kind = FeedForwardKind::Gated(Activation::GeluTanh);
    it.output = Output::Tied;
    it.embedding_scale = 20.0_f64.sqrt();
    it.attention.scale = Some(0.3);
}

/// Attention to the whole past, turned in whole heads.
fn everywhere(scaling: RotaryScaling) -> BlockAttention {
    BlockAttention {
        window: None,
        rotary: Some(Rotary {
            theta: 10_000.0,
            width: 6,
            scaling,
        }),
    }
}

impl Weights {
    /// Far from uniform, and nothing neutral: fresh matrices times `spread`, norms' weights around what they are when
    /// fresh, biases around 0.
    pub(in crate::model) fn spread(architecture: &Architecture, seed: u64, spread: f32) -> Self {
        let mut weights = Self::init(architecture, seed);
        for (place, array) in weights.arrays.values_mut().enumerate() {
            let matrix = array.shape.len() > 1;
            for (index, value) in array.data.iter_mut().enumerate() {
                let phase = f32::from(u16::try_from(index * 37 + place * 11).unwrap_or(7));
                if matrix {
                    *value *= spread;
                } else {
                    *value += 0.3 * phase.sin();
                }
            }
        }
        weights
    }
}
