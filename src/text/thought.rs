//! Parting what a model thinks to itself from what it says.
//!
//! Reasoning models open with their thinking in tags, `<think>...</think>`. Some servers send it in a field of
//! its own; others leave it in the text, where this module finds it. Nothing in it is an answer or a score: it
//! weighs several before it settles on one.
//!
//! | text | thought | said |
//! |---|---|---|
//! | `<think>a</think>b` | `a` | `b` |
//! | `a</think>b`: the chat template wrote the opening tag | `a` | `b` |
//! | `<think>a`: it was cut | `a` | |
//! | `<think>a</think>b<think>c</think>d` | `a`, `c` | `bd` |
//! | `<think></think>b`, `</think>b`: thinking is switched off | | `b` |
//! | `It writes <think> first.`: in a line's middle, never closed | | all of it |

/// The tags of models in use: `DeepSeek`, Qwen and their kin; Magistral; Kimi; Seed.
const TAGS: [(&str, &str); 7] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
];

/// A text in its two parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parted {
    /// What was thought, if anything was.
    pub thought: Option<String>,
    /// What was said: trimmed where there were tags, else the text as it is.
    pub said: String,
}

/// Parts `text` by its tags.
pub fn parted(text: &str) -> Parted {
    let mut thoughts: Vec<String> = Vec::new();
    let mut said = String::new();
    let mut rest = text;
    while let Some((at, tag)) = next_tag(rest) {
        let (before, behind) = (&rest[..at], &rest[at + tag.text().len()..]);
        said += before;
        match tag {
            // All that stands before a closing tag without its opening one.
            Tag::Closes(_) => {
                thoughts.push(std::mem::take(&mut said));
                rest = behind;
            }
            Tag::Opens(_, close) => {
                if let Some((inside, after)) = behind.split_once(close) {
                    thoughts.push(inside.to_owned());
                    rest = after;
                } else if heads_a_line(&said) {
                    thoughts.push(behind.to_owned());
                    rest = "";
                } else {
                    said += tag.text();
                    rest = behind;
                }
            }
        }
    }
    said += rest;
    if thoughts.is_empty() {
        return Parted {
            thought: None,
            said,
        };
    }
    let thoughts: Vec<&str> = (thoughts.iter().map(|thought| thought.trim()))
        .filter(|thought| !thought.is_empty())
        .collect();
    Parted {
        thought: (!thoughts.is_empty()).then(|| thoughts.join("\n\n")),
        said: said.trim().to_owned(),
    }
}

#[derive(Clone, Copy)]
enum Tag {
    /// An opening tag, and the closing one that belongs to it.
    Opens(&'static str, &'static str),
    Closes(&'static str),
}

impl Tag {
    fn text(self) -> &'static str {
        match self {
            Self::Opens(text, _) | Self::Closes(text) => text,
        }
    }
}

/// The first tag in `text`, and where it stands.
fn next_tag(text: &str) -> Option<(usize, Tag)> {
    let tags =
        (TAGS.iter()).flat_map(|&(open, close)| [Tag::Opens(open, close), Tag::Closes(close)]);
    tags.filter_map(|tag| Some((text.find(tag.text())?, tag)))
        .min_by_key(|(at, _)| *at)
}

fn heads_a_line(before: &str) -> bool {
    let before = before.trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_is_parted_from_what_is_said() {
        for (text, thought, said) in [
            ("Bees fly.", None, "Bees fly."),
            (" Yes.\n", None, " Yes.\n"),
            ("", None, ""),
            ("<think>a</think>b", Some("a"), "b"),
            (
                "\n<think>\nIt is no. Wait.\n</think>\n\nSo yes.",
                Some("It is no. Wait."),
                "So yes.",
            ),
            ("a, so no</think>\n\nyes", Some("a, so no"), "yes"),
            ("<think>\nBees have wi", Some("Bees have wi"), ""),
            ("<think>", None, ""),
            ("<think>\n\n</think>\n\nyes", None, "yes"),
            ("</think>yes", None, "yes"),
            ("<think>a</think>b<think>c</think>d", Some("a\n\nc"), "bd"),
            ("<think>a</think>b</think>c", Some("a\n\nb"), "c"),
            ("<think>a</think>\n<think>b", Some("a\n\nb"), ""),
            ("Well. <think>a</think> yes", Some("a"), "Well.  yes"),
            ("It writes <think> first.", None, "It writes <think> first."),
            (
                "It writes <think> first.\n<think>so",
                Some("so"),
                "It writes <think> first.",
            ),
            ("[THINK]a[/THINK]b", Some("a"), "b"),
            ("◁think▷a◁/think▷b", Some("a"), "b"),
            ("<seed:think>a</seed:think>b", Some("a"), "b"),
            (
                "<thinking>a <think> b</thinking>c",
                Some("a <think> b"),
                "c",
            ),
            ("I think> so", None, "I think> so"),
        ] {
            let parts = parted(text);
            assert_eq!(
                (parts.thought.as_deref(), parts.said.as_str()),
                (thought, said),
                "{text}"
            );
        }
    }
}
