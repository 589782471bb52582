//! Resolving and checking a path, and opening what was found.

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

/// Identifies a state of a file: a file that is replaced gets another inode, one that is written to another size or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970 and nanoseconds of the last change of contents.
    pub modified: (i64, i64),
    /// The same of the last change of contents, name or attributes, which cannot be set back.
    pub changed: (i64, i64),
}

impl Identity {
    /// Whether both are of one file with the same contents. (`changed` also changes with names and attributes, so it is not
    /// compared.)
    pub fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode, self.size, self.modified) == (other.device, other.inode, other.size, other.modified)
    }
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Directory,
    /// A pipe, a socket, a device.
    Other,
}

/// A file or directory that was resolved and checked, and is not open for reading. It stays the same one whatever happens
/// to its name.
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

/// Resolves a path, whatever it leads to, and checks that the target lies within `scope`. Opens no pipe and no device.
///
/// Errors distinguish a missing file from a forbidden one only within `scope`.
pub fn look(path: &Path, scope: Scope<'_>) -> Result<Place> {
    // O_PATH only resolves the path: it needs no permission, and has no effect on a device or pipe.
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let fd = found.map_err(|error| scope.failure(path, error))?;
    scope.check(&fd)?;
    let (identity, kind) = judge(fd.as_fd())?;
    Ok(Place { fd, identity, kind })
}

/// Opens a regular file that lies within `scope`. Never waits for a pipe, never opens a device. Errors are as for [`look`].
pub fn open(path: &Path, scope: Scope<'_>) -> Result<RegularFile> {
    look(path, scope)?.open()
}

impl Place {
    /// Its identity when it was resolved.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it lies, with all symbolic links resolved.
    pub fn real_path(&self) -> Result<PathBuf> {
        real_path(self.fd.as_fd())
    }

    /// Opens it for reading, if it is a regular file: by the descriptor, so it is the same inode. Its contents may have
    /// changed since.
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
    /// Its identity when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether it has not been written to since it was opened. (Replacing the name by another file is no write: the
    /// descriptor still refers to the old file. Its `changed` moves when its last name is removed, which is no change of
    /// contents.)
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

    /// The error for a path that could not be resolved, without revealing anything outside of the scope: it is the same for
    /// a link that leads outside whether its target exists or not.
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
