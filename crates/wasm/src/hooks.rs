//! What the embedder does for a running guest.

use std::time::Duration;

/// What the embedder gives. Called from inside a guest, or right before and after: these must neither unwind, jump nor block.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Answers what is pending; whether the running statement is to end: cancel, termination, time-out.
    pub interrupted: fn() -> bool,
    /// A guest is about to run. From here on the embedder calls [`crate::Runtime::tick`] again and again, about every ten
    /// milliseconds, by itself: a tick that comes while nobody looks must not be the last one.
    pub start_ticks: fn(),
    /// As often as `start_ticks`: no guest of that call runs any more.
    pub stop_ticks: fn(),
    /// The most that any call may take.
    pub time_limit: fn() -> Duration,
    /// The most memory that all instances of the runtime may have together, in bytes.
    pub memory_limit: fn() -> usize,
    /// Asks for so many bytes of idle instances to be dropped, as far as there are such.
    pub make_room: fn(usize),
}

/// Ticks come while this lives; what it holds is the hook that ends them.
pub(crate) struct Ticks(fn());

impl Ticks {
    /// To be called with the deadline armed.
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
