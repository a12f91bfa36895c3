//! The report's page in a headless Chromium: it renders, it filters, and what models wrote does nothing.
//!
//! `SCREENSHOTS=DIR cargo test --test it browser` keeps pictures of it.

use serde_json::{Value, json};

use crate::harness::Bench;
use crate::webdriver::Browser;

/// No model: paths and answers from files, so that they can be hostile.
const HOSTILE: &str = r#"
title = "</title><script>window.pwned=1</script> & co"
description = "<img src=x onerror=window.pwned=1>"

[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.brought]
kind = "import-paths"
path = "paths.jsonl"

[stages.kept]
kind = "filter"
paths = "brought"
length = { min_tokens = 3 }
perplexity = { enabled = false }
repetition = { max_rate = 1.0 }
pattern = { direct_response = false }

[stages.said]
kind = "import-predictions"
path = "said.jsonl"

[stages.measured]
kind = "eval"
predictions = "said"

[tables.t]
caption = "<script>window.pwned=1</script>"
rows = [{ label = "<svg onload=window.pwned=1>", eval = "measured" }]

[figures.bands]
kind = "score-bands"
title = "</title><script>window.pwned=1</script>"
score = "<u>coherence</u>"
series = [{ label = "<script>window.pwned=1</script>", paths = "brought" }]

[figures.steps]
kind = "distribution"
scores = ["<u>coherence</u>"]
filter = "kept"
"#;

const PAYLOADS: [&str; 6] = [
    "<script>window.pwned=1</script> in the middle",
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=\"window.pwned=1\">",
    "--><!-- ]]> <svg/onload=window.pwned=1>",
    "\u{2028}window.pwned=1;//\u{2029}",
    "javascript:window.pwned=1 \u{202e}\u{0}\u{1b}[31m {{7*7}} ${7*7}",
];

/// Three questions with 24 paths each, eight of them too short.
fn hostile() -> Bench {
    let bench = Bench::new(HOSTILE);
    let question =
        |id: &str| json!({"id": id, "question": format!("Is {id} <b>it</b>?"), "answer": "yes"});
    let lines = |rows: &[Value]| {
        let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
        rows.join("\n")
    };
    let ids = ["<i>one</i>", "two", "three"];
    bench.write("train.jsonl", lines(&ids.map(question)));
    bench.write("test.jsonl", lines(&["seen"].map(question)));
    let mut paths = Vec::new();
    for id in ids {
        for draw in 0..24_u32 {
            let tokens: Vec<u32> = (0..if draw < 8 { 2 } else { 5 }).collect();
            // The last one of each is one whose judge said nothing that could be read.
            let scored = draw < 23;
            paths.push(json!({
                "question_id": id,
                "draw": draw,
                "first_token": {"id": 1, "rank": draw % 5, "text": "<b>"},
                "text": format!("{} number {draw}", PAYLOADS[draw as usize % PAYLOADS.len()]),
                "tokens": tokens,
                "end": if draw % 2 == 0 { "end-of-text" } else { "length" },
                "scores": if scored { json!({"<u>coherence</u>": f64::from(draw) / 3.0}) } else { json!({}) },
                "unparsed": if scored { json!([]) } else { json!(["<u>coherence</u>"]) },
            }));
        }
    }
    bench.write("paths.jsonl", lines(&paths));
    let said =
        json!({"question_id": "seen", "prompt": "Q", "output": PAYLOADS[1], "end": "length"});
    bench.write("said.jsonl", said.to_string());
    bench
}

