//! Whether the numbers of an architecture go together.

use super::{Architecture, Rotary};
use crate::model::ModelError;

/// The largest number of each kind that is believed (ours): products of a few of them can be counted.
pub(super) const MOST: usize = 1 << 24;
/// The most parameters that are (ours), a hundred times the largest models of 2026.
pub(super) const MOST_PARAMETERS: u128 = 1_000_000_000_000_000;

/// Checks that the numbers go together.
///
/// # Errors
/// The first that does not.
pub(super) fn check(architecture: &Architecture) -> Result<(), ModelError> {
    let keys = architecture.family.keys();
    let (layers, heads) = (architecture.layers, architecture.heads);
    let sizes = [
        ("vocab_size", architecture.vocab_rows),
        ("max_position_embeddings", architecture.context),
        (keys.width, architecture.width),
        (keys.layers, layers),
        (keys.inner, architecture.feed_forward.inner),
        ("num_attention_heads", heads.query),
        ("num_key_value_heads", heads.key),
        ("head_dim", heads.width),
    ];
    let bad = |says: String| Err(ModelError::BadShape(says));
    if let Some((key, _)) = sizes.iter().find(|(_, value)| *value == 0) {
        return bad(format!("`{key}` is 0, accepted: 1 or more"));
    }
    if let Some((key, value)) = sizes.iter().find(|(_, value)| *value > MOST) {
        return bad(format!("`{key}` is {value}, accepted: up to {MOST}"));
    }
    let parameters = architecture.parameters();
    if parameters > MOST_PARAMETERS {
        return bad(format!(
            "`{}` {layers}, `{}` {} and `vocab_size` {} make a model of {:.1e} parameters, accepted: up to {:.0e}",
            keys.layers,
            keys.width,
            architecture.width,
            architecture.vocab_rows,
            parameters as f64,
            MOST_PARAMETERS as f64
        ));
    }
    if heads.query % heads.key != 0 {
        return bad(format!(
            "`num_attention_heads` {} is not a multiple of `num_key_value_heads` {}",
            heads.query, heads.key
        ));
    }
    let epsilon = architecture.norm.epsilon;
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return bad(format!(
            "the norms' epsilon is {epsilon}, accepted: 0 or more"
        ));
    }
    for block in &architecture.attention.pattern {
        if block.window == Some(0) {
            return bad("`sliding_window` is 0, accepted: 1 or more".to_owned());
        }
        if let Some(Rotary { theta, width, .. }) = block.rotary {
            if !(theta.is_finite() && theta > 1.0) {
                return bad(format!("`rope_theta` is {theta}, accepted: above 1"));
            }
            if width == 0 || width % 2 != 0 || width > heads.width {
                return bad(format!(
                    "rotary positions turn {width} values of a head of {}, accepted: an even number up to that",
                    heads.width
                ));
            }
        }
    }
    let ends = architecture.end_of_text.iter().chain(&architecture.ends);
    for end in ends {
        if *end as usize >= architecture.vocab_rows {
            return bad(format!(
                "`eos_token_id` {end} is outside the vocabulary of {}",
                architecture.vocab_rows
            ));
        }
    }
    Ok(())
}
