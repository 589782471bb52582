//! The errors of this crate. The wings assign SQLSTATEs.

/// An error of this crate. It does not have the path: the caller has the one that the user gave.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path does not exist.
    #[error("no such file or directory")]
    Missing,
    /// The operating system denies access.
    #[error("permission denied")]
    Permission,
    /// It lies outside of the directories that the caller may read, whether it exists or not.
    #[error("outside of the permitted directories")]
    Outside,
    /// A directory, pipe, socket or device.
    #[error("not a regular file")]
    NotRegular,
    /// Something else than a directory.
    #[error("not a directory")]
    NotDirectory,
    /// The file has more bytes than the caller's limit.
    #[error("{size} bytes are more than the limit of {limit}")]
    TooLarge { size: u64, limit: u64 },
    /// This number of bytes could not be allocated.
    #[error("could not allocate {size} bytes")]
    Memory { size: u64 },
    /// It was written to, truncated or extended while it was being read.
    #[error("the file changed while it was being read")]
    Changed,
    /// The caller's `go_on` returned false.
    #[error("interrupted")]
    Interrupted,
    /// Anything else that the operating system reports.
    #[error("{0}")]
    Io(std::io::Error),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(error: rustix::io::Errno) -> Self {
        std::io::Error::from(error).into()
    }
}
