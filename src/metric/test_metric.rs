//! A metric that only tests have, to show that one takes a file and a line in `METRICS`. No answer of another test has a
//! value of it.

use super::definition::{Definition, Kind, Unit, ValueSource};

pub(super) static EXCLAMATIONS: Definition = Definition {
    name: "exclamations",
    title: "Excl",
    doc: "Mean exclamation marks of outputs that have one.",
    unit: Unit::Plain("marks"),
    decimals: 1,
    limits: (1.0, f64::INFINITY),
    kind: Kind::Mean,
    stream: 1000,
    source: ValueSource::Measured(|_, prediction| {
        let marks = prediction.output.matches('!').count();
        (marks > 0).then_some(marks as f64)
    }),
    known: Some("exclaim"),
    usual: false,
};
