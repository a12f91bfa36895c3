//! What is read: sections, extends, the schema, and that nothing panics.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{VALID, fake, load, meaning_of, mistakes, with};
use crate::manifest::{PortRef, file_schema, schema, schema_text};

#[test]
fn a_valid_manifest_is_typed() {
    let manifest = load(VALID, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((manifest.title.as_str(), manifest.seed), ("A test", 7));
    let names: Vec<&str> = manifest
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "data",
            "student",
            "sample",
            "kept",
            "sert",
            "answers",
            "eval-sert"
        ]
    );
    let sample = manifest.stage("sample").unwrap();
    assert_eq!(sample.seed, 3);
    assert_eq!(
        json!(sample.params),
        json!({"max_new_tokens": 128, "temperature": 1.0,
               "teacher": {"from": "http", "url": "http://localhost", "timeout_s": 0}})
    );
    let to = |stage: &str, output| PortRef {
        stage: stage.into(),
        output,
    };
    assert_eq!(sample.inputs["model"], to("student", "model"));
    assert_eq!(sample.inputs["questions"], to("data", "train"));
    let sert = manifest.stage("sert").unwrap();
    assert_eq!(sert.seed, 7);
    assert_eq!(sert.params["epochs"], json!(20));
    assert!(!sert.inputs.contains_key("extra"));
    assert_eq!(
        manifest.tables[0].rows[0].evals[0].clone().unwrap(),
        to("eval-sert", "evaluation")
    );
    assert_eq!(manifest.tables[0].baselines.len(), 2);
    assert_eq!(sert.origin.line_column(), (31, 9));
}

#[test]
fn order_comments_and_spelling_do_not_matter() {
    let blocks: Vec<&str> = VALID.split("\n\n").collect();
    let (head, rest) = blocks.split_first().unwrap();
    let mut turned: Vec<&str> = rest.to_vec();
    turned.reverse();
    let other = format!("# changed\n{head}\n\n{}", turned.join("\n# here too\n"))
        .replace("[data]", "[stages.data]\nkind = \"dataset\"")
        .replace(
            "[stages.kept.length]\nmin_tokens = 25",
            "length = { min_tokens = 0x19 }",
        );
    let (a, b) = (
        load(VALID, &[]).unwrap(),
        load(&other, &[]).unwrap_or_else(|e| panic!("{e}")),
    );
    assert_eq!(meaning_of(&a), meaning_of(&b));
}

#[test]
fn a_chain_of_files_is_merged_and_circles_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let read = |name: &str| {
        crate::manifest::load(
            &dir.path().join(name),
            &crate::manifest::Changes::default(),
            fake::KINDS,
        )
    };
    write("base.toml", VALID);
    write(
        "mid.toml",
        "extends = \"base.toml\"\nseed = 8\n[stages.kept.length]\nmax_tokens = 99\n",
    );
    write(
        "top.toml",
        "extends = \"mid.toml\"\ntitle = \"Top\"\n[stages.kept]\npatterns = [\"x\"]\n",
    );
    let top = read("top.toml").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((top.title.as_str(), top.seed), ("Top", 8));
    assert_eq!(
        json!(top.stage("kept").unwrap().params),
        json!({"length": {"min_tokens": 25, "max_tokens": 99}, "patterns": ["x"]})
    );

    write("a.toml", "extends = \"b.toml\"");
    write("b.toml", "extends = \"./a.toml\"");
    assert!(
        read("a.toml")
            .unwrap_err()
            .to_string()
            .contains("`extends` leads in a circle")
    );
    write("c.toml", "title = \"x\"\nextends = \"bas.toml\"");
    let text = read("c.toml").unwrap_err().to_string();
    assert!(
        text.contains("c.toml:2:11") && text.contains("base.toml`?"),
        "{text}"
    );
    let text = read("topp.toml").unwrap_err().to_string();
    assert!(
        text.starts_with("error: there is no file") && text.contains("top.toml`?"),
        "{text}"
    );
    let text = read("").unwrap_err().to_string();
    assert!(
        text.contains("is a folder") && text.contains("hint: it holds a.toml, b.toml"),
        "{text}"
    );
    std::fs::write(dir.path().join("latin.toml"), b"title = \"a\"\n\n# \xe9").unwrap();
    let text = read("latin.toml").unwrap_err().to_string();
    assert!(
        text.contains("latin.toml`:3:3: the byte 0xE9 is not UTF-8"),
        "{text}"
    );
}

