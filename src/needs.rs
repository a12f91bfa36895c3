//! For tests: what they need and a machine may lack. This file is the one place where a test is skipped.
//!
//! A test that is skipped passes, and libtest shows nothing of it. So each skip is said past libtest's capture, in the
//! file that `SERT_SKIPPED` names if it names one, and is a failure where `SERT_REQUIRE` lists what is lacking:
//! `SERT_REQUIRE=shared,browser cargo test`.

use std::io::Write;
use std::path::{Path, PathBuf};

/// What a machine may lack, by the word for `SERT_REQUIRE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// The folder `../shared`: real data, a small real student.
    Shared,
    /// Chromium and chromedriver.
    #[allow(dead_code, reason = "the library's own tests look at no page")]
    Browser,
    /// A LaTeX.
    #[allow(dead_code, reason = "the library's own tests set no page")]
    Latex,
    /// `setpriv`, by which root becomes nobody.
    Setpriv,
    /// A folder of real modern students, `SERT_MODELS`.
    Models,
    /// llama.cpp's server and a student as GGUF: `SERT_LLAMA_SERVER`, `SERT_GGUF`.
    #[allow(dead_code, reason = "the library's own tests start no server")]
    LlamaServer,
    /// `script`, which runs a program on a terminal.
    #[allow(dead_code, reason = "the library's own tests run no program")]
    Terminal,
}

impl Need {
    fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Browser => "browser",
            Self::Latex => "latex",
            Self::Setpriv => "setpriv",
            Self::Models => "models",
            Self::LlamaServer => "llama-server",
            Self::Terminal => "terminal",
        }
    }
}

/// `../shared/NAME`; `None`, and the test is to end, where it is not here.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let path = shared.join(name);
    let here = path.exists();
    if !here {
        skip(Need::Shared, &format!("../shared/{name} is not here"));
    }
    here.then_some(path)
}

/// `$SERT_MODELS/NAME`, a real modern student in Hub format; `None`, and the test is to end, where it is not here.
pub(crate) fn modern(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SERT_MODELS").map(PathBuf::from);
    let path = folder.map(|folder| folder.join(name));
    let path = path.filter(|path| path.join("config.json").exists());
    if path.is_none() {
        skip(Need::Models, &format!("SERT_MODELS has no {name}"));
    }
    path
}

/// llama.cpp's server and a student that it reads, as `SERT_LLAMA_SERVER` and `SERT_GGUF` name them; `None`, and the test is to
/// end, where they are not here.
#[allow(dead_code, reason = "the library's own tests start no server")]
pub(crate) fn llama_server() -> Option<(PathBuf, PathBuf)> {
    let named = |variable: &str| {
        let path = std::env::var_os(variable).map(PathBuf::from);
        path.filter(|path| path.is_file())
    };
    let found = named("SERT_LLAMA_SERVER").zip(named("SERT_GGUF"));
    if found.is_none() {
        let why = "SERT_LLAMA_SERVER and SERT_GGUF name no server and no student";
        skip(Need::LlamaServer, why);
    }
    found
}

/// Says that the test is skipped, and why.
///
/// # Panics
/// `SERT_REQUIRE` lists what it needs.
pub(crate) fn skip(need: Need, why: &str) {
    let required = std::env::var("SERT_REQUIRE").unwrap_or_default();
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = told(need, &required, test, why).unwrap_or_else(|failure| panic!("{failure}"));
    // `eprintln!` would be captured.
    let _ = writeln!(std::io::stderr(), "{line}");
    if let Some(file) = std::env::var_os("SERT_SKIPPED") {
        let mut options = std::fs::File::options();
        let file = options.create(true).append(true).open(file);
        file.and_then(|mut file| writeln!(file, "{line}")).unwrap();
    }
}

/// What is said of the skipped test, or the failure that it is.
fn told(need: Need, required: &str, test: &str, why: &str) -> Result<String, String> {
    if required.split(',').any(|word| word.trim() == need.word()) {
        let word = need.word();
        return Err(format!("{why}, and SERT_REQUIRE lists `{word}`"));
    }
    Ok(format!("skipped: {test}: {why}"))
}

#[test]
fn what_is_required_is_not_skipped() {
    let told = |required| told(Need::Shared, required, "t", "it is not here");
    assert_eq!(told(""), Ok("skipped: t: it is not here".to_owned()));
    assert_eq!(told("browser,sharedx"), told(""));
    for required in ["shared", "browser, shared"] {
        let failure = told(required).unwrap_err();
        assert_eq!(failure, "it is not here, and SERT_REQUIRE lists `shared`");
    }
}
