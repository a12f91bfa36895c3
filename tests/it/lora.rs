//! Adapters from training to export: kept beside their model, merged where it is used.

use std::path::Path;

use serde_json::{Value, json};
use sert_run::model::{Adapter, Architecture, Student, WeightFiles};

use crate::harness::{Bench, TINY};

/// The tiny experiment with an adapter for each training, the second beside the first one's model.
fn manifest() -> String {
    let sert = "paths = \"kept\"\nepochs = 3";
    let rd = "paths = \"teacher\"\nepochs = 2";
    assert!(TINY.contains(sert) && TINY.contains(rd));
    let first = "lora = { rank = 2, alpha = 8, dropout = 0.1 }\nlearning_rate = 3e-3";
    let second = "lora = { rank = 3, targets = [\"c_attn\", \"mlp.c_proj\"], use_rslora = true }";
    let manifest = TINY.replace(sert, &format!("{sert}\n{first}"));
    manifest.replace(rd, &format!("{rd}\n{second}"))
}

/// Sizes of all files of weights in the store.
fn weights_kept(store: &Path) -> Vec<usize> {
    let mut sizes = Vec::new();
    for folder in std::fs::read_dir(store.join("objects-v1")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            // Behind the length of its head.
            if bytes
                .get(8..)
                .is_some_and(|rest| rest.starts_with(b"{\"__metadata__\""))
            {
                sizes.push(bytes.len());
            }
        }
    }
    sizes
}

