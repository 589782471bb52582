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

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lagoon_file::{Error as FileError, Identity, Kind, Place, RegularFile};
use parquet::file::metadata::ParquetMetaData;

use super::footer::{self, Footer, unpanicked};
use super::location::Location;
use super::{cache, list};
use crate::error::{Error, Result};
use crate::schema;

/// Files that a process holds by their descriptors.
pub const MOST_HELD: usize = 256;

/// A file that a location led to, judged. It stays the same file whatever happens to its name.
#[derive(Clone, Debug)]
pub struct Found {
    pub(crate) held: Arc<Held>,
}

impl Found {
    /// With all symbolic links resolved.
    pub fn location(&self) -> &Location {
        &self.held.location
    }
}

/// A Parquet file at one moment.
#[derive(Clone, Debug)]
pub struct DataFile {
    pub(crate) held: Arc<Held>,
    pub footer: Arc<Footer>,
}

impl DataFile {
    /// With all symbolic links resolved.
    pub fn location(&self) -> &Location {
        &self.held.location
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.held.identity.size
    }
}

/// Finds the files that a location names (see [`list::list`]).
pub fn find(location: &Location, go_on: &mut dyn FnMut() -> bool) -> Result<Vec<Found>> {
    look(&list::list(location, go_on)?, go_on)
}

/// Resolves and judges files. Does not open them.
pub fn look(locations: &[Location], go_on: &mut dyn FnMut() -> bool) -> Result<Vec<Found>> {
    let mut one = |location: &Location| {
        if !go_on() {
            return Err(Error::Canceled);
        }
        let failed = |error| Error::file("read", location, error);
        let place = location.look().map_err(failed)?;
        if place.kind() != Kind::Regular {
            return Err(failed(FileError::NotRegular));
        }
        let real = location.leads_to(&place.real_path().map_err(failed)?);
        let held = Held { location: real, identity: place.identity(), place: hold(place) };
        Ok(Found { held: Arc::new(held) })
    };
    locations.iter().map(&mut one).collect()
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
    Some(DataFile { held: found.held.clone(), footer })
}

fn open_one(found: &Found, go_on: &mut dyn FnMut() -> bool) -> Result<DataFile> {
    let location = found.location();
    let metadata = found.held.parsed(go_on)?;
    let columns = unpanicked(location, || schema::columns(&metadata))?;
    let columns = columns.map_err(|error| Error::from_engine(&error, location))?;
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = columns.iter().find(|column| !seen.insert(column.name.as_str())) {
        return Err(Error::DuplicateColumn { path: location.to_string(), column: twice.name.clone() });
    }
    let footer = cache::remember(found.held.identity, Footer::new(columns, &metadata));
    Ok(DataFile { held: found.held.clone(), footer })
}

/// A file as it was found.
#[derive(Debug)]
pub(crate) struct Held {
    location: Location,
    pub(crate) identity: Identity,
    /// None beyond [`MOST_HELD`].
    place: Option<Descriptor>,
}

impl Held {
    /// Opens it for reading: the file that was found, with the contents that it had then.
    pub(crate) fn open(&self) -> Result<RegularFile> {
        let changed = || Error::FileChanged { path: self.location.to_string() };
        let opened = match &self.place {
            Some(descriptor) => descriptor.0.open(),
            None => self.location.look().and_then(|place| place.open()),
        };
        let file = opened.map_err(|error| match error {
            FileError::Missing => changed(),
            error => Error::file("read", &self.location, error),
        })?;
        if file.identity().is_same(&self.identity) { Ok(file) } else { Err(changed()) }
    }

    /// Its parsed footer, remembered or read.
    pub(crate) fn parsed(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Arc<ParquetMetaData>> {
        if let Some(metadata) = cache::parsed(&self.identity) {
            return Ok(metadata);
        }
        let metadata = footer::read(&self.open()?, &self.location, go_on)?;
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
