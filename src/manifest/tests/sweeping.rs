//! Sweeps, profiles and `when`.

use std::collections::BTreeSet;

use super::{VALID, load, mistakes};
use crate::manifest::Manifest;

fn with_sweep(sweep: &str) -> String {
    format!("{VALID}\n{sweep}")
}

fn swept(sweep: &str) -> Manifest {
    load(&with_sweep(sweep), &[]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn points(manifest: &Manifest) -> Vec<String> {
    let sweep = &manifest.sweep;
    let all: Vec<usize> = (0..sweep.axes.len()).collect();
    let points = sweep.points.iter();
    points.map(|point| sweep.label(point, &all)).collect()
}

fn stages(manifest: &Manifest) -> Vec<&str> {
    let stages = manifest.stages.iter();
    stages.map(|stage| stage.name.as_str()).collect()
}

#[test]
fn without_a_sweep_there_is_one_point() {
    let manifest = load(VALID, &[]).unwrap();
    assert!(!manifest.sweep.is_sweep());
    assert_eq!(manifest.sweep.points.len(), 1);
    assert!(!manifest.stages.is_empty());
    assert!(
        manifest
            .stages
            .iter()
            .all(|stage| stage.name.as_str() == stage.name.base())
    );
}

#[test]
fn equal_work_is_one_stage_and_names_tell_what_differs() {
    let manifest = swept(
        r#"[sweep]
        seeds = [0, 1]
        grid = { "stages.kept.length.min_tokens" = [5, 25] }"#,
    );
    assert_eq!(
        points(&manifest),
        [
            "min_tokens=5, seed=0",
            "min_tokens=5, seed=1",
            "min_tokens=25, seed=0",
            "min_tokens=25, seed=1"
        ]
    );
    // Nothing here draws by the manifest's seed: the fakes are not seeded.
    let names = stages(&manifest);
    assert!(
        names.contains(&"sample") && names.contains(&"data"),
        "{names:?}"
    );
    assert!(names.contains(&"kept[min_tokens=25]"), "{names:?}");
    assert!(names.contains(&"eval-sert[min_tokens=5]"), "{names:?}");
    let sert = manifest.stage("sert[min_tokens=25]").unwrap();
    assert_eq!(sert.name.base(), "sert");
    assert_eq!(sert.inputs["paths"].stage.as_str(), "kept[min_tokens=25]");
}

#[test]
fn zip_goes_together_points_are_added_and_rules_exclude() {
    let manifest = swept(
        r#"[sweep]
        seeds = [1]
        points = [{ "stages.kept.length.min_tokens" = 7 }, { "stages.sert.epochs" = 3 }]
        exclude = [{ "student.model" = "b", "stages.sample.temperature" = [0.5, 2] }]
        [sweep.grid]
        "stages.sample.temperature" = [0.5, 1.0]
        [sweep.zip]
        "student.model" = ["a", "b"]
        "data.dataset" = ["strategyqa", "commonsenseqa"]
        [sweep.labels."student.model"]
        a = "small"
        "#,
    );
    assert_eq!(
        points(&manifest),
        [
            "temperature=0.5, model=small, seed=1",
            "temperature=1.0, model=small, seed=1",
            "temperature=1.0, model=b, seed=1",
            "min_tokens=7, seed=1",
            "epochs=3, seed=1"
        ]
    );
    let data: BTreeSet<&str> = stages(&manifest)
        .into_iter()
        .filter(|n| n.starts_with("data"))
        .collect();
    assert_eq!(
        data.into_iter().collect::<Vec<_>>(),
        ["data", "data[model=b]", "data[model=small]"]
    );
    let table = &manifest.tables[0];
    assert_eq!(table.row_axes, [0, 1, 2, 3]);
    assert_eq!(table.layout(&manifest.sweep).rows.len(), 5);
}

#[test]
fn a_tables_axes_make_rows_and_columns() {
    let sweep = r#"[sweep]
        seeds = [0, 1]
        grid = { "student.model" = ["a", "b"], "data.dataset" = ["strategyqa", "commonsenseqa"] }"#;
    let text = with_sweep(sweep).replace(
        "caption = \"Results\"",
        "caption = \"Results\"\ncolumn_axes = [\"data.dataset\"]",
    );
    let manifest = load(&text, &[]).unwrap();
    let layout = manifest.tables[0].layout(&manifest.sweep);
    let titles: Vec<&str> = layout.rows.iter().map(|row| row.title.as_str()).collect();
    assert_eq!(titles, ["a / SERT", "b / SERT"]);
    let columns: Vec<&str> = layout
        .columns
        .iter()
        .map(|each| each.title.as_str())
        .collect();
    assert_eq!(columns, ["strategyqa", "commonsenseqa"]);
    let cell = layout.rows[1].points(&layout.columns[0], &manifest.sweep);
    let names: Vec<String> = cell
        .iter()
        .map(|&point| {
            manifest
                .sweep
                .label(&manifest.sweep.points[point], &[0, 1, 2])
        })
        .collect();
    assert_eq!(
        names,
        [
            "model=b, dataset=strategyqa, seed=0",
            "model=b, dataset=strategyqa, seed=1"
        ]
    );
}

#[test]
fn mistakes_of_sweeps_are_told_with_their_place() {
    for (sweep, expected) in [
        ("[sweep]\n", "the sweep has no points"),
        (
            "[sweep]\ngrid = { \"stages.kpt.length\" = [1] }",
            "there is no stage `kpt` to set a field of | did you mean `kept`?",
        ),
        (
            "[sweep]\ngrid = { \"run.threads\" = [1, 2] }",
            "a sweep cannot vary `run.threads`",
        ),
        (
            "[sweep]\ngrid = { \"stages.kept.length.min_tokens\" = [\"x\"] }",
            "`stages.kept.length.min_tokens`: the string \"x\" where an integer is expected",
        ),
        (
            "[sweep]\nzip = { \"seed\" = [1, 2], \"student.model\" = [\"a\"] }",
            "`zip` takes as many values for each field, but `student.model` has 1",
        ),
        (
            "[sweep]\nseeds = [1, -1]",
            "`sweep.seeds[1]`: the integer -1 is out of range",
        ),
        (
            "[sweep]\nseeds = [1]\nexclude = [{ \"student.model\" = \"a\" }]",
            "the sweep does not vary `student.model`",
        ),
        ("[sweep]\nseeds = [1]\ngird = {}", "unknown key `gird`"),
        (
            "[sweep]\nseeds = [1]\ngrid = { \"seed\" = [2] }",
            "the seed is varied twice",
        ),
        (
            "[sweep]\nseeds = [1]\ngrid = { \"a b\" = [2] }",
            "`a b` is not the path of a field",
        ),
        (
            "[sweep]\ngrid = { \"student.model\" = [\"a\", \"b\"] }\nlabels = { \"student.model\" = { a = \"b\" } }",
            "two values of `student.model` are both called `b`",
        ),
    ] {
        let found = mistakes(&with_sweep(sweep), &[]);
        assert!(
            found.iter().any(|each| each.contains(expected)),
            "{sweep}: {found:#?}"
        );
        assert!(
            found.len() <= 2,
            "told once, not at every point: {found:#?}"
        );
    }
}

#[test]
fn setting_what_the_sweep_varies_is_a_mistake_and_setting_the_sweep_is_not() {
    let text = with_sweep("[sweep]\ngrid = { \"stages.kept.length.min_tokens\" = [1, 2, 3] }");
    let found = mistakes(&text, &["stages.kept.length.min_tokens=9"]);
    assert!(found[0].contains("setting it changes nothing"), "{found:?}");
    let manifest = load(&text, &["sweep.grid.\"stages.kept.length.min_tokens\"=[4]"]).unwrap();
    assert_eq!(points(&manifest), ["min_tokens=4"]);
}

#[test]
fn a_stage_is_there_when_its_condition_holds() {
    let text = with_sweep(
        r#"[sweep]
        grid = { "data.dataset" = ["strategyqa", "commonsenseqa"] }
        [stages.extra]
        kind = "predict"
        when = { "data.dataset" = ["strategyqa", "other"] }
        [stages.eval-extra]
        kind = "eval"
        predictions = "extra"
        when = { "data.dataset" = "strategyqa" }"#,
    )
    .replace(
        "rows = [",
        "rows = [{ label = \"extra\", eval = \"eval-extra\" }, ",
    );
    let manifest = load(&text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let names = stages(&manifest);
    assert!(
        names.contains(&"extra") && !names.iter().any(|name| name.starts_with("extra[")),
        "{names:?}"
    );
    let row = &manifest.tables[0].rows[0];
    assert!(row.evals[0].is_some() && row.evals[1].is_none());
    assert!(
        row.absent
            .as_ref()
            .unwrap()
            .contains("only where `data.dataset`")
    );

    let text = text.replace("        when = { \"data.dataset\" = \"strategyqa\" }", "");
    let found = mistakes(&text, &[]);
    assert!(
        found[0].contains("`extra`, which is not always there"),
        "{found:?}"
    );
}

#[test]
fn a_profile_changes_fields_and_the_sweep() {
    let text = with_sweep(
        r#"[sweep]
        seeds = [0, 1, 2]
        [profiles.small]
        "data.limit" = 8
        "sweep.seeds" = [0]
        "defaults.finetune.epochs" = 1"#,
    );
    assert_eq!(load(&text, &[]).unwrap().sweep.points.len(), 3);
    let small = super::load_with(&text, &[], Some("small")).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(small.sweep.points.len(), 1);
    assert_eq!(small.stage("data").unwrap().params["limit"], 8);
    assert_eq!(small.stage("sert").unwrap().params["epochs"], 1);
    let error = super::load_with(&text, &[], Some("smal"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no profile `smal`") && error.contains("did you mean `small`?"),
        "{error}"
    );
}

#[test]
fn a_table_names_rows_that_it_has_and_metrics_that_there_are() {
    let found = mistakes(
        &VALID.replace("caption = \"Results\"", "baseline = \"sert\""),
        &[],
    );
    assert!(
        found[0].contains("has no row `sert` | did you mean `SERT`?"),
        "{found:?}"
    );
    let found = mistakes(
        &VALID.replace("caption = \"Results\"", "metrics = [\"acc\", \"lem\"]"),
        &[],
    );
    assert!(found[0].contains("did you mean `len`?"), "{found:?}");
    let found = mistakes(
        &VALID.replace(
            "eval = \"eval-sert\" }",
            "eval = \"eval-sert\" }, { label = \"SERT\", eval = \"eval-sert\" }",
        ),
        &[],
    );
    assert!(found[0].contains("has two rows `SERT`"), "{found:?}");
}

/// The tests of a table: by default all that can be, else those that are asked for, each once.
#[test]
fn a_table_tests_what_it_says() {
    use crate::metric::Metric;
    let (acc, len) = (Metric::ACC, Metric::named("len").unwrap());
    let rows = "rows = [{ label = \"SERT\", eval = \"eval-sert\" }";
    let two = VALID.replace(
        rows,
        &format!("{rows}, {{ label = \"B\", eval = \"eval-sert\" }}, {{ label = \"C\", eval = \"eval-sert\" }}"),
    );
    let with = |more: &str| two.replace("caption = \"Results\"", more);
    let tested = |more: &str| {
        let manifest = super::load(&with(more), &[]).unwrap_or_else(|e| panic!("{e}"));
        manifest.tables[0].tested.clone()
    };
    let columns = "metrics = [\"acc\", \"balanced-acc\", \"len\"]\n";
    let all = tested(&format!("{columns}baseline = \"B\""));
    assert_eq!((all.metrics, all.rows), (vec![acc, len], vec![0, 2]));
    let some = tested(
        "baseline = \"B\"\ntests = { metrics = [\"len\", \"acc\", \"len\"], rows = [\"C\", \"C\"] }",
    );
    assert_eq!((some.metrics, some.rows), (vec![len, acc], vec![2]));
    for (more, told) in [
        (
            "tests = { metrics = [\"acc\"] }",
            "tests against nothing | name the row",
        ),
        (
            "baseline = \"B\"\ntests = { rows = [\"c\"] }",
            "has no row `c` | did you mean `C`?",
        ),
        (
            "baseline = \"B\"\ntests = { rows = [\"B\"] }",
            "`B` cannot be tested against itself",
        ),
        (
            "baseline = \"B\"\ntests = { metrics = [\"balanced-acc\"] }",
            "not tested on `balanced-acc`",
        ),
        (
            "baseline = \"B\"\ntests = { metrics = [] }",
            "tests.metrics",
        ),
        (
            "baseline = \"B\"\ntests = { metric = [\"acc\"] }",
            "did you mean `metrics`?",
        ),
    ] {
        let found = mistakes(&with(more), &[]);
        assert!(
            found.len() == 1 && found[0].contains(told),
            "{more}: {found:?}"
        );
    }
}

#[test]
fn a_path_without_quotes_is_told_and_meant() {
    let told = |more: &str, overrides: &[&str]| mistakes(&format!("{VALID}{more}"), overrides);
    let path = "stages.kept.length.min_tokens";
    for (section, line) in [
        (format!("[sweep.grid]\n{path} = [5, 25]"), "47:1"),
        (format!("[sweep]\ngrid = {{ {path} = [5, 25] }}"), "47:10"),
        (
            "[sweep.grid.stages.kept.length]\nmin_tokens = [5, 25]".to_string(),
            "46:13",
        ),
        (
            format!("[sweep.zip]\n{path} = [5, 25]\nseed = [1, 2]"),
            "47:1",
        ),
        (format!("[[sweep.points]]\n{path} = 5"), "47:1"),
        (
            format!(
                "[sweep]\nseeds = [1, 2]\ngrid = {{ \"{path}\" = [5, 25] }}\nexclude = [{{ {path} = 5 }}]"
            ),
            "49:14",
        ),
        (
            format!(
                "[sweep]\ngrid = {{ \"{path}\" = [5, 25] }}\nlabels = {{ {path} = {{ 5 = \"few\" }} }}"
            ),
            "48:12",
        ),
        (format!("[profiles.small]\n{path} = 5"), "47:1"),
        (
            "[profiles.small.stages.kept.length]\nmin_tokens = 5".to_string(),
            "46:17",
        ),
    ] {
        assert_eq!(
            told(&section, &[]),
            [format!(
                "{line} the path `{path}` stands without quotes | put the path in quotes: `\"{path}\" = ...`"
            )],
            "{section}"
        );
    }
    let twice = format!("[sweep.grid]\n{path} = [5, 25]\nstages.sample.temperature = [0.5]");
    assert_eq!(told(&twice, &[]).len(), 2);
    let whole =
        "[stages.late]\nkind = \"filter\"\npaths = \"sample\"\nwhen = { data.dataset = \"gsm8k\" }";
    assert_eq!(
        told(whole, &[]),
        [
            "49:10 the path `data.dataset` stands without quotes | put the path in quotes: `\"data.dataset\" = ...`"
        ]
    );
    assert_eq!(told("", &[&format!("sweep.grid.{path}=[5,25]")]).len(), 1);
    // Braces are a value.
    let whole = "[profiles.small]\n\"stages.kept.length\" = { min_tokens = 5 }".to_string();
    assert!(told(&whole, &[]).is_empty());
}

#[test]
fn seeds_go_into_other_fields_too() {
    let sweep = "[sweep]\nseeds = [3, 4]\nseed_fields = [\"data.limit\"]";
    let manifest = load(&with_sweep(sweep), &[]).unwrap();
    let seeds: Vec<&serde_json::Value> = (manifest.stages.iter())
        .filter(|stage| stage.name.base() == "data")
        .map(|stage| &stage.params["limit"])
        .collect();
    assert_eq!(seeds, [3, 4]);
    let axis = &manifest.sweep.axes[manifest.sweep.seed_axis().unwrap()];
    assert_eq!(axis.values[1].label, "4");

    let wrong = |fields: &str| {
        let sweep = format!("[sweep]\nseeds = [3, 4]\nseed_fields = {fields}");
        load(&with_sweep(&sweep), &[]).unwrap_err().to_string()
    };
    assert!(wrong("[\"seed\"]").contains("`seed` is varied twice"));
    assert!(wrong("[\"date.seed\"]").contains("a sweep cannot vary `date.seed`"));
}

#[test]
fn a_table_keeps_to_what_is_declared() {
    let sweep = r#"[sweep]
        seeds = [0, 1]
        points = [{}, { "student.model" = "a" }, { "student.model" = "b" }, { "data.limit" = 5 }]"#;
    let titles = |keys: &str| {
        let caption = format!("caption = \"Results\"\n{keys}");
        let text = with_sweep(sweep).replace("caption = \"Results\"", &caption);
        let manifest = load(&text, &[]).unwrap();
        let layout = manifest.tables[0].layout(&manifest.sweep);
        let of_row = |row: &crate::manifest::LayoutRow| {
            let points = row.points(&layout.columns[0], &manifest.sweep);
            (row.title.clone(), points.len())
        };
        layout.rows.iter().map(of_row).collect::<Vec<_>>()
    };
    // The points of both seeds, less those that say otherwise.
    assert_eq!(titles("as_declared = true"), [("SERT".to_owned(), 2)]);
    let by_model = titles("as_declared = true\nrow_axes = [\"student.model\"]");
    assert_eq!(
        by_model,
        ["as declared / SERT", "a / SERT", "b / SERT"].map(|title| (title.to_owned(), 2))
    );
    assert_eq!(titles("").len(), 4);
}
