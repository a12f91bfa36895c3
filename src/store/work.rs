//! Where stages work: the folders of those that are not finished, and files before they have their names.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Doing;
use super::own::{self, Survey};
use super::{Access, Store, StoreError, durable};
use crate::beneath::{self, Foreign, Kind};
use crate::key::StageKey;

impl Store {
    /// The folder where an unfinished stage keeps its checkpoints; made if needed.
    ///
    /// # Errors
    /// The folder cannot be made, or something in it is not the store's.
    pub fn work_dir(&self, key: &StageKey) -> Result<PathBuf, StoreError> {
        self.may_write()?;
        let folder = self.work_path(key);
        let root = self.work_root();
        durable::create_dir(root, &folder)?;
        // Whoever works there opens files by their names.
        for (path, kind) in beneath::list(root, &folder).doing("read the folder", &folder)? {
            if matches!(kind, Kind::Link | Kind::Other) && !own::is_out_of_the_way(&path) {
                return Err(Foreign::error(&path, kind)).doing("open", &path);
            }
        }
        Ok(folder)
    }

    /// Removes a stage's work folder, if there is one; where somebody else put something into it, only what is in it of
    /// the stage's.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn drop_work_dir(&self, key: &StageKey) -> Result<(), StoreError> {
        let folder = self.work_path(key);
        let listed = match beneath::list(self.work_root(), &folder) {
            Err(error) if Foreign::of(&error).is_some() => return Ok(()),
            listed => listed.doing("remove the folder", &folder)?,
        };
        for (path, kind) in listed {
            if kind == Kind::File && own::is_of_work(own::name_of(&path)) {
                durable::remove_file(&path)?;
            }
        }
        let _ = fs::remove_dir(&folder); // fails where something is left
        Ok(())
    }

    /// The file for what the servers say that a stage starts; its folder is made if needed. It outlasts the stage, until a
    /// collector takes both.
    ///
    /// # Errors
    /// The folder cannot be made, or something else is there.
    pub fn log_file(&self, key: &StageKey) -> Result<PathBuf, StoreError> {
        self.may_write()?;
        let folder = self.root.join(own::LOGS);
        durable::create_dir(&self.root, &folder)?;
        let path = folder.join(format!("{key}{}", own::LOG_END));
        match beneath::kind(&self.root, &path).doing("open", &path)? {
            Some(kind) if kind != Kind::File => {
                Err(Foreign::error(&path, kind)).doing("open", &path)
            }
            _ => Ok(path),
        }
    }

    /// The work folders that are there, by the keys of their stages.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn work_dirs(&self) -> Result<Vec<(StageKey, PathBuf)>, StoreError> {
        Ok(Survey::of(&self.root)?.work)
    }

    /// Takes a damaged file in a work folder out of use; it is renamed. In a store that may only be read it stays.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_aside(&self, path: &Path) -> Result<(), StoreError> {
        match self.access {
            Access::Write => durable::quarantine(path),
            Access::Read(_) => Ok(()),
        }
    }

    fn work_path(&self, key: &StageKey) -> PathBuf {
        self.work_root().join("work").join(key.to_string())
    }

    fn work_root(&self) -> &Path {
        self.work_root.as_deref().unwrap_or(&self.root)
    }

    /// Lets stages keep their checkpoints below `folder`, which outlasts this store and may be shared by machines: who goes
    /// on with one may be another.
    pub fn work_below(&mut self, folder: &Path) {
        self.work_root = Some(folder.to_owned());
    }

    /// A folder for a stage that writes files before it keeps them; gone when it is dropped.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch(&self) -> Result<tempfile::TempDir, StoreError> {
        self.may_write()?;
        let temp = self.temp_dir();
        let scratch = tempfile::Builder::new()
            .prefix(own::TEMP_PREFIX)
            .tempdir_in(&temp)
            .doing("create a folder in", &temp)?;
        beneath::share(scratch.path()); // so that others of a group may collect what a kill leaves
        Ok(scratch)
    }

    /// Where files are written before they get their name; on the same file system as the store.
    pub(super) fn temp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }
}
