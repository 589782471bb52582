#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::symlink;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for file in files {
            let path = folder.0.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.list_by(path, &Rights::everywhere())
    }

    fn list_by(&self, path: &str, rights: &Rights) -> Result<Vec<String>> {
        let root = self.0.path();
        let files = list(&Location::local(root.join(path), rights)?, &mut || true)?;
        Ok(files.iter().map(|file| file.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned()).collect())
    }
}

#[test]
fn patterns_match_as_in_a_shell() {
    let f = Folder::with(&["a.parquet", "b.parquet", "c.txt", "d/a.parquet", "d/e/a.parquet", "x[1].parquet"]);
    assert_eq!(f.list("a.parquet").unwrap(), ["a.parquet"]);
    assert_eq!(f.list("x[1].parquet").unwrap(), ["x[1].parquet"]);
    assert_eq!(f.list("").unwrap(), ["a.parquet", "b.parquet", "x[1].parquet"]);
    assert_eq!(f.list("[ab].*").unwrap(), ["a.parquet", "b.parquet"]);
    assert_eq!(f.list("?.txt").unwrap(), ["c.txt"]);
    assert_eq!(f.list("*/a.parquet").unwrap(), ["d/a.parquet"]);
    assert_eq!(f.list("d/*/*").unwrap(), ["d/e/a.parquet"]);
    assert_eq!(f.list("**/a.parquet").unwrap(), ["a.parquet", "d/a.parquet", "d/e/a.parquet"]);
    assert_eq!(f.list("d/**").unwrap(), ["d/a.parquet", "d/e/a.parquet"]);
    assert!(matches!(f.list("*.csv"), Err(Error::NoFile { .. })));
    assert!(matches!(f.list("no.parquet"), Err(Error::MissingFile { .. })));
    assert!(matches!(f.list("a**/x"), Err(Error::BadValue { .. })));
    assert!(matches!(Location::local("a.parquet", &Rights::everywhere()), Err(Error::RelativePath { .. })));
}

#[test]
fn hidden_names_are_matched_only_by_name() {
    let f = Folder::with(&["a.parquet", ".b.parquet", "_c.parquet", "_d/a.parquet", ".e/a.parquet"]);
    assert_eq!(f.list("").unwrap(), ["a.parquet"]);
    assert_eq!(f.list("*.parquet").unwrap(), ["a.parquet"]);
    assert_eq!(f.list("**/a.parquet").unwrap(), ["a.parquet"]);
    assert_eq!(f.list("_*.parquet").unwrap(), ["_c.parquet"]);
    assert_eq!(f.list(".e/*").unwrap(), [".e/a.parquet"]);
}

/// `glob` would follow each of the two links within each of them, again and again.
#[test]
fn links_in_circles_are_followed_once() {
    let f = Folder::with(&["d/a.parquet"]);
    for name in ["b", "c", "d/up", "d/again"] {
        symlink(if name == "d/up" { ".." } else { "." }, f.0.path().join(name)).unwrap();
    }
    assert_eq!(f.list("**/a.parquet").unwrap(), ["d/a.parquet"]);
    assert!(matches!(f.list("**/x.parquet"), Err(Error::NoFile { .. })));
}

#[test]
fn what_is_no_file_and_no_directory_is_named_and_not_opened() {
    let f = Folder::with(&["d/a.parquet"]);
    fs::create_dir(f.0.path().join("d/b.parquet")).unwrap();
    assert_eq!(f.list("d").unwrap(), ["d/a.parquet"]);
    let pipe = f.0.path().join("d/x.parquet");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe, f.0.path().join("d")] {
        let location = Location::local(path, &Rights::everywhere()).unwrap();
        let found = crate::source::files::find(&location, &mut || true);
        assert_eq!(found.unwrap_err().sqlstate(), "42809");
    }
}

#[test]
fn a_search_can_be_ended_at_every_entry() {
    let f = Folder::with(&["a.parquet", "b.parquet", "c.parquet", "d.parquet"]);
    for pattern in ["", "*.parquet", "**/*"] {
        let location = Location::local(f.0.path().join(pattern), &Rights::everywhere()).unwrap();
        let mut left = 3;
        let mut go_on = || {
            left -= 1;
            left > 0
        };
        let outcome = list(&location, &mut go_on);
        assert!(matches!(outcome, Err(Error::Canceled)), "{pattern}");
    }
}

#[test]
fn a_link_out_of_the_scope_does_not_tell_what_is_behind_it() {
    let f = Folder::with(&["in/a.parquet", "out/secret.parquet"]);
    symlink(f.0.path().join("out"), f.0.path().join("in/there")).unwrap();
    symlink(f.0.path().join("nothing"), f.0.path().join("in/missing")).unwrap();
    let rights = Rights::beneath(vec![f.0.path().join("in")]);
    let words =
        |path: &str| f.list_by(path, &rights).unwrap_err().to_string().replace("there", "*").replace("missing", "*");
    for (there, missing) in [
        ("in/there/*.parquet", "in/missing/*.parquet"),
        ("in/there/secret.parquet", "in/missing/secret.parquet"),
        ("in/there", "in/missing"),
    ] {
        assert_eq!(words(there), words(missing), "{there}");
        assert!(!words(there).contains("No such"), "{there}");
    }
    assert_eq!(f.list_by("in/*.parquet", &rights).unwrap(), ["in/a.parquet"]);
}
