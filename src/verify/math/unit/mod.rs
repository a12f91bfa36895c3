//! Units of measurement: what stands behind a number, as a factor and its dimensions.

mod sign;
mod table;

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::{One, Pow, ToPrimitive};

use super::token::{Token, What};
pub(super) use sign::cased;
use table::{first_names, from_table};

/// Units in one at most (ours).
const MOST_FACTORS: usize = 8;

/// A unit: that many of the base units of its dimensions.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Unit {
    pub(super) factor: BigRational,
    /// The power of each dimension; what is counted (`apple`) is one of its own.
    pub(super) dimensions: BTreeMap<String, i32>,
    /// Whether all of its words are in the table.
    pub(super) known: bool,
}

/// Words that make another number of the one before them, or none: nothing is read that they stand in.
const CHANGING: [&str; 25] = [
    "dozen",
    "dozens",
    "score",
    "gross",
    "pair",
    "pairs",
    "couple",
    "half",
    "halves",
    "quarter",
    "quarters",
    "third",
    "thirds",
    "squared",
    "cubed",
    "times",
    "factorial",
    "st",
    "nd",
    "rd",
    "th",
    "more",
    "less",
    "plus",
    "minus",
];
/// Words that part, deny or explain, and so are no part of what is counted.
const PARTING: [&str; 24] = [
    "or", "and", "but", "because", "since", "if", "when", "while", "is", "are", "was", "not",
    "than", "to", "by", "of", "from", "for", "as", "with", "that", "which", "so", "only",
];

/// Whether `word` is in the table, so that it is a unit wherever it stands behind a number.
pub(super) fn is_known(word: &str) -> bool {
    from_table(word).is_some()
}

/// The sign of the currency that letters before a number name.
pub(super) fn sign_of(word: &str) -> Option<char> {
    Some(match word.to_lowercase().as_str() {
        "usd" => '$',
        "eur" => '\u{20ac}',
        "gbp" => '\u{a3}',
        "inr" | "rs" => '\u{20b9}',
        _ => return None,
    })
}

impl Unit {
    /// The unit of nothing.
    fn none() -> Self {
        Self {
            factor: BigRational::one(),
            dimensions: BTreeMap::new(),
            known: true,
        }
    }

    /// The unit that the sign of a currency is.
    pub(super) fn currency(sign: char) -> Option<Self> {
        matches!(sign, '$' | '\u{20ac}' | '\u{a3}' | '\u{a5}' | '\u{20b9}')
            .then(|| from_table(&sign.to_string()))?
    }

    fn times(mut self, other: &Self, power: i32) -> Self {
        self.factor *= Pow::pow(other.factor.clone(), power);
        self.known &= other.known;
        for (name, count) in &other.dimensions {
            let sum = self.dimensions.remove(name).unwrap_or(0) + count * power;
            if sum != 0 {
                self.dimensions.insert(name.clone(), sum);
            }
        }
        self
    }

    /// Whether it is an ounce, by which weights and volumes are told.
    pub(super) fn is_ounce(&self) -> bool {
        from_table("oz").is_some_and(|ounce| *self == ounce)
    }

    /// Whether it is the third power of a length.
    pub(super) fn is_volume(&self) -> bool {
        self.dimensions.len() == 1 && self.dimensions.get("length") == Some(&3)
    }

    /// Whether it is this one dimension.
    pub(super) fn is(&self, dimension: &str) -> bool {
        self.dimensions.len() == 1 && self.dimensions.get(dimension) == Some(&1)
    }

    /// The unit that all of `tokens` is, or what they say is counted.
    pub(super) fn read(tokens: &[Token]) -> Option<Self> {
        let mut found = Self::none();
        // `/s` and `1/s` are units too.
        let one_above = matches!(
            tokens,
            [Token { what: What::Number(value, _), .. }, Token { what: What::Sign('/'), .. }, ..]
                if value.is_one()
        );
        let tokens = if one_above { &tokens[1..] } else { tokens };
        let mut below = tokens.first()?.what == What::Sign('/');
        let mut at = usize::from(below);
        let mut factors = 0;
        while at < tokens.len() {
            factors += 1;
            if factors > MOST_FACTORS {
                return None;
            }
            let (unit, end) = one(tokens, at)?;
            found = found.times(&unit, if below { -1 } else { 1 });
            at = end;
            below = match tokens.get(at).map(|token| &token.what) {
                Some(What::Sign('/')) => true,
                Some(What::Word(word, _) | What::Letter(word))
                    if matches!(word.as_str(), "per" | "a" | "an") =>
                {
                    true
                }
                Some(What::Sign('*')) => false,
                // `N m`; behind `/` it may be below as well.
                Some(What::Word(word, _) | What::Letter(word)) if !below && is_known(word) => {
                    continue;
                }
                None => return Some(found),
                _ => return None,
            };
            at += 1;
        }
        None
    }

