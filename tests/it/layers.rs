//! A module imports only from modules above it in `src/lib.rs`; and a test is skipped in one place.

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
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(order.len() > 10, "src/lib.rs lists its modules: {order:?}");
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
