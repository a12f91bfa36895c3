//! What an architecture is, in words.

use std::fmt::Write as _;

use crate::model::Architecture;
use crate::model::architecture::{
    Activation, FeedForwardKind, NormKind, Placement, Positions, QueryKeyNorm, Rotary,
    RotaryScaling,
};

pub(super) fn feed_forward(architecture: &Architecture) -> String {
    let (activation, gated) = match architecture.feed_forward.kind {
        FeedForwardKind::Plain(activation) => (activation, ""),
        FeedForwardKind::Gated(activation) => (activation, ", gated"),
    };
    let activation = match activation {
        Activation::Gelu => "GELU",
        Activation::GeluTanh => "GELU by tanh",
        Activation::Silu => "SiLU",
    };
    let beside = if architecture.parallel {
        ", beside attention"
    } else {
        ""
    };
    format!(
        "{} wide, {activation}{gated}{beside}",
        architecture.feed_forward.inner
    )
}

pub(super) fn norms(architecture: &Architecture) -> String {
    let kind = match architecture.norm.kind {
        NormKind::Layer => "layer norm",
        NormKind::Rms { .. } => "RMS norm",
    };
    let place = match architecture.norm.placement {
        Placement { before, after } if before && after => "before and after each half",
        Placement { after: true, .. } => "after each half",
        Placement { .. } => "before each half",
    };
    let of_heads = match architecture.attention.query_key_norm {
        None => "",
        Some(QueryKeyNorm::Head) => "; of queries and keys by head",
        Some(QueryKeyNorm::All) => "; of all queries and all keys",
    };
    format!("{kind} {place}{of_heads}")
}

pub(super) fn positions(architecture: &Architecture) -> String {
    if architecture.positions == Positions::Learned {
        return "learned".to_owned();
    }
    let blocks = (0..architecture.layers).map(|layer| architecture.block_attention(layer));
    let mut kinds: Vec<(Option<Rotary>, usize)> = Vec::new();
    let mut windows = Vec::new();
    for block in blocks {
        match kinds.iter_mut().find(|(kind, _)| *kind == block.rotary) {
            Some((_, layers)) => *layers += 1,
            None => kinds.push((block.rotary, 1)),
        }
        windows.extend(block.window);
    }
    let several = kinds.len() > 1;
    let kinds = kinds.into_iter().map(|(kind, layers)| {
        let text = kind.map_or("none".to_owned(), |kind| rotary(kind, architecture));
        if several {
            format!(
                "{text} in {layers} layer{}",
                if layers == 1 { "" } else { "s" }
            )
        } else {
            text
        }
    });
    let mut text = kinds.collect::<Vec<_>>().join("; ");
    if let Some(window) = windows.first() {
        let _ = write!(
            text,
            "; a window of {window} tokens in {} layers",
            windows.len()
        );
    }
    text
}

fn rotary(rotary: Rotary, architecture: &Architecture) -> String {
    let mut text = format!("rotary, base {}", rotary.theta);
    if rotary.width < architecture.heads.width {
        let _ = write!(text, ", of the first {} values of a head", rotary.width);
    }
    let scaling = match rotary.scaling {
        RotaryScaling::None => return text,
        RotaryScaling::Linear { factor } => ("linear", factor),
        RotaryScaling::Llama3 { factor, .. } => ("llama3", factor),
        RotaryScaling::Yarn { factor, .. } => ("yarn", factor),
    };
    let _ = write!(text, ", scaled by {} ({})", scaling.1, scaling.0);
    text
}

/// What numbers are changed by beside the linear maps and norms; `None` where nothing is.
pub(super) fn scales(architecture: &Architecture) -> Option<String> {
    let mut says = Vec::new();
    #[expect(clippy::float_cmp, reason = "1 is written, not computed")]
    if architecture.embedding_scale != 1.0 {
        says.push(format!(
            "embeddings times {:.4}",
            architecture.embedding_scale
        ));
    }
    if let Some(scale) = architecture.attention.scale {
        says.push(format!("attention's scores times {scale:.4}"));
    }
    if let Some(cap) = architecture.attention.score_cap {
        says.push(format!("attention's scores soft-capped at {cap}"));
    }
    if let Some(cap) = architecture.logit_cap {
        says.push(format!("logits soft-capped at {cap}"));
    }
    (!says.is_empty()).then(|| says.join("; "))
}
