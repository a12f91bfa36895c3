//! Marks for a calculator in worked solutions: `48/2 = <<48/2=24>>24` (GSM8K, Cobbe et al. 2021).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Splits;

/// What becomes of marks for a calculator in worked solutions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Calculator {
    /// They stay.
    #[default]
    Keep,
    /// They go: `48/2 = 24`.
    Drop,
}

impl Calculator {
    /// Whether marks stay, the default, which is not written into a key.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    pub(super) fn is_keep(&self) -> bool {
        *self == Self::Keep
    }

    /// Does so in every solution of `splits`.
    pub(super) fn apply(self, splits: &mut Splits) {
        if self == Self::Keep {
            return;
        }
        let parts = [&mut splits.train, &mut splits.validation, &mut splits.test];
        for rationale in parts
            .into_iter()
            .flatten()
            .filter_map(|q| q.rationale.as_mut())
        {
            *rationale = without_marks(rationale);
        }
    }
}

/// `text` without what stands in `<<...>>` on one line.
fn without_marks(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, mark)) = rest.split_once("<<") {
        left.push_str(before);
        rest = match mark.split_once(">>") {
            Some((inner, after)) if !inner.contains(['\n', '<']) => after,
            // No mark: a shift, or a quotation.
            _ => {
                left.push_str("<<");
                mark
            }
        };
    }
    left + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_what_is_none_stays() {
        for (text, without) in [
            ("48/2 = <<48/2=24>>24 clips", "48/2 = 24 clips"),
            ("<<1+1=2>>2 and <<2*2=4>>4.", "2 and 4."),
            ("1 << 2", "1 << 2"),
            ("a <<b\nc>> d", "a <<b\nc>> d"),
            ("a << b <<1=1>>1", "a << b 1"),
            ("", ""),
        ] {
            assert_eq!(without_marks(text), without);
        }
    }
}
