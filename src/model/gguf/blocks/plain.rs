//! Plain numbers, and blocks of 32 integers with one scale.
//!
//! A block begins with its scale `d` (f16), then its offset `m` (f16) where it has one, then the fifth bits of all (32 bits) where
//! there are any. Of a byte of 4-bit integers the low half is the value `j`, the high half the value `j + 16`.

use half::{bf16, f16};

use super::{half, signed};

pub(super) fn f32(bytes: &[u8], into: &mut [f32]) {
    for (value, raw) in into.iter_mut().zip(bytes.as_chunks().0) {
        *value = f32::from_le_bytes(*raw);
    }
}

pub(super) fn f16(bytes: &[u8], into: &mut [f32]) {
    for (value, raw) in into.iter_mut().zip(bytes.as_chunks().0) {
        *value = f16::from_le_bytes(*raw).to_f32();
    }
}

pub(super) fn bf16(bytes: &[u8], into: &mut [f32]) {
    for (value, raw) in into.iter_mut().zip(bytes.as_chunks().0) {
        *value = bf16::from_le_bytes(*raw).to_f32();
    }
}

pub(super) fn q4_0(block: &[u8; 18], into: &mut [f32; 32]) {
    let d = half(block, 0);
    nibbles(&block[2..], 0, into, |q| (q - 8.0) * d);
}

pub(super) fn q4_1(block: &[u8; 20], into: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    nibbles(&block[4..], 0, into, |q| q * d + m);
}

pub(super) fn q5_0(block: &[u8; 22], into: &mut [f32; 32]) {
    let d = half(block, 0);
    nibbles(&block[6..], word(block, 2), into, |q| (q - 16.0) * d);
}

pub(super) fn q5_1(block: &[u8; 24], into: &mut [f32; 32]) {
    let (d, m) = (half(block, 0), half(block, 2));
    nibbles(&block[8..], word(block, 4), into, |q| q * d + m);
}

pub(super) fn q8_0(block: &[u8; 34], into: &mut [f32; 32]) {
    let d = half(block, 0);
    for (value, q) in into.iter_mut().zip(&block[2..]) {
        *value = signed(*q) * d;
    }
}

/// 32 integers of 4 bits, and a fifth of each in `fifth`.
fn nibbles(packed: &[u8], fifth: u32, into: &mut [f32; 32], value: impl Fn(f32) -> f32) {
    let (low, high) = into.split_at_mut(16);
    for (j, byte) in packed.iter().enumerate() {
        let bit = |index: usize| if fifth >> index & 1 == 1 { 16 } else { 0 };
        low[j] = value(f32::from(byte & 15 | bit(j)));
        high[j] = value(f32::from(byte >> 4 | bit(j + 16)));
    }
}

fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}
