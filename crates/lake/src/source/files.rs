//! Files of a table: found, judged, and held as they were found until the last row is read.
//!
//! ```text
//! find -> Found        resolved and judged, not yet open; what happens to the name no longer matters
//! open -> DataFile     with what the planner wants to know of it
//! Held::open           for reading, as it was found, or LG006
//! ```
//!
//! A process holds [`MOST_HELD`] files by their descriptors. Those beyond are looked up again by name when their turn comes,
//! and must then be the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lagoon_file::{Error as FileError, Identity, Kind, Place, RegularFile};
use parquet::file::metadata::ParquetMetaData;

use super::footer::{self, Footer, unpanicked};
use super::store::Rights;
use super::{cache, list};
use crate::error::{Error, Result};
use crate::schema;

/// Files that a process holds by their descriptors.
pub const MOST_HELD: usize = 256;

/// A file that a path led to, judged. It stays the same file whatever happens to its name.
#[derive(Clone, Debug)]
pub struct Found {
    /// With all symbolic links resolved.
    pub path: PathBuf,
    pub(crate) held: Arc<Held>,
}

/// A Parquet file at one moment.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// With all symbolic links resolved.
    pub path: PathBuf,
    pub(crate) held: Arc<Held>,
    pub footer: Arc<Footer>,
}

impl DataFile {
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.held.identity.size
    }
}

/// Finds the files that a path names (see [`list::list`]) within the rights of a role.
pub fn find(path: &str, rights: &Rights, go_on: &mut dyn FnMut() -> bool) -> Result<Vec<Found>> {
    let paths = list::list(path, rights, go_on)?;
    look(&paths, rights, go_on)
}

/// Resolves and judges files. Does not open them.
pub fn look(paths: &[PathBuf], rights: &Rights, go_on: &mut dyn FnMut() -> bool) -> Result<Vec<Found>> {
    let mut one = |path: &PathBuf| {
        if !go_on() {
            return Err(Error::Canceled);
        }
        let failed = |error| Error::file("read", path, error);
        let place = rights.look(path).map_err(failed)?;
        if place.kind() != Kind::Regular {
            return Err(failed(FileError::NotRegular));
        }
        let real = place.real_path().map_err(failed)?;
        let held = Held { path: real.clone(), identity: place.identity(), rights: rights.clone(), place: hold(place) };
        Ok(Found { path: real, held: Arc::new(held) })
    };
    paths.iter().map(&mut one).collect()
}

/// The files, if the footers of all of them are remembered, without any wait; `None` if one is not, and then [`open`] is to be
/// called on a thread that may block.
pub fn remembered(found: &[Found]) -> Option<Vec<DataFile>> {
    found.iter().map(recall).collect()
}

/// Opens files: reads and checks the footers that are not remembered. Blocks: not for the main thread of a backend. `go_on`
/// is asked before each file and every megabyte of a footer.
pub fn open(found: &[Found], go_on: &mut dyn FnMut() -> bool) -> Result<Vec<DataFile>> {
    let mut one = |found: &Found| match recall(found) {
        Some(file) => Ok(file),
        None if go_on() => open_one(found, go_on),
        None => Err(Error::Canceled),
    };
    found.iter().map(&mut one).collect()
}

/// The whole footer of one file, as the parquet crate has it. Blocks.
pub(crate) fn footer(found: &Found) -> Result<Arc<ParquetMetaData>> {
    found.held.parsed(&mut || true)
}

fn recall(found: &Found) -> Option<DataFile> {
    let footer = cache::summary(&found.held.identity)?;
    Some(DataFile { path: found.path.clone(), held: found.held.clone(), footer })
}

fn open_one(found: &Found, go_on: &mut dyn FnMut() -> bool) -> Result<DataFile> {
    let path = &found.path;
    let metadata = found.held.parsed(go_on)?;
    let columns = unpanicked(path, || schema::columns(&metadata))?;
    let columns = columns.map_err(|error| Error::from_engine(&error, path))?;
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(column.name.as_str())) {
        return Err(Error::DuplicateColumn { path: path.clone(), column: twice.name.clone() });
    }
    let footer = cache::remember(found.held.identity, Footer::new(columns, &metadata));
    Ok(DataFile { path: path.clone(), held: found.held.clone(), footer })
}

/// A file as it was found.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    pub(crate) identity: Identity,
    rights: Rights,
    /// None beyond [`MOST_HELD`].
    place: Option<Descriptor>,
}

impl Held {
    /// Opens it for reading: the file that was found, with the contents that it had then.
    pub(crate) fn open(&self) -> Result<RegularFile> {
        let changed = || Error::FileChanged { path: self.path.clone() };
        let opened = match &self.place {
            Some(descriptor) => descriptor.0.open(),
            None => self.rights.look(&self.path).and_then(|place| place.open()),
        };
        let file = opened.map_err(|error| match error {
            FileError::Missing => changed(),
            error => Error::file("read", &self.path, error),
        })?;
        if file.identity().is_same(&self.identity) { Ok(file) } else { Err(changed()) }
    }

    /// Its parsed footer, remembered or read.
    pub(crate) fn parsed(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Arc<ParquetMetaData>> {
        if let Some(metadata) = cache::parsed(&self.identity) {
            return Ok(metadata);
        }
        let metadata = footer::read(&self.open()?, &self.path, go_on)?;
        Ok(cache::remember_parsed(self.identity, metadata))
    }
}

static HELD: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Descriptor(Place);

impl Drop for Descriptor {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place itself, if there is room for one more descriptor.
fn hold(place: Place) -> Option<Descriptor> {
    let room = HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| (held < MOST_HELD).then_some(held + 1));
    room.is_ok().then(|| Descriptor(place))
}

#[cfg(test)]
mod tests;
