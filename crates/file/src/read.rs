//! The bytes of a file, within a limit.

use std::os::unix::fs::FileExt;

use crate::{Error, RegularFile, Result};

/// Bytes between two calls of `go_on`.
const PIECE: usize = 1 << 20;

impl RegularFile {
    /// All bytes. A file of more than `limit` bytes is refused before anything is read, and a lack of memory is an error.
    /// `go_on` is called before every megabyte; if it returns false, the read ends with [`Error::Interrupted`].
    pub fn read(&self, limit: u64, go_on: impl FnMut() -> bool) -> Result<Vec<u8>> {
        let size = self.identity.size;
        if size > limit {
            return Err(Error::TooLarge { size, limit });
        }
        self.read_range(0, size, go_on)
    }

    /// `length` bytes from `start` on, as they were when the file was opened: [`Error::Changed`] if it has been written to
    /// since or is shorter than that. Memory and `go_on` as in [`RegularFile::read`].
    pub fn read_range(&self, start: u64, length: u64, mut go_on: impl FnMut() -> bool) -> Result<Vec<u8>> {
        if start.checked_add(length).is_none_or(|end| end > self.identity.size) {
            return Err(Error::Changed);
        }
        let no_memory = |_| Error::Memory { size: length };
        let count = usize::try_from(length).map_err(|_| Error::Memory { size: length })?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(count).map_err(no_memory)?;
        bytes.resize(count, 0);
        let mut at = start;
        for piece in bytes.chunks_mut(PIECE) {
            if !go_on() {
                return Err(Error::Interrupted);
            }
            self.file.read_exact_at(piece, at).map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Error::Changed,
                _ => error.into(),
            })?;
            at += piece.len() as u64;
        }
        if self.is_unchanged()? { Ok(bytes) } else { Err(Error::Changed) }
    }
}
