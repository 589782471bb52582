//! Promises of this crate.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::{Error, Scope, open};

struct Folders {
    _root: tempfile::TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

fn folders() -> Folders {
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("in"), root.path().join("out"));
    fs::create_dir_all(&inside).unwrap();
    fs::create_dir_all(&outside).unwrap();
    Folders { inside, outside, _root: root }
}

#[test]
fn pipes_devices_and_directories_are_refused_at_once() {
    let f = folders();
    let pipe = f.inside.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    symlink("/dev/zero", f.inside.join("zero")).unwrap();
    for path in [pipe, f.inside.join("zero"), f.inside.clone()] {
        assert!(matches!(open(&path, Scope::Anywhere), Err(Error::NotRegular)), "{path:?}");
    }
}

#[test]
fn links_out_of_the_scope_are_refused_and_do_not_tell_what_is_there() {
    let f = folders();
    fs::write(f.outside.join("secret"), "x").unwrap();
    symlink(f.outside.join("secret"), f.inside.join("there")).unwrap();
    symlink(f.outside.join("nothing"), f.inside.join("missing")).unwrap();
    symlink("/dev/zero", f.inside.join("device")).unwrap();
    let beneath = [f.inside.clone()];
    for name in ["there", "missing", "device", "../out/secret", "../out/nothing"] {
        let outcome = open(&f.inside.join(name), Scope::Beneath(&beneath));
        assert!(matches!(outcome, Err(Error::Outside)), "{name}: {outcome:?}");
    }
    assert!(matches!(open(&f.inside.join("no"), Scope::Beneath(&beneath)), Err(Error::Missing)));
}

#[test]
fn links_within_the_scope_are_followed() {
    let f = folders();
    fs::write(f.inside.join("a"), "abc").unwrap();
    symlink(f.inside.join("a"), f.inside.join("link")).unwrap();
    let file = open(&f.inside.join("link"), Scope::Beneath(std::slice::from_ref(&f.inside))).unwrap();
    assert_eq!(file.real_path().unwrap(), f.inside.join("a").canonicalize().unwrap());
    assert_eq!(file.read(3, || true).unwrap(), b"abc");
}

#[test]
fn a_replaced_file_is_read_as_it_was_opened() {
    let f = folders();
    let (path, new) = (f.inside.join("a"), f.inside.join("b"));
    fs::write(&path, "old").unwrap();
    let file = open(&path, Scope::Anywhere).unwrap();
    fs::write(&new, "newer").unwrap();
    fs::rename(&new, &path).unwrap();
    assert_eq!(file.read(10, || true).unwrap(), b"old");
    assert_ne!(open(&path, Scope::Anywhere).unwrap().identity(), file.identity());
}

#[test]
fn a_file_that_was_written_to_is_noticed() {
    let f = folders();
    let path = f.inside.join("a");
    fs::write(&path, "old").unwrap();
    let file = open(&path, Scope::Anywhere).unwrap();
    fs::write(&path, "ol").unwrap();
    assert!(matches!(file.read(10, || true), Err(Error::Changed)));
}

#[test]
fn reads_are_bounded_and_can_be_ended() {
    let f = folders();
    let path = f.inside.join("a");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let file = open(&path, Scope::Anywhere).unwrap();
    assert!(matches!(file.read(1 << 20, || true), Err(Error::TooLarge { .. })));
    fs::File::create(&path).unwrap().set_len(4 << 20).unwrap();
    let mut left = 2;
    let file = open(&path, Scope::Anywhere).unwrap();
    let outcome = file.read(1 << 30, || {
        left -= 1;
        left > 0
    });
    assert!(matches!(outcome, Err(Error::Interrupted)));
}
