//! Blocks of 256 integers in groups of 16 or 32, whose scales are small integers themselves (ggml's `K` types).

use super::{half, signed};

/// 16 scales and minima (4 bits each), 256 integers of 2 bits, `d`, `dmin`.
pub(super) fn q2(block: &[u8; 84], into: &mut [f32; 256]) {
    let (scales, rest) = block.split_at(16);
    let (d, dmin) = (half(rest, 64), half(rest, 66));
    for (group, values) in into.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let (scale, minimum) = (scales[group] & 15, scales[group] >> 4);
        let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
        let (packed, shift) = twos(rest, group);
        for (value, byte) in values.iter_mut().zip(packed) {
            *value = scale * f32::from(byte >> shift & 3) - minimum;
        }
    }
}

/// A third bit of each (32 bytes), 256 integers of 2 bits, 16 scales of 6 bits, `d`.
pub(super) fn q3(block: &[u8; 110], into: &mut [f32; 256]) {
    let (thirds, rest) = block.split_at(32);
    let scales = &rest[64..76];
    let d = half(rest, 76);
    for (group, values) in into.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        // The low four bits of the scales in 8 bytes, the high two in 4.
        let low = scales[group % 8] >> (4 * (group / 8)) & 15;
        let high = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
        let scale = d * (f32::from(low | high << 4) - 32.0);
        let (packed, shift) = twos(rest, group);
        let thirds = thirds[16 * (group % 2)..].iter();
        for ((value, byte), third) in values.iter_mut().zip(packed).zip(thirds) {
            // The third bit says that nothing is taken off.
            let off = if third >> (group / 2) & 1 == 1 {
                0.0
            } else {
                4.0
            };
            *value = scale * (f32::from(byte >> shift & 3) - off);
        }
    }
}

/// The bytes that hold the 2 bits of a group of 16, and how far up: 128 values share 32 bytes.
fn twos(packed: &[u8], group: usize) -> (&[u8], usize) {
    let first = 32 * (group / 8) + 16 * (group % 2);
    (&packed[first..first + 16], 2 * (group % 8 / 2))
}

/// `d`, `dmin`, 8 scales and minima of 6 bits, 256 integers of 4 bits.
pub(super) fn q4(block: &[u8; 144], into: &mut [f32; 256]) {
    scaled(block, &block[16..], into, |_, _| 0);
}

/// The same with a fifth bit of each before them.
pub(super) fn q5(block: &[u8; 176], into: &mut [f32; 256]) {
    scaled(block, &block[48..], into, |group, index| {
        (block[16 + index] >> group & 1) << 4
    });
}

fn scaled(block: &[u8], packed: &[u8], into: &mut [f32; 256], fifth: impl Fn(usize, usize) -> u8) {
    let (d, dmin) = (half(block, 0), half(block, 2));
    for (group, values) in into.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&block[4..16], group);
        let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
        // Two groups share 32 bytes: the low halves, then the high ones.
        let packed = &packed[32 * (group / 2)..];
        let shift = 4 * (group % 2);
        for (index, (value, byte)) in values.iter_mut().zip(packed).enumerate() {
            let q = byte >> shift & 15 | fifth(group, index);
            *value = scale * f32::from(q) - minimum;
        }
    }
}

/// Of 12 bytes the first four hold scales and the next four minima of the first four groups, 6 bits each; the last four
/// hold the low four bits of the others' scales and minima, whose high two are the high two of the first eight.
fn scale_and_minimum(packed: &[u8], group: usize) -> (u8, u8) {
    match group.checked_sub(4) {
        None => (packed[group] & 63, packed[group + 4] & 63),
        Some(later) => {
            let low = packed[later + 8];
            (
                low & 15 | packed[later] >> 6 << 4,
                low >> 4 | packed[later + 4] >> 6 << 4,
            )
        }
    }
}

/// The low four bits of 256 integers (128 bytes), their high two (64 bytes), 16 scales of 8 bits, `d`.
pub(super) fn q6(block: &[u8; 210], into: &mut [f32; 256]) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let d = half(rest, 16);
    for (group, values) in into.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * signed(rest[group]);
        // 128 values share 64 bytes of low bits and 32 of high ones.
        let (part, quarter, within) = (group / 8, group % 8 / 2, 16 * (group % 2));
        let low = &low[64 * part + 32 * (quarter % 2) + within..];
        let high = &high[32 * part + within..];
        for (value, (low, high)) in values.iter_mut().zip(low.iter().zip(high)) {
            let q = low >> (4 * (quarter / 2)) & 15 | (high >> (2 * quarter) & 3) << 4;
            *value = scale * (f32::from(q) - 32.0);
        }
    }
}
