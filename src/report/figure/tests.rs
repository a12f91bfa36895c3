//! Every picture, drawn: the same bytes twice, well-formed, and safe whatever its texts say.
//!
//! `FIGURES=DIR cargo test --lib figure` also writes them there, to be looked at.

use super::*;
use crate::filter::{Conclusions, Funnel, FunnelStep};
use crate::model::train::LossPoint;

fn interval(value: f64, half: f64) -> Interval {
    Interval {
        value,
        low: value - half,
        high: value + half,
    }
}

fn curve() -> Figure {
    let series = |name: &str, values: &[f64]| CurveSeries {
        name: name.to_owned(),
        values: values.iter().map(|&v| Some(interval(v, 2.9))).collect(),
    };
    let mut gap = series("yield", &[99.0, 97.0, 71.0, 0.0, 22.0]);
    gap.values[3] = None;
    Figure::Curve(Curve {
        title: "Accuracy and yield against the perplexity below which a path is dropped".into(),
        note: "Bands: 95 % Wilson intervals; n = 687 questions. The training at 10 failed.".into(),
        x_label: "least perplexity".into(),
        y_label: "share (%)".into(),
        limits: Some((0.0, 100.0)),
        x: Abscissa::Numbers(vec![0.0, 2.0, 5.0, 10.0, 20.0]),
        series: vec![
            series("SERT", &[53.1, 53.6, 54.9, 53.0, 52.1]),
            series("SERT+RD", &[54.2, 55.1, 57.3, 55.0, 54.4]),
            gap,
        ],
    })
}

fn named_curve() -> Figure {
    let series = |name: &str, shift: f64| CurveSeries {
        name: name.to_owned(),
        values: (0..5)
            .map(|step| Some(interval(50.0 + shift + f64::from(step), 3.0)))
            .collect(),
    };
    Figure::Curve(Curve {
        title: "Accuracy by student".into(),
        note: String::new(),
        x_label: "student".into(),
        y_label: "accuracy (%)".into(),
        limits: Some((0.0, 100.0)),
        x: Abscissa::Names(
            [
                "openai-community/gpt2",
                "openai-community/gpt2-medium",
                "openai-community/gpt2-large",
                "distilbert/distilgpt2",
                "tiny",
            ]
            .map(str::to_owned)
            .to_vec(),
        ),
        series: vec![
            series("RD", 0.0),
            series("SERT+RD", 2.5),
            series("SERT", -1.5),
        ],
    })
}

fn heat_map() -> Figure {
    Figure::HeatMap(HeatMap {
        title: "Accuracy by two thresholds".into(),
        note: "One seed. No value: no path was left to train on.".into(),
        x_label: "least perplexity".into(),
        y_label: "greatest rep-2".into(),
        value_label: "accuracy (%)".into(),
        columns: ["0", "2", "5", "10", "20"].map(str::to_owned).to_vec(),
        rows: ["0.1", "0.15", "0.2", "0.3", "1"]
            .map(str::to_owned)
            .to_vec(),
        cells: (0..5)
            .map(|row| {
                (0..5)
                    .map(|column| {
                        let (row, column) = (f64::from(row), f64::from(column));
                        let value = 50.0 + row + 0.6 * column - 0.3 * row * column;
                        (row + column < 7.5).then_some(value)
                    })
                    .collect()
            })
            .collect(),
        decimals: 1,
    })
}

fn funnel() -> Figure {
    let step = |name: &str, dropped, left, questions_left| FunnelStep {
        name: name.to_owned(),
        dropped,
        by_rule: std::collections::BTreeMap::new(),
        left,
        questions_left,
    };
    let funnel = Funnel {
        questions: 1603,
        paths: 40_075,
        steps: vec![
            step("pattern", 21_990, 18_085, 1603),
            step("length", 9_482, 8_603, 1480),
            step("repetition", 6_100, 2_503, 1102),
            step("perplexity", 400, 2_103, 1001),
            step("score coherence", 3, 2_100, 1000),
            step("select", 1_100, 1_000, 1000),
        ],
        kept: 1000,
        questions_kept: 1000,
        conclusions: Conclusions {
            agree: 500,
            contradict: 420,
            none: 80,
        },
    };
    Figure::Funnel(FunnelFigure::new("kept: which paths were kept", &funnel))
}

