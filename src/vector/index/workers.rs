//! The threads of a build.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pgrx::{PgLogLevel, pg_sys};

use lagoon_vector::Error;

use crate::pg::{job, log, thread, wait};

/// How long a cancelled worker may take to stop: it checks after every element.
const JOIN_LIMIT: Duration = Duration::from_secs(1);

/// The job that the threads of a build share.
pub trait Job: Send + Sync + 'static {
    /// Run by each thread until nothing is left to do. `wake` makes the main thread check its condition.
    fn work(&self, wake: &dyn Fn()) -> Result<(), Error>;
    /// Makes every thread return soon.
    fn cancel(&self);
    /// Whether the job is done.
    fn is_done(&self) -> bool;
}

/// The threads of a job, which are cancelled and joined on drop.
pub struct Workers {
    job: Arc<dyn Job>,
    handles: Vec<JoinHandle<()>>,
    notify: wait::Notify,
    failure: Arc<Mutex<Option<Error>>>,
}

/// The number of threads of a build: as many as PostgreSQL would use processes, at most one per processor; 0 without parallel
/// workers.
pub fn count() -> usize {
    // SAFETY: a setting of this process.
    let helpers = unsafe { pg_sys::max_parallel_maintenance_workers }.max(0) as usize;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if helpers == 0 { 0 } else { (helpers + 1).min(cores) }
}

impl Workers {
    /// Starts up to `count` threads.
    pub fn start(job: Arc<dyn Job>, count: usize) -> Self {
        let mut workers =
            Self { job, handles: Vec::with_capacity(count), notify: wait::notify(), failure: Arc::default() };
        for _ in 0..count {
            let (job, notify, failure) = (workers.job.clone(), workers.notify.clone(), workers.failure.clone());
            let handle = thread::spawn("lagoon build", move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| job.work(&|| notify.wake())))
                    .unwrap_or_else(|panic| Err(Error::WorkerFailed(job::panic_message(&*panic))));
                if let Err(error) = outcome {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    job.cancel();
                }
                notify.wake();
            });
            match handle {
                Ok(handle) => workers.handles.push(handle),
                // With fewer threads the build only takes longer.
                Err(error) if workers.handles.is_empty() => {
                    log::warning(format!("could not start a thread for the build: {error}"));
                    break;
                }
                Err(_) => break,
            }
        }
        log::at(PgLogLevel::DEBUG1, format!("using {} parallel workers", workers.handles.len()));
        workers
    }

    /// Whether there is no thread: then the main one has to do the work.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Waits until the job is done. A cancel is handled at once.
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_until(|| self.job.is_done())
    }

    /// Waits until `is_done` returns true, which threads announce by `wake`.
    pub fn wait_until(&self, is_done: impl Fn() -> bool) -> Result<(), Error> {
        let take = || self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        wait::until(&self.notify, || match take() {
            Some(error) => Some(Err(error)),
            None => is_done().then_some(Ok(())),
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.job.cancel();
        let end = Instant::now() + JOIN_LIMIT;
        for handle in self.handles.drain(..) {
            job::join_within(handle, end.saturating_duration_since(Instant::now()));
        }
    }
}
