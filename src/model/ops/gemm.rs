//! Matrix products on plain slices, in place and with strides: the one door to the `gemm` crate.
//!
//! Every element of a product is one sum over the inner dimension in an order that depends on the sizes alone:
//! `gemm` divides rows and columns among threads and never the inner dimension, so the number of threads does not
//! change a bit (a test compares them).

/// A strided view of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    /// From the first element on.
    pub(crate) data: &'a [f32],
    /// Distance between neighbours in a column.
    pub(crate) row_stride: usize,
    /// Distance between neighbours in a row.
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `row_stride` elements.
    pub(crate) fn rows(data: &'a [f32], row_stride: usize) -> Self {
        Self {
            data,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transpose.
    pub(crate) fn transposed(self) -> Self {
        Self {
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// How a product meets what is in the output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Into {
    /// Overwrites it.
    Set,
    /// Adds to it.
    Add,
}

/// Products of fewer multiplications run on one thread: waking the others costs more. Ours, measured.
const PARALLEL_FROM: usize = 1 << 20;

/// `out[rows, columns] (+)= scale * left[rows, inner] * right[inner, columns]`; rows of `out` are `out_stride` apart.
pub(crate) fn product(
    [rows, inner, columns]: [usize; 3],
    left: Matrix<'_>,
    right: Matrix<'_>,
    scale: f32,
    how: Into,
    out: &mut [f32],
    out_stride: usize,
) {
    if rows == 0 || columns == 0 || inner == 0 {
        assert!(
            how == Into::Add || rows * columns == 0,
            "an empty sum would leave the output as it was"
        );
        return;
    }
    assert!(
        left.holds(rows, inner) && right.holds(inner, columns),
        "operand too short"
    );
    assert!(
        columns <= out_stride && (rows - 1) * out_stride + columns <= out.len(),
        "output too short"
    );
    let parallelism = if rows * inner * columns >= PARALLEL_FROM && rayon::current_num_threads() > 1
    {
        gemm::Parallelism::Rayon(0)
    } else {
        gemm::Parallelism::None
    };
    let stride =
        |value: usize| isize::try_from(value).expect("a slice is no longer than isize::MAX");
    let keep = if how == Into::Add { 1.0 } else { 0.0 };
    #[expect(
        unsafe_code,
        reason = "gemm takes pointers; the asserts above keep every access inside the slices"
    )]
    // SAFETY: `gemm` reads `left` at i * row_stride + j * column_stride for i < rows, j < inner, `right` likewise and
    // touches `out` at i * out_stride + j for i < rows, j < columns. The largest of these offsets is inside its
    // slice (asserted), all are aligned f32, and `out` is borrowed mutably, so it overlaps neither operand; distinct
    // (i, j) of `out` are distinct elements because columns <= out_stride (asserted).
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            stride(out_stride),
            how == Into::Add,
            left.data.as_ptr(),
            stride(left.column_stride),
            stride(left.row_stride),
            right.data.as_ptr(),
            stride(right.column_stride),
            stride(right.row_stride),
            keep,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
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
        product([2, 2, 2], a, b, 1.0, Into::Set, &mut out, 3);
        let is = |out: &[f32; 6], expected: [f32; 6]| {
            assert!(
                out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6),
                "{out:?}"
            );
        };
        is(&out, [19.0, 22.0, 1.0, 43.0, 50.0, 1.0]);
        // 0.5 * [1 3; 2 4] * [5 6; 7 8] on top.
        product([2, 2, 2], a.transposed(), b, 0.5, Into::Add, &mut out, 3);
        is(&out, [32.0, 37.0, 1.0, 62.0, 72.0, 1.0]);
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
            let run = |threads: usize, transposed: bool| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let mut out = vec![0.0; rows * columns];
                let mut a = Matrix::rows(&left, inner);
                if transposed {
                    a = Matrix::rows(&left, rows).transposed();
                }
                pool.install(|| {
                    product(
                        [rows, inner, columns],
                        a,
                        Matrix::rows(&right, columns),
                        1.0,
                        Into::Set,
                        &mut out,
                        columns,
                    );
                });
                out
            };
            for transposed in [false, true] {
                let one = run(1, transposed);
                for threads in [2, 3, 4, 8] {
                    assert_eq!(
                        one,
                        run(threads, transposed),
                        "{rows} {inner} {columns} on {threads}"
                    );
                }
            }
        }
    }
}
