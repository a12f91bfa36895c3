//! Models put together from single files.

use super::*;

#[test]
fn a_sharded_model_is_put_together() {
    let server = Server::start(|_, request| {
        match request.path.strip_prefix("/own/net/resolve/main/").unwrap() {
            "config.json" | "tokenizer.json" => reply(200, "{}"),
            "model.safetensors.index.json" => reply(
                200,
                r#"{"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors", "c": "m-1.safetensors"}}"#,
            ),
            name if name.starts_with("m-") => reply(200, name),
            _ => reply(404, ""),
        }
    });
    let bench = bench(Some(&server), |_| {});
    let model = HubModel {
        id: "own/net",
        revision: "main",
        weights: true,
    };
    let folder = bench.fetcher.hub_folder(&model, &quiet).unwrap();
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "config.json",
            "m-1.safetensors",
            "m-2.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json"
        ]
    );
    assert_eq!(
        fs::read_to_string(folder.join("m-2.safetensors")).unwrap(),
        "m-2.safetensors"
    );

    // What an earlier fetch linked and this one does not have is not the model's any more.
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", folder.join("merges.txt")).unwrap();
    fs::create_dir(folder.join("a-longer-revision")).unwrap();
    bench.fetcher.hub_folder(&model, &quiet).unwrap();
    assert!(fs::symlink_metadata(folder.join("merges.txt")).is_err());
    assert!(folder.join("a-longer-revision").is_dir());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), names.len() + 1);

    // All of it is known now, the absent files too.
    let before = server.seen().len();
    bench.fetcher.hub_folder(&model, &quiet).unwrap();
    assert_eq!(server.seen().len(), before);
}

#[test]
fn chat_templates_of_other_names_are_those_that_the_hub_lists() {
    let server = Server::start(|_, request| match &*request.path {
        "/api/models/own/net/revision/main" => reply(
            200,
            r#"{"siblings": [{"rfilename": "config.json"}, {"rfilename": "additional_chat_templates/rag.jinja"},
                {"rfilename": "additional_chat_templates/../../../up.jinja"}, {"rfilename": "additional_chat_templates/notes.md"}]}"#,
        ),
        path => match path.strip_prefix("/own/net/resolve/main/").unwrap() {
            "config.json" | "tokenizer.json" => reply(200, "{}"),
            name if name.contains("template") => reply(200, name),
            _ => reply(404, ""),
        },
    });
    let bench = bench(Some(&server), |_| {});
    let model = HubModel {
        id: "own/net",
        revision: "main",
        weights: false,
    };
    let folder = bench.fetcher.hub_folder(&model, &quiet).unwrap();
    let more = folder.join("additional_chat_templates");
    let rag = fs::read_to_string(more.join("rag.jinja")).unwrap();
    assert_eq!(rag, "additional_chat_templates/rag.jinja");
    assert_eq!(fs::read_dir(&more).unwrap().count(), 1);
    let before = server.seen().len();
    // One that is not the model's any more goes.
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", more.join("old.jinja")).unwrap();
    bench.fetcher.hub_folder(&model, &quiet).unwrap();
    assert_eq!(fs::read_dir(&more).unwrap().count(), 1);
    assert_eq!(server.seen().len(), before);

    // A mirror's are those of its folder.
    let mirror = tempfile::tempdir().unwrap();
    let there = mirror.path().join("huggingface.co/own/net/resolve/main");
    fs::create_dir_all(there.join("additional_chat_templates")).unwrap();
    for name in [
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
    ] {
        fs::write(there.join(name), "{}").unwrap();
    }
    let mirrored = super::bench(None, |options| {
        options.mirror = Some(mirror.path().to_owned());
    });
    let folder = mirrored.fetcher.hub_folder(&model, &quiet).unwrap();
    assert!(
        folder
            .join("additional_chat_templates/tool_use.jinja")
            .is_file()
    );
}

#[test]
fn a_model_without_weights_says_so() {
    let server = Server::start(|_, request| {
        if request.path.contains("safetensors") {
            reply(404, "")
        } else {
            reply(200, "{}")
        }
    });
    let bench = bench(Some(&server), |_| {});
    let mut model = HubModel {
        id: "own/net",
        revision: "main",
        weights: true,
    };
    let error = bench.fetcher.hub_folder(&model, &quiet).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("model.safetensors does not exist"),
        "{error}"
    );
    model.weights = false;
    assert!(bench.fetcher.hub_folder(&model, &quiet).is_ok());
    model.id = "../../etc";
    assert!(bench.fetcher.hub_folder(&model, &quiet).is_err());
}

/// A mirror without weights: the vocabulary is checked by its pins, and the weights are named as
/// what is missing.
#[test]
fn gpt2_comes_from_the_shared_mirror() {
    let Some(mirror) = crate::needs::shared("mirror") else {
        return;
    };
    let bench = bench(None, |o| o.mirror = Some(mirror));
    let mut model = HubModel {
        id: "openai-community/gpt2",
        revision: "main",
        weights: false,
    };
    let folder = bench.fetcher.hub_folder(&model, &quiet).unwrap();
    assert_eq!(
        fs::metadata(folder.join("vocab.json")).unwrap().len(),
        1_042_301
    );
    assert!(folder.join("config.json").is_file());
    model.weights = true;
    let text = bench
        .fetcher
        .hub_folder(&model, &quiet)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("openai-community/gpt2/resolve/main/model.safetensors"),
        "{text}"
    );
}
