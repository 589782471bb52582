//! The models that are loaded in this process.

use std::path::PathBuf;
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

    /// Loads a model from a directory without keeping it, to see whether it works.
    pub fn inspect(&mut self, name: &str, spec: Spec, settings: &Settings) -> Result<Model, Error> {
        let statistics = self.statistics.clone();
        Model::load(name, spec, self.runtime(settings)?, settings.threads, statistics)
    }

    /// The model, loaded if it is not yet. Refuses files that are not the registered ones.
    pub fn get(&mut self, wanted: &Registered, settings: &Settings) -> Result<&mut Model, Error> {
        let found = self.loaded.iter().position(|loaded| loaded.registered.name == wanted.name);
        let mut current = found.map(|index| self.loaded.remove(index));
        if current.as_ref().is_none_or(|l| l.registered != *wanted || l.threads != settings.threads) {
            drop(current.take()); // its memory first
            let spec = Spec::read(&wanted.directory)?;
            if spec.stamp()? != wanted.stamp && spec.fingerprint()? != wanted.fingerprint {
                return Err(Error::ModelChanged(wanted.name.clone()));
            }
            if self.loaded.len() >= MAX_LOADED {
                self.loaded.remove(0);
            }
            let model = self.inspect(&wanted.name, spec, settings)?;
            current = Some(Loaded { registered: wanted.clone(), threads: settings.threads, model });
        }
        self.loaded.extend(current);
        self.statistics.models_loaded.store(self.loaded.len() as u64, Ordering::Relaxed);
        self.loaded.last_mut().map(|loaded| &mut loaded.model).ok_or_else(|| Error::UnknownModel(wanted.name.clone()))
    }
}
