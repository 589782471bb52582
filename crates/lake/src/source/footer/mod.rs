//! The footer of a file: read once, believed only as far as the file bears it out.
//!
//! ```text
//! thrift, shapes -> claims   lengths, depths and counts against the footer's own bytes, before anything is built from it
//! plausible                  offsets, sizes and rows against the file
//! pages                      headers of pages, before one is decompressed
//! summary                    what the planner wants to know
//! ```

mod claims;
mod fault;
pub(crate) mod pages;
mod plausible;
mod shapes;
mod summary;
mod thrift;

use lagoon_file::RegularFile;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::location::Location;
use crate::error::{Error, Result};
use claims::Refusal;
pub(crate) use fault::{damaged, unpanicked};
use fault::{parse_error, unsupported};
pub(crate) use plausible::check_codec;
pub use summary::Footer;

/// The shortest possible file: magic, footer length, magic.
const SHORTEST: u64 = 12;
/// Length and magic at the end.
const TAIL: u64 = 8;
/// Bytes that a footer may grow by when it is written anew.
const ROOM: u64 = 1024;
/// Bytes of a footer at most.
const LARGEST_FOOTER: u64 = 256 << 20;
const MAGIC: &[u8] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8] = b"PARE";

/// Reads and checks a footer. `go_on` is asked before every megabyte.
pub(crate) fn read(
    file: &RegularFile,
    location: &Location,
    mut go_on: impl FnMut() -> bool,
) -> Result<ParquetMetaData> {
    let failed = |error| Error::file("read", location, error);
    let size = file.identity().size;
    if size < SHORTEST {
        return Err(Error::NotParquet { path: location.to_string() });
    }
    let head = file.read_range(0, 4, &mut go_on).map_err(failed)?;
    let tail = file.read_range(size - TAIL, TAIL, &mut go_on).map_err(failed)?;
    let (length, magic) = tail.split_at(4);
    check_magic(location, &head, magic)?;
    let length = u64::from(u32::from_le_bytes(length.try_into().unwrap_or_default()));
    if length > size - SHORTEST {
        return Err(damaged(location, format!("its footer claims {length} bytes of a file of {size}")));
    }
    if length > LARGEST_FOOTER {
        return Err(unsupported(location, &format!("its footer has {length} bytes")));
    }
    let bytes = crate::engine::memory::fallible(|| file.read_range(size - TAIL - length, length, &mut go_on))
        .map_err(failed)?;
    let room = room(location, length + ROOM)?;
    let claims::Checked { footer, parsed } =
        claims::check(&bytes, room).map_err(|refusal| refused(location, refusal))?;
    drop(bytes);
    // What the parser takes is about this much, and the parser cannot say that it was not to be had.
    drop(self::room(location, parsed)?);
    let metadata = unpanicked(location, || ParquetMetaDataReader::decode_metadata(&footer))?;
    let metadata = metadata.map_err(|error| parse_error(location, &error))?;
    plausible::check(metadata, file, location, size - TAIL - length)
}

fn room(location: &Location, bytes: u64) -> Result<Vec<u8>> {
    let mut room = Vec::new();
    let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
    let no_room = |_| Error::Memory { message: format!("footer of \"{location}\": {bytes} bytes") };
    crate::engine::memory::fallible(|| room.try_reserve_exact(wanted)).map_err(no_room)?;
    Ok(room)
}

fn check_magic(location: &Location, head: &[u8], tail: &[u8]) -> Result<()> {
    match (head == MAGIC, tail == MAGIC) {
        (_, true) => Ok(()),
        _ if head == MAGIC_ENCRYPTED || tail == MAGIC_ENCRYPTED => Err(unsupported(location, "it is encrypted")),
        (true, false) => Err(Error::Truncated { path: location.to_string() }),
        (false, false) => Err(Error::NotParquet { path: location.to_string() }),
    }
}

fn refused(location: &Location, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Damaged(message) => damaged(location, message),
        Refusal::Unsupported(message) => unsupported(location, &message),
    }
}

#[cfg(test)]
mod tests;
