//! The cells of a table: which points of the sweep stand in which row and column.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sweep, TableSpec};

/// The rows and groups of columns of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct Layout {
    /// The names of the axes that make rows.
    pub row_axes: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<LayoutRow>,
    /// From left to right; one without a title where no axis makes columns.
    pub columns: Vec<LayoutColumn>,
}

/// A row of cells.
#[derive(Clone, PartialEq, Debug)]
pub struct LayoutRow {
    /// The place of its [`super::RowSpec`] in the table.
    pub spec: usize,
    /// The labels of its values on the row axes; empty ones for a row that does not depend on them.
    pub headers: Vec<String>,
    /// Its headers and its label, joined by ` / `.
    pub title: String,
    /// The points in it.
    points: Vec<usize>,
}

/// A group of columns.
#[derive(Clone, PartialEq, Debug)]
pub struct LayoutColumn {
    /// Its values on the column axes, joined by ` / `.
    pub title: String,
    /// The points in it.
    points: Vec<usize>,
}

impl TableSpec {
    /// The table's cells over the points of `sweep`.
    pub fn layout(&self, sweep: &Sweep) -> Layout {
        let all = self.points(sweep);
        let columns = groups(sweep, &all, &self.column_axes)
            .into_iter()
            .map(|(headers, points)| LayoutColumn {
                title: headers.join(" / "),
                points,
            })
            .collect();
        let row_groups = groups(sweep, &all, &self.row_axes);
        let mut rows = Vec::new();
        let row = |spec: usize, headers: Vec<String>, points: Vec<usize>| {
            let label = self.rows[spec].label.clone();
            let parts = headers.iter().filter(|header| !header.is_empty());
            let parts: Vec<String> = parts.cloned().chain([label]).collect();
            LayoutRow {
                spec,
                headers,
                title: parts.join(" / "),
                points,
            }
        };
        let (vary, once): (Vec<usize>, Vec<usize>) =
            (0..self.rows.len()).partition(|&spec| self.rows[spec].varies);
        for spec in once {
            let headers = vec![String::new(); self.row_axes.len()];
            rows.push(row(spec, headers, all.clone()));
        }
        for (headers, points) in row_groups {
            for &spec in &vary {
                rows.push(row(spec, headers.clone(), points.clone()));
            }
        }
        Layout {
            row_axes: (self.row_axes.iter())
                .map(|&axis| sweep.axes[axis].name.clone())
                .collect(),
            rows,
            columns,
        }
    }

    /// The points that are in it.
    fn points(&self, sweep: &Sweep) -> Vec<usize> {
        let is_free = |axis: &usize| {
            !self.row_axes.contains(axis)
                && !self.column_axes.contains(axis)
                && Some(*axis) != sweep.seed_axis()
        };
        let free: Vec<usize> = (0..sweep.axes.len()).filter(is_free).collect();
        let is_in = |point: &usize| {
            let at = &sweep.points[*point].coordinates;
            !self.as_declared || free.iter().all(|&axis| at[axis].is_none())
        };
        (0..sweep.points.len()).filter(is_in).collect()
    }
}

impl LayoutRow {
    /// The points of the cell in `column`: those of its seeds. A row that does not depend on the row axes is the
    /// same at each of their values, so the first of them speaks for it.
    pub fn points(&self, column: &LayoutColumn, sweep: &Sweep) -> Vec<usize> {
        let axis = sweep.seed_axis();
        let seed = |point: usize| axis.map(|axis| sweep.points[point].coordinates[axis]);
        let mut seen = BTreeSet::new();
        let points = self.points.iter().copied();
        // Points are in order.
        let both = points.filter(|point| column.points.binary_search(point).is_ok());
        both.filter(|point| seen.insert(seed(*point))).collect()
    }
}

/// `points` by their values on `axes`, in the order in which the values come up.
fn groups(sweep: &Sweep, points: &[usize], axes: &[usize]) -> Vec<(Vec<String>, Vec<usize>)> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut places: BTreeMap<Vec<Option<usize>>, usize> = BTreeMap::new();
    for &place in points {
        let of = &sweep.points[place].coordinates;
        let at: Vec<_> = axes.iter().map(|&axis| of[axis]).collect();
        let group = *places.entry(at).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(place);
    }
    groups
        .into_iter()
        .map(|points| {
            let point = &sweep.points[points[0]];
            let labels = axes.iter().map(|&axis| sweep.value_label(point, axis));
            (labels.map(str::to_owned).collect(), points)
        })
        .collect()
}