/// What is no manifest is one mistake, told as what it is; a byte order mark is nothing.
#[test]
fn other_files_are_told_as_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.toml");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        crate::manifest::load(&path, &crate::manifest::Changes::default(), fake::KINDS)
    };
    let rows = "{\"question\": \"q\", \"answer\": \"yes\"}\n".repeat(3000);
    for (bytes, told) in [
        (
            rows.as_bytes(),
            "holds JSON, where a manifest in TOML is expected",
        ),
        (b"[\n  {\"a\": 1}\n]", "holds JSON"),
        (b"\x1f\x8b\x08\0", "compressed by gzip"),
        (b"\xff\xfet\0i\0", "text in UTF-16"),
    ] {
        let errors = read(bytes).unwrap_err();
        let text = errors.to_string();
        assert!(errors.errors.len() == 1 && text.contains(told), "{text}");
        assert!(text.contains("hint: "), "{text}");
    }
    let errors = read("question,answer\nq,yes\n".repeat(3000).as_bytes()).unwrap_err();
    assert_eq!(errors.errors.len(), 25);
    assert!(
        errors
            .to_string()
            .contains("more such errors; is it a manifest in TOML?"),
        "{errors}"
    );
    let marked = format!("\u{feff}{}", VALID.replace('\n', "\r\n"));
    read(marked.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    let marked = format!("\u{feff}{}", VALID.replace("seed = 7", "sede = 7"));
    let text = read(marked.as_bytes()).unwrap_err().to_string();
    assert!(text.contains("m.toml:4:1"), "{text}");
}

#[test]
fn the_schema_has_every_kind_and_is_the_same_every_time() {
    let schema = schema(fake::KINDS);
    for kind in fake::KINDS {
        let stage = &schema["$defs"][format!("stage-{}", kind.name())];
        assert_eq!(stage["properties"]["kind"]["const"], kind.name());
        assert_eq!(stage["additionalProperties"], json!(false));
        assert!(!schema["properties"]["defaults"]["properties"][kind.name()].is_null());
    }
    let sample = &schema["$defs"]["stage-sample"]["properties"];
    assert_eq!(sample["max_new_tokens"]["default"], json!(128));
    assert_eq!(sample["max_new_tokens"]["maximum"], json!(1024));
    assert_eq!(sample["questions"]["default"], json!("data.train"));
    assert_eq!(
        schema["$defs"]["stage-filter"]["required"],
        json!(["kind", "paths"])
    );
    // Of one file: nothing is required where it extends another.
    let file = file_schema(fake::KINDS);
    let defs = &file["$defs"];
    for (name, required) in [("stage", json!(["kind"])), ("stage-in-part", Value::Null)] {
        let kinds = defs[name]["properties"]["kind"]["enum"].as_array().unwrap();
        assert_eq!(kinds.len(), fake::KINDS.len(), "{name}");
        let found = defs[name].get("required").cloned().unwrap_or_default();
        assert_eq!(found, required, "{name}");
    }
    assert_eq!(
        defs["stage"]["allOf"][3],
        json!({
            "if": {"properties": {"kind": {"const": "filter"}}, "required": ["kind"]},
            "then": {"$ref": "#/$defs/stage-filter"},
        })
    );
    let any = &defs["stage-in-part"]["else"]["properties"];
    assert!(
        any["length"]["$ref"].is_string() && any.get("kind").is_none(),
        "{any}"
    );
    assert_eq!(defs["stage-filter-in-part"].get("required"), None);
    let of = |branch: &str| file[branch]["properties"]["stages"]["$ref"].clone();
    assert_eq!(of("then"), json!("#/$defs/section-stages-in-part"));
    assert_eq!(of("else"), json!("#/$defs/section-stages"));
    let limit = &schema["properties"]["data"]["properties"]["limit"];
    assert_eq!(
        (&limit["type"], limit.get("default")),
        (&json!("integer"), None)
    );
    let length = &schema["$defs"]["stage-filter"]["properties"]["length"];
    assert_eq!(length["$ref"], json!("#/$defs/Length"));
    assert_eq!(schema["properties"]["data"]["required"], json!(["dataset"]));
    assert_eq!(schema_text(fake::KINDS), schema_text(fake::KINDS));
}

