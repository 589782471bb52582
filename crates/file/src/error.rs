//! Why a file is not opened or not read. The wings give these their SQLSTATEs.

/// Every error of this crate. None of them names the path: the caller knows what the user called it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of this name.
    #[error("no such file or directory")]
    Missing,
    /// The operating system says no.
    #[error("permission denied")]
    Permission,
    /// It lies outside of the directories that the caller may read. Says nothing about whether it exists.
    #[error("outside of the permitted directories")]
    Outside,
    /// A directory, pipe, socket or device.
    #[error("not a regular file")]
    NotRegular,
    /// Something else than a directory.
    #[error("not a directory")]
    NotDirectory,
    /// More bytes than the caller takes.
    #[error("{size} bytes are more than the limit of {limit}")]
    TooLarge { size: u64, limit: u64 },
    /// So much memory could not be had.
    #[error("could not allocate {size} bytes")]
    Memory { size: u64 },
    /// It was written to, truncated or extended while it was being read.
    #[error("the file changed while it was being read")]
    Changed,
    /// The caller's `go_on` said no.
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
