//! What a stage is called: its name in the manifest and, in a sweep, the values that tell it from its namesakes.
//!
//! Names are made here, printed here, and what a person writes of them is taken apart here; nobody else reads a name.

use serde::{Serialize, Serializer};

/// A stage's name. It prints as `kept`, or, where points of a sweep have a stage of their own, as
/// `kept[min_tokens=30, seed=1]`. Two names may print alike, where a value has brackets or commas in it, and are two.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StageName {
    base: String,
    coordinates: Vec<Coordinate>,
    /// What it prints.
    text: String,
}

/// A value on an axis of a sweep.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Coordinate {
    /// The axis's short name, for example `min_tokens`.
    pub axis: String,
    /// What tables and figures call the value.
    pub value: String,
}

impl StageName {
    /// The name of the stage `base` with these values.
    pub fn new(base: &str, coordinates: Vec<Coordinate>) -> Self {
        let text = if coordinates.is_empty() {
            base.to_owned()
        } else {
            format!("{base}[{}]", point_text(&coordinates))
        };
        Self {
            base: base.to_owned(),
            coordinates,
            text,
        }
    }

    /// The name in the manifest, which the stages of all points share.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The values that tell it from those of the same base.
    pub(super) fn coordinates(&self) -> &[Coordinate] {
        &self.coordinates
    }

    /// What tells it from those of the same base: `min_tokens=30, seed=1`; empty where there is nothing to tell.
    pub fn point(&self) -> String {
        point_text(&self.coordinates)
    }

    /// As it prints.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// `min_tokens=30, seed=1`.
pub(super) fn point_text(coordinates: &[Coordinate]) -> String {
    let parts = coordinates.iter();
    let parts: Vec<String> = parts
        .map(|at| format!("{}={}", at.axis, at.value))
        .collect();
    parts.join(", ")
}

impl From<&str> for StageName {
    /// The name of a stage that no sweep varies.
    fn from(base: &str) -> Self {
        Self::new(base, Vec::new())
    }
}

impl std::fmt::Display for StageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for StageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The stage and the output that `STAGE` or `STAGE.OUTPUT` names, as a person writes it in a manifest or on the command
/// line; the values in a stage's name may hold dots too.
pub fn split_reference(reference: &str) -> (&str, Option<&str>) {
    let from = reference.rfind(']').unwrap_or(0);
    match reference[from..].find('.') {
        Some(dot) => (&reference[..from + dot], Some(&reference[from + dot + 1..])),
        None => (reference, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(base: &str, values: &[(&str, &str)]) -> StageName {
        let of = |(axis, value): &(&str, &str)| Coordinate {
            axis: (*axis).to_owned(),
            value: (*value).to_owned(),
        };
        StageName::new(base, values.iter().map(of).collect())
    }

    #[test]
    fn names_print_their_values() {
        for (base, values, text, point) in [
            ("kept", &[][..], "kept", ""),
            ("kept", &[("seed", "1")], "kept[seed=1]", "seed=1"),
            (
                "kept",
                &[("kept.min", "0.5"), ("seed", "1")],
                "kept[kept.min=0.5, seed=1]",
                "kept.min=0.5, seed=1",
            ),
        ] {
            let name = name(base, values);
            assert_eq!(
                (name.base(), name.as_str(), &*name.point()),
                (base, text, point)
            );
            assert_eq!(name.to_string(), text);
            assert_eq!(serde_json::to_value(&name).unwrap(), text);
        }
    }

    /// Values are anything that a label may be.
    #[test]
    fn names_that_print_alike_are_two() {
        let (one, two) = (
            name("kept", &[("a", "1, b=2")]),
            name("kept", &[("a", "1"), ("b", "2")]),
        );
        assert_eq!(one.as_str(), two.as_str());
        assert_ne!(one, two);
        assert_eq!(two, two.clone());
    }

    #[test]
    fn references_are_split_behind_the_values() {
        for (reference, stage, output) in [
            ("kept", "kept", None),
            ("kept.funnel", "kept", Some("funnel")),
            ("kept[min=0.5]", "kept[min=0.5]", None),
            (
                "kept[kept.min=0.5, x=1].funnel",
                "kept[kept.min=0.5, x=1]",
                Some("funnel"),
            ),
            ("kept.", "kept", Some("")),
            ("kept.a.b", "kept", Some("a.b")),
            ("", "", None),
        ] {
            assert_eq!(split_reference(reference), (stage, output), "{reference}");
        }
    }
}
