//! Where models run: what is in the key, what is told, several devices at once, and names that no machine has.

use crate::harness::{Bench, Run, TINY};

#[test]
fn a_backend_is_in_the_key_of_what_models_make_and_nothing_else() {
    let bench = Bench::new(TINY);
    let first = bench.run_manifest(&["--device", "cpu"]).ok();
    assert_eq!(first.ran().len(), 9, "{:?}", first.ran());
    // Burn's own backend, by the way that every other device takes: data and teacher are the same.
    let other = bench
        .run_manifest(&["--device", "flex", "--threads", "2"])
        .ok();
    assert!(
        !other
            .ran()
            .iter()
            .any(|stage| stage == "data" || stage == "teacher")
    );
    for stage in ["student", "sampled", "sert", "sert-rd", "answers"] {
        assert!(other.ran().iter().any(|ran| ran == stage), "{stage}");
    }
    assert!(other.stdout.contains("SERT+RD"), "{}", other.stdout);
    for device in ["cpu", "flex"] {
        let again = bench
            .run_manifest(&["--device", device, "--batch-size", "64"])
            .ok();
        assert!(again.ran().is_empty(), "{device}: {:?}", again.ran());
    }
    let why = bench
        .run(&[
            "plan",
            "m.toml",
            "--device",
            "cpu",
            "--set",
            "stages.sampled.dtype=\"int8\"",
        ])
        .ok();
    assert!(why.stdout.contains("int8"), "{}", why.stdout);
}

#[test]
fn a_number_format_is_in_the_key_and_is_refused_where_nothing_computes_in_it() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&[]).ok();
    let (sample, predict) = (
        "defaults.sample.dtype=\"int8\"",
        "defaults.predict.dtype=\"int8\"",
    );
    let int8 = ["--set", sample, "--set", predict];
    let ran = bench.run_manifest(&int8).ok().ran();
    for (stage, made) in [("sampled", true), ("answers", true), ("student", false)] {
        assert_eq!(ran.iter().any(|ran| ran == stage), made, "{stage}: {ran:?}");
    }
    // Either finds its own again, in any way of running.
    let threads = ["--threads", "1", "--batch-size", "3"];
    let again = bench.run_manifest(&[&int8[..], &threads].concat()).ok();
    assert!(again.ran().is_empty() && bench.run_manifest(&[]).ok().ran().is_empty());
    let arguments = [&["plan", "m.toml", "--json"][..], &int8[..2]].concat();
    let plan = bench.run(&arguments).ok().stdout;
    assert!(plan.contains("int8"), "{plan}");
    // 16 bits sample, each by its own name, and leave what samples in others alone.
    for dtype in ["bf16", "f16"] {
        let sets = ["sample", "predict"].map(|kind| format!("defaults.{kind}.dtype=\"{dtype}\""));
        let half = ["--set", &sets[0], "--set", &sets[1]];
        let ran = bench.run_manifest(&half).ok().ran();
        for (stage, made) in [("sampled", true), ("answers", true), ("student", false)] {
            assert_eq!(ran.iter().any(|ran| ran == stage), made, "{stage}: {ran:?}");
        }
        let again = bench.run_manifest(&[&half[..], &threads].concat()).ok();
        assert!(again.ran().is_empty() && bench.run_manifest(&[]).ok().ran().is_empty());
    }

    for command in ["run", "plan"] {
        for (set, device, wanted) in [
            (
                "stages.sampled.dtype=\"int8\"",
                "flex",
                "stage `sampled`: device flex does not compute in dtype = \"int8\"\nhint: 8-bit",
            ),
            (
                "stages.sampled.dtype=\"tf32\"",
                "flex",
                "device flex does not compute in dtype = \"tf32\"\nhint: tf32 is for --device cuda",
            ),
            (
                "stages.sert.dtype=\"bf16\"",
                "cpu",
                "stage `sert`: device cpu does not compute in dtype = \"bf16\"\nhint: the CPU trains in f32",
            ),
            (
                "stages.sert.dtype=\"int8\"",
                "cpu",
                "no training computes in int8",
            ),
            (
                "stages.student.dtype=\"int8\"",
                "cpu",
                "no training computes in int8",
            ),
        ] {
            let refused = bench.run(&[command, "m.toml", "--device", device, "--set", set]);
            assert_eq!(refused.code, Some(2), "{command} {set} {device}");
            assert!(refused.stderr.contains(wanted), "{}", refused.stderr);
        }
    }
}

