//! Reading files of a model: each is opened once, read within bounds, hashed, and remembered.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lagoon_file::{Identity, Scope};
use serde::de::DeserializeOwned;

use crate::{Cancel, Error};

/// Bytes of modules.json and its kin.
const CONFIG_LIMIT: u64 = 8 << 20;
/// Bytes of tokenizer.json. The largest published ones have 35 MB; what is made of one takes some ten times its size.
const TOKENIZER_LIMIT: u64 = 64 << 20;
/// Bytes that are hashed between two looks at whether the caller still waits.
const PIECE: usize = 1 << 20;

/// What was found at each path that the model asks for, missing files included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch(Vec<(PathBuf, Option<Identity>)>);

impl Watch {
    /// Whether all files are still those, and untouched. Reads none of them; takes a microsecond for each.
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

/// A directory above it that is a file is as good as none.
fn is_missing(error: &lagoon_file::Error) -> bool {
    match error {
        lagoon_file::Error::Missing | lagoon_file::Error::NotDirectory => true,
        lagoon_file::Error::Io(error) => error.kind() == std::io::ErrorKind::NotADirectory,
        _ => false,
    }
}

/// Reads files, and remembers what it has read.
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

    /// Whether there is something of this name. What is opened then is judged when it is read.
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

/// JSON, as far as the type asks for it.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(path, error.to_string()))
}
