//! The engine's threads: one tokio runtime per process, started at first use and never stopped.
//!
//! The caller must have blocked all signals (`pg::thread::signals_blocked`): every thread of the runtime inherits the mask
//! of the one that starts it. It must be called after fork, never in the postmaster.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock};

use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use futures::FutureExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::error::{Error, Result};

/// Threads that decode. Partitions of a scan are tasks on them, so `lagoon.parallelism` decides how many are busy.
const MAX_WORKERS: usize = 16;

/// What all scans of this process share.
pub struct Engine {
    runtime: tokio::runtime::Runtime,
    pub(crate) environment: Arc<RuntimeEnv>,
    pub(crate) store: Arc<dyn ObjectStore>,
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

    /// Blocks the calling thread, which must not be one of the runtime's, until the future is done. A panic becomes an error.
    pub fn block_on<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime.block_on(caught(future))
    }
}

/// Turns a panic inside a future into an error: parsers of damaged files may still have some.
pub(crate) async fn caught<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(result) => result,
        Err(payload) => Err(Error::Internal { message: panic_text(&*payload) }),
    }
}

fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("of unknown cause"))
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("lagoon-engine")
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let environment = RuntimeEnvBuilder::new().build_arc().map_err(|error| failed(&error))?;
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
    Ok(Engine { runtime, environment, store })
}
