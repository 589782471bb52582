//! The files of one model directory. Each is opened once and read within bounds; the same bytes are hashed and loaded. No name
//! is looked up a second time.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lagoon_file::{Identity, Scope};
use serde::de::DeserializeOwned;

use crate::layout::Spec;
use crate::{Cancel, Error, graph};

/// Maximum bytes of a settings file such as modules.json.
const CONFIG_LIMIT: u64 = 8 << 20;
/// Maximum bytes of tokenizer.json. The largest published ones have 35 MB; a loaded tokenizer takes some ten times as much.
const TOKENIZER_LIMIT: u64 = 64 << 20;
/// Maximum bytes of an ONNX file: the limit of a protocol buffer.
const GRAPH_LIMIT: u64 = (1 << 31) - 1;
/// Maximum bytes of all weights outside of the ONNX file.
const WEIGHTS_LIMIT: u64 = 32 << 30;
/// Bytes that are hashed between two checks for a cancel.
const PIECE: usize = 1 << 20;

/// A model directory, read.
#[derive(Debug)]
pub struct ModelFiles {
    /// The settings.
    pub spec: Spec,
    /// BLAKE3 over names, lengths and contents of all files, in hex. It changes if vectors may change.
    pub fingerprint: String,
    /// Bytes of all files.
    pub size: u64,
    /// The identity of each file, by which later changes are noticed.
    pub watch: Watch,
    /// Whether the graph quantises its input at run time, so that the texts of a batch change each other's vectors.
    pub is_dynamic: bool,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) graph: Vec<u8>,
    /// Files of weights, under the names that the graph has for them.
    pub(crate) weights: Vec<(String, Arc<[u8]>)>,
}

impl ModelFiles {
    /// Reads and checks the directory, an absolute path. Loads no model.
    pub fn read(directory: &Path, cancel: &Cancel) -> Result<Self, Error> {
        if !directory.is_absolute() {
            return Err(Error::DirectoryNotAbsolute(directory.display().to_string()));
        }
        if !directory.is_dir() {
            return Err(Error::DirectoryMissing(directory.to_owned()));
        }
        let mut reader = Reader::new(directory, cancel);
        let (spec, tokenizer) = Spec::read(&mut reader)?;
        let graph = reader.require(&spec.graph, GRAPH_LIMIT, "model.onnx or onnx/model.onnx")?;
        let facts = graph::read(&graph, cancel).map_err(|reason| match reason {
            graph::Refused::Cancelled => Error::Cancelled,
            graph::Refused::Invalid(reason) => Error::invalid(&spec.graph, reason),
            graph::Refused::Unsupported(what) => Error::unsupported(&spec.graph, what),
        })?;
        let beside = spec.graph.parent().unwrap_or(directory);
        let mut weights = Vec::with_capacity(facts.locations.len());
        for location in facts.locations {
            let left =
                WEIGHTS_LIMIT - weights.iter().map(|(_, bytes): &(_, Arc<[u8]>)| bytes.len() as u64).sum::<u64>();
            let path = beside.join(&location);
            let bytes = reader.read(&path, left)?.ok_or_else(|| {
                let reason = format!("its weights lie in \"{}\", which does not exist", location.escape_debug());
                Error::invalid(&spec.graph, reason)
            })?;
            weights.push((location, shared(&bytes)?));
        }
        let (fingerprint, size, watch) = reader.finish();
        Ok(Self { spec, fingerprint, size, watch, is_dynamic: facts.is_dynamic, tokenizer, graph, weights })
    }
}

/// Copies bytes into an `Arc`. It has no fallible constructor, so the memory is reserved first.
fn shared(bytes: &[u8]) -> Result<Arc<[u8]>, Error> {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes.len() + 64).map_err(|_| Error::Memory(bytes.len() as u64))?;
    drop(probe);
    Ok(Arc::from(bytes))
}

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
    fn new(directory: &'a Path, cancel: &'a Cancel) -> Self {
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

    fn require(&mut self, path: &Path, limit: u64, file: &'static str) -> Result<Vec<u8>, Error> {
        let missing = Error::FileMissing { directory: self.directory.to_owned(), file };
        self.read(path, limit)?.ok_or(missing)
    }

    fn read(&mut self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
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

    fn finish(self) -> (String, u64, Watch) {
        (self.hasher.finalize().to_hex().to_string(), self.size, self.watch)
    }
}

/// Parses JSON; members that the type does not have are ignored.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(path, error.to_string()))
}
