//! An artifact as text for a person.

use std::fmt::Write as _;

use indicatif::HumanBytes;

use super::Width;
use super::funnel::funnel_text;
use super::interval::{confidence_text, figure, plain, titled};
use crate::artifact::{Artifact, ArtifactError, ArtifactKind, ModelFolder};
use crate::filter::Funnel;
use crate::metric::{Decision, Evaluation, Metric, TextFigure, TextScores, text_figure};
use crate::model::train::LossPoint;
use crate::text::{
    DropReason, FilterDecision, FilteredPath, Hint, OverlapRow, Prediction, Question,
    ReasoningPath, printable,
};

/// The artifact in `bytes`, at most `rows` rows of it (0 for all), of `question` only where one is
/// named; tables take `width`.
///
/// # Errors
/// When the bytes are not such an artifact.
pub(crate) fn artifact_text(
    kind: ArtifactKind,
    bytes: &[u8],
    rows: usize,
    question: Option<&str>,
    width: Width,
) -> Result<String, ArtifactError> {
    let wanted = |id: &str| question.is_none_or(|question| question == id);
    Ok(match kind {
        ArtifactKind::Questions => {
            let all = Vec::<Question>::decode(bytes)?;
            listed(
                all.iter().filter(|q| wanted(&q.id)),
                rows,
                "questions",
                question_text,
            )
        }
        ArtifactKind::Text => {
            let all = Vec::<String>::decode(bytes)?;
            listed(all.iter(), rows, "documents", |text| {
                format!("{}\n\n", printable(text.trim()))
            })
        }
        ArtifactKind::Paths => {
            let all = Vec::<ReasoningPath>::decode(bytes)?;
            listed(
                all.iter().filter(|p| wanted(&p.question_id)),
                rows,
                "paths",
                path_text,
            )
        }
        ArtifactKind::FilteredPaths => {
            let all = Vec::<FilteredPath>::decode(bytes)?;
            listed(
                all.iter().filter(|p| wanted(&p.path.question_id)),
                rows,
                "paths",
                |filtered| {
                    let decision = match &filtered.decision {
                        FilterDecision::Kept => "kept".to_owned(),
                        FilterDecision::Dropped(DropReason { by, because }) => {
                            printable(&format!("dropped by {by}: {because}"))
                        }
                    };
                    format!("{}    => {decision}\n", path_text(&filtered.path))
                },
            )
        }
        ArtifactKind::Predictions => {
            let all = Vec::<Prediction>::decode(bytes)?;
            listed(
                all.iter().filter(|p| wanted(&p.question_id)),
                rows,
                "predictions",
                prediction_text,
            )
        }
        ArtifactKind::Overlap => {
            let all = Vec::<OverlapRow>::decode(bytes)?;
            let of_question = all.iter().filter(|row| wanted(&row.question_id));
            listed(of_question, rows, "rows that share n-grams", overlap_text)
        }
        ArtifactKind::Losses => losses_text(&Vec::decode(bytes)?, width),
        ArtifactKind::Funnel => funnel_text(&Funnel::decode(bytes)?, width),
        ArtifactKind::Evaluation => {
            evaluation_text(&Evaluation::decode(bytes)?, rows, question, width)
        }
        ArtifactKind::TextScores => text_scores_text(&TextScores::decode(bytes)?, rows),
        ArtifactKind::Model => model_text(&ModelFolder::decode(bytes)?),
        ArtifactKind::Decision => decision_text(&Decision::decode(bytes)?),
    })
}

fn decision_text(decision: &Decision) -> String {
    let goes_on = if decision.go_on {
        "another round"
    } else {
        "no more rounds"
    };
    format!("{}: {goes_on}\n", decision.text())
}

fn listed<'a, T: 'a>(
    all: impl Iterator<Item = &'a T>,
    rows: usize,
    what: &str,
    text: impl Fn(&T) -> String,
) -> String {
    let mut out = String::new();
    let mut count = 0;
    for each in all {
        count += 1;
        if rows == 0 || count <= rows {
            out += &text(each);
        }
    }
    let shown = if rows == 0 { count } else { count.min(rows) };
    let _ = writeln!(out, "{shown} of {count} {what} shown");
    out
}

/// The figures of a text, then its documents.
fn text_scores_text(scores: &TextScores, rows: usize) -> String {
    let total = scores.total();
    let mut out = format!(
        "{} documents, {} tokens, {} words, {} bytes; brackets: {} intervals, documents resampled\n\n",
        scores.documents.len(),
        total.tokens,
        total.words,
        total.bytes,
        confidence_text(scores.confidence)
    );
    for metric in [
        Metric::PERPLEXITY,
        Metric::WORD_PERPLEXITY,
        Metric::BITS_PER_BYTE,
    ] {
        let figure = metric
            .of_text()
            .map(|figure| text_figure(metric, figure, &[scores]));
        if let Some(Ok(Some(over))) = figure {
            let value = plain(&over.questions, metric.decimals());
            let _ = writeln!(out, "{}  {value}", metric.labelled());
        }
    }
    out.push('\n');
    let numbered: Vec<_> = scores.documents.iter().enumerate().collect();
    out + &listed(numbered.iter(), rows, "documents", |(place, document)| {
        let perplexity = TextFigure::Perplexity.of(document);
        let perplexity = perplexity.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        format!(
            "{place}  {} tokens, perplexity {perplexity}\n",
            document.tokens
        )
    })
}

fn question_text(question: &Question) -> String {
    format!(
        "{}  [{}]  {}\n",
        printable(&question.id),
        printable(&question.answer),
        printable(question.asked().trim())
    )
}

