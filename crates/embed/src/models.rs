//! The models that are loaded in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::reader::Watch;
use crate::{Cancel, Error, Model, ModelFiles, Runtime};

/// Maximum number of loaded models; the least recently used one is unloaded.
const MAX_LOADED: usize = 4;

/// A model as it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// What users call it.
    pub name: String,
    /// Where its files are.
    pub directory: PathBuf,
    /// [`ModelFiles::fingerprint`] at that time.
    pub fingerprint: String,
}

/// Settings for loading a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Path of ONNX Runtime. A process loads only one: later paths are ignored.
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
    watch: Watch,
}

/// Loads models on demand, and keeps those that were used last. Dropping it unloads all models and the environment of ONNX
/// Runtime, after which none can be loaded in this process again.
pub struct Models {
    // Fields are dropped in order: sessions before the environment.
    loaded: Vec<Loaded>, // most recently used last
    runtime: Option<Runtime>,
    statistics: Arc<Statistics>,
}

impl Models {
    /// No models. Counts into `statistics`, and uses `runtime` if this process has loaded one already.
    pub fn new(statistics: Arc<Statistics>, runtime: Option<Runtime>) -> Self {
        Self { loaded: Vec::new(), runtime, statistics }
    }

    /// Unloads all models; ONNX Runtime stays.
    pub fn unload(&mut self) {
        self.loaded.clear();
        self.statistics.models_loaded.store(0, Ordering::Relaxed);
    }

    /// ONNX Runtime, if it is loaded.
    pub fn loaded_runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// ONNX Runtime, which is loaded if it is not yet.
    pub fn runtime(&mut self, settings: &Settings) -> Result<&Runtime, Error> {
        if self.runtime.is_none() {
            self.runtime = Some(Runtime::start(&settings.library)?);
        }
        self.runtime.as_ref().ok_or(Error::LibraryNotSet)
    }

    /// Reads a directory, and loads and keeps its model, for registration and the first use in the same session. Also returns the
    /// bytes of all files.
    pub fn register(
        &mut self,
        name: &str,
        directory: &Path,
        settings: &Settings,
        cancel: &Cancel,
    ) -> Result<(Registered, u64, &Model), Error> {
        let files = ModelFiles::read(directory, cancel)?;
        let (fingerprint, size) = (files.fingerprint.clone(), files.size);
        let registered = Registered { name: name.to_owned(), directory: directory.to_owned(), fingerprint };
        let model = self.load(registered.clone(), files, settings, cancel)?;
        Ok((registered, size, model))
    }

    /// The model, which is loaded if it is not yet. Fails if the files are not those that were registered, even if the model is
    /// loaded: all sessions return the same vectors, or the same error.
    pub fn get(&mut self, wanted: &Registered, settings: &Settings, cancel: &Cancel) -> Result<&mut Model, Error> {
        let is_wanted = |loaded: &Loaded| loaded.registered == *wanted && loaded.threads == settings.threads;
        let found = self.loaded.iter().position(is_wanted);
        if let Some(index) = found
            && self.loaded[index].watch.holds()
        {
            let loaded = self.loaded.remove(index);
            return Ok(self.keep(loaded));
        }
        let files = ModelFiles::read(&wanted.directory, cancel)?;
        if files.fingerprint != wanted.fingerprint {
            return Err(Error::ModelChanged(wanted.name.clone()));
        }
        if let Some(index) = found {
            let loaded = self.loaded.remove(index); // files were touched but have the same bytes
            return Ok(self.keep(Loaded { watch: files.watch, ..loaded }));
        }
        self.load(wanted.clone(), files, settings, cancel)
    }

    /// The watch of the model that was used last.
    pub(crate) fn watch(&self) -> Watch {
        self.loaded.last().map(|loaded| loaded.watch.clone()).unwrap_or_default()
    }

    fn load(
        &mut self,
        registered: Registered,
        mut files: ModelFiles,
        settings: &Settings,
        cancel: &Cancel,
    ) -> Result<&mut Model, Error> {
        self.loaded.retain(|loaded| loaded.registered.name != registered.name);
        if self.loaded.len() >= MAX_LOADED {
            self.loaded.remove(0); // frees its memory before the new one is loaded
        }
        self.statistics.models_loaded.store(self.loaded.len() as u64, Ordering::Relaxed);
        let (threads, statistics) = (settings.threads, self.statistics.clone());
        let watch = std::mem::take(&mut files.watch);
        let model = Model::load(&registered.name, files, self.runtime(settings)?, threads, statistics, cancel)?;
        Ok(self.keep(Loaded { registered, threads, model, watch }))
    }

    fn keep(&mut self, loaded: Loaded) -> &mut Model {
        self.statistics.models_loaded.store(self.loaded.len() as u64 + 1, Ordering::Relaxed);
        &mut self.loaded.push_mut(loaded).model
    }
}
