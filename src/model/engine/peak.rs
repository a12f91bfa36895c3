//! What the micro-kernel does at its best: the roof that benches measure the engine and training against.

use std::time::Instant;

use super::gemm::{Epilogue, MatrixRows, multiply};
use super::packed::{Columns, Packed};
use super::parallel::Parallel;
use crate::model::kernel::buffer::{Buffer, row_stride};
use crate::model::kernel::lanes::Isa;
use crate::model::{EngineError, thread_pool};

/// Floating-point operations per second (two for a multiply-add) of the product of `[rows, k]` with packed
/// weights `[k, n]` on `threads` threads (0 for all cores): the best of `attempts`. Short attempts and many of them
/// find one that nothing else on the machine has disturbed. Ours.
///
/// # Errors
/// The threads cannot be started.
pub fn product_rate(
    [rows, k, n]: [usize; 3],
    threads: usize,
    attempts: usize,
) -> Result<f64, EngineError> {
    let pool = thread_pool(threads)?;
    // Values repeat, which costs the kernel what any others do; none is subnormal.
    let values: Vec<f32> = (0..k * n).map(|i| (i % 17) as f32 - 8.0).collect();
    let weights = Packed::new(&values, k, Columns::Plain(n), None);
    let (x_stride, y_stride) = (row_stride(k), row_stride(n));
    let mut x = Buffer::zeroed(rows * x_stride);
    x.as_mut_slice().fill(0.5);
    let mut y = Buffer::zeroed(rows * y_stride);
    let least = pool.install(|| {
        let once = |_| {
            let input = MatrixRows::new(x.as_slice(), x_stride, rows);
            let parallel = Parallel::pool(Isa::available()[0]);
            let began = Instant::now();
            multiply(
                parallel,
                input,
                &weights,
                Epilogue::Store,
                y.as_mut_slice(),
                y_stride,
            );
            began.elapsed().as_secs_f64()
        };
        (0..attempts.max(1)).map(once).fold(f64::INFINITY, f64::min)
    });
    Ok(2.0 * (rows * k * n) as f64 / least)
}
