//! How a tensor's values are stored: as numbers, or in blocks of small integers with their scales.
//!
//! In: whole blocks. Out: f32, with the operations and the order of ggml's reference (`dequantize_row_*`), so to the same bits.
//! Source: ggml's `ggml-common.h`, which lays the blocks out.

mod k;
mod plain;

/// How values are stored, by ggml's names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(non_camel_case_types, missing_docs, reason = "the names of ggml")]
pub enum BlockType {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// Numbers of types that ggml has or had and that are not read here.
const OTHERS: [(u32, &str); 24] = [
    (4, "Q4_2"),
    (5, "Q4_3"),
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (31, "Q4_0_4_4"),
    (32, "Q4_0_4_8"),
    (33, "Q4_0_8_8"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl BlockType {
    /// All that are read.
    pub const ALL: [Self; 13] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// Whether it has 8 bits for a value or fewer.
    pub fn is_quantized(self) -> bool {
        !matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    /// The type that a file gives by this number.
    ///
    /// # Errors
    /// What it is called, where it is not read here.
    pub fn of(number: u32) -> Result<Self, String> {
        Ok(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            10 => Self::Q2_K,
            11 => Self::Q3_K,
            12 => Self::Q4_K,
            13 => Self::Q5_K,
            14 => Self::Q6_K,
            30 => Self::BF16,
            other => {
                let named = OTHERS.iter().find(|(number, _)| *number == other);
                return Err(match named {
                    Some((_, name)) => (*name).to_owned(),
                    None => format!("the unknown type {other}"),
                });
            }
        })
    }

    /// Values of a block.
    pub fn values(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q2_K | Self::Q3_K | Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of a block.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q2_K => 84,
            Self::Q3_K => 110,
            Self::Q4_K => 144,
            Self::Q5_K => 176,
            Self::Q6_K => 210,
        }
    }

    /// The values of whole blocks; `into` has room for as many.
    ///
    /// # Panics
    /// It has not.
    pub fn decode(self, bytes: &[u8], into: &mut [f32]) {
        let blocks = bytes.len() / self.bytes();
        assert_eq!(
            into.len(),
            blocks * self.values(),
            "room for {blocks} blocks"
        );
        match self {
            Self::F32 => plain::f32(bytes, into),
            Self::F16 => plain::f16(bytes, into),
            Self::BF16 => plain::bf16(bytes, into),
            Self::Q4_0 => each(bytes, into, plain::q4_0),
            Self::Q4_1 => each(bytes, into, plain::q4_1),
            Self::Q5_0 => each(bytes, into, plain::q5_0),
            Self::Q5_1 => each(bytes, into, plain::q5_1),
            Self::Q8_0 => each(bytes, into, plain::q8_0),
            Self::Q2_K => each(bytes, into, k::q2),
            Self::Q3_K => each(bytes, into, k::q3),
            Self::Q4_K => each(bytes, into, k::q4),
            Self::Q5_K => each(bytes, into, k::q5),
            Self::Q6_K => each(bytes, into, k::q6),
        }
    }
}

fn each<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    into: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let (blocks, values) = (bytes.as_chunks().0, into.as_chunks_mut().0);
    for (block, values) in blocks.iter().zip(values) {
        decode(block, values);
    }
}

/// The number of 16 bits at `at`.
fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// A byte as the signed number that it stands for.
fn signed(byte: u8) -> f32 {
    f32::from(i8::from_le_bytes([byte]))
}
