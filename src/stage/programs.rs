//! The user's programs, as stages run them: by permission, their files in the key.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Context, OutsideFile, ParamError, StageError};
use crate::key::Digest;
use crate::program::{Program, ProgramParams};

/// The role of the program's file in the key.
const PROGRAM: &str = "program";

/// A program that is ready to run, and what it is.
pub(crate) struct Prepared {
    pub(crate) program: Program,
    /// The digests of its files, in their order, the program first.
    pub(crate) digests: Vec<Digest>,
    /// Where it and its runs are; gone with this.
    _folder: TempDir,
}

impl Context<'_> {
    /// The files of a program, by the role under which their digests enter the key.
    pub(crate) fn program_files(&self, params: &ProgramParams) -> Vec<OutsideFile> {
        let file = |role: String, path: &str| OutsideFile {
            role,
            path: self.resolve(path),
        };
        let program = file(PROGRAM.to_owned(), &params.program);
        let more = params.files.iter();
        let more = more.map(|name| file(format!("{PROGRAM} file {name}"), name));
        std::iter::once(program).chain(more).collect()
    }

    /// What is wrong with the files of a program; `prefix` stands before the names of the fields.
    pub(crate) fn missing_programs(&self, prefix: &str, params: &ProgramParams) -> Vec<ParamError> {
        let program = self.missing_file(&format!("{prefix}program"), &params.program);
        let field = format!("{prefix}files");
        let more = params.files.iter();
        let more = more.filter_map(|name| self.missing_file(&field, name));
        program.into_iter().chain(more).collect()
    }

    /// Nothing, where the user has allowed that the manifest's programs are run.
    ///
    /// # Errors
    /// It is not allowed.
    pub(crate) fn allowed_program(&self, params: &ProgramParams) -> Result<(), StageError> {
        if self.options.allow_programs {
            return Ok(());
        }
        Err(StageError::Invalid(format!(
            "this stage runs a program, `{}`, which you have not allowed\nhint: if you trust it, add --allow-programs",
            params.words()
        )))
    }

    /// The program of `params`, ready to run.
    ///
    /// # Errors
    /// The user has not allowed that, or a file cannot be read.
    pub(crate) fn prepare_program(&self, params: &ProgramParams) -> Result<Prepared, StageError> {
        self.allowed_program(params)?;
        let files = self.program_files(params);
        let paths: Vec<PathBuf> = files.into_iter().map(|file| file.path).collect();
        let folder = self.store.scratch()?;
        let program = Program::new(params, &paths, folder.path())?;
        let mut digests = Vec::new();
        for (copy, path) in program.copies().zip(paths) {
            let io = |source| StageError::Io {
                path: copy.clone(),
                source,
            };
            let mut file = std::fs::File::open(&copy).map_err(io)?;
            let digest = Digest::of_reader(&mut file).map_err(io)?;
            self.saw(path, digest);
            digests.push(digest);
        }
        Ok(Prepared {
            program,
            digests,
            _folder: folder,
        })
    }
}
