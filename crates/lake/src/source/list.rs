//! From a path to the files that it names: itself, the files of a directory, or the matches of a pattern.
//!
//! Patterns are those of the glob crate, walked here: level by level and not by recursion, each directory once below a `**`
//! whatever links lead to it, within limits, and with a look at the caller's wishes at every entry.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use lagoon_file::{Error as FileError, Kind};

use super::location::Location;
use super::store::{Rights, Store};
use crate::error::{Error, Result};

/// Directory entries that are looked at for one path, at most.
pub const MOST_ENTRIES: usize = 1_000_000;
/// Files that one path names, at most.
pub const MOST_FILES: usize = 100_000;
/// Directories below each other that a `**` follows.
pub const DEEPEST: usize = 64;

/// The files that a path names: the file itself, the `*.parquet` files of a directory, or the matches of a pattern (`*`, `?`,
/// `[...]`, `**`). Sorted by name. Names that begin with a dot or an underscore are hidden: of such files a directory has
/// none, and a pattern only those that it names that way. A pattern or directory without files is an error. `go_on` is asked
/// at every directory entry; false ends the search with [`Error::Canceled`].
pub fn list(location: &Location, go_on: &mut dyn FnMut() -> bool) -> Result<Vec<Location>> {
    let Store::Local(rights) = location.store();
    let (given, path) = (location.path(), location.to_string());
    let path = path.as_str();
    let mut search = Search { path, rights, go_on, entries: 0, files: Vec::new() };
    match rights.look(given) {
        Ok(place) if place.kind() == Kind::Directory => {
            let every = Part::pattern("*.parquet", path)?;
            search.matches(given, &every)?;
        }
        Ok(_) => return Ok(vec![location.clone()]),
        Err(FileError::Missing) if path.contains(['*', '?', '[']) => search.walk(given)?,
        Err(error) => return Err(Error::file("read", location, error)),
    }
    let mut files = search.files;
    files.sort();
    if files.is_empty() {
        return Err(Error::NoFile { path: path.to_owned() });
    }
    Ok(files.iter().map(|file| location.leads_to(file)).collect())
}

struct Search<'a> {
    path: &'a str,
    rights: &'a Rights,
    go_on: &'a mut dyn FnMut() -> bool,
    entries: usize,
    files: Vec<PathBuf>,
}

/// A level of a pattern.
enum Part {
    Literal(PathBuf),
    Pattern(Pattern, /* hidden names match */ bool),
    /// `**`
    Any,
}

impl Part {
    fn pattern(text: &str, path: &str) -> Result<Self> {
        let pattern = Pattern::new(text).map_err(|error| Error::BadValue {
            what: "path".to_owned(),
            message: format!("\"{path}\": {error}"),
            hint: None,
        })?;
        Ok(Self::Pattern(pattern, text.starts_with(['.', '_'])))
    }
}

/// A directory that is still to be looked at, the level of the pattern that applies there, and how deep below a `**` it is.
struct Todo(PathBuf, usize, usize);

