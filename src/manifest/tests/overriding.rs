//! What wins over what: defaults, files, `--set`, `--limit`.

use serde_json::json;

use super::{VALID, fake, load, mistakes, with};

#[test]
fn set_wins_over_the_file_and_the_file_over_defaults() {
    let epochs = |text: &str, set: &[&str]| {
        let manifest = load(text, set).unwrap_or_else(|errors| panic!("{errors}"));
        manifest.stage("sert").unwrap().params["epochs"].as_u64()
    };
    let own = with(
        "paths = \"kept.paths\"",
        "paths = \"kept.paths\"\nepochs = 5",
    );
    assert_eq!(epochs(&with("epochs = 20", ""), &[]), Some(3));
    assert_eq!(epochs(VALID, &[]), Some(20));
    assert_eq!(epochs(VALID, &["defaults.finetune.epochs=21"]), Some(21));
    assert_eq!(epochs(&own, &[]), Some(5));
    assert_eq!(epochs(&own, &["stages.sert.epochs=6"]), Some(6));
    assert_eq!(
        epochs(
            &own,
            &["stages.sert.epochs=6", "stages.\"sert\".epochs = 7"]
        ),
        Some(7)
    );
}

#[test]
fn set_takes_what_is_not_toml_as_text() {
    let set = |text: &str| load(VALID, &[text]).unwrap_or_else(|errors| panic!("{errors}"));
    let model = |text: &str| set(text).stage("student").unwrap().params["model"].clone();
    assert_eq!(model("student.model=../x=y"), json!("../x=y"));
    assert_eq!(model("student.model=\"q\""), json!("q"));
    assert_eq!(model("stages.student.model = a b "), json!("a b"));
    assert_eq!(
        set("stages.more={kind=\"filter\", paths=\"sample\"}")
            .stages
            .len(),
        8
    );
}

#[test]
fn set_is_checked_and_quoted() {
    assert_eq!(
        mistakes(
            VALID,
            &[
                "stages.kept.length.min_token=30",
                "stages.kpet.length=1",
                "nonsense",
                "seed=x"
            ]
        ),
        [
            "--set #1:1:20 unknown key `min_token` in `stages.kept.length` | did you mean `min_tokens`?",
            "--set #2:1:8 there is no stage `kpet` to set a field of | did you mean `kept`?",
            "--set #3:1:1 `--set` takes PATH=VALUE | for example `--set stages.kept.length.min_tokens=30`",
            "--set #4:1:6 `seed`: the string \"x\" where an integer is expected",
        ]
    );
    // A `--set` does not take the place of the table around it.
    let errors = mistakes(
        &with("paths = \"sample\"\n", ""),
        &["stages.kept.patterns=[]"],
    );
    assert_eq!(
        errors,
        ["25:1 `stages.kept`: the key `paths` is missing | `paths` is: Input (paths): an input"]
    );
}

#[test]
fn limit_sets_the_limit_of_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.toml");
    std::fs::write(&path, VALID).unwrap();
    let fifty = crate::manifest::Changes {
        limit: Some(50),
        ..crate::manifest::Changes::default()
    };
    let limited = crate::manifest::load(&path, &fifty, fake::KINDS).unwrap();
    assert_eq!(limited.stage("data").unwrap().params["limit"], json!(50));
    assert_eq!(limited.dir(), dir.path());
    std::fs::write(&path, "[stages.a]\nkind = \"student\"").unwrap();
    let errors = crate::manifest::load(&path, &fifty, fake::KINDS).unwrap_err();
    assert!(
        errors
            .to_string()
            .contains("`--limit` needs a stage `data`"),
        "{errors}"
    );
}
