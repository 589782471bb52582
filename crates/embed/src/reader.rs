//! Reading the files of a model: each is opened once, read within bounds, hashed, and recorded.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lagoon_file::{Identity, Scope};
use serde::de::DeserializeOwned;

use crate::{Cancel, Error};

/// Maximum bytes of a settings file such as modules.json.
const CONFIG_LIMIT: u64 = 8 << 20;
/// Maximum bytes of tokenizer.json. The largest published ones have 35 MB; a loaded tokenizer takes some ten times as much.
const TOKENIZER_LIMIT: u64 = 64 << 20;
/// Bytes that are hashed between two checks for a cancel.
const PIECE: usize = 1 << 20;

/// The identity of the file at each path that a model needs, missing ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch(Vec<(PathBuf, Option<Identity>)>);

impl Watch {
    /// Whether all files are the same and unchanged. It reads none of them and takes a microsecond for each.
    pub fn holds(&self) -> bool {
        self.0.iter().all(|(path, found)| match std::fs::metadata(path) {
            Ok(metadata) => Some(identity(&metadata)) == *found,
            Err(error) => is_missing(&lagoon_file::Error::from(error)) && found.is_none(),
        })
    }
}

fn identity(metadata: &std::fs::Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Whether a file is missing, also because a directory in its path is a file.
fn is_missing(error: &lagoon_file::Error) -> bool {
    match error {
        lagoon_file::Error::Missing | lagoon_file::Error::NotDirectory => true,
        lagoon_file::Error::Io(error) => error.kind() == std::io::ErrorKind::NotADirectory,
        _ => false,
    }
}

/// Reads files, and records their identities and the fingerprint.
pub(crate) struct Reader<'a> {
    pub(crate) directory: &'a Path,
    cancel: &'a Cancel,
    hasher: blake3::Hasher,
    size: u64,
    watch: Watch,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(directory: &'a Path, cancel: &'a Cancel) -> Self {
        Self { directory, cancel, hasher: blake3::Hasher::new(), size: 0, watch: Watch::default() }
    }

    /// A settings file, if it is there.
    pub(crate) fn json<T: DeserializeOwned>(&mut self, path: &Path) -> Result<Option<T>, Error> {
        self.read(path, CONFIG_LIMIT)?.map(|bytes| parse(path, &bytes)).transpose()
    }

    /// tokenizer.json.
    pub(crate) fn tokenizer(&mut self, path: &Path) -> Result<Vec<u8>, Error> {
        self.require(path, TOKENIZER_LIMIT, "tokenizer.json")
    }

    /// Whether the path exists. Its type is checked when it is read.
    pub(crate) fn exists(&mut self, path: &Path) -> bool {
        let found = std::fs::symlink_metadata(path).is_ok();
        if !found {
            self.watch.0.push((path.to_owned(), None));
        }
        found
    }

    pub(crate) fn require(&mut self, path: &Path, limit: u64, file: &'static str) -> Result<Vec<u8>, Error> {
        let missing = Error::FileMissing { directory: self.directory.to_owned(), file };
        self.read(path, limit)?.ok_or(missing)
    }

    pub(crate) fn read(&mut self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let file = match lagoon_file::open(path, Scope::Anywhere) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => {
                self.watch.0.push((path.to_owned(), None));
                return Ok(None);
            }
            Err(error) => return Err(Error::file(path, error)),
        };
        let bytes = file.read(limit, || !self.cancel.is_set()).map_err(|error| Error::file(path, error))?;
        self.watch.0.push((path.to_owned(), Some(file.identity())));
        let name = path.strip_prefix(self.directory).unwrap_or(path).to_string_lossy();
        self.hasher.update(format!("{name}\0{}\0", bytes.len()).as_bytes());
        for piece in bytes.chunks(PIECE) {
            self.cancel.check()?;
            self.hasher.update(piece);
        }
        self.size += bytes.len() as u64;
        Ok(Some(bytes))
    }

    pub(crate) fn finish(self) -> (String, u64, Watch) {
        (self.hasher.finalize().to_hex().to_string(), self.size, self.watch)
    }
}

/// Parses JSON; members that the type does not have are ignored.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(path, error.to_string()))
}
