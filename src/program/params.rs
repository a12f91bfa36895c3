//! What a manifest says of a program.

use std::collections::BTreeSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program of the user's, and its limits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProgramParams {
    /// The program: a file, from the manifest's folder. Its content is in the key.
    pub program: String,
    /// What runs it, for example `["python3"]`, found by `PATH`. Default none: the file itself is executed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interpreter: Vec<String>,
    /// Its arguments. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Further files that it reads, from the manifest's folder; it finds them by their names alone in the folder that it runs in.
    /// Their content is in the key. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Seconds that it may go on without writing anything; then it is ended. Default 60 (ours).
    #[schemars(range(min = 1, max = 86_400))]
    pub time_limit_s: u32,
    /// Memory that each of its processes may take (address space), in MiB. Default 4096 (ours).
    #[schemars(range(min = 16))]
    pub memory_limit_mib: u32,
    /// Whether it may use the network. Default false: on Linux it runs in a network of its own, in which nobody else is;
    /// elsewhere it is refused.
    pub network: bool,
}

impl Default for ProgramParams {
    fn default() -> Self {
        Self {
            program: String::new(),
            interpreter: Vec::new(),
            args: Vec::new(),
            files: Vec::new(),
            time_limit_s: 60,
            memory_limit_mib: 4096,
            network: false,
        }
    }
}

/// A field, what is wrong with it, and what to do.
pub(crate) type FieldError = (String, String, &'static str);

impl ProgramParams {
    /// What the schema cannot check; `prefix` stands before each field's name.
    pub(crate) fn param_errors(&self, prefix: &str) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.program.is_empty() {
            errors.push((
                format!("{prefix}program"),
                "no program is named".to_owned(),
                "for example `program = \"check.py\"` and `interpreter = [\"python3\"]`",
            ));
        }
        let mut names = BTreeSet::new();
        for file in std::iter::once(&self.program).chain(&self.files) {
            let name = Path::new(file).file_name();
            if !names.insert(name) || (name.is_none() && !file.is_empty()) {
                errors.push((
                    format!("{prefix}files"),
                    format!("`{file}` has no name of its own: they all lie in one folder"),
                    "name each file once, and give files of one name other names",
                ));
            }
        }
        if self.interpreter.first().is_some_and(String::is_empty) {
            errors.push((
                format!("{prefix}interpreter"),
                "its first word is empty".to_owned(),
                "for example `interpreter = [\"python3\"]`",
            ));
        }
        errors
    }

    /// The command, in words.
    pub fn words(&self) -> String {
        let words = self.interpreter.iter().chain([&self.program]);
        let words: Vec<&str> = words.chain(&self.args).map(String::as_str).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_names_of_their_own() {
        let fields = |text: &str| {
            let params: ProgramParams = toml::from_str(text).unwrap();
            let errors = params.param_errors("exec.").into_iter();
            errors.map(|(field, ..)| field).collect::<Vec<_>>()
        };
        assert!(fields("program = 'a/check.py'\nfiles = ['lib.py']").is_empty());
        assert_eq!(fields(""), ["exec.program"]);
        assert_eq!(
            fields("program = 'check.py'\nfiles = ['b/check.py']"),
            ["exec.files"]
        );
        assert_eq!(
            fields("program = 'check.py'\nfiles = ['..']"),
            ["exec.files"]
        );
        assert_eq!(
            fields("program = 'a'\ninterpreter = ['']"),
            ["exec.interpreter"]
        );
    }
}
