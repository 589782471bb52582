//! The files of one model directory: what was read is what is hashed and loaded. Nothing is looked up by its name a second
//! time.

use std::path::Path;
use std::sync::Arc;

use crate::layout::Spec;
use crate::reader::{Reader, Watch};
use crate::{Cancel, Error, graph};

/// Bytes of an ONNX file: a protocol buffer has no more.
const GRAPH_LIMIT: u64 = (1 << 31) - 1;
/// Bytes of all weights outside of the ONNX file.
const WEIGHTS_LIMIT: u64 = 32 << 30;

/// A model directory, read.
#[derive(Debug)]
pub struct ModelFiles {
    /// What the settings say.
    pub spec: Spec,
    /// BLAKE3 over names, lengths and contents of all files, in hex: it changes whenever vectors may.
    pub fingerprint: String,
    /// Bytes of all files.
    pub size: u64,
    /// What was found at each path, to notice a change later.
    pub watch: Watch,
    /// Whether the graph computes scales from its input, so that the texts of a batch change each other's vectors.
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

/// `Arc` has no fallible constructor, so the memory is asked for first.
fn shared(bytes: &[u8]) -> Result<Arc<[u8]>, Error> {
    let mut probe = Vec::<u8>::new();
    probe.try_reserve_exact(bytes.len() + 64).map_err(|_| Error::Memory(bytes.len() as u64))?;
    drop(probe);
    Ok(Arc::from(bytes))
}
