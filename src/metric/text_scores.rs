//! How likely a student finds a fixed text: perplexity, with documents as the cases.
//!
//! A figure is of all tokens together (of bytes, of words), not a mean of the documents' figures; its interval resamples
//! whole documents, since the tokens of one are no cases of their own.

use serde::{Deserialize, Serialize};

use super::MetricError;
use super::compare::{Comparison, Test};
use super::definition::{Metric, TextFigure};
use super::mean::{statistic_over, two_sided};
use super::resample::{BootstrapInterval, Resampling};
use super::seeds::{OverSeeds, sample_deviation};
use crate::key::Digest;

/// Resamples of a test at least, so that its p can be small.
const RESAMPLES: u32 = 10_000;

/// A document under a student.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DocumentScore {
    /// The sum of its tokens' log-probabilities (nats).
    pub log_prob: f64,
    /// Its tokens.
    pub tokens: u64,
    /// Its words: what white space parts.
    pub words: u64,
    /// Its bytes in UTF-8.
    pub bytes: u64,
}

/// A text under a student.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TextScores {
    /// The documents by content and order.
    pub text: Digest,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Resamples of each bootstrap.
    pub bootstrap_resamples: u32,
    /// How a bootstrap's interval is read.
    pub bootstrap_interval: BootstrapInterval,
    /// The seed of its bootstraps.
    pub seed: u64,
    /// By document, in order.
    pub documents: Vec<DocumentScore>,
}

impl TextScores {
    /// How its figures are resampled.
    pub fn resampling(&self) -> Resampling {
        Resampling {
            confidence: self.confidence,
            resamples: self.bootstrap_resamples,
            interval: self.bootstrap_interval,
            seed: self.seed,
        }
    }

    /// All documents together.
    pub fn total(&self) -> DocumentScore {
        sum(self.documents.iter())
    }
}

impl TextFigure {
    /// The figure of so much text; `None` of none.
    pub fn of(self, text: &DocumentScore) -> Option<f64> {
        let per = |units: u64| (units > 0).then(|| -text.log_prob / units as f64);
        match self {
            Self::Perplexity => per(text.tokens).map(f64::exp),
            Self::WordPerplexity => per(text.words).map(f64::exp),
            Self::BitsPerByte => per(text.bytes).map(|nats| nats / std::f64::consts::LN_2),
        }
    }

    /// The mean over `seeds` of the figure of the documents at `places`.
    fn mean_of(self, seeds: &[&TextScores], places: &[usize]) -> Option<f64> {
        let of_seed =
            |seed: &&TextScores| self.of(&sum(places.iter().map(|&at| &seed.documents[at])));
        let sum: Option<f64> = seeds.iter().map(of_seed).sum();
        sum.map(|sum| sum / seeds.len() as f64)
    }
}

fn sum<'a>(documents: impl Iterator<Item = &'a DocumentScore>) -> DocumentScore {
    documents.fold(DocumentScore::default(), |sum, each| DocumentScore {
        log_prob: sum.log_prob + each.log_prob,
        tokens: sum.tokens + each.tokens,
        words: sum.words + each.words,
        bytes: sum.bytes + each.bytes,
    })
}

/// A text's figure over seeds, with the confidence and the resampling of the first; `None` where the text has none.
///
/// # Errors
/// No seeds, or several texts.
pub fn text_figure(
    metric: Metric,
    figure: TextFigure,
    seeds: &[&TextScores],
) -> Result<Option<OverSeeds>, MetricError> {
    let first = one_text(seeds.iter())?;
    let all: Vec<usize> = (0..first.documents.len()).collect();
    let Some(value) = figure.mean_of(seeds, &all) else {
        return Ok(None);
    };
    let statistic = |places: &[usize]| figure.mean_of(seeds, places);
    let found = statistic_over(
        all.len(),
        value,
        &first.resampling(),
        metric.stream(),
        statistic,
    );
    let of_each: Option<Vec<f64>> = (seeds.iter())
        .map(|seed| figure.of(&seed.total()))
        .collect();
    Ok(found.map(|(questions, _)| OverSeeds {
        sd: of_each.and_then(|values| sample_deviation(&values)),
        seeds: seeds.len(),
        questions,
    }))
}

/// Arm A's figure less arm B's on the same text, documents in pairs, by the paired bootstrap.
///
/// # Errors
/// An arm without seeds, or several texts.
pub fn compare_texts(
    metric: Metric,
    figure: TextFigure,
    a: &[&TextScores],
    b: &[&TextScores],
) -> Result<Option<Comparison>, MetricError> {
    let first = one_text(a.iter().chain(b))?;
    let second = one_text(b.iter())?;
    let n = first.documents.len();
    let difference =
        |places: &[usize]| Some(figure.mean_of(a, places)? - figure.mean_of(b, places)?);
    let all: Vec<usize> = (0..n).collect();
    let Some(value) = difference(&all) else {
        return Ok(None);
    };
    let resampling = Resampling {
        confidence: first.confidence.max(second.confidence),
        resamples: first.bootstrap_resamples.max(RESAMPLES),
        ..first.resampling()
    };
    let each: Vec<f64> = all.iter().filter_map(|&at| difference(&[at])).collect();
    let squares: f64 = each.iter().map(|each| each * each).sum();
    let found = statistic_over(n, value, &resampling, metric.stream(), difference);
    Ok(found.map(|(difference, resampled)| Comparison {
        metric,
        difference,
        p: two_sided(&resampled, &each),
        test: Test::PairedBootstrap,
        mean_square: squares / each.len().max(1) as f64,
    }))
}