#[test]
fn names_of_parameters_and_ports_do_not_clash() {
    for kind in fake::KINDS.iter().chain(crate::stage::KINDS) {
        let mut generator = schemars::SchemaGenerator::default();
        let params = kind.schema(&mut generator).to_value();
        let mut names = vec!["kind".to_owned(), "seed".to_owned()];
        names.extend(kind.inputs().iter().map(|port| port.name.to_owned()));
        names.extend(
            params["properties"]
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().cloned()),
        );
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}", kind.name());
        assert!(
            params.get("oneOf").is_none(),
            "{}: parameters are a struct",
            kind.name()
        );
    }
}

#[test]
fn two_thousand_damaged_manifests_do_not_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut refused = 0;
    for _ in 0..2000 {
        let mut bytes = VALID.as_bytes().to_vec();
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..bytes.len());
            match random.random_range(0..4) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, random.random()),
                2 => bytes.insert(at, b"[]{}=.\"'#\n\\\t0-"[random.random_range(0..14)]),
                _ => drop(bytes.drain(at..(at + 30).min(bytes.len()))),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let start = text.floor_char_boundary(random.random_range(0..text.len()));
        let argument = &text[start..text.ceil_char_boundary(start + 20)];
        let _ = load(VALID, &[argument]).map_err(|errors| errors.render(true));
        if let Err(errors) = load(&text, &[]) {
            assert!(!errors.errors.is_empty());
            assert!(errors.render(true).contains("error"));
            refused += 1;
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn deep_nesting_is_refused_or_read_but_never_overflows() {
    for deep in [
        format!("x{} = 1", ".x".repeat(50_000)),
        format!("x = {}1", "[".repeat(50_000)),
    ] {
        assert!(load(&deep, &[]).is_err());
        assert!(load(VALID, &[&deep]).is_err());
    }
}

#[test]
fn a_mistake_is_quoted_from_the_file_that_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let told = |name: &str| {
        let errors = crate::manifest::load(
            &dir.path().join(name),
            &crate::manifest::Changes::default(),
            fake::KINDS,
        );
        errors.unwrap_err().to_string()
    };
    write("base.toml", &with("epochs = 20", "epochs = 0"));
    write("top.toml", "extends = \"base.toml\"\nsede = 1\n");
    let text = told("top.toml");
    let (first, second) = (text.find("top.toml:2:1"), text.find("base.toml:17:10"));
    assert!(first.is_some() && first < second, "{text}");
    // What this file replaces is not asked about any more.
    write(
        "top.toml",
        "extends = \"base.toml\"\ndefaults.finetune.epochs = 1\nsede = 1\n",
    );
    assert!(!told("top.toml").contains("epochs"));
    write("top.toml", "extends = 1\n");
    assert!(told("top.toml").contains("`extends` must be a string"));
    assert_eq!(
        mistakes(VALID, &["extends=base.toml"]),
        ["--set #1:1:1 `extends` can only stand in a file"]
    );
}

#[test]
fn a_chain_of_a_thousand_stages_loads() {
    let mut text = VALID.to_owned();
    let mut before = "kept".to_owned();
    for index in 0..1000 {
        let stage = format!("[stages.kept-{index}]\nkind = \"filter\"\npaths = \"{before}\"\n");
        text.push_str(&stage);
        before = format!("kept-{index}");
    }
    let manifest = load(&text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(manifest.stages.len(), 1007);
    assert_eq!(
        manifest.stages[1006].inputs["paths"].stage.as_str(),
        "kept-998"
    );
    // The same chain, closed.
    let text = text.replace("paths = \"sample\"", &format!("paths = \"{before}\""));
    let told = mistakes(&text, &[]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("wait for each other: kept -> kept-0 -> kept-1 -> "),
        "{told:?}"
    );
}