fn score_bands() -> Figure {
    let names = [
        "first token 0",
        "first token 1",
        "first token 2",
        "first token 3",
        "first token 4",
        "all 25",
        "raw 25",
        "raw 25 from SERT",
    ];
    let series = names.iter().zip(0_u32..).map(|(name, place)| BarSeries {
        name: (*name).to_owned(),
        values: (0..5_u32)
            .map(|band| {
                let hits = 88_u32.saturating_sub(17 * band) / (1 + (place + band) % 4);
                let estimate = crate::metric::wilson(hits as usize, 100, 0.95).unwrap();
                Some(Interval::from(&estimate).times(100.0))
            })
            .collect(),
    });
    Figure::ScoreBands(ScoreBands {
        title: "Questions with at least one path in each score band".into(),
        note: "100 questions of CommonsenseQA; whiskers: 95 % Wilson intervals.".into(),
        score: "judge's mean score (0 to 10)".into(),
        bands: band_edges(&[0.0, 2.0, 4.0, 6.0, 8.0, 10.0]),
        series: series.collect(),
    })
}

fn distribution() -> Figure {
    let steps = [
        "raw",
        "+ pattern",
        "+ length",
        "+ repetition",
        "+ perplexity",
    ];
    let criteria = [
        "coherence",
        "relevance",
        "logical consistency",
        "completeness",
    ];
    let sample = |(name, shift): (&&str, u32)| Sample {
        name: (*name).to_owned(),
        scores: (0..5_u32)
            .map(|step| {
                (0..2500 / (1 + 3 * step))
                    .map(|i| {
                        let wave = f64::from(i * 37 % 101) / 101.0;
                        wave * wave * (6.0 + f64::from(step)) + f64::from(shift) * 0.5
                    })
                    .collect()
            })
            .collect(),
    };
    Figure::Distribution(Distribution {
        title: "Judge scores as filters are added one by one".into(),
        note: "100 questions of CommonsenseQA, 25 paths each.".into(),
        score: "judge's score (0 to 10)".into(),
        scale: Some((0.0, 10.0)),
        steps: steps.map(str::to_owned).to_vec(),
        samples: criteria.iter().zip(0..).map(sample).collect(),
    })
}

fn single_distribution() -> Figure {
    let Figure::Distribution(mut figure) = distribution() else {
        unreachable!()
    };
    figure.samples.truncate(1);
    figure.samples[0].scores[4].clear();
    figure.scale = None;
    figure.score = "log-probability of the gold answer (nats)".into();
    Figure::Distribution(figure)
}

fn criteria() -> Figure {
    let arms = [
        "RD, small",
        "SERT+RD, small",
        "RD, medium",
        "SERT+RD, medium",
        "RD, large",
        "SERT+RD, large",
    ];
    let series = arms.iter().zip(0_u32..).map(|(name, place)| BarSeries {
        name: (*name).to_owned(),
        values: (0..5_u32)
            .map(|each| {
                if place == 3 && each == 4 {
                    return None;
                }
                let value = 2.0 + 0.7 * f64::from(place) + 0.3 * f64::from(each);
                Some(interval(value, 0.25))
            })
            .collect(),
    });
    Figure::Criteria(Criteria {
        title: "Reasoning of the test answers, as the judge scores it".into(),
        note: "CommonsenseQA, 1,221 questions; whiskers: 95 % bootstrap intervals.".into(),
        score: "mean judge's score (0 to 10)".into(),
        scale: Some((0.0, 10.0)),
        groups: [
            "coherence",
            "relevance",
            "logical consistency",
            "completeness",
            "mean of the four",
        ]
        .map(str::to_owned)
        .to_vec(),
        series: series.collect(),
    })
}

fn losses() -> Figure {
    let training = |name: &str, start: f64| LossCurve {
        name: name.to_owned(),
        points: (1..=20_u32)
            .map(|epoch| LossPoint {
                epoch: epoch as usize,
                step: 200 * epoch as usize,
                train_loss: start / f64::from(epoch).sqrt(),
                validation_loss: Some(start / f64::from(epoch.min(9)).sqrt() + 0.1),
                learning_rate: 3e-4,
                tokens: 0,
            })
            .collect(),
    };
    Figure::Losses(Losses {
        title: "Losses of the trainings".into(),
        note: "Training loss with dropout, mean of each epoch; validation loss at its end.".into(),
        trainings: vec![
            training("sert", 3.4),
            training("rd", 2.9),
            training("sert-rd", 2.2),
        ],
    })
}

fn all() -> Vec<(&'static str, Figure)> {
    vec![
        ("curve", curve()),
        ("curve-named", named_curve()),
        ("heat-map", heat_map()),
        ("funnel", funnel()),
        ("score-bands", score_bands()),
        ("distribution", distribution()),
        ("distribution-single", single_distribution()),
        ("criteria", criteria()),
        ("losses", losses()),
    ]
}

