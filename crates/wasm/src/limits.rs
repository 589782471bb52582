//! Memory limits of instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

use crate::Error;
use crate::hooks::Hooks;

/// Bytes that a table element counts for.
const TABLE_ELEMENT: usize = 16;

/// Tables of one instance.
pub(crate) const MAX_TABLES: usize = 16;

/// Limits memories and tables of one instance, and those of all instances of a runtime together.
pub(crate) struct Limiter {
    limit: usize,
    used: usize,
    /// Bytes of all instances.
    total: Arc<AtomicUsize>,
    hooks: Hooks,
    /// Bytes of the last growth that was allowed, to take back if the system refuses it.
    last: usize,
    /// Why a growth was refused in the current call: a trap that follows is most likely the guest's allocator.
    denied: Option<Denied>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denied {
    /// Beyond the limit of an instance.
    Instance,
    /// Beyond the limit of all together.
    Session(usize),
    /// The operating system refused.
    System,
}

impl Limiter {
    pub(crate) fn new(hooks: Hooks, limit: usize, total: Arc<AtomicUsize>) -> Self {
        Self { limit, used: 0, total, hooks, last: 0, denied: None }
    }

    /// Bytes of memories and tables.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The limit of this instance.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Called before each call: forgets a refusal.
    pub(crate) fn reset(&mut self) {
        self.denied = None;
    }

    /// The error of the current call, if memory was refused in it.
    pub(crate) fn refusal(&self, backtrace: Option<String>) -> Option<Error> {
        Some(match self.denied? {
            Denied::Instance => Error::MemoryLimit { limit: self.limit, backtrace },
            Denied::Session(limit) => Error::SessionMemoryLimit { limit, backtrace },
            Denied::System => Error::OutOfMemory("the operating system has no more".to_owned()),
        })
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        match self.judge(current, desired) {
            Ok(more) => {
                self.total.fetch_add(more, Ordering::Relaxed);
                self.used += more;
                self.last = more;
                true
            }
            Err(denied) => {
                self.denied = Some(denied);
                false
            }
        }
    }

    /// The number of additional bytes, if the limits allow them.
    fn judge(&self, current: usize, desired: usize) -> Result<usize, Denied> {
        let more = desired.checked_sub(current).ok_or(Denied::Instance)?;
        if self.used.checked_add(more).is_none_or(|used| used > self.limit) {
            return Err(Denied::Instance);
        }
        let most = (self.hooks.memory_limit)();
        let excess = || self.total.load(Ordering::Relaxed).saturating_add(more).saturating_sub(most);
        if excess() > 0 {
            (self.hooks.make_room)(excess());
        }
        if excess() > 0 { Err(Denied::Session(most)) } else { Ok(more) }
    }

    /// Takes back the last growth, which the system has refused.
    fn failed(&mut self) {
        let last = std::mem::take(&mut self.last);
        self.used -= last;
        self.total.fetch_sub(last, Ordering::Relaxed);
        self.denied = Some(Denied::System);
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.total.fetch_sub(self.used, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Growth beyond the maximum that the module declares fails, but is no refusal by a limit.
        Ok(maximum.is_none_or(|most| desired <= most) && self.grow(current, desired))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT);
        Ok(maximum.is_none_or(|most| desired <= most) && self.grow(bytes(current), bytes(desired)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        1
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;

    pub(crate) const HOOKS: Hooks = Hooks {
        interrupted: || false,
        start_ticks: || {},
        stop_ticks: || {},
        time_limit: || Duration::MAX,
        memory_limit: || 1500,
        make_room: |_| {},
    };

    #[test]
    fn the_limiter_adds_up_memories_and_tables() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut limiter = Limiter::new(HOOKS, 1000, total.clone());
        assert!(limiter.memory_growing(0, 500, None).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.memory_growing(500, 900, None).unwrap());
        assert_eq!(limiter.denied, Some(Denied::Instance));
        assert!(limiter.memory_growing(500, 840, None).unwrap());
        assert!(!limiter.memory_growing(0, usize::MAX, None).unwrap());

        let mut other = Limiter::new(HOOKS, 1000, total.clone());
        assert!(!other.memory_growing(0, 501, None).unwrap());
        assert_eq!(other.denied, Some(Denied::Session(1500)));
        assert!(other.memory_growing(0, 500, None).unwrap());
        other.memory_grow_failed(wasmtime::Error::msg("no more")).unwrap();
        assert_eq!((other.used(), total.load(Ordering::Relaxed)), (0, 1000));
        drop(limiter);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
