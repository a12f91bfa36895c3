//! What columns are made from that no evaluation tells: texts, and what rows cost.

use super::placed;
use crate::metric::Beside;
use crate::report::ReportError;
use crate::report::table::ResultTable;
use crate::report::table::beside::CellTexts;
use crate::report::table::build::Filler;

/// Which text each row's figures are of.
pub(super) fn texts(
    filler: &mut Filler<'_>,
    table: &ResultTable,
) -> Result<Vec<String>, ReportError> {
    // By text, as it is told: the rows.
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    let (layout, spec) = (filler.layout, filler.spec);
    let of_text = table.metrics.iter().filter(|each| each.of_text().is_some());
    let of_text: Vec<_> = of_text.copied().collect();
    for row in &layout.rows {
        for column in &layout.columns {
            for &metric in &of_text {
                let CellTexts::Scored(seeds) = filler.texts(row, column, metric)? else {
                    continue;
                };
                let (_, first) = &seeds[0];
                let total = first.total();
                let told = format!(
                    "{} documents of {} words ({})",
                    first.documents.len(),
                    total.words,
                    &first.text.to_string()[..8]
                );
                let place = placed(&row.title, &column.title);
                match found.iter_mut().find(|(known, _)| *known == told) {
                    Some((_, places)) if places.contains(&place) => {}
                    Some((_, places)) => places.push(place),
                    None => found.push((told, vec![place])),
                }
            }
        }
    }
    let measured: usize = found.iter().map(|(_, places)| places.len()).sum();
    let all = measured == layout.rows.len() * layout.columns.len();
    let each: Vec<String> = (found.iter())
        .map(|(told, places)| {
            if found.len() == 1 && all {
                told.clone()
            } else {
                format!("{told}: {}", places.join("; "))
            }
        })
        .collect();
    let baseline = spec.baseline.map_or_else(String::new, |baseline| {
        format!(
            " The tests set each beside {}'s on the same text.",
            spec.rows[baseline].label
        )
    });
    Ok((!each.is_empty())
        .then(|| {
            format!(
                "Text: {}. Its figures are of all its tokens together, under the row's student, whatever questions the row answers; brackets resample whole documents.{baseline}",
                each.join(". ")
            )
        })
        .into_iter()
        .collect())
}

/// What is counted, where it is shown.
pub(super) fn costs(table: &ResultTable) -> Option<String> {
    let is_cost = |beside: Option<Beside>| matches!(beside, Some(Beside::Cost(_)));
    let mut metrics = table.metrics.iter();
    metrics.any(|metric| is_cost(metric.beside())).then(|| {
        "Tokens: sampled, what students drew in the stages behind a row, each stage once though rows may share it, ends of text included; answered, the row's own answers; trained, what the trainings behind it read, each epoch again. Counted from the rows that were made, in whatever runs. How the student was made before, and what servers wrote, are not counted.".to_owned()
    })
}