#[test]
fn two_devices_run_independent_stages_side_by_side_with_the_same_results() {
    let sweep = format!("{TINY}\n[sweep.grid]\nseed = [1, 2, 3, 4]\n");
    let (one, two) = (Bench::new(&sweep), Bench::new(&sweep));
    let alone = one.run_manifest(&[]).ok();
    let together = two.run_manifest(&["--devices", "cpu,cpu"]).ok();
    assert_eq!(alone.stdout, together.stdout);
    let (mut in_order, mut side_by_side) = (alone.ran(), together.ran());
    in_order.sort();
    side_by_side.sort();
    assert_eq!(in_order, side_by_side);
    // At some time two stages were under way.
    let mut under_way = 0_i32;
    let mut most = 0;
    for event in together.events() {
        match event["event"].as_str() {
            Some("stage-started") => under_way += 1,
            Some("stage-finished") if event["outcome"] == "ran" => under_way -= 1,
            _ => {}
        }
        most = most.max(under_way);
    }
    assert_eq!(most, 2);
    assert!(
        two.run_manifest(&[]).ok().ran().is_empty(),
        "what two made, one finds"
    );
}

#[test]
fn without_graphs_the_keys_are_the_same() {
    let bench = Bench::new(TINY);
    bench
        .run_manifest(&["--device", "flex", "--enforce-eager"])
        .ok();
    for set in ["1", "true", "0", ""] {
        let mut run = bench.command(&["m.toml", "--progress", "json", "--device", "flex"]);
        let run = run.env("SERT_ENFORCE_EAGER", set).output().unwrap();
        let run = Run::of(&run).ok();
        assert!(run.ran().is_empty(), "{set}: {:?}", run.ran());
    }
}

#[test]
fn devices_share_a_training_whose_key_does_not_tell_how_many() {
    let bench = Bench::new(TINY);
    let shared = ["--devices", "flex,flex", "--data-parallel", "2"];
    let together = bench.run_manifest(&shared).ok();
    assert!(together.ran().iter().any(|stage| stage == "student"));
    assert!(together.stdout.contains("SERT+RD"), "{}", together.stdout);
    let alone = bench.run_manifest(&["--device", "flex"]).ok();
    assert!(alone.ran().is_empty(), "{:?}", alone.ran());
    assert_eq!(alone.stdout, together.stdout);
    for (devices, count, wanted) in [
        (
            "flex,flex,flex",
            "2",
            "the number of --devices, 3, is no multiple",
        ),
        ("cpu,cpu", "2", "is for cards"),
    ] {
        let refused = bench.run(&["m.toml", "--devices", devices, "--data-parallel", count]);
        assert_eq!(refused.code, Some(2));
        assert!(
            refused.stderr.contains(wanted) && refused.stderr.contains("hint: "),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn devices_that_cannot_be_had_say_why() {
    let bench = Bench::new(TINY);
    let unknown = bench.run(&["m.toml", "--device", "gpu"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .stderr
            .contains("no device is called `gpu`; accepted: auto, cpu"),
        "{}",
        unknown.stderr
    );
    bench.write("wrong.toml", format!("{TINY}\n[run]\ndevice = \"tpu\"\n"));
    let unknown = bench.run(&["wrong.toml"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("run.device"), "{}", unknown.stderr);
    let mixed = bench.run(&["m.toml", "--devices", "cpu,flex"]);
    assert_eq!(mixed.code, Some(2));
    assert!(
        mixed.stderr.contains("different backends") && mixed.stderr.contains("hint: "),
        "{}",
        mixed.stderr
    );
    if !cfg!(feature = "cuda") {
        let missing = bench.run(&["m.toml", "--device", "cuda:0"]);
        assert_eq!(missing.code, Some(2));
        assert!(
            missing.stderr.contains("--features cuda"),
            "{}",
            missing.stderr
        );
    }
}

#[test]
fn the_doctor_lists_and_tests() {
    let bench = Bench::new("");
    let told = bench
        .run(&["doctor", "--device", "cpu,flex", "--dtype", "f32"])
        .ok();
    let halves = bench
        .run(&["doctor", "--device", "cpu", "--dtype", "bf16"])
        .ok();
    assert!(halves.stdout.contains("cpu bf16: ok"), "{}", halves.stdout);
    for line in ["cpu f32: ok", "flex f32: ok", "`--device auto` takes"] {
        assert!(told.stdout.contains(line), "{}", told.stdout);
    }
    let json = bench.run(&["doctor", "--json", "--no-test"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["backends"].as_array().unwrap().len(), 6);
    let failed = bench.run(&["doctor", "--device", "flex", "--dtype", "int8"]);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.stdout.contains("flex int8: failed"),
        "{}",
        failed.stdout
    );
}