fn path_text(path: &ReasoningPath) -> String {
    let mut head = printable(&path.question_id);
    if let Some(first) = &path.first_token {
        let _ = write!(head, "  first token {} {:?}", first.rank, first.text);
    }
    let _ = write!(head, "  draw {}", path.draw);
    if !path.tokens.is_empty() {
        let _ = write!(head, "  {} tokens", path.tokens.len());
    }
    if let Some(perplexity) = path.log_prob.and_then(|sum| sum.perplexity()) {
        let _ = write!(head, "  perplexity {perplexity:.2}");
    }
    for (name, score) in &path.scores {
        let _ = write!(head, "  {} {score:.3}", printable(name));
    }
    if !path.unparsed.is_empty() {
        let names: Vec<&str> = path.unparsed.iter().map(String::as_str).collect();
        let _ = write!(head, "  unparsed: {}", printable(&names.join(", ")));
    }
    if path.hint != Hint::None {
        head += "  written with the answer as a hint";
    }
    let _ = write!(head, "  end {}", path.end.name());
    let mut text = format!("{head}\n    {}\n", printable(path.text.trim()));
    if let Some(answer) = &path.answer_text {
        let _ = writeln!(text, "    answer: {}", printable(answer.trim()));
    }
    text
}

fn prediction_text(prediction: &Prediction) -> String {
    let draw = match prediction.log_prob {
        None if prediction.draw == 0 => String::new(),
        _ => format!("  draw {}", prediction.draw),
    };
    format!(
        "{}{draw}  end {}\n    {}\n    > {}\n",
        printable(&prediction.question_id),
        prediction.end.name(),
        printable(prediction.prompt.trim()),
        printable(prediction.output.trim())
    )
}

fn overlap_text(row: &OverlapRow) -> String {
    format!(
        "{}  row {}  {:.1} % of its n-grams, with {}\n    {}\n",
        printable(&row.question_id),
        row.row,
        100.0 * row.share,
        printable(&row.with),
        printable(&row.words)
    )
}

fn losses_text(losses: &[LossPoint], width: Width) -> String {
    let mut table = width.table();
    table.set_header([
        "epoch",
        "step",
        "training loss",
        "validation loss",
        "learning rate",
    ]);
    for point in losses {
        table.add_row([
            point.epoch.to_string(),
            point.step.to_string(),
            format!("{:.4}", point.train_loss),
            point
                .validation_loss
                .map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}")),
            format!("{:.2e}", point.learning_rate),
        ]);
    }
    format!("{table}\n")
}

fn evaluation_text(
    evaluation: &Evaluation,
    rows: usize,
    question: Option<&str>,
    width: Width,
) -> String {
    let mut table = width.table();
    table.set_header(["figure", "value and interval", "n"]);
    for (name, unit, estimate) in evaluation.columns() {
        table.add_row([
            titled(name, unit),
            figure(&estimate, unit),
            estimate.n.to_string(),
        ]);
    }
    let told = measured_text(evaluation, width);
    let outcomes = evaluation
        .outcomes
        .iter()
        .filter(|each| question.is_none_or(|id| id == each.question_id));
    let list = listed(outcomes, rows, "outcomes", |each| {
        let mark = match (&each.parsed, each.correct) {
            (_, true) => "right",
            (Some(_), false) => "wrong",
            (None, false) => "unparsed",
        };
        format!(
            "{:<24} {mark:<9} said {}, gold {}\n",
            printable(&each.question_id),
            printable(each.parsed.as_deref().unwrap_or("-")),
            printable(&each.gold)
        )
    });
    format!("{table}\n{told}{list}")
}

/// What was answered, how the answers ended, and what the intervals are.
fn measured_text(evaluation: &Evaluation, width: Width) -> String {
    let mut text = String::new();
    if let Some(answered) = &evaluation.answered {
        let n = evaluation.outcomes.len();
        let share = |count: usize| format!("{:.1} %", 100.0 * count as f64 / n.max(1) as f64);
        let mut table = width.table();
        table.set_header(["answer", "given", "gold"]);
        for (answer, gold) in &answered.gold {
            let given = answered.given.get(answer).copied().unwrap_or(0);
            table.add_row([printable(answer), share(given), share(*gold)]);
        }
        table.add_row([
            "unparsed".to_owned(),
            share(evaluation.unparsed()),
            String::new(),
        ]);
        let _ = writeln!(text, "{table}");
    }
    let n = evaluation.outcomes.len();
    let _ = match evaluation.ends() {
        (0, _) => writeln!(text, "How the answers ended is not known, so Fmt is not."),
        (known, cut) if known == n => writeln!(text, "{cut} answers were cut by length."),
        (known, cut) => writeln!(
            text,
            "{known} of {n} answers say how they ended, and Fmt is of these; {cut} of them were cut by length."
        ),
    };
    let params = &evaluation.params;
    let _ = writeln!(
        text,
        "Brackets: {} intervals; [-]: none. Fmt allows a Rep up to {}.",
        confidence_text(params.confidence),
        params.max_rep
    );
    text
}

fn model_text(model: &ModelFolder) -> String {
    let mut text = String::new();
    for (name, digest) in &model.files {
        let _ = writeln!(text, "{:<32} {}", printable(name), digest.short());
    }
    let prompt = printable(&serde_json::to_string(&model.prompt).unwrap_or_default());
    let export = if model.is_adapted() {
        "writes them as one model, and with `--adapter` the adapter alone"
    } else {
        "writes the folder"
    };
    let _ = writeln!(
        text,
        "answers the prompt {prompt}; `sert-run export` {export}"
    );
    text
}

/// A store's size for a person.
pub(crate) fn bytes_text(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}
