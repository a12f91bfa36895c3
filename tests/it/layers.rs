//! A module imports only from modules above it in `src/lib.rs`, files side by side in one direction; and a test is
//! skipped in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All sources below a folder.
pub(crate) fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn imports_point_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let order: Vec<&str> = lib
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .map(|line| line.strip_prefix("pub ").unwrap_or(line))
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    assert!(order.len() > 20, "src/lib.rs lists its modules: {order:?}");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap();
        let module = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .replace(".rs", "");
        let Some(rank) = order.iter().position(|name| *name == module) else {
            continue;
        };
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let named: String = part
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if order
                    .iter()
                    .position(|name| *name == named)
                    .is_some_and(|other| other > rank)
                {
                    wrong.push(format!(
                        "{}:{}: `{module}` uses `{named}`",
                        inside.display(),
                        number + 1
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Circles that are still to be opened, each by a folder.
const STILL_ROUND: [&str; 5] = [
    "filter",
    "metric",
    "report/figure",
    "report/page",
    "report/table",
];

/// Files and folders side by side import one another in one direction, so that each can be read after those below it.
#[test]
fn siblings_do_not_import_each_other_in_a_circle() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let tree = Imports::read(&src);
    assert!(tree.0.len() > 30, "{} folders", tree.0.len());
    let circles = tree.circles();
    let wrong: Vec<String> = circles
        .iter()
        .filter(|(folder, _)| !STILL_ROUND.contains(&folder.as_str()))
        .map(|(folder, circle)| format!("src/{folder}: {}", circle.join(" <-> ")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the guard sees: every way to write an import, through what a folder exports too.
#[test]
fn circles_are_found_however_they_are_written() {
    for (files, circle) in [
        (
            &[("a", "use super::b::X;"), ("b", "use super::c::Y;")][..],
            None,
        ),
        (
            &[("a", "use super::b::X;"), ("b", "use super::a;")],
            Some("a b"),
        ),
        (
            &[("a", "use super::{c::Z, b};"), ("b", "use crate::f::a::Y;")],
            Some("a b"),
        ),
        (
            &[
                ("a", "fn f() { super::b::g() }"),
                ("b", "use super::{\n    c,\n    a::{X, Y},\n};"),
            ],
            Some("a b"),
        ),
        (
            &[
                ("a", "use super::X;"),
                ("b", "pub struct X;\nuse super::a::Y;"),
            ],
            Some("a b"),
        ),
        (
            &[
                ("a", "use super::b::X;"),
                ("b", "use super::c;"),
                ("c", "use super::a as z;"),
            ],
            Some("a b c"),
        ),
        (
            &[
                ("a", "use super::b::X;"),
                ("b/inner", "use super::super::a::Y;"),
            ],
            Some("a b"),
        ),
        (
            &[
                ("a", "use super::b::X;"),
                ("b", "// super::a\n/// [`super::a`]\nstruct X;"),
            ],
            None,
        ),
        (
            &[
                ("a", "use super::b;"),
                (
                    "b",
                    "#[cfg(test)]\nmod tests {\n    use super::super::a;\n}",
                ),
            ],
            None,
        ),
        (
            &[("a", "use super::b;"), ("b/tests", "use crate::f::a;")],
            None,
        ),
    ] {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("f/b")).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(root.path().join("f").join(format!("{name}.rs")), text).unwrap();
        };
        write("mod", "mod a;\nmod b;\nmod c;\npub use b::{X, Y as Z};\n");
        for (name, text) in files {
            write(name, text);
        }
        let found = Imports::read(root.path()).circles();
        let found: Vec<String> = found.iter().map(|(_, circle)| circle.join(" ")).collect();
        assert_eq!(found, circle.into_iter().collect::<Vec<_>>(), "{files:?}");
    }
}

/// By folder, by each file or folder in it, those beside it that it imports.
struct Imports(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Imports {
    /// The imports of all product code below `src`.
    fn read(src: &Path) -> Self {
        let mut files = Vec::new();
        rust_files(src, &mut files);
        let module = |file: &Path| -> Vec<String> {
            let inside = file.strip_prefix(src).unwrap().with_extension("");
            let parts = inside.components();
            let parts = parts.map(|part| part.as_os_str().to_string_lossy().into_owned());
            parts.filter(|part| part != "mod").collect()
        };
        let texts: Vec<(Vec<String>, String)> = files
            .iter()
            .map(|file| {
                (
                    module(file),
                    product_code(&std::fs::read_to_string(file).unwrap()),
                )
            })
            .filter(|(module, _)| !module.iter().any(|part| part.contains("tests")))
            .collect();
        // A folder is there where a file below it is.
        let mut known: BTreeSet<Vec<String>> = BTreeSet::new();
        for (module, _) in &texts {
            known.extend((1..=module.len()).map(|length| module[..length].to_vec()));
        }
        // What folders give under a name of their own.
        let mut given: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
        for (module, text) in &texts {
            for (name, path) in imports(text, module, true) {
                let name = [module.clone(), vec![name]].concat();
                // A module of that name is gone into as it is, and a macro's name leads to itself.
                let is_item = !known.contains(&name) && path != name;
                if is_item && known.contains(&path[..path.len() - 1]) {
                    given.insert(name, path);
                }
            }
        }
        let mut found = Self(BTreeMap::new());
        for (module, text) in &texts {
            for (_, mut path) in imports(text, module, false) {
                while let Some(at) = (1..=path.len()).find(|&at| given.contains_key(&path[..at])) {
                    let behind = path.split_off(at);
                    path = [given[&path].clone(), behind].concat();
                }
                let same = module.iter().zip(&path).take_while(|(a, b)| a == b).count();
                let (Some(own), Some(other)) = (module.get(same), path.get(same)) else {
                    continue;
                };
                if same > 0 && known.contains(&path[..=same]) {
                    let folder = found.0.entry(module[..same].join("/")).or_default();
                    folder.entry(own.clone()).or_default().insert(other.clone());
                }
            }
        }
        found
    }

    /// Each folder's circles: those that reach each other.
    fn circles(&self) -> Vec<(String, Vec<String>)> {
        let mut circles = Vec::new();
        for (folder, imports) in &self.0 {
            let reached = |from: &String| {
                let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
                while let Some(at) = open.pop() {
                    let next = imports.get(at).into_iter().flatten();
                    open.extend(next.filter(|next| seen.insert((*next).clone())));
                }
                seen
            };
            let reached: BTreeMap<&String, BTreeSet<String>> =
                imports.keys().map(|name| (name, reached(name))).collect();
            let mut told: BTreeSet<&String> = BTreeSet::new();
            for (name, others) in &reached {
                let back = |other: &&String| reached.get(other).is_some_and(|o| o.contains(*name));
                let circle: Vec<&String> = others.iter().filter(back).collect();
                if circle.len() > 1 && told.insert(circle[0]) {
                    circles.push((folder.clone(), circle.into_iter().cloned().collect()));
                }
            }
        }
        circles
    }
}

/// A file without its comments and its own tests.
fn product_code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the code of `module` imports or names of this crate: the name it gets here, and its path from the top. With
/// `given`, only what is exported.
fn imports(text: &str, module: &[String], given: bool) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for part in text.split_inclusive(';') {
        // An import, or any other code in which a path may stand.
        let import = part.trim().strip_suffix(';').and_then(|part| {
            let (before, tree) = part.rsplit_once("use ")?;
            let is_statement = before.is_empty() || before.ends_with([' ', '\n']);
            is_statement.then_some((before.lines().last().unwrap_or_default(), tree))
        });
        match import {
            Some((before, tree)) if !given || before.trim_start().starts_with("pub") => {
                spread(tree, &[], &mut found);
            }
            None if !given => {
                let code = part.replace(|c: char| !(c.is_alphanumeric() || "_:".contains(c)), " ");
                for word in code.split_whitespace() {
                    if word.starts_with("crate::") || word.starts_with("super::") {
                        spread(word, &[], &mut found);
                    }
                }
            }
            _ => {}
        }
    }
    let absolute = |(name, path): (String, Vec<String>)| {
        let above = path.iter().take_while(|part| *part == "super").count();
        let base = match path.first()?.as_str() {
            "crate" => return Some((name, path[1..].to_vec())),
            "super" => &module[..module.len().checked_sub(above)?],
            "self" => return Some((name, [module, &path[1..]].concat())),
            _ if given => return Some((name, [module, &path[..]].concat())),
            _ => return None,
        };
        Some((name, [base, &path[above..]].concat()))
    };
    let found = found.into_iter().filter_map(absolute);
    found.filter(|(_, path)| !path.is_empty()).collect()
}

/// The paths of `a::{b, c::d as e}`, each with the name that it gets.
fn spread(tree: &str, before: &[String], into: &mut Vec<(String, Vec<String>)>) {
    let mut depth = 0;
    let outside = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    let parts: Vec<&str> = tree.split(outside).map(str::trim).collect();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        let (path, inner) = match part.split_once('{') {
            Some((path, inner)) => (path, inner.rsplit_once('}').map(|(inner, _)| inner)),
            None => (part, None),
        };
        let (path, name) = path.split_once(" as ").unwrap_or((path, ""));
        let parts = path
            .split("::")
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let path: Vec<String> = before
            .iter()
            .cloned()
            .chain(parts.map(str::to_owned))
            .collect();
        match (inner, path.last()) {
            (Some(inner), _) => spread(inner, &path, into),
            (None, Some(last)) => {
                let name = if name.is_empty() { last } else { name };
                into.push((name.trim().to_owned(), path));
            }
            (None, None) => {}
        }
    }
}

/// What a machine lacks is told of by `needs`, which CI turns into a failure where it is there.
#[test]
fn no_test_skips_by_itself() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(&root.join(folder), &mut files);
    }
    let mut wrong = Vec::new();
    for file in &files {
        if file.ends_with("needs.rs") || file.ends_with("layers.rs") {
            continue;
        }
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let by_itself = |line: &&str| line.contains("../shared") || line.contains("\"skipped: ");
        wrong.extend(
            lines
                .filter(by_itself)
                .map(|line| format!("{}: {}", file.display(), line.trim())),
        );
    }
    assert!(files.len() > 100, "{} files", files.len());
    assert!(wrong.is_empty(), "use `needs`:\n{}", wrong.join("\n"));
}