#[test]
fn figures_are_the_same_every_time() {
    let folder = std::env::var_os("FIGURES").map(std::path::PathBuf::from);
    for (name, figure) in all() {
        let (svg, png) = (figure.svg(), figure.png());
        assert_eq!(svg, figure.svg(), "{name}");
        assert_eq!(png, figure.png(), "{name}");
        let numbers = figure.numbers();
        assert!(!numbers.rows.is_empty(), "{name}");
        for row in &numbers.rows {
            assert_eq!(row.len(), numbers.header.len(), "{name}");
        }
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.svg")), svg).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
        }
    }
}

/// The elements of an SVG, less its first.
fn elements(svg: &str) -> Vec<&str> {
    let names = svg.split('<').skip(2);
    names
        .map(|rest| {
            rest.split([' ', '>', '\n', '/'])
                .find(|part| !part.is_empty())
        })
        .map(Option::unwrap_or_default)
        .collect()
}

#[test]
fn hostile_names_are_words_and_nothing_else() {
    let hostile = "</text><script>alert(1)</script>&\" ' \u{1b}[31m\u{0}\u{ffff}\u{202e}";
    let mut figures = all();
    for (_, figure) in &mut figures {
        match figure {
            Figure::Curve(figure) => {
                figure.title = hostile.into();
                figure.series[0].name = hostile.into();
                figure.x = Abscissa::Names(vec![hostile.into(); 5]);
            }
            Figure::HeatMap(figure) => {
                figure.rows[0] = hostile.into();
                figure.value_label = hostile.into();
            }
            Figure::Funnel(figure) => figure.bars[0].name = hostile.into(),
            Figure::ScoreBands(figure) => figure.bands[0] = hostile.into(),
            Figure::Distribution(figure) => figure.steps[0] = hostile.into(),
            Figure::Criteria(figure) => figure.note = hostile.into(),
            Figure::Losses(figure) => figure.trainings[0].name = hostile.into(),
        }
    }
    for (name, figure) in figures {
        let svg = figure.svg();
        let known = [
            "text", "polygon", "polyline", "circle", "line", "rect", "svg",
        ];
        let odd: Vec<_> = (elements(&svg).into_iter())
            .filter(|element| !known.contains(element))
            .collect();
        assert!(odd.is_empty(), "{name}: {odd:?}");
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{ffff}' || c == '\u{202e}';
        assert!(!svg.contains(bad), "{name}");
        // It is there, as words: the name was not just left out.
        assert!(svg.contains("&lt;/text"), "{name}");
    }
}

#[test]
fn nothing_and_too_much_are_drawn_too() {
    let empty = Curve {
        title: String::new(),
        note: String::new(),
        x_label: String::new(),
        y_label: String::new(),
        limits: None,
        x: Abscissa::Numbers(Vec::new()),
        series: Vec::new(),
    };
    let odd = |value| CurveSeries {
        name: "long ".repeat(200),
        values: vec![Some(Interval::exact(value)); 40],
    };
    let full = Curve {
        title: "word ".repeat(500),
        note: "unbroken".repeat(300),
        x: Abscissa::Names((0..40).map(|i| format!("name {i}").repeat(9)).collect()),
        series: [f64::NAN, f64::INFINITY, 1e300, -1e9, 1e-300]
            .into_iter()
            .cycle()
            .take(25)
            .map(odd)
            .collect(),
        ..empty.clone()
    };
    let bars = Criteria {
        title: String::new(),
        note: String::new(),
        score: String::new(),
        scale: None,
        groups: vec!["a".into()],
        series: vec![BarSeries {
            name: "below".into(),
            values: vec![Some(interval(-3.0, 1.0))],
        }],
    };
    let map = HeatMap {
        title: String::new(),
        note: String::new(),
        x_label: String::new(),
        y_label: String::new(),
        value_label: String::new(),
        columns: vec!["a".into(), "b".into()],
        rows: vec!["c".into()],
        cells: vec![vec![Some(f64::NAN)]],
        decimals: 3,
    };
    for figure in [
        Figure::Curve(empty),
        Figure::Curve(full),
        Figure::Criteria(bars),
        Figure::HeatMap(map),
    ] {
        let svg = figure.svg();
        assert!(svg.trim_end().ends_with("</svg>"));
        // What is no number has no place on the sheet.
        let places = svg.split(['"', ',', ' ']).map(str::to_lowercase);
        let odd: Vec<String> =
            (places.filter(|place| ["nan", "inf", "-inf"].contains(&place.as_str()))).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert!(figure.png().starts_with(b"\x89PNG"));
    }
}