    /// Whether `ratio` of it is one of another unit in the table, so that a bare number may be in that.
    pub(super) fn has_ratio(&self, ratio: &BigRational) -> bool {
        let factor = &self.factor * ratio;
        let fits = |unit: Unit| unit.dimensions == self.dimensions && unit.factor == factor;
        let mut units = first_names().filter_map(from_table);
        self.known && units.any(|unit| (1..=3).any(|power| fits(Self::none().times(&unit, power))))
    }
}

/// One unit with its power from `start` on, and where it ends.
fn one(tokens: &[Token], start: usize) -> Option<(Unit, usize)> {
    let word = |at: usize| match tokens.get(at).map(|token| &token.what) {
        Some(What::Word(word, _) | What::Letter(word)) => Some(word.as_str()),
        _ => None,
    };
    let mut at = start;
    let mut power = match word(at).map(str::to_lowercase).as_deref() {
        Some("square" | "sq") => 2,
        Some("cubic" | "cu") => 3,
        _ => 1,
    };
    let stop = |at: usize| {
        usize::from(
            tokens
                .get(at)
                .is_some_and(|token| token.what == What::Sign('.')),
        )
    };
    if power > 1 && word(at + 1 + stop(at + 1)).is_some() {
        at += 1 + stop(at + 1);
    } else {
        power = 1;
    }
    let mut unit = match tokens.get(at).map(|token| &token.what)? {
        What::Sign('\u{b0}') => match word(at + 1) {
            Some(scale @ ("C" | "F")) => {
                at += 1;
                from_table(&format!("\u{b0}{scale}"))?
            }
            _ => from_table("\u{b0}")?,
        },
        What::Sign(sign @ ('%' | '\u{a2}')) => from_table(&sign.to_string())?,
        What::Sign(sign) => Unit::currency(*sign)?,
        What::Word(name, _) | What::Letter(name) if is_known(name) => from_table(name)?,
        What::Word(..) => {
            let (name, end) = counted(tokens, at)?;
            return Some((
                Unit {
                    factor: BigRational::one(),
                    dimensions: BTreeMap::from([(name, power)]),
                    known: false,
                },
                end,
            ));
        }
        _ => return None,
    };
    at += 1;
    // `degrees Celsius`, `in.`, `m^2`
    if unit.is("degree")
        && let Some(scale) = word(at)
            .and_then(from_table)
            .filter(|unit| unit.is("celsius") || unit.is("fahrenheit"))
    {
        (unit, at) = (scale, at + 1);
    }
    at += stop(at);
    if tokens
        .get(at)
        .is_some_and(|token| token.what == What::Sign('^'))
    {
        let braced = tokens
            .get(at + 1)
            .is_some_and(|token| token.what == What::Sign('{'));
        let behind = at + 1 + usize::from(braced);
        let minus = tokens
            .get(behind)
            .is_some_and(|token| token.what == What::Sign('-'));
        let Some(What::Number(value, _)) = tokens
            .get(behind + usize::from(minus))
            .map(|token| &token.what)
        else {
            return None;
        };
        let raised = value
            .to_i32()
            .filter(|power| value.is_integer() && (1..=3).contains(power))?;
        power = if minus { -raised } else { raised };
        at += 2 + 2 * usize::from(braced) + usize::from(minus);
    }
    Some((Unit::none().times(&unit, power), at))
}

/// The words of what is counted, the last one in the singular.
fn counted(tokens: &[Token], start: usize) -> Option<(String, usize)> {
    let mut words = Vec::new();
    let mut at = start;
    while let Some(What::Word(word, _)) = tokens.get(at).map(|token| &token.what) {
        let lower = word.to_lowercase();
        if matches!(lower.as_str(), "per" | "a" | "an") && at > start {
            break;
        }
        if CHANGING.contains(&lower.as_str()) || PARTING.contains(&lower.as_str()) {
            return None;
        }
        words.push(cased(word));
        at += 1;
    }
    let last = words.pop()?;
    words.push(singular(&last).to_owned());
    (words.len() <= 4).then(|| (words.join(" "), at))
}

/// `apples` as `apple`, `boxes` as `box`: near enough to compare what is counted.
fn singular(word: &str) -> &str {
    for (ending, kept) in [
        ("sses", 2),
        ("shes", 2),
        ("ches", 2),
        ("xes", 1),
        ("ss", 2),
        ("us", 2),
        ("s", 0),
    ] {
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() > 1) {
            return &word[..stem.len() + kept];
        }
    }
    word
}