#[test]
fn the_page_renders_filters_and_runs_nothing_of_the_models() {
    let bench = hostile();
    bench.run(&["m.toml"]).ok();
    bench.run(&["report", "m.toml", "--out", "out"]).ok();
    let Some(browser) = Browser::start() else {
        return;
    };
    let page = bench.path("out/index.html");
    browser.resize(1280, 1000);
    browser.open(&page, "");

    // It renders: the table, the figure, the stages.
    assert_eq!(
        browser.ask(
            "document.querySelectorAll('#results table:not(.answers, .seconds) tbody tr').length"
        ),
        3
    );
    assert_eq!(
        browser.ask("document.querySelectorAll('#results table.seconds tbody tr').length"),
        1
    );
    assert_eq!(
        browser.ask("document.querySelectorAll('.paper svg').length"),
        3
    );
    assert_eq!(browser.ask("document.querySelectorAll('.dag a').length"), 5);
    assert_eq!(
        browser.ask("document.querySelector('h1').textContent"),
        "</title><script>window.pwned=1</script> & co"
    );
    browser.picture("top-1280");

    // A box of the DAG leads to its stage.
    browser.click(".dag a[data-group='2']");
    browser.wait_for("document.querySelector('.members:target').closest('details').open");
    let key = "document.querySelector('.members:target code').textContent.length";
    assert_eq!(browser.ask(key), 64);
    browser.picture("stages-1280");

    // It filters. 24 paths for each of three questions; the first eight of each are too short.
    let count = || browser.ask("document.getElementById('count').textContent");
    let rows = || browser.ask("document.querySelectorAll('#rows > li:not(.asks)').length");
    assert_eq!(count(), "72 of 72 rows, of 3 questions");
    assert_eq!(rows(), 25);
    browser.click("#verdict option[value='length']");
    browser.wait_for("document.getElementById('count').textContent.startsWith('24 of 72')");
    assert_eq!(rows(), 24);
    let verdicts = "[...document.querySelectorAll('#rows .verdict')].every((v) => v.textContent === 'dropped by length')";
    assert_eq!(browser.ask(verdicts), true);
    browser.click("#end option[value='length']");
    browser.wait_for("document.getElementById('count').textContent.startsWith('12 of 72')");
    browser.click("#question");
    browser.press("ONE<");
    browser
        .wait_for("document.getElementById('count').textContent === '4 of 72 rows, of 1 question'");
    browser.click("#text");
    browser.press("number 3");
    browser
        .wait_for("document.getElementById('count').textContent === '1 of 72 rows, of 1 question'");
    assert_eq!(
        browser.ask("document.querySelector('#rows li:not(.asks) p').textContent"),
        "--><!-- ]]> <svg/onload=window.pwned=1> number 3"
    );
    browser.picture("filtered-1280");

    // What is shown is in the address, and comes back from there.
    let address = browser.ask("location.hash");
    browser.open(&page, address.as_str().unwrap());
    assert_eq!(count(), "1 of 72 rows, of 1 question");
    browser.click("#filter button[type='reset']");
    browser.wait_for("document.getElementById('count').textContent.startsWith('72 of 72')");

    // The next page, by keyboard alone.
    browser.ask("document.getElementById('next').focus()");
    browser.press("\u{e007}");
    browser.wait_for("document.getElementById('page').value === '2'");
    assert_eq!(rows(), 25);
    browser.press("\u{e007}");
    browser.wait_for("document.getElementById('page').value === '3'");
    assert_eq!(rows(), 22);

    // Answers, with what was read out of them.
    browser.click("#stage option[value='1']");
    browser
        .wait_for("document.getElementById('count').textContent === '1 of 1 rows, of 1 question'");
    assert_eq!(
        browser.ask("document.querySelector('#rows .verdict').textContent"),
        "unparsed"
    );

    // Nothing of it ran: no element but the program's own, no request, no complaint of the page's guards.
    let paged =
        browser.ask("[...document.querySelectorAll('#stage option')].map((o) => o.textContent)");
    assert_eq!(paged, json!(["kept (verdicts)", "said (answers)"]));
    for (what, expected) in [
        ("typeof window.pwned", json!("undefined")),
        ("document.scripts.length", json!(2)),
        (
            "document.querySelectorAll('img, iframe, object, embed, link, i, b b, u').length",
            json!(0),
        ),
        ("performance.getEntriesByType('resource').length", json!(0)),
        (
            "document.documentElement.innerHTML.includes('\\u202e')",
            json!(false),
        ),
    ] {
        assert_eq!(browser.ask(what), expected, "{what}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // A narrow window scrolls its tables, and not itself.
    browser.resize(400, 900);
    browser.open(&page, "");
    assert_eq!(
        browser.ask("document.documentElement.scrollWidth <= innerWidth"),
        true
    );
    browser.picture("top-400");
    browser.open(&page, "#paths?stage=kept&verdict=length");
    browser.picture("paths-400");
}

#[test]
fn the_page_is_the_same_every_time_and_asks_for_nothing() {
    let bench = hostile();
    bench.run(&["m.toml"]).ok();
    bench.run(&["report", "m.toml", "--out", "out"]).ok();
    bench.run(&["report", "m.toml", "--out", "again"]).ok();
    for file in [
        "index.html",
        "figures/funnel-kept.svg",
        "figures/bands.svg",
        "figures/steps.png",
    ] {
        let read = |folder: &str| std::fs::read(bench.path(folder).join(file)).unwrap();
        assert!(read("out") == read("again"), "{file}");
    }
    let html = std::fs::read_to_string(bench.path("out/index.html")).unwrap();
    assert_eq!(
        html.matches("http").count(),
        html.matches("http://www.w3.org/2000/svg").count() + 1
    );
    assert_eq!(
        html.matches("<script").count(),
        2,
        "its data and its script"
    );
    assert!(!html.contains(&bench.path("").display().to_string()));

    let bands = std::fs::read_to_string(bench.path("out/figures/bands.svg")).unwrap();
    assert!(bands.contains("3 unparsed scores are left out"));

    // A page with some of the paths says what it left out.
    let some = bench
        .run(&["report", "m.toml", "--out", "some", "--paths", "30"])
        .ok();
    assert!(some.stderr.contains("index.html"), "{}", some.stderr);
    let html = std::fs::read_to_string(bench.path("some/index.html")).unwrap();
    assert!(
        html.contains("paths of the first 1 of 3 questions are on this page, 24 of 72"),
        "what was left out is told"
    );

    // Before anything ran there is a page too.
    let bench = hostile();
    let early = bench.run(&["report", "m.toml", "--out", "out"]);
    assert_eq!(early.code, Some(1));
    assert!(
        early
            .stderr
            .contains("error: the figure `bands` has nothing"),
        "{}",
        early.stderr
    );
    let html = std::fs::read_to_string(bench.path("out/index.html")).unwrap();
    assert!(html.contains("What ran: nothing of it yet."));
    assert!(html.contains("No stage with paths or answers is in the store"));
    assert!(html.contains("the figure `bands` has nothing to show"));
}
