//! Files that are cut off, damaged or made to mislead: each is an error with its message, and none takes more than it is worth.

use std::fs;
use std::time::Instant;

use super::super::config::config;
use super::super::tokenizer::tokenizer;
use super::super::{Gguf, arrays::arrays};
use super::{File, fixture, open, says, text};

/// All that is done with a file.
fn use_all(gguf: &Gguf) {
    let _ = config(gguf);
    let _ = tokenizer(gguf);
    for array in arrays(gguf).unwrap_or_default() {
        let _ = array.read_all(gguf);
    }
    for tensor in gguf.tensors.values() {
        gguf.read_all(tensor).unwrap();
    }
}

/// A file with a bit of everything.
fn model() -> File {
    let tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab"];
    let scores = [0.0, 0.0, 0.0, -3.0, -2.0, -1.0_f32].map(f32::to_le_bytes);
    let types = [2, 3, 3, 1, 1, 1_i32].map(i32::to_le_bytes);
    File::new("llama")
        .count("llama.block_count", 1)
        .count("llama.embedding_length", 4)
        .count("llama.feed_forward_length", 8)
        .count("llama.context_length", 16)
        .count("llama.attention.head_count", 2)
        .number("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .text("tokenizer.ggml.model", "llama")
        .texts("tokenizer.ggml.tokens", &tokens)
        .list("tokenizer.ggml.scores", 6, 6, scores.as_flattened())
        .list("tokenizer.ggml.token_type", 5, 6, types.as_flattened())
        .tensor("token_embd.weight", &[6, 4], &[0.5; 24])
        .tensor("blk.0.attn_q.weight", &[4, 4], &[0.25; 16])
        .stored("output_norm.weight", 8, vec![32], vec![1; 34])
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_an_error() {
    for bytes in [
        model().bytes(),
        fs::read(fixture("metadata.gguf")).unwrap(),
        fs::read(fixture("blocks.gguf")).unwrap(),
    ] {
        use_all(&open(bytes.clone()).unwrap());
        // The last tensor's padding may be missing.
        let last = open(bytes.clone()).unwrap();
        let last = last
            .tensors
            .values()
            .map(|tensor| tensor.start + tensor.bytes());
        let end = usize::try_from(last.max().unwrap()).unwrap();
        for length in 0..end {
            says(open(bytes[..length].to_vec()), &[]);
        }
        open(bytes[..end].to_vec()).unwrap();
    }
}

#[test]
fn no_damaged_byte_makes_a_panic_or_takes_long() {
    let begun = Instant::now();
    for bytes in [model().bytes(), fs::read(fixture("metadata.gguf")).unwrap()] {
        for at in 0..bytes.len() {
            for other in [
                0,
                1,
                0x7f,
                0x80,
                0xff,
                bytes[at] ^ 1,
                bytes[at].wrapping_add(1),
            ] {
                let mut damaged = bytes.clone();
                damaged[at] = other;
                if let Ok(gguf) = open(damaged) {
                    use_all(&gguf);
                }
            }
        }
    }
    assert!(begun.elapsed().as_secs() < 120, "{:?}", begun.elapsed());
}

#[test]
fn counts_that_a_file_cannot_hold_are_refused_before_anything_is_made_of_them() {
    for count in [1 << 20, 1 << 40, u64::MAX - 100] {
        let file = model();
        let with = |tensors, keys| File {
            more: (tensors, keys),
            ..file.clone()
        };
        says(
            with(count, 0).open(),
            &["header at byte", "tensors, expected"],
        );
        says(
            with(0, count).open(),
            &["header at byte", "keys of metadata, expected"],
        );
        for (kind, things) in [
            (0, "numbers"),
            (6, "numbers"),
            (8, "texts"),
            (9, "lists"),
            (12, "numbers"),
        ] {
            let kind = u32::to_le_bytes(kind);
            let value = [&kind[..], &count.to_le_bytes(), &[0; 16]].concat();
            let file = File::new("llama").raw("a.list", 9, &value);
            let found = format!("{count} {things}");
            says(file.open(), &["`a.list` of the metadata at byte", &found]);
        }
        let file = File::new("llama").raw("a.text", 8, &count.to_le_bytes());
        says(file.open(), &["`a.text` of the metadata", "bytes of text"]);
    }
    // Lists in lists.
    let mut value = Vec::new();
    for _ in 0..1000 {
        value.extend(9_u32.to_le_bytes());
        value.extend(1_u64.to_le_bytes());
    }
    says(
        File::new("llama").raw("a", 9, &value).open(),
        &["more than 4 deep"],
    );
}

#[test]
fn what_is_there_twice_or_has_no_name_is_refused() {
    let file = || File::new("llama").tensor("a", &[8], &[0.0; 8]);
    says(
        file().text("general.architecture", "x").open(),
        &["`general.architecture`", "twice"],
    );
    says(
        file().tensor("a", &[8], &[0.0; 8]).open(),
        &["tensor `a`", "twice"],
    );
    says(file().text("", "x").open(), &["a key of 0 bytes"]);
    says(
        file().text(&"k".repeat(65536), "x").open(),
        &["a key of 65536 bytes"],
    );
    says(
        file().tensor("", &[1], &[0.0]).open(),
        &["tensor 1", "a name of 0 bytes"],
    );
    says(
        file().tensor(&"t".repeat(65), &[1], &[0.0]).open(),
        &["a name of 65 bytes"],
    );
    says(
        file().raw("a", 7, &[2]).open(),
        &["`a` of the metadata", "a truth of 2"],
    );
    says(file().raw("a", 13, &[0; 8]).open(), &["a value of type 13"]);
    let broken = [&4_u64.to_le_bytes()[..], b"a\xff\xffb"].concat();
    says(
        file().raw("a", 8, &broken).open(),
        &["a\\xff\\xffb", "UTF-8"],
    );
}

#[test]
fn tensors_lie_in_the_file_aligned_and_apart() {
    let place = |offset: u64| {
        let mut file =
            File::new("llama")
                .tensor("a", &[16], &[0.0; 16])
                .tensor("b", &[8], &[0.0; 8]);
        file.tensors[1].offset = Some(offset);
        file.open()
    };
    place(64).unwrap();
    says(place(32), &["tensor `b`", "within tensor `a`"]);
    says(place(0), &["begins within tensor"]);
    says(place(65), &["begins at 65", "a multiple of 32"]);
    says(
        place(96),
        &["its 32 bytes begin at 96", "within the 96 bytes of data"],
    );
    says(place(u64::MAX - 31), &["begin at 18446744073709551584"]);
    for sizes in [
        vec![0],
        vec![4, 0],
        vec![u64::MAX, 2],
        vec![1 << 40, 1 << 30],
        vec![1 << 62],
    ] {
        let file = File::new("llama").stored("a", 0, sizes, vec![0; 64]);
        says(file.open(), &["tensor `a`", "shape ["]);
    }
    for sizes in [vec![], vec![1; 5]] {
        let file = File::new("llama").stored("a", 0, sizes, vec![0; 64]);
        says(file.open(), &["tensor `a`", "dimensions, expected 1 to 4"]);
    }
    let file = File::new("llama").stored("a", 12, vec![128, 2], vec![0; 144]);
    says(file.open(), &["blocks of 256 values (Q4_K)"]);
    let file = File::new("llama").stored("a", 23, vec![256], vec![0; 136]);
    says(file.open(), &["stored as IQ4_XS", "Q4_K", "llama-quantize"]);
    let file = File::new("llama").stored("a", 99, vec![256], vec![0; 136]);
    says(file.open(), &["the unknown type 99"]);
}

#[test]
fn alignment_is_a_power_of_two() {
    let mut file = File::new("llama")
        .count("general.alignment", 8)
        .tensor("a", &[1], &[3.0]);
    file.alignment = 8;
    let gguf = file.tensor("b", &[1], &[4.0]).open().unwrap();
    assert_eq!(gguf.read_all(&gguf.tensors["b"]).unwrap(), [4.0]);
    for wrong in [0, 3, 48] {
        let file = File::new("llama").count("general.alignment", wrong);
        says(file.open(), &["`general.alignment`", "a power of two"]);
    }
    let file = File::new("llama").raw("general.alignment", 8, &text("32"));
    says(file.open(), &["`general.alignment`"]);
}

#[test]
fn a_file_that_is_none_is_an_error_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("no.gguf")] {
        let message = Gguf::open(&path).unwrap_err().to_string();
        assert!(message.starts_with("cannot read `"), "{message}");
    }
    // Cut short after it was opened.
    let path = folder.path().join("model.gguf");
    fs::write(&path, model().bytes()).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(100)
        .unwrap();
    let tensor = &gguf.tensors["token_embd.weight"];
    let message = gguf.read_all(tensor).unwrap_err().to_string();
    assert!(message.starts_with("cannot read `"), "{message}");
}