impl Search<'_> {
    fn walk(&mut self, given: &Path) -> Result<()> {
        let mut parts = Vec::new();
        for part in given.components().filter(|part| !matches!(part, std::path::Component::RootDir)) {
            let text = part.as_os_str().to_string_lossy();
            parts.push(match text.as_ref() {
                "**" => Part::Any,
                text if text.contains(['*', '?', '[']) => Part::pattern(text, self.path)?,
                _ => Part::Literal(PathBuf::from(part.as_os_str())),
            });
        }
        let mut todo = vec![Todo(PathBuf::from("/"), 0, 0)];
        let mut visited = HashSet::new();
        while let Some(Todo(directory, level, depth)) = todo.pop() {
            let is_last = level + 1 == parts.len();
            match parts.get(level) {
                None => {}
                Some(Part::Literal(name)) if is_last => self.literal(directory.join(name))?,
                Some(Part::Literal(name)) => todo.push(Todo(directory.join(name), level + 1, depth)),
                Some(part @ Part::Pattern(..)) if is_last => self.matches(&directory, part)?,
                Some(part @ Part::Pattern(..)) => {
                    let found = self.directories(&directory, part)?;
                    todo.extend(found.into_iter().map(|found| Todo(found, level + 1, depth)));
                }
                Some(Part::Any) => {
                    let Some(id) = self.id(&directory)? else { continue };
                    if !visited.insert((id, level)) {
                        continue;
                    }
                    if depth >= DEEPEST {
                        return Err(self.too_many("directories below each other", DEEPEST));
                    }
                    let found = self.directories(&directory, &Part::Any)?;
                    todo.extend(found.into_iter().map(|found| Todo(found, level, depth + 1)));
                    if is_last {
                        self.matches(&directory, &Part::Any)?;
                    } else {
                        todo.push(Todo(directory, level + 1, depth));
                    }
                }
            }
        }
        Ok(())
    }

    /// A file that the pattern names outright.
    fn literal(&mut self, path: PathBuf) -> Result<()> {
        self.count()?;
        match self.rights.look(&path) {
            Ok(place) if place.kind() == Kind::Directory => Ok(()),
            Ok(_) => self.push(path),
            Err(error) => self.unless_gone(error),
        }
    }

    /// The files of a directory that match.
    fn matches(&mut self, directory: &Path, part: &Part) -> Result<()> {
        let found = self.entries(directory, part, |kind| kind != Some(Kind::Directory))?;
        for (path, kind) in found {
            // A link, or a file system that does not say: only a look tells a directory.
            if kind.is_none() && matches!(self.rights.look(&path), Ok(place) if place.kind() == Kind::Directory) {
                continue;
            }
            self.push(path)?;
        }
        Ok(())
    }

    /// What may be a directory and matches.
    fn directories(&mut self, directory: &Path, part: &Part) -> Result<Vec<PathBuf>> {
        let found = self.entries(directory, part, |kind| matches!(kind, None | Some(Kind::Directory)))?;
        Ok(found.into_iter().map(|(path, _)| path).collect())
    }

    fn entries(
        &mut self,
        directory: &Path,
        part: &Part,
        wanted: impl Fn(Option<Kind>) -> bool,
    ) -> Result<Vec<(PathBuf, Option<Kind>)>> {
        let opened = match self.rights.look(directory).and_then(lagoon_file::Place::directory) {
            Ok(opened) => opened,
            Err(error) => return self.unless_gone(error).map(|()| Vec::new()),
        };
        let mut found = Vec::new();
        let outcome = opened.entries(|name: &OsStr, kind| {
            if self.count().is_err() {
                return Err(FileError::Interrupted);
            }
            if wanted(kind) && is_match(part, name) {
                found.push((directory.join(name), kind));
            }
            Ok(())
        });
        match outcome {
            Ok(()) => Ok(found),
            Err(FileError::Interrupted) => Err(self.stopped()),
            Err(error) => Err(Error::file("read", &directory.display(), error)),
        }
    }

    fn id(&mut self, directory: &Path) -> Result<Option<(u64, u64)>> {
        match self.rights.look(directory).and_then(lagoon_file::Place::directory) {
            Ok(opened) => Ok(Some(opened.id())),
            Err(error) => self.unless_gone(error).map(|()| None),
        }
    }

    /// What a pattern leads to and is not there, or is no directory, is no match. What it may not look at is an error: the
    /// answer would lack rows without a word.
    fn unless_gone(&self, error: FileError) -> Result<()> {
        match error {
            FileError::Missing | FileError::NotDirectory => Ok(()),
            FileError::Io(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(()),
            error => Err(Error::file("read", &self.path, error)),
        }
    }

    fn push(&mut self, path: PathBuf) -> Result<()> {
        if self.files.len() >= MOST_FILES {
            return Err(self.too_many("files", MOST_FILES));
        }
        self.files.push(path);
        Ok(())
    }

    fn count(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > MOST_ENTRIES || !(self.go_on)() { Err(self.stopped()) } else { Ok(()) }
    }

    fn stopped(&self) -> Error {
        if self.entries > MOST_ENTRIES { self.too_many("directory entries", MOST_ENTRIES) } else { Error::Canceled }
    }

    fn too_many(&self, what: &'static str, limit: usize) -> Error {
        Error::TooMany { path: self.path.to_owned(), what, limit }
    }
}

fn is_match(part: &Part, name: &OsStr) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().starts_with(b"_");
    match part {
        Part::Literal(literal) => literal.as_os_str() == name,
        Part::Any => !is_hidden,
        Part::Pattern(pattern, hidden) => {
            (*hidden || !is_hidden) && pattern.matches_with(&name.to_string_lossy(), MatchOptions::new())
        }
    }
}

#[cfg(test)]
mod tests;
