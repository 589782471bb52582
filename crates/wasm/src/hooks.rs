//! Callbacks of the embedder.

use std::time::Duration;

/// Callbacks of the embedder. They are called below, right before or right after a guest, and must not unwind, jump or block.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Handles pending interrupts. Returns whether the running statement must end: cancel, termination, timeout.
    pub interrupted: fn() -> bool,
    /// Called before a guest runs. From then on the embedder calls [`crate::Runtime::tick`] repeatedly, about every ten
    /// milliseconds: a single tick could come before the guest can notice it.
    pub start_ticks: fn(),
    /// Called once for each `start_ticks`, after the guest has returned.
    pub stop_ticks: fn(),
    /// The maximum time of a call.
    pub time_limit: fn() -> Duration,
    /// The maximum memory of all instances of the runtime together, in bytes.
    pub memory_limit: fn() -> usize,
    /// Drops idle instances of this many bytes, as far as there are any.
    pub make_room: fn(usize),
}

/// A guard: ticks come until it is dropped, which calls the hook that stops them.
pub(crate) struct Ticks(fn());

impl Ticks {
    /// Starts ticks. The epoch deadline must be set before.
    pub(crate) fn start(hooks: &Hooks) -> Self {
        (hooks.start_ticks)();
        Self(hooks.stop_ticks)
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        (self.0)();
    }
}
