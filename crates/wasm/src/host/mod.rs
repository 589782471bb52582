//! The host's state of a running guest, and the host functions, with a file for each capability.
//!
//! No function here calls the embedder while a guest's frames are on the stack, except through [`Hooks`], which must
//! neither unwind nor block. Log lines are kept until the guest has returned.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use wasmtime::{Caller, Engine, Extern, Linker, StoreContextMut, UpdateDeadline};

use crate::hooks::Hooks;
use crate::limits::Limiter;
use crate::manifest::Permission;
use crate::{Error, GuestError};

mod error;
mod log;
mod null;

pub use log::{Level, LogLine};

/// A group of functions that a guest may import from the module [`crate::abi::HOST_MODULE`].
pub(crate) trait Capability: Sync {
    /// The permission that it needs; None if every guest may import it.
    fn permission(&self) -> Option<Permission> {
        None
    }

    /// The names of its functions.
    fn imports(&self) -> &'static [&'static str];

    /// Adds its functions to a linker.
    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()>;
}

const CAPABILITIES: [&dyn Capability; 3] = [&error::Raise, &null::ReturnNull, &log::Log];

/// The capability that has an import of this name.
pub(crate) fn capability(import: &str) -> Option<&'static dyn Capability> {
    CAPABILITIES.into_iter().find(|capability| capability.imports().contains(&import))
}

/// A linker with all host functions. Permissions are checked when a plugin is linked.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    CAPABILITIES.iter().try_for_each(|capability| capability.link(&mut linker))?;
    Ok(linker)
}

/// The host's state of an instance.
pub(crate) struct State {
    pub(crate) hooks: Hooks,
    pub(crate) limiter: Limiter,
    /// The manifest's limit; the embedder's comes from [`Hooks::time_limit`] when needed.
    time_limit: Option<Duration>,
    /// Time counts from the first tick of a call, so that short calls never read the clock.
    first_tick: Option<Instant>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) error: Option<GuestError>,
    pub(crate) is_null: bool,
}

impl State {
    pub(crate) fn new(
        hooks: Hooks,
        memory_limit: usize,
        time_limit: Option<Duration>,
        total: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            hooks,
            limiter: Limiter::new(hooks, memory_limit, total),
            time_limit,
            first_tick: None,
            log: Vec::new(),
            error: None,
            is_null: false,
        }
    }

    /// Called before each call.
    pub(crate) fn reset(&mut self) {
        self.first_tick = None;
        self.is_null = false;
        self.limiter.reset();
    }

    fn on_tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if (self.hooks.interrupted)() {
            return Err(Stop::Interrupted.into());
        }
        let start = *self.first_tick.get_or_insert_with(Instant::now);
        let most = (self.hooks.time_limit)();
        let limit = self.time_limit.map_or(most, |own| own.min(most));
        if start.elapsed() > limit {
            return Err(Stop::Time(limit).into());
        }
        Ok(UpdateDeadline::Continue(1))
    }
}

/// Called by wasmtime at the next loop head or function entry after a tick.
pub(crate) fn on_tick(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    store.data_mut().on_tick()
}

/// Why the host ended a guest.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    #[error("interrupted")]
    Interrupted,
    #[error("time limit of {0:?}")]
    Time(Duration),
    #[error("log limit")]
    LogFlood,
    #[error("{0}")]
    Violation(String),
}

impl Stop {
    /// The error that is returned to the embedder.
    pub(crate) fn into_error(self, backtrace: String) -> Error {
        match self {
            Self::Interrupted => Error::Interrupted,
            Self::Time(limit) => Error::TimeLimit { limit, backtrace },
            Self::LogFlood => Error::LogFlood { limit: log::MAX_LINES },
            Self::Violation(what) => Error::AbiViolation(what),
        }
    }
}

/// A text in the guest's memory, truncated to `most` bytes. Invalid UTF-8 is replaced.
fn text_of(caller: &mut Caller<'_, State>, address: i32, length: i32, most: usize) -> wasmtime::Result<String> {
    let Some(Extern::Memory(memory)) = caller.get_export(crate::abi::MEMORY_EXPORT) else {
        return Err(Stop::Violation("the module exports no memory".to_owned()).into());
    };
    let start = address as u32 as usize;
    let length = length as u32 as usize;
    let bytes = start.checked_add(length).and_then(|end| memory.data(&caller).get(start..end)).ok_or_else(|| {
        Stop::Violation(format!("{length} bytes at address {start} are outside of the guest's memory"))
    })?;
    Ok(String::from_utf8_lossy(&bytes[..length.min(most)]).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_offer_what_they_name() {
        let engine = Engine::default();
        let linker = linker(&engine).unwrap();
        let hooks = crate::limits::tests::HOOKS;
        let mut store = wasmtime::Store::new(&engine, State::new(hooks, 0, None, Arc::default()));
        let mut linked: Vec<String> = linker.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect();
        linked.sort_unstable();
        let mut named: Vec<&str> = CAPABILITIES.iter().flat_map(|capability| capability.imports()).copied().collect();
        named.sort_unstable();
        assert_eq!(linked, named);
        assert_eq!(capability("log").and_then(|log| log.permission()), Some(Permission::Log));
        assert!(capability("exit").is_none());
    }
}
