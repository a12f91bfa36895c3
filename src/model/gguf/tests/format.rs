//! What a whole file says, held to what the `gguf` package of Python wrote and read.

use std::fs;

use super::super::{BlockType, Gguf, List, Value};
use super::{File, fixture, open, says};

#[test]
fn every_type_has_the_references_bits() {
    let gguf = Gguf::open(&fixture("blocks.gguf")).unwrap();
    let expected = fs::read(fixture("blocks.f32")).unwrap();
    let expected: Vec<u32> = expected
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect();
    assert_eq!(gguf.tensors.len(), BlockType::ALL.len());
    let bits = |values: &[f32]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    for (tensor, expected) in gguf.tensors.values().zip(expected.chunks(512)) {
        assert_eq!(tensor.shape, [2, 256]);
        assert_eq!(tensor.name, format!("{:?}", tensor.kind).to_lowercase());
        let all = gguf.read_all(tensor).unwrap();
        assert_eq!(bits(&all), expected, "{}", tensor.name);
        // Any part, whatever blocks it cuts.
        for (first, count) in [
            (0, 1),
            (1, 30),
            (31, 2),
            (32, 64),
            (255, 2),
            (7, 505),
            (511, 1),
        ] {
            let mut part = vec![0.0; count];
            gguf.read_values(tensor, first, &mut part).unwrap();
            assert_eq!(
                bits(&part),
                &expected[first..first + count],
                "{}",
                tensor.name
            );
        }
    }
}

#[test]
fn many_pieces_make_a_whole() {
    // More than is decoded at a time, in blocks that do not fill it.
    let block: Vec<u8> = (0..210).map(|byte: u8| byte.wrapping_mul(7)).collect();
    let mut data = block.repeat(1000);
    for (index, block) in (0..=u8::MAX).cycle().zip(data.chunks_mut(210)) {
        for byte in block {
            *byte = byte.wrapping_add(index);
        }
    }
    // Scales that are small.
    data.chunks_mut(210)
        .for_each(|block| block[209] &= 0b1011_1111);
    let gguf = File::new("llama")
        .stored("a", 14, vec![256, 1000], data.clone())
        .open()
        .unwrap();
    let tensor = &gguf.tensors["a"];
    let all = gguf.read_all(tensor).unwrap();
    let mut expected = vec![0.0; 256_000];
    BlockType::Q6_K.decode(&data, &mut expected);
    assert_eq!(all, expected);
    let mut part = vec![0.0; 200_000];
    gguf.read_values(tensor, 12_345, &mut part).unwrap();
    assert_eq!(part, expected[12_345..212_345]);
}

#[test]
fn every_type_of_value_is_read() {
    let gguf = Gguf::open(&fixture("metadata.gguf")).unwrap();
    assert_eq!(gguf.version, 3);
    let lists = List::List(vec![List::I32(vec![1, 2]), List::I32(vec![3])]);
    let texts = ["", "a", "▁the"].map(Box::from).to_vec();
    for (key, value) in [
        ("general.alignment", Value::U32(64)),
        ("t.u8", Value::U8(200)),
        ("t.i8", Value::I8(-100)),
        ("t.u16", Value::U16(60000)),
        ("t.i16", Value::I16(-30000)),
        ("t.u32", Value::U32(4_000_000_000)),
        ("t.i32", Value::I32(-2_000_000_000)),
        ("t.f32", Value::F32(1e-5)),
        ("t.bool", Value::Bool(true)),
        ("t.text", Value::Text("Grüße 🙂".into())),
        ("t.u64", Value::U64(1 << 63)),
        ("t.i64", Value::I64(-(1 << 62))),
        ("t.f64", Value::F64(0.1)),
        ("t.texts", Value::List(List::Text(texts))),
        ("t.i32s", Value::List(List::I32(vec![1, -2, 3]))),
        ("t.f32s", Value::List(List::F32(vec![0.5, -1.5]))),
        ("t.bools", Value::List(List::Bool(vec![true, false]))),
        ("t.nested", Value::List(lists)),
    ] {
        assert_eq!(gguf.metadata.get(key), Some(&value), "{key}");
    }
    assert_eq!(gguf.metadata["t.f32"].as_number(), Some(1e-5));
    assert_eq!(gguf.tensors["two"].shape, [2, 3]);
    let two = gguf.read_all(&gguf.tensors["two"]).unwrap();
    assert_eq!(two, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn version_2_is_read_and_others_are_refused_by_name() {
    let mut file = File::new("llama").tensor("a", &[2], &[1.0, 2.0]);
    file.version = 2;
    assert_eq!(file.open().unwrap().version, 2);
    file.version = 1;
    says(file.open(), &["version 1 of GGUF", "newer file"]);
    file.version = 3 << 24;
    says(
        file.open(),
        &["version 3 of GGUF, big-endian", "gguf-convert-endian"],
    );
    file.version = 4;
    says(file.open(), &["version 4 of GGUF"]);
    says(
        open(b"ggjt\x03\0\0\0rest".to_vec()),
        &["\"ggjt\"", "before GGUF"],
    );
    says(open(vec![0x80; 40]), &["\"GGUF\"", "Hub format"]);
}

#[test]
fn what_has_blocks_of_scales_is_quantized() {
    let whole = BlockType::ALL.iter().filter(|kind| !kind.is_quantized());
    let whole: Vec<BlockType> = whole.copied().collect();
    assert_eq!(whole, [BlockType::F32, BlockType::F16, BlockType::BF16]);
}
