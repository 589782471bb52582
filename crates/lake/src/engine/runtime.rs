//! The engine's threads: one tokio runtime per process, started at first use and never stopped.
//!
//! The caller must have blocked all signals (`pg::thread::signals_blocked`): every thread of the runtime inherits the mask
//! of the one that starts it. It must be called after fork, never in the postmaster.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::error::{Error, Result};

/// Threads that decode. Partitions of a scan are tasks on them, so `lagoon.parallelism` decides how many are busy.
const MAX_WORKERS: usize = 16;

/// Stack of each thread of the engine, in bytes: what is parsed and walked there is bounded in depth.
pub const STACK: usize = 4 << 20;
/// Bytes that scans read between two times that freed memory is given back to the operating system.
const RELEASE_BYTES: u64 = 16 << 20;

/// What all scans of this process share.
pub struct Engine {
    runtime: tokio::runtime::Runtime,
    pub(crate) environment: Arc<RuntimeEnv>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// Runs a task on the runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(task)
    }
}

/// The engine, started by the first call.
pub fn engine() -> Result<&'static Engine> {
    static ENGINE: OnceLock<Box<Engine>> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let _starting = STARTING.lock();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = Box::new(start()?);
    Ok(ENGINE.get_or_init(|| engine))
}

fn start() -> Result<Engine> {
    let failed = |error: &dyn std::fmt::Display| Error::Start { message: error.to_string() };
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, MAX_WORKERS);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(workers)
        .thread_name("lagoon-engine")
        .thread_stack_size(STACK)
        .on_thread_start(super::memory::enter_engine)
        .enable_all();
    // It panics when a thread cannot be had.
    let runtime = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.build()))
        .map_err(|_| failed(&"a thread could not be had"))?
        .map_err(|error| failed(&error))?;
    super::cancel::follow_tasks();
    let environment = RuntimeEnvBuilder::new().build_arc().map_err(|error| failed(&error))?;
    Ok(Engine { runtime, environment })
}

/// A task that is alive. When the last one goes, what scans have freed is given back to the operating system.
#[derive(Debug)]
pub(crate) struct Live;

static LIVE: AtomicU64 = AtomicU64::new(0);
static UNRELEASED: AtomicU64 = AtomicU64::new(0);
static RELEASE: OnceLock<fn()> = OnceLock::new();

/// Sets what gives freed memory back to the operating system. Called from threads of the engine.
pub fn set_release(release: fn()) {
    let _ = RELEASE.set(release); // the same each time
}

impl Live {
    pub(crate) fn new() -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// How many there are.
    pub(crate) fn count() -> u64 {
        LIVE.load(Ordering::Relaxed)
    }

    /// So many bytes were taken that will be freed.
    pub(crate) fn used(bytes: u64) {
        UNRELEASED.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if LIVE.fetch_sub(1, Ordering::Relaxed) > 1 || UNRELEASED.load(Ordering::Relaxed) < RELEASE_BYTES {
            return;
        }
        UNRELEASED.store(0, Ordering::Relaxed);
        if let Some(release) = RELEASE.get() {
            release();
        }
    }
}
