//! Products by hand, and what must not change a bit of them.

use super::*;

fn numbers(length: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    })
    .take(length)
    .collect()
}

#[test]
fn a_product_worked_by_hand() {
    let left = [1.0, 2.0, 3.0, 4.0];
    let right = [5.0, 6.0, 7.0, 8.0];
    let mut out = [1.0; 6];
    let [a, b] = [&left, &right].map(|data| Matrix::rows(data, 2));
    product([2, 2, 2], a, b, Into::Set, &mut out, 3);
    let is = |out: &[f32; 6], expected: [f32; 6]| {
        assert!(
            out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
            "{out:?}"
        );
    };
    is(&out, [19.0, 22.0, 1.0, 43.0, 50.0, 1.0]);
    // [1 3; 2 4] * [5 6; 7 8] on top.
    product([2, 2, 2], a.transposed(), b, Into::Add, &mut out, 3);
    is(&out, [45.0, 52.0, 1.0, 81.0, 94.0, 1.0]);
    // [1 2; 3 4] * [5 7; 6 8] on a bias.
    let bias = Into::Bias(&[0.5, -1.0]);
    product([2, 2, 2], a, b.transposed(), bias, &mut out, 3);
    is(&out, [17.5, 22.0, 1.0, 39.5, 52.0, 1.0]);
}

#[test]
fn how_operands_lie_does_not_change_a_bit() {
    let turned = |values: &[f32], rows: usize| -> Vec<f32> {
        let columns = values.len() / rows;
        let places = (0..columns).flat_map(|column| (0..rows).map(move |row| [row, column]));
        places
            .map(|[row, column]| values[row * columns + column])
            .collect()
    };
    for [rows, inner, columns] in [
        [13, 16, 32],
        [25, 100, 71],
        [3, 5, 33],
        [14, 529, 64],
        [30, 1024, 40],
        // Several tasks, so that parts of an operand are packed.
        [100, 600, 1100],
        [1100, 40, 100],
    ] {
        let [left, right] = [numbers(rows * inner, 1), numbers(inner * columns, 2)];
        let [left_turned, right_turned] = [turned(&left, rows), turned(&right, inner)];
        let [a, b] = [Matrix::rows(&left, inner), Matrix::rows(&right, columns)];
        let at = Matrix::rows(&left_turned, rows).transposed();
        let bt = Matrix::rows(&right_turned, inner).transposed();
        let run = |left, right| {
            let mut out = vec![0.0; rows * columns];
            let sizes = [rows, inner, columns];
            product(sizes, left, right, Into::Set, &mut out, columns);
            out
        };
        let expected = run(a, b);
        for (left, right) in [(at, b), (a, bt), (at, bt)] {
            assert_eq!(run(left, right), expected, "{rows} {inner} {columns}");
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    for [rows, inner, columns] in [
        [512, 128, 384],
        [128, 512, 512],
        [37, 300, 257],
        [2, 768, 3072],
        [700, 64, 3],
        [1, 2048, 512],
    ] {
        let left = numbers(rows * inner, 1);
        let right = numbers(inner * columns, 2);
        let run = |threads: usize, [turn_left, turn_right]: [bool; 2]| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let mut out = vec![0.0; rows * columns];
            let mut a = Matrix::rows(&left, inner);
            let mut b = Matrix::rows(&right, columns);
            if turn_left {
                a = Matrix::rows(&left, rows).transposed();
            }
            if turn_right {
                b = Matrix::rows(&right, inner).transposed();
            }
            pool.install(|| {
                product([rows, inner, columns], a, b, Into::Set, &mut out, columns);
            });
            out
        };
        for turned in [[false, false], [true, false], [false, true], [true, true]] {
            let one = run(1, turned);
            for threads in [2, 3, 4, 8] {
                assert_eq!(
                    one,
                    run(threads, turned),
                    "{rows} {inner} {columns} on {threads}"
                );
            }
        }
    }
}
