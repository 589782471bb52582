//! Listing a directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Dir, FileType, OFlags};

use crate::{Error, Kind, Place, Result, Scope, look};

/// A directory that was resolved and checked. It stays the same one whatever happens to its name.
#[derive(Debug)]
pub struct Directory(Place);

/// Resolves and checks a directory, as [`crate::open()`] does a file.
pub fn open_directory(path: &Path, scope: Scope<'_>) -> Result<Directory> {
    look(path, scope)?.directory()
}

impl Place {
    /// Opens it as a directory; [`Error::NotDirectory`] if it is none.
    pub fn directory(self) -> Result<Directory> {
        if self.kind() == Kind::Directory { Ok(Directory(self)) } else { Err(Error::NotDirectory) }
    }
}

impl Directory {
    /// Device and inode, which are the same for every path to it: a caller that follows links can detect cycles.
    pub fn id(&self) -> (u64, u64) {
        (self.0.identity().device, self.0.identity().inode)
    }

    /// Calls `each` with every name in it but `.` and `..`, in no order, and with its kind, if the file system returns it
    /// with the name: `None` for a link or an unknown kind. An error of `each` ends the listing.
    pub fn entries<E: From<Error>>(
        &self,
        mut each: impl FnMut(&OsStr, Option<Kind>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let fd = self.0.reopen(OFlags::DIRECTORY)?;
        for entry in Dir::new(fd).map_err(Error::from)? {
            let entry = entry.map_err(Error::from)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => Some(Kind::Regular),
                FileType::Directory => Some(Kind::Directory),
                FileType::Symlink | FileType::Unknown => None,
                _ => Some(Kind::Other),
            };
            each(OsStr::from_bytes(name), kind)?;
        }
        Ok(())
    }
}
