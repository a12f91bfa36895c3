//! Rounds, of the real kinds.

use super::{load_of, mistakes_of};
use crate::manifest::{Manifest, ManifestErrors, StageName, StageSpec};
use crate::stage::KINDS;

const BODY: &str = r#"
seed = 5
[data]
dataset = "microworld"
validation_fraction = 0.5
[student]
model = "gpt2"
[stages.sampled]
kind = "sample"
[stages.kept]
kind = "filter"
paths = "sampled"
[stages.sert]
kind = "finetune"
paths = "kept"
[stages.checked]
kind = "predict"
model = "sert"
questions = "data.validation"
[stages.validated]
kind = "eval"
predictions = "checked"
questions = "data.validation"
[stages.answers]
kind = "predict"
model = "sert"
[stages.measured]
kind = "eval"
predictions = "answers"
[stages.untrained]
kind = "predict"
[stages.measured-untrained]
kind = "eval"
predictions = "untrained"
[stages.final]
kind = "predict"
model = "loop"
[stages.measured-final]
kind = "eval"
predictions = "final"
[tables.results]
rows = [
    { label = "untrained", eval = "measured-untrained" },
    { label = "SERT", eval = "measured" },
    { label = "best", eval = "measured-final" },
]
"#;

const ROUNDS: &str = "[rounds.loop]\ncount = 3\ncarry = { model = \"sert\" }\n";

fn loaded(text: &str) -> Result<Manifest, ManifestErrors> {
    load_of(text, &[], None, KINDS)
}

fn of(rounds: &str) -> Manifest {
    loaded(&format!("{BODY}{rounds}")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn wrong(rounds: &str) -> String {
    mistakes_of(loaded(&format!("{BODY}{rounds}"))).join("\n")
}

fn stage<'m>(manifest: &'m Manifest, name: &str) -> &'m StageSpec {
    let names = || {
        let names = manifest.stages.iter().map(|stage| stage.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    manifest
        .stage(name)
        .unwrap_or_else(|| panic!("no `{name}` in {}", names()))
}

fn input<'m>(manifest: &'m Manifest, name: &str, port: &str) -> &'m str {
    stage(manifest, name).inputs[port].stage.as_str()
}

#[test]
fn a_round_takes_the_model_of_the_one_before() {
    let manifest = of(ROUNDS);
    for (stage, port, from) in [
        ("sampled[round=1]", "model", "student"),
        ("sampled[round=3]", "model", "sert[round=2]"),
        ("kept[round=3]", "paths", "sampled[round=3]"),
        ("sert[round=1]", "model", "student"),
        ("sert[round=2]", "model", "sert[round=1]"),
        ("sert[round=2]", "paths", "kept[round=2]"),
        // What reads a stage of a round is there once for each, and reads that round's.
        ("answers[round=2]", "model", "sert[round=2]"),
        ("measured[round=2]", "predictions", "answers[round=2]"),
        // The last round's without `stop`.
        ("loop", "models.0", "sert[round=3]"),
        ("final", "model", "loop"),
    ] {
        assert_eq!(input(&manifest, stage, port), from, "{stage}.{port}");
    }
    assert_eq!(stage(&manifest, "loop").inputs.len(), 1);
    assert!(manifest.stage("untrained").is_some() && manifest.stage("sert").is_none());
    assert!(manifest.stages.iter().all(|stage| stage.gate.is_none()));
    // No round draws what another did; measures keep their seeds.
    let seed = |name: &str| stage(&manifest, name).seed;
    assert_eq!(
        ["sampled[round=1]", "sampled[round=3]", "measured[round=3]"].map(seed),
        [5, 2_000_005, 5]
    );
}

#[test]
fn rounds_may_each_train_the_base() {
    let manifest = of(&format!("{ROUNDS}start = \"base\"\n"));
    assert_eq!(input(&manifest, "sert[round=3]", "model"), "student");
    assert_eq!(
        input(&manifest, "sampled[round=3]", "model"),
        "sert[round=2]"
    );
}

