//! An engine job on a thread of its own, while the main thread waits and handles interrupts.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::{Plain, SqlError, raise};
use super::{log, thread, wait};

/// How long a cancelled job may take to stop before its thread is abandoned.
const JOIN_LIMIT: Duration = Duration::from_secs(1);

/// A flag that is set when the waiting statement ends.
#[derive(Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// The flag for an engine, which checks it between batches.
    pub fn as_atomic(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

/// Runs `work` on a thread of its own and waits for it. A panic in it becomes an ERROR (XX000). When the statement is
/// cancelled, `on_cancel` is called from the main thread, the flag is set and the thread is joined, for one second at most.
pub fn run<T: Send + 'static>(
    name: &str,
    on_cancel: impl Fn(),
    work: impl FnOnce(&CancelFlag) -> T + Send + 'static,
) -> T {
    run_with(name, thread::STACK, on_cancel, work)
}

/// The same on a thread whose stack has so many bytes.
pub fn run_with<T: Send + 'static>(
    name: &str,
    stack: usize,
    on_cancel: impl Fn(),
    work: impl FnOnce(&CancelFlag) -> T + Send + 'static,
) -> T {
    let notify = wait::notify();
    let flag = CancelFlag::default();
    let (sender, receiver) = sync_channel(1);
    let (worker_notify, worker_flag) = (notify.clone(), flag.clone());
    let handle = thread::spawn_with(name, stack, move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&worker_flag)));
        let _ = sender.send(outcome); // the receiver is gone only when the statement is
        worker_notify.wake();
    })
    .unwrap_or_else(|error| {
        raise(&Plain { sqlstate: "53000", message: format!("could not start a thread: {error}"), hint: None })
    });
    let mut guard = Guard { handle: Some(handle), flag, on_cancel, finished: false };
    let outcome = wait::until(&notify, || poll(&receiver));
    guard.finished = true;
    drop(guard);
    match outcome {
        Ok(value) => value,
        Err(payload) => {
            log::log(format!("lagoon: panic in thread \"{name}\": {}", panic_message(&*payload)));
            raise(&Panicked)
        }
    }
}

type Outcome<T> = Result<T, Box<dyn Any + Send>>;

fn poll<T>(receiver: &Receiver<Outcome<T>>) -> Option<Outcome<T>> {
    match receiver.try_recv() {
        Ok(outcome) => Some(outcome),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err(Box::new("the engine thread ended without an answer"))),
    }
}

/// The text of a caught panic.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("unknown panic").to_owned()
}

/// A panic in an engine, which is a bug. It is reported as an internal error, its text is logged, and the backend continues.
pub struct Panicked;

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("internal error in an engine thread")
    }
}

impl SqlError for Panicked {
    fn sqlstate(&self) -> &str {
        "XX000"
    }

    fn hint(&self) -> Option<String> {
        Some("This is a bug in Lagoon; the session can go on.".to_owned())
    }
}

struct Guard<C: Fn()> {
    handle: Option<JoinHandle<()>>,
    flag: CancelFlag,
    on_cancel: C,
    finished: bool,
}

impl<C: Fn()> Drop for Guard<C> {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        if !self.finished {
            self.flag.0.store(true, Ordering::Relaxed);
            (self.on_cancel)();
        }
        join_within(handle, JOIN_LIMIT);
    }
}

/// Joins a thread that was told to stop. Returns false if it does not stop in time: it is abandoned.
pub fn join_within(handle: JoinHandle<()>, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while !handle.is_finished() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_micros(500)); // bounded; the thread holds nothing of PostgreSQL's
    }
    let _ = handle.join(); // a panic was caught in the thread
    true
}
