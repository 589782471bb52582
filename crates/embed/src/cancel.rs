//! Stops an inference from another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ort::session::RunOptions;

use crate::Error;

/// A flag that the waiting thread sets. The engine checks it between steps, and ONNX Runtime between the nodes of a graph.
#[derive(Default)]
pub struct Cancel {
    is_set: AtomicBool,
    running: Mutex<Option<Arc<RunOptions>>>,
}

impl Cancel {
    /// Sets the flag. Does not wait for the engine.
    pub fn cancel(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        if let Some(run) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = run.terminate(); // cannot fail: it stores a flag
        }
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Fails with [`Error::Cancelled`] if the flag is set.
    pub fn check(&self) -> Result<(), Error> {
        if self.is_set() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Makes [`Self::cancel`] terminate a run of ONNX Runtime until the result is dropped.
    pub(crate) fn arm(&self, options: Arc<RunOptions>) -> Result<Armed<'_>, Error> {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(options);
        let armed = Armed(self);
        self.check()?; // the flag may have been set before the options were stored
        Ok(armed)
    }
}

pub(crate) struct Armed<'a>(&'a Cancel);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
impl Cancel {
    /// Waits until a run is armed; returns false if none is within a long time.
    pub(crate) fn wait_for_run(&self) -> bool {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while std::time::Instant::now() < deadline {
            if self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }
}
