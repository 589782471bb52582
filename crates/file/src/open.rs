//! From a path to a descriptor that was judged.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};

use crate::{Error, Result};

/// Where a file may lie.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Wherever the operating system lets us read.
    Anywhere,
    /// Below one of these directories, after all symbolic links are resolved.
    Beneath(&'a [PathBuf]),
}

/// What tells one state of a file from another: a file that is replaced has another inode, one that is written to another
/// size or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970 and nanoseconds of the last change of contents.
    pub modified: (i64, i64),
    /// The same of the last change of contents, name or attributes: nobody can set this one back.
    pub changed: (i64, i64),
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct RegularFile {
    pub(crate) file: File,
    pub(crate) identity: Identity,
}

/// Opens a regular file that lies within `scope`. Never waits for a pipe, never touches a device.
///
/// Errors tell a missing file from a forbidden one only where `scope` permits to look.
pub fn open(path: &Path, scope: Scope<'_>) -> Result<RegularFile> {
    // O_PATH resolves the path and does nothing else: no permission is needed, no device or pipe notices.
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let place = found.map_err(|error| scope.failure(path, error))?;
    scope.check(&place)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode) != FileType::RegularFile {
        return Err(Error::NotRegular);
    }
    // The same inode again, by descriptor instead of by name, this time to be read.
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(again, flags, Mode::empty())?);
    let identity = identity(&file)?;
    Ok(RegularFile { file, identity })
}

impl RegularFile {
    /// As it was when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether nobody has written to it since it was opened. (A file that was replaced by another of its name has not been
    /// written to: the descriptor still leads to the old one. Its `changed` moves when its last name goes, which is no
    /// change of contents.)
    pub fn is_unchanged(&self) -> Result<bool> {
        let now = identity(&self.file)?;
        Ok((now.size, now.modified) == (self.identity.size, self.identity.modified))
    }

    /// Where it lies, with all symbolic links resolved.
    pub fn real_path(&self) -> Result<PathBuf> {
        real_path(self.file.as_fd())
    }

    /// The descriptor, for reading at positions (`std::os::unix::fs::FileExt`).
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The descriptor itself.
    pub fn into_file(self) -> File {
        self.file
    }
}

impl Scope<'_> {
    fn check(self, place: &OwnedFd) -> Result<()> {
        let Self::Beneath(directories) = self else { return Ok(()) };
        let real = real_path(place.as_fd())?;
        let inside = |directory: &PathBuf| std::fs::canonicalize(directory).is_ok_and(|d| real.starts_with(d));
        if directories.iter().any(inside) { Ok(()) } else { Err(Error::Outside) }
    }

    /// Why a path could not be resolved, as far as this scope may know: a link that leads outside looks the same whether
    /// there is something at its end or not.
    fn failure(self, path: &Path, error: rustix::io::Errno) -> Error {
        let Self::Beneath(directories) = self else { return error.into() };
        for directory in directories {
            let Ok(rest) = path.strip_prefix(directory) else { continue };
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let Ok(root) = rustix::fs::openat(CWD, directory, flags | OFlags::DIRECTORY, Mode::empty()) else {
                continue;
            };
            return match rustix::fs::openat2(&root, rest, flags, Mode::empty(), ResolveFlags::BENEATH) {
                Ok(_) | Err(rustix::io::Errno::NOENT) => Error::Missing,
                Err(rustix::io::Errno::ACCESS) => Error::Permission,
                Err(_) => Error::Outside,
            };
        }
        Error::Outside
    }
}

fn real_path(fd: std::os::fd::BorrowedFd<'_>) -> Result<PathBuf> {
    Ok(std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?)
}

fn identity(file: &File) -> Result<Identity> {
    let found = rustix::fs::fstat(file)?;
    Ok(Identity {
        device: found.st_dev,
        inode: found.st_ino,
        size: found.st_size.try_into().unwrap_or(0),
        modified: (found.st_mtime, found.st_mtime_nsec.try_into().unwrap_or(0)),
        changed: (found.st_ctime, found.st_ctime_nsec.try_into().unwrap_or(0)),
    })
}
