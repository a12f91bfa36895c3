//! What `--version` says of the program: version, commit, features, target.

use std::sync::LazyLock;

/// The features beyond the default that this build has.
const FEATURES: [(&str, bool); 3] = [
    ("wgpu", cfg!(feature = "wgpu")),
    ("cuda", cfg!(feature = "cuda")),
    ("tch", cfg!(feature = "tch")),
];

static LONG: LazyLock<String> = LazyLock::new(|| {
    let features = FEATURES.iter().filter(|(_, is)| *is);
    let features: Vec<&str> = features.map(|(name, _)| *name).collect();
    let or_none = |text: &str, none: &str| {
        if text.is_empty() {
            none.to_owned()
        } else {
            text.to_owned()
        }
    };
    format!(
        "{}\ncommit:   {}\nfeatures: {}\ntarget:   {}",
        env!("CARGO_PKG_VERSION"),
        or_none(env!("SERT_COMMIT"), "not known"),
        or_none(&features.join(", "), "none (CPU alone)"),
        env!("SERT_TARGET"),
    )
});

/// Lines after the program's name.
pub(super) fn long() -> &'static str {
    &LONG
}
