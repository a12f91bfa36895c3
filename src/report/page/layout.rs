//! Where the boxes of the DAG stand: columns by depth, lines from left to right.
//!
//! A line that passes a column has a lane of its own there, one for all lines from the same box, so
//! that nothing runs through a box. The order in a column is that of what is connected to it (the
//! barycentre method of Sugiyama, Tagawa and Toda 1981), a few rounds of it.

/// Sizes in CSS pixels.
pub(super) const BOX_WIDTH: f64 = 146.0;
pub(super) const BOX_HEIGHT: f64 = 44.0;
const COLUMN_GAP: f64 = 40.0;
const ROW_GAP: f64 = 16.0;
const LANE_HEIGHT: f64 = 2.0;
const MARGIN: f64 = 8.0;
/// Rounds of the barycentre method.
const ROUNDS: usize = 8;

/// Boxes and lines, placed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    /// The upper left corner of each box.
    pub(super) boxes: Vec<(f64, f64)>,
    /// The way of each edge, as corners of a smooth line.
    pub(super) lines: Vec<Vec<(f64, f64)>>,
}

/// What stands in a column.
struct Item {
    column: usize,
    height: f64,
    /// The middle.
    y: f64,
}

/// Lays out boxes in these columns, and the edges between them.
pub(super) fn lay_out(columns: &[usize], edges: &[(usize, usize)]) -> Layout {
    let mut items: Vec<Item> = columns
        .iter()
        .map(|&column| Item {
            column,
            height: BOX_HEIGHT,
            y: 0.0,
        })
        .collect();
    // The items that each edge passes, box to box.
    let mut lanes: std::collections::BTreeMap<(usize, usize), usize> =
        std::collections::BTreeMap::new();
    let ways: Vec<Vec<usize>> = edges
        .iter()
        .map(|&(from, to)| {
            let mut way = vec![from];
            for column in columns[from] + 1..columns[to] {
                way.push(*lanes.entry((from, column)).or_insert_with(|| {
                    items.push(Item {
                        column,
                        height: LANE_HEIGHT,
                        y: 0.0,
                    });
                    items.len() - 1
                }));
            }
            way.push(to);
            way
        })
        .collect();
    let mut links: Vec<(usize, usize)> = ways
        .iter()
        .flat_map(|way| way.windows(2).map(|pair| (pair[0], pair[1])))
        .collect();
    // A lane that several edges share pulls at its box once, as one line is drawn there.
    links.sort_unstable();
    links.dedup();
    place(&mut items, &links);

    let left = |item: &Item| MARGIN + item.column as f64 * (BOX_WIDTH + COLUMN_GAP);
    let line = |way: &Vec<usize>| {
        let mut points = Vec::new();
        for (step, &item) in way.iter().enumerate() {
            let item = &items[item];
            if step > 0 {
                points.push((left(item), item.y));
            }
            if step + 1 < way.len() {
                points.push((left(item) + BOX_WIDTH, item.y));
            }
        }
        points
    };
    let last = columns.iter().copied().max().unwrap_or_default();
    let bottom = (items.iter()).map(|item| item.y + item.height / 2.0);
    Layout {
        width: 2.0 * MARGIN + last as f64 * (BOX_WIDTH + COLUMN_GAP) + BOX_WIDTH,
        height: bottom.fold(0.0, f64::max) + MARGIN,
        boxes: items[..columns.len()]
            .iter()
            .map(|item| (left(item), item.y - BOX_HEIGHT / 2.0))
            .collect(),
        lines: ways.iter().map(line).collect(),
    }
}

