//! The models that are loaded in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::layout::Spec;
use crate::{Error, Model, Runtime};

/// How many models stay loaded; the one that was used longest ago goes first.
const MAX_LOADED: usize = 4;

/// A model as it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What users call it.
    pub name: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// [`Spec::fingerprint`] at that time.
    pub fingerprint: String,
    /// [`Spec::stamp`] at that time.
    pub stamp: String,
}

/// How to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Path of ONNX Runtime. Only the first one that loads counts: a process has one.
    pub library: PathBuf,
    /// Threads of one run.
    pub threads: usize,
}

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct Statistics {
    pub texts: AtomicU64,
    pub tokens: AtomicU64,
    pub batches: AtomicU64,
    pub inference_micros: AtomicU64,
    pub models_loaded: AtomicU64,
}

impl Statistics {
    pub(crate) fn add(&self, texts: usize, tokens: usize, time: Duration) {
        self.texts.fetch_add(texts as u64, Ordering::Relaxed);
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.inference_micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }
}

struct Loaded {
    registered: Registered,
    threads: usize,
    model: Model,
}

/// Loads on demand, and keeps what was used last. Dropping it unloads all models, then the environment of ONNX Runtime,
/// after which none can be loaded in this process again.
pub struct Models {
    // In this order: sessions are dropped before the environment.
    loaded: Vec<Loaded>, // most recently used last
    runtime: Option<Runtime>,
    statistics: Arc<Statistics>,
}

impl Models {
    /// None loaded, counting into `statistics`, on the runtime if this process already has one.
    pub fn new(statistics: Arc<Statistics>, runtime: Option<Runtime>) -> Self {
        Self { loaded: Vec::new(), runtime, statistics }
    }

    /// Unloads all models; ONNX Runtime stays.
    pub fn unload(&mut self) {
        self.loaded.clear();
        self.statistics.models_loaded.store(0, Ordering::Relaxed);
    }

    /// What the library says about itself, once it is loaded.
    pub fn loaded_runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// ONNX Runtime, loaded if it is not yet.
    pub fn runtime(&mut self, settings: &Settings) -> Result<&Runtime, Error> {
        if self.runtime.is_none() {
            self.runtime = Some(Runtime::start(&settings.library)?);
        }
        self.runtime.as_ref().ok_or(Error::LibraryNotSet)
    }

    /// Reads a directory, loads what is in it, and keeps it: registration, and the first use in the same session.
    pub fn register(
        &mut self,
        name: &str,
        directory: &Path,
        settings: &Settings,
    ) -> Result<(Registered, &Model), Error> {
        let spec = Spec::read(directory)?;
        let stamp = spec.stamp()?; // first: a file that changes meanwhile is then read again later
        let fingerprint = spec.fingerprint()?;
        let registered = Registered { name: name.to_owned(), directory: directory.to_owned(), fingerprint, stamp };
        let found = self.loaded.iter().position(|loaded| loaded.registered.name == name);
        drop(found.map(|index| self.loaded.remove(index)));
        let model = self.load(registered.clone(), spec, settings)?;
        Ok((registered, model))
    }

    /// The model, loaded if it is not yet. Refuses files that are not the registered ones.
    pub fn get(&mut self, wanted: &Registered, settings: &Settings) -> Result<&mut Model, Error> {
        let found = self.loaded.iter().position(|loaded| loaded.registered.name == wanted.name);
        if let Some(loaded) = found.map(|index| self.loaded.remove(index))
            && loaded.registered == *wanted
            && loaded.threads == settings.threads
        {
            return Ok(self.keep(loaded));
        }
        let spec = Spec::read(&wanted.directory)?;
        if spec.stamp()? != wanted.stamp && spec.fingerprint()? != wanted.fingerprint {
            return Err(Error::ModelChanged(wanted.name.clone()));
        }
        self.load(wanted.clone(), spec, settings)
    }

    fn load(&mut self, registered: Registered, spec: Spec, settings: &Settings) -> Result<&mut Model, Error> {
        if self.loaded.len() >= MAX_LOADED {
            self.loaded.remove(0); // its memory first
        }
        let (threads, statistics) = (settings.threads, self.statistics.clone());
        let model = Model::load(&registered.name, spec, self.runtime(settings)?, threads, statistics)?;
        Ok(self.keep(Loaded { registered, threads, model }))
    }

    fn keep(&mut self, loaded: Loaded) -> &mut Model {
        self.statistics.models_loaded.store(self.loaded.len() as u64 + 1, Ordering::Relaxed);
        &mut self.loaded.push_mut(loaded).model
    }
}
