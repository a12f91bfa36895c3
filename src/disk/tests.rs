use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::read::read;
use super::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn files_are_replaced_whole_and_together() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("a"), b"1").unwrap();
    write(&at("a"), b"2").unwrap();
    assert_eq!(fs::read(at("a")).unwrap(), b"2");
    // One that cannot be written keeps the others as they were.
    let files = [(at("a"), "3"), (at("none/b"), "3")];
    let error = write_all(&files).unwrap_err();
    assert!(error.to_string().starts_with("cannot write `"), "{error}");
    assert!(error.path.ends_with("none/b"));
    assert_eq!(fs::read(at("a")).unwrap(), b"2");
    assert_eq!(names(folder.path()), ["a"]);

    write_new(&at("b"), b"new").unwrap();
    let error = write_new(&at("b"), b"newer").unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(at("b")).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["a", "b"]);
}

#[test]
fn a_folder_is_there_with_all_that_is_in_it_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("deep/model");
    let failed = write_folder(&target, |part| {
        fs::write(part.join("first"), "1").unwrap();
        Err(WriteError {
            path: part.join("second"),
            source: ErrorKind::StorageFull.into(),
        })
    });
    assert!(failed.unwrap_err().to_string().contains("free some space"));
    assert!(names(&folder.path().join("deep")).is_empty());
    let fill = |part: &Path| {
        fs::create_dir(part.join("sub")).unwrap();
        fs::write(part.join("sub/first"), "1").unwrap();
        Ok::<_, WriteError>(())
    };
    write_folder(&target, fill).unwrap();
    assert_eq!(fs::read(target.join("sub/first")).unwrap(), b"1");
    // What is there is not replaced.
    write_folder(&target, fill).unwrap_err();
    assert_eq!(names(&folder.path().join("deep")), ["model"]);
}

#[cfg(unix)]
#[test]
fn what_a_kill_left_goes_and_what_another_writes_stays() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at(".sert-run-AbCd12.part"), "half").unwrap();
    fs::create_dir(at(".sert-run-AbCd13.part")).unwrap();
    fs::write(at(".sert-run-AbCd13.part/file"), "half").unwrap();
    fs::write(at(".sert-run-notes.part"), "somebody's own").unwrap();
    let written = fs::File::create(at(".sert-run-AbCd14.part")).unwrap();
    written.lock().unwrap();
    write(&at("out"), b"").unwrap();
    let left = names(folder.path());
    assert_eq!(
        left,
        [".sert-run-AbCd14.part", ".sert-run-notes.part", "out"]
    );
}

#[cfg(unix)]
#[test]
fn links_permissions_and_devices_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o777;
    write(&at("usual"), b"").unwrap();
    fs::write(at("as usual"), "").unwrap();
    assert_eq!(mode("usual"), mode("as usual"));

    fs::create_dir(at("there")).unwrap();
    symlink("there/file", at("link")).unwrap();
    symlink("link", at("link of link")).unwrap();
    write(&at("link of link"), b"1").unwrap();
    fs::set_permissions(at("there/file"), fs::Permissions::from_mode(0o640)).unwrap();
    write(&at("link of link"), b"2").unwrap();
    assert_eq!(fs::read(at("there/file")).unwrap(), b"2");
    assert_eq!(mode("there/file"), 0o640);
    assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
    symlink("circle", at("circle")).unwrap();
    write(&at("circle"), b"").unwrap_err();

    write(Path::new("/dev/null"), b"gone").unwrap();
    assert!(is_stream(Path::new("/dev/stdout")));
    assert!(!is_stream(&at("link")));
    if Path::new("/dev/full").exists() {
        let error = write(Path::new("/dev/full"), b"too much").unwrap_err();
        assert!(
            error.to_string().contains("hint: free some space"),
            "{error}"
        );
    }
}

#[test]
fn only_files_are_read_and_small_ones_are_small() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(at("file"), "text").unwrap();
    assert_eq!(read(&at("file")).unwrap(), b"text");
    assert_eq!(read_small(&at("file")).unwrap(), b"text");
    assert!(exists(&at("file")).unwrap());
    assert!(!exists(&at("none")).unwrap());
    assert!(!exists(&at("file/none")).unwrap());
    let told = |error: std::io::Error| error.to_string();
    assert!(told(exists(folder.path()).unwrap_err()).contains("a folder"));
    let huge = fs::File::create(at("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    assert!(told(read_small(&at("huge")).unwrap_err()).contains("1099511627776 bytes, more than"));
    assert_eq!(
        read(&at("huge")).unwrap_err().kind(),
        ErrorKind::OutOfMemory
    );
    #[cfg(unix)]
    {
        let pipe = at("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for error in [
            open(&pipe).map(drop),
            read(&pipe).map(drop),
            exists(&pipe).map(drop),
        ] {
            assert!(told(error.unwrap_err()).contains("a pipe or a device"));
        }
    }
}