fn config(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("adapter_config.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn adapters_are_kept_beside_their_model_and_exported_both_ways() {
    let bench = Bench::new(&manifest());
    bench.run_manifest(&[]).ok();
    let again = bench.run_manifest(&[]).ok();
    assert!(again.ran().is_empty(), "{:?}", again.ran());
    let shown = bench.run(&["show", "m.toml", "sert"]).ok();
    assert!(
        shown.stdout.contains("adapter_model.safetensors"),
        "{}",
        shown.stdout
    );
    assert!(shown.stdout.contains("`--adapter`"), "{}", shown.stdout);

    // One model in the store, whatever was trained beside it.
    for (stage, to) in [("student", "base"), ("sert", "merged"), ("sert-rd", "both")] {
        bench.run(&["export", "m.toml", stage, to]).ok();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |file: &str| {
            let data = std::fs::metadata(bench.path(file)).unwrap();
            data.permissions().mode()
        };
        let usual = mode("merged/config.json");
        assert_eq!(mode("merged/model.safetensors"), usual);
    }
    let whole = std::fs::read(bench.path("base/model.safetensors")).unwrap();
    let sizes = weights_kept(&bench.path("cache"));
    let models = sizes.iter().filter(|size| **size >= whole.len());
    assert_eq!(models.count(), 1, "{sizes:?}");
    assert_eq!(sizes.len(), 3, "a model and two adapters: {sizes:?}");

    // The adapter, as PEFT loads it.
    let run = bench
        .run(&["export", "--adapter", "m.toml", "sert", "adapter"])
        .ok();
    assert!(run.stderr.contains("beside `student`"), "{}", run.stderr);
    assert_eq!(std::fs::read_dir(bench.path("adapter")).unwrap().count(), 2);
    let first = config(&bench.path("adapter"));
    let of = |key: &str| first[key].clone();
    assert_eq!(
        [
            of("peft_type"),
            of("r"),
            of("lora_alpha"),
            of("lora_dropout"),
            of("fan_in_fan_out")
        ],
        [json!("LORA"), json!(2), json!(8), json!(0.1), json!(true)]
    );
    assert_eq!(of("target_modules"), json!(["c_attn", "c_fc", "c_proj"]));
    let size = |name: &str| std::fs::metadata(bench.path(name)).unwrap().len();
    assert!(4 * size("adapter/adapter_model.safetensors") < whole.len() as u64);

    // What is added to the base is what the merged folder holds, and what the stages after it were made with.
    let architecture = Architecture::load(&bench.path("base")).unwrap();
    let base = WeightFiles::open(&bench.path("base"), &architecture).unwrap();
    let adapter = Adapter::load(&bench.path("adapter"), &architecture).unwrap();
    let merged = Student::load(&bench.path("merged")).unwrap();
    assert!(base.read().unwrap() != merged.weights);
    assert!(base.clone().adapted(&adapter).read().unwrap() == merged.weights);
    // Two adapters are one, of both ranks.
    bench
        .run(&["export", "--adapter", "m.toml", "sert-rd", "second"])
        .ok();
    let second = config(&bench.path("second"));
    assert_eq!(
        [&second["r"], &second["lora_alpha"]],
        [&json!(5), &json!(5)]
    );
    let adapter = Adapter::load(&bench.path("second"), &architecture).unwrap();
    let both = Student::load(&bench.path("both")).unwrap();
    assert!(base.clone().adapted(&adapter).read().unwrap() == both.weights);
    assert!(both.weights != merged.weights);

    // The merged folder answers as the adapted student does.
    let use_both = "
[stages.whole]
kind = \"student\"
model = \"./merged\"
[stages.whole-answers]
kind = \"predict\"
model = \"whole\"
max_new_tokens = 24
[stages.adapted-answers]
kind = \"predict\"
model = \"sert\"
max_new_tokens = 24
[stages.mean]
kind = \"merge\"
models = [\"sert\", \"whole\"]
";
    bench.write("m.toml", format!("{}{use_both}", manifest()));
    bench.run_manifest(&[]).ok();
    let answers = |stage: &str| {
        let run = bench.run(&["show", "m.toml", stage, "--json"]).ok();
        let rows = run.stdout.lines();
        let rows = rows.map(|row| serde_json::from_str::<Value>(row).unwrap());
        rows.map(|row| row["output"].clone()).collect::<Vec<_>>()
    };
    let whole = answers("whole-answers");
    assert!(
        !whole.is_empty() && whole.iter().all(Value::is_string),
        "{whole:?}"
    );
    assert_eq!(answers("adapted-answers"), whole);
    bench.run(&["export", "m.toml", "mean", "mean"]).ok();
    assert!(Student::load(&bench.path("mean")).unwrap().weights == merged.weights);

    // A local student is named in the adapter's configuration.
    let set = ["--set", "stages.sert.model=whole", "--stage", "sert"];
    bench.run_manifest(&set).ok();
    bench
        .run(
            &[
                &["export", "--adapter", "m.toml", "sert", "third"][..],
                &set[..2],
            ]
            .concat(),
        )
        .ok();
    let name = config(&bench.path("third"))["base_model_name_or_path"].clone();
    let path = bench.path("merged").canonicalize().unwrap();
    assert_eq!(name, json!(path.to_str().unwrap()));

    // What is kept keeps its base.
    bench.write("m.toml", manifest());
    bench.run(&["cache", "gc", "m.toml", "--force"]).ok();
    bench.run(&["cache", "verify"]).ok();
    assert!(bench.run_manifest(&[]).ok().ran().is_empty());
}

#[test]
fn what_an_adapter_is_made_of_is_in_its_key_and_checked() {
    let bench = Bench::new(&manifest());
    let sert = ["--stage", "sert"];
    let with = |more: &[&'static str]| bench.run_manifest(&[&sert[..], more].concat());
    with(&[]).ok();
    for (set, ran) in [
        // Its default, said.
        ("stages.sert.lora.targets=all-linear", false),
        ("stages.sert.lora.rank=1", true),
        ("stages.sert.lora.use_rslora=true", true),
    ] {
        let run = with(&["--set", set]).ok();
        assert_eq!(run.ran(), if ran { vec!["sert"] } else { vec![] }, "{set}");
    }
    let run = with(&["--set", "stages.sert.lora.targets=[\"q_proj\"]"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("`targets` names `q_proj`")
            && run.stderr.contains("c_attn, c_fc, c_proj"),
        "{}",
        run.stderr
    );
    for (set, wanted) in [
        ("stages.sert.lora.rank=0", "rank"),
        ("stages.sert.lora.r=8", "`r`"),
        ("stages.sert.lora.targets=[]", "fewer than 1"),
        ("stages.sert.lora.targets=linear", "targets"),
        ("stages.student.lora.rank=8", "lora"),
    ] {
        let run = bench.run(&["plan", "m.toml", "--set", set]);
        assert_eq!(run.code, Some(2), "{set}: {}", run.stderr);
        assert!(run.stderr.contains(wanted), "{set}: {}", run.stderr);
    }
    let run = bench.run(&["export", "--adapter", "m.toml", "student", "out"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("has no adapter"), "{}", run.stderr);
    assert!(!bench.path("out").exists());
    // Nothing to train on: the student as it was, and no second model.
    let set = [
        "--set",
        "stages.kept.length.min_tokens=999",
        "--set",
        "stages.sert.if_empty=keep-student",
    ];
    let none = with(&set).ok();
    assert!(none.ran().contains(&"sert".to_owned()), "{:?}", none.ran());
    bench.run(&["export", "m.toml", "student", "base"]).ok();
    bench
        .run(&[&["export", "m.toml", "sert", "same"][..], &set].concat())
        .ok();
    let [base, same] = ["base", "same"].map(|folder| Student::load(&bench.path(folder)).unwrap());
    assert!(base.weights == same.weights);
}
