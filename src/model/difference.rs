//! In what two students first differ, where their weights are to be put together.

use serde_json::Value;

use super::architecture::Architecture;
use super::student::Student;
use super::tokenizer::StudentTokenizer;
use super::weights::Weights;

impl<W> Student<W> {
    /// In what `other` is first another student than this one but for its weights: what it is, this one's, the other's.
    pub fn difference<V>(&self, other: &Student<V>) -> Option<[String; 3]> {
        architectures(&self.architecture, &other.architecture)
            .or_else(|| tokenizers(&self.tokenizer, &other.tokenizer))
    }
}

/// By all that an architecture prints, so that a choice that is added to it counts too.
fn architectures(one: &Architecture, other: &Architecture) -> Option<[String; 3]> {
    let printed = |architecture: &Architecture| format!("{architecture:#?}");
    let (one, other) = (printed(one), printed(other));
    let said = |line: &str| {
        line.trim()
            .trim_end_matches(['{', '(', ','])
            .trim_end()
            .to_owned()
    };
    let mut lines = one.lines().zip(other.lines());
    let (one, other) = lines.find(|(one, other)| one != other)?;
    Some(["the architecture".to_owned(), said(one), said(other)])
}

fn tokenizers(one: &StudentTokenizer, other: &StudentTokenizer) -> Option<[String; 3]> {
    let differ = |what: &str, of: &dyn Fn(&StudentTokenizer) -> String| {
        let (one, other) = (of(one), of(other));
        (one != other).then(|| [what.to_owned(), one, other])
    };
    if let Some(size) = differ("the vocabulary", &|each| {
        format!("{} tokens", each.vocab_size())
    }) {
        return Some(size);
    }
    let mut tokens = (0_u32..).take(one.vocab_size());
    let token = tokens.find_map(|id| {
        differ(&format!("token {id}"), &|each| match each.token(id) {
            Some(token) => format!("`{token}`"),
            None => "none".to_owned(),
        })
    });
    token
        .or_else(|| differ("the end of text", &|each| format!("`{}`", each.eos_token())))
        .or_else(|| {
            differ("what is put before every text", &|each| {
                format!("{:?}", each.prefix())
            })
        })
        .or_else(|| settings(one.settings()?, other.settings()?))
}

/// The first part of a tokenizer's file that is another.
fn settings(one: Value, other: Value) -> Option<[String; 3]> {
    let (Value::Object(one), Value::Object(other)) = (one, other) else {
        return None;
    };
    let (part, _) = one
        .iter()
        .find(|(part, value)| other.get(*part) != Some(value))?;
    Some([
        format!("the tokenizer's `{part}`"),
        "one".to_owned(),
        "another".to_owned(),
    ])
}

impl Weights {
    /// Moves each value by this share of the way to `other`'s, in f32: shares of 1/2, 1/3, ... in turn make a mean, which of
    /// equal values is that value to the bit.
    ///
    /// # Shapes
    /// `other`: those of these weights.
    pub fn move_towards(&mut self, other: &Self, share: f32) {
        for (id, array) in &mut self.arrays {
            let Some(there) = other.arrays.get(id) else {
                continue;
            };
            for (value, to) in array.data.iter_mut().zip(&there.data) {
                *value += (to - *value) * share;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::Gpt2;

    fn tokenizer(text: &str) -> StudentTokenizer {
        StudentTokenizer::train(std::iter::once(text.repeat(4)), 270).unwrap()
    }

    fn student(width: usize, tokenizer: StudentTokenizer, seed: u64) -> Student {
        let gpt2 = Gpt2 {
            vocab_rows: 280,
            context: 16,
            width,
            layers: 1,
            heads: 2,
        };
        Student::init(gpt2.into(), tokenizer, seed).unwrap()
    }

    #[test]
    fn the_first_difference_is_named() {
        let bees = "bees live in hives ";
        let one = student(4, tokenizer(bees), 1);
        assert_eq!(one.difference(&student(4, tokenizer(bees), 2)), None);
        let wide = one.difference(&student(8, tokenizer(bees), 1)).unwrap();
        assert_eq!(wide, ["the architecture", "width: 4", "width: 8"]);
        let [what, here, there] = one
            .difference(&student(4, tokenizer("owls swim at sea "), 1))
            .unwrap();
        assert!(
            what.starts_with("token ") || what == "the vocabulary",
            "{what}"
        );
        assert_ne!(here, there);
    }

    #[test]
    fn a_mean_is_taken_step_by_step() {
        let bees = tokenizer("bees live ");
        let weights = |seed| student(4, bees.clone(), seed).weights;
        let mut mean = weights(1);
        mean.move_towards(&weights(2), 1.0 / 2.0);
        mean.move_towards(&weights(3), 1.0 / 3.0);
        let of = |seed: u64| {
            weights(seed)
                .arrays
                .into_values()
                .flat_map(|array| array.data)
        };
        let plain = of(1)
            .zip(of(2))
            .zip(of(3))
            .map(|((a, b), c)| (f64::from(a) + f64::from(b) + f64::from(c)) / 3.0);
        for (found, wanted) in mean
            .arrays
            .into_values()
            .flat_map(|array| array.data)
            .zip(plain)
        {
            assert!((f64::from(found) - wanted).abs() < 1e-7, "{found} {wanted}");
        }
        let mut same = weights(1);
        for share in [0.5, 1.0 / 3.0, 0.25] {
            same.move_towards(&weights(1), share);
        }
        assert_eq!(same, weights(1));
    }
}
