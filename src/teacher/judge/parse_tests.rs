use super::super::CRITERIA;
use super::*;

fn read(reply: &str) -> Vec<Option<f64>> {
    read_scores(reply, &CRITERIA.map(str::to_owned))
}

/// What is read as coherence.
fn one(line: &str) -> Option<f64> {
    read(&format!("{line}\n- Score for Relevance: [3]"))[0]
}

fn all(scores: [f64; 4]) -> Vec<Option<f64>> {
    scores.map(Some).to_vec()
}

#[test]
fn the_papers_form_and_what_models_make_of_it() {
    let scores = all([8.0, 7.0, 9.0, 6.5]);
    for reply in [
        "- Score for Coherence: [8]\n- Score for Relevance: [7]\n- Score for Logical Consistency: [9]\n- Score for Completeness: [6.5]\nA sound response, 3 gaps aside.",
        "Coherence: 8/10\nRelevance: 7/10\nLogical consistency: 9/10\nCompleteness: 6.5/10",
        "**Coherence:** **8**\n**Relevance:** **7**\n**Logical Consistency:** **9**\n**Completeness:** **6.5**",
        "1. Coherence: Score: 8.\n2. Relevance: Score: 7.\n3. Logical Consistency: Score: 9.\n4. Completeness: Score: 6.5.",
        "Score for Coherence: 8 - it flows\nScore for Relevance: 7 (good)\nScore for Logical-Consistency: 9, because 2 of 3 steps hold\nScore for Completeness: 6.5 out of 10",
        "Coherence: 8, Relevance: 7, Logical Consistency: 9 and Completeness: 6.5",
        "{\"coherence\": 8, \"relevance\": 7, \"logical_consistency\": 9, \"completeness\": 6.5}",
        "| Coherence | 8 |\n| Relevance | 7 |\n| Logical Consistency | 9 |\n| Completeness | 6.5 |",
        "## Coherence\n8\n## Relevance\n7/10\n## Logical Consistency\n[9]\n## Completeness\n6.5",
        "<think>Coherence: 2? No.</think>\ncoherence - eight\nrelevance is seven out of ten\nlogical consistency – 9\ncompleteness = 6.5",
        "Here are the scores for the response:\r\n\r\n* Score for Coherence: [8]\r\n* Score for Relevance: [7]\r\n* Score for Logical Consistency: [9]\r\n* Score for Completeness: [6.5]\r\n",
        "- Score for Coherence: [..]\n- Score for Coherence: [8]\n- Score for Relevance: [7]\n- Score for Logical Consistency: [9]\n- Score for Completeness: [6.5]",
        "The coherence of these 3 steps is good.\nCoherence: the text is smooth.\nCoherence: 8\nRelevance: 7\nLogical Consistency: 9\nCompleteness: 6.5",
    ] {
        assert_eq!(read(reply), scores, "{reply}");
    }
}

#[test]
fn what_is_one_score() {
    for (line, score) in [
        ("Coherence: 8", 8.0),
        ("Coherence: [8]/10", 8.0),
        ("Coherence: 8 / 10", 8.0),
        ("Coherence: 10/10.", 10.0),
        ("Coherence: 0", 0.0),
        ("Coherence: 7.5/10.0", 7.5),
        ("Coherence rating: 8", 8.0),
        ("Coherence: a score of 8", 8.0),
        ("Coherence: Ten", 10.0),
        ("Coherence: 8 points", 8.0),
        ("_Coherence_: __8__", 8.0),
        ("Coherence (0-10): 8", 8.0),
    ] {
        if line.contains("(0-10)") {
            assert_eq!(one(line), None, "a range stands first: {line}");
        } else {
            assert_eq!(one(line), Some(score), "{line}");
        }
    }
}

#[test]
fn what_is_not_is_unparsed() {
    for line in [
        "",
        "Coherence:",
        "Coherence: [..]",
        "Coherence: N/A",
        "Coherence: high",
        "Coherence: 7-8",
        "Coherence: 7 - 8",
        "Coherence: 7–8/10",
        "Coherence: 7 to 8",
        "Coherence: seven or eight",
        "Coherence: [7]-[8]",
        "Coherence: 7 or 8",
        "Coherence: 4/5",
        "Coherence: 4 out of 5",
        "Coherence: 8/",
        "Coherence: 8/10/2026",
        "Coherence: 80%",
        "Coherence: 80",
        "Coherence: 11",
        "Coherence: -3",
        "Coherence: 8+",
        "Coherence: 8,5",
        "Coherence: 8.5.1",
        "Coherence: 8th",
        "Coherence: 8e1",
        "Coherence: 8\nCoherence: 6",
        "Coherence: 8 (7-8)\nCoherence: 7-8",
        "In terms of coherence, 8 sentences follow each other.",
        "The incoherence: 8",
        "Coherence and relevance: 8",
        "<think>Coherence: 8",
        "Coherence: there are 8 steps",
    ] {
        assert_eq!(one(line), None, "{line}");
    }
}

/// A missing line does not shift the others.
#[test]
fn missing_lines_are_missing() {
    let reply = "- Score for Coherence: 8\n- Score for Completeness: 6";
    assert_eq!(read(reply), [Some(8.0), None, None, Some(6.0)]);
    assert_eq!(read("I cannot judge this."), [None; 4]);
    assert_eq!(read(""), [None; 4]);
    assert_eq!(read("8\n7\n9\n6"), [None; 4]);
}

#[test]
fn one_criterion_may_be_answered_outright() {
    let one = |reply| read_scores(reply, &["quality".to_owned()])[0];
    for (reply, score) in [
        ("8/10", Some(8.0)),
        ("**8**", Some(8.0)),
        ("Score: 8.", Some(8.0)),
        ("Quality: 8", Some(8.0)),
        ("7-8", None),
        ("It has 8 steps", None),
        ("", None),
    ] {
        assert_eq!(one(reply), score, "{reply}");
    }
}

#[test]
fn a_longer_name_is_not_its_beginning() {
    let criteria = ["logic".to_owned(), "logic_depth".to_owned()];
    let read = read_scores("Logic depth: 3\nLogic: 8", &criteria);
    assert_eq!(read, [Some(8.0), Some(3.0)]);
}

/// Whatever a judge writes, reading it neither panics nor leaves 0 to 10.
#[test]
fn any_text_is_survived() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let pieces = [
        "Coherence",
        "Score for ",
        ":",
        " ",
        "8",
        "10",
        "/",
        "-",
        "–",
        "[",
        "]",
        "\n",
        "ten",
        "é",
        "to",
        ".",
        ",",
        "%",
        "</think>",
        "Logical Consistency",
        "\u{2028}",
        "9999999999999999999999",
    ];
    let mut found = 0;
    for _ in 0..3000 {
        let length = rng.random_range(0..14);
        let text: String = (0..length)
            .map(|_| pieces[rng.random_range(0..pieces.len())])
            .collect();
        for score in read(&text).into_iter().flatten() {
            found += 1;
            assert!((0.0..=10.0).contains(&score), "{text}");
        }
    }
    assert!(found > 10, "{found} scores were read");
}
