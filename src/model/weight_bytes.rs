//! How much memory the CPU's engine holds a model's weights in.

use super::Dtype;
use super::architecture::{Architecture, Output, Part, Role};

/// Bytes of the packed weights: the format's width of what rows are multiplied with, and of a token embedding that is an
/// array of its own where they are 16 bits; four of everything else. Padding and int8's scales are not counted. For numbers
/// that are not checked yet, too.
pub fn weight_bytes(architecture: &Architecture, dtype: Dtype) -> u64 {
    let (multiplied, looked_up) = match dtype {
        Dtype::F32 | Dtype::Tf32 => (4, 4),
        Dtype::Bf16 | Dtype::F16 => (2, 2),
        Dtype::Int8 => (1, 4),
    };
    let bytes = architecture
        .parameters_by_part()
        .into_iter()
        .map(|(role, part, parameters)| {
            let width = match (role, part) {
                _ if is_multiplied(architecture, role, part) => multiplied,
                (Role::TokenEmbedding, Part::Weight) => looked_up,
                _ => 4,
            };
            parameters.saturating_mul(width)
        });
    let bytes = bytes.fold(0, u128::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Whether it is a matrix of a product.
fn is_multiplied(architecture: &Architecture, role: Role, part: Part) -> bool {
    let matrix = match role {
        Role::QueryKeyValue | Role::AttentionOut | Role::Up | Role::Down | Role::Output => true,
        Role::TokenEmbedding => architecture.output == Output::Tied,
        _ => false,
    };
    matrix && part == Part::Weight
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_each_format_takes_with_and_without_an_output_of_its_own() {
        let config = |tied| {
            let config = format!(
                r#"{{"model_type": "llama", "vocab_size": 100, "max_position_embeddings": 64, "hidden_size": 32,
                "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                "tie_word_embeddings": {tied}, "eos_token_id": 0}}"#
            );
            Architecture::parse(config.as_bytes(), Path::new("config.json")).unwrap()
        };
        // Of each block queries, keys and values, what leaves attention, the gate and what it gates, and down.
        let blocks = 2 * (32 * 64 + 32 * 32 + 32 * 80 + 40 * 32);
        let (norms, embedding) = (5 * 32, 100 * 32);
        for (dtype, multiplied, looked_up) in [
            (Dtype::F32, 4, 4),
            (Dtype::Bf16, 2, 2),
            (Dtype::F16, 2, 2),
            (Dtype::Int8, 1, 4),
        ] {
            let tied = multiplied * (blocks + embedding) + 4 * norms;
            assert_eq!(weight_bytes(&config(true), dtype), tied, "{dtype}");
            let untied = tied + looked_up * embedding;
            assert_eq!(weight_bytes(&config(false), dtype), untied, "{dtype}");
        }
    }
}
