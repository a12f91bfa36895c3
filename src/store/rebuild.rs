//! Bringing a store in order from what lies in its folder: what is in the way is set aside, and the index made anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::beneath;
use crate::key::Digest;

use super::error::Doing;
use super::own::{self, FOREIGN, Survey, aside_name};
use super::site::Site;
use super::{IN_USE_LOCK, Store, StoreError, durable, index, lock_file};

/// What [`Store::rebuild`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RebuildReport {
    /// What was in the way, by its old path and its new one. Nothing in it was touched.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    /// Files that had been set aside as damaged or lost, and that turn out to be sound and whole.
    pub taken_back: u64,
    /// Rows that the index knows now.
    pub rows: u64,
    /// Results that it knows now.
    pub results: u64,
}

impl Store {
    /// Brings the store at `root` in order, and opens it: what stands where a file or a folder of the store would is
    /// renamed to `*.foreign`, the index is made anew from the stored files, and what was set aside is taken back where it
    /// is sound.
    ///
    /// # Errors
    /// There is no store, another process has it open, or something may not be written.
    pub fn rebuild(root: &Path) -> Result<(Store, RebuildReport), StoreError> {
        let mut report = RebuildReport::default();
        if !fs::metadata(root).is_ok_and(|meta| meta.is_dir()) {
            return Err(StoreError::RootIsFile(root.to_owned()));
        }
        // From the top down: only then can what lies below be seen.
        while let Some(path) = next_in_the_way(root)? {
            let name = durable::free_name(&path, FOREIGN);
            fs::rename(&path, &name).doing("rename", &path)?;
            report.set_aside.push((path, name));
        }
        {
            // Let go of at the end of this block: `Store::open` locks another handle of the same file.
            let in_use = lock_file(root, IN_USE_LOCK)?;
            if in_use.try_lock().is_err() {
                return Err(StoreError::InUse(root.to_owned()));
            }
            index::remove(&Site::of(root).index(root))?;
        }
        take_back(root, &mut report, &|path| is_sound_object(root, path))?;
        let store = Store::open(root)?;
        store.may_write()?;
        // A result is whole once its objects are back.
        take_back(root, &mut report, &|path| store.is_whole_result(path))?;
        store.recover()?;
        let stats = store.stats()?;
        report.results = stats.results;
        report.rows = stats.buckets.values().map(|bucket| bucket.rows).sum();
        Ok((store, report))
    }

    fn is_whole_result(&self, path: &Path) -> bool {
        let whole = |result| Some(self.missing_outputs(&result).ok()?.is_empty());
        self.read_result(path).and_then(whole).unwrap_or(false)
    }
}

fn next_in_the_way(root: &Path) -> Result<Option<PathBuf>, StoreError> {
    let mut strangers = Survey::of(root)?.strangers.into_iter();
    Ok(strangers.find(|each| each.in_the_way).map(|each| each.path))
}

/// Gives files that were set aside their names again, where they are `sound` and nothing has the name since.
fn take_back(
    root: &Path,
    report: &mut RebuildReport,
    sound: &dyn Fn(&Path) -> bool,
) -> Result<(), StoreError> {
    for path in Survey::of(root)?.set_aside {
        let Some(name) = first_name(&path) else {
            continue;
        };
        let free = beneath::kind(root, &name).doing("read", &name)?.is_none();
        if free && sound(&path) {
            fs::rename(&path, &name).doing("rename", &path)?;
            report.taken_back += 1;
        }
    }
    Ok(())
}

/// What a file was called before it was set aside.
fn first_name(path: &Path) -> Option<PathBuf> {
    let name = own::name_of(path);
    let stem = aside_name(name)?;
    let end = if name.contains(".json.") { ".json" } else { "" };
    Some(path.with_file_name(format!("{stem}{end}")))
}

fn is_sound_object(root: &Path, path: &Path) -> bool {
    let shard = path.parent().map_or("", own::name_of);
    let name = aside_name(own::name_of(path)).unwrap_or_default();
    let Ok(expected) = format!("{shard}{name}").parse::<Digest>() else {
        return false;
    };
    let found = beneath::open(root, path).and_then(|mut file| Digest::of_reader(&mut file));
    found.is_ok_and(|found| found == expected) && path.starts_with(root.join("objects-v1"))
}