/// Gives each item its height on the page.
fn place(items: &mut [Item], links: &[(usize, usize)]) {
    let last = items.iter().map(|item| item.column).max().unwrap_or(0);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); last + 1];
    for (index, item) in items.iter().enumerate() {
        order[item.column].push(index);
    }
    let (mut before, mut after) = (vec![Vec::new(); items.len()], vec![Vec::new(); items.len()]);
    for &(from, to) in links {
        before[to].push(from);
        after[from].push(to);
    }
    for column in &order {
        stack(items, column, &vec![None; column.len()]);
    }
    for round in 0..ROUNDS {
        let forwards = round % 2 == 0;
        let neighbours = if forwards { &before } else { &after };
        for step in 0..=last {
            let at = if forwards { step } else { last - step };
            let wanted = |index: usize| {
                let of = &neighbours[index];
                let sum: f64 = of.iter().map(|&other| items[other].y).sum();
                (!of.is_empty()).then(|| sum / of.len() as f64)
            };
            let mut column: Vec<(usize, Option<f64>)> = order[at]
                .iter()
                .map(|&index| (index, wanted(index)))
                .collect();
            // What is connected to nothing keeps its place among the others.
            column.sort_by(|a, b| {
                let key = |entry: &(usize, Option<f64>)| entry.1.unwrap_or(items[entry.0].y);
                key(a).total_cmp(&key(b))
            });
            let (indices, wishes): (Vec<usize>, Vec<Option<f64>>) = column.into_iter().unzip();
            stack(items, &indices, &wishes);
            order[at] = indices;
        }
    }
    let top = (items.iter()).map(|item| item.y - item.height / 2.0);
    let top = top.fold(f64::INFINITY, f64::min);
    for item in items {
        item.y += MARGIN - top;
    }
}

/// Puts a column's items below each other, as near as can be to where they wish to be.
fn stack(items: &mut [Item], column: &[usize], wishes: &[Option<f64>]) {
    let mut floor = f64::NEG_INFINITY;
    let (mut off, mut wished) = (0.0, 0);
    for (&index, wish) in column.iter().zip(wishes) {
        let half = items[index].height / 2.0;
        let lowest = floor + half;
        let y = match wish {
            Some(wish) => wish.max(lowest),
            None if floor.is_finite() => lowest,
            None => items[index].y,
        };
        if let Some(wish) = wish {
            off += wish - y;
            wished += 1;
        }
        items[index].y = y;
        floor = y + half + ROW_GAP;
    }
    // Pushed down only, so far: the column as a whole goes up again.
    if wished > 0 {
        for &index in column {
            items[index].y += off / f64::from(wished);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(layout: &Layout) -> bool {
        let boxes = &layout.boxes;
        boxes.iter().enumerate().all(|(place, a)| {
            boxes[..place]
                .iter()
                .all(|b| (a.0 - b.0).abs() >= BOX_WIDTH || (a.1 - b.1).abs() >= BOX_HEIGHT)
        })
    }

    #[test]
    fn boxes_stand_apart_and_lines_go_around_them() {
        // A diamond with a shortcut, and one box that is connected to nothing.
        let columns = [0_u8, 1, 1, 2, 3, 1];
        let edges = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (0, 4), (0, 3)];
        let places = columns.map(usize::from);
        let layout = lay_out(&places, &edges);
        assert_eq!(layout.boxes.len(), columns.len());
        assert!(apart(&layout), "{layout:?}");
        for ((x, y), column) in layout.boxes.iter().zip(columns) {
            assert!(*x >= 0.0 && *y >= 0.0 && *y + BOX_HEIGHT <= layout.height);
            assert!((x - MARGIN - f64::from(column) * (BOX_WIDTH + COLUMN_GAP)).abs() < 1e-9);
        }
        // The shortcut passes two columns, and there no box.
        let shortcut = &layout.lines[5];
        assert_eq!(shortcut.len(), 6);
        for at in [1, 3] {
            let (x, y) = shortcut[at];
            for (left, top) in &layout.boxes {
                let within = (*left..*left + BOX_WIDTH).contains(&x)
                    && (*top..*top + BOX_HEIGHT).contains(&y);
                assert!(!within, "{layout:?}");
            }
        }
        assert_eq!(layout, lay_out(&places, &edges));
    }

    #[test]
    fn nothing_and_a_line_backwards_are_laid_out_too() {
        assert!(lay_out(&[], &[]).boxes.is_empty());
        let layout = lay_out(&[1, 0, 0], &[(0, 1), (1, 2)]);
        assert!(layout.boxes.len() == 3 && apart(&layout));
        assert_eq!(layout.lines[0].len(), 2);
    }
}
