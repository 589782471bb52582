//! From a path to a place that was judged, and from there to a descriptor that can be read.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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

impl Identity {
    /// Whether both are of one file with the same contents. (`changed` moves with names and attributes as well, so it has no
    /// say here.)
    pub fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode, self.size, self.modified) == (other.device, other.inode, other.size, other.modified)
    }
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Directory,
    /// A pipe, a socket, a device.
    Other,
}

/// Something in the file system that was resolved and judged, and is not open for reading. It stays the same thing whatever
/// happens to its name.
#[derive(Debug)]
pub struct Place {
    pub(crate) fd: OwnedFd,
    identity: Identity,
    kind: Kind,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct RegularFile {
    pub(crate) file: File,
    pub(crate) identity: Identity,
}

/// Resolves a path, whatever it leads to, and judges where that lies. Touches no pipe and no device.
///
/// Errors tell a missing file from a forbidden one only where `scope` permits to look.
pub fn look(path: &Path, scope: Scope<'_>) -> Result<Place> {
    // O_PATH resolves the path and does nothing else: no permission is needed, no device or pipe notices.
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let fd = found.map_err(|error| scope.failure(path, error))?;
    scope.check(&fd)?;
    let (identity, kind) = judge(fd.as_fd())?;
    Ok(Place { fd, identity, kind })
}

/// Opens a regular file that lies within `scope`. Never waits for a pipe, never touches a device. Errors as of [`look`].
pub fn open(path: &Path, scope: Scope<'_>) -> Result<RegularFile> {
    look(path, scope)?.open()
}

impl Place {
    /// As it was when it was resolved.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it lies, with all symbolic links resolved.
    pub fn real_path(&self) -> Result<PathBuf> {
        real_path(self.fd.as_fd())
    }

    /// Opens it, if it is a regular file: the same inode again, by descriptor instead of by name, this time to be read. Its
    /// contents may have changed since.
    pub fn open(&self) -> Result<RegularFile> {
        if self.kind != Kind::Regular {
            return Err(Error::NotRegular);
        }
        let file = File::from(self.reopen(OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let (identity, _) = judge(file.as_fd())?;
        Ok(RegularFile { file, identity })
    }

    pub(crate) fn reopen(&self, flags: OFlags) -> Result<OwnedFd> {
        let again = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        Ok(rustix::fs::open(again, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())?)
    }
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
        let (now, _) = judge(self.file.as_fd())?;
        Ok(now.is_same(&self.identity))
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

fn real_path(fd: BorrowedFd<'_>) -> Result<PathBuf> {
    Ok(std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?)
}

fn judge(fd: BorrowedFd<'_>) -> Result<(Identity, Kind)> {
    let found = rustix::fs::fstat(fd)?;
    let kind = match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        _ => Kind::Other,
    };
    let identity = Identity {
        device: found.st_dev,
        inode: found.st_ino,
        size: found.st_size.try_into().unwrap_or(0),
        modified: (found.st_mtime, found.st_mtime_nsec.try_into().unwrap_or(0)),
        changed: (found.st_ctime, found.st_ctime_nsec.try_into().unwrap_or(0)),
    };
    Ok((identity, kind))
}
