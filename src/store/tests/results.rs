//! Results of stages and their outputs.

use super::*;
use crate::store::results::MissingOutput;

#[test]
fn results_round_trip_and_the_first_wins() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let kept = store.put_object(b"kept").unwrap();
    let first = result(1, &[("kept", kept)]);
    assert!(store.put_result(&first).unwrap());
    let mut second = first.clone();
    second.stage = "renamed".into();
    assert!(!store.put_result(&second).unwrap());
    assert_eq!(store.result(&first.key).unwrap(), Some(first.clone()));
    assert!(store.missing_outputs(&first).unwrap().is_empty());
    let newer = result(2, &[]);
    store.put_result(&newer).unwrap();
    assert_eq!(
        store.latest_result_like("keep", "filter").unwrap(),
        Some(newer.clone())
    );
    assert_eq!(store.latest_result_like("keep", "sample").unwrap(), None);
    assert_eq!(store.results().unwrap(), [first, newer]);
}

#[test]
fn a_damaged_result_is_a_miss_and_can_be_put_again() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let one = result(1, &[("kept", Digest::of(b"kept"))]);
    store.put_result(&one).unwrap();
    let path = store.result_path(&one.key);
    let whole = fs::read(&path).unwrap();
    serde_json::from_slice::<serde_json::Value>(&whole).expect("people and tools read it as JSON");
    // Each byte but the first line's spelling counts, and of that line the digest does.
    for at in whole.iter().position(|&byte| byte == b'\n').unwrap()..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        assert_eq!(store.result(&one.key).unwrap(), None, "byte {at}");
    }
    assert!(store.put_result(&one).unwrap());
    assert_eq!(store.results().unwrap(), [one]);
}

#[test]
fn missing_outputs_tells_an_output_from_a_part_of_it() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let weights = store.put_object(b"weights").unwrap();
    let model = json!({"files": {"model.safetensors": weights}});
    let model = store.put_object(model.to_string().as_bytes()).unwrap();
    let trained = result(1, &[("model", model)]);
    store.put_result(&trained).unwrap();
    assert_eq!(store.evict_object(&weights).unwrap(), 7);
    let missing = |digest, is_part| MissingOutput {
        port: "model".into(),
        digest,
        is_part,
    };
    assert_eq!(
        store.missing_outputs(&trained).unwrap(),
        [missing(weights, true)]
    );
    store.evict_object(&model).unwrap();
    assert_eq!(
        store.missing_outputs(&trained).unwrap(),
        [missing(model, false)]
    );
    assert!(store.result(&trained.key).unwrap().is_some());
}

/// Copying another store's folders into one joins the two; each keeps its order of results.
#[test]
fn results_copied_from_another_store_come_after_in_their_order() {
    let (root, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (own, copied): (Vec<_>, Vec<_>) = (0..9)
        .map(|n| result(n, &[]))
        .partition(|one| one.recipe.version < 1);
    let (store, other) = (open(root.path()), open(from.path()));
    assert!(store.put_result(&own[0]).unwrap());
    for one in &copied {
        other.put_result(one).unwrap();
        let target = store.result_path(&one.key);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(other.result_path(&one.key), target).unwrap();
    }
    drop(store);
    assert_eq!(open(root.path()).results().unwrap(), [own, copied].concat());
}

/// A stage that does not give the same bytes again (on a device, or asked of a server) must not run for ever.
#[test]
fn a_result_whose_outputs_are_gone_makes_way() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    let first = store.put_object(b"first").unwrap();
    let one = result(1, &[("out", first)]);
    store.put_result(&one).unwrap();
    store.evict_object(&first).unwrap();
    let second = store.put_object(b"second").unwrap();
    let again = result(1, &[("out", second)]);
    assert!(store.put_result(&again).unwrap());
    assert_eq!(store.result(&one.key).unwrap(), Some(again.clone()));
    assert!(!store.put_result(&one).unwrap());
    assert_eq!(store.results().unwrap(), [again]);
}
