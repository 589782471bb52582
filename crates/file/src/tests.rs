//! Promises of this crate.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::{Error, Kind, Scope, look, open, open_directory};

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

#[test]
fn a_place_stays_the_same_file_whatever_happens_to_its_name() {
    let f = folders();
    let (path, new) = (f.inside.join("a"), f.inside.join("b"));
    fs::write(&path, "old").unwrap();
    let place = look(&path, Scope::Anywhere).unwrap();
    fs::write(&new, "newer").unwrap();
    fs::rename(&new, &path).unwrap();
    let file = place.open().unwrap();
    assert!(file.identity().is_same(&place.identity()));
    assert_eq!(file.read(10, || true).unwrap(), b"old");
}

#[test]
fn ranges_end_at_the_size_that_the_file_had() {
    let f = folders();
    let path = f.inside.join("a");
    fs::write(&path, "0123456789").unwrap();
    let file = open(&path, Scope::Anywhere).unwrap();
    assert_eq!(file.read_range(2, 3, || true).unwrap(), b"234");
    for (start, length) in [(8, 3), (11, 0), (u64::MAX, 2), (0, u64::MAX)] {
        assert!(matches!(file.read_range(start, length, || true), Err(Error::Changed)), "{start} {length}");
    }
}

#[test]
fn directories_are_known_by_device_and_inode() {
    let f = folders();
    fs::write(f.inside.join("a"), "x").unwrap();
    fs::create_dir(f.inside.join("d")).unwrap();
    symlink(".", f.inside.join("again")).unwrap();
    symlink(&f.outside, f.inside.join("away")).unwrap();
    let beneath = [f.inside.clone()];
    let directory = open_directory(&f.inside, Scope::Beneath(&beneath)).unwrap();
    let mut seen = Vec::new();
    directory
        .entries(|name, kind| {
            seen.push((name.to_string_lossy().into_owned(), kind));
            Ok::<(), Error>(())
        })
        .unwrap();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "again", "away", "d"]);
    assert_eq!((seen[0].1, seen[1].1, seen[3].1), (Some(Kind::Regular), None, Some(Kind::Directory)));
    let again = open_directory(&f.inside.join("again"), Scope::Beneath(&beneath)).unwrap();
    assert_eq!(again.id(), directory.id());
    assert!(matches!(open_directory(&f.inside.join("away"), Scope::Beneath(&beneath)), Err(Error::Outside)));
    assert!(matches!(open_directory(&f.inside.join("a"), Scope::Anywhere), Err(Error::NotDirectory)));
}
