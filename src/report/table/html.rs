//! A table as a fragment of a page.

use askama::Template;

use super::cell::titled;
use super::text::{TEST_HEADER, counts, test_lines};
use super::{Cell, CellGroup, ResultTable};

/// Askama escapes every value.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<figure class="results" id="table-{{ table.name }}">
<figcaption>{{ table.heading }}<span class="ran">{{ table.ran.text() }}{% if let Some(caution) = table.ran.caution() %} {{ caution }}{% endif %}</span></figcaption>
<div class="scroll"><table>
<thead>
{%- if grouped %}
<tr><th colspan="{{ names }}"></th>{% for group in table.groups %}<th colspan="{{ table.metrics.len() + 3 }}" scope="colgroup">{{ group }}</th>{% endfor %}</tr>
{%- endif %}
<tr>{% for axis in table.row_axes %}<th scope="col">{{ axis }}</th>{% endfor %}<th></th>{% for group in table.groups %}{% for title in titles %}<th scope="col">{{ title }}</th>{% endfor %}<th scope="col">unparsed</th><th scope="col">cut</th><th scope="col">n</th>{% endfor %}</tr>
</thead>
<tbody>
{%- for row in table.rows %}
<tr>{% for header in row.headers %}<th scope="row">{{ header }}</th>{% endfor %}<th scope="row">{{ row.label }}</th>{% for group in row.groups %}{% for cell in cells(group) %}<td{% if cell.1.len() > 0 %} title="{{ cell.1 }}"{% endif %}>{{ cell.0 }}{% if cell.2.len() > 0 %}<br><small>reported {{ cell.2 }}</small>{% endif %}</td>{% endfor %}{% for count in counted(group) %}<td>{{ count }}</td>{% endfor %}{% endfor %}</tr>
{%- endfor %}
</tbody>
</table></div>
{%- for answers in table.answers %}
<div class="scroll"><table class="answers">
{%- if answers.group.len() > 0 %}
<caption>{{ answers.group }}</caption>
{%- endif %}
<thead><tr>{% for axis in table.row_axes %}<th scope="col">{{ axis }}</th>{% endfor %}{% for title in answers.header() %}<th scope="col">{{ title }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for line in answers.lines %}
<tr>{% for header in line.headers %}<th scope="row">{{ header }}</th>{% endfor %}{% for cell in answers.cells(line) %}{% if loop.first %}<th scope="row">{{ cell }}</th>{% else %}<td>{{ cell }}</td>{% endif %}{% endfor %}</tr>
{%- endfor %}
</tbody>
</table></div>
{%- endfor %}
{%- if !tests.is_empty() %}
<div class="scroll"><table class="tests">
<thead><tr>{% for title in test_header %}<th scope="col">{{ title }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for line in tests %}
<tr>{% for cell in line %}<td>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody>
</table></div>
{%- endif %}
{%- for note in table.notes %}
<p class="note">{{ note }}</p>
{%- endfor %}
</figure>
"#
)]
struct Page<'a> {
    table: &'a ResultTable,
    names: usize,
    grouped: bool,
    titles: Vec<String>,
    tests: Vec<[String; 8]>,
    test_header: [&'static str; 8],
}

pub(super) fn render(table: &ResultTable) -> String {
    let page = Page {
        table,
        names: table.row_axes.len() + 1,
        grouped: table.groups.iter().any(|group| !group.is_empty()),
        titles: table.metrics.iter().copied().map(titled).collect(),
        tests: test_lines(table).collect(),
        test_header: TEST_HEADER,
    };
    page.render().expect("a string takes all that is written")
}

impl Page<'_> {
    /// Of each cell its text, why it is a hole or which stages measured it, and what was reported.
    fn cells(&self, group: &CellGroup) -> Vec<(String, String, String)> {
        let cells = group.cells.iter().zip(&self.table.metrics);
        cells
            .map(|(cell, metric)| {
                let about = match cell {
                    Cell::Empty => String::new(),
                    Cell::Hole { reason } | Cell::NotNeeded { reason } => reason.clone(),
                    Cell::Figure(figure) => figure.evaluations.join(", "),
                };
                (cell.text(*metric), about, cell.reported_text(*metric))
            })
            .collect()
    }

    #[expect(clippy::unused_self, reason = "the template calls methods")]
    fn counted(&self, group: &CellGroup) -> [String; 3] {
        counts(group)
    }
}
