//! Lists of stages, and what comes with them: hints, and questions that only take rows away.

use super::fake::MORE_KINDS;
use super::{VALID, load_of, mistakes, mistakes_of, with};

fn told(text: &str) -> Vec<String> {
    mistakes_of(load_of(text, &[], None, MORE_KINDS))
}

#[test]
fn a_list_of_stages_is_a_stage() {
    let text = with(
        "paths = \"kept.paths\"",
        "paths = [\"kept\", \"sample.paths\"]",
    );
    let more = "\n[stages.again]\nkind = \"filter\"\npaths = [\"kept\", \"sample.paths\"]\n[stages.both]\nkind = \"union\"\npaths = \"kept\"\n";
    let manifest = load_of(&format!("{text}{more}"), &[], None, MORE_KINDS);
    let manifest = manifest.unwrap_or_else(|errors| panic!("{errors}"));
    let union = manifest.stage("kept+sample:paths").unwrap();
    assert_eq!(union.kind.name(), "union");
    let inputs = |stage: &str| -> Vec<String> {
        let inputs = manifest.stage(stage).unwrap().inputs.iter();
        inputs
            .map(|(name, from)| format!("{name} = {}.{}", from.stage, from.output))
            .collect()
    };
    assert_eq!(
        inputs("kept+sample:paths"),
        ["paths.0 = kept.paths", "paths.1 = sample.paths"]
    );
    // Both that ask for it share it, and one stage is a list too.
    for stage in ["sert", "again"] {
        let found = inputs(stage);
        assert!(
            found.contains(&"paths = kept+sample:paths.paths".to_owned()),
            "{found:?}"
        );
    }
    assert_eq!(inputs("both"), ["paths.0 = kept.paths"]);
    assert_eq!(
        manifest
            .stages
            .iter()
            .filter(|stage| stage.kind.name() == "union")
            .count(),
        2
    );
}

#[test]
fn mistakes_in_a_list_are_told_where_they_are() {
    let list = |list: &str| with("paths = \"kept.paths\"", &format!("paths = {list}"));
    let lost = told(&list("[\"kept\", \"smaple\"]"));
    assert!(
        lost.len() == 1
            && lost[0].starts_with("33:18 ")
            && lost[0].ends_with("did you mean `sample`?"),
        "{lost:?}"
    );
    let unfit = told(&list("[\"kept\", \"sert\"]"));
    assert!(
        unfit[0].contains("accepts paths, but `sert` gives model"),
        "{unfit:?}"
    );
    for wrong in ["[]", "[\"kept\", 5]", "[\"kept.paths.x\"]"] {
        assert_eq!(told(&list(wrong)).len(), 1, "{wrong}");
    }
    // Without a kind to put them together, a list is none.
    assert_eq!(mistakes(&list("[\"kept\", \"sample\"]"), &[]).len(), 1);
}

#[test]
fn test_data_comes_through_a_list_and_not_through_a_screen() {
    let tested = "\n[stages.tested]\nkind = \"sample\"\nquestions = \"data.test\"\n";
    let listed = with("paths = \"kept.paths\"", "paths = [\"kept\", \"tested\"]");
    let found = told(&format!("{listed}{tested}"));
    assert!(
        found[0].contains("which is made from test data"),
        "{found:?}"
    );
    let screen = "\n[stages.screened]\nkind = \"screen\"\npaths = \"kept\"\n";
    let screened = with("paths = \"kept.paths\"", "paths = \"screened\"");
    assert_eq!(told(&format!("{screened}{screen}")), Vec::<String>::new());
    // What is screened may be made from test data all the same.
    let screen = screen.replace("\"kept\"", "\"tested\"");
    let found = told(&format!("{screened}{screen}{tested}"));
    assert!(
        found[0].contains("which is made from test data"),
        "{found:?}"
    );
}

#[test]
fn what_was_written_by_a_hint_is_trained_on_and_not_measured() {
    let hinted = "\n[stages.hinted]\nkind = \"hinted\"\n";
    let trained = with("paths = \"kept.paths\"", "paths = [\"kept\", \"hinted\"]");
    assert_eq!(told(&format!("{trained}{hinted}")), Vec::<String>::new());
    let taken = |paths: &str| {
        let more = format!(
            "{hinted}\n[stages.taken]\nkind = \"paths-as-answers\"\npaths = {paths}\n[stages.wrong]\nkind = \"eval\"\npredictions = \"taken\"\n"
        );
        told(&format!("{VALID}{more}"))
    };
    assert_eq!(taken("\"sample\""), Vec::<String>::new());
    for paths in ["\"hinted\"", "[\"sample\", \"hinted\"]"] {
        let found = taken(paths);
        assert!(
            found.len() == 1
                && found[0]
                    .contains("`stages.wrong` would measure what was written with the gold answer"),
            "{found:?}"
        );
    }
}
