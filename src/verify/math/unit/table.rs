//! The units that are known, each by its names.

use std::collections::BTreeMap;

use num_rational::BigRational;

use super::Unit;

/// Names, dimension, and the factor as a fraction.
type Row = (&'static str, &'static str, u64, u64);

/// Units by their names, of which all but signs and abbreviations may have an `s`. `ton`, `month` and their like differ
/// from place to place and are dimensions of their own.
const TABLE: [Row; 56] = [
    ("mm millimeter millimetre", "length", 1, 1000),
    ("cm centimeter centimetre", "length", 1, 100),
    ("dm decimeter decimetre", "length", 1, 10),
    ("m meter metre", "length", 1, 1),
    ("km kilometer kilometre", "length", 1000, 1),
    ("in inch inches", "length", 254, 10_000),
    ("ft foot feet", "length", 3048, 10_000),
    ("yd yard", "length", 9144, 10_000),
    ("mi mile", "length", 1_609_344, 1000),
    ("mg milligram", "mass", 1, 1_000_000),
    ("g gram", "mass", 1, 1000),
    ("kg kilogram kilo", "mass", 1, 1),
    ("lb pound", "mass", 45_359_237, 100_000_000),
    ("oz ounce", "mass", 45_359_237, 1_600_000_000),
    ("ton tonne t", "ton", 1, 1),
    ("ms millisecond", "time", 1, 1000),
    ("s sec second", "time", 1, 1),
    ("min minute", "time", 60, 1),
    ("h hr hour", "time", 3600, 1),
    ("day", "time", 86_400, 1),
    ("week", "time", 604_800, 1),
    ("month", "month", 1, 1),
    ("yr year", "month", 12, 1),
    ("decade", "month", 120, 1),
    ("century centuries", "month", 1200, 1),
    ("$ dollar usd buck", "dollar", 1, 1),
    ("\u{a2} cent", "dollar", 1, 100),
    ("nickel", "nickel", 1, 1),
    ("dime", "dime", 1, 1),
    ("\u{20ac} euro eur", "euro", 1, 1),
    ("\u{a3} gbp", "sterling", 1, 1),
    ("\u{a5} yen jpy", "yen", 1, 1),
    ("\u{20b9} rupee inr rs", "rupee", 1, 1),
    ("L l liter litre", "volume", 1, 1000),
    ("ml mL milliliter millilitre", "volume", 1, 1_000_000),
    ("gal gallon", "gallon", 1, 1),
    ("qt quart", "gallon", 1, 4),
    ("pt pint", "gallon", 1, 8),
    ("cup", "gallon", 1, 16),
    ("acre", "acre", 1, 1),
    ("hectare", "area", 10_000, 1),
    ("% percent", "percent", 1, 1),
    ("\u{b0} degree deg", "degree", 1, 1),
    ("\u{b0}C C celsius", "celsius", 1, 1),
    ("\u{b0}F F fahrenheit", "fahrenheit", 1, 1),
    ("K kelvin", "kelvin", 1, 1),
    ("rad radian", "radian", 1, 1),
    ("mph", "speed", 1_609_344, 3_600_000),
    ("kph kmh", "speed", 1000, 3600),
    ("Hz hertz", "frequency", 1, 1),
    ("N newton", "force", 1, 1),
    ("J joule", "energy", 1, 1),
    ("W watt", "power", 1, 1),
    ("V volt", "volt", 1, 1),
    ("am", "am", 1, 1),
    ("pm", "pm", 1, 1),
];

/// What is measured in several dimensions, each with its power.
const DERIVED: [(&str, &[(&str, i32)]); 7] = [
    ("area", &[("length", 2)]),
    ("volume", &[("length", 3)]),
    ("speed", &[("length", 1), ("time", -1)]),
    ("frequency", &[("time", -1)]),
    ("force", &[("mass", 1), ("length", 1), ("time", -2)]),
    ("energy", &[("mass", 1), ("length", 2), ("time", -2)]),
    ("power", &[("mass", 1), ("length", 2), ("time", -3)]),
];

/// Whether `name` may be read in lower case. The case of a sign counts where another one is another unit: `Mg` is no `mg`,
/// and `mM` no `mm`; `KM`, `Km` and `Meters` can be nothing else.
fn folds(name: &str, lower: &str) -> bool {
    let mut chars = name.chars();
    let capital = chars.next().is_some_and(char::is_uppercase);
    let rest = chars.as_str();
    let plain =
        !rest.contains(char::is_uppercase) || (capital && !rest.contains(char::is_lowercase));
    let milli = matches!(lower, "mm" | "mg" | "ms" | "ml");
    match name.chars().count() {
        0 | 1 => false,
        2..=4 => plain && !(capital && milli),
        _ => true,
    }
}

/// The unit in the table that `name` is.
pub(super) fn from_table(name: &str) -> Option<Unit> {
    let lower = name.to_lowercase();
    let plural = lower.strip_suffix('s').filter(|rest| rest.len() > 2);
    let row = TABLE.iter().find(|(names, ..)| {
        names.split(' ').any(|each| {
            let folded = || each.eq_ignore_ascii_case(&lower) || Some(each) == plural;
            each == name || (each.chars().count() > 1 && folds(name, &lower) && folded())
        })
    })?;
    let (_, dimension, above, below) = *row;
    let dimensions = match DERIVED.iter().find(|(name, _)| *name == dimension) {
        Some((_, all)) => all
            .iter()
            .map(|(name, power)| ((*name).to_owned(), *power))
            .collect(),
        None => BTreeMap::from([(dimension.to_owned(), 1)]),
    };
    Some(Unit {
        factor: BigRational::new(above.into(), below.into()),
        dimensions,
        known: true,
    })
}

/// One name of each unit.
pub(super) fn first_names() -> impl Iterator<Item = &'static str> {
    TABLE
        .iter()
        .filter_map(|(names, ..)| names.split(' ').next())
}
