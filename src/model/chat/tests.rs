//! This module against transformers, and against templates that mean harm.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/templates")
}

fn expected(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("expected.json")).unwrap()).unwrap()
}

fn settings(expected: &Value, arguments: &Value) -> ChatSettings {
    ChatSettings {
        special_tokens: serde_json::from_value(expected["special_tokens"].clone()).unwrap(),
        arguments: arguments.as_object().unwrap().clone(),
        today: expected["today"].as_str().unwrap().parse().unwrap(),
    }
}

/// A template with nothing given to it.
fn template(source: &str) -> Result<ChatTemplate, ChatError> {
    let settings = ChatSettings {
        special_tokens: BTreeMap::new(),
        arguments: Map::new(),
        today: "2024-07-26".parse().unwrap(),
    };
    ChatTemplate::new("t", source, settings)
}

fn rendered(source: &str) -> Result<String, ChatError> {
    Ok(template(source)?
        .render(&[ChatMessage::new("user", "u")], false)?
        .text)
}

/// What is wrong with `found`, which transformers makes `wanted` of.
fn difference(wanted: &Value, found: Result<Rendered, ChatError>) -> Option<String> {
    let found = match found {
        Ok(rendered) if rendered.generated.is_empty() => json!({"text": rendered.text}),
        Ok(rendered) => {
            let spans: Vec<_> = rendered
                .generated
                .iter()
                .map(|span| [span.start, span.end])
                .collect();
            json!({"text": rendered.text, "generated": spans})
        }
        Err(ChatError::Raised { message, .. }) => json!({"raised": message}),
        // Both fail; in which words is each one's own matter.
        Err(ChatError::Template { .. }) if wanted.get("fails").is_some() => return None,
        Err(error) => json!({"fails": error.to_string()}),
    };
    let wanted: Map<String, Value> = (wanted.as_object().unwrap().iter())
        .filter(|(name, _)| matches!(name.as_str(), "text" | "generated" | "raised" | "fails"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let wanted = Value::Object(wanted);
    (found != wanted).then(|| format!("\n  found  {found}\n  wanted {wanted}"))
}

fn conversation(expected: &Value, name: &Value) -> Vec<ChatMessage> {
    serde_json::from_value(expected["conversations"][name.as_str().unwrap()].clone()).unwrap()
}

/// Differences over all templates of a folder, and how many texts were compared.
fn differences(folder: &Path) -> (Vec<String>, usize) {
    let expected = expected(folder);
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, cases) in expected["templates"].as_object().unwrap() {
        let source = fs::read_to_string(folder.join(format!("{name}.jinja"))).unwrap();
        for case in cases.as_array().unwrap() {
            let messages = conversation(&expected, &case["conversation"]);
            let found = ChatTemplate::new(name, &source, settings(&expected, &case["arguments"]))
                .and_then(|template| template.render(&messages, case["prompt"].as_bool().unwrap()));
            if let Some(difference) = difference(case, found) {
                let which = format!(
                    "{} {} {}",
                    case["conversation"], case["prompt"], case["arguments"]
                );
                wrong.push(format!("{name}: {which}{difference}"));
            }
            compared += 1;
        }
    }
    (wrong, compared)
}

#[test]
fn published_templates_render_as_in_transformers() {
    let (wrong, compared) = differences(&fixtures());
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(compared > 400, "{compared}");
}

/// Small templates that come out otherwise than in jinja2: a text where jinja2 fails (it orders nothing that has no order,
/// and iterates over no none), large floats within other values, and, in words, what no chat template uses.
const OTHERWISE: [(&str, Option<&str>); 12] = [
    ("{% for x in nothing %}x{% endfor %}", Some("")),
    ("{{ undefined_thing < 1 }}", Some("True")),
    ("{{ rows | groupby('t') | length }}", Some("3")),
    (
        r#"{{ words }} {{ dict }} {{ nested }} {{ (1,) }} {{ () }} {{ ('a', 1.5) }} {{ {'a': none} }} {{ ["it's", 'a"b', 'a\nb', 'a\\b', 'é'] }} {{ [yes, none, 1e16] }}"#,
        Some(
            r#"['b', 'a', 'c'] {'b': 1, 'a': [1, 2.5, None, True], 'ü': '<é&\'"\\/\n\x7f'} [{'a': {'b': []}}, {}, []] (1,) () ('a', 1.5) {'a': None} ["it's", 'a"b', 'a\nb', 'a\\b', 'é'] [True, None, 1e16]"#,
        ),
    ),
    (
        "{{ words | string }} {{ [1, 'a'] ~ '' }} {{ 'x' ~ {'a': 1} }} {{ big ~ '' }}",
        Some("['b', 'a', 'c'] [1, 'a'] x{'a': 1} 10000000000000000.0"),
    ),
    ("{{ 'a' < 1 }}", Some("False")),
    ("{{ 'a b c' | wordcount }}", None),
    (
        "{{ {'a': 1}['a'] }} {{ {'a': 1}.a }} {{ [1, 2,] }} {{ {'a': 1,} }} {{ ((1)) }} {{ -1 | abs }} {{ (-1) | abs }} {{ 5 - -1 }} {{ +1 }}",
        None,
    ),
    (
        "{{ lipsum is defined }} {{ debug is defined }} {{ cycler is defined }} {{ self is defined }} {{ loop is defined }}",
        Some("False False False False False"),
    ),
    ("{{ '%s' % 'x' }}", None),
    (
        "{{ 'a' | attr('upper') is defined }} {{ messages | random is defined }}",
        None,
    ),
    ("\n{% raw %}\n x \n{% endraw %}\n", Some("\n x \n")),
];

#[test]
fn python_and_jinja_mean_what_they_mean_in_transformers() {
    let expected = expected(&fixtures());
    let messages = conversation(&expected, &expected["snippet_conversation"]);
    let mut wrong = Vec::new();
    let snippets = expected["snippets"].as_array().unwrap();
    for snippet in snippets {
        let source = snippet["source"].as_str().unwrap();
        let found = ChatTemplate::new("t", source, settings(&expected, &expected["arguments"]))
            .and_then(|template| template.render(&messages, true));
        match OTHERWISE.iter().find(|(other, _)| *other == source) {
            Some((_, text)) => {
                assert_eq!(
                    found.ok().map(|rendered| rendered.text).as_deref(),
                    *text,
                    "{source}"
                );
                assert!(
                    snippet["text"].as_str() != *text || text.is_none(),
                    "{source}: as in jinja2 by now"
                );
            }
            None => wrong.extend(
                difference(snippet, found).map(|difference| format!("{source}{difference}")),
            ),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        snippets.len(),
        wrong.join("\n")
    );
    assert!(snippets.len() > 150);
}

#[test]
fn what_fails_says_where_and_what_to_do() {
    for (source, line, column, part) in [
        ("a\n{{ 'é' + 1 }}", 2, Some(4), "invalid operation"),
        ("\n\n{% if %}", 3, Some(7), "syntax error"),
        ("{{ x.y.z }}", 1, Some(4), "undefined value"),
        (
            "{% generation %}\n{{ 'a' | nope }}{% endgeneration %}",
            2,
            Some(10),
            "unknown filter",
        ),
        ("{{ 'a'.nope() }}", 1, Some(7), "no method named nope"),
        (
            "{% set a = [] %}{{ a.append(1) }}",
            1,
            Some(21),
            "no method named append",
        ),
        (
            "{% generation %}a{% endgeneration %}{{ 1 + 'a' }}",
            1,
            Some(40),
            "invalid operation",
        ),
        ("a\n{% generation %}a", 2, Some(4), "`generation` without"),
        ("{% endgeneration %}", 1, Some(4), "`endgeneration` without"),
        ("{% include 'x' %}", 1, Some(4), "template not found"),
    ] {
        let error = rendered(source).unwrap_err();
        let text = error.to_string();
        let ChatError::Template {
            template,
            line: at_line,
            column: at_column,
            ..
        } = error
        else {
            panic!("{source}: {text}");
        };
        assert_eq!(
            (&*template, at_line, at_column),
            ("t", line, column),
            "{source}: {text}"
        );
        assert!(
            text.contains(part) && text.contains("\nhint: "),
            "{source}: {text}"
        );
    }
    let error = rendered("\n{{ raise_exception('no ' ~ 'system') }}").unwrap_err();
    assert!(
        matches!(&error, ChatError::Raised { line: 2, message, .. } if message == "no system"),
        "{error}"
    );
    assert!(matches!(
        template("").unwrap().render(&[], true),
        Err(ChatError::NoMessages(_))
    ));
    let arguments = json!({"messages": []}).as_object().unwrap().clone();
    let settings = ChatSettings {
        arguments,
        ..template("").unwrap().settings().clone()
    };
    assert!(matches!(
        ChatTemplate::new("t", "", settings),
        Err(ChatError::Reserved(_))
    ));
}

#[test]
fn a_template_that_does_not_end_or_makes_too_much_is_stopped() {
    let long = "{% set x = namespace(a='0123456789abcdef') %}";
    for source in [
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}"
            .to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        format!("{long}{{% for i in range(60) %}}{{% set x.a = x.a ~ x.a %}}{{% endfor %}}"),
        format!("{long}{{% for i in range(60) %}}{{% set x.a = x.a + x.a %}}{{% endfor %}}"),
        "{{ 'a' * 99999999 }}".to_owned(),
        "{{ 'a' * 9999999999999 }}".to_owned(),
        "{{ [0] * 99999999 }}".to_owned(),
        "{{ [[0] * 99999999] * 99999999 }}".to_owned(),
        "{{ ([0] * 99999999) | list }}".to_owned(),
        "{% set a = 'a' * 9999999 %}{{ a.replace('a', a) }}".to_owned(),
        "{% set a = 'a' * 9999999 %}{{ a.join(['b'] * 9999999) }}".to_owned(),
        "{{ '1'.zfill(9999999999) }}".to_owned(),
        "{{ '{:999999999}'.format(1) }}".to_owned(),
        "{{ '{:{}}'.format(1, 999999999) }}".to_owned(),
        "{{ '%999999999d' | format(1) }}".to_owned(),
        "{{ [1] | tojson(indent=999999999) }}".to_owned(),
        "{{ 'a' | indent(999999999, true) }}".to_owned(),
        "{% for a in 'a' * 20000000 %}{{ a }}{% endfor %}".to_owned(),
        "{{ 9 ** 9 ** 9 }}".to_owned(),
    ] {
        let began = std::time::Instant::now();
        let error = rendered(&source).map(|text| text.len());
        assert!(
            matches!(
                error,
                Err(ChatError::TooMuch { .. } | ChatError::Template { .. })
            ),
            "{source}: {error:?}"
        );
        assert!(began.elapsed().as_secs() < 120, "{source}");
    }
    // An honest conversation of a megabyte is no such thing.
    let messages: Vec<ChatMessage> = (0..200)
        .map(|i| ChatMessage::new(["user", "assistant"][i % 2], "word ".repeat(1000)))
        .collect();
    let source = fs::read_to_string(fixtures().join("qwen3-0.6b.jinja")).unwrap();
    assert!(
        template(&source)
            .unwrap()
            .render(&messages, true)
            .unwrap()
            .text
            .len()
            > 1_000_000
    );
}

#[test]
fn values_that_lie_deep_in_each_other_end_in_an_error_or_a_text() {
    // On a small stack, as threads of a pool have.
    let run = || {
        for source in [
            "{% set n = namespace(a=0) %}{% for i in range(90000) %}{% set n.a = [n.a] %}{% endfor %}{{ n.a }}",
            "{% set n = namespace(a=0) %}{% for i in range(90000) %}{% set n.a = [n.a] %}{% endfor %}",
            "{% set n = namespace(a=0) %}{% for i in range(90000) %}{% set n.a = {'a': n.a} %}{% endfor %}{{ n.a | tojson }}",
            "{% set n = namespace(a=0) %}{% for i in range(90000) %}{% set n.a = (n.a,) %}{% endfor %}{{ n.a == n.a }}",
            "{% set n = namespace() %}{% set n.a = n %}{{ n }}",
            "{% set n = namespace() %}{% set n.a = n %}{{ n | tojson }}",
            "{% set n = namespace() %}{% set n.a, n.b = 1, [{'a': (n,)}] %}{{ n ~ '' }}",
            "{% set n = namespace() %}{% set m = namespace(a=n) %}{%- set n.a=m -%}{{ n == m }}",
            "{% set n = namespace() %}{% macro f(x, y) %}{% set x.a = [y] + [y] %}{% endmacro %}{{ f(n, n) }}{{ n }}",
            "{% set n = namespace() %}{% set n.a = {'a': [n][:]} %}{{ n | upper }}",
        ] {
            let _ = rendered(source);
        }
        let deep = "(".repeat(100_000);
        assert!(rendered(&format!("{{{{ {deep} }}}}")).is_err());
        let deep = "{% if true %}".repeat(100_000);
        assert!(rendered(&deep).is_err());
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run);
    thread.unwrap().join().unwrap();
}

/// The engine compiles by recursion: as deep as a template goes that is let through, and beyond.
#[test]
fn templates_that_lie_deep_in_themselves_are_compiled_or_refused() {
    let expression = |head: &str, part: &str, tail: &str, times: usize| {
        format!("{{{{ {head}{}{tail} }}}}", part.repeat(times))
    };
    let run = move || {
        for (head, part, tail) in [
            ("", "not ", "x"),
            ("", "-", "x"),
            ("x", "+1", ""),
            ("x", "~1", ""),
            ("x", "**1", ""),
            ("x", " and 1", ""),
            ("x", "()", ""),
            ("x", "|string", ""),
            ("x", "[0]", ""),
            ("x", ".a", ""),
            ("x", " if x", ""),
            ("", "1 if x else ", "1"),
            ("x", " is x", ""),
            ("", "(", ""),
            ("", "1 not in ", "x"),
        ] {
            // As long as a tag may be (brackets that stay open take its end into it), too long, and as long as a template may be.
            let length = part.replace(' ', "").len();
            let most = (rewrite::LONGEST_TAG - 2 - head.len() - tail.len()) / length;
            let refused = |times| {
                let error = template(&expression(head, part, tail, times)).err()?;
                Some(error.to_string())
            };
            let said = refused(most).unwrap_or_default();
            assert!(!said.contains("of more than"), "{part}: {said}");
            for times in [most + 100, (260_000 - 8) / part.len()] {
                let said = refused(times).unwrap();
                assert!(
                    said.starts_with("chat template `t`, line 1, column 1: "),
                    "{said}"
                );
                assert!(said.contains("a tag of more than 4096 bytes"), "{said}");
                assert!(said.contains("\nhint: "), "{said}");
            }
            // What seems to be the end of a tag, of raw text or of a comment is none.
            for before in [
                "{{ {1: {1: {}}}, ",
                "{% raw %}{% endraw x %}{# {% endraw %}{{ ",
                "{% raw %}{%\u{a0}endraw %}{# {% endraw %}{{ ",
                "{# #}{{ '\\'}}', ",
            ] {
                let hidden = format!("{before}{} }}}} #}}", part.repeat(20_000));
                let said = template(&hidden).unwrap_err().to_string();
                assert!(
                    said.contains("a tag of more than"),
                    "{before}{part}: {said}"
                );
            }
        }
        let chain = format!("{{%if 0%}}{}{{%endif%}}", "{%elif 0%}".repeat(26_000));
        assert_eq!(rendered(&chain).unwrap(), "");
        let deep = format!("{{% for {}x", "(".repeat(4000));
        assert!(template(&deep).is_err());
        let said = template(&"x".repeat(300_000)).unwrap_err().to_string();
        assert!(
            said.contains("it has 300000 bytes, accepted: up to 262144\nhint: "),
            "{said}"
        );
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run);
    thread.unwrap().join().unwrap();
}

/// What a loss counts, against the texts that transformers renders.
#[test]
fn a_loss_counts_what_is_marked_or_added_to_the_prompt() {
    let expected = expected(&fixtures());
    let mut refused = std::collections::BTreeSet::new();
    let mut counted = 0;
    for (name, cases) in expected["templates"].as_object().unwrap() {
        let source = fs::read_to_string(fixtures().join(format!("{name}.jinja"))).unwrap();
        let of = |conversation: &str, prompt: bool, arguments: &Value| {
            let same = |case: &&Value| {
                case["conversation"] == conversation
                    && case["prompt"] == prompt
                    && case["arguments"] == *arguments
            };
            cases.as_array().unwrap().iter().find(same).unwrap().clone()
        };
        let settled: Vec<Value> = (cases.as_array().unwrap().iter())
            .filter(|case| case["conversation"] == "user" && case["prompt"] == true)
            .map(|case| case["arguments"].clone())
            .collect();
        for arguments in settled {
            let template =
                ChatTemplate::new(name, &source, settings(&expected, &arguments)).unwrap();
            for (whole, prompt) in [
                ("answered", "system"),
                ("thought", "user"),
                ("reasoning", "user"),
            ] {
                let messages = conversation(&expected, &json!(whole));
                let found = template.training_text(&messages);
                let (whole, prompt) = (of(whole, false, &arguments), of(prompt, true, &arguments));
                let (Some(text), Some(prompt)) = (whole["text"].as_str(), prompt["text"].as_str())
                else {
                    assert!(found.is_err(), "{name}");
                    continue;
                };
                let wanted = match whole.get("generated") {
                    Some(spans) => serde_json::from_value(spans.clone()).unwrap(),
                    None if text.starts_with(prompt) => vec![[prompt.len(), text.len()]],
                    None => {
                        assert!(
                            matches!(
                                found,
                                Err(ChatError::NotAPrefix { .. } | ChatError::Generation { .. })
                            ),
                            "{name}"
                        );
                        refused.insert(name.as_str());
                        continue;
                    }
                };
                let found = found.unwrap();
                assert_eq!(found.text, text, "{name}");
                let spans: Vec<_> = found
                    .counted
                    .iter()
                    .map(|span| [span.start, span.end])
                    .collect();
                assert_eq!(spans, wanted, "{name}");
                assert!(
                    found.text[found.counted[0].clone()].contains("Yes."),
                    "{name}"
                );
                counted += 1;
            }
        }
    }
    assert!(counted > 40, "{counted}");
    assert!(
        refused.contains("deepseek-r1-distill-qwen-32b"),
        "{refused:?}"
    );
    assert!(
        !refused.contains("smollm2-135m-instruct") && !refused.contains("qwen2.5-7b-instruct"),
        "{refused:?}"
    );
}

#[test]
fn a_training_text_ends_with_an_answer_whose_place_is_known() {
    let ask = || ChatMessage::new("user", "a?");
    let chat = [ask(), ChatMessage::new("assistant", "b")];
    let marked = |source: &str| template(source).unwrap().training_text(&chat);
    assert!(matches!(
        template("").unwrap().training_text(&[ask()]),
        Err(ChatError::NoAnswer { .. })
    ));
    let each = "{% for m in messages %}<{{ m.content }}>{% endfor %}";
    let opened = format!("{each}{{% if add_generation_prompt %}}[{{% endif %}}");
    let error = marked(&opened).unwrap_err();
    assert!(
        matches!(&error, ChatError::NotAPrefix { prompt, whole, .. } if prompt == "[" && whole == "<b>"),
        "{error}"
    );
    assert_eq!(marked(each).unwrap().counted, vec![4..7]);
    // A template that leaves the answer out adds nothing.
    assert!(matches!(
        marked("{{ messages[0].content }}"),
        Err(ChatError::NotAPrefix { .. })
    ));
    let macros = "{% macro m(t) %}<{% generation %}{{ t }}{% endgeneration %}>{% endmacro %}{{ m(messages[1].content) }}";
    assert!(matches!(marked(macros), Err(ChatError::Generation { .. })));
    assert_eq!(
        rendered(macros.replace("[1]", "[0]").as_str()).unwrap(),
        "<u>"
    );
    assert!(matches!(
        marked("{% if false %}{% generation %}{% endgeneration %}{% endif %}"),
        Err(ChatError::Generation { .. })
    ));
    assert_eq!(
        marked("é{% generation %}é{% endgeneration %}")
            .unwrap()
            .counted,
        vec![2..4]
    );
}

#[test]
fn templates_and_tokens_are_found_as_transformers_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let read = || ChatFiles::read(folder.path());
    assert!(matches!(
        read().unwrap().template(None),
        Err(ChatError::NoTemplate(_))
    ));
    write(
        "chat_template.json",
        r#"{"chat_template": "of the processor"}"#,
    );
    assert_eq!(read().unwrap().template(None).unwrap(), "of the processor");
    let config = r#"{"tokenizer_class": "LlamaTokenizerFast", "bos_token": {"content": "<b>", "lstrip": false},
        "eos_token": "<e>", "pad_token": null, "additional_special_tokens": ["<x>"],
        "chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}"#;
    write("tokenizer_config.json", config);
    let files = read().unwrap();
    assert_eq!(
        (
            files.template(None).unwrap(),
            files.template(Some("tool_use")).unwrap()
        ),
        ("d", "t")
    );
    let error = files.template(Some("rag")).unwrap_err().to_string();
    assert!(error.contains("`rag`, but: default, tool_use"), "{error}");
    let tokens = |files: &ChatFiles| {
        let pairs: Vec<String> = files
            .special_tokens
            .iter()
            .map(|(name, token)| format!("{name}={token}"))
            .collect();
        pairs.join(" ")
    };
    assert_eq!(
        tokens(&files),
        "bos_token=<b> eos_token=<e> unk_token=<unk>"
    );
    // The map wins, but not over a file that lists its added tokens.
    write(
        "special_tokens_map.json",
        r#"{"eos_token": {"content": "<m>"}, "sep_token": "<s>"}"#,
    );
    assert_eq!(
        tokens(&read().unwrap()),
        "bos_token=<b> eos_token=<m> sep_token=<s> unk_token=<unk>"
    );
    write(
        "tokenizer_config.json",
        r#"{"added_tokens_decoder": {}, "eos_token": "<e>", "chat_template": "one"}"#,
    );
    assert_eq!(tokens(&read().unwrap()), "eos_token=<e>");
    assert_eq!(read().unwrap().template(None).unwrap(), "one");
    // Files of their own win over all entries, together.
    write("additional_chat_templates/rag.jinja", "r");
    assert!(matches!(
        read().unwrap().template(None),
        Err(ChatError::NoSuchTemplate { .. })
    ));
    write("chat_template.jinja", "file");
    let files = read().unwrap();
    assert_eq!(
        (
            files.template(None).unwrap(),
            files.template(Some("rag")).unwrap()
        ),
        ("file", "r")
    );
    for (name, text) in [
        ("tokenizer_config.json", r#"{"eos_token": 3}"#),
        ("tokenizer_config.json", "{"),
        ("tokenizer_config.json", "[]"),
        ("chat_template.jinja", ""),
    ] {
        write(name, text);
        if text.is_empty() {
            fs::write(folder.path().join(name), [0xff]).unwrap();
        }
        let error = read().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
        let place = folder.path().display().to_string();
        assert!(error.contains(&place), "{error}");
        assert!(error.contains("\nhint: ") || text.is_empty(), "{error}");
        write(name, "{}");
    }
}

#[test]
fn dates_are_days_of_the_calendar() {
    for text in ["2024-07-26", "2000-02-29", "0001-01-01", "9999-12-31"] {
        assert_eq!(text.parse::<Date>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "2024-7-26",
        "2024-13-01",
        "2023-02-29",
        "1900-02-29",
        "2024-00-01",
        "2024-01-00",
        "0000-01-01",
        "2024-01-01 ",
        "+024-01-01",
    ] {
        assert!(
            matches!(text.parse::<Date>(), Err(ChatError::Date(_))),
            "{text}"
        );
    }
    // What Python 3.11 on glibc writes.
    for (day, text) in [
        ("2021-01-03", "Sun 0 7 003 53 2020 01 00"),
        ("2020-12-31", "Thu 4 4 366 53 2020 52 52"),
        ("2024-12-30", "Mon 1 1 365 01 2025 52 53"),
        ("2000-01-01", "Sat 6 6 001 52 1999 00 00"),
    ] {
        assert_eq!(
            day.parse::<Date>()
                .unwrap()
                .strftime("%a %w %u %j %V %G %U %W"),
            text,
            "{day}"
        );
    }
    let day: Date = "2024-03-05".parse().unwrap();
    assert_eq!(
        day.strftime("%-d|%_d|%e|%-m|%^b|100%|%Q|%%|%"),
        "5| 5| 5|3|MAR|100%|%Q|%|%"
    );
}