#[test]
fn rounds_gather_what_earlier_ones_kept() {
    let body = BODY.replace("paths = \"kept\"", "paths = \"rounds.kept\"");
    let manifest = loaded(&format!("{body}{ROUNDS}")).unwrap_or_else(|errors| panic!("{errors}"));
    let gathers = |round: usize| {
        let name = format!("rounds:kept[round={round}]");
        let inputs = stage(&manifest, &name).inputs.iter();
        let inputs = inputs.map(|(port, from)| format!("{port} {}", from.stage));
        inputs.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(gathers(1), "paths.0 kept[round=1]");
    assert_eq!(
        gathers(3),
        "paths.0 kept[round=1], paths.1 kept[round=2], paths.2 kept[round=3]"
    );
    assert_eq!(
        input(&manifest, "sert[round=2]", "paths"),
        "rounds:kept[round=2]"
    );
    let lonely = BODY.replace("paths = \"kept\"", "paths = [\"kept\", \"rounds.teacher\"]");
    let told = mistakes_of(loaded(&format!("{lonely}{ROUNDS}"))).join("\n");
    assert!(
        told.contains("`rounds.teacher`, but `teacher` is no stage of any round | "),
        "{told}"
    );
}

#[test]
fn rounds_are_an_axis_of_tables() {
    let manifest = of(ROUNDS);
    let table = &manifest.tables[0];
    let layout = table.layout(&manifest.sweep);
    let titles: Vec<&str> = layout.rows.iter().map(|row| row.title.as_str()).collect();
    assert_eq!(
        titles,
        ["untrained", "best", "1 / SERT", "2 / SERT", "3 / SERT"]
    );
    let evals: Vec<&str> = (table.rows[1].evals.iter())
        .map(|eval| eval.as_ref().unwrap().stage.as_str())
        .collect();
    assert_eq!(
        evals,
        [
            "measured[round=1]",
            "measured[round=2]",
            "measured[round=3]"
        ]
    );
    // Nothing else varies.
    assert!(!manifest.sweep.is_sweep());
}

#[test]
fn sweeps_vary_rounds_and_share_what_they_can() {
    let manifest = of(&format!(
        "{ROUNDS}[sweep.grid]\n\"rounds.loop.start\" = [\"previous\", \"base\"]\n"
    ));
    assert_eq!(
        input(&manifest, "sert[start=base, round=2]", "model"),
        "student"
    );
    assert_eq!(
        input(&manifest, "sert[start=previous, round=2]", "model"),
        "sert[round=1]"
    );
    let table = &manifest.tables[0];
    let rows = table.layout(&manifest.sweep).rows;
    let titles: Vec<&str> = rows.iter().map(|row| row.title.as_str()).collect();
    assert_eq!(
        titles[..3],
        ["untrained", "previous / 1 / SERT", "previous / 1 / best"]
    );
    // Points with fewer rounds have holes.
    let manifest = of(&format!(
        "{ROUNDS}[sweep.grid]\n\"rounds.loop.count\" = [1, 2]\n"
    ));
    let row = &manifest.tables[0].rows[1];
    assert_eq!((row.evals.len(), row.evals[1].is_none()), (4, true));
    assert_eq!(row.absent.as_deref(), Some("`measured` has fewer rounds"));
}

#[test]
fn a_decision_follows_each_round_and_the_next_waits_for_it() {
    let manifest = of(&format!("{ROUNDS}stop = {{ patience = 2 }}\n"));
    let gate = |name: &str| {
        let gate = stage(&manifest, name).gate.as_ref();
        gate.map(|gate| gate.as_str().to_owned())
    };
    assert_eq!(gate("sampled[round=1]"), None);
    for name in ["sampled[round=3]", "sert[round=3]", "loop:stop[round=3]"] {
        assert_eq!(gate(name).as_deref(), Some("loop:stop[round=2]"), "{name}");
    }
    let decision = stage(&manifest, "loop:stop[round=2]");
    assert_eq!(
        (decision.kind.name(), &decision.params["patience"]),
        ("decide", &2.into())
    );
    assert_eq!(
        input(&manifest, "loop:stop[round=2]", "evaluations.1"),
        "validated[round=2]"
    );
    let best = &stage(&manifest, "loop").inputs;
    assert_eq!(
        best.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "decisions.0",
            "decisions.1",
            "decisions.2",
            "models.0",
            "models.1",
            "models.2"
        ]
    );
}

