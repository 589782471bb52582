//! The file that is read: opened once, so that both passes read the same one, and looked at for what is no CSV text.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lagoon_file::RegularFile;

use crate::error::{Error, Result};
use crate::source::Location;

/// What begins a file that is something else, and what to do with it.
const FOREIGN: [(&[u8], &str, &str); 8] = [
    (b"\x1f\x8b", "is compressed with gzip", "Decompress it first (gunzip)."),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd", "Decompress it first (unzstd)."),
    (b"\xfd7zXZ\0", "is compressed with xz", "Decompress it first (unxz)."),
    (b"\x04\x22\x4d\x18", "is compressed with lz4", "Decompress it first (unlz4)."),
    (b"PK\x03\x04", "is a zip archive or a spreadsheet", "Unzip it first, or save it as CSV."),
    (b"PAR1\x15", "is a Parquet file", "lagoon.register_dataset() takes Parquet files as they are."),
    (b"\xff\xfe", "is UTF-16", UTF_16),
    (b"\xfe\xff", "is UTF-16", UTF_16),
];
const UTF_16: &str = "Convert it to UTF-8 first, for example with iconv -f UTF-16 -t UTF-8.";

/// A CSV file. Clones read the same descriptor.
#[derive(Clone, Debug)]
pub struct Source {
    location: Location,
    file: Arc<RegularFile>,
}

impl Source {
    /// Opens the file. What was judged is what is read.
    pub fn open(location: &Location) -> Result<Self> {
        Ok(Self { file: Arc::new(location.open()?), location: location.clone() })
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Bytes, when it was opened. What is appended later is not read.
    pub(super) fn size(&self) -> u64 {
        self.file.identity().size
    }

    /// Reads up to as many bytes as there is room for; 0 at the end.
    pub(super) fn read_at(&self, room: &mut [u8], at: u64) -> Result<usize> {
        let left = usize::try_from(self.size().saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = room.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        loop {
            match self.file.file().read_at(&mut room[..wanted], at) {
                Ok(0) => return Err(Error::FileChanged { path: self.location.to_string() }),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &self.location, &error)),
            }
        }
    }

    /// LG006 if somebody has written to it meanwhile.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        match self.file.is_unchanged() {
            Ok(true) => Ok(()),
            _ => Err(Error::FileChanged { path: self.location.to_string() }),
        }
    }

    /// Refuses files that are compressed or not text of one byte or more a character.
    pub(super) fn check_text(&self) -> Result<()> {
        let mut head = [0; 8];
        let count = self.read_at(&mut head, 0)?;
        let head = &head[..count];
        let foreign = FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic)).map(|(_, what, hint)| (*what, *hint));
        let bzip2 = matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&'])
            .then_some(("is compressed with bzip2", "Decompress it first (bunzip2)."));
        // Without a mark, every other byte of ASCII text is zero.
        let wide = matches!(head, [0, 1..=255, 0, 1..=255, ..] | [1..=255, 0, 1..=255, 0, ..])
            .then_some(("is UTF-16", UTF_16));
        match foreign.or(bzip2).or(wide) {
            None => Ok(()),
            Some((what, hint)) => Err(Error::NotSupported {
                message: format!("file \"{}\" {what}, not CSV text", self.location),
                hint: Some(hint.to_owned()),
            }),
        }
    }
}
