//! The end of a query for whatever works for it, on whichever thread.
//!
//! A task is stopped where it waits for something. Where one computes for long without waiting, it looks at its query's flag
//! meanwhile: [`check`] knows which that is, because every task that DataFusion spawns has the flag of the task that spawned
//! it, while it is polled.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::error::{Error, Result};

/// Whether a query has ended for its consumer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flag(Arc<AtomicBool>);

/// Runs something on this thread, for as long as the flag of its caller is not set.
pub fn during<T>(flag: Arc<AtomicBool>, f: impl FnOnce() -> T) -> T {
    Flag(flag).during(f)
}

impl Flag {
    /// Ends the query.
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has ended.
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// [`Error::Canceled`] when it has.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_raised() { Err(Error::Canceled) } else { Ok(()) }
    }

    /// A task that has this flag while it is polled.
    pub(crate) fn around<F: Future>(&self, task: F) -> Flagged<F> {
        Flagged { flag: self.clone(), task: Box::pin(task) }
    }

    /// Runs `f` with this flag.
    pub(crate) fn during<T>(&self, f: impl FnOnce() -> T) -> T {
        let _before = Before(CURRENT.replace(Some(self.clone())));
        f()
    }
}

/// [`Error::Canceled`] when the query that this thread works for has ended. For loops that wait for nothing.
pub(crate) fn check() -> Result<()> {
    CURRENT.with_borrow(|current| current.as_ref().map_or(Ok(()), Flag::check))
}

/// Lets the tasks that DataFusion spawns have their query's flag. Once a process.
pub(crate) fn follow_tasks() {
    let _ = set_join_set_tracer(&Follower); // it is the same each time
}

/// A task and its flag.
pub(crate) struct Flagged<F> {
    flag: Flag,
    task: Pin<Box<F>>,
}

impl<F: Future> Future for Flagged<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let task = &mut this.task;
        this.flag.during(|| task.as_mut().poll(context))
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Flag>> = const { RefCell::new(None) };
}

/// What the thread worked for before; set again when this goes, whatever ends what came between.
struct Before(Option<Flag>);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

struct Follower;

type Output = Box<dyn Any + Send>;

impl JoinSetTracer for Follower {
    fn trace_future(&self, task: BoxFuture<'static, Output>) -> BoxFuture<'static, Output> {
        match CURRENT.with_borrow(Clone::clone) {
            Some(flag) => flag.around(task).boxed(),
            None => task,
        }
    }

    fn trace_block(&self, work: Box<dyn FnOnce() -> Output + Send>) -> Box<dyn FnOnce() -> Output + Send> {
        match CURRENT.with_borrow(Clone::clone) {
            Some(flag) => Box::new(move || flag.during(work)),
            None => work,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::common::runtime::SpawnedTask;

    use super::*;

    #[test]
    fn spawned_tasks_know_the_flag_of_their_query() {
        follow_tasks();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let asked = |flag: &Flag| {
            let spawned = async { SpawnedTask::spawn(async { check().is_err() }).await.unwrap() };
            let blocking = async { SpawnedTask::spawn_blocking(|| check().is_err()).await.unwrap() };
            (runtime.block_on(flag.around(spawned)), runtime.block_on(flag.around(blocking)))
        };
        let flag = Flag::default();
        assert_eq!(asked(&flag), (false, false));
        flag.raise();
        assert_eq!(asked(&flag), (true, true));
        assert!(check().is_ok(), "this thread works for nobody");
    }
}