/// The first of scores that are all of one text.
fn one_text<'a>(
    mut scores: impl Iterator<Item = &'a &'a TextScores>,
) -> Result<&'a TextScores, MetricError> {
    let what = "documents of text";
    let first = scores.next().ok_or(MetricError::Empty { what })?;
    if scores
        .any(|other| other.text != first.text || other.documents.len() != first.documents.len())
    {
        return Err(MetricError::OtherText);
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PPL: (Metric, TextFigure) = (Metric::PERPLEXITY, TextFigure::Perplexity);

    fn scores(documents: &[(f64, u64)]) -> TextScores {
        TextScores {
            text: Digest::of(b"text"),
            confidence: 0.95,
            bootstrap_resamples: 2000,
            bootstrap_interval: BootstrapInterval::Percentile,
            seed: 0,
            documents: (documents.iter())
                .map(|&(log_prob, tokens)| DocumentScore {
                    log_prob,
                    tokens,
                    words: tokens / 2,
                    bytes: 4 * tokens,
                })
                .collect(),
        }
    }

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}");
    }

    /// Six tokens at a half and two at an eighth: `exp(12 ln 2 / 8)`, by word twice the nats, by byte a quarter in bits.
    #[test]
    fn figures_are_of_all_tokens_together() {
        let ln2 = 2.0_f64.ln();
        let text = scores(&[(-6.0 * ln2, 6), (-6.0 * ln2, 2)]);
        let of = |figure: TextFigure| figure.of(&text.total()).unwrap();
        close(of(TextFigure::Perplexity), 2.0_f64.powf(1.5));
        close(of(TextFigure::WordPerplexity), 2.0_f64.powf(3.0));
        close(of(TextFigure::BitsPerByte), 1.5 / 4.0);
        assert_eq!(TextFigure::Perplexity.of(&DocumentScore::default()), None);
    }

    #[test]
    fn documents_are_the_cases() {
        let documents: Vec<(f64, u64)> = (0..60_i32)
            .map(|i| (-f64::from(20 + i % 7), 10 + u64::from(i.unsigned_abs() % 3)))
            .collect();
        let one = scores(&documents);
        let found = text_figure(PPL.0, PPL.1, &[&one]).unwrap().unwrap();
        let bounds = found.questions.interval.unwrap();
        assert_eq!(found.questions.n, 60);
        assert!(bounds.low < found.questions.value && found.questions.value < bounds.high);
        // The same documents with ten times the tokens and nats are no surer.
        let tenfold: Vec<(f64, u64)> = (documents.iter())
            .map(|(log_prob, tokens)| (10.0 * log_prob, 10 * tokens))
            .collect();
        let found = text_figure(PPL.0, PPL.1, &[&scores(&tenfold)])
            .unwrap()
            .unwrap();
        close(found.questions.interval.unwrap().low, bounds.low);
        // One document says nothing of others.
        let found = text_figure(PPL.0, PPL.1, &[&scores(&[(-3.0, 2)])])
            .unwrap()
            .unwrap();
        assert_eq!(found.questions.interval, None);
        // Two seeds: their mean, and how far they lie apart.
        let worse: Vec<(f64, u64)> = documents.iter().map(|(l, t)| (l * 1.1, *t)).collect();
        let worse = scores(&worse);
        let both = text_figure(PPL.0, PPL.1, &[&one, &worse]).unwrap().unwrap();
        let of = |seed: &TextScores| TextFigure::Perplexity.of(&seed.total()).unwrap();
        close(both.questions.value, f64::midpoint(of(&one), of(&worse)));
        close(both.sd.unwrap(), (of(&worse) - of(&one)) / 2.0_f64.sqrt());
    }

    #[test]
    fn arms_are_paired_by_document() {
        let documents: Vec<(f64, u64)> = (0..40).map(|i| (-f64::from(10 + i), 8)).collect();
        let before = scores(&documents);
        let changed = |by: &dyn Fn(usize) -> f64| {
            let changed = documents.iter().enumerate();
            scores(
                &changed
                    .map(|(i, (l, t))| (l * by(i), *t))
                    .collect::<Vec<_>>(),
            )
        };
        let p = |after: &TextScores| {
            let found = compare_texts(PPL.0, PPL.1, &[after], &[&before]).unwrap();
            let found = found.unwrap();
            (found.difference.value, found.p)
        };
        // Every document a little worse shows, though documents lie far apart.
        let (difference, small) = p(&changed(&|_| 1.01));
        assert!(difference > 0.0 && small < 0.001, "{difference} {small}");
        let (_, large) = p(&changed(&|i| if i % 2 == 0 { 1.01 } else { 0.99 }));
        assert!(large > 0.05, "{large}");
        close(p(&before).1, 1.0);
        // Another text is another question.
        let other = TextScores {
            text: Digest::of(b"other"),
            ..before.clone()
        };
        let refused = compare_texts(PPL.0, PPL.1, &[&other], &[&before]).unwrap_err();
        assert!(refused.to_string().contains("text"), "{refused}");
    }
}
