//! The files of one model directory. Each is opened once and read within bounds; the same bytes are hashed and loaded. No name
//! is looked up a second time.

use std::path::Path;
use std::sync::Arc;

use crate::layout::Spec;
use crate::reader::{Reader, Watch};
use crate::{Cancel, Error, graph};

/// Maximum bytes of an ONNX file: the limit of a protocol buffer.
const GRAPH_LIMIT: u64 = (1 << 31) - 1;
/// Maximum bytes of all weights outside of the ONNX file.
const WEIGHTS_LIMIT: u64 = 32 << 30;

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
