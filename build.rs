//! What the program was built from, for `sert-run --version`: the target, and the commit where that can be known.
//!
//! A crate from a registry has its commit in a file; a checkout is asked for it in release builds alone, since a build that knows its
//! commit is made again after each. `SERT_COMMIT` says it where neither is so, for example to those who make packages.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SERT_COMMIT");
    let var = |name| std::env::var(name).unwrap_or_default();
    println!("cargo::rustc-env=SERT_TARGET={}", var("TARGET"));
    let release = var("PROFILE") == "release";
    let said = Some(var("SERT_COMMIT")).filter(|commit| !commit.is_empty());
    let of_checkout = || release.then(of_checkout).flatten();
    let commit = said.or_else(of_crate).or_else(of_checkout);
    println!(
        "cargo::rustc-env=SERT_COMMIT={}",
        commit.unwrap_or_default()
    );
}

/// What cargo wrote into the crate when it was published.
fn of_crate() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\": \"")?;
    let (commit, rest) = rest.split_once('"')?;
    let modified = rest.contains("\"dirty\": true");
    Some(format!(
        "{}{}",
        commit.get(..12)?,
        if modified { ", modified" } else { "" }
    ))
}

/// What git says of a checkout of this crate; a repository that the crate merely lies in is another.
fn of_checkout() -> Option<String> {
    if !Path::new(".git").exists() {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
    };
    // What is added to with each commit; and what is compiled, for whether that was modified.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    for path in [
        log.as_str(),
        "src",
        "templates",
        "experiments/base",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        // A file that is not there would have the script run each time.
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&[
        "describe",
        "--always",
        "--exclude=*",
        "--abbrev=12",
        "--dirty=, modified",
    ])
}
