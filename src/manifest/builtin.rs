//! Bases that are part of the program, so that `extends = "builtin:arms"` works wherever it is installed. They are the files
//! of experiments/base.

/// What `extends` begins with where it names a builtin.
pub const BUILTIN: &str = "builtin:";

/// A base that is part of the program.
#[derive(Debug)]
pub struct Builtin {
    /// Its name, behind [`BUILTIN`]; its file in experiments/base is `NAME.toml`.
    pub name: &'static str,
    /// What it has, on one line.
    pub doc: &'static str,
    /// The manifest.
    pub text: &'static str,
}

/// All of them.
pub const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "arms",
        doc: "the paper's arms: Finetune, RD, SERT, SERT+RD; needs data, a student and a teacher",
        text: include_str!("../../experiments/base/arms.toml"),
    },
    Builtin {
        name: "arms-without-teacher",
        doc: "Finetune and SERT; needs data and a student",
        text: include_str!("../../experiments/base/arms-without-teacher.toml"),
    },
    Builtin {
        name: "methods",
        doc: "data, student, and the student before it is trained: what experiments/methods share",
        text: include_str!("../../experiments/base/methods.toml"),
    },
    Builtin {
        name: "microworld",
        doc: "the arms in a small generated world with an exact judge; needs nothing else",
        text: include_str!("../../experiments/base/microworld.toml"),
    },
];

/// The builtin of that name, without [`BUILTIN`].
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_experiments_base_is_a_builtin() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/base");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        let mut builtins: Vec<String> = BUILTINS
            .iter()
            .map(|builtin| format!("{}.toml", builtin.name))
            .collect();
        builtins.sort_unstable();
        assert_eq!(names, builtins);
    }
}