/// Two patiences decide apart, though the stages that wait mean the same.
#[test]
fn what_waits_for_other_decisions_is_another_stage() {
    let manifest = of(&format!(
        "{ROUNDS}stop = {{ patience = 1 }}\n[sweep.grid]\n\"rounds.loop.stop.patience\" = [1, 2]\n"
    ));
    let gate = stage(&manifest, "sert[patience=2, round=2]").gate.as_ref();
    assert_eq!(
        gate.map(StageName::as_str),
        Some("loop:stop[patience=2, round=1]")
    );
    stage(&manifest, "sert[round=1]");
}

#[test]
fn what_is_wrong_with_rounds_is_told_with_a_hint() {
    let carry = "carry = { model = \"sert\" }";
    for (rounds, expected) in [
        (
            "count = 0\ncarry = { model = \"sert\" }".to_owned(),
            "`rounds.loop.count`: there is at least one round | `count = 1` is",
        ),
        (
            "count = 2\ncarry = { model = \"srt\" }".to_owned(),
            "`rounds.loop.carry.model` names `srt`, but there is no such stage | did you mean `sert`?",
        ),
        (
            format!("count = 2\n{carry}\nstages = [\"sampled\", \"kept\"]"),
            "names `sert`, which is no stage of the round | add it to `stages`, or carry one of them: `kept`, `sampled`",
        ),
        (
            format!("count = 2\n{carry}\nstages = [\"smpled\", \"sert\"]"),
            "there is no stage `smpled` | did you mean `sampled`?",
        ),
        (
            "count = 2\ncarry = {}".to_owned(),
            "the rounds `loop` carry nothing, so each would do what the first did | for example",
        ),
        (
            format!("count = 2\n{carry}\nstages = [\"kept\", \"sert\"]\nstart = \"base\""),
            "carry nothing: no stage of a round has an input `model` that reads a stage outside of it, but for those that make a model",
        ),
        (
            "count = 2\ncarry = { modle = \"sert\" }".to_owned(),
            "`sert` has no input `modle`, so it is not known which stages are of a round | did you mean `model`?",
        ),
        (
            format!("count = 2\n{carry}\nstop = {{ metric = \"bleu\" }}"),
            "`rounds.loop.stop.metric`: the string \"bleu\" is not one of `acc`",
        ),
        (
            format!("count = 2\n{carry}\nstop = {{ eval = \"measured\" }}"),
            "`rounds.loop.stop.eval` names `measured`, which measures `test` questions, but rounds are stopped by validation questions only | ",
        ),
        (
            format!("count = 2\n{carry}\nstop = {{ eval = \"measured-untrained\" }}"),
            "names `measured-untrained`, which measures no round | ",
        ),
        (
            format!("count = 2\n{carry}\n[rounds.student]\ncount = 1\n{carry}"),
            "`[rounds.student]` and the stage `student` have one name",
        ),
        (
            format!("count = 2\n{carry}\n[rounds.other]\ncount = 1\n{carry}"),
            "`sert` is of several rounds, of `other` too | ",
        ),
    ] {
        let told = wrong(&format!("[rounds.loop]\n{rounds}\n"));
        assert!(told.contains(expected), "{rounds}:\n{told}");
    }
    // No stage measures validation questions.
    let body = BODY.replace("questions = \"data.validation\"", "");
    let stop = format!("{body}{ROUNDS}stop = {{ patience = 1 }}\n");
    let told = mistakes_of(loaded(&stop)).join("\n");
    assert!(
        told.contains("no stage of a round measures those | add a `predict`"),
        "{told}"
    );
}

/// Mistakes of a stage of a round are told once, by the name that was written.
#[test]
fn mistakes_of_unrolled_stages_are_told_once() {
    let body = BODY.replace("paths = \"kept\"", "paths = \"data.test\"");
    let told = mistakes_of(loaded(&format!(
        "{body}{ROUNDS}stages = [\"sampled\", \"kept\", \"sert\"]\n"
    )));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("`stages.sert.paths` accepts paths, but `data.test` gives questions"),
        "{told:?}"
    );
}
